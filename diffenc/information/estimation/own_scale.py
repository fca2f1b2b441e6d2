"""A single column in its own units, in place of scores by rank, beside a block of any columns.

Noise that is added to a function of Y has one law everywhere in the units in which it was added.
Ranks bend these units, and a regression or a network has to learn the bend from the same samples.
In its own units the column X is not normal, and its divergence

    D[X] = E log p(x) / N(x; 0, 1)

is told by spacings, see `smooth_scores.log_ratio`.
"""

from collections.abc import Callable

import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian, smooth_scores
from diffenc.information.estimation import pair_information
from diffenc.information.regressions import additive, regression
from diffenc.information.regressions.halved_pair import Pair


def candidates(
    x: np.ndarray, y: np.ndarray, plain: Pair, rows: np.ndarray, clusters: Clusters | None
) -> list[Pair]:
    """Make the pairs in which a block of a single column has its own units.

    The other block is as it is in `plain`.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        plain: both in scores.
        rows: [2, n] of both halves.
        clusters: of the rows [N], or None.

    Returns:
        The pairs, whose x is the single column; none where it has ties or clumps, or where
        its scores are its own units.
    """
    clusters = None if clusters is None else clusters.at(rows)
    scores = (plain.y, plain.x) if plain.is_exchanged else (plain.x, plain.y)
    pairs = []
    for index, (column, block) in enumerate(((x, y), (y, x))):
        if column.shape[1] > 1 or not gaussian.are_ranked(column)[0]:
            continue
        column = np.asarray(column, np.float64)
        own = (column - column.mean()) / column.std()
        resolved = None if gaussian.has_ties(own)[0] else smooth_scores.resolved_ratio(own[:, 0])
        if resolved is None:
            continue
        ratios, doubt = resolved
        pairs.append(
            Pair(
                own[rows],
                scores[1 - index],
                drift=doubt,
                is_exchanged=bool(index),
                clusters=clusters,
                log_ratios=(ratios[rows], None),
                has_ranks=bool(gaussian.are_ranked(block).any()),
            )
        )
    return pairs


def choose(pair: Pair, others: list[Pair], errors: float) -> Pair:
    """Choose the other pair that tells most, if it tells significantly more.

    Regressions are compared, lengths included. Of a pair that is chosen the regression leaves
    nothing that follows y, see `is_exhausted`: of steps and other edges of a function networks find
    more in scores by rank.

    Args:
        pair: that which is returned if none does.
        others: of `candidates`.
        errors: standard errors of a gain that counts, and of a dependence.

    Returns:
        One of the pairs.
    """
    if not others:
        return pair
    plain, _ = _regression(pair, regression.polar, errors, errors)
    best = pair
    most = -np.inf
    for other in others:
        part, features = _regression(
            other, regression.polar_signed, errors, pair_information.SMOOTH_ERRORS
        )
        gain = clustering.estimate(part.pointwise - plain.pointwise, pair.clusters)
        if part.mean <= most or gain.mean <= errors * gain.stderr:
            continue
        if is_exhausted(other, features, errors):
            best = other
            most = part.mean
    return best


def _regression(pair: Pair, candidate, errors, errors_of_lengths):
    features = additive.features_of(pair, candidate, errors)
    return pair_information.choose_features(pair, features, errors_of_lengths)[:2]


def is_exhausted(pair: Pair, features: Callable, errors: float) -> bool:
    """Return whether a regression leaves nothing of x that follows y.

    Rows are ordered by y, or by the prediction if y has several columns. What is left, and its
    square, must not be correlated with those of the next row.

    Args:
        pair: the samples, with x of one column.
        features: of the regression.
        errors: standard errors of a correlation that counts.
    """
    y = pair.y.reshape(-1, pair.y.shape[-1])
    x = gaussian.whiten(pair.x.reshape(-1, 1))
    fit = regression.fit(x, features(y))
    order = np.argsort(y[:, 0] if y.shape[1] == 1 else fit.linear[:, 0])
    rest = fit.r[order, 0]
    rows = len(rest) / clustering.inflation_of(pair.clusters)
    for values in (rest, np.square(rest)):
        if np.corrcoef(values[1:], values[:-1])[0, 1] > errors / rows**0.5:
            return False
    return True
