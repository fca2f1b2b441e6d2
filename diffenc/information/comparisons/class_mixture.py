"""The information of labels by normal laws of the classes, whose mixture is the law of x.

    I(X;L) = I_m + D[X|L] - KL(p(x) || p_m(x)),    I_m = E log p_m(x|l) / p_m(x)

holds for any laws p_m(x|l), where p_m(x) is their mixture and D[X|L] = E KL(p(x|l) || p_m(x|l)).
The last divergence lies between 0 and D[X|L], since it forgets the label. So I_m is a lower limit,
I_m + D[X|L] an upper one, and I_m is the information if the classes have these laws. No network has
to find how far the mixture is from normal, which it does not in many columns.

On rows that fitted the laws, I_m is too high by as much as it is too low on others, to first order
in the number of coefficients over rows (Akaike 1974). The estimate of I_m is the middle of both.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr, gammaln, logsumexp

from diffenc.information.clusters import Clusters, inflation_of
from diffenc.information.comparisons import posteriors
from diffenc.information.coordinates.gaussian import has_ties

FOLDS = 10
# Error of the middle of the two values of I_m, as a share of half their distance.
OFF_MIDDLE = 0.25
# What is added to the variance of every direction within classes, as a share of that of a column.
LEAST_VARIANCE = 1e-9


class ClassMixture(NamedTuple):
    """The information of labels by normal laws of the classes, in nats.

    Attributes:
        mean: I_m of the laws that predict labels best.
        systematic: its error by the number of coefficients.
        pointwise: [N], with this mean.
        entropy: of the labels.
        by_means: I_m of laws that differ in their means alone, in the scores.
        by_shapes: I_m of laws that differ in their covariances, too, in the scores.
        gain: E log p_m(x|l) of the latter less that of the former on held-out rows: what they
            explain of D[X|L], at least.
        posterior: in words, what has posteriors of this mean that no laws of classes have, see
            `posteriors`; then it is a lower limit alone. Empty for normal laws.
    """

    mean: float
    systematic: float
    pointwise: np.ndarray
    entropy: float
    by_means: float
    by_shapes: float
    gain: float
    posterior: str = ""


class Laws(NamedTuple):
    """Laws of x given each of k classes.

    Attributes:
        white: [dim, dim], by which x is multiplied.
        means: [k, dim] of white x.
        shapes: the inverse factor [dim, dim], the log of its determinant and the degrees of freedom
            of each class; None where all have the covariance of white x.
    """

    white: np.ndarray
    means: np.ndarray
    shapes: list[tuple[np.ndarray, float, float]] | None


def estimate(
    scores: np.ndarray,
    x: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> ClassMixture:
    """Estimate I(X;L) by normal laws of the classes.

    The laws differ in their means, or in means and covariances, in the scores or in x itself. Those
    that predict the labels of held-out rows best are taken.

    Args:
        scores: [N, dim], x by maps of its own.
        x: [N, dim].
        labels: integers [N] from 0.
        rng: draws the folds.
        clusters: of the rows, which stay together; None for none.

    Returns:
        The information.
    """
    fold = _folds(labels, rng, clusters)
    plain = (x - x.mean(axis=0)) / x.std(axis=0)
    held = []
    middle = []
    densities = []
    for block in (scores, plain):
        for with_shapes in (False, True):
            fitted = log_ratios(fit(block, labels, labels.max() + 1, with_shapes), block, labels)
            others = _held_out(block, labels, fold, with_shapes)
            held.append(others[0])
            middle.append((fitted[0] + others[0]) / 2)
            densities.append(others[1].mean())
    best = int(np.argmax([one.mean() for one in held]))
    # Ties are broken at random in the scores, and need not be here.
    known = np.where(has_ties(x), plain, scores)
    of_held_out = held[best]
    pointwise = middle[best]
    posterior = posteriors.estimate(known, labels, fold, of_held_out, clusters)
    if posterior is not None:
        of_held_out = posterior.held
        pointwise = posterior.middle
    mean = float(pointwise.mean())
    entropy = float(entr(np.bincount(labels) / len(labels)).sum())
    doubts = (
        OFF_MIDDLE * (mean - of_held_out.mean()),
        # The entropy of samples is too low (Miller 1955).
        labels.max() * inflation_of(clusters) / (2 * len(labels)),
        _chance(x.shape, labels, best % 2 == 1, clusters) * np.clip(1 - mean / entropy, 0.0, 1.0),
    )
    return ClassMixture(
        mean=mean,
        systematic=float(np.linalg.norm(doubts)),
        pointwise=pointwise,
        entropy=entropy,
        by_means=float(middle[0].mean()),
        by_shapes=float(middle[1].mean()),
        gain=float(densities[1] - densities[0]),
        posterior="" if posterior is None else posterior.by,
    )


def _chance(shape, labels, with_shapes, clusters) -> float:
    """Return the scatter of I_m of independent labels, by a chi square of its coefficients.

    The scatter of examples does not show it: their log ratios are near 0.
    """
    n, dim = shape
    of_class = dim + with_shapes * dim * (dim + 1) / 2
    return float(np.sqrt(labels.max() * of_class / 2) * inflation_of(clusters) / n)


def _folds(labels, rng, clusters) -> np.ndarray:
    """Return the fold [N] of every row: of each class as many in each, or clusters whole."""
    n = len(labels)
    if clusters is not None:
        index = np.unique(clusters.index.ravel(), return_inverse=True)[1]
        return rng.permutation(index.max() + 1)[index] % FOLDS
    fold = np.empty(n, np.int64)
    fold[np.argsort(labels + rng.random(n))] = np.arange(n) % FOLDS
    return fold


def _held_out(x, labels, fold, with_shapes) -> np.ndarray:
    """Return `log_ratios` [2, N] by laws that were fitted to the other folds."""
    values = np.empty((2, len(x)))
    for number in np.unique(fold):
        others = fold != number
        laws = fit(x[others], labels[others], labels.max() + 1, with_shapes)
        rows = ~others
        values[:, rows] = log_ratios(laws, x[rows], labels[rows], np.bincount(labels))
    return values


def fit(x: np.ndarray, labels: np.ndarray, num_classes: int, with_shapes: bool) -> Laws:
    """Fit a normal law to each class.

    The covariance within classes is shrunk to a multiple of the identity (Ledoit & Wolf 2004), and
    means are shrunk to that of all rows by as much as chance scatters them (James & Stein 1961).
    Covariances of single classes are shrunk to that of all with the weight of dim rows, and have
    the law of a multivariate t, since they are known by few rows.

    Args:
        x: [N, dim].
        labels: integers [N] from 0.
        num_classes: k; a class without rows gets the mean of all.
        with_shapes: whether classes have covariances of their own.

    Returns:
        The laws.
    """
    n, dim = x.shape
    counts = np.bincount(labels, minlength=num_classes)
    center = x.mean(axis=0)
    indicators = np.eye(num_classes)[labels]
    shifts = indicators.T @ (x - center) / np.maximum(counts, 1)[:, None]
    rest = x - center - shifts[labels]
    covariance = shrink(rest) * n / max(n - num_classes, 1)
    # Of what the classes determine nothing is left.
    covariance += LEAST_VARIANCE * np.mean(x.var(axis=0)) * np.eye(dim)
    white = np.linalg.inv(np.linalg.cholesky(covariance)).T
    ratio = np.sum(counts[:, None] * (shifts @ white) ** 2) / ((num_classes - 1) * dim)
    means = (center + max(0.0, 1 - 1 / max(ratio, 1.0)) * shifts) @ white
    if not with_shapes:
        return Laws(white, means, None)
    rest = rest @ white
    shapes = []
    for one, count in enumerate(counts):
        of_class = rest[labels == one]
        square = (of_class.T @ of_class + dim * np.eye(dim)) / (count + dim)
        inverse = np.linalg.inv(np.linalg.cholesky(square)).T
        shapes.append((inverse, float(np.linalg.slogdet(inverse)[1]), float(count + 1)))
    return Laws(white, means, shapes)


def shrink(rest: np.ndarray) -> np.ndarray:
    """Estimate the covariance of centered rows [N, dim] by the formula of Ledoit & Wolf (2004)."""
    n, dim = rest.shape
    sample = rest.T @ rest / n
    level = np.trace(sample) / dim
    distance = np.sum((sample - level * np.eye(dim)) ** 2)
    noise = np.mean(np.sum(rest**2, axis=1) ** 2) / n - np.sum(sample**2) / n
    weight = np.clip(noise / distance, 0.0, 1.0) if distance > 0 else 0.0
    return (1 - weight) * sample + weight * level * np.eye(dim)


def log_ratios(
    laws: Laws, x: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """Return log p_m(x|l) / p_m(x) and log p_m(x|l) of rows.

    Args:
        laws: of the classes.
        x: [n, dim].
        labels: integers [n] from 0.
        counts: rows [k] of each class, in proportion to which they are mixed; None for those of
            these labels.

    Returns:
        [2, n].
    """
    counts = np.bincount(labels) if counts is None else counts
    white = x @ laws.white
    dim = x.shape[1]
    logs = np.empty((len(x), len(laws.means)))
    for one, mean in enumerate(laws.means):
        if laws.shapes is None:
            logs[:, one] = -0.5 * np.sum((white - mean) ** 2, axis=1) - 0.5 * dim * np.log(2)
            continue
        inverse, log_det, dof = laws.shapes[one]
        squares = np.sum(((white - mean) @ inverse) ** 2, axis=1)
        constant = gammaln((dof + dim) / 2) - gammaln(dof / 2) - 0.5 * dim * np.log(dof)
        logs[:, one] = log_det + constant - 0.5 * (dof + dim) * np.log1p(squares / dof)
    logs += np.linalg.slogdet(laws.white)[1] - 0.5 * dim * np.log(np.pi)
    of_label = logs[np.arange(len(x)), labels]
    return np.stack([of_label - logsumexp(logs, axis=1, b=counts / counts.sum()), of_label])
