"""Residual dense blocks that a noise level and a condition modulate."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffenc.networks.dropout import drop
from diffenc.networks.embeddings import log_snr_features

EMBEDDING = 128  # width of the embedding of level and condition
START = 0.1  # variance scale of modulation and of what a block adds, at first


class ModulatedMLP(nn.Module):
    """A denoiser of vectors and small images, zero at first.

    Only its last layer is zero then, so that one update is enough for the condition to matter.

    Each block adds two dense layers of its normalized input, which level and condition scale and
    shift (adaptive normalization, arXiv 2212.09748). The output is that of the blocks and the input
    itself, each number of it times a function of the level: the linear part of a denoiser of
    independent numbers, which layers narrower than x cannot carry.

    Attributes:
        width: of the blocks.
        blocks: their number.
        num_outputs: length of the last axis of the output, which is then that of the blocks alone;
            None for an output of the shape of u.
        dropout: share of the numbers that are dropped inside each block and before the last layer,
            see `dropout.drop`.
    """

    width: int = 256
    blocks: int = 2
    num_outputs: int | None = None
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, u: jax.Array, level: jax.Array, condition: jax.Array | None = None
    ) -> jax.Array:
        """Map u [batch, ..., c] to the output; level and condition are as in `LevelMLP`."""
        x = u.reshape(u.shape[0], -1)
        zeros = nn.initializers.zeros
        features = log_snr_features(level)
        parts = [features] if condition is None else [features, condition]
        embedding = nn.silu(nn.Dense(EMBEDDING)(jnp.concatenate(parts, axis=-1)))
        h = nn.Dense(self.width)(x)
        for _ in range(self.blocks):
            small = nn.initializers.variance_scaling(START, "fan_in", "normal")
            modulation = nn.Dense(2 * self.width, kernel_init=small)(embedding)
            scale, shift = jnp.split(modulation, 2, axis=-1)
            change = nn.LayerNorm(use_bias=False, use_scale=False)(h) * (1 + scale) + shift
            change = drop(self, nn.silu(nn.Dense(self.width)(change)))
            h = h + nn.Dense(self.width, kernel_init=small)(change)
        h = drop(self, nn.silu(h))
        if self.num_outputs is not None:
            size = x.shape[-1] // u.shape[-1] * self.num_outputs
            out = nn.Dense(size, kernel_init=zeros)(h)
            return out.reshape(*u.shape[:-1], self.num_outputs)
        out = nn.Dense(x.shape[-1], kernel_init=zeros)(h)
        gain = nn.Dense(x.shape[-1], kernel_init=zeros)(nn.silu(nn.Dense(32)(features)))
        return (out + gain * x).reshape(u.shape)
