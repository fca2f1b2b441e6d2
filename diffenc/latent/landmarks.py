"""Landmarks: a coarse posterior on fixed latents, with all its modes, and its diffusion.

M latents z_m, spread evenly like the prior, are weighed by the decoder, w_m ~ p(x|z_m). The sum
over m of w_m N(z_m, h_m^2 I), h_m half the distance between neighbours, is a coarse posterior for
two or three dimensions, whose diffusion is known.
"""

import jax
import jax.numpy as jnp

from diffenc.latent import proposals
from diffenc.latent.decoders import log_prior, log_prob_pairs


def kernels(latent_dim: int, count: int) -> tuple[jax.Array, jax.Array]:
    """Give the landmarks and the width of the kernel at each.

    Args:
        latent_dim: d.
        count: M.

    Returns:
        z_m [M, d] and the variances h_m^2 [M].
    """
    z = jax.scipy.special.ndtri(proposals.even(latent_dim, count))
    spacing = jnp.exp(-(jnp.log(count) + log_prior(z)) / latent_dim)
    return z, jnp.minimum(0.5 * spacing, 1.0) ** 2


def log_weights(
    decoder, params, x: jax.Array, latent_dim: int, count: int, gamma: float
) -> jax.Array:
    """Evaluate log w_m, the tempered posterior of each x on the landmarks alone.

    Args:
        decoder: an exact decoder.
        params: of the decoder; no gradient goes into them.
        x: data [batch, ...].
        latent_dim: d.
        count: M.
        gamma: temperature, see `decoders.log_joint`.

    Returns:
        [batch, M], of total mass one.
    """
    z, _ = kernels(latent_dim, count)
    observation = decoder.observe(None, x)
    log_p = log_prob_pairs(decoder, jax.lax.stop_gradient(params), observation, z).T / gamma
    return jax.nn.log_softmax(log_p, axis=-1)


def coarse_residual(log_weight: jax.Array, y_t: jax.Array, log_snr: jax.Array) -> jax.Array:
    """Compute the residual r of sum_m w_m N(z_m, h_m^2 I), in the sense of `encoder`.

    Diffused, its parts are N(alpha z_m, s_m^2 I) with s_m^2 = 1 - alpha^2 (1 - h_m^2), each of
    residual (z_m - alpha (1 - h_m^2) y_t) / s_m^2; theirs are averaged by responsibility.

    Args:
        log_weight: log w_m [batch, M].
        y_t: noised latents [batch, d].
        log_snr: their noise levels [batch].

    Returns:
        [batch, d].
    """
    z, variance = kernels(y_t.shape[-1], log_weight.shape[-1])
    alpha = jnp.sqrt(jax.nn.sigmoid(log_snr))[:, None]
    spread = 1 - alpha**2 * (1 - variance[None])
    square = jnp.sum((y_t[:, None] - alpha[..., None] * z[None]) ** 2, axis=-1)
    log_share = log_weight - 0.5 * square / spread
    log_share -= 0.5 * y_t.shape[-1] * jnp.log(spread)
    share = jax.nn.softmax(log_share, axis=-1) / spread
    shrink = jnp.sum(share * (1 - variance[None]), axis=-1, keepdims=True)
    return share @ z - alpha * shrink * y_t
