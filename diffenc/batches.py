"""A function of examples, applied to any number of them by few compiled programs."""

from collections.abc import Callable

import jax
import numpy as np

from diffenc import compilation
from diffenc.estimate import map_examples


def map_padded(
    fn: Callable,
    key: jax.Array | None,
    rows: np.ndarray,
    batch_size: int,
    progress: Callable[[int], None] | None = None,
):
    """Apply fn by `map_examples` to rows that are filled up to a batch of a power of two.

    It computes as experiments evaluate, and with the programs of earlier processes.

    Args:
        fn: see `map_examples`.
        key: see `map_examples`.
        rows: [n, ...].
        batch_size: the largest number of rows at a time.
        progress: called with the number of rows done.

    Returns:
        The results of all rows, numpy arrays [n, ...].
    """
    count = len(rows)
    size = min(batch_size, 1 << (count - 1).bit_length())
    batch = rows[np.minimum(np.arange(max(count, size)), count - 1)]

    def show(done):
        if progress is not None:
            progress(min(done, count))

    with compilation.cache(), jax.default_matmul_precision("highest"), jax.enable_x64(False):
        results = map_examples(fn, key, batch, size, show)
    return jax.tree.map(lambda values: values[:count], results)
