"""Smooth functions of single columns, for the regression of the mean.

    E[x|y] = linear + sum_j f_j(y_j),    f(y) = sum_k c_k cos(pi k Phi(y)),    k = 1, ..., terms

A relation with one column of many, or one that goes up and down many times, costs a network most
of its examples; a regression finds it by a few dozen coefficients, as generalized additive models
do (Hastie & Tibshirani 1986). A column and its number of terms are taken only if they predict the
other half of the examples significantly better.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr, ndtri

from diffenc.information import clusters as clustering
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.regressions.regression import Features

# Numbers of terms that are tried.
TERMS = (4, 8, 16, 32, 64)
# The length of the residual depends on so many of them.
SHAPE_TERMS = 8
# The largest number of columns that are taken.
COLUMNS = 8
# Of features with finer terms: the attribute that holds the features before the last doubling.
COARSER = "coarser"
# Examples for each coefficient of the mean in smooth scores.
SMOOTH_EXAMPLES = 8


def cosines(score: np.ndarray, terms: int) -> np.ndarray:
    """Compute cos(pi k Phi(score)) [N, terms] of normal scores [N], k = 1, ..., terms."""
    return np.cos(np.pi * ndtr(score)[:, None] * np.arange(1, terms + 1))


def with_terms(candidate: Callable, counts: dict[int, int]) -> Callable:
    """Make the function of y that gives the features of `candidate` and the cosines of columns."""

    def features(y):
        base = candidate(y)
        of_columns = [cosines(y[:, column], terms) for column, terms in counts.items()]
        mean = np.concatenate([base.mean, *of_columns], axis=1)
        shape = np.concatenate([base.shape, *(one[:, :SHAPE_TERMS] for one in of_columns)], axis=1)
        count = regression.count_coefficients(shape.shape[1])
        is_short = len(y) / 2 < regression.FEW_EXAMPLES * count
        return Features(mean, base.shape if is_short else shape)

    return features


def choose(pair: Pair, mapped: Pair, candidate: Callable, errors: float) -> tuple[Pair, Callable]:
    """Choose between functions of single columns, of y or of x, and the maps of flows.

    The blocks are exchanged where functions of x gain significantly more than functions of y. Flows
    are preferred where they gain significantly more than either.

    Args:
        pair: the scores.
        mapped: the same mapped by flows, or the pair itself.
        candidate: candidate(y) are the features without these functions.
        errors: standard errors of a gain that counts.

    Returns:
        The pair to use, and its features.
    """
    features = features_of(pair, candidate, errors)
    exchanged = pair.exchange() if pair.can_be_exchanged else pair
    other = features_of(exchanged, candidate, errors) if pair.can_be_exchanged else candidate
    if other is not candidate and _gains(pair, features, exchanged, other, errors):
        pair = exchanged
        features = other
    if features is candidate or (
        mapped.is_learned and _gains(pair, features, mapped, candidate, errors)
    ):
        return mapped, candidate
    return pair, features


def features_of(pair: Pair, candidate: Callable, errors: float) -> Callable:
    """Return `candidate`, with the functions of columns of y that gain; see `select`."""
    counts = select(pair, candidate, errors)
    if not counts:
        return candidate
    finer, before = _with_finer_terms(pair, candidate, counts, errors)
    features = with_terms(candidate, finer)
    if before is not None:
        setattr(features, COARSER, with_terms(candidate, before))
    return features


def unfinished(pair: Pair, features: Callable) -> float:
    """Return what the last doubling of terms told (nats), 0 where there was none.

    The coefficients of a series fall off slowly where it was doubled: those of edges like 1 / k, so
    that beyond the last terms there is as much again.

    Args:
        pair: the scores.
        features: of `features_of`.
    """
    coarser = getattr(features, COARSER, None)
    if coarser is None:
        return 0.0
    plain = regression.without_shape
    more, before = [halved_pair.information(pair, plain(one)).mean for one in (features, coarser)]
    return max(0.0, more - before)


def _with_finer_terms(pair, candidate, counts, errors):
    """Double the terms of a column while that tells significantly more.

    Held-out gains choose what predicts best from half of the rows. Of a relation that goes up and
    down many times that is fewer terms than its series has, and what the others tell is missed. The
    information, which is corrected for its coefficients, sees them.

    Returns:
        The numbers of terms, and those before the last doubling, None if there was none.
    """
    coarser = None
    plain = regression.without_shape
    known = halved_pair.regressors(pair, plain(candidate)).mean.shape[-1]
    room = _room(pair, known)
    for column in counts:
        while True:
            finer = counts | {column: 2 * counts[column]}
            if sum(finer.values()) > room or finer[column] > _most_terms(pair, column):
                break
            features, of_finer = [plain(with_terms(candidate, one)) for one in (counts, finer)]
            if not gaussian.is_sound(pair.x, halved_pair.regressors(pair, of_finer).mean):
                break
            more, before = [
                halved_pair.information(pair, one).pointwise for one in (of_finer, features)
            ]
            gain = clustering.estimate(more - before, pair.clusters)
            if gain.mean <= errors * gain.stderr:
                break
            coarser = counts
            counts = finer
    return counts, coarser


def _room(pair, known) -> float:
    """Return how many coefficients the examples allow beside so many known ones."""
    halves, n, _ = pair.y.shape
    examples = halves * n / clustering.inflation_of(pair.clusters)
    of_each = SMOOTH_EXAMPLES if pair.log_ratios else regression.EXAMPLES
    return examples / of_each - known


def _gains(pair, features, other, features_of_other, errors) -> bool:
    """Return whether the other pair's regression of the mean tells significantly more.

    What a map has learned of the half that it was trained on does not count.
    """
    plain = regression.without_shape
    gain = (
        halved_pair.information(other._replace(optimism=0.0), plain(features_of_other)).pointwise
        - halved_pair.information(pair, plain(features)).pointwise
    )
    gain = clustering.estimate(gain, pair.clusters)
    return gain.mean > errors * gain.stderr


def select(pair: Pair, candidate: Callable, errors: float) -> dict[int, int]:
    """Select columns of y and their numbers of terms, one after the other by held-out gain.

    The level of `errors` standard errors is that of one trial, and is divided by their number.

    Args:
        pair: the scores.
        candidate: candidate(y) are the features so far.
        errors: standard errors by which a column has to gain.

    Returns:
        The number of terms of each column of y that gains by some.
    """
    dim = pair.y.shape[-1]
    known = halved_pair.regressors(pair, regression.without_shape(candidate)).mean
    counts: dict[int, int] = {}
    columns = range(dim)
    most = [_most_terms(pair, column) for column in columns]
    while len(counts) < COLUMNS:
        room = _room(pair, known.shape[-1])
        sizes = [terms for terms in TERMS if terms <= room]
        trials = len(sizes) * len(columns)
        if not trials:
            break
        limit = -ndtri(ndtr(-errors) / trials)
        gains = {}
        for column, terms, gain in _held_out(pair, known, columns, sizes):
            gain = clustering.estimate(gain, pair.clusters)
            if gain.mean > limit * gain.stderr and terms <= most[column]:
                gains[column, terms] = gain.mean
        if not gains:
            break
        column, terms = max(gains, key=lambda one: gains[one])
        counts[column] = terms
        added = [cosines(y[:, column], terms) for y in pair.y]
        known = np.concatenate([known, added], axis=-1)
        columns = sorted({other for other, _ in gains} - set(counts))
    return counts


def _most_terms(pair, column) -> float:
    """Return half the number of values of a column of y whose equal values have equal scores.

    Cosines of more terms would be linear functions of each other.
    """
    return len(np.unique(pair.y[..., column])) / 2 if pair.has_atoms else np.inf


def _held_out(pair, known, columns, sizes):
    """Yield (column, terms, gain [2n] in held-out log likelihood) of every column and size."""
    halves = [
        _Half(pair.x[half], known[half], pair.x[1 - half], known[1 - half]) for half in (0, 1)
    ]
    for column in columns:
        blocks = [cosines(y[:, column], max(sizes)) for y in pair.y]
        by_half = [half.gains(blocks[i], blocks[1 - i], sizes) for i, half in enumerate(halves)]
        for index, terms in enumerate(sizes):
            # What is fitted on the first half is held out on the second.
            yield column, terms, np.concatenate([by_half[1][index], by_half[0][index]])


class _Half:
    """A regression of x on what is known, fitted on one half and held out on the other."""

    def __init__(self, x, known, held_x, held_known):
        self.centre = known.mean(axis=0)
        self.known = known - self.centre
        self.held_known = held_known - self.centre
        gram = self.known.T @ self.known
        scale = np.trace(gram) / max(len(gram), 1)
        self.factor = cho_factor(gram + 1e-10 * scale * np.eye(len(gram)))
        self.x, self.held_x = self.remove(x, held_x)
        self.before = _log_likelihood(self.x, self.held_x)

    def remove(self, values, held):
        """Return the residuals of values, and of held ones by the same coefficients."""
        centre = values.mean(axis=0)
        values = values - centre
        coefficients = cho_solve(self.factor, self.known.T @ values)
        return (
            values - self.known @ coefficients,
            held - centre - self.held_known @ coefficients,
        )

    def gains(self, block, held_block, sizes):
        """Return the gain [n] on the held-out half of so many columns of the block."""
        block, held_block = self.remove(block, held_block)
        gram = block.T @ block
        product = block.T @ self.x
        gram = gram + 1e-10 * np.trace(gram) / len(gram) * np.eye(len(gram))
        gains = []
        for terms in sizes:
            coefficients = cho_solve(cho_factor(gram[:terms, :terms]), product[:terms])
            rest = self.x - block[:, :terms] @ coefficients
            held = self.held_x - held_block[:, :terms] @ coefficients
            gains.append(_log_likelihood(rest, held) - self.before)
        return gains


def _log_likelihood(rest, held):
    """Return log N(held; 0, C) [n] up to a constant, C the covariance of the residuals `rest`."""
    factor = np.linalg.cholesky(rest.T @ rest / len(rest))
    white = solve_triangular(factor, held.T, lower=True)
    return -0.5 * np.sum(np.square(white), axis=0) - np.sum(np.log(np.diag(factor)))
