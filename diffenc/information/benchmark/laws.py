"""Laws of pairs whose pointwise information is known, and their information by averaging it.

A `Law` is a map of uniform numbers to a pair and the exact log p(x,y) / (p(x) p(y)). Its
information has no closed form: it is the mean over randomized Sobol points (Owen 1997), which fill
the cube more evenly than independent ones do, and its standard error is from several sets of them.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import i0e, i1e, log1p, log_softmax, logsumexp, ndtri
from scipy.stats import qmc

from diffenc.errors import InputError, check_positive
from diffenc.estimate import Estimate
from diffenc.keys import generator

REPLICATES = 16  # sets of Sobol points
LEAST = 1e-15  # uniform numbers are this far from 0 and 1, at least


@dataclass(frozen=True, eq=False)
class Law:
    """A law (X, Y) with a known pointwise information.

    Attributes:
        dims: the coordinates of X and of Y.
        uniforms: how many independent uniform numbers a pair is made of.
        transform: makes x [n, dim_x] and y [n, dim_y], or labels y [n], of numbers [n, uniforms].
        pointwise: computes log p(x,y) / (p(x) p(y)) [n] of x and y.
        log2_points: the logarithm to base 2 of the points in a set for `truth`.
    """

    dims: tuple[int, int]
    uniforms: int
    transform: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    pointwise: Callable[[np.ndarray, np.ndarray], np.ndarray]
    log2_points: int = 13

    @functools.cached_property
    def truth(self) -> Estimate:
        """The information with its standard error."""
        means = []
        for seed in range(REPLICATES):
            u = qmc.Sobol(self.uniforms, rng=seed).random_base2(self.log2_points)
            means.append(self.pointwise(*self.transform(np.clip(u, LEAST, 1 - LEAST))).mean())
        return Estimate.of(means)

    @property
    def information(self) -> float:
        """The mean of `truth`."""
        return self.truth.mean

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs."""
        u = generator(key).random((n, self.uniforms))
        return self.transform(np.clip(u, LEAST, 1 - LEAST))


@dataclass(frozen=True)
class VonMises:
    """A law of two angles: X uniform, Y = X + noise of density exp(c cos) / (2 pi I_0(c)).

    Raises InputError unless the concentration c is positive.
    """

    concentration: float

    def __post_init__(self):
        check_positive(self, "concentration")

    @property
    def dims(self) -> tuple[int, int]:
        """The coordinates of X and of Y."""
        return 1, 1

    @property
    def information(self) -> float:
        """Compute c I_1(c) / I_0(c) - log I_0(c)."""
        c = self.concentration
        return float(c * i1e(c) / i0e(c) - c - np.log(i0e(c)))

    def sample(self, key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, 1] and y [n, 1] in [-pi, pi)."""
        rng = generator(key)
        x = rng.uniform(-np.pi, np.pi, size=(n, 1))
        y = x + rng.vonmises(0.0, self.concentration, size=(n, 1))
        return x, (y + np.pi) % (2 * np.pi) - np.pi

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n]."""
        c = self.concentration
        return (c * (np.cos(y - x) - 1) - np.log(i0e(c)))[:, 0]


def gaussian_mixture(
    weights: np.ndarray, means: np.ndarray, covs: np.ndarray, dim_x: int, log2_points: int = 12
) -> Law:
    """Make a mixture of Gaussians of (X, Y).

    Args:
        weights: of the components [K], whose sum is 1.
        means: [K, D], X first.
        covs: [K, D, D], or [1, D, D] for all.
        dim_x: coordinates of X.
        log2_points: see `Law`.

    Returns:
        The law.
    """
    means = np.asarray(means, np.float64)
    num, dim = means.shape
    if abs(np.sum(weights) - 1) > 1e-9 or np.shape(weights) != (num,):
        raise InputError(f"{np.shape(weights)} weights for {num} components: give as many, sum 1")
    covs = np.broadcast_to(covs, (num, dim, dim))
    factors = np.linalg.cholesky(covs)
    bounds = np.cumsum(weights)[:-1]

    def transform(u):
        component = np.searchsorted(bounds, u[:, 0], side="right")
        z = ndtri(u[:, 1:])
        both = means[component] + np.einsum("nij,nj->ni", factors[component], z)
        return both[:, :dim_x], both[:, dim_x:]

    def log_density(values, part):
        terms = np.empty((num, len(values)))
        for index in range(num):
            white = np.linalg.inv(np.linalg.cholesky(covs[index][part, part]))
            z = (values - means[index, part]) @ white.T
            log_norm = np.log(weights[index]) + np.sum(np.log(np.diag(white)))
            terms[index] = log_norm - 0.5 * np.sum(np.square(z), axis=1)
        return logsumexp(terms, axis=0)

    def pointwise(x, y):
        joint = log_density(np.concatenate([x, y], axis=1), slice(None))
        return joint - log_density(x, slice(dim_x)) - log_density(y, slice(dim_x, None))

    return Law((dim_x, dim - dim_x), 1 + dim, transform, pointwise, log2_points)


class Noise(NamedTuple):
    """A law of noise.

    Attributes:
        quantile: of uniform numbers.
        log_density: of values.
    """

    quantile: Callable[[np.ndarray], np.ndarray]
    log_density: Callable[[np.ndarray], np.ndarray]


NORMAL = Noise(ndtri, lambda e: -0.5 * np.square(e) - 0.5 * np.log(2 * np.pi))
LAPLACE = Noise(
    lambda u: np.where(u < 0.5, np.log(2 * u), -np.log(2 * (1 - u))),
    lambda e: -np.abs(e) - np.log(2),
)
EXPONENTIAL = Noise(lambda u: -np.log(1 - u), lambda e: np.where(e >= 0, -e, -np.inf))


def channel(
    dim: int,
    statistic: Callable[[np.ndarray], np.ndarray],
    mean: Callable[[np.ndarray], np.ndarray],
    std: Callable[[np.ndarray], np.ndarray] | float,
    noise: Noise = NORMAL,
    quantile: Callable[[np.ndarray], np.ndarray] | None = None,
    nodes: int = 1024,
) -> Law:
    """Make X ~ N(0, I), Y = mean(T) + std(T) noise, where T = statistic(X) has a known law.

    p(y) is the mean of p(y|T) by the trapezoid rule over a normal score of T, whose error falls
    exponentially with the nodes where the integrand is smooth.

    Args:
        dim: coordinates of X.
        statistic: of x [n, dim], gives T [n].
        mean: of Y for T [n].
        std: scale of the noise for T [n], or one number for all.
        noise: its law.
        quantile: makes T of standard normal numbers, if T is not one itself.
        nodes: of the trapezoid rule; an even number, so that none is at 0.

    Returns:
        The law.
    """
    scores = np.linspace(-8.5, 8.5, nodes)
    weights = np.exp(-0.5 * np.square(scores))
    weights = weights / weights.sum()
    levels = scores if quantile is None else quantile(scores)

    def scale(t):
        return std(t) if callable(std) else np.full_like(t, std)

    def transform(u):
        x = ndtri(u[:, :dim])
        t = statistic(x)
        return x, (mean(t) + scale(t) * noise.quantile(u[:, dim]))[:, None]

    def log_density(y, t):
        return noise.log_density((y - mean(t)) / scale(t)) - np.log(scale(t))

    def pointwise(x, y):
        y = y[:, 0]
        given_x = log_density(y, statistic(x))
        parts = np.array_split(y, -(-len(y) // 512))  # which bounds the memory
        densities = [np.exp(log_density(part[:, None], levels)) @ weights for part in parts]
        return given_x - np.log(np.concatenate(densities))

    return Law((dim, 1), dim + 1, transform, pointwise, log2_points=11)


def choice(dim: int, classes: int, strength: float) -> Law:
    """Make labels that are chosen by a logistic law of x ~ N(0, I).

    The labels' directions are the corners of a regular simplex in the first classes - 1
    coordinates, so that every label has the chance 1 / classes.

    Args:
        dim: coordinates of X, classes - 1 or more.
        classes: number of labels.
        strength: length of the vectors whose product with x is the logit.

    Returns:
        The law.
    """
    corners = np.eye(classes) - 1 / classes
    axes = np.linalg.svd(corners)[2][: classes - 1]
    directions = strength * corners @ axes.T / np.linalg.norm(corners[0])

    def log_chances(x):
        return log_softmax(x[:, : classes - 1] @ directions.T, axis=1)

    def transform(u):
        x = ndtri(u[:, :dim])
        below = np.cumsum(np.exp(log_chances(x)), axis=1)[:, :-1]
        return x, np.sum(u[:, dim:] > below, axis=1)

    def pointwise(x, y):
        return log_chances(x)[np.arange(len(y)), y] + np.log(classes)

    return Law((dim, 1), dim + 1, transform, pointwise)


def _copula(uniforms, transform, log_density) -> Law:
    """Make a law of uniform X and Y by its density."""
    return Law(
        (1, 1),
        uniforms,
        lambda u: tuple(values[:, None] for values in transform(u)),
        lambda x, y: log_density(x[:, 0], y[:, 0]),
        log2_points=13,
    )


def clayton(strength: float) -> Law:
    """Make Clayton's copula (u^-s + v^-s - 1)^(-1/s), by the inverse of its conditional law."""

    def transform(u):
        first, chance = u.T
        power = np.power(first, -strength) * np.expm1(-strength / (1 + strength) * np.log(chance))
        return first, np.power(1 + power, -1 / strength)

    def log_density(u, v):
        total = np.power(u, -strength) + np.power(v, -strength) - 1
        log_product = np.log(u) + np.log(v)
        return log1p(strength) - (1 + strength) * log_product - (2 + 1 / strength) * np.log(total)

    return _copula(2, transform, log_density)


def frank(strength: float) -> Law:
    """Make Frank's copula -log(1 + (e^-su - 1) (e^-sv - 1) / (e^-s - 1)) / s."""
    whole = -np.expm1(-strength)

    def transform(u):
        first, chance = u.T
        decay = np.exp(-strength * first)
        share = chance * whole / (chance + (1 - chance) * decay)
        return first, -log1p(-share) / strength

    def log_density(u, v):
        rest = whole - np.expm1(-strength * u) * np.expm1(-strength * v)
        return np.log(strength * whole) - strength * (u + v) - 2 * np.log(rest)

    return _copula(2, transform, log_density)


def gumbel(strength: float) -> Law:
    """Make Gumbel's copula exp(-((-log u)^s + (-log v)^s)^(1/s)), s > 1.

    By a frailty of a positive stable law (Marshall & Olkin 1988; Kanter 1975).
    """
    index = 1 / strength

    def transform(u):
        angle = np.pi * u[:, 0]
        hazards = -np.log(u[:, 1:])
        ratio = np.sin((1 - index) * angle) / hazards[:, 0]
        frailty = np.sin(index * angle) / np.power(np.sin(angle), strength)
        frailty *= np.power(ratio, strength - 1)
        images = np.exp(-np.power(hazards[:, 1:] / frailty[:, None], index))
        return images[:, 0], images[:, 1]

    def log_density(u, v):
        a = -np.log(u)
        b = -np.log(v)
        s = np.power(np.power(a, strength) + np.power(b, strength), index)
        logs = (strength - 1) * (np.log(a) + np.log(b)) + (1 - 2 * strength) * np.log(s)
        return a + b - s + logs + np.log(s + strength - 1)

    return _copula(4, transform, log_density)
