"""What an estimate did not resolve, as nearest neighbours tell.

Information of some columns is never more than that of all (data processing). So where nearest
neighbours of a few columns show more than the estimate of all of them, the estimate is too low:
many columns hide the few that tell something, or the relation is finer than networks resolve.
"""

from collections.abc import Callable

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import neighbours
from diffenc.information.assembly import Information

# Standard errors by which the neighbours' information must be larger: to doubt the estimate, and
# to look for a better one. That of the neighbours is a fifth too small.
DOUBTED = 2.5
CONTRADICTED = 3.5
# Chance that a column which tells nothing is taken as one that tells something.
CHANCE = 0.01


def resolve(
    rng: np.random.Generator,
    result: Information,
    x: np.ndarray,
    y: np.ndarray,
    estimate_again: Callable[[list[int], list[int]], Information],
) -> Information:
    """Compare an estimate with nearest neighbours, and mend it where they contradict it.

    Where they show more by CONTRADICTED standard errors, the columns that by themselves depend on
    one of the other block are estimated alone; that estimate is returned if it is larger by three
    standard errors. If neighbours show still more, the estimate is theirs, and its error holds what
    the second half of the rows has added. A difference of DOUBTED standard errors or more that is
    left goes into the error.

    Args:
        rng: for shuffled rows.
        result: the estimate of all columns.
        x: scores [N, dim_x], rows in random order.
        y: scores [N, dim_y].
        estimate_again: estimate_again(columns of x, columns of y) is that of these alone.

    Returns:
        The estimate with `nearest`; `columns` and `is_by_neighbours` say what was done.
    """
    near = neighbours.strongest(x, y)
    if _excess(near, result) > CONTRADICTED:
        columns_x, columns_y = _telling(rng, x, y)
        if len(columns_x) + len(columns_y) < x.shape[1] + y.shape[1]:
            some = estimate_again(columns_x, columns_y)
            gain = some.estimate.mean - result.estimate.mean
            error = np.hypot(some.estimate.stderr, result.estimate.stderr)
            if gain > 3 * error:
                result = some._replace(columns=(tuple(columns_x), tuple(columns_y)))
    excess = _excess(near, result)
    result = result._replace(nearest=near)
    if excess <= DOUBTED:
        return result
    gap = near.estimate.mean - result.estimate.mean
    if excess <= CONTRADICTED:
        stderr = float(np.hypot(result.estimate.stderr, gap))
        return result._replace(estimate=Estimate(result.estimate.mean, stderr), unresolved=gap)
    growth = max(near.growth, 0.0)
    stderr = float(np.hypot(near.estimate.stderr, growth))
    return result._replace(
        estimate=Estimate(near.estimate.mean, stderr),
        pointwise=result.pointwise + gap,
        unresolved=growth,
        is_by_neighbours=True,
    )


def _excess(near: neighbours.Neighbours, result: Information) -> float:
    """Give by how many standard errors the neighbours' information exceeds the estimate.

    These are the errors of sampling: an estimate that doubts itself is contradicted no less.
    """
    gap = near.estimate.mean - result.estimate.mean
    return gap / float(np.hypot(near.estimate.stderr, result.errors["examples"]))


def _telling(rng, x, y) -> tuple[list[int], list[int]]:
    """Return the columns of x and of y that depend on one of the other block.

    The limit is the coefficient that independent columns exceed by chance: that of shuffled rows.
    """
    x = x[: neighbours.CHOOSING_ROWS]
    y = y[: neighbours.CHOOSING_ROWS]
    strength = neighbours.screen(x, y)
    shuffled = [neighbours.screen(x, y[rng.permutation(len(y))]) for _ in range(3)]
    spread = np.std(shuffled)
    limit = np.mean(shuffled) + spread * np.sqrt(2 * np.log(strength.size / CHANCE))
    tells = strength > limit
    return np.flatnonzero(tells.any(axis=1)).tolist(), np.flatnonzero(tells.any(axis=0)).tolist()
