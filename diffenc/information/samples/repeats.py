"""Rows that were written more than once: overlapping exports, bootstraps, oversampled classes.

A copy of a row is equal to it in all columns of all blocks, up to rounding. Where only x is equal
and y is not, y was measured anew. Copies in both halves would be recognized by networks rather than
predicted, and they are no further examples.

What is done with them depends on whether the number of copies of a row depends on its values.

* If it does not, every row is used once. The distinct rows follow the same law and are independent
  (those of a bootstrap too), so that nothing is lost and nothing need be corrected.
* If it does, as where rare classes were written more often, the law of the samples is not that of
  the distinct rows. Then all rows are used, which weighs every distinct row by its number, and the
  copies of a row are a cluster (clusters.py).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import ndtri

from diffenc.information.coordinates import gaussian

# Rows count as equal if they differ by less than half of this share of the spread of every column,
# or by less than half of a step where the values lie on a grid. The first share is taken by which
# fewer than MOST_BY_CHANCE of the rows are equal to another by chance; 0 is equality.
PRECISIONS = (1e-5, 0.0)
MOST_BY_CHANCE = 3e-3
# How far neighbours of a row are counted, in these units, to know how many are equal by chance.
REACH = 8
# How many times as many values must recur as do on a grid; which share of them may be single.
SURE = 8
MOST_SINGLE = 0.05
# How far from halfway between two others a value of a grid is (of their distance).
HALFWAY = 0.1
# This share of the distinct rows must be repeated, or it is left as it is.
LEAST_SHARE = 0.01
# A row that is more than this share of all rows is a value of its own weight, such as (0, 0).
LARGEST_SHARE = 0.05
# Chance of taking the number of copies for one that depends on the values, if it does not.
FALSE_ALARMS = 1e-3


@dataclass(frozen=True)
class Repeats:
    """Rows that repeat others.

    Attributes:
        index: the number [N] of every row's set of equal rows.
        first: the first row of every set.
        count: how many rows repeat an earlier one.
        is_chosen: whether the number of copies depends on the values.
    """

    index: np.ndarray
    first: np.ndarray
    count: int
    is_chosen: bool


def find(*blocks: np.ndarray) -> Repeats | None:
    """Find rows that were written more than once.

    Rows of rounded or discrete values are equal by chance, too. The number of distinct rows that
    are repeated is therefore compared with what chance allows. In the smallest case, of a relation
    with one degree of freedom, the pairs of rows that differ, but by no more than 8 steps of their
    grid in any column, are 16 times those that are equal by chance. Copies are reported if the rows
    that have any are more than three times that, and more than a hundredth of the distinct rows.
    The column with the most distinct values must have at least a quarter as many as there are
    distinct rows: of samples that are discrete altogether nothing is known. A row that is more than
    a twentieth of all, such as a pair of zeros, is a value that has a weight of its own, and is
    left as it is.

    Args:
        *blocks: numbers [N] or [N, dim].

    Returns:
        The repeated rows, or None if there are none beyond chance.
    """
    table = np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
    table = table.astype(np.float64)
    copies = None
    for precision in PRECISIONS:
        copies, by_chance = _find(table, precision)
        if by_chance < MOST_BY_CHANCE:
            break
    return copies


def count_recurring(block: np.ndarray) -> int | None:
    """Count the different rows of one block, if its rows recur though those of all blocks do not.

    So they do where several rows are of one subject, whose columns of this block are the same.
    Values of a grid, or of a map of one such as the logarithms of counts, recur by chance. Where
    each of many values is in many rows, too many pairs are near by chance for `find`. So values of
    many digits are also compared with each other: if they lie on a grid, a value has up to sixteen
    others within 8 of its steps, else next to none. Those that recur by chance leave single ones
    where they are rare.

    Args:
        block: numbers [N] or [N, dim].

    Returns:
        The number of different rows, at most N / 2; None where rows are equal by chance.
    """
    table = block.reshape(len(block), -1).astype(np.float64)
    if table.shape[1] == 1:
        values = np.unique(table)
        if 2 * len(values) > len(table) + 1 or _are_regular(values):
            return None
    found = find(block)
    if found is not None:
        return len(found.first) if 2 * len(found.first) <= len(block) else None
    if all(_decimal_step(np.abs(column[column != 0])) for column in table.T):
        return None
    table = table / np.array([_unit(column, PRECISIONS[0]) for column in table.T])
    index = _equal_rows(table)
    counts = np.bincount(index)
    is_heavy = counts > LARGEST_SHARE * len(table)
    different = int(np.sum(np.where(is_heavy, counts, 1)))
    if 2 * different > len(table) or np.mean(counts == 1) > MOST_SINGLE:
        return None
    distinct = table[np.unique(index, return_index=True)[1]]
    tree = cKDTree(distinct)
    near = (tree.count_neighbors(tree, REACH, p=np.inf) - len(counts)) / 2
    return different if len(counts) > SURE * near / (2 * REACH) else None


def count_turned(*blocks: np.ndarray) -> int | None:
    """Count the rows that hold the numbers of another one in another order or with other signs.

    So do pictures that were turned or mirrored, vectors of which both signs were written, and pairs
    that were entered both ways.

    Args:
        *blocks: numbers [N] or [N, dim].

    Returns:
        How many rows are such copies of an earlier one; None where that may be chance.
    """
    table = np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
    if table.shape[1] < 2:
        return None
    sizes = np.sort(np.abs(table.astype(np.float64)), axis=1)
    sizes = sizes[:, np.ptp(sizes, axis=0) > 0]  # those of signs are constant
    copies = find(sizes) if sizes.size else None
    return None if copies is None else copies.count


def _are_regular(values) -> bool:
    """Return whether distinct values in ascending order are those of a grid, or of a map of one.

    Of three successive values the middle one is then nearly halfway in most cases. Between
    independent values of a density it is anywhere.
    """
    gap = np.diff(values)
    if len(gap) < 10:
        return False
    return bool(np.mean(np.abs(gap[1:] - gap[:-1]) < HALFWAY * (gap[1:] + gap[:-1])) > 0.4)


def _find(table, precision) -> tuple[Repeats | None, float]:
    """Find the repeated rows of a table [N, d], and the share of rows that are by chance.

    The share is 0 where it is not needed.
    """
    n = len(table)
    grid = np.array([_unit(column, precision) for column in table.T])
    table = table / grid
    index = _equal_rows(table)
    counts = np.bincount(index)
    is_heavy = counts > LARGEST_SHARE * n
    is_copied = (counts > 1) & ~is_heavy
    if is_copied.sum() <= LEAST_SHARE * len(counts):
        return None, 0.0
    if max(len(np.unique(np.round(column))) for column in table.T) < len(counts) / 4:
        return None, 0.0
    by_chance = _equal_by_chance(table, counts[index])
    if is_copied.sum() <= 3 * n * by_chance:
        return None, by_chance
    # Every row of a heavy value stands for itself.
    heavy = np.flatnonzero(is_heavy[index])
    index[heavy] = len(counts) + np.arange(len(heavy))
    first, index = np.unique(index, return_index=True, return_inverse=True)[1:]
    copies = Repeats(
        index=index,
        first=np.sort(first),
        count=n - len(first),
        is_chosen=_depends_on_values(table[first], np.bincount(index)),
    )
    return copies, by_chance


def _equal_by_chance(table, counts) -> float:
    """Return how many pairs of rows are equal by chance, over the number of rows.

    Args:
        table: [N, d] in units of what counts as equal.
        counts: how many rows are equal to each [N], itself included.
    """
    some = slice(None, None, -(-len(table) // 1000))
    nearest = cKDTree(table).query_ball_point(table[some], REACH, p=np.inf, return_length=True)
    return float(np.mean(nearest - counts[some])) / 2 / (2 * REACH)


def _unit(column, precision) -> float:
    """Return the difference below half of which values count as equal."""
    values = np.unique(column)
    quartiles = np.subtract(*np.percentile(column, (75, 25)))
    spread = quartiles if quartiles > 0 else column.std()
    if len(values) < 2 or not spread > 0:
        return 1.0
    gap = np.diff(values)
    gap = gap[gap > 1e-4 * precision * spread]
    steps = [precision * spread, gap.min() if gap.size else 0.0]
    with np.errstate(over="ignore"):
        short = values.astype(np.float16)
    if np.array_equal(short.astype(np.float64), values):
        steps.append(float(np.median(np.spacing(np.abs(short)))))
    steps.append(_decimal_step(np.abs(values[values != 0])))
    return max(steps)


def _decimal_step(size) -> float:
    """Return the usual step of sizes of five significant digits or fewer, or 0."""
    if len(size) > 20 and not _decimal_step(size[:: len(size) // 10]):
        return 0.0
    decade = np.floor(np.log10(size))
    for digits in range(1, 6):
        step = 10.0 ** (decade - digits + 1)
        if np.all(np.abs(size / step - np.round(size / step)) < 1e-6):
            return float(np.median(step))
    return 0.0


def _equal_rows(table, neighbours=4) -> np.ndarray:
    """Number [N] sets of rows of which each differs from another by 1/2 at most in every column.

    Rows are sorted along one random direction, in which equal ones are neighbours.
    """
    n, dim = table.shape
    direction = np.random.default_rng(0).normal(size=dim)
    scale = np.maximum(table.std(axis=0), 1e-300)
    order = np.argsort((table / scale) @ direction, kind="stable")
    ends = []
    for step in range(1, neighbours + 1):
        first = order[:-step]
        second = order[step:]
        is_equal = np.abs(table[first] - table[second]).max(axis=1) <= 0.5
        ends.append(np.stack([first[is_equal], second[is_equal]]))
    first, second = np.concatenate(ends, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _depends_on_values(distinct, counts) -> bool:
    """Return whether the number of copies [n] depends on the values of the distinct rows [n, d].

    The correlations with every column, its square, and each of its values that is taken by a
    hundredth of the rows are compared with their errors.
    """
    if counts.min() == counts.max():
        return False
    columns = (distinct - distinct.mean(axis=0)) / distinct.std(axis=0)
    scores = gaussian.by_rank(columns)  # those of equal values are equal
    features = [*scores.T, *np.square(scores).T]
    for column in columns.T:
        values, index, share = np.unique(column, return_inverse=True, return_counts=True)
        if len(values) < len(column) / 4:
            frequent = np.flatnonzero(share > max(10, 0.01 * len(column)))
            features += [index == value for value in frequent]
    features = np.stack(features).astype(float)
    features = features - features.mean(axis=1, keepdims=True)
    size = np.linalg.norm(features, axis=1)
    of_counts = counts - counts.mean()
    correlation = features @ of_counts / np.maximum(size * np.linalg.norm(of_counts), 1e-300)
    limit = -ndtri(FALSE_ALARMS / 2 / len(features))
    return bool(np.abs(correlation).max() * len(counts) ** 0.5 > limit)
