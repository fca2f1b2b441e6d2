"""A velocity field for flows."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from diffenc.networks.residual import polar


class Velocity(nn.Module):
    """v [n, dim] at points x [n, dim]: zero before training, of dense layers of x, its length and their product."""

    dim: int
    features: Sequence[int] = (64, 64)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = polar(x, bound=8.0)  # x is near N(0, I), and lengths have to be told apart far out
        for width in self.features:
            h = nn.silu(nn.Dense(width)(h))
        return nn.Dense(self.dim, kernel_init=nn.initializers.zeros)(h)
