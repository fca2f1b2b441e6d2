"""The Gaussian part of an information: marginals made normal, blocks whitened, the closed form and
its bias; float64.

I(X;Y) is invariant under invertible maps of each coordinate, and with whitened blocks, r the
residual of x given y,

    I = I_Gauss + KL(p(r|y) || N(0, I)) - KL(p(x) || N(0, I))                                    (exact)

so that all of the information of Gaussian data is here, without a network.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import chdtri, digamma, log_ndtr, ndtri, stdtrit
from scipy.stats import rankdata
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

DEGREES_OF_FREEDOM = (
    0.7,
    12.0,
)  # of the elliptical laws that `block_scores` looks among, as a continuum


def normal_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Every coordinate through an increasing map to N(0, 1): by rank, or only standardized where
    that is near enough.

    z = Phi^-1((rank - 1/2) / N). Ranks carry the noise of the empirical distribution, of size
    N^-1/2, which blurs relations sharper than that, so a coordinate of `normal_enough` is left as
    it is. Ties are broken at random: with U independent, (X, U) knows of Y what X knows, and its
    scores are normal; with mean ranks a coordinate of few values would be far from normal and make
    information of nothing. x: [N, D]; returns [N, D] in float64.
    """
    x = np.asarray(x, np.float64)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return np.where(normal_enough(z)[None] & ~has_ties(x)[None], z, by_rank(x, rng))


def normal_enough(z: np.ndarray) -> np.ndarray:
    """Whether standardized columns z [N, D] are so near N(0, 1) that what they miss does not
    matter; returns [D].

    The divergence of a coordinate that passes with a statistic A^2 is at most about 17 A^2 / N
    (that of a uniform one, whose tails are shorter than any), the standard error of an information
    about 0.7 N^-1/2. Half of it, the most that is let pass, gives A^2 < 0.02 N^1/2; more than 2 is
    never asked, above the 0.1% point of normal samples.
    """
    return anderson_darling(z) < min(2.0, 0.02 * len(z) ** 0.5)


def has_ties(x: np.ndarray) -> np.ndarray:
    """Whether more than a tenth of the values of a column of x [N, D] repeat another; returns
    [D]."""
    return np.array([len(np.unique(column)) < 0.9 * len(x) for column in x.T])


def by_rank(x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Phi^-1((rank - 1/2) / N) of every coordinate, ties broken at random, or sharing their mean
    rank without rng."""
    return ndtri(_uniform(x, rng))


def _uniform(x, rng):
    """(rank - 1/2) / N of every column."""
    if rng is not None:  # the rank of (value, order of a shuffle)
        order = np.lexsort(
            (rng.permuted(np.tile(np.arange(len(x)), (x.shape[1], 1)), axis=1).T, x), axis=0
        )
        return (np.argsort(order, axis=0) + 0.5) / len(x)
    return (rankdata(x, axis=0) - 0.5) / len(x)


def anderson_darling(z: np.ndarray) -> np.ndarray:
    """The statistic A^2 of standardized columns z [N, D] against N(0, 1) (Anderson & Darling 1952);
    returns [D]."""
    z, n = np.sort(z, axis=0), len(z)
    weights = (2 * np.arange(1, n + 1) - 1)[:, None]
    return -n - np.mean(weights * (log_ndtr(z) + log_ndtr(-z[::-1])), axis=0)


def block_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """The whole block x [N, D] through an invertible map to what is nearest N(0, C): float64 [N,
    D].

    I(X;Y) does not change under a map of x alone, and the nearer x is to a Gaussian the less is
    left to a network. `normal_scores` does it for a Gaussian copula; for an elliptical one of
    heavier tails, the scores of a t law of the right degrees of freedom are elliptical, and
    `radial_scores` makes them normal. The degrees of freedom are fitted, as a number and not among
    a few, to the least mean of Anderson-Darling statistics of random projections; by the same
    statistics one of the two maps is taken.
    """
    x = np.asarray(x, np.float64)
    best = normal_scores(rng, x)
    if x.shape[1] == 1:
        return best
    uniform = _uniform(x, rng)

    def misfit(log_dof):
        return _misfit(radial_scores(stdtrit(np.exp(log_dof), uniform)))

    fitted = minimize_scalar(
        misfit, bounds=np.log(DEGREES_OF_FREEDOM), method="bounded", options={"xatol": 0.03}
    )
    if fitted.fun < 0.5 * _misfit(best):  # a map of all coordinates together has to be much better
        return radial_scores(stdtrit(np.exp(fitted.x), uniform))
    return best


def independent_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray | None:
    """x [N, D] unmixed by a linear map, so that its coordinates are as independent as they can be
    (FastICA, Hyvarinen 1999), then `block_scores`; None where there is one coordinate, one with
    ties (whose order would then be that of another), where there are too few examples for so many
    angles, or where it fails. Of a linear mixture of independent sources the scores are Gaussian;
    mixed they are not.
    """
    n, dim = x.shape
    if dim == 1 or n < 5 * dim**2 or has_ties(x).any():
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # any rotation is a map that may be taken
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            ica = FastICA(whiten="unit-variance", max_iter=100, tol=1e-3, random_state=0)
            sources = ica.fit_transform((x - x.mean(axis=0)) / x.std(axis=0))
        except (ValueError, LinAlgError):  # overflow
            return None
    return block_scores(rng, sources) if np.isfinite(sources).all() else None


def radial_scores(x: np.ndarray) -> np.ndarray:
    """x [N, D] with its Mahalanobis length, about the medians and by Tyler's scatter (1987), mapped
    by rank to that of a standard normal vector; directions are kept."""
    n, dim = x.shape
    x = x - np.median(x, axis=0)
    scatter = np.eye(dim)
    for _ in range(
        20
    ):  # a contraction: three digits each five turns, and any scatter gives an invertible map
        square = np.sum(x * np.linalg.solve(scatter, x.T).T, axis=1)
        scatter = dim * (x.T / np.maximum(square, 1e-300)) @ x / n
        scatter *= dim / np.trace(scatter)
    z = solve_triangular(np.linalg.cholesky(scatter), x.T, lower=True).T
    length = np.linalg.norm(z, axis=1)
    wanted = np.sqrt(chdtri(dim, 1 - (rankdata(length) - 0.5) / n))
    return z * (wanted / np.maximum(length, 1e-300))[:, None]


def _misfit(z: np.ndarray, count: int = 32) -> float:
    """The mean Anderson-Darling statistic of white z [N, D] along random directions: about 0.4 for
    a Gaussian."""
    z = whiten(z)
    directions = np.random.default_rng(0).standard_normal((z.shape[1], count))
    return float(np.mean(anderson_darling(z @ (directions / np.linalg.norm(directions, axis=0)))))


def whiten(x: np.ndarray) -> np.ndarray:
    """x [N, D] with mean 0 and covariance I (divisor N), by its Cholesky factor."""
    x = x - x.mean(axis=0)
    factor = np.linalg.cholesky(x.T @ x / len(x))
    return solve_triangular(factor, x.T, lower=True).T


class GaussianPart(NamedTuple):
    """mean: a quantity of the Gaussian of the samples' moments, its bias removed; pointwise [N]:
    the examples' shares, of that mean, whose spread is that of the estimate (nats)."""

    mean: float
    pointwise: np.ndarray


def gaussian_entropy(x: np.ndarray) -> GaussianPart:
    """1/2 (log det C + D (1 + log 2 pi)) with C unbiased, less its bias for Gaussian samples; x:
    [N, D].

    E log det C is that of the truth plus sum_{i<D} psi((N-1-i)/2) - D log((N-1)/2) (Wishart). The
    pointwise -log p is also the influence of the example on the estimate.
    """
    x = x - x.mean(axis=0)
    n, dim = x.shape
    factor = np.linalg.cholesky(x.T @ x / (n - 1))
    bias = np.sum(digamma((n - 1 - np.arange(dim)) / 2)) - dim * np.log((n - 1) / 2)
    mean = float(np.sum(np.log(np.diag(factor))) + 0.5 * (dim * (1 + np.log(2 * np.pi)) - bias))
    square = np.sum(np.square(solve_triangular(factor, x.T, lower=True)), axis=0)
    return GaussianPart(mean, mean + 0.5 * (square - square.mean()))


def gaussian_information(x: np.ndarray, y: np.ndarray) -> GaussianPart:
    """h(x) + h(y) - h(x, y) of `gaussian_entropy`. x: [N, dim_x], y: [N, dim_y]; returns nats."""
    h_x, h_y, h_xy = (gaussian_entropy(block) for block in (x, y, np.concatenate([x, y], axis=1)))
    return GaussianPart(
        h_x.mean + h_y.mean - h_xy.mean, h_x.pointwise + h_y.pointwise - h_xy.pointwise
    )
