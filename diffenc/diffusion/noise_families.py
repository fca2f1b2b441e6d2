"""Standardized noises: laws of mean 0 and variance 1, by name, from which a diffusion may start.

A start x_tilde = alpha_0 x + sigma_0 u takes its u from one of them (arXiv 2510.20903). The
coordinates of u are independent, so that the covariance is the identity, except for `Correlated`.
Each is a frozen dataclass with the same functions:

    sample(key, shape)      u of shape [n, ...]
    log_prob(u)             [n], in nats, summed over all but the first axis
    entropy(shape)          of one example of this shape, in nats
    score(u)                grad log_prob, of the shape of u; `Uniform` has none
    cdf(u)                  P(coordinate <= u) of every coordinate by itself, of the shape of u
    quadrature(shape, num)  nodes [m, *shape] and weights [m] of E f(u), for one or two coordinates

The nodes are float64 numpy arrays, at most `num` along each axis; `fisher` integrates smooth f with
them. How much noise there is at the start is given in bins of the data, see `warmth`.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from diffenc.diffusion.gaussians import LOG_2PI, exact
from diffenc.diffusion.profiles import sum_over_data
from diffenc.errors import InputError, check, check_choice, check_positive


@dataclass(frozen=True)
class Gaussian:
    """The normal law N(0, I)."""

    def sample(self, key, shape):
        """Draw u [n, ...]."""
        return jax.random.normal(key, shape)

    def log_prob(self, u):
        """-1/2 |u|^2 - D/2 log(2 pi)."""
        return sum_over_data(-0.5 * (jnp.square(u) + LOG_2PI))

    def entropy(self, shape):
        """D/2 (1 + log(2 pi))."""
        return 0.5 * math.prod(shape) * (1 + LOG_2PI)

    def score(self, u):
        """-u."""
        return -u

    def cdf(self, u):
        """The normal distribution function."""
        return jax.scipy.special.ndtr(u)

    def quadrature(self, shape, num):
        """Give nodes and weights, as the module says."""
        return _product(*_sinh_rule(lambda u: -0.5 * np.square(u), 9.0, num), shape)


@dataclass(frozen=True)
class Laplace:
    """The Laplace law of scale 1/sqrt(2) in each coordinate."""

    def sample(self, key, shape):
        """Draw u [n, ...]."""
        return math.sqrt(0.5) * jax.random.laplace(key, shape)

    def log_prob(self, u):
        """-sqrt(2) |u|_1 - D/2 log(2)."""
        return sum_over_data(-math.sqrt(2) * jnp.abs(u) - 0.5 * math.log(2))

    def entropy(self, shape):
        """D (1 + log(2) / 2)."""
        return math.prod(shape) * (1 + 0.5 * math.log(2))

    def score(self, u):
        """-sqrt(2) sign(u); at 0, where the density has a kink, 0."""
        return -math.sqrt(2) * jnp.sign(u)

    def cdf(self, u):
        """exp(-sqrt(2) |u|) / 2 below 0, and one minus that above."""
        tail = 0.5 * jnp.exp(-math.sqrt(2) * jnp.abs(u))
        return jnp.where(u < 0, tail, 1 - tail)

    def quadrature(self, shape, num):
        """Give nodes and weights, as the module says: Gauss-Legendre on either side of the kink."""
        nodes, weights = scipy.special.roots_legendre(num // 2)
        half = 12 * (1 + nodes)  # exp(-24 sqrt(2)) is 2e-15
        mass = weights * np.exp(-math.sqrt(2) * half)
        mass = 0.5 * mass / mass.sum()
        return _product(np.concatenate([-half, half]), np.concatenate([mass, mass]), shape)


@dataclass(frozen=True)
class Logistic:
    """The logistic law of scale s = sqrt(3)/pi in each coordinate."""

    scale = math.sqrt(3) / math.pi  # of variance 1; not a field

    def sample(self, key, shape):
        """Draw u [n, ...]."""
        return self.scale * jax.random.logistic(key, shape)

    def log_prob(self, u):
        """The sum of -u/s - 2 log(1 + exp(-u/s)) - log(s)."""
        size = jnp.abs(u) / self.scale  # the density is even, and this is exact in its tails
        return sum_over_data(-size - 2 * jnp.log1p(jnp.exp(-size)) - math.log(self.scale))

    def entropy(self, shape):
        """D (2 + log(s))."""
        return math.prod(shape) * (2 + math.log(self.scale))

    def score(self, u):
        """-tanh(u / 2s) / s."""
        return -jnp.tanh(u / (2 * self.scale)) / self.scale

    def cdf(self, u):
        """1 / (1 + exp(-u/s))."""
        return jax.nn.sigmoid(u / self.scale)

    def quadrature(self, shape, num):
        """Give nodes and weights, as the module says."""
        return _product(
            *_sinh_rule(lambda u: -2 * np.log(np.cosh(0.5 * u / self.scale)), 24.0, num), shape
        )


@dataclass(frozen=True)
class Uniform:
    """The uniform law on [-sqrt(3), sqrt(3)] in each coordinate.

    The density is 0 outside. What is computed as (x_tilde - alpha_0 x) / sigma_0 may fall outside
    by rounding.
    """

    half_width = math.sqrt(3)  # of variance 1; not a field

    def sample(self, key, shape):
        """Draw u [n, ...]."""
        return jax.random.uniform(key, shape, minval=-self.half_width, maxval=self.half_width)

    def log_prob(self, u):
        """-D log(2 sqrt(3)) inside, minus infinity outside."""
        inside = jnp.abs(u) <= self.half_width
        return sum_over_data(jnp.where(inside, -math.log(2 * self.half_width), -jnp.inf))

    def entropy(self, shape):
        """D log(2 sqrt(3))."""
        return math.prod(shape) * math.log(2 * self.half_width)

    def score(self, u):
        """Raise an InputError: the density jumps at both ends."""
        raise InputError("the uniform noise has no score: choose another, such as logistic")

    def cdf(self, u):
        """(1 + u / sqrt(3)) / 2, held within [0, 1]."""
        return jnp.clip(0.5 * (1 + u / self.half_width), 0.0, 1.0)

    def quadrature(self, shape, num):
        """Give nodes and weights, as the module says: Gauss-Legendre."""
        nodes, weights = scipy.special.roots_legendre(num)
        return _product(self.half_width * nodes, 0.5 * weights, shape)


@dataclass(frozen=True)
class Student:
    """Student's law in each coordinate, of df > 2 degrees of freedom, scaled to variance 1.

    Its fourth moment is finite for df > 4 only. Raises InputError unless df > 2.
    """

    df: float = 5.0

    def __post_init__(self):
        check_positive(self, "df")
        check(self.df > 2, "df", self.df, "give more than 2, below which the variance is infinite")

    def sample(self, key, shape):
        """Draw u [n, ...]."""
        return math.sqrt((self.df - 2) / self.df) * jax.random.t(key, self.df, shape)

    def log_prob(self, u):
        """The sum of -(df+1)/2 log(1 + u^2/(df-2)) - log(sqrt(df-2) B(df/2, 1/2))."""
        log_shape = -0.5 * (self.df + 1) * jnp.log1p(jnp.square(u) / (self.df - 2))
        return sum_over_data(log_shape - self._log_norm)

    def entropy(self, shape):
        """D times (df+1)/2 (psi((df+1)/2) - psi(df/2)) + log(sqrt(df-2) B(df/2, 1/2))."""
        half = 0.5 * (self.df + 1)
        growth = half * (scipy.special.digamma(half) - scipy.special.digamma(0.5 * self.df))
        return math.prod(shape) * float(growth + self._log_norm)

    def score(self, u):
        """-(df+1) u / (df - 2 + u^2)."""
        return -(self.df + 1) * u / (self.df - 2 + jnp.square(u))

    def cdf(self, u):
        """The distribution function, by the incomplete beta function."""
        ratio = (self.df - 2) / (self.df - 2 + jnp.square(u))
        tail = 0.5 * jax.scipy.special.betainc(0.5 * self.df, 0.5, ratio)
        return jnp.where(u < 0, tail, 1 - tail)

    def quadrature(self, shape, num):
        """Give nodes and weights, but for tails of some 1e-8 of the variance, or beyond 1e6."""

        def log_density(u):
            return -0.5 * (self.df + 1) * np.log1p(np.square(u) / (self.df - 2))

        largest = min(1e6, 12 + 1e9 ** (1 / (self.df - 2)))
        return _product(*_sinh_rule(log_density, largest, num), shape)

    @property
    def _log_norm(self):
        return 0.5 * math.log(self.df - 2) + float(scipy.special.betaln(0.5 * self.df, 0.5))


@dataclass(frozen=True)
class Correlated:
    """Gaussian noise of a sensor whose neighbouring pixels err alike, of variance 1 in each.

    Two pixels r rows and c columns apart correlate by exp(-(r + c) / length), and channels are
    independent. An example is [d], a row of d pixels, or [rows, columns] or [rows, columns,
    channels]. The kernel is stationary, and it is a product of one for the rows and one for the
    columns, each of a first-order autoregression, whose Cholesky factor is known.

    The covariance K is not I, which changes two things. A little of this noise lowers KL(p || q) by
    sigma_0^2/2 E[d^T K d], d = grad log p/q, instead of sigma_0^2/2 E|d|^2: by more where p and q
    differ in many neighbours alike. And x_tilde is not on the path of a diffusion of white noise,
    as it is from a Gaussian start: the two do not merge, and the start stays a layer of its own.
    Raises InputError unless length > 0.
    """

    length: float = 1.0

    def __post_init__(self):
        check_positive(self, "length")

    @exact
    def sample(self, key, shape):
        """Draw u [n, ...] by the Cholesky factor."""
        return self._along_axes(jax.random.normal(key, shape), self._factor)

    @exact
    def log_prob(self, u):
        """-1/2 u^T K^-1 u - 1/2 log det K - D/2 log(2 pi)."""
        white = self._along_axes(u, lambda n: np.linalg.inv(self._factor(n)))
        return Gaussian().log_prob(white) - self._half_log_det(u.shape[1:])

    def entropy(self, shape):
        """D/2 (1 + log(2 pi)) + 1/2 log det K."""
        return Gaussian().entropy(shape) + self._half_log_det(shape)

    @exact
    def score(self, u):
        """-K^-1 u."""
        return -self._along_axes(u, lambda n: np.linalg.inv(self._factor(n) @ self._factor(n).T))

    def cdf(self, u):
        """The normal distribution function: of a coordinate by itself, whatever its neighbours."""
        return jax.scipy.special.ndtr(u)

    def quadrature(self, shape, num):
        """Give nodes and weights, as the module says."""
        white, weights = Gaussian().quadrature(shape, num)
        u = white.reshape(len(white), -1) @ np.linalg.cholesky(self.covariance(shape)).T
        return u.reshape(white.shape), weights

    def covariance(self, shape: tuple[int, ...]) -> np.ndarray:
        """Compute K of an example of this shape, flattened: [D, D] in float64."""
        factor = np.eye(1)
        for axis, n in enumerate(shape):
            factor = np.kron(factor, self._factor(n) if axis in self._axes(shape) else np.eye(n))
        return factor @ factor.T

    @property
    def _step_std(self):
        """The standard deviation of a pixel given the one before, sqrt(1 - exp(-2 / length))."""
        return math.sqrt(-math.expm1(-2 / self.length))

    def _factor(self, n):
        """The lower triangular factor of an axis of n pixels."""
        lag = np.arange(n)[:, None] - np.arange(n)[None]
        factor = np.tril(np.exp(-np.abs(lag) / self.length))
        factor[:, 1:] *= self._step_std
        return factor

    def _half_log_det(self, shape):
        """1/2 log det K: the factor of n pixels has a diagonal of 1 and n - 1 equals."""
        shares = sum((shape[axis] - 1) / shape[axis] for axis in self._axes(shape))
        return math.prod(shape) * shares * math.log(self._step_std)

    def _axes(self, shape):
        """The axes of the grid in the shape of an example."""
        remedy = "give [d], [rows, columns] or [rows, columns, channels]"
        check(1 <= len(shape) <= 3 and min(shape) >= 1, "shape of an example", shape, remedy)
        return range(min(len(shape), 2))

    def _along_axes(self, u, matrix_of):
        """Multiply u [n, ...] along each axis of the grid by the matrix for its length."""
        for axis in self._axes(u.shape[1:]):
            matrix = jnp.asarray(matrix_of(u.shape[axis + 1]), u.dtype)
            u = jnp.moveaxis(jnp.tensordot(u, matrix, (axis + 1, 1)), -1, axis + 1)
        return u


_FAMILIES: dict[str, type[Any]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "logistic": Logistic,
    "uniform": Uniform,
    "student": Student,
    "correlated": Correlated,
}


def make(name: str, **options: float):
    """Make a noise by its name, as in make("student", df=4.0).

    Raises InputError for an unknown name, and for an option that this noise does not have.
    """
    check_choice("noise", name, _FAMILIES)
    family = _FAMILIES[name]
    known = [field.name for field in dataclasses.fields(family)]
    for option in options:
        remedy = f"give {', '.join(known)}" if known else "give none"
        check(option in known, f"option of the noise {name!r}", repr(option), remedy)
    return family(**options)


def _sinh_rule(log_density, largest, num):
    """Nodes and weights of a smooth, even density of one coordinate, [num] each.

    The trapezoidal rule in t, u = sinh(t), up to |u| = largest. For integrands that are analytic
    about the real line its error falls exponentially in num, and heavy tails need few nodes.
    """
    t = np.linspace(-np.arcsinh(largest), np.arcsinh(largest), num)
    weights = np.exp(log_density(np.sinh(t))) * np.cosh(t)
    return np.sinh(t), weights / weights.sum()


def _product(nodes, weights, shape):
    """The nodes and weights of independent coordinates, less those of next to no weight."""
    size = math.prod(shape)
    check(size in (1, 2), "number of coordinates", size, "give 1 or 2: nodes fill no more")
    u = np.stack(np.meshgrid(*[nodes] * size, indexing="ij"), axis=-1).reshape(-1, *shape)
    w = math.prod(np.meshgrid(*[weights] * size, indexing="ij")).ravel()
    kept = w > 1e-20
    return u[kept], w[kept]
