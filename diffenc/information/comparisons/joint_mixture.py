"""Mixtures of Gaussians of x and y together, by expectation and maximization; float64.

    p(z) = sum_k w_k N(z; m_k, C_k),    z = (x, y)

The densities of x and of y by themselves are mixtures of the same weights, so that a fit tells
log p(x,y) / (p(x) p(y)) of every row in closed form (Dempster, Laird & Rubin 1977).
"""

from typing import NamedTuple

import numpy as np

# The `pooled` of `fit` that makes all covariances equal.
EQUAL = 1e6
# Least variance, of standardized columns.
LEAST_VARIANCE = 1e-6
# Candidates for every further centre, of which the best is taken.
CANDIDATES = 3
LLOYD_ROUNDS = 5
# Rounds of every start.
FIRST_ROUNDS = 20


class Mixture(NamedTuple):
    """A mixture of Gaussians.

    Attributes:
        weights: [K], whose sum is 1.
        means: [K, D].
        covs: [K, D, D].
    """

    weights: np.ndarray
    means: np.ndarray
    covs: np.ndarray

    def of(self, columns: slice) -> "Mixture":
        """Return the mixture of some columns."""
        return Mixture(self.weights, self.means[:, columns], self.covs[:, columns, columns])


def fit(
    rng: np.random.Generator,
    z: np.ndarray,
    count: int,
    pooled: float,
    rounds: int,
    tolerance: float,
    starts: int = 1,
) -> Mixture:
    """Fit a mixture.

    Args:
        rng: draws the first centres.
        z: standardized rows [N, D].
        count: K.
        pooled: rows of the mean covariance within components that count in each covariance.
        rounds: of expectation and maximization, at most; `FIRST_ROUNDS` are made in any case.
        tolerance: the fit ends where a round gains less (nats a row).
        starts: from so many first centres `FIRST_ROUNDS` are made, and the most likely goes on.

    Returns:
        The mixture.
    """
    features = _quadratic(z)
    dim = z.shape[1]
    trials = []
    for _ in range(starts if count > 1 else 1):
        shares = np.eye(count)[_clusters(rng, z, count)]
        mixture = _maximize(features, shares, dim, pooled)
        trials.append(_climb(mixture, features, pooled, FIRST_ROUNDS, tolerance))
    mixture = max(trials, key=lambda one: one[1])[0]
    return _climb(mixture, features, pooled, rounds - FIRST_ROUNDS, tolerance)[0]


def _climb(mixture, features, pooled, rounds, tolerance) -> tuple[Mixture, float]:
    """Return a more likely mixture, and the log likelihood of the one before it."""
    dim = mixture.means.shape[1]
    before = -np.inf
    level = before
    for _ in range(rounds):
        shares, logs = _expect(mixture, features)
        mixture = _maximize(features, shares, dim, pooled)
        level = float(logs.mean())
        if level - before < tolerance:
            break
        before = level
    return mixture, level


def log_density(mixture: Mixture, z: np.ndarray) -> np.ndarray:
    """Compute log p(z) [N] of rows [N, D]."""
    return _expect(mixture, _quadratic(z))[1]


def pointwise(mixture: Mixture, z: np.ndarray, dim_x: int) -> np.ndarray:
    """Compute log p(x,y) / (p(x) p(y)) [N] of rows [N, D], x first."""
    of_x = slice(0, dim_x)
    of_y = slice(dim_x, None)
    alone = [log_density(mixture.of(columns), z[:, columns]) for columns in (of_x, of_y)]
    return log_density(mixture, z) - alone[0] - alone[1]


def draw(rng: np.random.Generator, mixture: Mixture, n: int) -> np.ndarray:
    """Draw n rows [n, D]."""
    component = rng.choice(len(mixture.weights), n, p=mixture.weights)
    factors = np.linalg.cholesky(mixture.covs)
    noise = rng.standard_normal((n, mixture.means.shape[1]))
    return mixture.means[component] + np.einsum("nij,nj->ni", factors[component], noise)


def _quadratic(z):
    """Return 1, z and all products of two columns [N, (D + 1) (D + 2) / 2]."""
    first, second = np.triu_indices(z.shape[1])
    return np.concatenate([np.ones((len(z), 1)), z, z[:, first] * z[:, second]], axis=1)


def _expect(mixture, features):
    """Return the shares [N, K] of the components in every row, and the log density [N].

    log w_k N(z; m_k, C_k) is a product of the features with coefficients of each component.
    """
    dim = mixture.means.shape[1]
    factors = np.linalg.cholesky(mixture.covs)
    inverse = np.linalg.inv(factors)
    precision = np.swapaxes(inverse, 1, 2) @ inverse
    first, second = np.triu_indices(dim)
    of_products = precision[:, first, second] * np.where(first == second, -0.5, -1.0)
    of_columns = np.einsum("kij,kj->ki", precision, mixture.means)
    constant = (
        np.log(mixture.weights)
        - 0.5 * np.sum(of_columns * mixture.means, axis=1)
        - np.sum(np.log(np.diagonal(factors, axis1=1, axis2=2)), axis=1)
        - 0.5 * dim * np.log(2 * np.pi)
    )
    coefficients = np.concatenate([constant[:, None], of_columns, of_products], axis=1)
    shares = features @ coefficients.T
    largest = shares.max(axis=1, keepdims=True)
    np.exp(shares - largest, out=shares)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    return shares, (largest + np.log(total))[:, 0]


def _maximize(features, shares, dim, pooled) -> Mixture:
    """Return the mixture of largest likelihood for these shares, but for what keeps it regular.

    Covariances are pooled, and have `LEAST_VARIANCE` more in every direction. Each component counts
    one row more in the weights, so that none is lost.
    """
    sums = shares.T @ features
    rows = sums[:, 0]
    means = sums[:, 1 : 1 + dim] / np.maximum(rows, 1e-9)[:, None]
    first, second = np.triu_indices(dim)
    squares = np.empty((len(rows), dim, dim))
    squares[:, first, second] = sums[:, 1 + dim :]
    squares[:, second, first] = sums[:, 1 + dim :]
    within = squares - rows[:, None, None] * means[:, :, None] * means[:, None, :]
    level = within.sum(axis=0) / rows.sum()
    covs = (within + pooled * level) / (rows + pooled)[:, None, None]
    weights = (rows + 1) / (rows.sum() + len(rows))
    return Mixture(weights, means, covs + LEAST_VARIANCE * np.eye(dim))


def _clusters(rng, z, count) -> np.ndarray:
    """Return the cluster [N] of every row, by k-means from centres that lie apart.

    Every further centre is drawn in proportion to the squared distance of the rows to those before
    (Arthur & Vassilvitskii 2007).
    """
    centres = [z[rng.integers(len(z))]]
    squares = _squares(z, centres[0])
    for _ in range(count - 1):
        rows = rng.choice(len(z), CANDIDATES, p=squares / squares.sum())
        trials = [np.minimum(squares, _squares(z, z[row])) for row in rows]
        best = int(np.argmin([trial.sum() for trial in trials]))
        centres.append(z[rows[best]])
        squares = trials[best]
    places = np.array(centres)
    for _ in range(LLOYD_ROUNDS):
        nearest = np.argmin(np.sum(places**2, axis=1) - 2 * z @ places.T, axis=1)
        members = np.eye(count)[nearest]
        rows = members.sum(axis=0)
        places = np.where(rows[:, None] > 0, members.T @ z / np.maximum(rows, 1)[:, None], places)
    return nearest


def _squares(z, centre):
    return np.sum(np.square(z - centre), axis=1)
