"""Draw noise levels: densities over the log signal-to-noise ratio lambda.

Integrals over a diffusion are sampled from them,

    int f(lambda) d(lambda) over [low, high] = E[ f(lambda) / q(lambda) ],   lambda ~ q.

Every linear process covers a range of lambda (g^2 dt = -sigma^2 d(lambda), arXiv 2107.00630), so a
density over lambda serves them all. Each class of `Levels` gives `draw(uniform) -> (log_snr,
density)`, where log_snr is the inverse of its distribution function at `uniform`. The two functions
`truncated_logistic` and `with_angles` do the same for a location of each example's own.
"""

import functools
import math
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.linear_process import Process
from diffenc.errors import InputError


class Levels(Protocol):
    """A density over [low, high]."""

    @property
    def low(self) -> float:
        """The least log signal-to-noise ratio."""

    @property
    def high(self) -> float:
        """The largest log signal-to-noise ratio."""

    def draw(self, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map uniform numbers to noise levels.

        Args:
            uniform: numbers in [0, 1], of any shape.

        Returns:
            (log_snr, density): the quantiles at `uniform` and the density there, each of the shape
            of `uniform`.
        """


@dataclass(frozen=True)
class Uniform:
    """The constant density on [low, high].

    Raises InputError unless low < high, both finite.
    """

    low: float
    high: float

    def __post_init__(self):
        check_range(self.low, self.high)

    def draw(self, uniform):
        """Map uniform numbers to noise levels, as `Levels.draw`."""
        width = self.high - self.low
        return self.low + width * uniform, jnp.full_like(uniform, 1 / width)


@dataclass(frozen=True)
class Alpha2:
    """The density proportional to alpha^2 = sigmoid(lambda) on [low, high] (arXiv 2510.20903).

    Under it, a loss with weight alpha^2 is a plain squared error of eps. Raises InputError unless
    low < high, both finite.
    """

    low: float
    high: float

    def __post_init__(self):
        check_range(self.low, self.high)

    def draw(self, uniform):
        """Map uniform numbers to noise levels, as `Levels.draw`."""
        first = jax.nn.softplus(self.low)
        last = jax.nn.softplus(self.high)
        area = first + (last - first) * uniform
        log_snr = area + jnp.log(-jnp.expm1(-area))  # the inverse of softplus
        return jnp.clip(log_snr, self.low, self.high), jax.nn.sigmoid(log_snr) / (last - first)


@dataclass(frozen=True)
class Logistic:
    """The logistic density of this location and scale, cut to [low, high].

    sigmoid(l) sigmoid(-l) = alpha^2 sigma^2 is the likelihood integrand of a regression target of
    unit size: most of the integral over smooth data of one size lies where this density is high.
    Raises InputError unless low < high and scale > 0.
    """

    low: float
    high: float
    location: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        check_range(self.low, self.high)
        if not self.scale > 0:
            raise InputError(f"scale={self.scale}: give a positive width of the logistic density")

    def draw(self, uniform):
        """Map uniform numbers to noise levels, as `Levels.draw`."""
        first = jax.nn.sigmoid((self.low - self.location) / self.scale)
        last = jax.nn.sigmoid((self.high - self.location) / self.scale)
        probability = first + (last - first) * uniform
        log_snr = self.location + self.scale * (jnp.log(probability) - jnp.log1p(-probability))
        density = probability * (1 - probability) / (self.scale * (last - first))
        return jnp.clip(log_snr, self.low, self.high), density


@dataclass(frozen=True)
class Piecewise:
    """A density that is constant between edges.

    Raises InputError where the numbers do not fit.

    Attributes:
        edges: K + 1 rising numbers.
        masses: K positive numbers, the mass between neighbouring edges; normalized here.
    """

    edges: tuple[float, ...]
    masses: tuple[float, ...]

    def __post_init__(self):
        if len(self.edges) != len(self.masses) + 1 or min(self.masses, default=0) <= 0:
            raise InputError(
                f"{len(self.edges)} edges, masses {self.masses}: "
                "give K + 1 edges and K positive masses"
            )
        for low, high in zip(self.edges, self.edges[1:], strict=False):
            check_range(low, high)

    @property
    def low(self) -> float:
        """The first edge."""
        return self.edges[0]

    @property
    def high(self) -> float:
        """The last edge."""
        return self.edges[-1]

    @classmethod
    def fit(cls, edges, heights, floor: float = 0.1) -> "Piecewise":
        """Make the density with these heights between the edges, mixed with the uniform density.

        The uniform part bounds the weights 1 / q: if a pilot curve missed something, they are at
        most 1/floor times those of `Uniform`.

        Args:
            edges: K + 1 rising numbers.
            heights: K numbers; negative ones count as 0.
            floor: the share of the mass that is spread evenly.

        Returns:
            The density; it is uniform if no height is positive.
        """
        edges = np.asarray(edges, np.float64)
        share = np.diff(edges) / (edges[-1] - edges[0])
        masses = np.maximum(np.asarray(heights, np.float64), 0.0) * share
        total = masses.sum()
        masses = share if total <= 0 else (1 - floor) * masses / total + floor * share
        return cls(tuple(edges.tolist()), tuple(masses.tolist()))

    def heights(self, edges) -> np.ndarray:
        """Average the density between other edges [K + 1]: [K]."""
        before = np.concatenate([[0.0], np.cumsum(self.masses) / sum(self.masses)])
        return np.diff(np.interp(edges, self.edges, before)) / np.diff(edges)

    def draw(self, uniform):
        """Map uniform numbers to noise levels, as `Levels.draw`."""
        edges = np.asarray(self.edges)
        masses = np.asarray(self.masses) / sum(self.masses)
        before = np.concatenate([[0.0], np.cumsum(masses)])
        index = jnp.clip(
            jnp.searchsorted(jnp.asarray(before[1:-1], uniform.dtype), uniform, side="right"), 0
        )

        def of_the_cell(values):
            return jnp.asarray(values, uniform.dtype)[index]

        width = of_the_cell(np.diff(edges))
        mass = of_the_cell(masses)
        within = jnp.clip((uniform - of_the_cell(before[:-1])) / mass, 0.0, 1.0)
        return of_the_cell(edges[:-1]) + width * within, mass / width


@dataclass(frozen=True)
class UniformTime:
    """The density of lambda(t) for t uniform on [t_min, t_max]: what a plain training loop draws.

    Raises InputError unless lambda is finite at both times.
    """

    process: Process
    t_min: float
    t_max: float

    def __post_init__(self):
        log_snr_range(self.process, self.t_min, self.t_max)

    @property
    def low(self) -> float:
        """The lambda of t_max."""
        return log_snr_range(self.process, self.t_min, self.t_max)[0]

    @property
    def high(self) -> float:
        """The lambda of t_min."""
        return log_snr_range(self.process, self.t_min, self.t_max)[1]

    def draw(self, uniform):
        """Map uniform numbers to noise levels, as `Levels.draw`; here log_snr falls with them."""
        t = self.t_min + (self.t_max - self.t_min) * uniform
        speed = jnp.square(self.process.diffusion(t) / self.process.sigma(t))  # |d(lambda)/dt|
        return self.process.log_snr(t), 1 / (speed * (self.t_max - self.t_min))


def log_snr_range(process: Process, t_min: float = 1e-3, t_max: float = 1.0) -> tuple[float, float]:
    """Find the range of lambda that a process covers between two times.

    Args:
        process: a forward process.
        t_min: the earlier time, 0 or more.
        t_max: the later time, at most 1.

    Returns:
        (lambda(t_max), lambda(t_min)), in rising order.

    Raises:
        InputError: if an end is infinite, as at t_min = 0 where sigma(0) = 0, and at t_max = 1
            where alpha vanishes.
    """
    if not 0 <= t_min < t_max <= 1:
        raise InputError(f"t_min={t_min}, t_max={t_max}: give 0 <= t_min < t_max <= 1")
    low, high = np.asarray(_log_snr(process, np.array([t_max, t_min], float))).tolist()
    if not math.isfinite(low) or not math.isfinite(high):
        raise InputError(
            f"{type(process).__name__} has an infinite log_snr between t_min={t_min} and "
            f"t_max={t_max}: give t_min=1e-3, t_max=0.999, say"
        )
    return low, high


@functools.partial(jax.jit, static_argnums=0)
def _log_snr(process, t):
    return process.log_snr(t)


def sigmoid_weight(log_snr: jax.Array, bias: float) -> jax.Array:
    """Evaluate w(lambda) = sigmoid(bias - lambda), a weight of a denoising loss at each level.

    With it the loss is 1/2 int w(lambda) E|eps - eps_phi|^2 d(lambda). It falls from 1 to 0 as
    lambda rises: w(lambda) is the probability that a logistic lambda' of location `bias` and scale
    1 lies above lambda. So the loss is that of x noised to lambda', averaged over lambda': a bound
    of the likelihood of noised data, in nats (Kingma and Gao, arXiv 2303.00848).

    Args:
        log_snr: lambda, of any shape.
        bias: the lambda at which the weight is one half.
    """
    return jax.nn.sigmoid(bias - log_snr)


def stratified_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draw uniform numbers on (0, 1), one in each of as many equal cells, in random order.

    They come as an array of this shape. Each number by itself is uniform; an average over all of
    them varies less than one over independent draws.
    """
    size = math.prod(shape)
    key_cell, key_order = jax.random.split(key)
    cells = jax.random.permutation(key_order, size)
    return ((cells + jax.random.uniform(key_cell, (size,))) / size).reshape(shape)


def truncated_logistic(
    uniform: jax.Array, location: jax.Array, half_range: float = 7.0
) -> tuple[jax.Array, jax.Array]:
    """Map uniform numbers to lambda ~ logistic(location, 1), cut to location +- half_range.

    sigmoid(l) sigmoid(-l) has the shape of the likelihood integrand of a posterior of precision
    exp(location). No noise level then dominates the loss (see diffenc.latent.encoder).

    Args:
        uniform: numbers in [0, 1].
        location: the centre of the density, a number or of the shape of `uniform`.
        half_range: half the length of the interval.

    Returns:
        (log_snr, density), each of the shape of `uniform`.
    """
    edge = jax.nn.sigmoid(-half_range)
    probability = edge + (1 - 2 * edge) * uniform
    centred = jax.scipy.special.logit(probability)
    return location + centred, probability * (1 - probability) / (1 - 2 * edge)


def with_angles(
    uniform: jax.Array, location: jax.Array, share: float = 0.5, half_range: float = 7.0
) -> tuple[jax.Array, jax.Array]:
    """Map uniform numbers to lambda, a share of which is uniform in the angle phi.

    phi = atan2(sigma, alpha); the rest is as in `truncated_logistic`. The logistic density of a
    narrow posterior (location >> 0) never visits high noise, where the likelihood has next to no
    weight. But the probability flow, uniform in phi, passes through it, and everything after
    depends on it.

    Args:
        uniform: numbers in [0, 1]; those below `share` are mapped to angles.
        location: the centre of the logistic part, a number or of the shape of `uniform`.
        share: the share of levels that is uniform in the angle.
        half_range: half the length of the interval of the logistic part.

    Returns:
        (log_snr, density), each of the shape of `uniform`.
    """
    logistic, _ = truncated_logistic(
        jnp.clip((uniform - share) / (1 - share), 0, 1), location, half_range
    )
    phi = (0.5 * jnp.pi) * jnp.clip(uniform / share, 1e-4, 1 - 1e-4)
    log_snr = jnp.where(uniform < share, -2 * jnp.log(jnp.tan(phi)), logistic)
    # d(phi) = alpha sigma / 2 d(lambda), and phi has the density 2 / pi
    angle_density = jnp.sqrt(jax.nn.sigmoid(log_snr) * jax.nn.sigmoid(-log_snr)) / jnp.pi
    centred = log_snr - location
    edge = jax.nn.sigmoid(-half_range)
    inside = jnp.abs(centred) <= half_range
    logistic_density = jnp.where(
        inside, jax.nn.sigmoid(centred) * jax.nn.sigmoid(-centred) / (1 - 2 * edge), 0.0
    )
    return log_snr, (1 - share) * logistic_density + share * angle_density


def check_range(low: float, high: float) -> None:
    """Raise an InputError unless low < high, both finite."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"log_snr from {low} to {high}: give two finite numbers in rising order")
