"""Columns of repeated values that a column of the other block determines: copies that were rounded.

If Y = f(X) takes values that repeat, as a staircase of X does, or a copy of X that was rounded, the
information is finite: I(X;Y) = H(Y), whatever else X holds. No regression, network or neighbour
resolves edges as sharp as those of f, but none is needed: H(Y) is estimated from the counts of the
values, by Chao, Wang & Jost (2013, Methods Ecol. Evol. 4, 1091), who add to the plug-in entropy
what values that were not seen are expected to have.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.codes.count_table import CountTable, plug_in_entropy
from diffenc.information.coordinates import gaussian
from diffenc.information.samples.checks import check

# Chance that independent columns look as if one determined the other.
FALSE_ALARMS = 1e-9
# Of fewer values there are labels, whose information is estimated as that.
FEWEST_VALUES = 3
# Of the values, this share must have been seen twice, or their entropy is not estimated.
LEAST_REPEATED = 0.5
# Where fewer repeat, so many must to call the column a function.
LEAST_TO_REFUSE = 30


class Steps(NamedTuple):
    """A column of repeated values that a column of the other block determines.

    Attributes:
        of: which block determines it: "x" or "y".
        column: by which of its columns.
        num_values: how many different ones there are.
        entropy: their information, as that of a table.
    """

    of: str
    column: int
    num_values: int
    entropy: CountTable


def find_steps(x: np.ndarray, y: np.ndarray) -> Steps | None:
    """Find out whether the only column of a block is a function, of repeated values, of the other.

    It is one if every value of a column of the other block has one value of it, and this is no
    chance: either every one of its values is a single run of rows in the order of that column, or
    that column's own values repeat and the rows of each agree. Independent columns look like this
    with a chance of `FALSE_ALARMS`. Noise that is so small that not a single row shows it is not
    seen; what it takes from the information is about the error of the entropy at most. Row numbers
    determine whatever was sorted, and are no such column.

    Args:
        x: numbers [N] or [N, dim], independent rows.
        y: as x.

    Returns:
        The column with its entropy, or None.

    Raises:
        InputError: there is such a column, but so few of its values repeat that its entropy is not
            known; and for samples that `checks.check` refuses.
    """
    x, y = check(x, y)
    for name, block, other, values in (("x", x, "y", y), ("y", y, "x", x)):
        if values.shape[1] > 1 or not gaussian.has_ties(values)[0]:
            continue
        counts = np.unique(values, return_counts=True)[1]
        repeated = np.sum(counts > 1)
        is_known = repeated >= LEAST_REPEATED * len(counts)
        if len(counts) < FEWEST_VALUES or not (is_known or repeated >= LEAST_TO_REFUSE):
            continue
        for place, column in enumerate(block.T):
            if not _determines(column, values[:, 0]):
                continue
            if not is_known:
                raise InputError(
                    f"{other} column 0 is a function of {name} column {place}: their information "
                    f"is the entropy of its values, or infinite, but of {len(counts)} values only "
                    f"{repeated} repeat in {len(values)} rows: give more rows, or coarser values"
                )
            return Steps(name, place, len(counts), entropy_of(values[:, 0]))
    return None


def _determines(column, values) -> bool:
    """Return whether every value of a column [N] has one of the values [N], and not by chance."""
    n = len(column)
    if np.array_equal(np.sort(column) - column.min(), np.arange(n)):
        return False  # row numbers
    order = np.lexsort((values, column))
    is_step = np.diff(values[order]) != 0
    if np.any(is_step & (np.diff(column[order]) == 0)):
        return False
    counts = np.unique(values, return_counts=True)[1]
    limit = np.log(FALSE_ALARMS)
    if np.sum(is_step) + 1 == len(counts):
        # The orders of n rows in which equal values lie together, over all of them.
        orders = gammaln(len(counts) + 1) + np.sum(gammaln(counts + 1)) - gammaln(n + 1)
        return bool(orders < limit)
    times, number = np.unique(np.unique(column, return_counts=True)[1], return_counts=True)
    agree = [logsumexp(rows * np.log(counts / n)) for rows in times]
    is_by_chance = np.sum(number * agree) > limit
    return bool(not is_by_chance and np.sum(number[times > 1]) >= LEAST_REPEATED * np.sum(number))


def entropy_of(values: np.ndarray) -> CountTable:
    """Estimate the entropy of repeated values.

    The sampling error is that of -log p (the delta method). The systematic one is a quarter of what
    is added to the plug-in entropy. Of 300 samples each of uniform, normal and exponential laws, of
    200 to 1,000 rows and 30 to 1,000 values of which half or more repeat, two such errors leave out
    the truth in 5 % of the samples or fewer of most laws, and in 9 % of the worst (lognormal).

    Args:
        values: [N].

    Returns:
        The entropy, as the information of the values with themselves.
    """
    index, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    n = len(index)
    plug_in = plug_in_entropy(counts)
    mean = chao_wang_jost(counts)
    surprise = -np.log(counts[index] / n)
    sampling = Estimate.of(surprise).stderr
    systematic = (mean - plug_in) / 4
    return CountTable(
        estimate=Estimate(mean, float(np.hypot(sampling, systematic))),
        plug_in=plug_in,
        null=0.0,
        pointwise=surprise + mean - plug_in,
        sampling=float(sampling),
        systematic=systematic,
        counts=np.diag(counts),
    )


def chao_wang_jost(counts: np.ndarray) -> float:
    """Estimate the entropy (nats) of counts [K], all above 0.

    The expected number of new values in further rows is extrapolated from how many were seen once
    and twice, f_1 and f_2: with A = 2 f_2 / ((n - 1) f_1 + 2 f_2),

        H = sum_k c_k / n (psi(n) - psi(c_k))
            + f_1 / n (1 - A)^(1 - n) (-log A - sum_(r < n) (1 - A)^r / r).
    """
    n = int(counts.sum())
    seen = float(np.sum(counts / n * (digamma(n) - digamma(counts))))
    once = int(np.sum(counts == 1))
    twice = int(np.sum(counts == 2))
    if not once:
        return seen
    if twice:
        share = 2 * twice / ((n - 1) * once + 2 * twice)
    else:
        share = 2 / ((n - 1) * (once - 1) + 2)
    if share == 1:
        return seen
    if share * n < 1:
        powers = np.arange(1, n)
        rest = -np.log(share) - np.sum((1 - share) ** powers / powers)
        return seen + float(once / n * (1 - share) ** (1 - n) * rest)
    # The same as the rest of the series of -log A, without the difference of large numbers.
    powers = np.arange(int(40 / share) + 1)
    return seen + float(once / n * np.sum((1 - share) ** (powers + 1) / (n + powers)))
