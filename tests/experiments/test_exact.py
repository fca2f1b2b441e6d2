"""Encoders against exact posteriors on a grid: the linear Gaussian decoder, whose posterior has a
closed form."""

import jax
import jax.numpy as jnp
import numpy as np
from checks import NUM_SIGMAS

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import gaussian_kl
from diffenc.estimate import Estimate
from diffenc.latent import decoders, e_steps, held_out, posterior_grid, proposals, systems
from diffenc.latent.baselines import GaussianEncoder
from diffenc.networks import MLP

MODEL = FactorAnalysis(
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]),
    jnp.array([0.1, 0.0, -0.2]),
    jnp.array(0.6),
)
DECODER = decoders.make("gaussian", 3)
DENSE = {"kernel": MODEL.weight.T, "bias": MODEL.mean}
PARAMS = {"network": {"params": {"Dense_0": DENSE}}, "log_tau": jnp.log(MODEL.noise_std)}


def test_the_divergence_on_the_grid_is_that_of_two_gaussians():
    """An encoder N(m, diag w^2) whatever x is, against the exact posterior of 100 examples."""
    mean, width = jnp.array([0.3, -0.2]), jnp.array([0.8, 1.1])
    encoder = GaussianEncoder(MLP((), 4))
    bias = jnp.concatenate([mean, jnp.log(width)])
    params = {
        "encoder": {"params": {"Dense_0": {"kernel": jnp.zeros((3, 4)), "bias": bias}}},
        "decoder": PARAMS,
    }
    system = systems.System(encoder, DECODER, state=None, update=None, sampler_steps=1)
    x = MODEL.sample(jax.random.key(0), 100)[0]
    grid = posterior_grid.Grid(2, 6.0, 150)
    kl, nll = held_out.on_grid(jax.random.key(1), system, params, x, grid, 1, num_draws=400)

    exact_mean, cov = MODEL.posterior(x)
    cov1 = jnp.diag(width**2)
    exact = jax.vmap(lambda m: gaussian_kl(m, cov, mean, cov1))(exact_mean)
    error = Estimate.of(kl - exact)
    assert abs(error.mean) < NUM_SIGMAS * error.stderr and error.stderr < 0.01 * exact.mean()
    np.testing.assert_allclose(nll, -MODEL.log_prob(x), atol=1e-4)


def test_shared_proposals_are_weighted_for_each_example():
    """Mean and covariance under the weights of 20,000 shared draws are those of the exact
    posteriors."""
    x, count = MODEL.sample(jax.random.key(0), 5)[0], 20_000

    def pairs(z):
        return decoders.log_prob_pairs(DECODER, PARAMS, x, z)

    found = proposals.share(jax.random.key(1), pairs, 2, count)
    z, weight = found.z[:, 0], jnp.exp(found.log_weight)
    mean, cov = MODEL.posterior(x)
    error = z[:, None] - mean[None]
    stderr = jnp.sqrt(jnp.einsum("kb,kbi->bi", weight**2, error**2))  # of a weighted mean
    assert np.all(np.abs(weight.T @ z - mean) < NUM_SIGMAS * stderr)
    assert stderr.max() < 0.05
    square = error[..., :, None] * error[..., None, :]
    spread = jnp.sqrt(jnp.einsum("kb,kbij->bij", weight**2, (square - cov[None, None]) ** 2))
    moments = jnp.einsum("kb,kbij->bij", weight, square)
    assert np.all(np.abs(moments - cov[None]) < NUM_SIGMAS * spread) and spread.max() < 0.05

    gradient = e_steps.slopes(pairs, z[:3])
    for k in range(3):
        single = jax.grad(lambda rows: decoders.log_joint(DECODER, PARAMS, x, rows).sum())(
            jnp.tile(z[k : k + 1], (5, 1))
        )
        np.testing.assert_allclose(gradient[k], single, rtol=1e-4, atol=1e-4)


def test_pairs_are_the_log_probabilities_of_each_example_and_latent():
    z = jax.random.normal(jax.random.key(0), (4, 2))
    for kind in ("bernoulli", "gaussian"):
        decoder = decoders.make(kind, 3, (8,))
        params = decoder.init(jax.random.key(1), 2)
        x = jax.random.bernoulli(jax.random.key(2), 0.5, (5, 3)).astype(float)
        pairs = decoders.log_prob_pairs(decoder, params, x, z)
        for k in range(4):
            single = decoder.log_prob(params, x, jnp.tile(z[k : k + 1], (5, 1)))
            np.testing.assert_allclose(pairs[k], single, rtol=1e-5, atol=1e-5)
