"""Residual convolutions of sequences that a noise level modulates."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffenc.networks.dropout import drop
from diffenc.networks.embeddings import log_snr_features
from diffenc.networks.modulated import EMBEDDING, START


class ModulatedSequence(nn.Module):
    """A denoiser of sequences, zero at first; the sister of `ModulatedMLP`.

    Each block adds a convolution and a dense layer of its normalized input, which the level scales
    and shifts (adaptive normalization, arXiv 2212.09748). The convolution of block i sees `radius`
    places on either side, 2^i apart (arXiv 1609.03499, but in both directions): together they see
    radius (2^blocks - 1) places either way. No place has weights of its own, since a window of a
    text may begin anywhere; beyond the ends there are zeros.

    Attributes:
        width: of the blocks.
        blocks: their number.
        radius: places on either side that a convolution sees.
        num_outputs: numbers of output for each place; None for an output of the shape of u, to
            which u itself is added, each of its channels times a function of the level.
        dropout: share of the numbers that are dropped inside each block and before the last layer,
            see `dropout.drop`.
    """

    width: int = 128
    blocks: int = 4
    radius: int = 2
    num_outputs: int | None = None
    dropout: float = 0.0

    @nn.compact
    def __call__(self, u: jax.Array, level: jax.Array) -> jax.Array:
        """Map u to [batch, length, num_outputs].

        Args:
            u: [batch, length, c].
            level: log signal-to-noise ratio [batch], zero where signal and noise are of one size.
        """
        zeros = nn.initializers.zeros
        small = nn.initializers.variance_scaling(START, "fan_in", "normal")
        features = log_snr_features(level)
        embedding = nn.silu(nn.Dense(EMBEDDING)(features))
        h = nn.Dense(self.width)(u)
        for block in range(self.blocks):
            modulation = nn.Dense(2 * self.width, kernel_init=small)(embedding)
            scale, shift = jnp.split(modulation[:, None], 2, axis=-1)
            change = nn.LayerNorm(use_bias=False, use_scale=False)(h) * (1 + scale) + shift
            change = nn.Dense(self.width)(neighbours(change, self.radius, 2**block))
            change = drop(self, nn.silu(change))
            h = h + nn.Dense(self.width, kernel_init=small)(change)
        h = drop(self, nn.silu(h))
        if self.num_outputs is not None:
            return nn.Dense(self.num_outputs, kernel_init=zeros)(h)
        out = nn.Dense(u.shape[-1], kernel_init=zeros)(h)
        gain = nn.Dense(u.shape[-1], kernel_init=zeros)(nn.silu(nn.Dense(32)(features)))
        return out + gain[:, None] * u


def neighbours(h: jax.Array, radius: int, distance: int) -> jax.Array:
    """Put each place of a sequence beside its neighbours, zeros beyond the ends.

    A dense layer of it is a convolution, computed as one product: on a CPU many times faster.

    Args:
        h: [batch, length, c].
        radius: neighbours on either side.
        distance: of one neighbour from the next.

    Returns:
        [batch, length, (2 radius + 1) c], from left to right.
    """
    length = h.shape[1]
    far = radius * distance
    padded = jnp.pad(h, ((0, 0), (far, far), (0, 0)))
    shifted = [padded[:, start : start + length] for start in range(0, 2 * far + 1, distance)]
    return jnp.concatenate(shifted, axis=-1)
