"""Estimators: one value per example inside, `Estimate(mean, stderr)` at the door."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A mean over examples with its standard error, in nats unless said."""

    mean: float
    stderr: float

    @classmethod
    def of(cls, values) -> "Estimate":
        """From one independent value per example [n]; n >= 2."""
        values = np.asarray(values, np.float64).ravel()
        if values.size < 2:
            raise ValueError(f"a standard error needs two values or more, got {values.size}")
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)))


def map_examples(fn, key, x, batch_size: int):
    """Apply fn(key, x_batch) -> pytree of [batch, ...] to all of x [n, ...] in bounded memory, each
    example once.

    x may be a tree of arrays, such as (x, condition). The last batch is filled up with its last
    example (one compilation) and cut back. key is None for an fn that draws nothing. Returns numpy
    arrays [n, ...].
    """
    import jax

    n = len(jax.tree.leaves(x)[0])
    batch_size = min(batch_size, n)
    parts = []
    for index, start in enumerate(range(0, n, batch_size)):
        rows = np.minimum(np.arange(start, start + batch_size), n - 1)
        own = None if key is None else jax.random.fold_in(key, index)
        part = fn(own, jax.tree.map(lambda a, rows=rows: a[rows], x))
        parts.append(jax.tree.map(np.asarray, part))
    return jax.tree.map(lambda *a: np.concatenate(a)[:n], *parts)


def bootstrap(
    statistic: Callable[[Any], Any], resample: Callable[[], Any], num_resamples: int = 500
):
    """Estimate standard errors of a statistic by the bootstrap (Efron 1979).

    Args:
        statistic: of a sample; a number, or several as a sequence.
        resample: draws a sample anew, of the size of the original, with replacement.
        num_resamples: how often it does; the error itself is known to 1 / sqrt(2 num_resamples).

    Returns:
        Standard deviations of the statistic over the samples, in the statistic's shape.
    """
    return np.std([statistic(resample()) for _ in range(num_resamples)], axis=0, ddof=1)


def resampled_mean(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Draw the mean of values [n, k] over n examples chosen with replacement, [k]."""
    n = len(values)
    return rng.multinomial(n, np.full(n, 1 / n)) @ values / n
