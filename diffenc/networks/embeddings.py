"""Features of the noise level."""

import jax
import jax.numpy as jnp


def log_snr_features(log_snr: jax.Array) -> jax.Array:
    """Smooth bounded features [..., 8] of a log signal-to-noise ratio [...].

    sqrt(sigmoid(l)) and sqrt(sigmoid(-l)) are alpha and sigma of a variance-preserving process; the
    waves resolve the range -8 ... 8, where such a process does all its work.
    """
    clipped = jnp.clip(log_snr, -12.0, 12.0)
    alpha, sigma = jnp.sqrt(jax.nn.sigmoid(clipped)), jnp.sqrt(jax.nn.sigmoid(-clipped))
    waves = [
        wave(clipped * frequency) for frequency in (0.2, 0.4, 0.8) for wave in (jnp.sin, jnp.cos)
    ]
    return jnp.stack([alpha, sigma, *waves], axis=-1)


def waves(u: jax.Array, octaves: int) -> jax.Array:
    """sin and cos of 2^k u, k < octaves: [..., d] -> [..., 2 d octaves]. A network of smooth
    activations is slow to learn what varies fast in its input; these carry it there
    (2006.10739)."""
    return jnp.concatenate(
        [u[..., :0], *(wave(2.0**k * u) for k in range(octaves) for wave in (jnp.sin, jnp.cos))], -1
    )
