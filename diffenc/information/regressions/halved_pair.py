"""Two halves of the samples in the coordinates in which each is evaluated, and their regression."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.regressions.regression import Features

# Nats by which the Gaussian information of linear images may differ through rounding.
ROUNDING = 1e-6
# The regression by which coordinates are compared.
MEAN = regression.without_shape(regression.polar)


class Turned(NamedTuple):
    """How a block was turned by what the other one predicts, see `angles`.

    Attributes:
        alone: normal scores [2, n, dim_x] of the block by itself.
        gain: log |dx/d(alone)| at every row [2, n], and the difference of Gaussian entropies.
    """

    alone: np.ndarray
    gain: np.ndarray


class Pair(NamedTuple):
    """Two halves of the samples, in the coordinates in which each is evaluated.

    Attributes:
        x: [2, n, dim_x].
        y: [2, n, dim_y].
        own: None, or x and y in other coordinates: each half is mapped by the flows that were
            trained on it, in which the other half is evaluated.
        optimism: by how much the Gaussian information (nats) is higher in `own`, or a share of what
            it is by a prediction of rows that its fit has seen, see `committee.SHARE`.
        drift: by how much the second half of the training, or single spacings, changed the Gaussian
            information.
        is_exchanged: whether x is the second block that the caller gave.
        clusters: of the rows [2, n], or None.
        log_ratios: None, or log p / N(0, 1) of x and of y [2, n] at every row, for single columns
            that are not quite normal. The mean of that of x is subtracted from the information;
            that of y is None if y has several columns.
        has_ranks: whether some columns may be scores by rank.
        has_atoms: whether equal values of y have equal scores, so that y cannot be diffused.
        has_prediction: whether the last column of y is a prediction of x, see `committee`.
        turned: None, or how x was turned by what y predicts. The mean of its gain is added to the
            information.
        surplus: columns of y beyond its coordinates: an angle is a cosine and a sine.
    """

    x: np.ndarray
    y: np.ndarray
    own: tuple[np.ndarray, np.ndarray] | None = None
    optimism: float = 0.0
    drift: float = 0.0
    is_exchanged: bool = False
    clusters: Clusters | None = None
    log_ratios: tuple[np.ndarray, np.ndarray | None] | None = None
    has_ranks: bool = True
    has_atoms: bool = False
    has_prediction: bool = False
    turned: Turned | None = None
    surplus: int = 0

    @property
    def is_learned(self) -> bool:
        """Whether coordinates were learned, by flows or by a committee."""
        return self.own is not None or self.has_prediction

    @property
    def least_dim(self) -> int:
        """The largest number of coordinates that the other block can determine."""
        return min(self.x.shape[-1], self.y.shape[-1] - self.surplus)

    @property
    def can_be_exchanged(self) -> bool:
        """Whether y can be diffused: no atoms, no surplus, and its log p / N(0, 1) is known."""
        is_known = self.log_ratios is None or self.log_ratios[1] is not None
        return is_known and not (self.has_atoms or self.turned or self.surplus)

    def exchange(self) -> "Pair":
        """Exchange x and y; optimism and drift stay as they were measured."""
        assert self.can_be_exchanged, "y has no density to be diffused, or none that is known"
        ratios = None
        if self.log_ratios and self.log_ratios[1] is not None:
            ratios = (self.log_ratios[1], self.log_ratios[0])
        return self._replace(
            x=self.y,
            y=self.x,
            own=self.own and self.own[::-1],
            log_ratios=ratios,
            is_exchanged=not self.is_exchanged,
        )


def information(pair: Pair, features: Callable) -> gaussian.GaussianPart:
    """Compute the information by a regression of x on features(y).

    Both halves are taken together. If each has coordinates of its own, it is the mean of both, and
    half of the optimism is added: what a fit by maximum likelihood gains on its own samples it
    loses on others, to first order (Akaike 1974).

    Args:
        pair: the samples.
        features: a function of y, such as `regression.polar`.

    Returns:
        The information, pointwise [2n] in the order of the rows of both halves.
    """
    parts = [
        regression.information(x, features(y), clusters)
        for x, y, clusters in zip(*_groups(pair), _clusters(pair), strict=True)
    ]
    more = pair.optimism / 2
    pointwise = np.concatenate([part.pointwise for part in parts]) + more
    mean = float(np.mean([part.mean for part in parts])) + more
    if pair.log_ratios:
        pointwise = pointwise - pair.log_ratios[0].ravel()
        mean -= float(pair.log_ratios[0].mean())
    if pair.turned:
        pointwise = pointwise + pair.turned.gain.ravel()
        mean += float(pair.turned.gain.mean())
    return gaussian.GaussianPart(mean, pointwise, pair.clusters)


def regressors(pair: Pair, features: Callable) -> Features:
    """Compute features(y) as `information` uses them, [2, n, ...]."""
    by_group = [features(y) for y in _groups(pair)[1]]
    halves, n, _ = pair.y.shape

    def join(arrays):
        return np.concatenate(arrays).reshape(halves, n, arrays[0].shape[1])

    return Features(
        mean=join([one.mean for one in by_group]), shape=join([one.shape for one in by_group])
    )


def better(pair: Pair, other: Pair, errors: float) -> Pair:
    """Return the other pair if its Gaussian information is larger by so many standard errors.

    Optimism does not count, and the gain must be more than rounding.

    Args:
        pair: the pair that is returned if the gain is less.
        other: the same rows in other coordinates.
        errors: standard errors of the gain.

    Returns:
        One of the two.
    """
    gain = (
        information(other._replace(optimism=0.0), MEAN).pointwise
        - information(pair._replace(optimism=0.0), MEAN).pointwise
    )
    gain = clustering.estimate(gain, pair.clusters)
    return other if gain.mean > errors * gain.stderr + ROUNDING else pair


def orient(pair: Pair) -> Pair:
    """Make x the smaller block, or of equal blocks the one with the larger Gaussian information.

    A block that cannot be diffused stays the condition.
    """
    if not pair.can_be_exchanged:
        return pair
    if pair.x.shape[-1] != pair.y.shape[-1]:
        return min(pair, pair.exchange(), key=lambda one: one.x.shape[-1])
    return max(pair, pair.exchange(), key=lambda one: information(one, MEAN).mean)


def _groups(pair: Pair):
    """Return x and y by groups of rows that share coordinates: both halves, or all rows in one."""
    blocks = pair.x, pair.y
    return blocks if pair.own else tuple(block.reshape(1, -1, block.shape[-1]) for block in blocks)


def _clusters(pair: Pair) -> list[Clusters | None]:
    """Return the clusters of each of the groups of rows."""
    if pair.clusters is None or not pair.own:
        return [pair.clusters] * (2 if pair.own else 1)
    return [pair.clusters.at(half) for half in (0, 1)]
