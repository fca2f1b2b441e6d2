"""Convolutions of images, and what halves their sides."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from diffenc.errors import InputError, check
from diffenc.networks.bilinear import convolve


class Conv(nn.Module):
    """A 3x3 convolution, zero outside the image.

    Attributes:
        channels: number of channels of the output.
        dtype: the type it computes in.
        kernel_init: the initializer of the kernel.
    """

    channels: int
    dtype: DTypeLike = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        """Convolve h [n, h, w, c] to [n, h, w, channels]."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, h.shape[-1], self.channels)).astype(
            self.dtype
        )
        bias = self.param("bias", nn.initializers.zeros, (self.channels,)).astype(self.dtype)
        return convolve(h.astype(self.dtype), kernel) + bias[None, None, None]


class ConvEmbed(nn.Module):
    """Convolutions that turn images into vectors: [n, h, w, c] -> [n, features].

    For each width the sides are halved, a 2x2 square of pixels becoming one, before a 3x3
    convolution and silu: together a 6x6 convolution of stride 2. There are
    h w / 4^len(channels) * channels[-1] features.

    Raises InputError for what is no batch of images, and for sides that cannot be halved
    len(channels) times. Both name the field `embed_channels`, by which networks take the widths.

    Attributes:
        channels: the width of each convolution.
    """

    channels: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Embed x [n, h, w, c] as [n, features]."""
        self._check(x.shape)
        for width in self.channels:
            x = nn.silu(Conv(width)(halve(x)))
        return x.reshape(x.shape[0], -1)

    def _check(self, shape: tuple[int, ...]) -> None:
        channels = tuple(self.channels)
        holds = bool(channels) and min(channels) >= 1
        check(holds, "embed_channels", channels, "give widths of 1 or more")
        if len(shape) != 4:
            raise InputError(
                f"embed_channels is {channels}, but the data are {list(shape[1:])} for each "
                "example: give images [height, width, channels], or no embed_channels"
            )
        check_halvings(f"embed_channels has {len(channels)} widths", shape[1:3], len(channels))


def check_halvings(cause: str, sides: tuple[int, ...], num_halvings: int) -> None:
    """Raise an InputError unless the sides of an image can be halved so many times.

    Args:
        cause: the start of the message, as in "UNet: channels has 3 levels".
        sides: height and width.
        num_halvings: how many times they will be halved.
    """
    if any(side % 2**num_halvings for side in sides):
        raise InputError(
            f"{cause}, but images of {tuple(sides)} cannot be halved {num_halvings} times: "
            "give fewer"
        )


def halve(h: jax.Array) -> jax.Array:
    """[n, h, w, c] -> [n, h/2, w/2, 4 c]: every 2x2 square of pixels becomes one."""
    n, height, width, c = h.shape
    squares = h.reshape(n, height // 2, 2, width // 2, 2, c)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // 2, width // 2, 4 * c)


def double(h: jax.Array) -> jax.Array:
    """[n, h, w, 4 c] -> [n, 2 h, 2 w, c]: the inverse of `halve`."""
    n, height, width, c = h.shape
    squares = h.reshape(n, height, width, 2, 2, c // 4)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, c // 4)
