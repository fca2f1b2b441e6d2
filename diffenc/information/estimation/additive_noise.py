"""A single column as a function of another and noise that does not depend on it.

    I(X;Y) >= h(X) - h(X - f(Y))

for any function f, with equality where the noise X - f(Y) is independent of Y. Both entropies are
of one column, and spacings of the sample tell them, edges of the density included, which networks
blur. f is linear, with the functions of `additive` that gain, or that of the least entropy, see
`sharp_noise`, where this shows more.
"""

from typing import NamedTuple

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian, smooth_scores, spacings
from diffenc.information.estimation import sharp_noise
from diffenc.information.estimation.assembly import Information
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.regressions.regression import Features

# Standard errors by which the limit has to be larger than the estimate of the networks.
LARGER = 2.0


class Limit(NamedTuple):
    """A lower limit of an information.

    Attributes:
        mean: in nats.
        pointwise: [2n] of the rows of both halves.
        doubt: its systematic error: by how much windows of twice the width change it. Of blocks it
            also holds what unmixed columns may share, and the scatter of spacings; of functions of
            the least entropy the latter.
    """

    mean: float
    pointwise: np.ndarray
    doubt: float


def limit(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, errors: float, clusters: Clusters | None = None
) -> Limit | None:
    """Compute the limit, with the noise in x or in y, whichever tells more.

    Args:
        x: [N, 1].
        y: [N, 1].
        rows: [2, n] of both halves.
        errors: standard errors by which functions have to gain.
        clusters: of the rows [2, n], or None.

    Returns:
        The limit, or None for columns with ties or clumps, or whose noise has such, and where
        cosines are linear functions of each other, as over the heart of a long-tailed column.
    """
    if gaussian.has_ties(x)[0] or gaussian.has_ties(y)[0]:
        return None
    standard = [(one - one.mean(axis=0)) / one.std(axis=0) for one in (x, y)]
    pair = Pair(standard[0][rows], standard[1][rows], clusters=clusters)
    limits = [_with_noise_in_x(one, errors) for one in (pair, pair.exchange())]
    return max((one for one in limits if one is not None), key=_sure, default=None)


def _with_noise_in_x(pair: Pair, errors: float) -> Limit | None:
    features = regression.without_shape(additive.features_of(pair, regression.linear, errors))
    of_halves = halved_pair.regressors(pair, features).mean
    if not gaussian.is_sound(pair.x, of_halves):
        return None
    part = halved_pair.information(pair, features)
    of_mean = np.concatenate(list(of_halves))
    x = gaussian.whiten(np.concatenate(list(pair.x)))
    noise = regression.fit(x, Features(of_mean, of_mean[:, :0])).r
    if spacings.entropy(x[:, 0]) is None or spacings.entropy(noise[:, 0]) is None:
        return None
    more = []
    for half in (spacings.HALF, 2 * spacings.HALF):
        of_noise, of_x = [smooth_scores.log_ratio(one[:, 0], half) for one in (noise, x)]
        if of_noise is None or of_x is None:
            return None
        more.append(of_noise - of_x)
    doubt = abs(float(np.mean(more[1] - more[0])))
    plain = Limit(part.mean + float(more[0].mean()), part.pointwise + more[0], doubt)
    if pair.clusters is not None or gaussian.normal_enough(noise)[0]:
        return plain
    y = np.concatenate(list(pair.y))
    sharp = [_with_noise(x[:, 0], one) for one in sharp_noise.noises(x[:, 0], y[:, 0])]
    limits = [plain, *(one for one in sharp if one is not None)]
    return max(limits, key=_sure)


def _sure(one: Limit) -> float:
    """Return what a limit shows beyond its doubt."""
    return one.mean - LARGER * one.doubt


def _with_noise(x: np.ndarray, noise: np.ndarray) -> Limit | None:
    """Compute the limit of x [N] by noise [N] that was not fitted on the rows that it is of."""
    if spacings.entropy(noise) is None:
        return None
    more = []
    for half in (spacings.HALF, 2 * spacings.HALF):
        of_noise = spacings.log_density(noise, half)
        of_x = spacings.log_density(x, half)
        if of_noise is None or of_x is None:
            return None
        more.append(of_noise - of_x)
    finer = float(np.mean(more[1] - more[0]))
    doubt = float(np.hypot(finer, 2**0.5 * spacings.scatter(len(x))))
    return Limit(float(more[0].mean()), more[0], doubt)


def raise_to(result: Information, least: Limit, clusters: Clusters | None) -> Information:
    """Return an estimate, raised to a limit that is significantly larger.

    Args:
        result: the estimate, whose rows are those of the limit in their order.
        least: the limit.
        clusters: of these rows, or None.

    Returns:
        The estimate; `is_by_noise` says whether it is the limit. Half of what the limit shows more
        is in its error.
    """
    gain = clustering.estimate(least.pointwise - result.pointwise, clusters)
    gap = least.mean - result.estimate.mean
    if gap <= LARGER * float(np.hypot(gain.stderr, least.doubt)):
        return result
    return by_limit(result, least, clusters)


def by_limit(result: Information, least: Limit, clusters: Clusters | None) -> Information:
    """Return the limit in place of an estimate, with half of what it shows more in its error."""
    gap = least.mean - result.estimate.mean
    examples = clustering.estimate(least.pointwise, clusters).stderr
    doubt = float(np.hypot(least.doubt, gap / 2))
    return result._replace(
        estimate=Estimate(least.mean, float(np.hypot(examples, doubt))),
        pointwise=least.pointwise + least.mean - least.pointwise.mean(),
        is_by_noise=True,
    )
