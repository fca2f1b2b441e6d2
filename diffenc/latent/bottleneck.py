"""How much of x the latent holds: the rate as a constraint, and the scale that z has.

A rate in nats is easier to choose than a weight gamma of the rate. Dual ascent finds the gamma that
belongs to it,

    log gamma <- log gamma + ASCENT (rate / target - 1)        after every update:

the bottleneck tightens while the latent holds more than `target`, and widens while it holds less.
"""

import flax.struct
import jax
import jax.numpy as jnp

ASCENT = 0.003  # a rate of twice the target multiplies gamma by e in 330 updates
MEMORY = 0.99  # decay of the moments of z
RANGE = (-9.0, 3.0)  # of log gamma
SMALLEST_VARIANCE = 0.1  # of the latents of a batch, by which is divided
AGGREGATE_WEIGHT = 0.1  # the least weight of KL(q(z) || N(0, I))
LARGEST_RATE = 7.0  # nats a dimension: an encoder's narrowest width is e^-7


class Bottleneck(flax.struct.PyTreeNode):
    """What an update hands to the next one about its latent.

    Attributes:
        log_gamma: log of the weight of the rate [].
        mean: a moving average of z [d].
        square: that of z^2 [d].
    """

    log_gamma: jax.Array
    mean: jax.Array
    square: jax.Array

    @classmethod
    def create(cls, settings, latent_dim: int) -> "Bottleneck":
        """Start at settings.gamma, and with the moments of N(0, I)."""
        return cls(
            jnp.log(jnp.float32(settings.gamma)), jnp.zeros(latent_dim), jnp.ones(latent_dim)
        )

    @property
    def scale(self) -> jax.Array:
        """The standard deviation of z [d], by which it is standardized for editing."""
        return jnp.sqrt(jnp.maximum(self.square - self.mean**2, 1e-6))


def gamma(settings, bottleneck: Bottleneck | None):
    """Give the weight of the rate: the one that is carried, or else settings.gamma."""
    return settings.gamma if bottleneck is None else jnp.exp(bottleneck.log_gamma)


def follow(
    bottleneck: Bottleneck | None, settings, rate: jax.Array, z: jax.Array
) -> Bottleneck | None:
    """Move after an update; None stays None.

    Args:
        bottleneck: before the update.
        settings: an `em.Settings`; gamma stays where its rate is None.
        rate: of the update [], in nats.
        z: its latents [batch, d].
    """
    if bottleneck is None:
        return None
    log_gamma = bottleneck.log_gamma
    if settings.rate is not None:
        log_gamma = jnp.clip(log_gamma + ASCENT * (rate / settings.rate - 1), *RANGE)
    z = jax.lax.stop_gradient(z)
    return Bottleneck(
        log_gamma,
        MEMORY * bottleneck.mean + (1 - MEMORY) * z.mean(axis=0),
        MEMORY * bottleneck.square + (1 - MEMORY) * (z**2).mean(axis=0),
    )


def aggregate_slope(z: jax.Array, gamma) -> jax.Array:
    """Compute (w / gamma - 1) grad_z KL(q(z) || N(0, I)), w = max(gamma, AGGREGATE_WEIGHT).

    The rate is I(x; z) + KL(q(z) || N(0, I)) with q(z) the law of z for all x together, here a
    Gaussian in each dimension. A small gamma makes all of it cheap, but only I(x; z) is to be so.
    This slope gives the other part the weight w,

        E log p(x|z) - gamma I(x; z) - w KL(q(z) || N(0, I)).

    An optimum of encoder and decoder stays one: a decoder can undo a shift and a scale of z, so the
    rate is least where q(z) has mean 0 and variance 1, and there the slope is zero. Without it
    little leads a latent of small gamma back that its decoder, which is still learning, has driven
    out.

    Args:
        z: the latents of a batch [batch, d].
        gamma: the weight of the rate.

    Returns:
        [batch, d].
    """
    mean = z.mean(axis=0, keepdims=True)
    variance = jnp.maximum(z.var(axis=0, keepdims=True), SMALLEST_VARIANCE)
    slope = mean + (1 - 1 / variance) * (z - mean)
    return jnp.maximum(AGGREGATE_WEIGHT / gamma - 1, 0) * slope
