"""Whether a diffusion decoder uses its latent, and at which noise levels.

A decoder that ignores z denoises as well with the z of another example. How much worse it does is
the rise of its loss when z is shuffled in the batch, in nats. For the exact v it is what z tells of
x: the mean of KL(p(x|z) || p(x|z')) over pairs of a z and another example's z'.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent.diffusion_decoder import DiffusionDecoder


class ShuffleRise(NamedTuple):
    """The rise of the loss when z is shuffled, at m noise levels of each example.

    Attributes:
        total: of the loss of each example [batch], in nats.
        log_snr: lambda [batch, m], where z is seen.
        density: the rise there, in nats per unit of lambda [batch, m].
    """

    total: jax.Array
    log_snr: jax.Array
    density: jax.Array


def shuffle_rise(
    key: jax.Array, decoder: DiffusionDecoder, params, x: jax.Array, z: jax.Array
) -> ShuffleRise:
    """Compare the denoising loss with that of another example's z, at the same noise.

    Args:
        key: of the noise, and of whose z an example gets: those of the batch are handed on by a
            number of places that is drawn.
        decoder: the decoder.
        params: of its network.
        x: data [batch, ...], two examples or more.
        z: a latent of each [batch, d].

    Returns:
        The rise. It has a negative expectation where the decoder does better with a wrong z.
    """
    key_observe, key_places = jax.random.split(key)
    observation = decoder.about_latent(decoder.observe(key_observe, x))
    places = jax.random.randint(key_places, (), 1, len(z))
    own = decoder.errors(params, observation, z)
    other = decoder.errors(params, observation, jnp.roll(z, places, axis=0))
    noise = observation.below
    rise = other - own
    return ShuffleRise(jnp.mean(rise / noise.density, axis=1), noise.log_snr, rise)
