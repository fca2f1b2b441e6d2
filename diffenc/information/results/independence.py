"""A test of the independence of x and y, by statistics of permuted pairs.

If x and y are independent, the rows of y may be put in any order without a change of the joint law.
A statistic of the samples then is as likely as not above those of permuted samples, and

    p = (1 + number of permutations whose statistic is at least as large) / (1 + permutations)

is below any level with at most that probability: exactly, for whatever samples. Several statistics,
which see different relations (dependence.py), are computed of the same permutations. The smallest
of their p is compared with the smallest of every permutation (Westfall & Young 1993), so that the
test stays exact although the best of them is taken.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError, check_whole
from diffenc.information.results import dependence
from diffenc.information.samples.kinds import Kinds
from diffenc.information.samples.rows import Rows
from diffenc.keys import rng_of

# With fewer no p is at most 0.05.
LEAST_PERMUTATIONS = 19
# Rows of which at most the statistics are computed, chosen at random.
MOST_ROWS = 50_000
# Groups that are permuted among each other, at least; larger ones are cut to the smallest of them.
LEAST_GROUPS = 20
# Entries of the orders that are held at a time.
MOST_ENTRIES = 1_000_000


class Samples(NamedTuple):
    """What an estimate was made of: the caller's own arrays, not copies of them.

    Attributes:
        x: numbers [N] or [N, dim], or codes [N].
        y: as x.
        x_are_codes: whether x is codes, such as class labels.
        y_are_codes: whether y is codes.
        groups: [N] the group of every row, or None if rows are independent. Groups are independent,
            their rows are not.
        memory: over how many rows of a series they depend on each other; 0 for no series. Groups
            are not asked then.
    """

    x: np.ndarray
    y: np.ndarray
    x_are_codes: bool = False
    y_are_codes: bool = False
    groups: np.ndarray | None = None
    memory: float = 0.0


def samples_of(pair: Kinds, rows: Rows) -> Samples:
    """Return the samples of an estimate.

    Where rows were repeated by their values, those are the distinct rows: copies would be permuted
    among sets of equally many, and the number that rows were repeated by may tell y. The number
    that depends on x alone, or on y alone, changes nothing of their independence.

    Args:
        pair: x and y with the kinds of their columns. Codes beside numbers are taken as one column
            of 0 and 1 for each.
        rows: which of them depend on each other.

    Returns:
        The samples.
    """
    x = pair.x.values
    y = pair.y.values
    if pair.case == "chain":
        assert pair.codes is not None, "x of a chain holds codes"
        x = _beside(x, np.eye(pair.codes.max() + 1)[pair.codes][:, 1:])
    if pair.case == "mixed":
        y = _beside(y, pair.indicators)
    are_codes = (pair.case == "table", pair.case in ("table", "labels", "chain"))
    if rows.facts.get("weighted") and not rows.facts.get("grouped"):
        return Samples(x[rows.first], y[rows.first], *are_codes)
    groups = None
    memory = 0
    if rows.clusters is not None:  # of a series they are stretches of it
        memory = rows.clusters.gap
        groups = None if memory else rows.clusters.index
    return Samples(x, y, *are_codes, groups, memory)


def _beside(numbers, indicators):
    return np.concatenate([numbers.reshape(len(numbers), -1), indicators], axis=1)


@dataclass(frozen=True, repr=False)
class Independence:
    """The result of a test of independence.

    Attributes:
        p_value: probability, if x and y are independent, of samples that look at least as
            dependent. The smallest there is is 1 / (1 + permutations).
        permutations: number of them.
        statistics: the p of every statistic by itself. The smallest of them is no p, since it was
            chosen; `p_value` is.
    """

    p_value: float
    permutations: int
    statistics: dict[str, float]

    def __str__(self) -> str:
        by_name = ", ".join(f"{name} {p:.2g}" for name, p in self.statistics.items())
        return f"independent? p = {self.p_value:.2g} ({self.permutations} permutations; {by_name})"

    __repr__ = __str__


def permutation_test(samples: Samples, permutations: int = 499, seed: int = 0) -> Independence:
    """Test the independence of x and y by permuted pairs.

    Rows are taken for independent examples, unless the samples say otherwise: groups are permuted
    whole, among groups of about their size, and a series is shifted in a circle. Shifts are exact
    where the series is long beside its memory.

    Args:
        samples: x and y.
        permutations: number of them, 19 or more. The p-value has an error of
            (p (1 - p) / permutations)^1/2.
        seed: a whole number of 0 or more; another seed gives other permutations.

    Returns:
        The p-value.

    Raises:
        InputError: for too few permutations, or for a series with fewer shifts.
    """
    check_whole("permutations", permutations, LEAST_PERMUTATIONS)
    rng = rng_of(seed, "permutations")
    rows, orders = _make_orders(rng, samples, int(permutations))
    x = dependence.read_side(np.asarray(samples.x)[rows], samples.x_are_codes)
    y = dependence.read_side(np.asarray(samples.y)[rows], samples.y_are_codes)
    for name, side in (("x", x), ("y", y)):
        if not side.scores.shape[1]:
            raise InputError(f"{name} is constant: give samples that vary")
    statistics = dependence.make_statistics(rng, x, y)
    values: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for order in orders:
        for name, statistic in statistics.items():
            values[name].append(statistic.values(order))
    table = np.stack([_combine(np.concatenate(values[name])) for name in statistics])
    if np.all(np.ptp(table, axis=1) <= 1e-9 * np.abs(table).max(axis=1)):
        raise InputError(
            "no permutation changes anything: groups are permuted among those of their size, and "
            "the size of a group tells all of x or of y: give as many rows of each"
        )
    return _compare(table, list(statistics))


def _combine(values):
    """Return the largest [count] of values [count, k], each beside its own spread."""
    if values.shape[1] == 1:
        return values[:, 0]
    size = values.std(axis=0)
    is_kept = size > 1e-12
    if not is_kept.any():
        return np.zeros(len(values))
    values = (values[:, is_kept] - values[:, is_kept].mean(axis=0)) / size[is_kept]
    return values.max(axis=1)


def _compare(table: np.ndarray, names: list[str]) -> Independence:
    """Compare the samples with their permutations by the smallest p of several statistics.

    Args:
        table: statistics [k, 1 + permutations]; the samples come first.
        names: of the statistics.

    Returns:
        The p-value. Samples and permutations are treated alike, so that ranks are exact. Of equal
        smallest p, the one whose statistic is farther above the others counts as smaller.
    """
    table = table.astype(np.float32)  # what is equal up to rounding counts as equal
    count = table.shape[1]
    p = np.stack([count - np.searchsorted(np.sort(row), row) for row in table]) / count
    least = p.min(axis=0)
    middle, high = np.quantile(table, [0.5, 0.95], axis=1)[:, :, None]
    width = high - middle
    excess = np.max((table - middle) / np.where(width > 0, width, np.inf), axis=0)
    excess = excess.astype(np.float32)
    as_small = (least < least[0]) | ((least == least[0]) & (excess >= excess[0]))
    by_name = dict(zip(names, p[:, 0].tolist(), strict=True))
    return Independence(float(as_small.mean()), count - 1, by_name)


def _make_orders(rng, samples: Samples, permutations: int):
    """Choose the rows that are used, and make the orders of y.

    Args:
        rng: a generator.
        samples: x and y.
        permutations: number of orders after the first.

    Returns:
        rows: [n].
        orders: an iterator over arrays [count, n] of places among these rows, 1 + permutations of
            them; the first is as the samples are.
    """
    n = len(samples.x)
    if samples.memory:
        rows = np.arange(min(n, MOST_ROWS))
        shifts = _choose_shifts(rng, len(rows), samples.memory, permutations)
        return rows, _shifted(len(rows), shifts)
    if samples.groups is None:
        rows = rng.permutation(n)[:MOST_ROWS]
        return rows, _permuted(rng, [np.arange(len(rows))[:, None]], permutations)
    rows, blocks = _divide(rng, np.asarray(samples.groups).ravel())
    return rows, _permuted(rng, blocks, permutations)


def _choose_shifts(rng, n, memory, permutations) -> np.ndarray:
    """Choose shifts of a series of n rows.

    Shifts within the memory are among them. Their statistics resemble those of the samples, as
    those of any two neighbouring shifts resemble each other; without them p is too small.
    """
    if n - 2 * memory < LEAST_PERMUTATIONS:
        raise InputError(
            f"{n} rows that depend on each other over {memory:.0f} cannot be shifted by more than "
            "that: give a longer series"
        )
    return rng.permutation(np.arange(1, n))[:permutations]


def _shifted(n, shifts):
    """Yield the orders of shifts in a circle."""
    shifts = np.concatenate([[0], shifts])
    size = max(1, MOST_ENTRIES // n)
    for start in range(0, len(shifts), size):
        yield ((np.arange(n) + shifts[start : start + size, None]) % n).astype(np.int32)


def _permuted(rng, blocks: list[np.ndarray], permutations: int):
    """Yield the orders in which rows of each array of places are permuted.

    Args:
        rng: a generator.
        blocks: arrays [groups, rows of a group] of places, one for each size of groups.
        permutations: number of orders after the first.
    """
    n = sum(block.size for block in blocks)
    size = max(1, MOST_ENTRIES // n)
    left = 1 + permutations
    while left:
        count = min(size, left)
        parts = []
        for block in blocks:
            index = np.tile(np.arange(len(block), dtype=np.int32), (count, 1))
            index = rng.permuted(index, axis=1)
            if left == 1 + permutations:
                index[0] = np.arange(len(block))
            parts.append(block[index].reshape(count, -1))
        yield np.concatenate(parts, axis=1).astype(np.int32)
        left -= count


def _divide(rng, groups: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Divide groups by size, and cut those that are permuted among each other to one size.

    Groups of one size are together, and as many sizes as make `LEAST_GROUPS` groups. The order of
    the rows of a group is random.

    Args:
        rng: a generator.
        groups: the group [N] of every row.

    Returns:
        rows: [n] the rows that are used.
        blocks: arrays [groups, rows of a group] of places among these rows.
    """
    index = np.unique(groups, return_inverse=True)[1]
    shuffled = rng.permutation(len(groups))
    shuffled = shuffled[np.argsort(index[shuffled], kind="stable")]
    members = np.split(shuffled, np.cumsum(np.bincount(index))[:-1])
    members = sorted((members[i] for i in rng.permutation(len(members))), key=len)
    sets: list[list[np.ndarray]] = [[]]
    for group in members:
        if len(sets[-1]) >= LEAST_GROUPS and len(group) > len(sets[-1][-1]):
            sets.append([])
        sets[-1].append(group)
    if len(sets) > 1 and len(sets[-1]) < LEAST_GROUPS:
        last = sets.pop()
        sets[-1].extend(last)
    blocks = []
    parts = []
    used = 0
    for together in sets:
        size = len(together[0])
        part = np.concatenate([group[:size] for group in together])
        parts.append(part)
        blocks.append(np.arange(used, used + len(part)).reshape(len(together), size))
        used += len(part)
    return np.concatenate(parts), blocks
