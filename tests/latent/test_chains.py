"""Markov chains that reach exact posteriors, and starts that no posterior draw would be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.latent import chains, decoders, em
from diffenc.latent.whitening import Frame

MODEL = FactorAnalysis(
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]), jnp.array([0.1, 0.0, -0.2]), jnp.array(0.6)
)
X = jnp.array([[0.9, -1.4, 0.8]])
DECODER = decoders.make("gaussian", 3)
DENSE = {"kernel": MODEL.weight.T, "bias": MODEL.mean}
PARAMS = {
    "network": {"params": {"Dense_0": DENSE}},
    "log_tau": jnp.log(MODEL.noise_std),
}  # DECODER is MODEL with them
MEAN, FACTOR = (
    jnp.array([0.3, -0.2]),
    jnp.array([[0.6, 0.0], [0.2, 0.4]]),
)  # the coordinates that chains run in
NUM_CHAINS = 3000


def log_density(gamma):
    return lambda x, z: decoders.log_joint(DECODER, PARAMS, x, z, gamma)


@functools.partial(jax.jit, static_argnames=("settings", "num_steps"))
def run_chains(key, z, state, settings, num_steps):
    """Chains of independent starts z, all for X, in coordinates that are somewhat off the
    posterior's."""
    x = jnp.tile(X, (len(z), 1))
    frame = Frame(jnp.tile(MEAN, (len(z), 1)), jnp.tile(FACTOR, (len(z), 1, 1)))
    y = jnp.linalg.solve(FACTOR, (z - MEAN[None]).T).T
    return chains.run_chains(
        key, log_density(settings.gamma), x, y, frame, state, settings, num_steps
    )


@pytest.mark.parametrize("gamma", [1.0, 0.5])
@pytest.mark.parametrize("kernel", ["mala", "hmc"])
def test_chains_reach_the_posterior_and_their_best_acceptance(kernel, gamma):
    settings = em.Settings(kernel=kernel, gamma=gamma, step_size=1.0)
    key_start, key_burn, key_run = jax.random.split(jax.random.key(0), 3)
    burnt = run_chains(
        key_burn,
        jax.random.normal(key_start, (NUM_CHAINS, 2)),
        chains.ChainState.create(settings),
        settings,
        80,
    )
    chain = run_chains(key_run, burnt.z, burnt.state, settings, 80)
    mean, cov = MODEL.posterior(X, gamma)
    assert_moments(chain.z, mean, cov)
    assert_mean((chain.z - mean) ** 4, 3 * jnp.diag(cov) ** 2)
    np.testing.assert_allclose(chain.z, MEAN[None] + chain.y @ FACTOR.T, rtol=1e-4, atol=1e-5)
    gradient = -(chain.z - mean) @ jnp.linalg.inv(cov) @ FACTOR
    np.testing.assert_allclose(chain.gradient, gradient, rtol=1e-3, atol=1e-3)
    assert abs(chain.acceptance - chains.KERNELS[kernel]) < 0.03
    assert chain.state.log_step != burnt.state.log_step


def test_unadjusted_chains_have_the_law_of_their_recursion():
    """y <- (1 - h P)(y - m) + m + sqrt(2 h) xi in their coordinates: mean and covariance after n
    steps, exactly."""
    settings = em.Settings(kernel="ula", step_size=0.2)
    key_start, key_run = jax.random.split(jax.random.key(0))
    start = chains.ChainState.create(settings)
    chain = run_chains(key_run, jax.random.normal(key_start, (NUM_CHAINS, 2)), start, settings, 12)
    mean, cov = (np.asarray(a, np.float64) for a in MODEL.posterior(X))
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
    assert chain.state.log_step == start.log_step


def test_a_start_that_no_posterior_would_draw_is_lost():
    x = jnp.tile(X, (NUM_CHAINS, 1))
    mean, cov = MODEL.posterior(X)
    factor = jnp.tile(jnp.linalg.cholesky(cov), (NUM_CHAINS, 1, 1))
    frame = Frame(jnp.tile(mean, (NUM_CHAINS, 1)), factor)
    y = jax.random.normal(jax.random.key(0), (NUM_CHAINS, 2))
    lost = jax.jit(functools.partial(chains.is_lost, log_density(1.0)))
    assert not lost(x, frame, y).any()
    direction = y / jnp.linalg.norm(y, axis=1, keepdims=True)
    # 14 nats below the mode are allowed: 5.2 widths are 13.5 nats, 5.4 widths are 14.6.
    assert not lost(x, frame, 5.2 * direction).any()
    assert lost(x, frame, 5.4 * direction).all()
    assert lost(x, frame, y * jnp.nan).all()
