"""A twin of the samples, whose information is known: by it neighbours are corrected.

A mixture of Gaussians of x and y (joint_mixture.py) is fitted. If it were the law, the mean of its
pointwise information were the estimate. It is not quite, but nearest neighbours err on a sample of
the mixture, the twin, nearly as much as they do on the samples:

    I  =  I_m + (neighbours of the samples - neighbours of the twin)

whose error is second order: what neighbours miss, times what is wrong with the mixture. How wrong
it is, is measured: neighbours also tell KL(p || p_m) of the samples and the twin (Wang, Kulkarni &
Verdu 2009), which the error of I_m cannot exceed.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import polygamma

from diffenc.estimate import Estimate
from diffenc.information.comparisons import joint_mixture, neighbours
from diffenc.information.comparisons.joint_mixture import EQUAL, Mixture
from diffenc.information.coordinates import gaussian, spacings

# Columns of x and of y together, at most.
MOST_COLUMNS = 8
# Rows at most.
ROWS = neighbours.COUNTED_ROWS
# Numbers of components that are tried, in this order until one is less likely than that before.
COUNTS = (1, 2, 4, 8, 16, 32, 64)
# Up to so many, a number that is less likely does not end the search.
FEW_COMPONENTS = 4
# Rows for each coefficient of a covariance.
ROWS_OF_COMPONENT = 4
# Rounds, tolerance and starts of `joint_mixture.fit`: for the choice, and for what is then used.
CHOOSING = (50, 3e-4, 1)
USING = (200, 1e-5, 4)
# Twins of a mixture, over which errors and distances are averaged.
TWINS = 2
# Neighbours by which the divergence is told, of up to so many rows. Of more, as many as are equally
# far: then the divergence shows as much, and its error falls with the rows, not with their root.
NEIGHBOURS = 8
ROWS_OF_NEIGHBOURS = 5_000
# The error of I_m that counts for each nat of divergence by neighbours. They show but a part: of
# laws that a mixture misses, the error was 1 to 8 times as much (8 where there are edges).
MISFIT = 4.0
# Least distance of rows (of white columns) by which it is told: equal rows, as of values that were
# filled in, have a divergence that is large, not infinite.
LEAST_DISTANCE = 1e-12
# Standard errors of the divergence that are left out of it: its own error counts, too.
CHANCE = 2.0
# What may be missing of I_m, in steps from half of the rows to all: that of N^-0.4.
STEP = 3.0


class Twin(NamedTuple):
    """An information by a mixture of Gaussians and by nearest neighbours that its twin corrects.

    Attributes:
        mean: the estimate (nats).
        systematic: its error but for that of sampling.
        by_mixture: I_m.
        by_neighbours: the neighbours' information, corrected.
        misfit: KL(p || p_m) as neighbours show it.
        components: of the mixture.
    """

    mean: float
    systematic: float
    by_mixture: float
    by_neighbours: float
    misfit: Estimate
    components: int


class Choice(NamedTuple):
    """A number of components, and how covariances are pooled, in some coordinates.

    Attributes:
        z: [N, D], x first.
        entropies: the sum of those of single columns (nats).
        components: K.
        pooled: see `joint_mixture.fit`.
        total: a lower limit of the total correlation of all columns (nats), on held-out rows.
    """

    z: np.ndarray
    entropies: float
    components: int
    pooled: float
    total: float


def threshold(num_rows: int) -> float:
    """Return the systematic error from which on an estimate of so many rows is worth a twin.

    It is what the error of the divergence adds if the distances among rows and in a twin scatter
    alike; of several twins it is about a quarter less.
    """
    scatter = 2 * polygamma(1, num_neighbours(num_rows)) / min(num_rows, ROWS)
    return MISFIT * float(np.sqrt(scatter))


def num_neighbours(num_rows: int) -> int:
    """Return the number of neighbours by which the divergence of so many rows is told."""
    return round(NEIGHBOURS * max(1.0, min(num_rows, ROWS) / ROWS_OF_NEIGHBOURS))


def estimate(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> Twin:
    """Estimate I(X;Y) of independent rows in random order.

    The systematic error has five parts: what neighbours correct, the divergence of the mixture,
    the error of that, what more rows would add, and rows beyond `ROWS`, which are left out.

    Args:
        rng: draws starts and twins.
        x: numbers [N, dim_x].
        y: numbers [N, dim_y].

    Returns:
        The information.
    """
    share = min(1.0, ROWS / len(x))
    x = x[:ROWS]
    y = y[:ROWS]
    dim_x = x.shape[1]
    choice = max(_choices(rng, x, y), key=lambda one: one.total)
    z = choice.z
    mixtures = _of_halves(rng, choice, USING)
    by_mixture = _middle(mixtures, z, dim_x)
    misfit = _misfit(rng, z, mixtures)
    corrected = _correct(rng, z, dim_x, _fit(rng, z, choice, USING))
    gap = corrected.mean - by_mixture.mean
    # A difference that may be chance counts for less (James & Stein 1961).
    weight = max(0.0, 1 - (corrected.stderr / max(abs(gap), 1e-12)) ** 2)
    parts = [_again(rng, z[first::2], choice, dim_x) for first in (0, 1)]
    doubts = (
        weight * gap,
        MISFIT * max(0.0, misfit.mean - CHANCE * misfit.stderr),
        MISFIT * misfit.stderr,
        STEP * (by_mixture.mean - float(np.mean(parts))),
        np.sqrt(1 - share) * by_mixture.stderr,
    )
    return Twin(
        mean=by_mixture.mean + weight * gap,
        systematic=float(np.linalg.norm(doubts)),
        by_mixture=by_mixture.mean,
        by_neighbours=corrected.mean,
        misfit=misfit,
        components=choice.components,
    )


def _middle(mixtures, z, dim_x) -> Estimate:
    """Return the information by the mixtures of both halves.

    Rows that were fitted flatter a fit as much as others belittle it, to first order (Akaike 1974).
    """
    rows = z[: len(z) // 2 * 2]
    values = [joint_mixture.pointwise(mixture, rows, dim_x) for mixture in mixtures]
    return Estimate.of(np.mean(values, axis=0))


def _again(rng, z, choice: Choice, dim_x) -> float:
    """Return the information by mixtures of fewer rows, of as many components or fewer."""
    counts = [count for count in COUNTS if choice.components / 8 < count <= choice.components]
    fewest = ROWS_OF_COMPONENT // 2  # of half of the rows, for mixtures that all of them allow
    fewer = _choose(rng, z, choice.entropies, counts, [choice.pooled], fewest)
    return _middle(_of_halves(rng, fewer, USING), z, dim_x).mean


def _halves(z) -> tuple[np.ndarray, np.ndarray]:
    n = len(z) // 2
    return z[:n], z[n : 2 * n]


def _of_halves(rng, choice: Choice, effort) -> list[Mixture]:
    return [_fit(rng, half, choice, effort) for half in _halves(choice.z)]


def _fit(rng, z, choice: Choice, effort) -> Mixture:
    return joint_mixture.fit(rng, z, choice.components, choice.pooled, *effort)


def _choices(rng, x, y) -> list[Choice]:
    """Choose the mixture of largest held-out likelihood, in standardized columns and in scores.

    Coordinates are compared by the total correlation of all columns, of which the likelihood tells
    a lower limit: single columns are known by their spacings or by construction.
    """
    scores = np.concatenate([gaussian.block_scores(rng, x), gaussian.block_scores(rng, y)], axis=1)
    both = np.concatenate([x, y], axis=1)
    plain = (both - both.mean(axis=0)) / both.std(axis=0)
    poolings = (both.shape[1] + 2.0, EQUAL)
    normal = 0.5 * both.shape[1] * (1 + np.log(2 * np.pi))
    choices = [_choose(rng, scores, normal, COUNTS, poolings)]
    logs = [spacings.log_density(column) for column in plain.T]
    if not gaussian.has_ties(both).any() and all(column is not None for column in logs):
        entropies = -float(sum(column.mean() for column in logs if column is not None))
        choices.append(_choose(rng, plain, entropies, COUNTS, poolings))
    return choices


def _choose(rng, z, entropies, counts, poolings, fewest: int = ROWS_OF_COMPONENT) -> Choice:
    """Choose by held-out likelihood, with so many rows at the fewest for each coefficient."""
    n, dim = z.shape
    best = Choice(z, entropies, counts[0], poolings[0], -np.inf)
    first, second = _halves(z)
    for pooled in poolings:
        before = -np.inf
        for count in counts:
            of_component = dim if pooled == EQUAL else dim * (dim + 3) / 2
            if count > counts[0] and n / 2 < fewest * count * of_component:
                break
            trial = Choice(z, entropies, count, pooled, 0.0)
            mixtures = _of_halves(rng, trial, CHOOSING)
            pairs = zip(mixtures, (second, first), strict=True)
            logs = [joint_mixture.log_density(*pair).mean() for pair in pairs]
            total = float(np.mean(logs)) + entropies
            best = max(best, trial._replace(total=total), key=lambda one: one.total)
            if count > FEW_COMPONENTS and total < before:
                break
            before = total
    return best


def _misfit(rng, z, mixtures) -> Estimate:
    """Estimate KL(p || p_m) by distances to neighbours among the samples and in a twin.

    It is the middle of rows that were fitted and of others, as I_m is.
    """
    factor = np.linalg.cholesky(np.cov(z.T) + 1e-9 * np.eye(z.shape[1]))
    white = np.linalg.inv(factor).T
    halves = _halves(z @ white)
    num_near = num_neighbours(len(z))
    values = []
    for mixture in mixtures:
        twins = [joint_mixture.draw(rng, mixture, len(halves[0])) for _ in range(TWINS)]
        trees = [cKDTree(twin @ white) for twin in twins]
        values.append(np.concatenate([_log_ratio(half, trees, num_near) for half in halves]))
    return Estimate.of(np.mean(values, axis=0))


def _log_ratio(rows, trees, num_near):
    """Return dim log of the ratio of distances, in a twin and among the rows, and a constant."""
    near = np.maximum(cKDTree(rows).query(rows, k=num_near + 1)[0][:, -1], LEAST_DISTANCE)
    logs = [np.log(tree.query(rows, k=num_near)[0][:, -1]) for tree in trees]
    dim = rows.shape[1]
    return dim * (np.mean(logs, axis=0) - np.log(near)) + np.log(len(rows) / (len(rows) - 1))


def _correct(rng, z, dim_x, mixture) -> Estimate:
    """Return the neighbours' information, less what neighbours err on twins.

    Its error is that of sampling by which it differs from the exact pointwise information.
    """
    errors = []
    for _ in range(TWINS):
        twin = joint_mixture.draw(rng, mixture, len(z))
        by_near = neighbours.largest_terms(twin[:, :dim_x], twin[:, dim_x:])
        errors.append(Estimate.of(by_near - joint_mixture.pointwise(mixture, twin, dim_x)))
    by_near = neighbours.largest(z[:, :dim_x], z[:, dim_x:])
    error, scatter = np.mean(errors, axis=0)
    return Estimate(by_near.mean - float(error), float(scatter * np.sqrt(1 + 1 / TWINS)))
