"""Decoders: normalized, sampled from what they say, and the linear one is factor analysis."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from scipy import stats

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.latent import decoders

Z = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def make(kind, data_dim=3, features=(8,)):
    """A decoder and its parameters, as numpy arrays."""
    decoder = decoders.make(kind, data_dim, features)
    params = jax.jit(lambda: decoder.init(jax.random.key(1), 2))()
    return decoder, jax.device_get(params)


def test_bernoulli_probabilities_sum_to_one_and_have_the_mean():
    decoder, params = make("bernoulli")
    bits = np.array(list(itertools.product([0.0, 1.0], repeat=3)), np.float32)

    @jax.jit
    def evaluate():
        def log_prob(z):
            return decoder.log_prob(params, bits, jnp.tile(z[None], (8, 1)))

        return jnp.exp(jax.lax.map(log_prob, Z)), decoder.mean(params, Z)

    probabilities, mean = jax.device_get(evaluate())
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(probabilities @ bits, mean, rtol=1e-4)


def test_bernoulli_log_prob_is_finite_for_extreme_logits():
    decoder, params = make("bernoulli", features=())
    params["params"]["Dense_0"]["kernel"] = np.full((2, 3), 1e4, np.float32)
    x = np.tile(np.array([[0.0, 1.0, 1.0]], np.float32), (5, 1))
    log_prob = np.asarray(jax.jit(decoder.log_prob)(params, x, Z))
    assert np.isfinite(log_prob).all() and log_prob.min() < -1e3


@pytest.mark.parametrize("size", [1, 16, 37])
def test_sums_of_softplus_and_their_derivatives_are_those_of_jax(size):
    ends = np.array([-90.0, -20.0, -3.0, -1e-3, 0.0, 1e-3, 2.0, 20.0, 90.0], np.float32)
    a = np.resize(ends, (len(ends), size))
    a[:, 0] = ends

    def of_jax(a):
        return jax.nn.softplus(a).sum(axis=-1)

    @functools.partial(jax.jit, static_argnums=0)
    def evaluate(softplus_sum, a):
        def slope(a):
            return jax.grad(lambda a: softplus_sum(a).sum())(a)

        tangents = (jnp.ones_like(a),)
        first, second = jax.jvp(slope, (a,), tangents)
        return softplus_sum(a), first, second, jax.jvp(softplus_sum, (a,), tangents)[1]

    ours, theirs = evaluate(decoders._softplus_sum, a), evaluate(of_jax, a)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        # To the rounding of a sum of `size` numbers.
        np.testing.assert_allclose(of_ours, of_theirs, rtol=4e-7, atol=6e-8 * size)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "columns"])
def test_samples_have_the_law_of_the_log_prob(kind):
    decoder, params = make("gaussian" if kind == "columns" else kind)
    if kind == "columns":
        decoder = dataclasses.replace(decoder, has_columns=True)
        params["log_tau"] = np.log(np.array([0.1, 0.5, 2.0], np.float32))
    z = np.tile(Z[:1], (6000, 1))

    @jax.jit
    def draw():
        """Samples and their mean, and d log p(x|z) / d params at each."""
        x = decoder.sample(jax.random.key(2), params, z)

        def total(params):
            return decoder.log_prob(params, x, z)

        _, tangent = jax.jvp(total, (params,), (jax.tree.map(jnp.ones_like, params),))
        return x, decoder.mean(params, Z[:1]), tangent

    x, mean, tangent = jax.device_get(draw())
    assert x.shape == (6000, 3) and x.dtype == z.dtype
    variance = (
        mean[0] * (1 - mean[0])
        if kind == "bernoulli"
        else np.exp(2 * params["log_tau"]) * np.ones(3)
    )
    assert_moments(x, mean, np.diag(variance))
    assert_mean(tangent, 0.0)  # its mean is 0 at the law of x itself


def test_gaussian_log_prob_is_the_density():
    decoder, params = make("gaussian")
    params["log_tau"] = np.log(np.float32(0.3))

    @jax.jit
    def evaluate():
        return decoder.log_prob(params, X, Z), decoder.mean(params, Z)

    log_prob, mean = jax.device_get(evaluate())
    np.testing.assert_allclose(log_prob, stats.norm(mean, 0.3).logpdf(X).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 0.4])
def test_the_linear_gaussian_decoder_is_factor_analysis(gamma):
    decoder, params = make("gaussian", features=())
    params["log_tau"] = np.log(np.float32(0.6))
    dense = params["network"]["params"]["Dense_0"]
    model = FactorAnalysis(dense["kernel"].T, dense["bias"], np.float32(0.6))

    @jax.jit
    def evaluate():
        def total(z):
            return decoders.log_joint(decoder, params, X, z, gamma).sum()

        likelihoods = decoder.log_prob(params, X, Z), model.log_likelihood(X, Z)
        return likelihoods, jax.grad(total)(Z), model.posterior(X, gamma)

    (log_prob, exact), score, (mean, cov) = jax.device_get(evaluate())
    np.testing.assert_allclose(log_prob, exact, rtol=1e-5)
    np.testing.assert_allclose(score, -(Z - mean) @ np.linalg.inv(cov), rtol=1e-4, atol=1e-5)


def test_the_prior_is_the_standard_normal():
    exact = stats.norm.logpdf(Z).sum(axis=1)
    np.testing.assert_allclose(jax.jit(decoders.log_prior)(Z), exact, rtol=1e-6)


def test_make_takes_the_activation_by_name():
    assert decoders.make("bernoulli", 4, (8, 8), "softplus").network.activation is jax.nn.softplus


def test_make_refuses_unknown_names():
    with pytest.raises(InputError, match="decoder is 'student': choose one of bernoulli, gaussian"):
        decoders.make("student", 4)
    with pytest.raises(InputError, match=r"activation is 'tan': .* \(nearest: tanh\)"):
        decoders.make("gaussian", 4, (8,), "tan")
