"""Draws from the posterior of a trained decoder, which begin at those of its encoder.

    p*(z|x) ~ p(z) p(x|z)^(1/gamma)

A draw of the posterior is made in two steps. First K draws z_k ~ q(z|x) of the encoder are weighted
by p*(z_k|x) / q(z_k|x), and one of them is chosen by weight (sampling importance resampling, Rubin
1987). Then MALA, which leaves the posterior as it is, moves the choice: two choices of one draw
become different, and what the weights missed nearby is reached.

Both steps are exact in a limit only, of many draws or of many moves. The effective number of draws
says whether the first is near it: where it is a few, the encoder's draws miss part of the posterior
or the weights are those of chance, and the moves have to make up for it. They stay in the mode
where they begin. A mode in which the encoder never draws is missed, and nothing here tells.

Programs are module-level functions as in `held_out`, to be called through `estimate.map_examples`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent import annealing, chains, decoders, em, whitening
from diffenc.latent.systems import System


class Draws(NamedTuple):
    """Latents of each example from its posterior.

    Attributes:
        z: [batch, draws, d].
        ess: effective number of the encoder's draws that they were chosen from [batch], between 1
            and their number.
    """

    z: jax.Array
    ess: jax.Array


@functools.partial(
    jax.jit,
    static_argnames=(
        "encoder",
        "decoder",
        "sampler_steps",
        "gamma",
        "num_draws",
        "num_proposals",
        "num_steps",
    ),
)
def _draw(
    key, params, x, *, encoder, decoder, sampler_steps, gamma, num_draws, num_proposals, num_steps
):
    key_propose, key_choose, key_move = jax.random.split(key, 3)
    context = encoder.infer(params, x)
    observation = decoder.observe(None, x)

    def log_density(observation, z):
        return decoders.log_joint(decoder, params["decoder"], observation, z, gamma)

    def propose(key):
        z, log_q = encoder.sample_and_log_prob(key, params, context, sampler_steps)
        return z, log_density(observation, z) - log_q

    z, log_weight = jax.lax.map(propose, jax.random.split(key_propose, num_proposals))
    index = jax.random.categorical(
        key_choose, log_weight.T[:, None], axis=-1, shape=(x.shape[0], num_draws)
    )
    choices = jnp.take_along_axis(jnp.swapaxes(z, 0, 1), index[..., None], axis=1)

    # A chain for each draw: the rows of an example are repeated, draws beside each other.
    def repeat(rows):
        return jnp.repeat(rows, num_draws, axis=0)

    mean, factor = jax.tree.map(repeat, encoder.gaussian(context))
    frame = whitening.Frame(mean, factor)
    observations = jax.tree.map(repeat, observation)
    y = whitening.solve(factor, choices.reshape(mean.shape) - mean)
    settings = em.Settings(kernel="mala", gamma=gamma)
    chain = chains.run_chains(
        key_move,
        log_density,
        observations,
        chains.look(log_density, observations, frame, y),
        frame,
        chains.ChainState.create(settings),
        settings,
        num_steps,
    )
    return Draws(chain.z.reshape(choices.shape), annealing.effective_sample_size(log_weight))


def draw(
    key, system: System, params, x, num_draws: int, num_proposals: int, num_steps: int
) -> Draws:
    """Draw from the posterior p*(z|x) of every example.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [batch, ...].
        num_draws: for each example.
        num_proposals: draws K of the encoder, from which these are chosen.
        num_steps: of MALA, after the choice.

    Raises:
        InputError: for a decoder that is not exact.
    """
    decoders.check_exact(system.decoder, "a draw from the posterior")
    return _draw(
        key,
        params,
        x,
        encoder=system.encoder,
        decoder=system.decoder,
        sampler_steps=system.sampler_steps,
        gamma=system.gamma,
        num_draws=num_draws,
        num_proposals=num_proposals,
        num_steps=num_steps,
    )
