"""A small conditional U-Net for images.

Ronneberger et al. 2015, as in denoising diffusion (arXiv 2006.11239).
"""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from diffenc.errors import check, check_whole
from diffenc.networks.convolution import Conv, check_halvings, double, halve
from diffenc.networks.dropout import drop
from diffenc.networks.embeddings import log_snr_features
from diffenc.networks.normalization import GroupNorm


class Block(nn.Module):
    """Two convolutions with group normalization, added to the input.

    The embedding scales and shifts between the two.

    Attributes:
        channels: of the output.
        dtype: of the products.
        start: variance scale of the last kernel before training; 0 for a block that adds nothing.
        dropout: see `UNet`.
    """

    channels: int
    dtype: DTypeLike = jnp.float32
    start: float = 0.0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h: jax.Array, embedding: jax.Array) -> jax.Array:
        """Map h [n, h, w, c] and the embedding [n, e] to [n, h, w, channels]."""
        shortcut = h
        h = Conv(self.channels, self.dtype)(nn.silu(GroupNorm(self.dtype)(h)))
        scale, shift = jnp.split(
            nn.Dense(2 * self.channels, dtype=self.dtype)(nn.silu(embedding)), 2, axis=-1
        )
        h = GroupNorm(self.dtype)(h, scale, shift)
        start = nn.initializers.zeros
        if self.start > 0:
            start = nn.initializers.variance_scaling(self.start, "fan_in", "normal")
        h = drop(self, nn.silu(h))
        h = Conv(self.channels, self.dtype, start)(h)
        if shortcut.shape[-1] != self.channels:
            shortcut = mix(shortcut, self.channels, dtype=self.dtype)
        return shortcut + h


class Attention(nn.Module):
    """Self-attention over all pixels, added to its input; zero at first."""

    num_heads: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        """Attend over h [n, h, w, c]; returns its shape."""
        tokens = GroupNorm(self.dtype)(h).reshape(h.shape[0], -1, h.shape[-1])
        attend = nn.MultiHeadDotProductAttention(
            num_heads=self.num_heads, dtype=self.dtype, out_kernel_init=nn.initializers.zeros
        )
        return h + attend(tokens).reshape(h.shape)


class UNet(nn.Module):
    """A U-Net over images and noise levels, with a condition or without; zero at first, float32.

    Raises InputError for widths that are not multiples of 8, for images whose sides cannot be
    halved often enough, and for attention at a height that no resolution has.

    Attributes:
        channels: the width of each resolution, multiples of 8, the first that of the image, each
            next one half as fine.
        num_classes: with more than 0 a label adds its own embedding; the label num_classes stands
            for 'not given', as does condition=None.
        num_heads: heads of the attention.
        dtype: bfloat16 computes in half the memory; parameters stay float32.
        blocks: Blocks at each resolution, as many on the way up as on the way down; between the two
            ways there is always one more.
        attention: heights of the resolutions at which attention acts after each Block; () for
            nowhere. None for once only, at the coarsest resolution, after the last Block down.
        rematerialize: computes each Block again in the backward pass instead of keeping what it
            computed: less memory and more time, with the same numbers from the same parameters.
        start: see `Block`. Above 0, one update is enough for the condition to matter.
        num_outputs: channels of the output; None for as many as u has.
        dropout: share of the numbers that each Block sets to zero where it is given a key
            "dropout"; without one nothing is dropped.
    """

    channels: tuple[int, ...] = (32, 64)
    num_classes: int = 0
    num_heads: int = 1
    dtype: DTypeLike = jnp.float32
    blocks: int = 1
    attention: tuple[int, ...] | None = None
    rematerialize: bool = False
    start: float = 0.0
    num_outputs: int | None = None
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, u: jax.Array, level: jax.Array, condition: jax.Array | None = None
    ) -> jax.Array:
        """Map images to images.

        Args:
            u: images [batch, h, w, c].
            level: log signal-to-noise ratio [batch], zero where signal and noise are of one size.
            condition: labels [batch] if there are classes, else a vector for each example [batch,
                c]; or None.

        Returns:
            An array of the shape of u, but for `num_outputs`.
        """
        self.check_sides(u.shape[1:3])
        embedding = nn.silu(nn.Dense(4 * self.channels[0])(log_snr_features(level)))
        embedding = nn.Dense(4 * self.channels[0])(embedding)
        if self.num_classes:
            labels = jnp.full(u.shape[:1], self.num_classes) if condition is None else condition
            embedding += nn.Embed(self.num_classes + 1, 4 * self.channels[0])(labels)
        elif condition is not None:
            embedding += nn.Dense(4 * self.channels[0])(condition)
        embedding = embedding.astype(self.dtype)

        block_type = nn.remat(Block) if self.rematerialize else Block
        # nn.remat would give a Block another name, and with it other initial values.
        names = (f"Block_{index}" for index in itertools.count())

        def refine(h, width):
            """Apply one more Block, and attention where it acts."""
            block = block_type(width, self.dtype, self.start, self.dropout, name=next(names))
            h = block(h, embedding)
            if h.shape[1] in (self.attention or ()):
                h = Attention(self.num_heads, self.dtype)(h)
            return h

        h = Conv(self.channels[0], self.dtype)(u)
        skips = []
        for depth, width in enumerate(self.channels):
            if depth:
                h = mix(halve(h), width, dtype=self.dtype)
            for _ in range(self.blocks):
                h = refine(h, width)
                skips.append(h)
        if self.attention is None:
            h = Attention(self.num_heads, self.dtype)(h)
        h = refine(h, self.channels[-1])
        for depth, width in reversed(list(enumerate(self.channels))):
            for _ in range(self.blocks):
                h = refine(jnp.concatenate([h, skips.pop()], axis=-1), width)
            if depth:
                h = double(mix(h, 4 * self.channels[depth - 1], dtype=self.dtype))
        h = nn.silu(GroupNorm(self.dtype)(h)).astype(jnp.float32)
        if self.num_outputs is not None:
            return mix(h, self.num_outputs, kernel_init=nn.initializers.zeros)
        return Conv(u.shape[-1], kernel_init=nn.initializers.zeros)(h)

    def check_sides(
        self,
        sides: tuple[int, ...],
        channels: str = "UNet: channels",
        attention: str = "UNet: attention",
    ) -> None:
        """Raise an InputError unless it can take images of these sides.

        Args:
            sides: height and width.
            channels: what a message calls the field `channels`.
            attention: what a message calls the field `attention`.
        """
        check_channels(channels, self.channels)
        check_whole("UNet: blocks", self.blocks, 1)
        num_levels = len(self.channels)
        check_halvings(f"{channels} has {num_levels} levels", sides, num_levels - 1)
        heights = [sides[0] // 2**depth for depth in range(num_levels)]
        attended = tuple(self.attention or ())
        listed = ", ".join(map(str, heights))
        holds = set(attended) <= set(heights)
        check(holds, attention, attended, f"choose among the heights of its levels, {listed}")


def check_channels(name: str, channels: tuple[int, ...]) -> None:
    """Raise an InputError unless the value called `name` can be the widths of a `UNet`."""
    holds = bool(channels) and all(width >= 8 and width % 8 == 0 for width in channels)
    check(holds, name, tuple(channels or ()), "give multiples of 8, one or more")


def mix(h, width, **options):
    """Apply a dense layer to each pixel: [n, h, w, c] -> [n, h, w, width].

    XLA would copy a tensor of more than two axes to sum over all but one, for the kernel's
    gradient; a matrix it takes as it is.
    """
    pixels = nn.Dense(width, **options)(h.reshape(-1, h.shape[-1]))
    return pixels.reshape(*h.shape[:-1], width)
