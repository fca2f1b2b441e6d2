"""Nearest neighbours: what they tell of an information in few dimensions.

The first estimator of Kraskov et al. (arXiv cond-mat/0305641),

    psi(k) + psi(N) - <psi(n_x + 1) + psi(n_y + 1)>

counts neighbours in the maximum norm of (x, y), so it depends on how x is scaled against y, though
the information does not. A relation that changes fast along x is seen where x counts for more.
Where the law is not even within the distance to the k-th neighbour, the estimate is too low, hardly
ever too high; so the largest over the relative scales is nearest to the truth. The largest of
several noisy values is too high by about half an error. That is made up for along single columns
by counting the farthest neighbour, too, which is lower by about 1 / n_x. Then there is no bias
beyond the error on independent and on Gaussian pairs, as
tests/information/comparisons/test_neighbours.py shows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from diffenc.estimate import Estimate

NEIGHBOURS = 4
# By what x is multiplied against y: of a pair of columns, and of blocks of more.
SCALES = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
FEW_SCALES = (1 / 4, 1.0, 4.0)
# Pairs of columns whose neighbours are counted, after a screening of all pairs.
CANDIDATES = 3
# Blocks of so many columns together are compared whole, too.
FEW_COLUMNS = 4
# Into so many parts the rows are divided to learn how the information grows with their number.
PARTS = (2, 4)
# Scatter of what all rows show more than a quarter, in standard errors of all: of sets of 300 to
# 4,000 rows with edges or without a relation 1.15 to 1.35, of normal ones 0.7 to 0.95.
GROWTH_SCATTER = 1.3
# Chance that a column which tells nothing is taken as one that tells something.
CHANCE = 0.01
# Rows at most by which columns are chosen, and those that are counted: these take 3 seconds.
CHOOSING_ROWS = 2_000
COUNTED_ROWS = 10_000


class Neighbours(NamedTuple):
    """The information of some columns by nearest neighbours.

    Attributes:
        estimate: in nats; what other columns add is not in it.
        missing: what it misses where the relation is finer than the distances of neighbours, see
            `missing`.
        columns: those of x and of y.
    """

    estimate: Estimate
    missing: Estimate
    columns: tuple[tuple[int, ...], tuple[int, ...]]


def ksg(
    x: np.ndarray, y: np.ndarray, neighbours: int = NEIGHBOURS, is_cautious: bool = False
) -> Estimate:
    """Compute the estimator of x [N, dim_x] and y [N, dim_y], as they are scaled.

    The error is that of the mean, as if its terms were independent.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        neighbours: k.
        is_cautious: whether the farthest neighbour is counted in a block of one column.

    Returns:
        The information in nats.
    """
    return Estimate.of(_terms(x, y, neighbours, is_cautious))


def _terms(x, y, neighbours, is_cautious) -> np.ndarray:
    joint = np.concatenate([x, y], axis=1)
    farthest = cKDTree(joint).query(joint, k=neighbours + 1, p=np.inf)[0][:, -1]
    radius = np.nextafter(farthest, 0)
    terms = digamma(neighbours) + digamma(len(x))
    for block in (x, y):  # the point itself is one of them
        terms = terms - digamma(_count_within(block, radius, is_cautious))
    return terms


def _count_within(block, radius, is_cautious):
    """Count the points [N] of the block within the radius [N] of each of them."""
    if block.shape[1] > 1:
        return cKDTree(block).query_ball_point(block, radius, p=np.inf, return_length=True)
    values = block[:, 0]
    ordered = np.sort(values)
    # Sums are rounded more coarsely than the radius: they may end at the farthest neighbour.
    rounding = 4 * np.spacing(np.abs(values) + radius)
    reach = np.maximum(radius + (rounding if is_cautious else -rounding), 0.0)
    up_to = np.searchsorted(ordered, values + reach, side="right")
    return up_to - np.searchsorted(ordered, values - reach, side="left")


def largest(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Compute the largest of the estimators over the relative scales of x and y.

    Args:
        x: scores [N, dim_x].
        y: scores [N, dim_y].

    Returns:
        The information in nats.
    """
    return Estimate.of(largest_terms(x, y))


def largest_terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute the terms [N] of `largest`, whose mean it is."""
    scales = SCALES if x.shape[1] == y.shape[1] == 1 else FEW_SCALES
    return max((_terms(scale * x, y, NEIGHBOURS, True) for scale in scales), key=np.mean)


def strongest(x: np.ndarray, y: np.ndarray) -> Neighbours:
    """Find the columns that tell the most of each other by nearest neighbours.

    All pairs of a column of x and one of y are screened; of the best ones neighbours are counted,
    and of both blocks whole if they are of few columns together. Columns are chosen by half of
    the rows at most, and measured by all.

    Args:
        x: scores [N, dim_x]; their rows in random order.
        y: scores [N, dim_y].

    Returns:
        The largest information by neighbours.
    """
    x = x[:COUNTED_ROWS]
    y = y[:COUNTED_ROWS]
    chosen_by = min(len(x) // 2, CHOOSING_ROWS)
    of_x, of_y = _choose(x[:chosen_by], y[:chosen_by])
    x = x[:, of_x]
    y = y[:, of_y]

    def of_part(part):
        return largest(x[part], y[part]).mean

    by_all = largest(x, y)
    lacking = missing(of_part, by_all, len(of_x) + len(of_y))
    return Neighbours(by_all, lacking, (tuple(of_x), tuple(of_y)))


def missing(of_part: Callable[[slice], float], by_all: Estimate, dim: int) -> Estimate:
    """Estimate what neighbours miss of an information by its growth with the number of rows.

    If it falls like N^-a, 1 / p of the rows misses p^a as much, and all of them miss what they show
    more than that part over p^a - 1. Of a relation with curves a is 1, and of one with edges, by
    the distance of neighbours, 1 / dim. Parts are halves and quarters; where the rows have just
    begun to show the relation, the halves tell of more.

    Args:
        of_part: of_part(rows) is the information of a slice of the rows (nats).
        by_all: that of all rows.
        dim: columns of x and of y.

    Returns:
        The middle of the least and the most of these (nats): below 0 by chance, so that without a
        relation it is 0 on average. Its error holds half of their distance, and the scatter of the
        growth of quarters.
    """
    lacks = []
    for parts in PARTS:
        by_parts = np.mean([of_part(slice(first, None, parts)) for first in range(parts)])
        growth = by_all.mean - float(by_parts)
        lacks += [growth / (parts**power - 1) for power in (1, 1 / dim)]
    scatter = GROWTH_SCATTER * by_all.stderr / (PARTS[-1] ** (1 / dim) - 1)
    stderr = np.hypot((max(lacks) - min(lacks)) / 2, scatter)
    return Estimate((max(lacks) + min(lacks)) / 2, float(stderr))


def _choose(x, y) -> tuple[list[int], list[int]]:
    """Return the columns of x and of y with the largest information by neighbours."""
    strength = screen(x, y)
    order = np.argsort(-strength, axis=None)[:CANDIDATES]
    places = zip(*np.unravel_index(order, strength.shape), strict=True)
    candidates = [([int(i)], [int(j)]) for i, j in places]
    if 2 < x.shape[1] + y.shape[1] <= FEW_COLUMNS:
        candidates.append((list(range(x.shape[1])), list(range(y.shape[1]))))
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda one: largest(x[:, one[0]], y[:, one[1]]).mean)


def screen(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Measure the dependence of all pairs of columns, coarsely and fast.

    The largest of four coefficients that are 0, up to chance, of independent columns: that of
    Chatterjee (arXiv 1909.10140) either way, and the squared correlations of the columns and of
    their squares.

    Args:
        x: [N, dim_x], columns without ties.
        y: [N, dim_y].

    Returns:
        [dim_x, dim_y].
    """
    coefficients = [
        _chatterjee(x, y),
        _chatterjee(y, x).T,
        np.square(_correlation(x, y)),
        np.square(_correlation(np.square(x), np.square(y))),
    ]
    return np.max(coefficients, axis=0)


def _chatterjee(x, y):
    """Return 1 - 3 sum |difference of successive ranks of y in the order of x| / (N^2 - 1)."""
    n = len(x)
    ranks = np.argsort(np.argsort(y, axis=0), axis=0)
    steps = [np.abs(np.diff(ranks[np.argsort(column)], axis=0)).sum(axis=0) for column in x.T]
    return 1 - 3 * np.array(steps) / (n**2 - 1)


def _correlation(x, y):
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return x.T @ y / len(x)
