"""Weights of controlled paths: their mean is the normalizer at any number of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.control import action
from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.path_weights import (
    effective_sample_size,
    log_normalizer,
    tail_index,
    weighted_paths,
)
from diffenc.diffusion.processes import VE, VPLinear
from diffenc.errors import InputError

LOG_Z = 1.3
MIXTURE = GaussianMixture.isotropic(
    np.log([0.3, 0.7]), np.array([[1.5, 0.0], [-1.0, 0.5]]), np.array([0.5, 0.7])
)


def problem_of(process, density, num_steps):
    return Problem(process, lambda x: -density.log_prob(x) - LOG_Z, num_steps=num_steps, t_min=0.01)


@pytest.mark.parametrize("process", [VPLinear(), VE(0.05, 20.0)], ids=str)
def test_the_mean_weight_is_the_normalizer_for_a_wrong_score_and_few_steps(process):
    @jax.jit
    def draw(key):
        problem = problem_of(process, MIXTURE, 6)
        score = lambda x, t: 0.9 * MIXTURE.score(process, x, t)  # noqa: E731
        return weighted_paths(key, problem, score, (4000, 2))

    paths = draw(jax.random.key(0))
    log_weight = np.asarray(paths.log_weight, np.float64)
    assert paths.path.shape == (7, 4000, 2)
    assert_mean(np.exp(log_weight - LOG_Z), 1.0)
    # ... and weighted ends have the moments of the density.
    weights = np.exp(log_weight - LOG_Z)[:, None]
    assert_mean(weights * np.asarray(paths.x), np.asarray(MIXTURE.moments().mean))
    estimate = log_normalizer(log_weight)
    assert abs(estimate.mean - LOG_Z) < NUM_SIGMAS * estimate.stderr
    assert log_weight.mean() < LOG_Z - NUM_SIGMAS * log_weight.std() / 4000**0.5


def test_every_weight_of_the_reference_is_the_normalizer():
    process = VPLinear(kappa=1.7)
    normal = GaussianMixture.isotropic(np.zeros(1), np.zeros((1, 3)), np.full(1, 1.7))

    def end_cost(x):
        return -normal.log_prob(x) - LOG_Z

    # At t_min the law of the chain is the reference, whatever t_min is.
    problem = Problem(process, end_cost, num_steps=5)
    draw = jax.jit(lambda key: weighted_paths(key, problem, process.equilibrium_score, (50, 3)))
    log_weight = np.asarray(draw(jax.random.key(1)).log_weight)
    np.testing.assert_allclose(log_weight, LOG_Z, atol=2e-4)  # float32 sums of some 50 nats
    assert effective_sample_size(log_weight) == pytest.approx(50, rel=1e-4)


def test_the_effective_sample_size_counts_equal_weights():
    assert effective_sample_size([5.0, 5.0, -1e3]) == pytest.approx(2.0)


def test_weights_that_are_all_0_say_so_and_those_that_are_no_numbers_are_refused():
    nothing = np.full(4, -np.inf)
    assert log_normalizer(nothing) == (-np.inf, np.inf)
    assert effective_sample_size(nothing) == 0
    assert log_normalizer([0.0, -np.inf]).mean == pytest.approx(np.log(0.5))
    for bad in (np.nan, np.inf):
        for statistic in (log_normalizer, effective_sample_size):
            with pytest.raises(InputError, match="infinite or not a number is 1: give an energy"):
                statistic([0.0, bad, -np.inf])


def test_an_end_cost_that_is_no_number_for_each_path_is_refused():
    problem = Problem(VPLinear(), lambda x: jnp.square(x), num_steps=2)
    with pytest.raises(InputError, match=r"end cost is \(3, 1\): give \[batch\], \(3,\)"):
        jax.eval_shape(
            lambda key: weighted_paths(key, problem, lambda x, t: -x, (3, 1)), jax.random.key(0)
        )
    with pytest.raises(InputError, match=r"end cost is \(3, 1\)"):
        jax.eval_shape(
            lambda key, x: action(key, problem, lambda x, t: -x, x),
            jax.random.key(0),
            np.zeros((3, 1), np.float32),
        )


def test_a_potential_has_no_weights():
    problem = Problem(VPLinear(), lambda x: x, potential=lambda x, t: t)
    with pytest.raises(InputError, match="potential is given"):
        weighted_paths(jax.random.key(0), problem, None, (2, 1))


@pytest.mark.parametrize("shape", [0.1, 0.4, 1.2])
def test_the_tail_index_of_a_pareto_law_is_its_shape(shape):
    n = 40_000
    weights = np.random.default_rng(0).uniform(size=n) ** -shape
    log_weights = np.log(weights)
    stderr = (1 + shape) / (3 * n**0.5) ** 0.5  # of the maximum of likelihood, to first order
    index = tail_index(log_weights)
    assert abs(index - shape) < NUM_SIGMAS * stderr
    np.testing.assert_allclose(tail_index(log_weights - 700.0), index, rtol=1e-6)


def test_weights_without_a_tail_have_no_index():
    assert np.isnan(tail_index(np.zeros(1000)))
    assert np.isnan(tail_index(np.arange(20.0)))
    assert tail_index(np.array([-np.inf] * 80 + list(range(20)))) == np.inf
    assert tail_index(1000.0 * np.random.default_rng(0).normal(size=200)) == np.inf
    with pytest.raises(InputError, match="not a number"):
        tail_index([0.0, np.nan])
