"""Weighted proposals: what is chosen among them, and what is learned from all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from linear_model import DECODER, ENCODER, MODEL, X, decoder_params

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent import chains, decoders, e_steps, em, proposals
from diffenc.latent.e_steps import PosteriorSample
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import Frame


def log_density(gamma):
    return lambda x, z: decoders.log_joint(DECODER, decoder_params(MODEL), x, z, gamma)


@pytest.mark.parametrize("proposal, count", [("gaussian", 300), ("prior", 1000)])
def test_importance_resampling_draws_from_the_posterior(proposal, count):
    """Many proposals from a Gaussian that is somewhat off: the bias is O(1/proposals), below the
    standard error."""
    x, (mean, cov) = jnp.tile(X, (3000, 1)), MODEL.posterior(X)
    factor = 1.3 * jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
    wide = Frame(jnp.tile(mean + 0.1, (3000, 1)), factor)

    @jax.jit
    def draw():
        z, log_q = proposals.propose(jax.random.key(0), wide, proposal, count)
        weighted = proposals.weigh(log_density(1.0), x, z, log_q)
        return e_steps.resample(jax.random.key(1), log_density(1.0), x, wide, weighted)

    sample = draw()
    assert_moments(sample.z, mean, cov)
    gradient = jnp.einsum("bij,bi->bj", factor, -(sample.z - mean) @ jnp.linalg.inv(cov))
    np.testing.assert_allclose(sample.gradient, gradient, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        sample.z, wide.mean + jnp.einsum("bij,bj->bi", factor, sample.y), rtol=1e-4, atol=1e-5
    )
    share = proposals.effective_share(sample.proposals.log_weight).mean()
    assert (0.5 if proposal == "gaussian" else 0.02) < share < 1


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_the_width_of_the_proposals_does_not_move_what_is_chosen(width):
    """The encoder's Gaussian made the exact posterior: of proposals as wide as this all weights are
    equal."""
    x, (mean, cov) = jnp.tile(X, (3000, 1)), MODEL.posterior(X)
    params = {
        "encoder": jax.jit(ENCODER.init)(jax.random.key(0), X),
        "decoder": decoder_params(MODEL),
    }

    class Exact(DiffusionEncoder):
        def gaussian(self, context):
            factor = jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
            return Frame(jnp.tile(mean, (3000, 1)), factor)

    def draw():
        settings = em.Settings(e_step="importance", proposals=100, proposal_width=width)
        state = chains.ChainState.create(settings)
        return em.e_step(
            jax.random.key(1), Exact(ENCODER.network), DECODER, params, state, x, x, settings
        )

    outcome = jax.jit(draw)()
    assert_moments(outcome.sample.z, mean, cov)
    spread = outcome.sample.proposals.z.std(axis=(0, 1)) / jnp.sqrt(jnp.diagonal(cov))
    np.testing.assert_allclose(
        spread, width, rtol=4 * 0.0013
    )  # of 300,000 draws: four standard errors
    assert (outcome.acceptance > 0.999) == (width == 1.0)  # the effective share of the proposals


def weighted_proposals(num_examples, num_proposals=5):
    keys = jax.random.split(jax.random.key(0), 3)
    z, gradient = (jax.random.normal(key, (num_proposals, num_examples, 2)) for key in keys[:2])
    log_weight = jax.nn.log_softmax(
        jax.random.normal(keys[2], (num_proposals, num_examples)), axis=0
    )
    return Proposals(z, log_weight, gradient)


@pytest.mark.parametrize("log_snr", [-2.0, 0.0, 2.0])
def test_smoothed_targets_are_those_of_the_choice_with_less_variance(log_snr):
    n = 4000
    found = jax.tree.map(lambda a: jnp.repeat(a, n, axis=1), weighted_proposals(1))
    alpha, sigma = (jnp.full((n, 1), a) for a in alpha_sigma(jnp.float32(log_snr)))
    choice = jax.random.categorical(jax.random.key(1), found.log_weight, axis=0)
    y, gradient = (
        jnp.take_along_axis(a, choice[None, :, None], axis=0)[0] for a in (found.z, found.gradient)
    )
    eps = jax.random.normal(jax.random.key(2), y.shape)
    y_t = alpha * y + sigma * eps
    smooth_targets = jax.jit(proposals.smoothed)(found, y_t[:, None], alpha, sigma)
    for single, smooth in zip((y, eps, gradient), smooth_targets, strict=True):
        error = single - smooth[:, 0]
        for feature in (jnp.ones_like(y_t), y_t, y_t**2, jnp.sin(3 * y_t)):  # one conditional mean
            assert_mean(error * feature, 0.0)
        assert np.all(single.var(axis=0) > 1.01 * smooth[:, 0].var(axis=0))


def test_the_m_step_averages_over_the_choice_among_the_proposals():
    x = MODEL.sample(jax.random.key(1), 6)[0]
    weighted = weighted_proposals(6)
    params = decoder_params(MODEL)

    def loss(params, sample):
        return em.m_step_loss(DECODER, params, x, sample)

    def of_choice(k):  # every example takes its k-th proposal, as often as its weight says
        def of_example(x, z, weight):
            chosen = PosteriorSample(z[None], None, None, None)
            return weight * em.m_step_loss(DECODER, params, x[None], chosen)

        return jax.vmap(of_example)(x, weighted.z[k], jnp.exp(weighted.log_weight[k])).mean()

    averaged = jax.jit(loss)(params, PosteriorSample(weighted.z[0], None, None, None, weighted))
    np.testing.assert_allclose(
        averaged, sum(jax.jit(of_choice, static_argnums=0)(k) for k in range(5)), rtol=1e-5
    )
