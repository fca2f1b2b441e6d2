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
from scipy.special import chdtr, chdtrc, chdtri, gammaincinv, ndtr, ndtri
from threadpoolctl import ThreadpoolController

from diffenc.information.clusters import Clusters, inflation_of
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart

# Examples for each coefficient, below which the mean is regressed on y alone and T depends on
# lengths alone.
EXAMPLES = 20
# Examples for each coefficient, below which lengths are not mapped.
FEW_EXAMPLES = 5
# Scores are clipped at this size, because probabilities beyond underflow.
FARTHEST = 37.0


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
        gain: log likelihood of r' and of the map to it less that of r [N].
    """

    r: np.ndarray
    linear: np.ndarray
    factor: np.ndarray
    gain: np.ndarray


def fit(x: np.ndarray, features: Features) -> Regression:
    """Fit the regression of white x [N, dim] by maximum likelihood.

    r has mean 0 and covariance I, r' approximately.
    """
    n, dim = x.shape
    regressors = gaussian.whiten(features.mean) if features.mean.shape[1] else features.mean
    mean = regressors @ (regressors.T @ x / n)
    rest = x - mean
    factor = np.linalg.cholesky(rest.T @ rest / n)
    r = solve_triangular(factor, rest.T, lower=True).T
    if not features.shape.shape[1]:
        return Regression(r, mean, factor, np.zeros(n))
    square = np.maximum(np.sum(np.square(r), axis=1), 1e-12)
    score, gain = fit_length_map(normal_score(square, dim), features.shape)
    below = 2 * gammaincinv(dim / 2, ndtr(score))
    new_square = np.where(score < 0, below, chdtri(dim, ndtr(-score)))
    return Regression(r * np.sqrt(new_square / square)[:, None], mean, factor, gain)


def normal_score(square: np.ndarray, dim: int) -> np.ndarray:
    """Compute the normal score [N] of squared lengths [N] of vectors of dim coordinates.

    It is N(0, 1) if the vectors are N(0, I), and accurate in both tails.
    """
    below = chdtr(dim, square)
    scores = np.where(below < 0.5, ndtri(below), -ndtri(chdtrc(dim, square)))
    return np.clip(scores, -FARTHEST, FARTHEST)


def fit_length_map(score: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit T(score; shape) = sinh(d asinh((score - m) / s) - e) by maximum likelihood.

    m and e are linear in the features, and so are log s and log d up to a bound.

    Args:
        score: normal scores of the lengths [N].
        shape: features [N, l].

    Returns:
        T [N] and its gain log phi(T) + log dT/dscore - log phi(score) [N].
    """
    shape = (shape - shape.mean(axis=0)) / np.maximum(shape.std(axis=0), 1e-12)
    design = np.concatenate([np.ones((len(score), 1)), shape], axis=1)

    def mean_cost(coefficients):
        cost, slopes, _ = _sinh_arcsinh(score, design @ coefficients.reshape(-1, 4))
        return cost.mean(), (design.T @ slopes / len(score)).ravel()

    start = np.zeros(4 * design.shape[1])
    # Threads of BLAS take twenty times as long for these few coefficients as one of them.
    with _controller().limit(limits=1, user_api="blas"):
        optimum = minimize(mean_cost, start, jac=True, method="L-BFGS-B", tol=1e-7)
    cost, _, image = _sinh_arcsinh(score, design @ optimum.x.reshape(-1, 4))
    return np.clip(image, -FARTHEST, FARTHEST), -cost


@functools.cache
def _controller() -> ThreadpoolController:
    """Return what sets the number of threads of numpy's and scipy's libraries."""
    return ThreadpoolController()


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
