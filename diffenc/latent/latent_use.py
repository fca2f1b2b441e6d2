"""Whether a diffusion decoder uses its latent, and at which noise levels.

A decoder that ignores z denoises as well with the z of another example. How much worse it does is
the rise of its loss when the latents of a batch are shuffled, in nats. For the exact v it is what z
tells of x by the levels at which z is seen: the mean of KL(p(x_s|z) || p(x_s|z')) over pairs of a z
and another example's z', where x_s is x at the split; where there is no split, or z is seen above
it, too, of KL(p(x|z) || p(x|z')).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent.diffusion_decoder import DiffusionDecoder

AT_ONCE = 250  # examples, for which the network is evaluated together: the memory of it


class ShuffleRise(NamedTuple):
    """The rise of the loss when latents are shuffled, at k noise levels of each example.

    Attributes:
        total: of the loss of each example [batch], in nats.
        log_snr: lambda [batch, k], where z is seen.
        density: the rise there, in nats per unit of lambda [batch, k].
        terms: what each level adds to the total [batch, k], in nats.
    """

    total: jax.Array
    log_snr: jax.Array
    density: jax.Array
    terms: jax.Array


def shuffle_rise(
    key: jax.Array, decoder: DiffusionDecoder, params, x: jax.Array, z: jax.Array
) -> ShuffleRise:
    """Compare the denoising loss with that of the z of the example before, at the same noise.

    Args:
        key: of the noise.
        decoder: the decoder.
        params: of its network.
        x: data [batch, ...], two examples or more, in random order.
        z: a latent of each [batch, d].

    Returns:
        The rise. It is negative, but for noise, where the decoder does better with a wrong z. Each
        z serves two examples: an error of the mean from the scatter over examples alone is too
        small, by a factor of sqrt(2) at most.
    """
    observation = decoder.observe(key, x)
    if not decoder.sees_above:
        observation = decoder.about_latent(observation)

    def of_example(row):
        observation, own_z, other_z = jax.tree.map(lambda leaf: leaf[None], row)
        noise, own = decoder.errors(params, observation, own_z)
        _, other = decoder.errors(params, observation, other_z)
        rise = other - own
        terms = rise / (noise.density * rise.shape[1])
        return ShuffleRise(jnp.sum(terms[0]), noise.log_snr[0], rise[0], terms[0])

    rows = (observation, z, jnp.roll(z, 1, axis=0))
    return jax.lax.map(of_example, rows, batch_size=min(AT_ONCE, len(x)))
