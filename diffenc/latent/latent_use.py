"""Whether a diffusion decoder uses its latent, and at which noise levels.

A decoder that ignores z denoises as well with the z of another example. How much worse it does is
the rise of its loss when two examples exchange their latents, in nats. For the exact v it is what z
tells of x by the levels at which z is seen: the mean of KL(p(x_s|z) || p(x_s|z')) over pairs of a z
and another example's z', where x_s is x at the split; where there is no split, or z is seen above
it, too, of KL(p(x|z) || p(x|z')).
"""

from typing import NamedTuple

import jax

from diffenc.latent.diffusion_decoder import DiffusionDecoder

AT_ONCE = 250  # examples, for which the network is evaluated together: the memory of it


class ShuffleRise(NamedTuple):
    """The rise of the loss when two examples exchange their latents, at k noise levels of both.

    Pairs have no example in common, so that their values are independent: the scatter over pairs
    gives the error of a mean.

    Attributes:
        total: of the loss, the mean of both examples [pairs], in nats.
        log_snr: lambda [pairs, 2 k], where z is seen.
        density: the rise there, in nats per unit of lambda [pairs, 2 k].
        terms: what each level adds to the total [pairs, 2 k], in nats.
    """

    total: jax.Array
    log_snr: jax.Array
    density: jax.Array
    terms: jax.Array


def shuffle_rise(
    key: jax.Array, decoder: DiffusionDecoder, params, x: jax.Array, z: jax.Array
) -> ShuffleRise:
    """Compare the denoising loss with that of the partner's z, at the same noise.

    Args:
        key: of the noise.
        decoder: the decoder.
        params: of its network.
        x: data [batch, ...] in random order, of which two neighbours are a pair; the last of an odd
            number is left out.
        z: a latent of each [batch, d].

    Returns:
        The rise. It is negative, but for noise, where the decoder does better with a wrong z.
    """
    num_pairs = len(x) // 2
    observation = decoder.observe(key, x[: 2 * num_pairs])
    if not decoder.sees_above:
        observation = decoder.about_latent(observation)

    def of_pair(pair):
        observation, z = pair
        noise, own = decoder.errors(params, observation, z)
        _, other = decoder.errors(params, observation, z[::-1])
        rise = other - own
        terms = rise / (noise.density * rise.size)
        return ShuffleRise(terms.sum(), noise.log_snr.ravel(), rise.ravel(), terms.ravel())

    pairs = jax.tree.map(
        lambda rows: rows.reshape(num_pairs, 2, *rows.shape[1:]),
        (observation, z[: 2 * num_pairs]),
    )
    return jax.lax.map(of_pair, pairs, batch_size=min(AT_ONCE // 2, num_pairs))
