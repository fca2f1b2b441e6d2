"""Weighted proposals: what is chosen among them, and what is learned from all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from linear_model import DECODER, ENCODER, MODEL, X, decoder_params
from scipy.special import log_softmax

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
    x = np.tile(X, (3000, 1))

    @jax.jit
    def draw():
        mean, cov = MODEL.posterior(X)
        factor = 1.3 * jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
        wide = Frame(jnp.tile(mean + 0.1, (3000, 1)), factor)
        z, log_q = proposals.propose(jax.random.key(0), wide, proposal, count)
        weighted = proposals.weigh(log_density(1.0), x, z, log_q)
        sample = e_steps.resample(jax.random.key(1), log_density(1.0), x, wide, weighted)
        share = proposals.effective_share(sample.proposals.log_weight).mean()
        return (mean, cov), wide, (sample.z, sample.y, sample.gradient), share

    (mean, cov), wide, (z, y, gradient), share = jax.device_get(draw())
    assert_moments(z, mean, cov)
    expected = np.einsum("bij,bi->bj", wide.factor, -(z - mean) @ np.linalg.inv(cov))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        z, wide.mean + np.einsum("bij,bj->bi", wide.factor, y), rtol=1e-4, atol=1e-5
    )
    assert (0.5 if proposal == "gaussian" else 0.02) < share < 1


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_the_width_of_the_proposals_does_not_move_what_is_chosen(width):
    """The encoder's Gaussian made the exact posterior: of proposals as wide as this all weights are
    equal."""
    x = np.tile(X, (3000, 1))

    class Exact(DiffusionEncoder):
        def gaussian(self, context):
            mean, cov = MODEL.posterior(X)
            factor = jnp.tile(jnp.linalg.cholesky(cov), (3000, 1, 1))
            return Frame(jnp.tile(mean, (3000, 1)), factor)

    params = {"encoder": ENCODER.init(jax.random.key(0), X), "decoder": decoder_params(MODEL)}

    @jax.jit
    def draw(params):
        settings = em.Settings(e_step="importance", proposals=100, proposal_width=width)
        state = chains.ChainState.create(settings)
        encoder = Exact(ENCODER.network)
        outcome = em.e_step(jax.random.key(1), encoder, DECODER, params, state, x, x, settings)
        mean, cov = MODEL.posterior(X)
        spread = outcome.sample.proposals.z.std(axis=(0, 1)) / jnp.sqrt(jnp.diagonal(cov))
        return outcome.sample.z, outcome.acceptance, spread, (mean, cov)

    z, acceptance, spread, posterior = jax.device_get(draw(params))
    assert_moments(z, *posterior)
    np.testing.assert_allclose(
        spread, width, rtol=4 * 0.0013
    )  # of 300,000 draws: four standard errors
    assert (acceptance > 0.999) == (width == 1.0)  # the effective share of the proposals


def weighted_proposals(num_examples, num_proposals=5):
    rng = np.random.default_rng(0)
    z, gradient = rng.normal(size=(2, num_proposals, num_examples, 2)).astype(np.float32)
    log_weight = rng.normal(size=(num_proposals, num_examples))
    return Proposals(z, log_softmax(log_weight, axis=0).astype(np.float32), gradient)


@jax.jit
def draw_targets(log_snr):
    """y_t, and of the choice and smoothed: y, eps and the gradient."""
    n = 4000
    found = jax.tree.map(lambda a: jnp.repeat(a, n, axis=1), weighted_proposals(1))
    alpha, sigma = [jnp.full((n, 1), a) for a in alpha_sigma(log_snr)]
    choice = jax.random.categorical(jax.random.key(1), found.log_weight, axis=0)
    y, gradient = [
        jnp.take_along_axis(a, choice[None, :, None], axis=0)[0] for a in (found.z, found.gradient)
    ]
    eps = jax.random.normal(jax.random.key(2), y.shape)
    y_t = alpha * y + sigma * eps
    smooth = proposals.smoothed(found, y_t[:, None], alpha, sigma)
    return y_t, (y, eps, gradient), smooth


@pytest.mark.parametrize("log_snr", [-2.0, 0.0, 2.0])
def test_smoothed_targets_are_those_of_the_choice_with_less_variance(log_snr):
    y_t, singles, smooth_targets = jax.device_get(draw_targets(np.float32(log_snr)))
    for single, smooth in zip(singles, smooth_targets, strict=True):
        error = single - smooth[:, 0]
        for feature in (np.ones_like(y_t), y_t, y_t**2, np.sin(3 * y_t)):  # one conditional mean
            assert_mean(error * feature, 0.0)
        assert np.all(single.var(axis=0) > 1.01 * smooth[:, 0].var(axis=0))


def test_the_m_step_averages_over_the_choice_among_the_proposals():
    x = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    weighted = weighted_proposals(6)
    params = decoder_params(MODEL)

    def loss(params, sample):
        return em.m_step_loss(DECODER, params, x, sample)

    def of_choice(k):  # every example takes its k-th proposal, as often as its weight says
        def of_example(x, z, weight):
            chosen = PosteriorSample(z[None], None, None, None)
            return weight * em.m_step_loss(DECODER, params, x[None], chosen)

        return jax.vmap(of_example)(x, weighted.z[k], np.exp(weighted.log_weight[k])).mean()

    @jax.jit
    def both():
        sample = PosteriorSample(weighted.z[0], None, None, None, weighted)
        return loss(params, sample), sum(of_choice(k) for k in range(5))

    averaged, by_choice = both()
    np.testing.assert_allclose(averaged, by_choice, rtol=1e-5)
