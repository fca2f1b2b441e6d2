"""Encoders against exact posteriors on a grid: the linear Gaussian decoder, whose posterior has a
closed form."""

import functools

import jax
import numpy as np
from checks import NUM_SIGMAS

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import gaussian_kl
from diffenc.estimate import Estimate
from diffenc.latent import decoders, e_steps, held_out, posterior_grid, proposals, systems
from diffenc.latent.baseline_encoders import GaussianEncoder
from diffenc.networks import MLP

MODEL = FactorAnalysis(
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
)
DECODER = decoders.make("gaussian", 3)
DENSE = {"kernel": MODEL.weight.T, "bias": MODEL.mean}
PARAMS = {"network": {"params": {"Dense_0": DENSE}}, "log_tau": np.log(MODEL.noise_std)}


@functools.partial(jax.jit, static_argnums=0)
def draw(n):
    """n examples, and the means and the covariance of their exact posteriors."""
    x = MODEL.sample(jax.random.key(0), n)[0]
    return x, *MODEL.posterior(x)


def test_the_divergence_on_the_grid_is_that_of_two_gaussians():
    """An encoder N(m, diag w^2) whatever x is, against the exact posterior of 100 examples."""
    mean, width = np.array([0.3, -0.2], np.float32), np.array([0.8, 1.1], np.float32)
    encoder = GaussianEncoder(MLP((), 4))
    bias = np.concatenate([mean, np.log(width)])
    params = {
        "encoder": {"params": {"Dense_0": {"kernel": np.zeros((3, 4), np.float32), "bias": bias}}},
        "decoder": PARAMS,
    }
    system = systems.System(encoder, DECODER, state=None, update=None, sampler_steps=1)
    x, exact_mean, cov = draw(100)
    grid = posterior_grid.Grid(2, 6.0, 150)
    kl, nll = held_out.on_grid(jax.random.key(1), system, params, x, grid, 1, num_draws=400)

    divergence = jax.jit(jax.vmap(gaussian_kl, in_axes=(0, None, None, None)))
    exact = np.asarray(divergence(exact_mean, cov, mean, np.diag(width**2)))
    error = Estimate.of(kl - exact)
    assert abs(error.mean) < NUM_SIGMAS * error.stderr and error.stderr < 0.01 * exact.mean()
    np.testing.assert_allclose(nll, -np.asarray(jax.jit(MODEL.log_prob)(x)), atol=1e-4)


def test_shared_proposals_are_weighted_for_each_example():
    """Mean and covariance under the weights of 20,000 shared draws are those of the exact
    posteriors."""
    x, mean, cov = draw(5)
    mean, cov = np.asarray(mean), np.asarray(cov)

    def pairs(z):
        return decoders.log_prob_pairs(DECODER, PARAMS, x, z)

    found = jax.jit(lambda key: proposals.share(key, pairs, 2, 20_000))(jax.random.key(1))
    z, weight = np.asarray(found.z[:, 0]), np.exp(np.asarray(found.log_weight))
    error = z[:, None] - mean[None]
    stderr = np.sqrt(np.einsum("kb,kbi->bi", weight**2, error**2))  # of a weighted mean
    assert np.all(np.abs(weight.T @ z - mean) < NUM_SIGMAS * stderr)
    assert stderr.max() < 0.05
    square = error[..., :, None] * error[..., None, :]
    spread = np.sqrt(np.einsum("kb,kbij->bij", weight**2, (square - cov[None, None]) ** 2))
    moments = np.einsum("kb,kbij->bij", weight, square)
    assert np.all(np.abs(moments - cov[None]) < NUM_SIGMAS * spread) and spread.max() < 0.05

    def joint(z):  # of every example with a latent of its own
        return decoders.log_joint(DECODER, PARAMS, x, z).sum()

    gradient = jax.jit(lambda z: e_steps.slopes(pairs, z))(z[:3])
    single = jax.jit(jax.grad(joint))
    for k in range(3):
        np.testing.assert_allclose(
            gradient[k], single(np.tile(z[k : k + 1], (5, 1))), rtol=1e-4, atol=1e-4
        )


def test_pairs_are_the_log_probabilities_of_each_example_and_latent():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4, 2)).astype(np.float32)
    x = rng.integers(0, 2, size=(5, 3)).astype(np.float32)
    for kind in ("bernoulli", "gaussian"):
        decoder = decoders.make(kind, 3, (8,))
        params = decoder.init(jax.random.key(1), 2)
        pairs = jax.jit(functools.partial(decoders.log_prob_pairs, decoder))(params, x, z)
        log_prob = jax.jit(decoder.log_prob)
        for k in range(4):
            single = log_prob(params, x, np.tile(z[k : k + 1], (5, 1)))
            np.testing.assert_allclose(pairs[k], single, rtol=1e-5, atol=1e-5)
