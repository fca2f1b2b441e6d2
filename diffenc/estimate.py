"""Estimators: one value per example inside, `Estimate(mean, stderr)` at the door."""

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A mean over examples with its standard error, in nats unless said."""

    mean: float
    stderr: float

    @classmethod
    def of(cls, values) -> "Estimate":
        """Estimate a mean from one independent value per example [n]; n >= 2.

        Raises ValueError for any other shape: values [seeds, n] are not seeds * n independent ones.
        """
        values = np.asarray(values, np.float64)
        if values.ndim != 1:
            raise ValueError(
                f"a standard error needs independent values [n], not an array {list(values.shape)}"
            )
        if values.size < 2:
            raise ValueError(f"a standard error needs two values or more, got {values.size}")
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)))


def over_seeds(values: np.ndarray) -> Estimate:
    """Take the mean of values [seeds, n], with its error over examples, seeds and draws.

    The scatter of examples is that of their means over seeds. The scatter of seeds is that of their
    means over examples, less what the noise of the single values adds to it: that noise is in the
    scatter of the examples already (analysis of variance in two ways, Searle 1971).
    """
    mean, stderr = Estimate.of(values.mean(axis=0))
    num_seeds = len(values)
    if num_seeds > 1:
        n = values.shape[1]
        of_seeds = values.mean(axis=1, keepdims=True)
        rest = values - of_seeds - values.mean(axis=0, keepdims=True) + mean
        of_noise = np.square(rest).sum() / ((num_seeds - 1) * (n - 1)) / n
        of_training = max(of_seeds.var(ddof=1) - of_noise, 0.0) / num_seeds
        stderr = float(np.sqrt(stderr**2 + of_training))
    return Estimate(mean, stderr)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Give values [n] whose mean is a ratio of means and whose scatter gives its error.

    They are r + (a - r b) / E[b] with r = E[a] / E[b]: the ratio to first order in each example.

    Args:
        numerator: a [n].
        denominator: b [n], of the same examples.
    """
    mean = denominator.mean()
    r = numerator.mean() / mean
    return r + (numerator - r * denominator) / mean


def format_value(mean: float, stderr: float | None, sign: str = "±") -> str:
    """Write a number and its error with two digits of the error, both to the same place.

    Args:
        mean: a finite number.
        stderr: its standard error, or None.
        sign: what stands between them.

    Returns:
        Such as "1.234 ± 0.021".
    """
    if stderr is None or stderr <= 0:
        return f"{mean:.5g}" + ("" if stderr is None else f" {sign} 0")
    places = max(0, 1 - math.floor(math.log10(stderr)))
    if places > 8 or abs(mean) >= 1e9:
        return f"{mean:.5g} {sign} {stderr:.2g}"
    return f"{mean:.{places}f} {sign} {stderr:.{places}f}"


class Spread(NamedTuple):
    """How `map_examples` uses several devices, see `run.division.spread_over`.

    Attributes:
        share: share(n) gives the indices of the examples of this process, as many in each; the
            last may be repeated.
        multiple: of which every batch is one.
        apply: apply(fn, *arrays) is fn(*arrays), of which each device computes a part.
        gather: gather(tree, n) joins the results of all processes, in order, and cuts them to n.
    """

    share: Callable[[int], np.ndarray]
    multiple: int
    apply: Callable
    gather: Callable[[Any, int], Any]


ALONE = Spread(np.arange, 1, lambda fn, *arrays: fn(*arrays), lambda tree, n: tree)
_spread = ALONE


@contextlib.contextmanager
def spread(how: Spread):
    """Let `map_examples` work so within this context."""
    global _spread
    before = _spread
    _spread = how
    try:
        yield
    finally:
        _spread = before


def map_examples(fn, key, x, batch_size: int, progress: Callable[[int], None] = lambda count: None):
    """Apply fn to every example of x [n, ...], each once and in order, in bounded memory.

    Every example has a key of its own, a function of its index, and fn is mapped over batches of
    size one. The batch size therefore bounds the memory and changes no result, except for the order
    in which numbers are added. Within `spread` the same holds for devices and processes: each
    computes a part of the examples, and all have all results.

    Args:
        fn: fn(key, x [1, ...]) -> pytree of [1, ...]; it may not draw one number for several
            examples. For key=None it is fn(None, x [batch, ...]) -> pytree of [batch, ...], a
            function of each example that draws nothing.
        key: is folded with the index of every example; None for no keys.
        x: an array or a tree of them, such as (x, condition).
        batch_size: examples at a time. The last batch is filled up with its last example (one
            compilation) and cut back.
        progress: progress(count) is called after every batch with the number of examples done.

    Returns:
        The results of all examples, numpy arrays [n, ...].
    """
    import jax

    how = _spread
    total = len(jax.tree.leaves(x)[0])
    mine = how.share(total)
    n = len(mine)
    batch_size = -(-min(batch_size, n) // how.multiple) * how.multiple
    parts = []
    for start in range(0, n, batch_size):
        rows = mine[np.minimum(np.arange(start, start + batch_size), n - 1)]
        batch = jax.tree.map(lambda a, rows=rows: np.asarray(a)[rows], x)
        if key is None:
            part = jax.tree.map(np.asarray, how.apply(functools.partial(fn, None), batch))
        else:
            batch = jax.tree.map(lambda a: a[:, None], batch)
            # The checker of key reuse takes the transposed keys of a loop under vmap for used ones.
            with jax.debug_key_reuse(False):
                part = how.apply(jax.vmap(fn), _fold_in_all()(key, rows), batch)
            part = jax.tree.map(lambda a: np.asarray(a)[:, 0], part)
        parts.append(part)
        progress(min(start + batch_size, n) * total // n)
    return how.gather(jax.tree.map(lambda *a: np.concatenate(a)[:n], *parts), total)


@functools.cache
def _fold_in_all():
    """Make fold_in(key, indices [n]) -> keys [n], one program for a batch."""
    import jax

    return jax.jit(jax.vmap(jax.random.fold_in, in_axes=(None, 0)))


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


def median(values) -> Estimate:
    """Estimate a median of times; its standard error comes from the quartiles.

    A dispatch that another process delayed moves neither.
    """
    low, middle, high = np.percentile(np.asarray(values, np.float64), (25.0, 50.0, 75.0))
    return Estimate(float(middle), float(1.25 * (high - low) / 1.35 / len(values) ** 0.5))
