"""Pairs (X, Y) that know their mutual information: what an estimator of information is tested
against.

Four laws with a closed form, and maps of them. An invertible map of X alone, or of Y alone, leaves
I(X;Y) as it is, so every image of a law knows its information too. The forty tasks of `benchmark`
are those of Czyz et al., 'Beyond Normal' (2306.11078). Samples are float64, all information is in
nats.
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
    """(X, Y) ~ N(0, cov), the first dim_x coordinates being X. cov: [dim_x + dim_y, dim_x + dim_y].

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
        """I = 1/2 (log det cov_x + log det cov_y - log det cov)."""
        log_det = [np.linalg.slogdet(block)[1] for block in (self.cov_x, self.cov_y, self.cov)]
        return 0.5 * float(log_det[0] + log_det[1] - log_det[2])

    @property
    def cov_x(self) -> np.ndarray:
        return self.cov[: self.dim_x, : self.dim_x]

    @property
    def cov_y(self) -> np.ndarray:
        return self.cov[self.dim_x :, self.dim_x :]

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """n independent pairs, x [n, dim_x] and y [n, dim_y]."""
        z = generator(key).standard_normal((n, len(self.cov))) @ np.linalg.cholesky(self.cov).T
        return z[:, : self.dim_x], z[:, self.dim_x :]


@dataclass(frozen=True)
class StudentPair:
    """(X, Y) ~ Student-t with identity dispersion: uncorrelated, yet dependent through their common
    scale.

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
        """h(X) + h(Y) - h(X, Y), entropies of the multivariate t by Arellano-Valle et al. (2013),
        equation 7."""
        dims = self.dim_x, self.dim_y, self.dim_x + self.dim_y
        h_x, h_y, h_xy = (_student_entropy(dim, self.dof) for dim in dims)
        return h_x + h_y - h_xy

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """n independent pairs, x [n, dim_x] and y [n, dim_y]."""
        rng = generator(key)
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        z /= np.sqrt(rng.chisquare(self.dof, (n, 1)) / self.dof)
        return z[:, : self.dim_x], z[:, self.dim_x :]


def _student_entropy(dim, dof):
    """h of the dim-dimensional t with identity dispersion."""
    half = 0.5 * (dof + dim)
    log_volume = gammaln(0.5 * dof) - gammaln(half) + 0.5 * dim * math.log(dof * math.pi)
    return float(log_volume + half * (digamma(half) - digamma(0.5 * dof)))


@dataclass(frozen=True)
class UniformNoise:
    """X ~ U(0, 1), Y = X + U(-width, width). Raises InputError unless width is positive."""

    width: float

    def __post_init__(self):
        if not self.width > 0:
            raise InputError(f"width={self.width}: give a number above 0")

    @property
    def information(self) -> float:
        """h(Y) - log(2 width); Y has the trapezoid density, whose slopes of length min(1, 2 width)
        cost half a nat per unit: I = width - log(2 width) up to width 1/2, and 1 / (4 width)
        beyond."""
        return self.width - math.log(2 * self.width) if self.width <= 0.5 else 0.25 / self.width

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """n independent pairs, x [n, 1] and y [n, 1]."""
        rng = generator(key)
        x = rng.uniform(size=(n, 1))
        return x, x + rng.uniform(-self.width, self.width, size=(n, 1))


def unchanged(x: np.ndarray) -> np.ndarray:
    return x


@dataclass(frozen=True)
class Mapped:
    """(map_x(X), map_y(Y)) of another pair, the maps [n, D] -> [n, D'] invertible: the information
    is the same."""

    base: "GaussianPair | StudentPair | UniformNoise | Mapped"
    map_x: Callable[[np.ndarray], np.ndarray] = unchanged
    map_y: Callable[[np.ndarray], np.ndarray] = unchanged

    @property
    def information(self) -> float:
        return self.base.information

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """n independent pairs."""
        x, y = self.base.sample(key, n)
        return self.map_x(x), self.map_y(y)


# ---------------------------------------------------------------------------------------- Gaussians


def bivariate(correlation: float) -> GaussianPair:
    """Two scalars of that correlation."""
    return sparse(1, 1, correlation, num_pairs=1)


def dense(dim_x: int, dim_y: int, correlation: float = 0.5) -> GaussianPair:
    """Unit variances, every two coordinates of one correlation."""
    dim = dim_x + dim_y
    return GaussianPair(np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim), dim_x)


def sparse(dim_x: int, dim_y: int, correlation: float = 0.8, num_pairs: int = 2) -> GaussianPair:
    """Unit variances; x_i and y_i correlated for i < num_pairs, all else independent: I =
    -num_pairs/2 log(1 - c^2)."""
    if not 1 <= num_pairs <= min(dim_x, dim_y):
        raise InputError(
            f"num_pairs={num_pairs} for {dim_x} x {dim_y}: give 1 to the smaller dimension"
        )
    cov, pairs = np.eye(dim_x + dim_y), np.arange(num_pairs)
    cov[pairs, dim_x + pairs] = cov[dim_x + pairs, pairs] = correlation
    return GaussianPair(cov, dim_x)


def high_information(dim: int, information: float) -> GaussianPair:
    """dim x dim, all pairs (x_i, y_i) equally correlated, sharing the information (nats) between
    them."""
    return sparse(dim, dim, math.sqrt(-math.expm1(-2 * information / dim)), num_pairs=dim)


def linear_channel(
    key: jax.Array, dim_x: int = 25, dim_y: int = 15, noise_std: float = 1.0
) -> GaussianPair:
    """Y = A X + noise_std n, X ~ N(0, B B^T + 0.01 I), A_ij ~ N(0, 1), B_ij ~ N(0, 1) / sqrt(25)
    (2509.23937)."""
    rng = generator(key)
    mixing = rng.standard_normal((dim_x, dim_x)) / 5.0
    weight = rng.standard_normal((dim_y, dim_x))
    cov_x = mixing @ mixing.T + 0.01 * np.eye(dim_x)
    cross = cov_x @ weight.T
    cov_y = weight @ cross + noise_std**2 * np.eye(dim_y)
    return GaussianPair(np.block([[cov_x, cross], [cross.T, cov_y]]), dim_x)


# --------------------------------------------------------------------------------------------- maps


def half_cube(x: np.ndarray) -> np.ndarray:
    """x sqrt|x|: longer tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: np.ndarray) -> np.ndarray:
    """An increasing map of uneven slope."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(y: np.ndarray) -> np.ndarray:
    """Another increasing map of uneven slope."""
    return y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)


def bimodal(low: float, high: float, weight: float) -> Callable[[np.ndarray], np.ndarray]:
    """N(0, 1) -> weight N(low, 1) + (1 - weight) N(high, 1), the increasing map: by bisection, to
    1e-12."""

    def apply(x):
        target, left, right = ndtr(x), np.full_like(x, low - 12.0), np.full_like(x, high + 12.0)
        for _ in range(60):
            middle = 0.5 * (left + right)
            below = weight * ndtr(middle - low) + (1 - weight) * ndtr(middle - high) < target
            left, right = np.where(below, middle, left), np.where(below, right, middle)
        return 0.5 * (left + right)

    return apply


def swiss_roll(x: np.ndarray) -> np.ndarray:
    """[0, 1] -> a rolled-up curve in the plane. x: [n, 1], returns [n, 2]."""
    angle = 1.5 * math.pi * (1 + 2 * x[:, 0])
    return np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21.0


def spiral(first: int, second: int, speed: float) -> Callable[[np.ndarray], np.ndarray]:
    """Turn the plane of two coordinates by the angle speed |x|^2: keeps every length, so it can be
    turned back."""

    def apply(x):
        angle = speed * np.sum(np.square(x), axis=1)
        turned = x.copy()
        turned[:, first] = np.cos(angle) * x[:, first] - np.sin(angle) * x[:, second]
        turned[:, second] = np.sin(angle) * x[:, first] + np.cos(angle) * x[:, second]
        return turned

    return apply


def mapped(base, both: Callable[[np.ndarray], np.ndarray]) -> Mapped:
    """The same map of X and of Y."""
    return Mapped(base, both, both)


def spiralled(base, dim_x: int, dim_y: int) -> Mapped:
    """X turned in its plane (0, 1) with speed 1 / dim_x, Y in its plane (1, 2) with speed 1 /
    dim_y."""
    return Mapped(base, spiral(0, 1, 1 / dim_x), spiral(1, 2, 1 / dim_y))


# ---------------------------------------------------------------------------------------- benchmark


def benchmark() -> dict[str, GaussianPair | StudentPair | UniformNoise | Mapped]:
    """The forty tasks of 'Beyond Normal' (2306.11078) by name."""
    normal, student = bivariate(0.75), StudentPair(1, 1, 1)
    uniform = mapped(normal, ndtr)
    tasks = {
        "normal_1x1": normal,
        "normal_cdf_1x1": uniform,
        "uniform_noise_0.1": UniformNoise(0.1),
        "uniform_noise_0.75": UniformNoise(0.75),
        "bimodal_1x1": Mapped(normal, bimodal(0.0, 5.0, 0.3), bimodal(-1.0, 3.0, 0.5)),
        "wiggly_1x1": Mapped(normal, wiggly_x, wiggly_y),
        "half_cube_1x1": mapped(normal, half_cube),
        "student_1x1_dof1": student,
        "asinh_student_1x1_dof1": mapped(student, np.arcsinh),
        "swiss_roll_2x1": Mapped(uniform, swiss_roll),
    }
    tasks |= {f"dense_{d}x{d}": dense(d, d) for d in (2, 3, 5, 25, 50)}
    tasks |= {f"sparse_{d}x{d}": sparse(d, d) for d in (2, 3, 5, 25)}
    students = ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    tasks |= {f"student_{d}x{d}_dof{dof}": StudentPair(d, d, dof) for d, dof in students}
    for d in (3, 5, 25):
        tasks[f"normal_cdf_{d}x{d}"] = mapped(sparse(d, d), ndtr)
    for d in (3, 5, 25):
        tasks[f"half_cube_{d}x{d}"] = mapped(sparse(d, d), half_cube)
    for d in (3, 5, 25):
        tasks[f"spiral_{d}x{d}"] = spiralled(sparse(d, d), d, d)
    for d in (3, 5, 25):
        tasks[f"spiral_normal_cdf_{d}x{d}"] = spiralled(mapped(sparse(d, d), ndtr), d, d)
    for d, dof in ((2, 1), (3, 2), (5, 2)):
        tasks[f"asinh_student_{d}x{d}_dof{dof}"] = mapped(StudentPair(d, d, dof), np.arcsinh)
    return tasks
