"""The coordinates y = W^-1 (z - m) of a Gaussian N(m, W W^T), and Newton steps of its mean.

Shapes: mean m and points z, y [batch, d]; factor W [batch, d, d], lower triangular. Each row has
its own Gaussian.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular


class Frame(NamedTuple):
    """A Gaussian N(m, W W^T) for each row, and the coordinates y = W^-1 (z - m) that it defines.

    Attributes:
        mean: m [batch, d].
        factor: W [batch, d, d], lower triangular with positive diagonal.
    """

    mean: jax.Array
    factor: jax.Array


def apply(mean: jax.Array, factor: jax.Array, y: jax.Array) -> jax.Array:
    """Compute z = m + W y."""
    return mean + jnp.einsum("bij,bj->bi", factor, y)


def solve(factor: jax.Array, vector: jax.Array, lower: bool = True) -> jax.Array:
    """Compute W^-1 vector; for lower=False, W is upper triangular."""
    return solve_triangular(factor, vector[..., None], lower=lower)[..., 0]


def pull(factor: jax.Array, gradient: jax.Array) -> jax.Array:
    """Compute W^T gradient, which makes a gradient in z one in y."""
    return jnp.einsum("bij,bi->bj", factor, gradient)


def trusted(whitened_gradient: jax.Array, bound: float) -> jax.Array:
    """Shorten the gradient to a length of at most bound sqrt(d).

    A standard normal's is about sqrt(d) long, and a longer Newton step would leave the place where
    its quadratic model holds.
    """
    norm = jnp.linalg.norm(whitened_gradient, axis=-1, keepdims=True)
    limit = bound * whitened_gradient.shape[-1] ** 0.5
    return whitened_gradient * jnp.minimum(1.0, limit / jnp.maximum(norm, limit))


class Peak(NamedTuple):
    """Where Newton steps ended.

    Attributes:
        mean: m [batch, d].
        log_density: there [batch].
        gradient: W^T grad log_density there [batch, d].
    """

    mean: jax.Array
    log_density: jax.Array
    gradient: jax.Array


def newton(
    log_density: Callable, mean: jax.Array, factor: jax.Array, num_steps: int, bound: float = 2.0
) -> Peak:
    """Move the mean by Newton steps m <- m + s W W^T grad log_density(m) towards the mode.

    No step goes downhill: s starts at 1, is quartered where a step went downhill (the row then
    stays where it was) and doubled up to 1 where it did not. One step is exact if log_density is
    that of a Gaussian of covariance W W^T. The cost is num_steps + 1 gradients. Iterative
    refinement of an amortized mean is due to Marino et al. (1807.09356) and Kim et al.
    (1802.02550).

    Args:
        log_density: z [batch, d] -> [batch], row by row.
        mean: m [batch, d].
        factor: W [batch, d, d].
        num_steps: number of steps.
        bound: of the length of a whitened gradient, see `trusted`.

    Returns:
        The moved mean, and what is known there.
    """

    def look(z):
        value, pull_back = jax.vjp(log_density, z)
        return value, pull(factor, pull_back(jnp.ones_like(value))[0])

    def body(carry, _):
        best, value, gradient, size = carry
        candidate = apply(best, factor, size[:, None] * trusted(gradient, bound))
        new_value, new_gradient = look(candidate)
        uphill = new_value > value
        best = jnp.where(uphill[:, None], candidate, best)
        gradient = jnp.where(uphill[:, None], new_gradient, gradient)
        size = jnp.where(uphill, jnp.minimum(2 * size, 1.0), size / 4)
        value = jnp.where(uphill, new_value, value)
        return (best, value, gradient, size), None

    start = (mean, *look(mean), jnp.ones(mean.shape[0], mean.dtype))
    return Peak(*jax.lax.scan(body, start, length=num_steps)[0][:3])
