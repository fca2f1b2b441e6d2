"""What is measured of a system with a diffusion decoder, against closed forms of a linear one and
against the direct computation."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from exact_decoder import EXACT, MIX, NOISE

from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.estimate import map_examples
from diffenc.latent import bounds, decoders, held_out, latent_use, noisy_terms, whitening
from diffenc.latent.baseline_encoders import DeterministicEncoder, GaussianEncoder
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.systems import System
from diffenc.networks import MLP, ConditionalDenoiser

PRECISION = np.eye(2) + MIX.T @ MIX / NOISE**2
POSTERIOR = np.linalg.inv(PRECISION).astype(np.float32)


class Tempered:
    """N(posterior mean + offset, stretch^2 posterior covariance) of the exact decoder."""

    def __init__(self, offset, stretch):
        self.offset, self.stretch = offset, stretch

    def infer(self, params, x):
        mean = x @ MIX @ POSTERIOR / np.float32(NOISE**2) + np.float32(self.offset)
        return mean, self.stretch**2 * POSTERIOR

    def sample_and_log_prob(self, key, params, context, num_steps):
        mean, cov = context
        noise = Gaussian(jnp.zeros(2), cov)
        z = noise.sample(key, len(mean))
        return mean + z, noise.log_prob(z)


@functools.cache
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 2))
    return np.float32(z @ MIX.T + NOISE * rng.normal(size=(3000, 3)))


@pytest.mark.parametrize("offset, stretch", [(0.0, 1.0), (0.2, 1.3)])
def test_the_elbo_of_the_exact_velocity_is_above_by_the_divergence(offset, stretch):
    """-log p(x) + KL(q || p(z|x)); its parts are a Gaussian's rate and distortion."""
    x = data()
    encoder = Tempered(offset, stretch)

    @jax.jit
    def evaluate():
        estimate = bounds.elbo(jax.random.key(0), encoder, EXACT, {"decoder": {}}, x, 4, 1)
        marginal = Gaussian(jnp.zeros(3), MIX @ MIX.T + NOISE**2 * np.eye(3, dtype=np.float32))
        mean, cov = encoder.infer(None, x)
        divergence = gaussian_kl(
            jnp.full(2, np.float32(offset)), cov, jnp.zeros(2), jnp.asarray(POSTERIOR)
        )
        return estimate, -marginal.log_prob(x), mean, cov, divergence

    estimate, nll, mean, cov, divergence = jax.device_get(evaluate())
    assert_mean(estimate.rate + estimate.distortion - nll, divergence)
    square = np.sum(mean**2, axis=1)
    rate = 0.5 * (np.trace(cov) + square - 2 - np.linalg.slogdet(cov)[1])
    assert_mean(estimate.rate - rate, 0.0)
    error = x - mean @ MIX.T
    expected = np.sum(error**2, axis=1) + np.trace(MIX @ cov @ MIX.T)
    distortion = expected / (2 * NOISE**2) + 1.5 * np.log(2 * np.pi * NOISE**2)
    assert_mean(estimate.distortion - distortion, 0.0)


def test_the_scatter_gives_the_error_of_the_mean_over_draws():
    """scatter / sqrt(draws - 1), of many examples that are one."""
    x = np.tile(data()[:1], (2000, 1))

    @jax.jit
    def evaluate():
        return bounds.elbo(jax.random.key(1), Tempered(0.1, 1.2), EXACT, {"decoder": {}}, x, 8, 1)

    estimate = jax.device_get(evaluate())
    total = np.float64(estimate.rate + estimate.distortion)
    squares = np.float64(estimate.scatter) ** 2 / 7
    deviations = (total - total.mean()) ** 2 * 2000 / 1999
    assert_mean(squares - deviations, 0.0, scale=squares.mean())


def test_a_decoder_that_sees_no_latent_pays_no_rate():
    """Its bound is its loss alone, and so is the scatter, whatever an encoder would pay."""
    x = data()[:20]
    blind = dataclasses.replace(EXACT, is_blind=True)

    @jax.jit
    def evaluate():
        encoders = (Tempered(0.0, 1.2), Tempered(2.0, 1.0))
        key = jax.random.key(1)
        return [bounds.elbo(key, one, blind, {"decoder": {}}, x, 8, 1) for one in encoders]

    with jax.debug_key_reuse(False):  # both have the same noise
        near, far = jax.device_get(evaluate())
    np.testing.assert_array_equal(near.rate, 0)
    jax.tree.map(np.testing.assert_array_equal, near, far)


def test_the_parts_of_a_distortion_add_up_and_need_no_density():
    x = data()
    params = make_params(DETERMINISTIC, {})

    @jax.jit
    def evaluate():
        estimate = bounds.elbo(jax.random.key(1), DETERMINISTIC, EXACT, params, x, 2, 1)
        return estimate, DETERMINISTIC.infer(params, x)

    estimate, z = jax.device_get(evaluate())
    assert estimate.rate is None
    parts = estimate.parts
    total = parts.prior + parts.below + parts.above + parts.reconstruction
    np.testing.assert_allclose(estimate.distortion, total, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(parts.above, 0)
    error = (x - z @ MIX.T) / NOISE
    truth = 0.5 * np.sum(error**2, axis=1) + 1.5 * np.log(2 * np.pi * NOISE**2)
    assert_mean(estimate.distortion - truth, 0.0)


LINEAR = decoders.make("gaussian", 3)
DENSE = {"kernel": MIX.T, "bias": np.zeros(3, np.float32)}
OF_LINEAR = {"network": {"params": {"Dense_0": DENSE}}, "log_tau": np.log(np.float32(NOISE))}


def test_for_an_exact_decoder_both_estimators_agree():
    """Of different draws, on average."""
    x = data()
    encoder = Tempered(0.2, 1.3)
    params = {"decoder": OF_LINEAR}

    @jax.jit
    def evaluate():
        elbo = bounds.elbo(jax.random.key(2), encoder, LINEAR, params, x, 4, 1)
        return elbo, bounds.terms(jax.random.key(3), encoder, LINEAR, params, x, 4, 1)

    elbo, terms = jax.device_get(evaluate())
    assert_mean(elbo.rate - terms.rate, 0.0)
    assert_mean(elbo.distortion - terms.distortion, 0.0)


def test_the_exact_diffusion_is_measured_as_the_decoder_that_it_is():
    """Its draws of x and their means are those of a linear Gaussian decoder."""
    z = np.tile(np.array([[0.5, -0.3]], np.float32), (3000, 1))
    system = make_system(GAUSSIAN)
    draws = noisy_terms.reconstructions(jax.random.key(1), system, {"decoder": {}}, z, 3000)
    assert_moments(draws, MIX @ z[0], NOISE**2 * np.eye(3))
    # x is linear in its noise here, so pairs of opposite noise leave the error of the steps alone.
    means = noisy_terms.means(system, {"decoder": {}}, z[:5], 3)
    np.testing.assert_allclose(means, z[:5] @ MIX.T, rtol=EXACT.sampler_steps**-2.0)
    again = noisy_terms.reconstructions(jax.random.key(1), system, {"decoder": {}}, z[:9], 4)
    np.testing.assert_allclose(again, draws[:9], atol=1e-4)


GAUSSIAN = GaussianEncoder(MLP((4,), 4))
DIFFUSING = DiffusionEncoder(ConditionalDenoiser(2, (4,), (4,)))
DETERMINISTIC = DeterministicEncoder(MLP((4,), 2))


def make_system(encoder, decoder=EXACT):
    return System(encoder, decoder, None, None, 2)


def make_params(encoder, decoder_params):
    params = jax.jit(lambda: encoder.init(jax.random.key(5), data()[:1]))()
    return {"encoder": params, "decoder": decoder_params}


def test_terms_are_those_of_the_direct_computation():
    """Of every example with its own key, whatever the batch."""
    x = data()[:5]
    params = make_params(GAUSSIAN, {})
    system = make_system(GAUSSIAN)
    estimate = held_out.map_bound(jax.random.key(0), bounds.elbo, system, params, x, 3, 2)

    @jax.jit
    def direct(key, x):
        with jax.default_matmul_precision("highest"):
            return bounds.elbo(key, GAUSSIAN, EXACT, params, x, 3, 2)

    expected = map_examples(direct, jax.random.key(0), x, 5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), estimate, expected
    )


@pytest.mark.parametrize("encoder", [GAUSSIAN, DIFFUSING, DETERMINISTIC])
def test_latents_are_draws_or_means_of_them(encoder):
    x = data()[:3]
    params = make_params(encoder, {})
    system = make_system(encoder)
    one = noisy_terms.latents(jax.random.key(0), system, params, x, 1, 2)
    mean = noisy_terms.latents(jax.random.key(0), system, params, x, 400, 3)
    context = jax.jit(encoder.infer)(params, x)
    if encoder is DETERMINISTIC:
        np.testing.assert_allclose(one, context, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(mean, context, rtol=1e-4, atol=1e-5)
        return
    centre, factor = jax.jit(encoder.gaussian)(context)
    deviation = jax.jit(whitening.solve)(factor, mean - centre)
    assert np.abs(deviation).max() < 4 / np.sqrt(400)  # an untrained diffusion is its Gaussian
    assert np.abs(one - mean).max() > 0.01


def test_the_flow_there_and_back_keeps_what_noise_holds():
    """x returns as E[x|x_high], whatever z: of the wrong latent, too."""
    x = data()[:6]
    z = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    system = make_system(GAUSSIAN)
    back = noisy_terms.round_trips(system, {"decoder": {}}, x, z, 4)
    np.testing.assert_allclose(back, x, atol=0.02)

    @jax.jit
    def direct():
        return EXACT.decode({}, z, EXACT.invert({}, z, x))

    np.testing.assert_allclose(back, direct(), rtol=1e-3, atol=1e-4)


def test_the_shuffle_rise_is_that_of_the_decoder():
    x = data()[:8]
    z = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    rise = noisy_terms.shuffle_rise(jax.random.key(0), make_system(GAUSSIAN), {"decoder": {}}, x, z)
    direct = jax.jit(lambda key: latent_use.shuffle_rise(key, EXACT, {}, x, z))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        rise,
        direct(jax.random.key(0)),
    )


def test_an_exact_decoder_decodes_to_its_mean():
    z = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    system = make_system(GAUSSIAN, LINEAR)
    params = {"decoder": OF_LINEAR}
    decoded = noisy_terms.reconstructions(jax.random.key(0), system, params, z, 4)
    np.testing.assert_allclose(decoded, z @ MIX.T, rtol=1e-4, atol=1e-5)


def test_an_untrained_learned_prior_is_its_null_gaussian():
    """N(0, I): the null branch starts without a residual, and its mean and factor are those of the
    prior."""
    x = data()[:4]
    z = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    params = make_params(DIFFUSING, {})
    log_q = noisy_terms.log_learned_prior(make_system(DIFFUSING), params, x, z, 3)
    np.testing.assert_allclose(log_q, decoders.log_prior(z), rtol=1e-4, atol=1e-4)
