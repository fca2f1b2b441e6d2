"""A single column in its own units, in place of scores by rank, beside a block of any columns.

Noise that is added to a function of Y has one law everywhere in the units in which it was added.
Ranks bend these units, and a regression or a network has to learn the bend from the same samples.
In its own units the column X is not normal, and its divergence

    D[X] = E log p(x) / N(x; 0, 1)

is told by spacings, see `smooth_scores.log_ratio`.
"""

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
    """Choose another pair if its regression, lengths included, tells significantly more.

    Args:
        pair: that which is returned if none does.
        others: of `candidates`.
        errors: standard errors of a gain that counts.

    Returns:
        One of the pairs.
    """
    if not others:
        return pair
    best = pair
    part = _part(pair, regression.polar, errors, errors)
    for other in others:
        of_other = _part(other, regression.polar_signed, errors, pair_information.SMOOTH_ERRORS)
        gain = clustering.estimate(of_other.pointwise - part.pointwise, pair.clusters)
        if gain.mean > errors * gain.stderr:
            best = other
            part = of_other
    return best


def _part(pair: Pair, candidate, errors, errors_of_lengths):
    features = additive.features_of(pair, candidate, errors)
    return pair_information.choose_features(pair, features, errors_of_lengths)[0]
