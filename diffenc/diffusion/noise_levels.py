"""Densities over the log signal-to-noise ratio lambda, from which integrals over a diffusion are
sampled.

    int f(lambda) d(lambda) over [low, high] = E[ f(lambda) / q(lambda) ],   lambda ~ q

Every linear process covers a range of lambda (g^2 dt = -sigma^2 d(lambda), arXiv 2107.00630), so a
density over lambda serves them all. Each class gives `draw(uniform) -> (log_snr, density)`, the
inverse of its distribution function.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.errors import InputError


class Levels(Protocol):
    """A density over [low, high]."""

    low: float
    high: float

    def draw(self, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        """lambda = Q(uniform), Q the quantile function, and the density there; both of the shape of
        uniform."""


@dataclass(frozen=True)
class Uniform:
    """Constant on [low, high]. Raises InputError unless low < high, both finite."""

    low: float
    high: float

    def __post_init__(self):
        _check_range(self.low, self.high)

    def draw(self, uniform):
        width = self.high - self.low
        return self.low + width * uniform, jnp.full_like(uniform, 1 / width)


@dataclass(frozen=True)
class Logistic:
    """Logistic of this location and scale, cut to [low, high]: where the work of smooth data of one
    size lies.

    sigmoid(l) sigmoid(-l) = alpha^2 sigma^2 is the likelihood integrand of a regression target of
    unit size. Raises InputError unless low < high and scale > 0.
    """

    low: float
    high: float
    location: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        _check_range(self.low, self.high)
        if not self.scale > 0:
            raise InputError(f"scale={self.scale}: give a positive width of the logistic density")

    def draw(self, uniform):
        first, last = (
            1 / (1 + math.exp((self.location - edge) / self.scale))
            for edge in (self.low, self.high)
        )
        probability = first + (last - first) * uniform
        log_snr = self.location + self.scale * jax.scipy.special.logit(probability)
        density = probability * (1 - probability) / (self.scale * (last - first))
        return jnp.clip(log_snr, self.low, self.high), density


@dataclass(frozen=True)
class Piecewise:
    """Constant between edges (K + 1 of them, rising), with the given masses (K, positive,
    normalized here).

    Raises InputError where the numbers do not fit.
    """

    edges: tuple[float, ...]
    masses: tuple[float, ...]

    def __post_init__(self):
        if len(self.edges) != len(self.masses) + 1 or min(self.masses, default=0) <= 0:
            raise InputError(
                f"{len(self.edges)} edges, masses {self.masses}: give K + 1 edges and K positive masses"
            )
        for low, high in zip(self.edges, self.edges[1:], strict=False):
            _check_range(low, high)

    @property
    def low(self) -> float:
        return self.edges[0]

    @property
    def high(self) -> float:
        return self.edges[-1]

    @classmethod
    def fit(cls, edges, heights, floor: float = 0.1) -> "Piecewise":
        """The density with these heights (>= 0) between the edges, and `floor` of its mass spread
        evenly.

        The floor bounds the weights of a pilot curve that missed something: at most 1/floor times
        those of `Uniform`.
        """
        edges = np.asarray(edges, np.float64)
        share = np.diff(edges) / (edges[-1] - edges[0])
        masses = np.maximum(np.asarray(heights, np.float64), 0.0) * share
        total = masses.sum()
        masses = share if total <= 0 else (1 - floor) * masses / total + floor * share
        return cls(tuple(edges.tolist()), tuple(masses.tolist()))

    def heights(self, edges) -> np.ndarray:
        """The mean density between other edges."""
        before = np.concatenate([[0.0], np.cumsum(self.masses) / sum(self.masses)])
        return np.diff(np.interp(edges, self.edges, before)) / np.diff(edges)

    def draw(self, uniform):
        edges, masses = np.asarray(self.edges), np.asarray(self.masses) / sum(self.masses)
        before = np.concatenate([[0.0], np.cumsum(masses)])
        index = jnp.clip(
            jnp.searchsorted(jnp.asarray(before[1:-1], uniform.dtype), uniform, side="right"), 0
        )
        low, width, start, mass = (
            jnp.asarray(values, uniform.dtype)[index]
            for values in (edges[:-1], np.diff(edges), before[:-1], masses)
        )
        return low + width * jnp.clip((uniform - start) / mass, 0.0, 1.0), mass / width


def log_snr_range(process, t_min: float = 1e-3, t_max: float = 1.0) -> tuple[float, float]:
    """(lambda(t_max), lambda(t_min)), the range of lambda that a process covers between two times.

    Raises InputError where that is infinite: at t_min = 0 where sigma(0) = 0, at t_max = 1 where
    alpha vanishes.
    """
    if not 0 <= t_min < t_max <= 1:
        raise InputError(f"t_min={t_min}, t_max={t_max}: give 0 <= t_min < t_max <= 1")
    low, high = (float(process.log_snr(jnp.asarray(t))) for t in (t_max, t_min))
    if not math.isfinite(low) or not math.isfinite(high):
        raise InputError(
            f"{type(process).__name__} has an infinite log_snr between t_min={t_min} and t_max={t_max}: "
            "give t_min=1e-3, t_max=0.999, say"
        )
    return low, high


def _check_range(low, high):
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"log_snr from {low} to {high}: give two finite numbers in rising order")


def stratified_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform numbers on (0, 1), one in each of `size` equal cells, in random order: [shape]."""
    size = 1
    for length in shape:
        size *= length
    key_cell, key_order = jax.random.split(key)
    cells = jax.random.permutation(key_order, size)
    return ((cells + jax.random.uniform(key_cell, (size,))) / size).reshape(shape)


def truncated_logistic(
    uniform: jax.Array, location: jax.Array, half_range: float = 7.0
) -> tuple[jax.Array, jax.Array]:
    """Map uniforms to log_snr ~ logistic(location, 1) on location +- half_range; also returns its
    density.

    The logistic density sigmoid(l) sigmoid(-l) is the shape of the likelihood integrand of a
    posterior of precision exp(location), so no level dominates the loss (see
    diffenc.latent.encoder).
    """
    edge = jax.nn.sigmoid(-half_range)
    probability = edge + (1 - 2 * edge) * uniform
    centred = jax.scipy.special.logit(probability)
    return location + centred, probability * (1 - probability) / (1 - 2 * edge)


def with_angles(
    uniform: jax.Array, location: jax.Array, share: float = 0.5, half_range: float = 7.0
) -> tuple[jax.Array, jax.Array]:
    """As `truncated_logistic`, but a share of the levels is uniform in the angle phi = atan2(sigma,
    alpha).

    The logistic of a narrow posterior (location >> 0) never visits high noise, where the likelihood
    has next to no weight; yet the probability flow, uniform in phi, passes through it, and
    everything after depends on it.
    """
    logistic, _ = truncated_logistic(
        jnp.clip((uniform - share) / (1 - share), 0, 1), location, half_range
    )
    phi = (0.5 * jnp.pi) * jnp.clip(uniform / share, 1e-4, 1 - 1e-4)
    log_snr = jnp.where(uniform < share, -2 * jnp.log(jnp.tan(phi)), logistic)
    alpha_sigma = jnp.sqrt(jax.nn.sigmoid(log_snr) * jax.nn.sigmoid(-log_snr))
    centred = log_snr - location
    edge = jax.nn.sigmoid(-half_range)
    inside = jnp.abs(centred) <= half_range
    logistic_density = jnp.where(
        inside, jax.nn.sigmoid(centred) * jax.nn.sigmoid(-centred) / (1 - 2 * edge), 0.0
    )
    return log_snr, (1 - share) * logistic_density + share * alpha_sigma / jnp.pi
