"""Cycles of a column of which the rows resolve none by itself, such as the hours of time stamps.

    t = f(x mod P) + rest

Nearest neighbours and networks need several rows in each cycle. The power of t at all frequencies
of x, as Lomb (1976) takes it for uneven times, needs several in all. The largest is chosen on one
half of the rows; what the place within its cycle tells of t, a lower limit of the information of x
and t, is measured on the other half.
"""

from typing import NamedTuple

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information.codes.count_table import table_information
from diffenc.keys import rng_of

# Cycles over the range of a column: at least, and at most for each row that chooses.
FEWEST = 8
MOST = 2
# Cells of the range in the shortest cycle.
CELLS = 8
# Columns that are searched, and targets, at most.
MOST_COLUMNS = 10
MOST_TARGETS = 10
# Rows at most by which a cycle is chosen.
CHOOSING_ROWS = 5_000
# A column of fewer values is left to codes.
FEWEST_VALUES = 50
# Chance that a cycle is chosen of columns that tell nothing; it still has to pass the other half.
CHANCE = 0.01
# Of values at even distances, several frequencies have the largest power: the least is taken.
AS_LARGE = 0.95
# Parts of a cycle, and of the values of a target.
PARTS = 12
LEVELS = 6


class Cycle(NamedTuple):
    """A cycle of a column that tells of a target.

    Attributes:
        column: of the block.
        target: of the other one.
        period: in the units of the column.
        information: of the place in the cycle and the target, on rows that did not choose them.
    """

    column: int
    target: int
    period: float
    information: Estimate


def of_target(values: np.ndarray, targets: np.ndarray) -> Cycle | None:
    """Find the cycle of a column that tells most of a target.

    Args:
        values: numbers [N, dim]; rows in random order.
        targets: normal scores [N, k].

    Returns:
        The cycle; None if none is beyond chance.
    """
    place = _search(values, targets)
    if place is None:
        return None
    levels = np.argsort(np.argsort(targets[:, place[1]])) * LEVELS // len(targets)
    return _judge(values, levels, *place)


def of_labels(values: np.ndarray, labels: np.ndarray) -> Cycle | None:
    """Find the cycle of a column that tells most of labels [N] from 0; as `of_target` does."""
    indicators = np.eye(labels.max() + 1)[labels]
    place = _search(values, indicators - indicators.mean(axis=0))
    return None if place is None else _judge(values, labels, place[0], 0, place[2])


def _judge(values, levels, column, target, period) -> Cycle:
    half = len(values) // 2
    phase = np.floor(PARTS * np.mod(values[half:, column] / period, 1.0)).astype(np.int64)
    table = table_information(rng_of(0, "cycle"), phase, levels[half:])
    return Cycle(column, target, period, table.estimate)


def _search(values, targets) -> tuple[int, int, float] | None:
    """Return the column, the target and the period of the largest power on the first rows."""
    half = min(len(values) // 2, CHOOSING_ROWS)
    targets = targets[:half, :MOST_TARGETS]
    targets = (targets - targets.mean(axis=0)) / np.maximum(targets.std(axis=0), 1e-12)
    values = values[:half, :MOST_COLUMNS]
    top = MOST * half
    best = None
    largest = np.log(2 * top * values.shape[1] * targets.shape[1] / CHANCE)
    for column, of_column in enumerate(values.T):
        span = float(np.ptp(of_column))
        if len(np.unique(of_column)) < FEWEST_VALUES or not np.isfinite(span):
            continue
        cells = CELLS * top
        cell = np.minimum((of_column - of_column.min()) / span * cells, cells - 1).astype(np.int64)
        for target, of_target in enumerate(targets.T):
            sums = np.bincount(cell, of_target, cells)
            # Twice as many cells give frequencies at half the distance.
            power = np.square(np.abs(np.fft.rfft(sums, 2 * cells)[: 2 * top + 1])) / half
            power[: 2 * FEWEST] = 0.0
            if power.max() > largest:
                largest = power.max()
                first = int(np.argmax(power >= AS_LARGE * largest)) / 2
                best = column, target, span / _refine(of_column / span, of_target, first)
    return best


def _refine(values, target, cycles) -> float:
    """Return the frequency of the largest power within half a cycle of one."""
    near = cycles + np.linspace(-0.5, 0.5, 101)
    power = np.abs(np.exp(-2j * np.pi * np.outer(near, values - values.min())) @ target)
    return float(near[np.argmax(power)])
