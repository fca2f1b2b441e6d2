"""Rows that depend on their neighbours: whether they do, over how many rows, what is done with it.

The average of products r y of two series has the variance of that of N / tau independent ones, with
tau = sum_k rho_r(k) rho_y(k) over all lags (Bartlett 1935). An estimate that takes all rows for
independent is therefore too sure by tau^(1/2), and biased by as much as N / tau examples would bias
it. Only where both blocks depend on their own past is tau above 1.

Independent rows that were sorted look like a series. But of sorted rows the block that they were
not sorted by is a function of the place and white noise, which a series is not: where neighbours
say nothing about each other beyond the place, rows are independent examples, whatever their order.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from diffenc.errors import InputError
from diffenc.information.clusters import MOST_COLUMNS, Clusters
from diffenc.information.coordinates import gaussian

# The nearest rows, and a year of months, a day of hours, a year of weeks.
LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24, 52)
# Chance of taking independent rows for dependent ones, over all columns and lags of a block.
FALSE_ALARMS = 5e-3
# Errors by which the neighbours of a row must tell more than its place, see `is_white`.
WHITE_ERRORS = 4.0
# A column with this many descents at most is sorted: several sorted exports one after the other.
MOST_DESCENTS = 3
# Of Dickey & Fuller's t (1979) with a constant: below it a unit root is rejected at 1 %.
UNIT_ROOT = -3.43
# The mean over blocks, above which all count as random walks: one of two independent walks is below
# UNIT_ROOT twice as often as one alone.
MEAN_UNIT_ROOT = -3.3
# How far apart values are that the neighbours of a row are compared with, see `is_white`.
FAR = 3
# Below this tau errors by blocks are no better.
LEAST_MEMORY = 1.1
# Standard errors of a correlation of neighbours, from which on a column has an extent.
MATTERS = 4.0
MOST_BLOCKS = 50
FEWEST_BLOCKS = 20
# The first return has this share of the largest one or more, see `_period`.
FIRST_RETURN = 0.8
REMEDY = (
    "take differences, or rows further apart, or many series (groups=...); if the rows are "
    "independent examples that were sorted, say order='exchangeable'"
)


class Order(NamedTuple):
    """What the order of the rows tells about their dependence.

    Attributes:
        clusters: blocks of consecutive rows, or None if rows are independent examples.
        memory: over how many rows they depend on each other, 0 if they do not.
        has_drift: whether both blocks change along the rows though neighbours are independent.
        is_sorted: whether that is because rows are sorted by a column, but resemble their
            neighbours beyond it.
        period: after how many rows those of all blocks resemble earlier ones again, 0 if never.
    """

    clusters: Clusters | None = None
    memory: float = 0.0
    has_drift: bool = False
    is_sorted: bool = False
    period: int = 0


def examine(*blocks: np.ndarray, by_column: bool = False) -> Order:
    """Examine whether rows depend on their neighbours, and make blocks of them if they do.

    1. Rows are independent unless two blocks (or the only one) have a column of which the normal
       scores, or those of their size, are correlated at a lag of `LAGS`. For independent rows these
       correlations have the error N^-1/2 whatever the law.
    2. They are if they were sorted by a column, and the columns of the other blocks are white
       beyond what the place tells, see `is_white`.
    3. If the products of the scores stay alike over more than a fortieth of the rows, there are
       not twenty blocks of twice that length. If all columns of a block are white beyond the place,
       the rows were sorted by something else, and are taken as independent; else the samples are
       refused.
    4. So they are if each block has a unit root, and with it no stationary law, or nearly so.
    5. Otherwise rows are divided into 20 to 50 blocks, unless tau is below 1.1.

    Rows that are not refused or sorted may come in turns, see `_period`.

    Args:
        *blocks: numbers [N, dim] of which none is constant.
        by_column: whether all blocks are asked about each other, as the columns of one are, rather
            than the first about the others.

    Returns:
        The dependence.

    Raises:
        InputError: for a series that has too few independent rows for any error.
    """
    n = len(blocks[0])
    scores = [_scores(block) for block in blocks]
    chance = FALSE_ALARMS / max(1.0, len(blocks) / 2)
    are_dependent = [_depends_on_past(block, chance) for block in scores]
    if sum(are_dependent) < min(2, len(blocks)):
        return Order(period=_period(scores))
    are_sorted = [
        (place, column)
        for place, block in enumerate(blocks)
        for column in range(block.shape[1])
        if are_dependent[place] and _is_sorted(block[:, column])
    ]
    if any(_is_sorted_by(blocks, scores, place, column) for place, column in are_sorted):
        return Order()
    dependent = [block for block, depends in zip(scores, are_dependent, strict=True) if depends]
    extents = [_extent(block) for block in dependent]
    fast, slow = sorted([*extents, extents[0]] if len(blocks) == 1 else extents)[-2:]
    extent = fast * slow / (fast + slow)
    inflation, memory = _measure(dependent, extent, by_column)
    if memory < LEAST_MEMORY:
        return Order(period=_period(scores))
    if max(extent, memory / 2) > n / (2 * FEWEST_BLOCKS):
        if any(_are_white(block) for block in dependent):
            return Order(has_drift=True, is_sorted=bool(are_sorted))
        raise InputError(
            f"consecutive rows depend on each other over about {max(extent, memory):.0f} of {n} "
            f"rows, as in a random walk or a slow cycle: no error covers that; {REMEDY}"
        )
    roots = [_unit_root_statistic(block) for block in dependent]
    if min(roots) > UNIT_ROOT or np.mean(roots) > MEAN_UNIT_ROOT:
        raise InputError(
            "each block has a column that is near a random walk (Dickey & Fuller's t of "
            f"{', '.join(f'{root:.1f}' for root in roots)}): random walks are correlated whatever "
            f"their information is; {REMEDY}"
        )
    length = int(np.clip(np.ceil(2 * memory), n / MOST_BLOCKS, n / FEWEST_BLOCKS))
    index = np.minimum(np.arange(n) // length, n // length - 1)
    scale = (1 - memory / (2 * length)) ** -0.5
    clusters = Clusters(index, inflation, float(scale), gap=int(np.ceil(memory)))
    return Order(clusters, memory, period=_period(scores, memory))


def _scores(block) -> np.ndarray:
    """Return the normal scores [N, dim] of all columns; those of equal values are equal."""
    return gaussian.by_rank(block[:, : 2 * MOST_COLUMNS])


def _sizes(scores) -> np.ndarray:
    """Return the normal scores of the sizes of scores, of columns of which these differ."""
    size = np.abs(scores)
    return gaussian.by_rank(size[:, np.ptp(size, axis=0) > 1e-9])


def _depends_on_past(scores, chance) -> bool:
    """Return whether a correlation of one of `LAGS` is beyond chance."""
    columns = np.concatenate([scores, _sizes(scores)], axis=1)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    n = len(columns)
    lags = [lag for lag in LAGS if lag < n / 4]
    sizes = [np.abs(np.sum(columns[lag:] * columns[:-lag], axis=0) + 1) for lag in lags]
    limit = -ndtri(chance / 2 / columns.shape[1] / len(lags))
    return bool(np.max(sizes) > limit * n**0.5)


def _period(blocks, memory: float = 1.0) -> int:
    """Return after how many rows all blocks resemble earlier rows again, or 0.

    So they do where subjects are measured in turns, where a grid is written row by row, and in a
    cycle. The autocorrelation rises again after it has fallen, in one column or size of each
    block, by more than FALSE_ALARMS allow at any lag up to a quarter of the rows; correlations of
    a series scatter by memory^(1/2) more.
    """
    n = len(blocks[0])
    returns = []
    for block in blocks:
        rho = _autocorrelation(np.concatenate([block, _sizes(block)], axis=1))[: n // 4]
        lowest = np.maximum(np.minimum.accumulate(rho, axis=0), 0.0)
        limit = -ndtri(FALSE_ALARMS / 2 / rho.size) * (memory / n) ** 0.5
        returns.append(np.max(rho - lowest, axis=1) / limit)
    of_all = np.min(returns, axis=0)
    if of_all.max() <= 1:
        return 0
    first = int(np.argmax(of_all >= max(1.0, FIRST_RETURN * of_all.max())))
    return first + int(np.argmax(of_all[first : first + 1 + first // 5]))


def _is_sorted(column) -> bool:
    """Return whether a column is sorted, or of few values and equal ones lie together."""
    step = np.diff(column)
    if min(np.sum(step < 0), np.sum(step > 0)) <= MOST_DESCENTS:
        return True
    values = len(np.unique(column))
    return values < len(column) / 10 and np.sum(step != 0) < values


def _is_sorted_by(blocks, scores, place, column) -> bool:
    """Return whether, given this column, the columns of other blocks are independent row by row.

    Of a single block these are its other columns.
    """
    by = blocks[place][:, column]
    others = [block for index, block in enumerate(scores) if index != place]
    if len(blocks) == 1:
        others = [scores[0][:, np.arange(scores[0].shape[1]) != column]]
    return all(_are_white(block, by) for block in others)


def _are_white(scores, place: np.ndarray | None = None) -> bool:
    return all(is_white(column, place) for column in scores.T)


def is_white(values: np.ndarray, place: np.ndarray | None = None) -> bool:
    """Return whether values are a smooth function of their place and independent noise.

    A value less the interpolation of those h before and after it,

        r_i = z_i - w_i z_(i-h) - (1 - w_i) z_(i+h),

    has no smooth part. Of noise of variance s^2, E r_i^2 / (1 + w_i^2 + (1 - w_i)^2) = s^2 for
    every h. Of a random walk it grows like h, of other series like the distance of neighbours from
    each other. The logarithms of its means over blocks are compared for h = 3 and 1.

    Args:
        values: [N].
        place: [N] of the values; None if they are equally far apart.

    Returns:
        Whether the mean difference is below four of its errors by blocks.
    """
    near = _interpolation_error(values, place, 1)[FAR - 1 : 1 - FAR]
    far = _interpolation_error(values, place, FAR)
    least = 1e-3 * near.mean() + 1e-300
    count = min(MOST_BLOCKS, len(near) // 10)
    by_block = [
        np.log((np.mean(far[rows]) + least) / (np.mean(near[rows]) + least))
        for rows in np.array_split(np.arange(len(near)), count)
    ]
    return bool(np.mean(by_block) <= WHITE_ERRORS * np.std(by_block, ddof=1) / count**0.5)


def _interpolation_error(values, place, step) -> np.ndarray:
    """Return r_i^2 / (1 + w_i^2 + (1 - w_i)^2) of `is_white` [N - 2 step]."""
    before = values[: -2 * step]
    middle = values[step:-step]
    after = values[2 * step :]
    weight = np.full(len(before), 0.5)
    if place is not None:
        width = place[2 * step :] - place[: -2 * step]
        inside = (place[2 * step :] - place[step:-step]) * np.sign(width)
        is_between = (inside >= 0) & (inside <= np.abs(width)) & (width != 0)
        weight[is_between] = inside[is_between] / np.abs(width[is_between])
    rest = middle - weight * before - (1 - weight) * after
    return np.square(rest) / (1 + np.square(weight) + np.square(1 - weight))


def _extent(scores) -> float:
    """Return the lag at which the autocorrelation has fallen to 1 / e, of the slowest column.

    It is averaged over the next half as many lags; a sign that changes from row to row is undone.
    """
    columns = np.concatenate([scores, _sizes(scores)], axis=1)
    rho = _autocorrelation(columns)
    lags = np.arange(len(rho))
    rho = rho * np.where(rho[1] < 0, (1 - 2 * (lags % 2))[:, None], 1)
    total = np.cumsum(rho, axis=0)
    starts = np.arange(1, len(rho) // 2)
    ends = starts + np.maximum(2, starts // 2)
    mean = (total[ends] - total[starts]) / (ends - starts)[:, None]
    matters = np.abs(rho[1]) * len(scores) ** 0.5 > MATTERS
    if not matters.any():
        return 1.0
    below = mean[:, matters] < rho[1, matters] / np.e
    lag = np.where(below.any(axis=0), starts[below.argmax(axis=0)], starts[-1])
    return float(lag.max())


def _measure(blocks, extent: float, by_column: bool) -> tuple[float, float]:
    """Measure tau of the products of scores: its mean over all pairs, and the largest.

    The sum goes over five times the lags over which products stay alike. Pairs are those of a
    column of the first block and one of the others, and by column also of every further block and
    those after it, of `MOST_COLUMNS` at most. A block is what is left of it after a linear
    regression on those after it. The same is done with sizes of scores.
    """
    end = int(5 * extent) + 5
    num_first = min(max(1, len(blocks) - 1), MOST_COLUMNS) if by_column else 1
    taus = []
    for of in (_centred, _sizes):
        parts = [of(block[:, :MOST_COLUMNS]) for block in blocks]
        rhos = [_autocorrelation(part, end) for part in parts]
        of_parts = []
        for place in range(num_first):
            first = parts[place]
            rest = np.concatenate([first[:, :0], *parts[place + 1 :]], axis=1)
            rho = rhos[place]
            if rest.size:
                rho = _autocorrelation(first - rest @ np.linalg.lstsq(rest, first)[0], end)
            rho_rest = np.concatenate(rhos[place + 1 :] or rhos, axis=1)
            of_parts.append((2 * rho.T @ rho_rest - 1).ravel())
        of_pairs = np.concatenate(of_parts)
        if of_pairs.size:
            taus.append(of_pairs)
    means = [tau.mean() for tau in taus]
    return float(max(1.0, *means)), float(max(1.0, *(tau.max() for tau in taus)))


def _centred(scores):
    return scores - scores.mean(axis=0)


def _autocorrelation(columns, end: int | None = None) -> np.ndarray:
    """Return the autocorrelation [N / 2, d] of columns [N, d].

    With an end, it is that of the lags below, without the bias by the means of the columns, whose
    variance is their sum over N.
    """
    n = len(columns)
    columns = columns - columns.mean(axis=0)
    spectrum = np.square(np.abs(np.fft.rfft(columns, 2 * n, axis=0)))
    covariance = np.fft.irfft(spectrum, axis=0)[: n // 2]
    rho = covariance / np.maximum(covariance[0], 1e-300)
    if end is None:
        return rho
    of_mean = np.maximum(2 * rho[:end].sum(axis=0) - 1, 0.0) / n
    return (rho[:end] + of_mean) / (1 + of_mean)


def _unit_root_statistic(scores) -> float:
    """Return Dickey & Fuller's t of the column that is nearest to a unit root."""
    centred = scores - scores.mean(axis=0)
    before = centred[:-1]
    step = np.diff(centred, axis=0)
    slope = np.sum(before * step, axis=0) / np.sum(np.square(before), axis=0)
    rest = step - slope * before
    error = np.sqrt(np.mean(np.square(rest), axis=0) / np.sum(np.square(before), axis=0))
    return float(np.max(slope / error))
