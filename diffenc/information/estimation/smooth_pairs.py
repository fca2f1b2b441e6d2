"""Two single columns in smooth scores, in place of ranks that would blur their relation."""

import itertools
from collections.abc import Callable

import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import smooth_scores
from diffenc.information.estimation import pair_information
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair

# Scores by rank miss about 1/2 log(1 + 6 (e^I - 1) / N) of I nats, as drawn Gaussian pairs tell.
BLUR = 6.0
# By so much more where some columns are by rank and others are not.
BESIDE = 3.0
# The part of the error of sampling below which what they miss does not count.
SMALL = 0.25


def make(x: np.ndarray, y: np.ndarray, rows: np.ndarray, clusters: Clusters | None) -> list[Pair]:
    """Make the pairs of two columns in smooth scores.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        rows: [2, n] of both halves.
        clusters: of the rows [N], or None.

    Returns:
        Up to four pairs; none of several columns, and none of columns with ties.
    """
    if x.shape[1] > 1 or y.shape[1] > 1:
        return []
    clusters = None if clusters is None else clusters.at(rows)
    pairs = []
    for of_x, of_y in itertools.product(*(smooth_scores.candidates(one[:, 0]) for one in (x, y))):
        resolved_x, resolved_y = [smooth_scores.resolved_ratio(one) for one in (of_x, of_y)]
        assert resolved_x is not None and resolved_y is not None, "candidates are resolved"
        ratio_x, doubt_x = resolved_x
        ratio_y, doubt_y = resolved_y
        pair = Pair(
            of_x[rows][..., None],
            of_y[rows][..., None],
            drift=max(doubt_x, doubt_y),
            clusters=clusters,
            log_ratios=(ratio_x[rows], ratio_y[rows]),
        )
        pairs.append(pair)
    return pairs


def blur(pair: Pair, features: Callable, errors: float, are_all_ranked: bool = True) -> float:
    """Return what ranks miss of a relation that a regression finds (nats), 0 where that is little.

    Args:
        pair: in scores by rank.
        features: of the regression.
        errors: standard errors by which lengths have to gain.
        are_all_ranked: whether no column is standardized alone, beside others by rank.
    """
    part, _, _ = pair_information.choose_features(pair, features, errors)
    lost = missed(pair, part.mean) * (1 if are_all_ranked else BESIDE)
    return lost if lost > SMALL * part.estimate.stderr else 0.0


def missed(pair: Pair, information: float) -> float:
    """Return what ranks miss of an information, divided evenly over the smaller block (nats).

    Args:
        pair: in scores by rank.
        information: in nats.
    """
    rows = 2 * pair.x.shape[1] / clustering.inflation_of(pair.clusters)
    dim = pair.least_dim
    of_each = np.expm1(max(0.0, information) / dim)
    return float(dim * 0.5 * np.log1p(BLUR * of_each / rows))


def choose(pairs: list[Pair], errors: float) -> tuple[Pair, Callable]:
    """Choose the first of the pairs, or another that tells more by a standard error.

    Args:
        pairs: of `make`.
        errors: standard errors by which functions of single columns have to gain.

    Returns:
        The pair and its features.
    """
    candidates = []
    for pair in pairs:
        pair = halved_pair.orient(pair)
        pair, features = additive.choose(pair, pair, regression.polar_signed, errors)
        part, _, _ = pair_information.choose_features(
            pair, features, pair_information.SMOOTH_ERRORS
        )
        candidates.append((pair, features, part))
    best = candidates[0]
    for other in candidates[1:]:
        gain = other[2].pointwise - best[2].pointwise
        gain = clustering.estimate(gain, other[0].clusters)
        if gain.mean > pair_information.SMOOTH_ERRORS * gain.stderr:
            best = other
    return best[:2]
