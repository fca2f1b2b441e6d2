"""Markov chains that reach exact posteriors, and starts that no posterior draw would be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from linear_model import DECODER, MODEL, X, decoder_params

from diffenc.latent import chains, decoders, em
from diffenc.latent.whitening import Frame

PARAMS = decoder_params(MODEL)  # DECODER is MODEL with them
# The coordinates that chains run in.
MEAN = np.array([0.3, -0.2], np.float32)
FACTOR = np.array([[0.6, 0.0], [0.2, 0.4]], np.float32)
NUM_CHAINS = 3000
START = np.random.default_rng(0).normal(size=(NUM_CHAINS, 2)).astype(np.float32)


def log_density(gamma):
    return lambda x, z: decoders.log_joint(DECODER, PARAMS, x, z, gamma)


posterior = jax.jit(MODEL.posterior)


@functools.partial(jax.jit, static_argnames=("settings", "num_steps"))
def run_chains(key, z, state, settings, num_steps):
    """Chains of independent starts z, all for X, in coordinates that are somewhat off the
    posterior's."""
    x = jnp.tile(X, (len(z), 1))
    frame = Frame(jnp.tile(MEAN, (len(z), 1)), jnp.tile(FACTOR, (len(z), 1, 1)))
    y = jnp.linalg.solve(FACTOR, (z - MEAN[None]).T).T
    target = log_density(settings.gamma)
    start = chains.look(target, x, frame, y)
    return chains.run_chains(key, target, x, start, frame, state, settings, num_steps)


@pytest.mark.parametrize("kernel, gamma", [("mala", 1.0), ("hmc", 0.5)])
def test_chains_reach_the_posterior_and_their_best_acceptance(kernel, gamma):
    settings = em.Settings(kernel=kernel, gamma=gamma, step_size=1.0)
    start = chains.ChainState.create(settings)
    burnt = run_chains(jax.random.key(1), START, start, settings, 80)
    chain = run_chains(jax.random.key(2), burnt.z, burnt.state, settings, 80)
    burnt, chain, (mean, cov) = jax.device_get((burnt, chain, posterior(X, gamma)))
    assert_moments(chain.z, mean, cov)
    assert_mean((chain.z - mean) ** 4, 3 * np.diag(cov) ** 2)
    np.testing.assert_allclose(chain.z, MEAN[None] + chain.y @ FACTOR.T, rtol=1e-4, atol=1e-5)
    gradient = -(chain.z - mean) @ np.linalg.inv(cov) @ FACTOR
    np.testing.assert_allclose(chain.gradient, gradient, rtol=1e-3, atol=1e-3)
    assert abs(chain.acceptance - chains.KERNELS[kernel]) < 0.03
    assert chain.state.log_step != burnt.state.log_step


def test_unadjusted_chains_have_the_law_of_their_recursion():
    """y <- (1 - h P)(y - m) + m + sqrt(2 h) xi in their coordinates: mean and covariance after n
    steps, exactly."""
    settings = em.Settings(kernel="ula", step_size=0.2)
    start = chains.ChainState.create(settings)
    chain = jax.device_get(run_chains(jax.random.key(1), START, start, settings, 12))
    mean, cov = [np.asarray(a, np.float64) for a in posterior(X, 1.0)]
    scale = np.asarray(FACTOR, np.float64)
    contraction = np.eye(2) - 0.2 * scale.T @ np.linalg.inv(cov) @ scale
    offset = np.linalg.solve(scale, -mean[0])
    spread = np.linalg.inv(scale) @ np.linalg.inv(scale).T
    for _ in range(12):
        offset, spread = (
            contraction @ offset,
            contraction @ spread @ contraction.T + 2 * 0.2 * np.eye(2),
        )
    assert_moments(chain.z, mean + scale @ offset, scale @ spread @ scale.T)
    assert chain.state.log_step == float(start.log_step)


def test_a_start_that_no_posterior_would_draw_is_lost():
    x = np.tile(X, (NUM_CHAINS, 1))
    mean, cov = jax.device_get(posterior(X, 1.0))
    factor = np.tile(np.linalg.cholesky(cov), (NUM_CHAINS, 1, 1))
    frame = Frame(np.tile(mean, (NUM_CHAINS, 1)), factor)
    at_mean = log_density(1.0)(x, frame.mean)

    @jax.jit
    def is_lost(y):
        return chains.is_lost(at_mean, chains.look(log_density(1.0), x, frame, y))

    def lost(y):
        return np.asarray(is_lost(y.astype(np.float32)))

    assert not lost(START).any()
    direction = START / np.linalg.norm(START, axis=1, keepdims=True)
    # 14 nats below the mode are allowed: 5.2 widths are 13.5 nats, 5.4 widths are 14.6.
    assert not lost(5.2 * direction).any()
    assert lost(5.4 * direction).all()
    assert lost(START * np.nan).all()


def test_a_latent_that_no_prior_would_draw_is_far_out():
    """4 d + 20 is 28 for two dimensions: 5.29 in length."""
    assert not np.asarray(jax.jit(chains.is_far)(START)).any()
    direction = START / np.linalg.norm(START, axis=1, keepdims=True)
    assert not np.asarray(jax.jit(chains.is_far)(5.2 * direction)).any()
    assert np.asarray(jax.jit(chains.is_far)(5.4 * direction)).all()
    assert np.asarray(jax.jit(chains.is_far)(START * np.nan)).all()
