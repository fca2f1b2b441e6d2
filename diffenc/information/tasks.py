"""Pairs (X, Y) with known mutual information, to test estimators with.

Four laws with a closed form, and maps of them. An invertible map of X alone, or of Y alone, leaves
I(X;Y) as it is, so the information of every image of a law is known too. The forty tasks of
`benchmark` are those of Czyz et al., 'Beyond Normal' (arXiv 2306.11078). Samples are float64, all
information is in nats.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.special import digamma, gammaln, ndtr

from diffenc.errors import InputError
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
        if not self.width > 0:
            raise InputError(f"width={self.width}: give a number above 0")

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


def identity(x: np.ndarray) -> np.ndarray:
    """Return x."""
    return x


@dataclass(frozen=True)
class Mapped:
    """A law (map_x(X), map_y(Y)) of another pair, which has the same information.

    The maps [n, D] -> [n, D'] are invertible.
    """

    base: "GaussianPair | StudentPair | UniformNoise | Mapped"
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


# ---------------------------------------------------------------------------------------- Gaussians


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


# --------------------------------------------------------------------------------------------- maps


def half_cube(x: np.ndarray) -> np.ndarray:
    """Compute x sqrt|x|, which has longer tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: np.ndarray) -> np.ndarray:
    """Map by an increasing function of uneven slope."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(y: np.ndarray) -> np.ndarray:
    """Map by another increasing function of uneven slope."""
    return y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)


def bimodal(low: float, high: float, weight: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make the increasing map N(0, 1) -> weight N(low, 1) + (1 - weight) N(high, 1).

    The map is found by bisection, to 1e-12.

    Args:
        low: mean of the first mode.
        high: mean of the second mode.
        weight: of the first mode.

    Returns:
        The map of arrays of any shape.
    """

    def apply(x):
        target = ndtr(x)
        left = np.full_like(x, low - 12.0)
        right = np.full_like(x, high + 12.0)
        for _ in range(60):
            middle = 0.5 * (left + right)
            below = weight * ndtr(middle - low) + (1 - weight) * ndtr(middle - high) < target
            left = np.where(below, middle, left)
            right = np.where(below, right, middle)
        return 0.5 * (left + right)

    return apply


def swiss_roll(x: np.ndarray) -> np.ndarray:
    """Map x [n, 1] in [0, 1] to a rolled-up curve in the plane [n, 2]."""
    angle = 1.5 * math.pi * (1 + 2 * x[:, 0])
    return np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21.0


def spiral(first: int, second: int, speed: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make the map that rotates the plane of two coordinates by the angle speed |x|^2.

    The rotation leaves every length as it is, so it can be undone.

    Args:
        first: index of a coordinate.
        second: index of the other.
        speed: radians per unit of |x|^2.

    Returns:
        The map of x [n, D].
    """

    def apply(x):
        angle = speed * np.sum(np.square(x), axis=1)
        image = x.copy()
        image[:, first] = np.cos(angle) * x[:, first] - np.sin(angle) * x[:, second]
        image[:, second] = np.sin(angle) * x[:, first] + np.cos(angle) * x[:, second]
        return image

    return apply


def map_both(base, both: Callable[[np.ndarray], np.ndarray]) -> Mapped:
    """Map X and Y of a pair by the same map."""
    return Mapped(base, both, both)


def spiral_both(base, dim_x: int, dim_y: int) -> Mapped:
    """Rotate the plane (0, 1) of X with speed 1 / dim_x, and (1, 2) of Y with speed 1 / dim_y.

    Args:
        base: a pair.
        dim_x: coordinates of X.
        dim_y: coordinates of Y.

    Returns:
        The law of the images.
    """
    return Mapped(base, spiral(0, 1, 1 / dim_x), spiral(1, 2, 1 / dim_y))


# ---------------------------------------------------------------------------------------- benchmark


def benchmark() -> dict[str, GaussianPair | StudentPair | UniformNoise | Mapped]:
    """Make the forty tasks of 'Beyond Normal' (arXiv 2306.11078), by name."""
    normal = bivariate(0.75)
    student = StudentPair(1, 1, 1)
    uniform = map_both(normal, ndtr)
    tasks = {
        "normal_1x1": normal,
        "normal_cdf_1x1": uniform,
        "uniform_noise_0.1": UniformNoise(0.1),
        "uniform_noise_0.75": UniformNoise(0.75),
        "bimodal_1x1": Mapped(normal, bimodal(0.0, 5.0, 0.3), bimodal(-1.0, 3.0, 0.5)),
        "wiggly_1x1": Mapped(normal, wiggly_x, wiggly_y),
        "half_cube_1x1": map_both(normal, half_cube),
        "student_1x1_dof1": student,
        "asinh_student_1x1_dof1": map_both(student, np.arcsinh),
        "swiss_roll_2x1": Mapped(uniform, swiss_roll),
    }
    tasks |= {f"dense_{d}x{d}": dense(d, d) for d in (2, 3, 5, 25, 50)}
    tasks |= {f"sparse_{d}x{d}": sparse(d, d) for d in (2, 3, 5, 25)}
    students = ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    tasks |= {f"student_{d}x{d}_dof{dof}": StudentPair(d, d, dof) for d, dof in students}
    for d in (3, 5, 25):
        tasks[f"normal_cdf_{d}x{d}"] = map_both(sparse(d, d), ndtr)
    for d in (3, 5, 25):
        tasks[f"half_cube_{d}x{d}"] = map_both(sparse(d, d), half_cube)
    for d in (3, 5, 25):
        tasks[f"spiral_{d}x{d}"] = spiral_both(sparse(d, d), d, d)
    for d in (3, 5, 25):
        tasks[f"spiral_normal_cdf_{d}x{d}"] = spiral_both(map_both(sparse(d, d), ndtr), d, d)
    for d, dof in ((2, 1), (3, 2), (5, 2)):
        tasks[f"asinh_student_{d}x{d}_dof{dof}"] = map_both(StudentPair(d, d, dof), np.arcsinh)
    return tasks
