"""Decoders: normalized, sampled from what they say, and the linear one is factor analysis."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian
from diffenc.errors import InputError
from diffenc.latent import decoders

Z = jax.random.normal(jax.random.key(0), (5, 2))


def make(kind, data_dim=3, features=(8,)):
    decoder = decoders.make(kind, data_dim, features)
    return decoder, decoder.init(jax.random.key(1), 2)


def test_bernoulli_probabilities_sum_to_one_and_have_the_mean():
    decoder, params = make("bernoulli")
    bits = jnp.array(list(itertools.product([0.0, 1.0], repeat=3)))
    probabilities = jnp.stack(
        [jnp.exp(decoder.log_prob(params, bits, jnp.tile(z[None], (8, 1)))) for z in Z]
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(probabilities @ bits, decoder.mean(params, Z), rtol=1e-4)


def test_bernoulli_log_prob_is_finite_for_extreme_logits():
    decoder, params = make("bernoulli", features=())
    params["params"]["Dense_0"]["kernel"] = 1e4 * jnp.ones((2, 3))
    log_prob = decoder.log_prob(params, jnp.tile(jnp.array([[0.0, 1.0, 1.0]]), (5, 1)), Z)
    assert np.isfinite(log_prob).all() and log_prob.min() < -1e3


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_samples_have_the_law_of_the_log_prob(kind):
    decoder, params = make(kind)
    z = jnp.tile(Z[:1], (6000, 1))
    x, mean = decoder.sample(jax.random.key(2), params, z), decoder.mean(params, Z[:1])
    assert x.shape == (6000, 3) and x.dtype == z.dtype
    variance = (
        mean[0] * (1 - mean[0])
        if kind == "bernoulli"
        else jnp.exp(2 * params["log_tau"]) * jnp.ones(3)
    )
    assert_moments(x, mean, jnp.diag(variance))

    def total(params):  # E[d log p(x|z) / d params] = 0 at the law of x itself
        return decoder.log_prob(params, x, z)

    _, tangent = jax.jvp(total, (params,), (jax.tree.map(jnp.ones_like, params),))
    assert_mean(tangent, 0.0)


def test_gaussian_log_prob_is_the_density():
    decoder, params = make("gaussian")
    params["log_tau"] = jnp.log(0.3)
    x = jax.random.normal(jax.random.key(3), (5, 3))
    exact = Gaussian(jnp.zeros(3), 0.09 * jnp.eye(3)).log_prob(x - decoder.mean(params, Z))
    np.testing.assert_allclose(decoder.log_prob(params, x, Z), exact, rtol=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 0.4])
def test_the_linear_gaussian_decoder_is_factor_analysis(gamma):
    decoder, params = make("gaussian", features=())
    params["log_tau"] = jnp.log(0.6)
    dense = params["network"]["params"]["Dense_0"]
    model = FactorAnalysis(dense["kernel"].T, dense["bias"], jnp.array(0.6))
    x = jax.random.normal(jax.random.key(3), (5, 3))
    np.testing.assert_allclose(
        decoder.log_prob(params, x, Z), model.log_likelihood(x, Z), rtol=1e-5
    )
    score = jax.grad(lambda z: decoders.log_joint(decoder, params, x, z, gamma).sum())(Z)
    mean, cov = model.posterior(x, gamma)
    np.testing.assert_allclose(score, -(Z - mean) @ jnp.linalg.inv(cov), rtol=1e-4, atol=1e-5)


def test_the_prior_is_the_standard_normal():
    np.testing.assert_allclose(
        decoders.log_prior(Z), Gaussian(jnp.zeros(2), jnp.eye(2)).log_prob(Z), rtol=1e-6
    )


def test_make_takes_the_activation_by_name():
    assert decoders.make("bernoulli", 4, (8, 8), "softplus").network.activation is jax.nn.softplus


def test_make_refuses_unknown_names():
    with pytest.raises(InputError, match="decoder is 'poisson': choose one of bernoulli, gaussian"):
        decoders.make("poisson", 4)
    with pytest.raises(InputError, match=r"activation is 'tan': .* \(nearest: tanh\)"):
        decoders.make("gaussian", 4, (8,), "tan")
