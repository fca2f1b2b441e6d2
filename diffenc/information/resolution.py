"""What an estimate did not resolve, as nearest neighbours and regressions on terms tell.

Information of some columns is never more than that of all (data processing). So where nearest
neighbours of a few columns show more than the estimate of all of them, the estimate is too low:
many columns hide the few that tell something, or the relation is finer than networks resolve.
Where two or three columns tell only together, no neighbours of a pair show it, but a regression on
their product does (terms.py), whose information is a lower limit, too.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from diffenc.estimate import Estimate
from diffenc.information import neighbours, terms
from diffenc.information.assembly import Information
from diffenc.information.neighbours import Neighbours

# Standard errors by which the neighbours' information must be larger: to doubt the estimate, and
# to look for a better one. That of the neighbours is a fifth too small.
DOUBTED = 2.5
CONTRADICTED = 3.5
# What neighbours miss falls like 1 / N where a relation has curves, and like N^-1/2 where it has
# edges: it is so many times what the second half of the rows has added.
OF_CURVES = 1.0
OF_EDGES = 1 / (2**0.5 - 1)
# Standard errors by which terms must gain on rows that did not choose them.
GAINED = 3.0
# Chance that a column which tells nothing is taken as one that tells something.
CHANCE = 0.01


def resolve(
    result: Information,
    x: np.ndarray,
    y: np.ndarray,
    estimate_again: Callable[[list[int], list[int]], Information],
) -> Information:
    """Compare an estimate with nearest neighbours and terms, and mend it if they contradict it.

    Where one of them shows more by CONTRADICTED standard errors, the columns that by themselves
    depend on one of the other block, and those of the terms, are estimated alone; that estimate is
    returned if it is larger by three standard errors. If neighbours show still more, the estimate
    is theirs, with what further rows would add to it by what the second half of the rows has added.
    A difference of DOUBTED standard errors or more that is left goes into the error.

    Args:
        result: the estimate of all columns.
        x: scores [N, dim_x], rows in random order.
        y: scores [N, dim_y].
        estimate_again: estimate_again(columns of x, columns of y) is that of these alone.

    Returns:
        The estimate with `nearest`; `columns` and `is_by_neighbours` say what was done.
    """
    near = neighbours.strongest(x, y)
    sets = sets_of(x, y)
    is_contradicted = _excess(near.estimate, result) > CONTRADICTED
    if is_contradicted or any(_excess(one.limit, result) > CONTRADICTED for one in sets):
        parts = [telling(x, y), *(one.columns for one in sets)]
        parts += [near.columns] if is_contradicted else []
        columns_x, columns_y = [sorted(set().union(*some)) for some in zip(*parts, strict=True)]
        columns = tuple(columns_x), tuple(columns_y)
        if len(columns_x) + len(columns_y) < x.shape[1] + y.shape[1]:
            some = estimate_again(columns_x, columns_y)
            gain = some.estimate.mean - result.estimate.mean
            error = np.hypot(some.estimate.stderr, result.estimate.stderr)
            if gain > 3 * error:
                result = some._replace(columns=columns)
            near = max(near, _nearest_of(x, y, columns), key=lambda one: one.estimate.mean)
    result = result._replace(nearest=near)
    if _excess(near.estimate, result) > CONTRADICTED:
        return _by_neighbours(result, near)
    limits = [Set(near.columns, near.estimate), *sets]
    largest = max(limits, key=lambda one: _excess(one.limit, result))
    if _excess(largest.limit, result) <= DOUBTED:
        return result
    gap = largest.limit.mean - result.estimate.mean
    stderr = float(np.hypot(result.estimate.stderr, gap))
    return result._replace(
        estimate=Estimate(result.estimate.mean, stderr),
        unresolved=gap,
        terms_of=None if largest is limits[0] else largest.columns,
    )


def _by_neighbours(result: Information, near: Neighbours) -> Information:
    """Return the neighbours' information, with what is missing of it by the number of rows."""
    growth = max(near.growth, 0.0)
    mean = near.estimate.mean + OF_CURVES * growth
    stderr = near.estimate.stderr
    unresolved = float(np.hypot((OF_EDGES - OF_CURVES) * growth, stderr)) if growth else 0.0
    return result._replace(
        estimate=Estimate(mean, float(np.hypot(stderr, unresolved))),
        pointwise=result.pointwise + mean - result.estimate.mean,
        unresolved=unresolved,
        is_by_neighbours=True,
    )


class Set(NamedTuple):
    """Columns of both blocks that tell together, and a lower limit of the information.

    Attributes:
        columns: those of x and of y.
        limit: what they show (nats); it holds up to its error.
    """

    columns: tuple[tuple[int, ...], tuple[int, ...]]
    limit: Estimate


def sets_of(x, y) -> list[Set]:
    """Return columns of both blocks that tell together, by terms of x and by terms of y.

    Few columns are compared whole by their neighbours, and need no terms.
    """
    if x.shape[1] + y.shape[1] <= neighbours.FEW_COLUMNS:
        return []
    sets = []
    for block, other, is_exchanged in ((x, y, False), (y, x, True)):
        found = terms.search(block, other)
        if found is None or found.gain.mean <= GAINED * found.gain.stderr:
            continue
        columns = (found.columns, (found.target,))
        sets.append(Set(columns[::-1] if is_exchanged else columns, found.information))
    return sets


def _nearest_of(x, y, columns) -> Neighbours:
    """Return the information by neighbours of these columns, see `neighbours.strongest`."""
    near = neighbours.strongest(x[:, columns[0]], y[:, columns[1]])
    of_x, of_y = [
        tuple(block[place] for place in places)
        for block, places in zip(columns, near.columns, strict=True)
    ]
    return near._replace(columns=(of_x, of_y))


def _excess(limit: Estimate, result: Information) -> float:
    """Give by how many standard errors a lower limit exceeds the estimate.

    These are the errors of sampling: an estimate that doubts itself is contradicted no less.
    """
    gap = limit.mean - result.estimate.mean
    return gap / float(np.hypot(limit.stderr, result.errors["examples"]))


def telling(x: np.ndarray, y: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the columns of x and of y that depend on one of the other block.

    The limit is what the largest coefficient of independent columns exceeds by CHANCE. Of those of
    `neighbours.screen`, Chatterjee's scatter most: they are normal of variance 2 / 5N.
    """
    x = x[: neighbours.CHOOSING_ROWS]
    y = y[: neighbours.CHOOSING_ROWS]
    strength = neighbours.screen(x, y)
    limit = (2 / 5 / len(x)) ** 0.5 * -ndtri(CHANCE / (2 * strength.size))
    tells = strength > limit
    return np.flatnonzero(tells.any(axis=1)).tolist(), np.flatnonzero(tells.any(axis=0)).tolist()
