"""Group normalization of images, with what scales and shifts it in one step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

EPSILON = 1e-6  # added to variances, as in flax


class GroupNorm(nn.Module):
    """Group normalization over eight channels or more (Wu & He 2018, arXiv 1803.08494).

    It has the parameters and the numbers of `flax.linen.GroupNorm`. Since a pixel is only
    multiplied and added to, by numbers for each example and channel, these are made first, and the
    image is passed over once.

    Attributes:
        dtype: of the result; means and variances are float32 at least.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, h: jax.Array, scale: jax.Array | None = None, shift: jax.Array | None = None
    ) -> jax.Array:
        """Normalize images.

        Args:
            h: images [n, h, w, c].
            scale: [n, c] or None; what is normalized is multiplied by 1 + scale.
            shift: [n, c] or None; it is added last.

        Returns:
            An array of the shape of h.
        """
        c = h.shape[-1]
        gain = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        h = h.astype(jnp.promote_types(h.dtype, jnp.float32))
        mean = _group_means(jnp.mean(h, axis=(1, 2)))
        square = _group_means(jnp.mean(jnp.square(h), axis=(1, 2)))
        variance = jnp.maximum(square - jnp.square(mean), 0.0)
        factor = gain[None] * jax.lax.rsqrt(variance + EPSILON)
        offset = bias[None] - mean * factor
        if scale is not None:
            factor *= 1 + scale
            offset *= 1 + scale
        if shift is not None:
            offset += shift
        return (h * factor[:, None, None] + offset[:, None, None]).astype(self.dtype)


def _group_means(a):
    """Replace each channel of a [n, c] by the mean of its group.

    As a product with a matrix: XLA would do a sum over groups, which it fuses, for each pixel.
    """
    c = a.shape[-1]
    group = np.arange(c) * max(1, c // 8) // c
    shares = (group[:, None] == group) * (max(1, c // 8) / c)
    return jnp.matmul(a, jnp.asarray(shares, a.dtype), precision="highest")
