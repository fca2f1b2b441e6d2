"""The bound L(x; z) >= -log p(x|z) of a diffusion of x, by its parts.

By its denoising loss (arXiv 2107.00630),

    -log p(x|z) <= L(x; z) = KL(q(x_low|x) || N(0, I))                     prior
                           + 1/2 int alpha^2 E|v - v_phi|^2 d(lambda)      diffusion, low to high
                           + D/2 (log(2 pi e) - high)                      reconstruction

in nats; the last is -E log N(x; x_high/alpha, (sigma/alpha)^2 I), the density by which x is read
off x_high. With the exact v the bound is log p(x|z) but for what lies beyond low and high.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent.observations import Noise, Observation, rows_of

LOG_2PI_E = float(np.log(2 * np.pi * np.e))


class Terms(flax.struct.PyTreeNode):
    """The parts of a draw of L(x; z), each [batch] in nats.

    Attributes:
        prior: KL(q(x_low|x) || N(0, I)), closed.
        below: the diffusion term below the split.
        above: that above it, which depends on z where part of z is seen there.
        reconstruction: of x from x_high, closed.
    """

    prior: jax.Array
    below: jax.Array
    above: jax.Array
    reconstruction: jax.Array


def terms(observation: Observation, velocities: list[jax.Array], low: float, high: float) -> Terms:
    """Evaluate the parts of a draw of L(x; z).

    Args:
        observation: of x.
        velocities: v_phi at the noise of each side of the split, one row for each noise.
        low: the smallest lambda.
        high: the largest lambda.

    Returns:
        The parts, each [batch] in nats.
    """
    x = observation.x
    dim = x[0].size
    alpha, sigma = alpha_sigma(low)
    square = jnp.sum(x.reshape(len(x), -1) ** 2, axis=-1)
    prior = 0.5 * (alpha**2 * square + dim * (sigma**2 - 1 - 2 * jnp.log(sigma)))
    # Integrals of the errors over lambda, by their mean over the noise.
    losses = [
        jnp.mean(errors(x, noise, v) / noise.density, axis=1)
        for (noise, _), v in zip(observation.sides(), velocities, strict=True)
    ]
    above = losses[1] if len(losses) > 1 else jnp.zeros(len(x))
    reconstruction = jnp.full(len(x), 0.5 * dim * (LOG_2PI_E - high))
    return Terms(prior, losses[0], above, reconstruction)


def errors(x: jax.Array, noise: Noise, velocity: jax.Array) -> jax.Array:
    """Evaluate 1/2 alpha^2 |v - v_phi|^2 at each noise.

    Args:
        x: examples [batch, ...].
        noise: m of each example.
        velocity: v_phi there, one row for each noise.

    Returns:
        The errors [batch, m] in nats per unit of lambda.
    """
    rows = rows_of(x, noise)
    square = jnp.sum((velocity - rows.v).reshape(noise.density.size, -1) ** 2, axis=-1)
    return (0.5 * rows.alpha**2 * square).reshape(noise.density.shape)
