"""Densities as models of whole numbers: noise that fills the cell of each value.

A whole number v owns the cell [v - 1/2, v + 1/2). With x = v + u, u ~ q on [-1/2, 1/2]^D, and any
density p,

    -log P(v) <= E[log q(u) - log p(x)],       P(v) = int of p over the cell of v

(arXiv 1511.01844 for uniform q), and with K draws (arXiv 1509.00519) the tighter

    -log P(v) <= -E log 1/K sum_k p(v + u_k) / q(u_k)

The noise stays in its cell, so nothing is left to reconstruct. Every q here is a noise of
`noise_families`, cut to the cell in each coordinate:

    uniform             log q = 0
    truncated normal    sigma = 1/(2 tau) bins, cut at tau sigma (arXiv 2305.03935)
                        log q(u) = -D/2 log(2 pi sigma^2 Z^2) - |u|^2/(2 sigma^2), Z = erf(tau/2^.5)
    any other family    q(u) = psi(u/w) / (w (F(1/2w) - F(-1/2w))), F its distribution function

Noise that is small against the cell costs much (-log q is below 0 by much), and lets a diffusion
see values that are nearly whole. Where the data's coordinates are not whole numbers but points of a
grid, `bin_width` is their spacing: x = v + bin_width u, and log q falls by D log(bin_width).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.likelihood import Terms
from diffenc.diffusion.noise_families import Gaussian, Uniform
from diffenc.diffusion.profiles import sum_over_data
from diffenc.errors import check_positive, check_whole

NUM_HALVINGS = 26  # of the cell, to invert the distribution function to float32's digits


@dataclasses.dataclass(frozen=True)
class Dequantization:
    """A noise of mean 0, cut to the cell in each coordinate by itself.

    Correlated noise counts as what each of its coordinates is, Gaussian. Raises InputError unless
    width > 0.

    Attributes:
        noise: of `noise_families`.
        width: its standard deviation in bins, before it is cut.
    """

    noise: Any
    width: float

    def __post_init__(self):
        check_positive(self, "width")

    def sample(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Draw u [n, ...] in bins, by the inverse of the distribution function."""
        first, mass = self._first_and_mass()
        target = first + mass * jax.random.uniform(key, shape)

        def halve(_, ends):
            low, high = ends
            middle = 0.5 * (low + high)
            is_below = self.noise.cdf(middle / self.width) < target
            return jnp.where(is_below, middle, low), jnp.where(is_below, high, middle)

        ends = (jnp.full(shape, -0.5), jnp.full(shape, 0.5))
        low, high = jax.lax.fori_loop(0, NUM_HALVINGS, halve, ends)
        return 0.5 * (low + high)

    def log_prob(self, u: jax.Array) -> jax.Array:
        """Evaluate log q(u) [n] of noise u [n, ...] in its cell, in nats."""
        _, mass = self._first_and_mass()
        each = self.noise.log_prob(u.reshape(-1, 1) / self.width)
        return sum_over_data(each.reshape(u.shape) - math.log(self.width) - jnp.log(mass))

    def draw(
        self, key: jax.Array, x: jax.Array, bin_width: float = 1.0
    ) -> tuple[jax.Array, jax.Array]:
        """Fill the cells of values with noise.

        Args:
            key: of the noise.
            x: values [batch, ...]: points of a grid.
            bin_width: its spacing.

        Returns:
            x + bin_width u [batch, ...], and the log density of the noise in these units [batch].
        """
        u = self.sample(key, x.shape)
        log_q = self.log_prob(u) - x[0].size * math.log(bin_width)
        return x + bin_width * u, log_q

    def _first_and_mass(self):
        """The mass of a coordinate below its cell and in it, before the cut."""
        first = self.noise.cdf(jnp.asarray(-0.5 / self.width))
        return first, self.noise.cdf(jnp.asarray(0.5 / self.width)) - first


def uniform() -> Dequantization:
    """Make noise that is uniform in the cell."""
    return Dequantization(Uniform(), 1.0)


def truncated_normal(tau: float = 3.0) -> Dequantization:
    """Make normal noise that the cell cuts at `tau` standard deviations (arXiv 2305.03935)."""
    return Dequantization(Gaussian(), 0.5 / tau)


class DequantizedTerms(NamedTuple):
    """The parts of a bound on -log P(v).

    Attributes:
        dequantization: log q, [batch] in nats: minus the entropy of the noise, by draws.
        density: the bound on -log p(x) by its own terms, in nats for x in units of its grid.
    """

    dequantization: jax.Array
    density: Terms

    @property
    def total(self) -> jax.Array:
        """The bound."""
        return self.dequantization + self.density.total


def known_density(log_prob: Callable) -> Callable:
    """Make the `density_terms` of a density that can be evaluated: all of it under reconstruction.

    Args:
        log_prob: x [batch, ...] -> [batch], in nats.

    Returns:
        (key, x) -> Terms.
    """

    def density_terms(key, x):
        log_p = log_prob(x)
        nothing = jnp.zeros_like(log_p)
        return Terms(nothing, nothing, -log_p, nothing)

    return density_terms


def dequantized_terms(
    key: jax.Array,
    dequantization: Dequantization,
    density_terms: Callable,
    x: jax.Array,
    draws: int,
    bin_width: float = 1.0,
) -> DequantizedTerms:
    """Bound -log P of values by a bound on the density of values with noise.

    Args:
        key: of all draws.
        dequantization: the noise.
        density_terms: (key, x [batch, ...]) -> Terms, such as `likelihood.continuous_terms` of a
            denoiser, or `known_density`.
        x: values [batch, ...]: points of a grid.
        draws: of the noise for each example.
        bin_width: the spacing of the grid.
    """

    def draw(key):
        key_noise, key_density = jax.random.split(key)
        x_filled, log_q = dequantization.draw(key_noise, x, bin_width)
        return DequantizedTerms(log_q, density_terms(key_density, x_filled))

    return jax.tree.map(
        lambda values: values.mean(axis=0), jax.lax.map(draw, jax.random.split(key, draws))
    )


def importance_bound(
    key: jax.Array,
    dequantization: Dequantization,
    log_prob: Callable,
    x: jax.Array,
    num_importance: int,
    bin_width: float = 1.0,
) -> jax.Array:
    """Bound -log P of values by the mean of p/q over several draws of the noise.

    In expectation it falls with the number of draws, to -log P; one draw gives that of
    `dequantized_terms`. It needs the density itself: by a random bound on log p the logarithm of
    the mean could exceed log P, for it is a convex function of the bounds.

    Args:
        key: of the noise.
        dequantization: the noise.
        log_prob: x [batch, ...] -> [batch], in nats, a deterministic function.
        x: values [batch, ...]: points of a grid.
        num_importance: K, 1 or more.
        bin_width: the spacing of the grid.

    Returns:
        [batch], in nats.

    Raises:
        InputError: unless num_importance is 1 or more.
    """
    check_whole("num_importance", num_importance, 1)

    def log_ratio(key):
        x_filled, log_q = dequantization.draw(key, x, bin_width)
        return log_prob(x_filled) - log_q

    ratios = jax.lax.map(log_ratio, jax.random.split(key, num_importance))
    return math.log(num_importance) - jax.nn.logsumexp(ratios, axis=0)
