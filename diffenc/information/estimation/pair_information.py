"""The information of a pair of blocks of scores.

    I(X;Y) = I_reg + D[X|Y] - D[X]

A regression and two divergences, see `measures`.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation.assembly import Information, assemble
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.settings import Settings
from diffenc.information.training.divergence import divergence
from diffenc.information.training.halves import make_halves
from diffenc.keys import split_key

# Standard errors by which lengths have to gain in smooth scores, which no ranks blur.
SMOOTH_ERRORS = 1.0


def estimate(
    key: jax.Array, pair: Pair, rows: np.ndarray, settings: Settings, show, candidate: Callable
) -> Information:
    """Estimate I(X;Y) of halves of scores.

    Args:
        key: a key.
        pair: the scores.
        rows: [2, n] which examples these are.
        settings: for as many examples in a half, see `Settings.for_examples`.
        show: progress callback, called with (stage, updates, value in nats).
        candidate: candidate(y) are the features for the regression.

    Returns:
        The information; `gaussian` and `diffused` are for the caller to fill in.
    """
    key_conditional, key_marginal = split_key(key)
    dim = pair.x.shape[-1]
    errors = SMOOTH_ERRORS if pair.log_ratios else settings.map_errors
    part, features, shape = choose_features(pair, candidate, errors)
    halves = make_halves(pair.x, pair.y, halved_pair.regressors(pair, features))
    training = None
    training_x = None
    if pair.own:
        own = Pair(*pair.own, own=pair.own, clusters=pair.clusters)
        training = make_halves(own.x, own.y, halved_pair.regressors(own, features))
        training_x = make_halves(own.x, None)
    tell = functools.partial(show, "x given y")
    conditional = divergence(key_conditional, halves, settings, tell, training, pair.clusters)
    marginal = None
    if dim > 1:  # a single coordinate is normal, or the regression holds its D[X] by spacings
        tell = functools.partial(show, "x")
        if pair.turned:
            training_x = None
        halves_x = make_halves(pair.turned.alone if pair.turned else pair.x, None)
        marginal = divergence(key_marginal, halves_x, settings, tell, training_x, pair.clusters)
    with_scores = not shape and pair.turned is None
    doubts = (
        pair.optimism / 2,
        pair.drift,
        correction(pair, features),
        additive.unfinished(pair, candidate),
    )
    doubt = float(np.linalg.norm(doubts))
    result = assemble(part, rows, pair.least_dim, conditional, marginal, with_scores, doubt)
    return result._replace(
        shape=shape, regression_density=density(pair, conditional.edges, features)
    )


def choose_features(
    pair: Pair, candidate: Callable, errors: float
) -> tuple[GaussianPart, Callable, float]:
    """Choose the features of the regression, with or without a model of lengths.

    Lengths are modelled only if their gain exceeds so many standard errors and a half has enough
    examples.

    Args:
        pair: the scores.
        candidate: candidate(y) are the features with lengths.
        errors: how many standard errors.

    Returns:
        The information by regression, its features, and the part of it by lengths, 0 if these are
        not modelled.
    """
    plain = regression.without_shape(candidate)
    without = halved_pair.information(pair, plain)
    count = regression.count_coefficients(halved_pair.regressors(pair, candidate).shape.shape[-1])
    examples = pair.x.shape[1] / clustering.inflation_of(pair.clusters)
    if examples < regression.FEW_EXAMPLES * count:
        return without, plain, 0.0
    parts = {
        features: halved_pair.information(pair, features)
        for features in (candidate, regression.without_mean(candidate))
    }
    best = max(parts, key=lambda features: parts[features].mean)
    gain = clustering.estimate(parts[best].pointwise - without.pointwise, pair.clusters)
    if gain.mean > errors * gain.stderr:
        return parts[best], best, gain.mean
    return without, plain, 0.0


def correction(pair: Pair, features: Callable) -> float:
    """Return what `regression.information` subtracts for T, which is right to first order."""
    count = regression.count_coefficients(halved_pair.regressors(pair, features).shape.shape[-1])
    examples = pair.x.shape[1] / clustering.inflation_of(pair.clusters)
    return count / (2 * examples * (1 if pair.own else 2))


def density(pair: Pair, edges: np.ndarray, features: Callable) -> np.ndarray:
    """Give the density over lambda of the regression of the mean.

    It is scaled so that its integral is the information without its bias.

    Args:
        pair: the scores.
        edges: [strata + 1] of lambda.
        features: of the regression.

    Returns:
        [strata].
    """
    total = halved_pair.information(pair, regression.without_shape(features)).mean
    if pair.turned:
        # As Gaussian coordinates of as much information would.
        alpha2 = 1 / (1 + np.exp(-edges))
        square = -np.expm1(-2 * max(0.0, total) / pair.least_dim)
        return np.diff(-0.5 * pair.least_dim * np.log1p(-alpha2 * square)) / np.diff(edges)
    halves = zip(pair.x, halved_pair.regressors(pair, features).mean, strict=True)
    unscaled = np.mean([regression.density(x, of_y, edges) for x, of_y in halves], axis=0)
    return unscaled * (max(0.0, total) / max(np.sum(unscaled * np.diff(edges)), 1e-12))
