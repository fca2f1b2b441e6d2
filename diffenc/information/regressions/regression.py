"""Regression of x on y, of the mean and of the length of the residual, without a network; float64.

    x = linear(y) + factor r,      r' = r |r'| / |r|,      |r'| = T(|r|; y)

For any such regression, with white x, r of unit covariance and T increasing for every y,

    I(X;Y) = I_reg + E KL(p(r'|y) || N(0, I)) - KL(p(x) || N(0, I))      (exact)

where I_reg is the information of the linear Gaussian plus the gain in likelihood by T. A few
thousand examples determine a few dozen coefficients much better than they teach a network the same:
of a Student law in 5 x 5 dimensions, whose correlations vanish, all but 0.01 of 0.45 nats at 10,000
samples. T is a sinh-arcsinh map (Jones & Pewsey 2009) of the normal score of the length. Its
location, scale, skewness and tails are functions of y, as in 'generalized additive models for
location, scale and shape' (Rigby & Stasinopoulos 2005).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import chdtr, chdtrc, chdtri, gammaincinv, gammaln, ndtr, ndtri, ndtri_exp
from threadpoolctl import ThreadpoolController

from diffenc.information.clusters import Clusters, inflation_of
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart

# Examples for each coefficient, below which the mean is regressed on y alone and T depends on
# lengths alone.
EXAMPLES = 20
# Examples for each coefficient, below which lengths are not mapped.
FEW_EXAMPLES = 5
# Lower scores, and mapped ones, are clipped at this size: probabilities beyond underflow.
FARTHEST = 37.0
# Upper scores of less are told by the logarithm of the probability, by so many terms of a fraction.
LEAST_PROBABILITY = 1e-290
TERMS_OF_TAIL = 20
# Squared lengths are clipped at this size, beyond which the square of a score might overflow.
LARGEST_SQUARE = 1e12
# How often the mean is fitted with new weights of the rows, at most, and the standard deviation of
# the logarithms of their sizes below which they count as equal.
REWEIGHTINGS = 3
LEAST_UNEVENNESS = 0.1
# The size is the median length at y, with a normal score of at most so much.
MOST_MEDIAN = 3.0


class Features(NamedTuple):
    """Functions of y for a regression.

    Attributes:
        mean: what the mean of x is regressed on [N, k].
        shape: what T depends on [N, l]; with l = 0, r' = r.
    """

    mean: np.ndarray
    shape: np.ndarray


def linear(y: np.ndarray) -> Features:
    """Make the features of a linear regression: y [N, dim] for the mean."""
    return Features(y, y[:, :0])


def of_labels(indicators: np.ndarray) -> Features:
    """Make the features of labels: their indicators [N, labels - 1] for the mean and for T."""
    return Features(indicators, indicators)


def polar(y: np.ndarray) -> Features:
    """Make features of y [N, dim] and of its length.

    The mean is regressed on y, the logarithm of its length when white, and their product, about as
    the networks see y (`networks.residual`), or on y alone if examples are few. T depends on this
    logarithm, its square and its cube, and on y unless half of the examples are few.
    """
    y = gaussian.whiten(y)
    n, dim = y.shape
    length = np.log(np.mean(np.square(y), axis=1, keepdims=True) + 0.1) * (dim / 2) ** 0.5
    mean = [y, length, y * length] if n >= EXAMPLES * (2 * dim + 1) else [y]
    shape = [length, length**2, length**3]
    if n / 2 >= EXAMPLES * count_coefficients(dim + 3):
        shape.append(y)
    return Features(np.concatenate(mean, axis=1), np.concatenate(shape, axis=1))


def polar_signed(y: np.ndarray) -> Features:
    """Make the features of `polar`, where T depends on y itself, too."""
    features = polar(y)
    if features.shape.shape[1] == 3:
        shape = np.concatenate([features.shape, gaussian.whiten(y)], axis=1)
        return features._replace(shape=shape)
    return features


def polar_blocks(width: int) -> Callable:
    """Make the function of (y, z) [N, dim] that is `polar`, with the lengths of y and of z for T.

    y are the first `width` columns.
    """

    def features(both):
        whole = polar(both)
        shapes = [whole.shape]
        for block in (both[:, :width], both[:, width:]):
            shapes.append(polar(block).shape[:, :3])  # the powers of its length
        return Features(whole.mean, np.concatenate(shapes, axis=1))

    return features


def beside_codes(width: int, features_of: Callable = polar):
    """Make the features of numbers and indicators: those of the numbers, indicators, products.

    Args:
        width: how many columns are numbers; the indicators follow them.
        features_of: features_of(numbers).

    Returns:
        The function of both [N, dim].
    """

    def features(both):
        numbers = both[:, :width]
        indicators = both[:, width:]
        of_numbers = features_of(numbers)
        mean = [of_numbers.mean, indicators]
        products = (numbers[:, :, None] * indicators[:, None]).reshape(len(both), -1)
        dims = of_numbers.mean.shape[1] + indicators.shape[1] + products.shape[1]
        # A code that one half hardly has would leave its products without a spread of their own.
        is_frequent = indicators.sum(axis=0).min() >= 2 * EXAMPLES
        if is_frequent and len(both) >= EXAMPLES * dims:
            mean.append(products)
        shape = np.concatenate([of_numbers.shape, indicators], axis=1)
        return Features(np.concatenate(mean, axis=1), shape)

    return features


def without_mean(features: Callable) -> Callable:
    """Make the function of y that gives the features for T alone.

    Useless coefficients overfit most where |y| is large and make the residual too short there; no
    correction for the number of coefficients removes this.
    """

    def shape_only(y):
        all_features = features(y)
        return all_features._replace(mean=all_features.mean[:, :0])

    return shape_only


def without_shape(features: Callable) -> Callable:
    """Make the function of y that gives the features for the mean alone."""
    return lambda y: linear(features(y).mean)


def count_coefficients(count: int) -> int:
    """Count the coefficients of a T that depends on so many functions of y."""
    return 4 * (1 + count) if count else 0


class Regression(NamedTuple):
    """A regression x = linear + factor r, r' = T(r).

    Attributes:
        r: r' [N, dim].
        linear: [N, dim].
        factor: lower triangular [dim, dim].
        gain: log likelihood of r' and of the maps to it less that by least squares without T [N].
    """

    r: np.ndarray
    linear: np.ndarray
    factor: np.ndarray
    gain: np.ndarray


def fit(x: np.ndarray, features: Features) -> Regression:
    """Fit the regression of white x [N, dim] by maximum likelihood.

    Least squares weigh all rows alike. Where lengths depend on y, the mean is fitted again with
    rows weighted by the inverse of their squared size (Aitken 1936), if that is likelier. r has the
    second moments I, r' approximately.
    """
    n = len(x)
    regressors = gaussian.whiten(features.mean) if features.mean.shape[1] else features.mean
    mean = regressors @ (regressors.T @ x / n)
    r, factor = _residual(x, mean)
    if not features.shape.shape[1]:
        return Regression(r, mean, factor, np.zeros(n))
    log_likelihood = _log_likelihood(r, factor)
    best, size, coefficients = _with_lengths(r, mean, factor, features.shape, log_likelihood)
    for _ in range(REWEIGHTINGS if regressors.shape[1] else 0):
        if np.std(np.log(size)) < LEAST_UNEVENNESS:
            break
        mean = _weighted_mean(x, regressors, 1 / size)
        r, factor = _residual(x, mean)
        trial, size, coefficients = _with_lengths(
            r, mean, factor, features.shape, log_likelihood, coefficients
        )
        if trial.gain.mean() <= best.gain.mean():
            break
        best = trial
    return best


def _residual(x, mean):
    """Return r [N, dim] of unit second moments, and the factor."""
    rest = x - mean
    factor = np.linalg.cholesky(rest.T @ rest / len(x))
    return solve_triangular(factor, rest.T, lower=True).T, factor


def _log_likelihood(r, factor):
    """Return log N(factor r; 0, factor factor^T) [N] up to a constant."""
    return -0.5 * np.sum(np.square(r), axis=1) - np.log(np.diagonal(factor)).sum()


def _with_lengths(r, mean, factor, shape, log_likelihood, start=None):
    """Map the lengths of r, whose likelihood is compared with `log_likelihood` [N].

    Returns:
        The regression, the median length of r at every y [N], and the coefficients of T.
    """
    dim = r.shape[1]
    square = np.maximum(np.sum(np.square(r), axis=1), 1e-12)
    score, gain, median, coefficients = fit_length_map(normal_score(square, dim), shape, start)
    new_square = _square_of(score, dim)
    gain = gain + _log_likelihood(r, factor) - log_likelihood
    mapped = Regression(r * np.sqrt(new_square / square)[:, None], mean, factor, gain)
    return mapped, np.sqrt(_square_of(median, dim)), coefficients


def _square_of(score, dim):
    """Compute the squared length of which `normal_score` is the score."""
    below = 2 * gammaincinv(dim / 2, ndtr(score))
    return np.where(score < 0, below, chdtri(dim, ndtr(-score)))


def _weighted_mean(x, regressors, weights):
    """Return the regression of x on regressors and 1 with rows times these weights [N]."""
    design = np.concatenate([np.ones((len(x), 1)), regressors], axis=1)
    scaled = design * weights[:, None]
    return design @ np.linalg.lstsq(scaled, x * weights[:, None])[0]


def normal_score(square: np.ndarray, dim: int) -> np.ndarray:
    """Compute the normal score [N] of squared lengths [N] of vectors of dim coordinates.

    It is N(0, 1) if the vectors are N(0, I), and accurate in both tails; in the upper one also
    where the probability underflows, as of the outliers of a law with heavy tails.
    """
    square = np.minimum(square, LARGEST_SQUARE)
    below = chdtr(dim, square)
    above = chdtrc(dim, square)
    scores = np.maximum(np.where(below < 0.5, ndtri(below), -ndtri(above)), -FARTHEST)
    is_far = above < LEAST_PROBABILITY
    scores[is_far] = -ndtri_exp(_log_above(square[is_far], dim))
    return scores


def _log_above(square, dim):
    """Compute the log probability of a larger square, far beyond dim, by Legendre's fraction."""
    x = square / 2
    a = dim / 2
    rest = 0.0
    for term in range(TERMS_OF_TAIL, 0, -1):
        rest = term * (term - a) / (x + 2 * term + 1 - a - rest)
    return a * np.log(x) - x - gammaln(a) - np.log(x + 1 - a - rest)


def fit_length_map(
    score: np.ndarray, shape: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit T(score; shape) = sinh(d asinh((score - m) / s) - e) by maximum likelihood.

    m and e are linear in the features, and so are log s and log d up to a bound.

    Args:
        score: normal scores of the lengths [N].
        shape: features [N, l].
        start: coefficients to start from, such as those of similar scores; None is the identity.

    Returns:
        T [N], its gain log phi(T) + log dT/dscore - log phi(score) [N], the score that T maps to 0
        [N], and the coefficients.
    """
    shape = (shape - shape.mean(axis=0)) / np.maximum(shape.std(axis=0), 1e-12)
    design = np.concatenate([np.ones((len(score), 1)), shape], axis=1)

    def mean_cost(coefficients):
        cost, slopes, _ = _sinh_arcsinh(score, design @ coefficients.reshape(-1, 4))
        return cost.mean(), (design.T @ slopes / len(score)).ravel()

    if start is None:
        start = np.zeros(4 * design.shape[1])
    # Threads of BLAS take twenty times as long for these few coefficients as one of them.
    with _controller().limit(limits=1, user_api="blas"):
        optimum = minimize(mean_cost, start, jac=True, method="L-BFGS-B", tol=1e-7)
    parameters = design @ optimum.x.reshape(-1, 4)
    cost, _, image = _sinh_arcsinh(score, parameters)
    return np.clip(image, -FARTHEST, FARTHEST), -cost, _median(parameters), optimum.x


@functools.cache
def _controller() -> ThreadpoolController:
    """Return what sets the number of threads of numpy's and scipy's libraries."""
    return ThreadpoolController()


def _median(parameters):
    """Return the score that T maps to 0 [N], within `MOST_MEDIAN`."""
    m, log_s, e, log_d = parameters.T
    arcsinh = e / np.exp(3 * np.tanh(log_d / 3))
    score = m + np.exp(3 * np.tanh(log_s / 3)) * np.sinh(np.clip(arcsinh, -FARTHEST, FARTHEST))
    return np.clip(score, -MOST_MEDIAN, MOST_MEDIAN)


def _sinh_arcsinh(score, parameters):
    """Return minus the gain of `fit_length_map` [N], its derivatives [N, 4], and T [N].

    The derivatives are those by the parameters [N, 4], which are m, log s, e and log d.
    """
    m, log_s, e, log_d = parameters.T
    log_s = 3 * np.tanh(log_s / 3)  # within a factor of 20
    log_d = 3 * np.tanh(log_d / 3)
    v = (score - m) / np.exp(log_s)
    d = np.exp(log_d)
    arcsinh = np.arcsinh(v)
    w = np.clip(d * arcsinh - e, -100.0, 100.0)
    image = np.sinh(w)
    log_slope = np.logaddexp(w, -w) - np.log(2) + log_d - 0.5 * np.log1p(np.square(v)) - log_s
    by_w = image * np.cosh(w) - np.tanh(w)
    by_v = by_w * d / np.sqrt(1 + np.square(v)) + v / (1 + np.square(v))
    slopes = [
        -by_v / np.exp(log_s),
        (1 - by_v * v) * (1 - np.square(log_s / 3)),
        -by_w,
        (by_w * d * arcsinh - 1) * (1 - np.square(log_d / 3)),
    ]
    cost = 0.5 * (np.square(image) - np.square(score)) - log_slope
    return cost, np.stack(slopes, axis=1), image


def information(
    x: np.ndarray, features: Features, clusters: Clusters | None = None
) -> GaussianPart:
    """Compute I_reg of x [N, dim].

    It is the information of the linear Gaussian without its bias, plus the gain in likelihood by T
    less 1 / 2N for each coefficient of T (Akaike 1974), to first order. With clusters, N is the
    effective number of rows.
    """
    count = count_coefficients(features.shape.shape[1])
    if features.mean.shape[1]:
        linear_part = gaussian.gaussian_information(x, features.mean, clusters)
    else:
        linear_part = GaussianPart(0.0, np.zeros(len(x)), clusters)
    if not count:
        return linear_part
    gain = fit(gaussian.whiten(x), features).gain
    gain = gain - count * inflation_of(clusters) / (2 * len(x))
    mean = linear_part.mean + float(gain.mean())
    return GaussianPart(mean, linear_part.pointwise + gain, clusters)


def density(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Compute dI / d(lambda) of the linear Gaussian of x and y, for white x diffused.

    What the noisy x knows of y is -1/2 sum_j log(1 - alpha^2 rho_j^2), where rho_j are the
    canonical correlations.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        edges: bounds [k + 1] of the strata of lambda.

    Returns:
        The mean of the density over each stratum [k].
    """
    if not y.shape[1]:
        return np.zeros(len(edges) - 1)
    rho = np.linalg.svd(gaussian.whiten(x).T @ gaussian.whiten(y) / len(x), compute_uv=False)
    alpha2 = 1 / (1 + np.exp(-edges))[:, None]
    return np.diff(-0.5 * np.log1p(-alpha2 * np.square(rho)).sum(axis=1)) / np.diff(edges)
