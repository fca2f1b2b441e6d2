"""Features of the noise level."""

import jax
import jax.numpy as jnp

from diffenc.diffusion.parameterization import alpha_sigma

WORKED = 12.0  # |lambda| up to which features move at full rate
SLOWNESS = 16.0  # from there to FARTHEST they move so many times slower
FARTHEST = 16.0


def log_snr_features(log_snr: jax.Array) -> jax.Array:
    """Compute smooth bounded features [..., 8] of a log signal-to-noise ratio [...].

    The first two are alpha and sigma of the variance-preserving process; the waves resolve the
    range -8 ... 8, where such a process does all its work.

    Beyond 12 they move slowly, and not at all beyond 16. Samplers start at an infinite level, and
    training draws few levels beyond 12. A network says there what it has learned at 12; if the
    features went on at full rate, what it says would be twice as far from the truth.
    """
    inner = jnp.clip(log_snr, -WORKED, WORKED)
    level = inner + (jnp.clip(log_snr, -FARTHEST, FARTHEST) - inner) / SLOWNESS
    alpha, sigma = alpha_sigma(level)
    waves = [
        wave(level * frequency) for frequency in (0.2, 0.4, 0.8) for wave in (jnp.sin, jnp.cos)
    ]
    return jnp.stack([alpha, sigma, *waves], axis=-1)


def waves(u: jax.Array, octaves: int) -> jax.Array:
    """Compute sin and cos of 2^k u for k < octaves: [..., d] -> [..., 2 d octaves].

    A network of smooth activations is slow to learn what varies fast in its input; these features
    carry it there (arXiv 2006.10739).
    """
    return jnp.concatenate(
        [u[..., :0], *(wave(2.0**k * u) for k in range(octaves) for wave in (jnp.sin, jnp.cos))], -1
    )
