"""A conditional normalizing flow of affine coupling layers (real NVP, Dinh et al., 1605.08803)."""

from collections.abc import Sequence

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from diffenc.networks.mlp import bounded
from diffenc.networks.module import Module


class CouplingContext(flax.struct.PyTreeNode):
    """What a flow needs of its condition.

    Attributes:
        mean: [batch, d].
        log_width: [batch, d].
        modulations: a scale and a shift of the hidden units for each layer.
    """

    mean: jax.Array
    log_width: jax.Array
    modulations: tuple[jax.Array, ...]


class Coupling(Module):
    """z = mean(x) + width(x) f(y | x), where f is a chain of coupling layers.

    Each layer moves every second coordinate by a scale and a shift that depend on x and on the
    coordinates between. f starts as the identity.

    Attributes:
        latent_dim: the dimension of y and z, 2 or more.
        embed_features: widths of the layers that embed x.
        width: hidden units of a coupling layer.
        num_layers: number of coupling layers.
    """

    latent_dim: int
    embed_features: Sequence[int] = (512, 512)
    width: int = 128
    num_layers: int = 6

    def setup(self):
        """Define the layers."""
        zeros = nn.initializers.zeros
        self.embed_layers = [nn.Dense(width) for width in self.embed_features]
        self.gaussian_head = nn.Dense(2 * self.latent_dim)
        self.modulation = [nn.Dense(2 * self.width) for _ in range(self.num_layers)]
        self.hidden = [nn.Dense(self.width) for _ in range(self.num_layers)]
        self.output = [
            nn.Dense(2 * self.latent_dim, kernel_init=zeros) for _ in range(self.num_layers)
        ]

    def embed(self, x: jax.Array) -> CouplingContext:
        """Compute the context of x [batch, ...]."""
        h = x.reshape(x.shape[0], -1)
        for layer in self.embed_layers:
            h = nn.silu(layer(h))
        mean, log_width = jnp.split(self.gaussian_head(h), 2, axis=-1)
        return CouplingContext(
            mean, jnp.clip(log_width, -8.0, 2.0), tuple(layer(h) for layer in self.modulation)
        )

    def _affine(
        self, context: CouplingContext, index: int, y: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """(log scale, shift) of a layer, zero for the coordinates that it leaves alone."""
        is_fixed = (jnp.arange(self.latent_dim) % 2 == index % 2)[None]
        scale, shift = jnp.split(context.modulations[index], 2, axis=-1)
        h = nn.silu(self.hidden[index](jnp.where(is_fixed, y, 0.0)) * (1.0 + scale) + shift)
        log_scale, shift = jnp.split(self.output[index](h), 2, axis=-1)
        log_scale = jnp.where(is_fixed, 0.0, bounded(log_scale, 2.0))
        return log_scale, jnp.where(is_fixed, 0.0, shift)

    def __call__(self, context: CouplingContext, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Compute z [batch, d] and log |det dz/dy| [batch] of y [batch, d]."""
        log_det = context.log_width.sum(axis=-1)
        for index in range(self.num_layers):
            log_scale, shift = self._affine(context, index, y)
            y = y * jnp.exp(log_scale) + shift
            log_det += log_scale.sum(axis=-1)
        return context.mean + jnp.exp(context.log_width) * y, log_det

    def inverse(self, context: CouplingContext, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Compute y [batch, d] and log |det dz/dy| [batch] of z [batch, d]."""
        y = (z - context.mean) * jnp.exp(-context.log_width)
        log_det = context.log_width.sum(axis=-1)
        for index in reversed(range(self.num_layers)):
            log_scale, shift = self._affine(context, index, y)
            y = (y - shift) * jnp.exp(-log_scale)
            log_det += log_scale.sum(axis=-1)
        return y, log_det

    def initialize(self, x: jax.Array, y: jax.Array):
        """Touch every layer once, so that `init(..., method='initialize')` makes all parameters."""
        return self(self.embed(x), y)
