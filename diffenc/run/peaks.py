"""The limits of a device, measured: products of matrices and copies, a second."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

REPEATS = 5  # of a program, of which the best counts
CACHED_BYTES = 2**18  # of an array that stays in a cache of a CPU
MEMORY_BYTES = 2**27  # of one that does not


def matrix_peak(side: int, precision: str = "float32", products: int = 20) -> float:
    """Measure the operations a second of square matrix products on one device, the best of some.

    Args:
        side: of the matrices, so large that the device is busy.
        precision: of the products.
        products: made at once.
    """
    a = jnp.full((side, side), 1 / side, precision)  # which is its own product

    @jax.jit
    def multiply(a):
        return jax.lax.fori_loop(0, products, lambda _, b: a @ b, a)

    return products * 2 * side**3 / _least_seconds(multiply, a)


def copy_peak(size: int) -> float:
    """Measure the bytes a second that one device reads and writes in passes over an array.

    Args:
        size: of the array, in bytes: such as stays in a cache, or such as does not.
    """
    # Several passes at once: in the first one memory is new, and its pages are slow to come.
    passes = max(20, 2**27 // size)
    a = jnp.zeros(size // 4, jnp.float32)

    @jax.jit
    def copy(a, one):
        return jax.lax.fori_loop(0, passes, lambda _, b: b + one, a)

    return passes * 2 * a.nbytes / _least_seconds(copy, a, jnp.float32(1))


def _least_seconds(program: Callable, *inputs) -> float:
    jax.block_until_ready(program(*inputs))
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(program(*inputs))
        seconds.append(time.perf_counter() - began)
    return min(seconds)
