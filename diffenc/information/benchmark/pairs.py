"""Pairs (X, Y) with known mutual information, to test estimators with.

Three laws with a closed form, and maps of them; `laws` has more. An invertible map of X alone, or
of Y alone, leaves I(X;Y) as it is, so the information of every image of a law is known too. Each
law knows its pointwise information log p(x,y) / (p(x) p(y)): its mean over samples is the estimate
of an oracle, whose error is what chance of the samples does to any estimator. Samples are float64,
all information is in nats.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.special import digamma, gammaln

from diffenc.errors import InputError, check_positive
from diffenc.keys import generator


@dataclass(frozen=True)
class GaussianPair:
    """A law (X, Y) ~ N(0, cov), cov [dim_x + dim_y, dim_x + dim_y]; X comes first.

    Raises InputError unless cov is square, larger than dim_x and positive definite.
    """

    cov: np.ndarray
    dim_x: int

    def __post_init__(self):
        shape = np.shape(self.cov)
        if len(shape) != 2 or shape[0] != shape[1] or not 0 < self.dim_x < shape[0]:
            raise InputError(
                f"cov has shape {shape} with dim_x={self.dim_x}: give [D, D] and 0 < dim_x < D"
            )
        if not np.linalg.eigvalsh(self.cov)[0] > 0:
            raise InputError("cov is not positive definite: give one that is")

    @property
    def information(self) -> float:
        """1/2 (log det cov_x + log det cov_y - log det cov)."""
        log_det = [np.linalg.slogdet(block)[1] for block in (self.cov_x, self.cov_y, self.cov)]
        return 0.5 * float(log_det[0] + log_det[1] - log_det[2])

    @property
    def dims(self) -> tuple[int, int]:
        """The coordinates of X and of Y."""
        return self.dim_x, len(self.cov) - self.dim_x

    @property
    def cov_x(self) -> np.ndarray:
        """The covariance of X."""
        return self.cov[: self.dim_x, : self.dim_x]

    @property
    def cov_y(self) -> np.ndarray:
        """The covariance of Y."""
        return self.cov[self.dim_x :, self.dim_x :]

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, dim_x] and y [n, dim_y]."""
        z = generator(key).standard_normal((n, len(self.cov))) @ np.linalg.cholesky(self.cov).T
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n]."""
        square_x = _square_length(x, self.cov_x)
        square_y = _square_length(y, self.cov_y)
        square = _square_length(np.concatenate([x, y], axis=1), self.cov)
        return self.information + 0.5 * (square_x + square_y - square)


def _square_length(x, cov):
    """Return x' cov^-1 x of every row."""
    return np.sum(np.square(np.linalg.solve(np.linalg.cholesky(cov), x.T)), axis=0)


@dataclass(frozen=True)
class StudentPair:
    """A law (X, Y) ~ Student-t with identity dispersion.

    X and Y are uncorrelated, but depend on each other through their common scale.
    Raises InputError unless dimensions and degrees of freedom are positive.
    """

    dim_x: int
    dim_y: int
    dof: float

    def __post_init__(self):
        if not (self.dim_x >= 1 and self.dim_y >= 1 and self.dof > 0):
            raise InputError(f"{self}: give dimensions of 1 or more and dof above 0")

    @property
    def dims(self) -> tuple[int, int]:
        """The coordinates of X and of Y."""
        return self.dim_x, self.dim_y

    @property
    def information(self) -> float:
        """h(X) + h(Y) - h(X, Y), by equation 7 of Arellano-Valle et al. (2013)."""
        h_x = _student_entropy(self.dim_x, self.dof)
        h_y = _student_entropy(self.dim_y, self.dof)
        h_xy = _student_entropy(self.dim_x + self.dim_y, self.dof)
        return h_x + h_y - h_xy

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, dim_x] and y [n, dim_y]."""
        rng = generator(key)
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        z /= np.sqrt(rng.chisquare(self.dof, (n, 1)) / self.dof)
        return z[:, : self.dim_x], z[:, self.dim_x :]

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n]."""
        joint = _student_log_density(np.concatenate([x, y], axis=1), self.dof)
        return joint - _student_log_density(x, self.dof) - _student_log_density(y, self.dof)


def _student_log_density(x, dof):
    """Return log p(x) [n] of the t with identity dispersion."""
    dim = x.shape[1]
    half = 0.5 * (dof + dim)
    log_volume = gammaln(0.5 * dof) - gammaln(half) + 0.5 * dim * math.log(dof * math.pi)
    return -log_volume - half * np.log1p(np.sum(np.square(x), axis=1) / dof)


def _student_entropy(dim, dof):
    """Return h of the dim-dimensional t with identity dispersion."""
    half = 0.5 * (dof + dim)
    log_volume = gammaln(0.5 * dof) - gammaln(half) + 0.5 * dim * math.log(dof * math.pi)
    return float(log_volume + half * (digamma(half) - digamma(0.5 * dof)))


@dataclass(frozen=True)
class UniformNoise:
    """A law X ~ U(0, 1), Y = X + U(-width, width).

    Raises InputError unless width is positive.
    """

    width: float

    def __post_init__(self):
        check_positive(self, "width")

    @property
    def dims(self) -> tuple[int, int]:
        """The coordinates of X and of Y."""
        return 1, 1

    @property
    def information(self) -> float:
        """h(Y) - log(2 width) = width - log(2 width) up to width 1/2, and 1 / (4 width) beyond.

        Y has a trapezoid density, whose slopes of length min(1, 2 width) add half a nat per unit.
        """
        return self.width - math.log(2 * self.width) if self.width <= 0.5 else 0.25 / self.width

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, 1] and y [n, 1]."""
        rng = generator(key)
        x = rng.uniform(size=(n, 1))
        return x, x + rng.uniform(-self.width, self.width, size=(n, 1))

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n], -infinity where x and y exclude each other."""
        overlap = np.minimum(1.0, y + self.width) - np.maximum(0.0, y - self.width)
        is_near = (np.abs(y - x) <= self.width) & (x >= 0) & (x <= 1)
        return np.where(is_near, -np.log(np.where(is_near, overlap, 1.0)), -np.inf)[:, 0]


@dataclass(frozen=True)
class Product:
    """A law whose coordinates are those of several independent pairs, one after the other.

    The parts have dims, information, sample and pointwise, as the pairs here and in `laws` do.
    """

    parts: tuple

    @property
    def dims(self) -> tuple[int, int]:
        """The coordinates of X and of Y."""
        dims = np.sum([part.dims for part in self.parts], axis=0)
        return int(dims[0]), int(dims[1])

    @property
    def information(self) -> float:
        """The sum over the pairs."""
        return sum(part.information for part in self.parts)

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs."""
        blocks = [
            part.sample(jax.random.fold_in(key, index), n) for index, part in enumerate(self.parts)
        ]
        x = np.concatenate([x for x, _ in blocks], axis=1)
        y = np.concatenate([y for _, y in blocks], axis=1)
        return x, y

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n]."""
        ends = np.cumsum([part.dims for part in self.parts], axis=0)[:-1]
        blocks_x = np.split(x, ends[:, 0], axis=1)
        blocks_y = np.split(y, ends[:, 1], axis=1)
        terms = zip(self.parts, blocks_x, blocks_y, strict=True)
        return np.sum([part.pointwise(*blocks) for part, *blocks in terms], axis=0)


def identity(x: np.ndarray) -> np.ndarray:
    """Return x."""
    return x


@dataclass(frozen=True)
class Mapped:
    """A law (map_x(X), map_y(Y)) of another pair, which has the same information.

    The maps [n, D] -> [n, D'] are invertible.
    """

    base: "GaussianPair | StudentPair | UniformNoise | Product | Mapped"
    map_x: Callable[[np.ndarray], np.ndarray] = identity
    map_y: Callable[[np.ndarray], np.ndarray] = identity

    @property
    def information(self) -> float:
        """That of the other pair."""
        return self.base.information

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs."""
        x, y = self.base.sample(key, n)
        return self.map_x(x), self.map_y(y)


def oracle(pair, key: jax.Array, n: int) -> np.ndarray:
    """Compute the exact pointwise information [n] of the pairs that pair.sample(key, n) draws.

    Maps leave it as it is, so it is that of the law that was mapped.
    """
    while isinstance(pair, Mapped):
        pair = pair.base
    return pair.pointwise(*pair.sample(key, n))


def bivariate(correlation: float) -> GaussianPair:
    """Make two scalars with this correlation."""
    return sparse(1, 1, correlation, num_pairs=1)


def dense(dim_x: int, dim_y: int, correlation: float = 0.5) -> GaussianPair:
    """Make coordinates of unit variance, every two with the same correlation.

    Args:
        dim_x: coordinates of X.
        dim_y: coordinates of Y.
        correlation: of any two.

    Returns:
        The law.
    """
    dim = dim_x + dim_y
    return GaussianPair(np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim), dim_x)


def sparse(dim_x: int, dim_y: int, correlation: float = 0.8, num_pairs: int = 2) -> GaussianPair:
    """Make coordinates of unit variance, of which x_i and y_i are correlated for i < num_pairs.

    I = -num_pairs/2 log(1 - c^2).

    Args:
        dim_x: coordinates of X.
        dim_y: coordinates of Y.
        correlation: c.
        num_pairs: how many pairs are correlated.

    Returns:
        The law.
    """
    if not 1 <= num_pairs <= min(dim_x, dim_y):
        raise InputError(
            f"num_pairs={num_pairs} for {dim_x} x {dim_y}: give 1 to the smaller dimension"
        )
    cov = np.eye(dim_x + dim_y)
    pairs = np.arange(num_pairs)
    cov[pairs, dim_x + pairs] = cov[dim_x + pairs, pairs] = correlation
    return GaussianPair(cov, dim_x)


def high_information(dim: int, information: float) -> GaussianPair:
    """Make dim x dim coordinates whose pairs (x_i, y_i) share the information (nats) equally."""
    return sparse(dim, dim, math.sqrt(-math.expm1(-2 * information / dim)), num_pairs=dim)


def linear_channel(
    key: jax.Array, dim_x: int = 25, dim_y: int = 15, noise_std: float = 1.0
) -> GaussianPair:
    """Draw a channel Y = A X + noise_std n with X ~ N(0, B B^T + 0.01 I) (arXiv 2509.23937).

    A_ij ~ N(0, 1), B_ij ~ N(0, 1) / sqrt(25).

    Args:
        key: a key, for A and B.
        dim_x: coordinates of X.
        dim_y: coordinates of Y.
        noise_std: standard deviation of the noise.

    Returns:
        The law of the channel that was drawn.
    """
    rng = generator(key)
    mixing = rng.standard_normal((dim_x, dim_x)) / 5.0
    weight = rng.standard_normal((dim_y, dim_x))
    cov_x = mixing @ mixing.T + 0.01 * np.eye(dim_x)
    cross = cov_x @ weight.T
    cov_y = weight @ cross + noise_std**2 * np.eye(dim_y)
    return GaussianPair(np.block([[cov_x, cross], [cross.T, cov_y]]), dim_x)
