"""A classifier of noised examples, which is told how noisy they are."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffenc.errors import check
from diffenc.networks.convolution import check_halvings, halve
from diffenc.networks.embeddings import log_snr_features
from diffenc.networks.normalization import GroupNorm
from diffenc.networks.unet import Block, check_channels, mix


class LevelClassifier(nn.Module):
    """Dense layers of (u, features of the noise level), or of the blocks of images u before them.

    For each width of the blocks, the sides are halved, a 2x2 square of pixels becoming one; then
    `Block`s follow, as in a `UNet`, whose shifts and scales know the noise level. The dense layers
    see the mean over the pixels of the last block.

    Raises InputError for widths that are not multiples of 8, for what is no batch of images, and
    for sides that cannot be halved often enough. All name the field `channels`.

    Attributes:
        features: widths of the dense layers.
        num_outputs: width of the last, linear layer.
        channels: widths of the blocks; () for none, and then u may have any shape.
        blocks: for each width.
        dropout: see `UNet`.
        dtype: of the blocks' products; parameters stay float32.
    """

    features: Sequence[int]
    num_outputs: int
    channels: Sequence[int] = ()
    blocks: int = 1
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, u: jax.Array, level: jax.Array) -> jax.Array:
        """Map examples to [batch, num_outputs].

        Args:
            u: [batch, ...], of unit size.
            level: log signal-to-noise ratio [batch], zero where signal and noise are of one size.
        """
        features = log_snr_features(level)
        h = self._embed(u, features) if self.channels else u
        h = jnp.concatenate([h.reshape(len(h), -1), features], axis=-1)
        for width in self.features:
            h = nn.silu(nn.Dense(width)(h))
        return nn.Dense(self.num_outputs)(h)

    def _embed(self, u: jax.Array, features: jax.Array) -> jax.Array:
        """Map images [batch, h, w, c] to the means over pixels [batch, channels[-1]]."""
        channels = tuple(self.channels)
        check_channels("channels", channels)
        remedy = f"examples of shape {u.shape[1:]} are no images: give none"
        check(u.ndim == 4, "channels", channels, remedy)
        check_halvings(f"channels has {len(channels)} widths", u.shape[1:-1], len(channels))
        embedding = nn.silu(nn.Dense(4 * channels[0])(features)).astype(self.dtype)
        h = u.astype(self.dtype)
        for width in channels:
            h = mix(halve(h), width, dtype=self.dtype)
            for _ in range(self.blocks):
                h = Block(width, self.dtype, dropout=self.dropout)(h, embedding)
        h = nn.silu(GroupNorm(self.dtype)(h)).astype(jnp.float32)
        return jnp.mean(h, axis=(1, 2))
