"""Scores of a condition whose columns have ties: equal ones for equal values."""

import numpy as np

from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.regressions.halved_pair import Pair

# A feature counts as a linear function of others if what these leave of it is below so many of its
# standard deviations.
LEAST_REST = 1e-3


def with_atoms(pair: Pair, condition: np.ndarray, rows: np.ndarray) -> Pair:
    """Return the pair with equal scores for equal values of columns of the condition with ties.

    Ties that are broken at random would be noise of the condition. Of x they have to be, which is
    why y with atoms cannot take its place.

    Args:
        pair: in scores of the columns, oriented.
        condition: the numbers [N, dim_y] that pair.y is of.
        rows: [2, n] of both halves.

    Returns:
        The pair as it is where there are no ties, or where the features of so few values would be
        linear functions of each other.
    """
    are_tied = gaussian.has_ties(condition)
    if not are_tied.any():
        return pair
    scores = pair.y.copy()
    scores[..., are_tied] = gaussian.by_rank(condition[:, are_tied])[rows]
    return pair._replace(y=scores, has_atoms=True) if are_regular(scores) else pair


def are_regular(scores: np.ndarray) -> bool:
    """Return whether the features of scores [2, n, dim] are no linear functions of each other."""
    return all(_are_independent(part) for half in scores for part in regression.polar(half))


def _are_independent(columns: np.ndarray) -> bool:
    """Return whether no column [N, k] is nearly constant or a linear function of those before it.

    Powers of a column of few values are.
    """
    centred = columns - columns.mean(axis=0)
    size = centred.std(axis=0)
    if size.min() < LEAST_REST:
        return False
    rest = np.abs(np.diagonal(np.linalg.qr(centred / size, mode="r"))) / len(columns) ** 0.5
    return bool(rest.min() > LEAST_REST)
