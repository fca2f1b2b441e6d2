"""The Gaussian part of an information; float64.

Coordinates are mapped to normal ones and blocks are whitened; then the information has a closed
form, whose bias is known. I(X;Y) is invariant under invertible maps of each coordinate. With
whitened blocks and r the residual of x given y,

    I = I_Gauss + KL(p(r|y) || N(0, I)) - KL(p(x) || N(0, I))      (exact)

so that all of the information of Gaussian data is here, without a network.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import chdtri, digamma, log_ndtr, ndtri, stdtrit

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters

# Range of degrees of freedom of the elliptical laws that `block_scores` fits.
DEGREES_OF_FREEDOM = (0.7, 12.0)
# Smallest variance of standardized images in any direction. That of single precision is 1e-14.
LEAST_VARIANCE = 1e-13
# Of so many columns mixtures of sources do not look Gaussian along random directions.
FEW_COLUMNS = 3


def normal_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Map every coordinate of x [N, D] to N(0, 1) by an increasing map; float64 [N, D].

    The map is by rank, z = Phi^-1((rank - 1/2) / N). Ranks carry the noise of the empirical
    distribution, of size N^-1/2, which blurs relations sharper than that, so a coordinate that is
    `normal_enough` is only standardized. Ties are broken at random: with U independent, (X, U)
    knows of Y what X knows, and its scores are normal. Average ranks would leave a discrete
    coordinate non-Gaussian and create spurious information.
    """
    x = np.asarray(x, np.float64)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return np.where(are_ranked(x)[None], by_rank(x, rng), z)


def are_ranked(x: np.ndarray) -> np.ndarray:
    """Return which columns of x [N, D] `normal_scores` maps by rank [D]."""
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return ~normal_enough(z) | has_ties(x)


def normal_enough(z: np.ndarray) -> np.ndarray:
    """Return which standardized columns of z [N, D] are so near N(0, 1) that they need no map [D].

    A coordinate with the statistic A^2 has a divergence from N(0, 1) of at most about 17 A^2 / N
    (that of a uniform one, whose tails are shorter than any), and an information has a standard
    error of about 0.7 N^-1/2. We accept a coordinate if the divergence it keeps is below half a
    standard error, which is A^2 < 0.02 N^1/2 (never above 2, the 0.1 % point of normal samples).
    """
    return anderson_darling(z) < _accepted(len(z))


def has_ties(x: np.ndarray) -> np.ndarray:
    """Return in which columns of x [N, D] more than a tenth of the values repeat another [D]."""
    return np.array([len(np.unique(column)) < 0.9 * len(x) for column in x.T])


def by_rank(x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Compute Phi^-1((rank - 1/2) / N) of every coordinate.

    Ties are broken at random, or have their average rank if rng is None.
    """
    return ndtri(_uniform(x, rng))


def _uniform(x, rng):
    """Return (rank - 1/2) / N of every column."""
    if rng is None:
        ranks = np.empty(x.shape)  # x may have no columns
        for column, values in enumerate(x.T):
            ranks[:, column] = _ranks(values)
        return (ranks - 0.5) / len(x)
    # The rank of (value, place in a random order).
    place = rng.permuted(np.tile(np.arange(len(x)), (x.shape[1], 1)), axis=1).T
    order = np.lexsort((place, x), axis=0)
    return (np.argsort(order, axis=0) + 0.5) / len(x)


def _ranks(values):
    """Return the ranks [N], from 1, of values [N]; equal ones have their average rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - 0.5 * (counts - 1))[index]


def anderson_darling(z: np.ndarray) -> np.ndarray:
    """Compute A^2 (Anderson & Darling 1952) of standardized columns z [N, D] for N(0, 1) [D]."""
    z = np.sort(z, axis=0)
    n = len(z)
    weights = (2 * np.arange(1, n + 1) - 1)[:, None]
    return -n - np.mean(weights * (log_ndtr(z) + log_ndtr(-z[::-1])), axis=0)


def block_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Map the whole block x [N, D] invertibly to what is nearest to a Gaussian; float64 [N, D].

    I(X;Y) does not change under a map of x alone, and the nearer x is to a Gaussian the less is
    left to a network. For a Gaussian copula the map is `normal_scores`. For an elliptical copula of
    heavier tails, the scores of a t law of the right degrees of freedom are elliptical, and
    `radial_scores` makes them normal. The degrees of freedom minimize the mean Anderson-Darling
    statistic of random projections. The same statistic decides between the two maps.
    """
    x = np.asarray(x, np.float64)
    by_coordinate = normal_scores(rng, x)
    if x.shape[1] == 1:
        return by_coordinate
    uniform = _uniform(x, rng)

    def misfit(log_dof):
        return _misfit(radial_scores(stdtrit(np.exp(log_dof), uniform)))

    optimum = minimize_scalar(
        misfit, bounds=np.log(DEGREES_OF_FREEDOM), method="bounded", options={"xatol": 0.03}
    )
    # A map of all coordinates together is used only if it is much better.
    if optimum.fun < 0.5 * _misfit(by_coordinate):
        return radial_scores(stdtrit(np.exp(optimum.x), uniform))
    return by_coordinate


def independent_scores(rng: np.random.Generator, x: np.ndarray) -> np.ndarray | None:
    """Unmix x [N, D] by FastICA (Hyvarinen 1999), then map it by `block_scores`; [N, D].

    Scores of a linear mixture of independent sources are Gaussian if the sources are unmixed before
    they are scored, and not if they are scored as they come. Returns None if x has one column, if
    one has ties (whose order would then be that of another), if there are too few examples for so
    many angles, if two columns or three are so near a Gaussian that there is nothing to unmix, or
    if the iteration fails.
    """
    n, dim = x.shape
    if dim == 1 or n < 5 * dim**2 or has_ties(x).any():
        return None
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    if dim <= FEW_COLUMNS and looks_gaussian(standard):
        return None
    # Their import takes as long as JAX's, and loads pandas.
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # any rotation is an invertible map
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            ica = FastICA(whiten="unit-variance", max_iter=100, tol=1e-3, random_state=0)
            sources = ica.fit_transform(standard)
        except (ValueError, LinAlgError):  # overflow
            return None
    try:
        return block_scores(rng, sources) if np.isfinite(sources).all() else None
    except LinAlgError:
        # A row or two hold most of a variance, and of all others the sources are one to rounding.
        return None


def radial_scores(x: np.ndarray) -> np.ndarray:
    """Map the lengths of x [N, D] by rank to those of a standard normal vector.

    Lengths are Mahalanobis lengths about the medians, by Tyler's scatter (1987); directions stay as
    they are.
    """
    n, dim = x.shape
    x = x - np.median(x, axis=0)
    scatter = np.eye(dim)
    # A contraction: three digits each five turns, and any scatter gives an invertible map.
    for _ in range(20):
        square = np.sum(x * np.linalg.solve(scatter, x.T).T, axis=1)
        scatter = dim * (x.T / np.maximum(square, 1e-300)) @ x / n
        scatter *= dim / np.trace(scatter)
    z = solve_triangular(np.linalg.cholesky(scatter), x.T, lower=True).T
    length = np.linalg.norm(z, axis=1)
    new_length = np.sqrt(chdtri(dim, 1 - (_ranks(length) - 0.5) / n))
    return z * (new_length / np.maximum(length, 1e-300))[:, None]


def _accepted(n: int) -> float:
    """Return the statistic A^2 below which n numbers are taken as normal, see `normal_enough`."""
    return min(2.0, 0.02 * n**0.5)


def _misfit(z: np.ndarray, count: int = 32) -> float:
    """Return the mean Anderson-Darling statistic of white z [N, D] along random directions.

    It is about 0.4 for a Gaussian.
    """
    z = whiten(z)
    directions = np.random.default_rng(0).standard_normal((z.shape[1], count))
    return float(np.mean(anderson_darling(z @ (directions / np.linalg.norm(directions, axis=0)))))


def looks_gaussian(x: np.ndarray) -> bool:
    """Return whether projections of x [N, D] along random directions are `normal_enough`."""
    try:
        return _misfit(x) < _accepted(len(x))
    except LinAlgError:
        return False


def is_sound(x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether a regression can use the images x [2, n, dim_x] and y [2, n, dim_y] of halves.

    It cannot where a training has diverged: images are not finite, or a coordinate has been pressed
    into the others so far that single precision does not tell them apart.
    """
    joint = np.concatenate([x, y], axis=-1)
    if not np.isfinite(joint).all():
        return False
    centred = joint - joint.mean(axis=1, keepdims=True)
    scale = centred.std(axis=1, keepdims=True)
    if not np.all(scale > 0):
        return False
    white = centred / scale
    correlations = np.swapaxes(white, 1, 2) @ white / joint.shape[1]
    return bool(np.linalg.eigvalsh(correlations).min() > LEAST_VARIANCE)


def whiten(x: np.ndarray) -> np.ndarray:
    """Map x [N, D] to mean 0 and covariance I (divisor N), by its Cholesky factor."""
    x = x - x.mean(axis=0)
    factor = np.linalg.cholesky(x.T @ x / len(x))
    return solve_triangular(factor, x.T, lower=True).T


class GaussianPart(NamedTuple):
    """A quantity of the Gaussian of the samples' moments, in nats.

    Attributes:
        mean: the quantity without its bias.
        pointwise: shares [N] of the examples in `mean`, whose spread is that of the estimate.
        clusters: of the examples, or None.
    """

    mean: float
    pointwise: np.ndarray
    clusters: Clusters | None = None

    @property
    def estimate(self) -> Estimate:
        """The quantity with its standard error."""
        return Estimate(self.mean, clustering.estimate(self.pointwise, self.clusters).stderr)


def gaussian_entropy(x: np.ndarray, clusters: Clusters | None = None) -> GaussianPart:
    """Estimate 1/2 (log det C + D (1 + log 2 pi)) of x [N, D], less its bias for Gaussian samples.

    With the unbiased C, E log det C is the true log det plus
    sum_{i<D} psi((N-1-i)/2) - D log((N-1)/2) (Wishart). The pointwise -log p is also the influence
    of the example on the estimate. With clusters, the bias is that of the effective number of rows.
    """
    x = x - x.mean(axis=0)
    n, dim = x.shape
    factor = np.linalg.cholesky(x.T @ x / (n - 1))
    n = n / clustering.inflation_of(clusters)
    bias = np.sum(digamma((n - 1 - np.arange(dim)) / 2)) - dim * np.log((n - 1) / 2)
    mean = float(np.sum(np.log(np.diag(factor))) + 0.5 * (dim * (1 + np.log(2 * np.pi)) - bias))
    square = np.sum(np.square(solve_triangular(factor, x.T, lower=True)), axis=0)
    return GaussianPart(mean, mean + 0.5 * (square - square.mean()), clusters)


def gaussian_information(
    x: np.ndarray, y: np.ndarray, clusters: Clusters | None = None
) -> GaussianPart:
    """Compute h(x) + h(y) - h(x, y) of `gaussian_entropy`, of x [N, dim_x] and y [N, dim_y]."""
    h_x = gaussian_entropy(x, clusters)
    h_y = gaussian_entropy(y, clusters)
    h_xy = gaussian_entropy(np.concatenate([x, y], axis=1), clusters)
    mean = h_x.mean + h_y.mean - h_xy.mean
    return GaussianPart(mean, h_x.pointwise + h_y.pointwise - h_xy.pointwise, clusters)
