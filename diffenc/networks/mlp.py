"""Multi-layer perceptrons: a plain one, and a denoiser that looks at its condition once."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from diffenc.networks.embeddings import log_snr_features


class MLP(nn.Module):
    """Dense layers of the given widths, the last one linear: [batch, ...] -> [batch, num_outputs]."""

    features: Sequence[int]
    num_outputs: int
    activation: Callable[[jax.Array], jax.Array] = nn.silu

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = self.activation(nn.Dense(width)(x))
        return nn.Dense(self.num_outputs)(x)


class Context(flax.struct.PyTreeNode):
    """What a denoiser needs of its condition, computed once and used at every noise level.

    mean, width: [batch, d], the Gaussian N(mean, width^2) which the denoiser corrects.
    scales, shifts: one [batch, features_i] per hidden layer.
    """

    mean: jax.Array
    width: jax.Array
    scales: tuple[jax.Array, ...]
    shifts: tuple[jax.Array, ...]


class ConditionalDenoiser(nn.Module):
    """Network of a conditional diffusion model in a latent of dimension d.

    `embed` turns x into a `Context`; `__call__` gives the residual r [batch, d] at whitened latent u [batch, d] and
    whitened log signal-to-noise ratio [batch, d]. Everything that depends on x alone happens in `embed`, so that a
    sampler of many steps pays for it once. The output layers start at zero: mean 0, width 1, residual 0.
    """

    latent_dim: int
    embed_features: Sequence[int] = (512, 512)
    features: Sequence[int] = (256, 256)

    def setup(self):
        self.embed_layers = [nn.Dense(width) for width in self.embed_features]
        self.null_token = self.param("null_token", nn.initializers.zeros, (self.embed_features[-1],))
        zeros = nn.initializers.zeros
        self.mean_head = nn.Dense(self.latent_dim, kernel_init=zeros)
        self.precision_head = nn.Dense(self.latent_dim, kernel_init=zeros)
        self.modulation = [nn.Dense(2 * width) for width in self.features]
        self.layers = [nn.Dense(width) for width in self.features]
        self.output = nn.Dense(self.latent_dim, kernel_init=zeros)

    def embed(self, x: jax.Array, is_null: jax.Array) -> Context:
        """The context of x [batch, ...]; where is_null [batch] holds, that of 'x unknown' (width 1)."""
        h = x.reshape(x.shape[0], -1)
        for layer in self.embed_layers:
            h = nn.silu(layer(h))
        h = jnp.where(is_null[:, None], self.null_token[None, :], h)
        log_precision = jnp.clip(self.precision_head(h), -2.0, 14.0)
        width = jnp.where(is_null[:, None], 1.0, jnp.exp(-0.5 * log_precision))
        scales, shifts = zip(*(jnp.split(layer(h), 2, axis=-1) for layer in self.modulation), strict=True)
        return Context(mean=self.mean_head(h), width=width, scales=scales, shifts=shifts)

    def __call__(self, context: Context, u: jax.Array, log_snr: jax.Array) -> jax.Array:
        features = log_snr_features(log_snr.mean(axis=-1))
        y = jnp.concatenate([u, features], axis=-1)
        for layer, scale, shift in zip(self.layers, context.scales, context.shifts, strict=True):
            y = nn.silu(layer(y) * (1.0 + scale) + shift)
        return self.output(y)

    def initialize(self, x: jax.Array, u: jax.Array, log_snr: jax.Array) -> jax.Array:
        """Touch every layer once, so that `init(..., method='initialize')` makes all parameters."""
        return self(self.embed(x, jnp.zeros(x.shape[0], bool)), u, log_snr)
