"""Integrands over the noise level lambda, drawn at random and averaged to curves.

`entropy` defines the quantities whose integrands these are. `profile` draws an integrand, or a
dictionary of several on the same draws, at one noise level in each of as many equally probable
cells; `curve` averages the draws by cells.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.noise_levels import Levels
from diffenc.errors import check
from diffenc.estimate import Estimate


class Profile(NamedTuple):
    """Draws of an integrand over lambda, each array [K, batch].

    Row k lies in the k-th of K cells of equal probability, so rows of a uniform density are bins of
    equal width.

    Attributes:
        log_snr: the noise levels.
        values: the integrand (nats per unit of lambda), or a tree of several on the same draws.
        density: the density of log_snr.
    """

    log_snr: Any
    values: Any
    density: Any

    def total(self):
        """Average to an unbiased draw of each integral for each example, [batch], in nats."""
        return jax.tree.map(lambda values: jnp.mean(values / self.density, axis=0), self.values)


class Curve(NamedTuple):
    """An integrand by cells of lambda.

    Attributes:
        log_snr: the centres of the cells [K].
        height: the mean over each cell, nats per unit of lambda [K].
        stderr: the standard errors of the heights [K].
        edges: the edges of the cells [K + 1].
    """

    log_snr: np.ndarray
    height: np.ndarray
    stderr: np.ndarray
    edges: np.ndarray


@jax.default_matmul_precision("highest")
def profile(
    key: jax.Array,
    integrand: Callable,
    process: Process,
    x: jax.Array,
    levels: Levels,
    num_levels: int = 16,
) -> Profile:
    """Draw an integrand over lambda at stratified noise levels of each x.

    Args:
        key: the key of levels and noise.
        integrand: (x_t [batch, ...], eps [batch, ...], t [batch]) -> [batch], or a tree of such.
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.

    Returns:
        The draws.

    Raises:
        InputError: unless num_levels is 1 or more.
    """
    check(num_levels >= 1, "num_levels", num_levels, "give 1 or more")
    key_level, key_noise = jax.random.split(key)
    cells = jnp.arange(num_levels, dtype=x.dtype)[:, None]
    uniform = (
        cells + jax.random.uniform(key_level, (num_levels, x.shape[0]), x.dtype)
    ) / num_levels

    def at_level(inputs):
        key, uniform = inputs
        log_snr, density = levels.draw(uniform)
        t = process.time(log_snr)
        eps = jax.random.normal(key, x.shape, x.dtype)
        return log_snr, integrand(process.perturb(x, eps, t), eps, t), density

    return Profile(*jax.lax.map(at_level, (jax.random.split(key_noise, num_levels), uniform)))


def gap_integrand(score_a: Callable, score_b: Callable, process: Process) -> Callable:
    """Make 1/2 sigma^2 |score_a - score_b|^2, for `profile`.

    Args:
        score_a: a score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        score_b: another.
        process: the forward process.

    Returns:
        integrand(x_t, eps, t) -> [batch].
    """

    def integrand(x_t, eps, t):
        return 0.5 * sum_over_data(
            jnp.square(expand(process.sigma(t), x_t) * (score_a(x_t, t) - score_b(x_t, t)))
        )

    return integrand


def growth_integrand(score_fn: Callable, base: Callable, process: Process) -> Callable:
    """Make 1/2 sigma^2 (2 <d, -eps/sigma - base> - |d|^2) with d = score_fn - base.

    Its mean is that of 1/2 sigma^2 (|s - base|^2 - |s - score_fn|^2), s the exact score, as
    E[-eps/sigma | x_t] = s.

    Args:
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        base: the score to compare it with.
        process: the forward process.

    Returns:
        integrand(x_t, eps, t) -> [batch], for `profile`.
    """

    def integrand(x_t, eps, t):
        sigma = expand(process.sigma(t), x_t)
        below = base(x_t, t)
        step = sigma * (score_fn(x_t, t) - below)
        return 0.5 * sum_over_data(step * (2 * (-eps - sigma * below) - step))

    return integrand


def curve(draws: Profile, levels: Levels) -> Curve:
    """Average the integrand over cells of lambda, each with its standard error over examples.

    The height of a cell is its mean over the cell: int of the integrand = sum of height times
    width.

    Args:
        draws: those of `profile`, also gathered from many batches (arrays [K, n]).
        levels: the density they were drawn from.

    Returns:
        The curve of K cells.
    """
    quantiles = np.linspace(0.0, 1.0, len(draws.values) + 1)
    edges = np.asarray(jax.jit(levels.draw)(quantiles)[0], np.float64)
    width = np.diff(edges)
    # E[value / density] over a cell of mass 1/K is K times the cell's integral
    parts = (
        np.asarray(draws.values, np.float64)
        / np.asarray(draws.density, np.float64)
        / len(width)
        / width[:, None]
    )
    estimates = [Estimate.of(row) for row in parts]
    height = np.array([estimate.mean for estimate in estimates])
    stderr = np.array([estimate.stderr for estimate in estimates])
    return Curve(0.5 * (edges[1:] + edges[:-1]), height, stderr, edges)


def sum_over_data(values):
    """Sum values [batch, ...] over all but the first axis: [batch]."""
    return values.reshape(values.shape[0], -1).sum(axis=1)
