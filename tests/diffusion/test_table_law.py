"""Laws given as tables, against sums over their states one by one."""

import jax
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion import kraft, table_law
from diffenc.diffusion.table_law import TableLaw


@jax.jit
def evaluate(law, log_likelihood, states, key):
    return {
        "log_density": law.log_density(log_likelihood),
        "log_weights": law.log_weights(log_likelihood),
        "log_marginals": law.log_marginals(),
        "log_prob": law.log_prob_of(states),
        "x": law.sample(key, 3000),
    }


@pytest.mark.parametrize("num_dims", [2, 3])
def test_densities_and_weights_are_sums_over_states(num_dims):
    rng = np.random.default_rng(num_dims)
    size = 3
    heights = rng.uniform(0.1, 1.0, (size,) * num_dims)
    log_likelihood = rng.normal(size=(2, num_dims, size)).astype(np.float32)
    density = np.zeros(2)
    weights = np.zeros((2, num_dims, size))
    marginals = np.zeros((num_dims, size))
    states = kraft.states(size, num_dims)
    for state in states:
        probability = heights[tuple(state)] / heights.sum()
        each = np.exp(log_likelihood[:, np.arange(num_dims), state])
        density += probability * each.prod(axis=1)
        for dim, value in enumerate(state):
            weights[:, dim, value] += probability * np.delete(each, dim, axis=1).prod(axis=1)
            marginals[dim, value] += probability
    law = TableLaw.of(heights)
    found = evaluate(law, log_likelihood, states, jax.random.key(0))
    np.testing.assert_allclose(found["log_density"], np.log(density), rtol=1e-5)
    np.testing.assert_allclose(found["log_weights"], np.log(weights), atol=1e-5)
    np.testing.assert_allclose(found["log_marginals"], np.log(marginals), atol=1e-5)
    log_prob = np.log(heights / heights.sum()).ravel()
    np.testing.assert_allclose(found["log_prob"], log_prob, rtol=1e-5)
    np.testing.assert_allclose(law.entropy(), -np.exp(log_prob) @ log_prob, rtol=1e-6)
    x = np.asarray(found["x"])
    assert_mean((x[:, None] == states[None]).all(axis=-1), np.exp(log_prob))


def test_neighbours_depend_on_each_other_and_every_state_has_a_probability():
    law = table_law.neighbours(17)
    probability = np.exp(np.asarray(law.log_prob, np.float64))
    np.testing.assert_allclose(probability.sum(), 1.0, rtol=1e-6)
    assert probability.min() > 1e-5
    independent = TableLaw.of(probability.sum(axis=1)[:, None] * probability.sum(axis=0)[None])
    assert law.entropy() < independent.entropy() - 0.3
