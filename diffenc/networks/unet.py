"""A small conditional U-Net for images.

Ronneberger et al. 2015, as in denoising diffusion (arXiv 2006.11239).
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffenc.errors import InputError, check
from diffenc.networks.embeddings import log_snr_features


class Conv(nn.Module):
    """A 3x3 convolution, zero outside the image.

    Attributes:
        channels: number of channels of the output.
        as_matmul: computes it as a product with the nine shifted images: the same numbers from the
            same parameters, many times faster on a CPU, at nine times the memory.
        dtype: the type it computes in.
        kernel_init: the initializer of the kernel.
    """

    channels: int
    as_matmul: bool = False
    dtype: jnp.dtype = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        """Convolve h [n, h, w, c] to [n, h, w, channels]."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, h.shape[-1], self.channels)).astype(
            self.dtype
        )
        bias = self.param("bias", nn.initializers.zeros, (self.channels,)).astype(self.dtype)
        h = h.astype(self.dtype)
        if self.as_matmul:
            height, width = h.shape[1:3]
            padded = jnp.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
            shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
            out = jnp.einsum(
                "nhwi,io->nhwo",
                jnp.concatenate(shifted, axis=-1),
                kernel.reshape(-1, self.channels),
            )
        else:
            out = jax.lax.conv_general_dilated(
                h, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        return out + bias[None, None, None]


class Block(nn.Module):
    """Two convolutions with group normalization, added to the input.

    The embedding scales and shifts between the two.
    """

    channels: int
    as_matmul: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, h: jax.Array, embedding: jax.Array) -> jax.Array:
        """Map h [n, h, w, c] and the embedding [n, e] to [n, h, w, channels]."""
        shortcut = h
        h = Conv(self.channels, self.as_matmul, self.dtype)(nn.silu(_norm(h, self.dtype)))
        scale, shift = jnp.split(
            nn.Dense(2 * self.channels, dtype=self.dtype)(nn.silu(embedding)), 2, axis=-1
        )
        h = _norm(h, self.dtype) * (1 + scale[:, None, None, :]) + shift[:, None, None, :]
        h = Conv(self.channels, self.as_matmul, self.dtype, nn.initializers.zeros)(nn.silu(h))
        if shortcut.shape[-1] != self.channels:
            shortcut = nn.Dense(self.channels, dtype=self.dtype)(shortcut)
        return shortcut + h


class Attention(nn.Module):
    """Self-attention over all pixels, added to its input; zero at first."""

    num_heads: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        """Attend over h [n, h, w, c]; returns its shape."""
        tokens = _norm(h, self.dtype).reshape(h.shape[0], -1, h.shape[-1])
        attend = nn.MultiHeadDotProductAttention(
            num_heads=self.num_heads, dtype=self.dtype, out_kernel_init=nn.initializers.zeros
        )
        return h + attend(tokens).reshape(h.shape)


class UNet(nn.Module):
    """A U-Net over images and noise levels, with a condition or without; zero at first, float32.

    Raises InputError for widths that are not multiples of 8 and for images whose sides cannot be
    halved often enough.

    Attributes:
        channels: the width of each resolution, multiples of 8, the first that of the image, each
            next one half as fine. Attention acts at the coarsest.
        num_classes: with more than 0 a label adds its own embedding; the label num_classes stands
            for 'not given', as does condition=None.
        num_heads: heads of the attention.
        as_matmul: see `Conv`; None for on a CPU only.
        dtype: bfloat16 computes in half the memory; parameters stay float32.
    """

    channels: tuple[int, ...] = (32, 64)
    num_classes: int = 0
    num_heads: int = 1
    as_matmul: bool | None = None
    dtype: jnp.dtype = jnp.float32

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
            An array of the shape of u.
        """
        self._check(u.shape[1:3])
        is_on_cpu = jax.default_backend() == "cpu"
        as_matmul = is_on_cpu if self.as_matmul is None else self.as_matmul
        embedding = nn.silu(nn.Dense(4 * self.channels[0])(log_snr_features(level)))
        embedding = nn.Dense(4 * self.channels[0])(embedding)
        if self.num_classes:
            labels = jnp.full(u.shape[:1], self.num_classes) if condition is None else condition
            embedding += nn.Embed(self.num_classes + 1, 4 * self.channels[0])(labels)
        elif condition is not None:
            embedding += nn.Dense(4 * self.channels[0])(condition)
        embedding = embedding.astype(self.dtype)

        h = Conv(self.channels[0], as_matmul, self.dtype)(u)
        skips = []
        for depth, width in enumerate(self.channels):
            if depth:
                h = nn.Dense(width, dtype=self.dtype)(_halve(h))
            h = Block(width, as_matmul, self.dtype)(h, embedding)
            skips.append(h)
        h = Attention(self.num_heads, self.dtype)(h)
        h = Block(self.channels[-1], as_matmul, self.dtype)(h, embedding)
        for depth, width in reversed(list(enumerate(self.channels))):
            h = Block(width, as_matmul, self.dtype)(
                jnp.concatenate([h, skips[depth]], axis=-1), embedding
            )
            if depth:
                h = _double(nn.Dense(4 * self.channels[depth - 1], dtype=self.dtype)(h))
        h = nn.silu(_norm(h, self.dtype)).astype(jnp.float32)
        return Conv(u.shape[-1], as_matmul, kernel_init=nn.initializers.zeros)(h)

    def _check(self, sides: tuple[int, int]) -> None:
        check_channels("UNet: channels", self.channels)
        halvings = len(self.channels) - 1
        if any(side % 2**halvings for side in sides):
            raise InputError(
                f"UNet: channels has {halvings + 1} levels, but images of {tuple(sides)} "
                f"cannot be halved {halvings} times: give fewer"
            )


def check_channels(name: str, channels: tuple[int, ...]) -> None:
    """Raise an InputError unless the value called `name` can be the widths of a `UNet`."""
    holds = bool(channels) and all(width >= 8 and width % 8 == 0 for width in channels)
    check(holds, name, tuple(channels or ()), "give multiples of 8, one or more")


def _halve(h):
    """[n, h, w, c] -> [n, h/2, w/2, 4 c]: every 2x2 square of pixels becomes one."""
    n, height, width, c = h.shape
    squares = h.reshape(n, height // 2, 2, width // 2, 2, c)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // 2, width // 2, 4 * c)


def _double(h):
    """The inverse of `_halve`."""
    n, height, width, c = h.shape
    squares = h.reshape(n, height, width, 2, 2, c // 4)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, c // 4)


def _norm(h, dtype):
    """Group normalization over eight channels or more."""
    return nn.GroupNorm(num_groups=max(1, h.shape[-1] // 8), dtype=dtype)(h)
