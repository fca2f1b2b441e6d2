"""A velocity field for flows."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffenc.networks.residual import polar


class Velocity(nn.Module):
    """Dense layers of x, its length and their product; zero before training.

    Attributes:
        dim: the dimension of x and of v.
        features: widths of the hidden layers.
    """

    dim: int
    features: Sequence[int] = (64, 64)

    def setup(self):
        """Define the layers."""
        self.layers = [nn.Dense(width) for width in self.features]
        self.output = nn.Dense(self.dim, kernel_init=nn.initializers.zeros)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Evaluate v [n, dim] at points x [n, dim]."""
        h = polar(x, bound=8.0)  # x is near N(0, I), and lengths have to be told apart far out
        for layer in self.layers:
            h = nn.silu(layer(h))
        return self.output(h)

    def coordinate_norms(self, params) -> jax.Array:
        """Compute the norms [2 dim] of the weights that read a coordinate, and that move it.

        They are the groups of a group lasso (Yuan & Lin 2006). The weights that read the length, of
        all coordinates together, are in no group.
        """
        read = params["params"]["layers_0"]["kernel"]  # of x, its length, and x times it
        read = jnp.square(read[: self.dim]) + jnp.square(read[self.dim + 1 :])
        move = jnp.square(params["params"]["output"]["kernel"]).T
        return jnp.sqrt(jnp.concatenate([jnp.sum(read, axis=-1), jnp.sum(move, axis=-1)]) + 1e-8)
