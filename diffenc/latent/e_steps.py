"""E-steps: posterior samples z ~ q*(z|x) for a batch, by chains, by proposals, or by the encoder.

    q*(z|x) ~ p(z) p(x|z)^(1/gamma)

`settings` is an `em.Settings` throughout. No gradient flows through any of this.

Shapes: x [batch, ...], z, y and gradients [batch, d].
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent import bottleneck, encoder_flow, proposals
from diffenc.latent.chains import ChainState, Place, is_far, is_lost, look, run_chains
from diffenc.latent.decoders import log_joint, log_prob_pairs
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import Frame, apply, pull, solve

E_STEPS = ("langevin", "importance", "persistent", "encoder")


class PosteriorSample(NamedTuple):
    """One z ~ q*(z|x) for each x: what the losses of encoder and decoder are made of.

    Attributes:
        z: the samples [batch, d].
        frame: a Gaussian for each x, whose coordinates are z = mean + factor y.
        y: the samples in those coordinates [batch, d].
        gradient: grad_y log q*(z|x) at the samples [batch, d]; None for the samples of "encoder",
            at which the M-step's own gradient gives it (`em.m_step`).
        proposals: all the weighted proposals, if z is one of them.
    """

    z: jax.Array
    frame: Frame
    y: jax.Array
    gradient: jax.Array | None = None
    proposals: Proposals | None = None


class Outcome(NamedTuple):
    """What an E-step returns.

    Attributes:
        sample: the posterior samples.
        acceptance: the mean acceptance of the chains, the effective share of the proposals, or the
            share of the encoder's samples that are not replaced.
        carried: the state of the chains for the next E-step.
    """

    sample: PosteriorSample
    acceptance: jax.Array
    carried: ChainState


def e_step(
    key,
    encoder: DiffusionEncoder,
    decoder,
    params,
    carried: ChainState,
    x,
    observation,
    settings,
    index=None,
) -> Outcome:
    """Sample the posterior of each x, in the way that settings.e_step names.

    langevin     Markov chains that start at samples of the encoder.
    persistent   Markov chains that start where the last chain of the same example ended. Bits that
                 are drawn anew at each visit change the posterior that such a chain follows.
    importance   One of `proposals` draws, chosen by weight (sampling importance resampling, Rubin
                 1987). The draws come from the encoder's Gaussian fit, whose factor is multiplied
                 by proposal_width, or from the prior. The prior reaches every mode, also those that
                 a chain cannot reach, but it needs few dimensions. It is drawn for each example
                 ("prior") or once for the whole batch ("shared", see `proposals.share`).

    encoder      The encoder's own samples, as they are. The gradient of the posterior there, which
                 the "pressure" and "mixture" targets hold, is then all that moves the encoder.
                 Where gamma is small it holds `bottleneck.aggregate_slope`, too.

    Chains whose start is lost (see `chains.is_lost`) start at the Gaussian's mean instead. A sample
    of "encoder" that is far out (see `chains.is_far`) is replaced by it.

    Args:
        key: a random key.
        encoder: gives the Gaussian fit and the starts of chains.
        decoder: gives the likelihood.
        params: {"encoder", "decoder"}.
        carried: the state that the last E-step returned.
        x: data [batch, ...], for the encoder.
        observation: of x, for the decoder.
        settings: see `em.Settings`.
        index: the number of each example [batch], for persistent chains.

    Returns:
        The samples, and what the next E-step is given.
    """
    key_start, key_chain = jax.random.split(key)
    context = encoder.infer(params, x)
    frame = Frame(*encoder.gaussian(context))
    gamma = bottleneck.gamma(settings, carried.bottleneck)

    def log_density(observation, z):
        return log_joint(decoder, params["decoder"], observation, z, gamma)

    if settings.e_step == "importance":
        weighted = weighted_proposals(
            key_start, decoder, params["decoder"], observation, frame, settings, gamma
        )
        sample = resample(key_chain, log_density, observation, frame, weighted)
        acceptance = proposals.effective_share(weighted.log_weight).mean()
        return Outcome(sample, acceptance, carried)

    if settings.e_step == "persistent":
        assert carried.z is not None, "chains that persist have a state for each example"
        y = solve(frame.factor, carried.z[index] - frame.mean)
    else:
        steps = settings.sampler_steps
        y = encoder_flow.sample_whitened(key_start, encoder, params, context, steps)
        y = y if encoder.reference == "posterior" else solve(frame.factor, y - frame.mean)
    if settings.e_step == "encoder":
        far = is_far(apply(frame.mean, frame.factor, y))
        y = jnp.where(far[:, None], 0.0, y)
        z = apply(frame.mean, frame.factor, y)
        return Outcome(PosteriorSample(z, frame, y), 1 - far.mean(), carried)

    start = look(log_density, observation, frame, y)
    centre = jnp.zeros_like(y)
    is_same_posterior = encoder.decoder == decoder and encoder.gamma == settings.gamma
    if is_same_posterior and context.slope is not None and context.log_density is not None:
        # A Newton step of the encoder has looked there.
        resting = Place(centre, context.log_density, context.slope)
    else:
        resting = look(log_density, observation, frame, centre)
    lost = is_lost(resting.log_density, start)
    start = jax.tree.map(
        lambda rest, own: jnp.where(lost.reshape(-1, *(1,) * (own.ndim - 1)), rest, own),
        resting,
        start,
    )
    chain = run_chains(
        key_chain,
        log_density,
        observation,
        start,
        frame,
        carried,
        settings,
        settings.langevin_steps,
    )
    carried = chain.state
    if settings.e_step == "persistent":
        assert carried.z is not None, "chains that persist have a state for each example"
        # A batch across two epochs may hold an example twice. Its first chain is kept, so that the
        # result does not depend on the hardware.
        first = jnp.argmax(index[:, None] == index[None, :], axis=1)
        carried = carried.replace(z=carried.z.at[index].set(chain.z[first]))
    sample = PosteriorSample(chain.z, frame, chain.y, chain.gradient)
    return Outcome(sample, chain.acceptance, carried)


def weighted_proposals(
    key, decoder, params, observation, frame: Frame, settings, gamma
) -> Proposals:
    """Draw the proposals that settings.proposal names, and weight them for each observation.

    Args:
        key: a random key.
        decoder: gives the likelihood.
        params: of the decoder.
        observation: of x, with `batch` rows.
        frame: the encoder's Gaussian fit.
        settings: see `em.Settings`.
        gamma: the temperature of q*.

    Returns:
        `Proposals`; with their gradients if settings.smooth_targets.
    """
    if settings.proposal == "shared":

        def pairs(z):
            return log_prob_pairs(decoder, params, observation, z) / gamma

        weighted = proposals.share(key, pairs, frame.mean.shape[-1], settings.proposals)
        if not settings.smooth_targets:
            return weighted
        return weighted._replace(gradient=slopes(pairs, weighted.z[:, 0]))

    def log_density(observation, z):
        return log_joint(decoder, params, observation, z, gamma)

    wide = Frame(frame.mean, settings.proposal_width * frame.factor)
    z, log_q = proposals.propose(key, wide, settings.proposal, settings.proposals)
    weighted = proposals.weigh(log_density, observation, z, log_q)
    if not settings.smooth_targets:
        return weighted
    gradient = jax.vmap(lambda z: slope(log_density, observation, z))(weighted.z)
    return weighted._replace(gradient=gradient)


def slope(log_density: Callable, observation, z: jax.Array) -> jax.Array:
    """Compute grad_z log_density(observation, z) [batch, d], row by row."""
    return jax.grad(lambda z: log_density(observation, z).sum())(z)


def slopes(log_prob_pairs: Callable, z: jax.Array) -> jax.Array:
    """Compute grad_z of log p(z) + log_prob_pairs(z) of every pair, one tangent at a time.

    Args:
        log_prob_pairs: z [K, d] -> (1/gamma) log p(x_i|z_k) [K, batch].
        z: latents [K, d].

    Returns:
        [K, batch, d].
    """

    def along(tangent):
        return jax.jvp(log_prob_pairs, (z,), (jnp.broadcast_to(tangent, z.shape),))[1]

    # Not by vmap: XLA's CPU compiler of jaxlib 0.10.2 then made wrong slopes of 512 latents.
    columns = jnp.stack([along(tangent) for tangent in jnp.eye(z.shape[-1])], axis=-1)
    return columns - z[:, None]


def resample(
    key, log_density: Callable, observation, frame: Frame, weighted: Proposals
) -> PosteriorSample:
    """Choose one proposal for each observation, by weight.

    Args:
        key: a random key.
        log_density: (observation, z [batch, d]) -> log q* up to a constant [batch].
        observation: of x.
        frame: the coordinates in which the samples are handed on.
        weighted: the proposals.

    Returns:
        The chosen ones, and all of them beside.
    """
    z = proposals.choose(key, weighted)
    y = solve(frame.factor, z - frame.mean)
    gradient = pull(frame.factor, slope(log_density, observation, z))
    return PosteriorSample(z, frame, y, gradient, weighted)
