"""Clusters: sets of rows that depend on each other, such as a subject, copies, a stretch of time.

An estimate takes rows for independent examples in three places: a network that was trained on one
half is evaluated on the other, errors are those of independent values, and biases are those of so
many examples. With clusters, all rows of one go to the same half, the rows of a cluster count
together in errors (Liang & Zeger 1986), and biases are those of the effective number of rows.
"""

from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate

FEWEST = 20
# Columns of a block that the effective number of rows is measured by, at most.
MOST_COLUMNS = 20


class Clusters(NamedTuple):
    """Which rows belong together.

    Attributes:
        index: the cluster of every row: whole numbers of any shape, that of the values whose error
            is asked for.
        inflation: rows over their effective number, 1 or more.
        scale: errors are multiplied by it: clusters that are stretches of a series depend a little
            on their neighbours.
        gap: rows that are left out where the series passes from one half to the other.
    """

    index: np.ndarray  # type: ignore[assignment]  # hides the method of tuples
    inflation: float = 1.0
    scale: float = 1.0
    gap: int = 0

    def at(self, rows) -> "Clusters":
        """Return the clusters of these rows, in their order."""
        return self._replace(index=self.index[rows])


def estimate(values: np.ndarray, clusters: Clusters | None) -> Estimate:
    """Estimate a mean from values of any shape, one for each row.

    Args:
        values: of the rows.
        clusters: of the same rows; None if all are independent.

    Returns:
        The mean with its standard error: with clusters that of their sums.
    """
    values = np.asarray(values, np.float64).ravel()
    if clusters is None:
        return Estimate.of(values)
    mean = float(values.mean())
    index = np.unique(clusters.index.ravel(), return_inverse=True)[1]
    sums = np.bincount(index, weights=values - mean)
    count = len(sums)
    stderr = np.sqrt(np.sum(np.square(sums)) * count / (count - 1)) / values.size
    return Estimate(mean, clusters.scale * float(stderr))


def inflation_of(clusters: Clusters | None) -> float:
    """Return rows over their effective number."""
    return 1.0 if clusters is None else clusters.inflation


def some_rows(clusters: Clusters, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return rows that hardly depend on each other: one of each cluster, or some of a series.

    Clusters differ in size, and what is in the large ones would count for too little.

    Args:
        clusters: of the rows [N].
        rng: draws rows such that all have the same chance: a cluster is taken in proportion to its
            size, and of it any row. With None, it is the first row of every cluster.

    Returns:
        The rows [k].
    """
    if clusters.gap:
        return np.arange(0, len(clusters.index), clusters.gap)
    if rng is None:
        return np.unique(clusters.index, return_index=True)[1]
    order = rng.permutation(len(clusters.index))
    _, first, counts = np.unique(clusters.index[order], return_index=True, return_counts=True)
    return order[first[rng.random(len(counts)) * np.max(counts) < counts]]


def divide(order: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Divide rows into halves, every cluster whole.

    Args:
        order: a random order [k] of the clusters 0, ..., k - 1.
        clusters: of the rows [N], by these numbers.

    Returns:
        [2, n] the rows of each half, cluster by cluster. The halves are equally large: what one has
        more than the other is left out, and so are the rows of the gaps. n is a number of five
        binary digits and zeros, so that programs are compiled for few sizes.
    """
    place = np.argsort(order)
    rows = np.argsort(place[clusters.index], kind="stable")
    ends = np.cumsum(np.bincount(clusters.index, minlength=len(order))[order])
    middle = ends[np.argmin(np.abs(ends - len(rows) / 2))]
    is_second = np.zeros(len(rows), bool)
    is_second[rows[middle:]] = True
    if clusters.gap:
        passages = np.flatnonzero(np.diff(is_second))
        reach = np.arange(clusters.gap) - (clusters.gap - 1) // 2
        near = np.clip(passages[:, None] + reach, 0, len(rows) - 1)
        rows = rows[~np.isin(rows, near)]
    first = rows[~is_second[rows]]
    second = rows[is_second[rows]]
    n = min(len(first), len(second))
    zeros = max(0, n.bit_length() - 5)
    n = n >> zeros << zeros
    return np.stack([first[:n], second[:n]])


def is_odd(shape: tuple[int, int], clusters: Clusters | None) -> np.ndarray:
    """Return which rows are odd [2, n]: every other one of a half, or those of every other cluster.

    Args:
        shape: (2, n).
        clusters: of the rows of both halves, in which each is contiguous; None for none.
    """
    if clusters is None:
        return np.broadcast_to(np.arange(shape[1]) % 2 == 1, shape)
    begins = np.diff(clusters.index.reshape(shape), axis=1, prepend=-1) != 0
    return np.cumsum(begins, axis=1) % 2 == 0


def measure_inflation(scores: list[np.ndarray], index: np.ndarray) -> float:
    """Measure rows over their effective number, by the products that a covariance is the mean of.

    Args:
        scores: white blocks [N, dim]; of two, products are those of a column of one and a column of
            the other, else those of all columns.
        index: the cluster [N] of every row.

    Returns:
        The variance of the mean of a product over that of independent rows, averaged over the
        products; 1 at least.
    """
    blocks = [block[:, :MOST_COLUMNS] for block in scores]
    ratios = []
    for column in blocks[0].T:
        products = column[:, None] * blocks[-1]
        products = products - products.mean(axis=0)
        sums = np.stack([np.bincount(index, weights=one) for one in products.T])
        ratios.append(np.sum(np.square(sums), axis=1) / np.sum(np.square(products), axis=0))
    return max(1.0, float(np.mean(ratios)))


def read(groups, n: int) -> np.ndarray:
    """Read what a caller gave as the groups of rows.

    Args:
        groups: one value for each row, equal in rows of one group: numbers or names.
        n: number of rows.

    Returns:
        The number [N] of the group of every row, from 0.

    Raises:
        InputError: for groups that cannot be halved or have no error.
    """
    values = np.asarray(groups)
    if values.shape not in ((n,), (n, 1)):
        raise InputError(
            f"groups has shape {values.shape} beside {n} rows: give one value for each row"
        )
    values = values.reshape(n)
    is_missing = values != values  # NaN alone is not equal to itself
    if np.any(is_missing):
        raise InputError(f"groups is empty in row {np.argmax(is_missing)}: drop such rows")
    values = values.astype(str) if values.dtype.kind == "O" else values
    index, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    if len(counts) < FEWEST or np.max(counts) > n / 4:
        raise InputError(
            f"groups has {len(counts)} different values, the most frequent in {np.max(counts)} of "
            f"{n} rows: give {FEWEST} groups or more and none of more than a quarter of the rows, "
            "since only groups are independent"
        )
    return index
