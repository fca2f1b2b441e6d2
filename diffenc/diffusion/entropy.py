"""Entropy produced by a diffusion, and neural entropy, the part of it that a network holds.

With e = score - grad log p_eq, x_t = alpha x_0 + sigma eps, and g^2 dt = -sigma^2 d(lambda) for
every linear process (arXiv 2409.03817),

    S_tot = 1/2 int d(lambda) sigma^2 E|e|^2            total entropy
    S_NN  = 1/2 int d(lambda) sigma^2 E|e_theta|^2      neural entropy
    L_EM  = 1/2 int d(lambda) sigma^2 E|e_theta - e|^2  entropy-matching gap
    G     = S_tot - L_EM                                Kelly growth
    S_i                                                 S_tot of one coordinate
    i(lambda), r(t) = i |d(lambda)/dt|                  the integrand

`neural_entropy` gives S_tot of the exact score and S_NN of a network's, `path_kl` of the two gives
L_EM, `kelly_growth` gives G without the exact score, `coordinate_entropy` S_i, `Profile` and `rate`
the integrand.

Each is a function of data x [batch, ...], a score_fn(x_t [batch, ...], t [batch]) and a density
over lambda (`diffenc.diffusion.noise_levels`), and returns one value per example [batch], in nats,
all independent: give them to `Estimate.of`. Matrix products are exact to float32 in all of them. An
example sees num_levels noise levels, one in each of as many equally probable cells, one at a time
in memory. score_fn gets x_t in the order of x, so a condition of shape [batch, ...] may be closed
over; for more examples than memory holds go through `estimate.map_examples`, with (x, condition) as
its data. For differences on the same draws give `profile` a dictionary of integrands.

The integrals end at the edges of the density over lambda, that is, at t_min > 0 and t_max: S_tot is
finite there even for data on a lower-dimensional set, and then depends on t_min.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.analytic import Gaussian
from diffenc.diffusion.noise_levels import Levels
from diffenc.diffusion.processes import Process, expand
from diffenc.errors import InputError
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

    log_snr: jax.Array
    values: Any
    density: jax.Array

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
    if num_levels < 1:
        raise InputError(f"num_levels is {num_levels}: give 1 or more")
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
        return 0.5 * _sum(
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
        return 0.5 * _sum(step * (2 * (-eps - sigma * below) - step))

    return integrand


def path_kl(
    key,
    score_a: Callable,
    score_b: Callable,
    process: Process,
    x,
    levels: Levels,
    num_levels: int = 16,
):
    """Draw the relative entropy of two reverse processes (Girsanov).

    1/2 int d(lambda) sigma^2 E_a|score_a - score_b|^2. The expectation is under the first. Add the
    relative entropy at the start where it differs.

    Args:
        key: the key of levels and noise.
        score_a: the score of the diffusion of x, (x_t [batch, ...], t [batch]) -> [batch, ...].
        score_b: the other score.
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.

    Returns:
        [batch], in nats.
    """
    return profile(
        key, gap_integrand(score_a, score_b, process), process, x, levels, num_levels
    ).total()


def neural_entropy(
    key, score_fn: Callable, process: Process, x, levels: Levels, num_levels: int = 16
):
    """Draw S_NN of a network's score, or S_tot of the exact one: `path_kl` to the equilibrium.

    Args:
        key: the key of levels and noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.

    Returns:
        [batch], in nats.
    """
    return path_kl(key, score_fn, process.equilibrium_score, process, x, levels, num_levels)


def kelly_growth(
    key,
    score_fn: Callable,
    process: Process,
    x,
    levels: Levels,
    num_levels: int = 16,
    reference: Gaussian | None = None,
):
    """Draw the Kelly growth G, which needs no exact score.

    G = 1/2 int d(lambda) sigma^2 E[2 <e_theta, e_hat> - |e_theta|^2], e_hat = -eps/sigma - grad log
    p_eq. E[e_hat | x_t] = e, so on data that the network has not seen E[G] = S_tot - L_EM <= S_tot,
    whatever the network: the growth rate of a gambler who bets with the model against odds set by
    the equilibrium. sigma e_hat is bounded at low noise, and this is the v-form of it: for a fixed
    width 1/2 int d(lambda) (alpha/kappa)^2 E[2 <v_theta, v> - |v_theta|^2].

    With a Gaussian reference the growth of its own score is integrated over noise and lambda
    exactly, and only what the network adds to it is sampled: less variance, same mean.

    Args:
        key: the key of levels and noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.
        reference: a Gaussian, for x [batch, D] only; None for none.

    Returns:
        [batch], in nats.
    """
    if reference is None:
        integrand = growth_integrand(score_fn, process.equilibrium_score, process)
        return profile(key, integrand, process, x, levels, num_levels).total()

    def base(x_t, t):
        return reference.score(process, x_t, t)

    added = profile(
        key, growth_integrand(score_fn, base, process), process, x, levels, num_levels
    ).total()
    return gaussian_growth(reference, process, x, levels.low, levels.high) + added


@jax.default_matmul_precision("highest")
def gaussian_growth(
    reference: Gaussian, process: Process, x: jax.Array, low: float, high: float
) -> jax.Array:
    """Integrate the Kelly growth of a diffused Gaussian's score over noise and lambda.

    Along each axis of the covariance e is affine in (x, eps), so the mean over eps is a quadratic
    in x, with coefficients integrated over lambda by the trapezoidal rule. Under data of the
    reference's own moments its mean is S_tot of the reference.

    Args:
        reference: the Gaussian.
        process: the forward process.
        x: data [batch, D].
        low: the lower end of lambda.
        high: the upper end.

    Returns:
        [batch], in nats.
    """
    variances, axes = jnp.linalg.eigh(reference.cov)
    centre = reference.mean @ axes
    along = x @ axes
    log_snr = jnp.linspace(low, high, 4001, dtype=x.dtype)
    t = process.time(log_snr)
    alpha = process.alpha(t)[:, None]
    sigma = process.sigma(t)[:, None]
    inverse_eq = 1 / jnp.square(process.equilibrium_std(t))[:, None]
    spread = jnp.square(alpha) * variances[None] + jnp.square(sigma)
    # sigma e = slope x + shift + noise eps and sigma e_hat = target_slope x + target_noise eps
    slope = sigma * alpha * (inverse_eq - 1 / spread)
    noise = jnp.square(sigma) * (inverse_eq - 1 / spread)
    shift = sigma * alpha * centre[None] / spread
    target_slope = sigma * alpha * inverse_eq
    target_noise = jnp.square(sigma) * inverse_eq - 1
    square = slope * (target_slope - 0.5 * slope)
    linear = shift * (target_slope - slope)
    constant = noise * (target_noise - 0.5 * noise) - 0.5 * jnp.square(shift)
    step = (high - low) / (len(log_snr) - 1)
    weight = jnp.full_like(log_snr, step).at[jnp.array([0, -1])].mul(0.5)
    square = (weight @ square)[None]
    linear = (weight @ linear)[None]
    constant = (weight @ constant)[None]
    return jnp.sum(square * jnp.square(along) + linear * along + constant, axis=1)


def coordinate_entropy(
    process: Process,
    values: np.ndarray,
    shares: jax.Array,
    low: float,
    high: float,
    num_levels: int = 400,
) -> jax.Array:
    """Integrate S_tot of single coordinates that take a few values.

    By quadrature over x_t, whose density is a sum of L Gaussians, and over lambda from low to high.
    S_tot of all coordinates together exceeds the sum by their total correlation at t_min less that
    at t_max, so by no more than the data's: the score of x_i alone is the mean of the i-th
    component of the joint one given x_i, hence what the joint score has beyond it is orthogonal to
    what it has beyond equilibrium (arXiv 2509.23937).

    Args:
        process: the forward process.
        values: the values [L] that every coordinate takes.
        shares: their probabilities [D, L], one row a coordinate.
        low: the lower end of lambda.
        high: the upper end.
        num_levels: nodes of the quadrature over lambda.

    Returns:
        [D], in nats.
    """
    values = np.asarray(values, np.float32)
    lowest = float(values.min())
    highest = float(values.max())
    half_span = 0.5 * (highest - lowest)
    middle = 0.5 * (highest + lowest)
    nodes = jnp.linspace(-1.0, 1.0, 1 + 2 * math.ceil(4 * (8 + half_span * math.exp(high / 2))))

    def at_level(log_snr):
        t = process.time(log_snr)
        alpha = process.alpha(t)
        sigma = process.sigma(t)
        x = alpha * middle + nodes * (alpha * half_span + 8 * sigma)
        white = (x[:, None] - alpha * jnp.asarray(values)[None]) / sigma
        weight = jnp.exp(-0.5 * jnp.square(white)) / (sigma * math.sqrt(2 * math.pi))
        density = jnp.matmul(shares, weight.T, precision="highest")  # [D, nodes]
        slope = jnp.matmul(shares, -(weight * white).T, precision="highest")  # sigma dp/dx
        gap = slope / jnp.maximum(density, 1e-30) - (sigma * process.equilibrium_score(x, t))[None]
        return 0.5 * jnp.trapezoid(density * jnp.square(gap), dx=x[1] - x[0], axis=1)

    log_snr = jnp.linspace(low, high, num_levels)
    return jnp.trapezoid(jax.lax.map(at_level, log_snr), dx=(high - low) / (num_levels - 1), axis=0)


@jax.default_matmul_precision("highest")
def rate(
    key: jax.Array, score_fn: Callable, process: Process, x: jax.Array, t: jax.Array
) -> jax.Array:
    """Draw the entropy production r(t) = 1/2 g^2 E|score - grad log p_eq|^2.

    Args:
        key: the key of the noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        t: times [T].

    Returns:
        [T, batch], in nats per unit of time.
    """

    def at_time(inputs):
        key, t = inputs
        t = jnp.full(x.shape[:1], t, x.dtype)
        x_t = process.perturb(x, jax.random.normal(key, x.shape, x.dtype), t)
        e = score_fn(x_t, t) - process.equilibrium_score(x_t, t)
        return 0.5 * jnp.square(process.diffusion(t)) * _sum(jnp.square(e))

    return jax.lax.map(at_time, (jax.random.split(key, t.shape[0]), t))


def speed_limit(process: Process, t: jax.Array, rates: jax.Array) -> jax.Array:
    """Compute the bound (t - t_0) int_{t_0}^t (g^2/2) r dt >= W_2(p_{t_0}, p_t)^2.

    The probability flow moves at velocity -(g^2/2) e and carries p_{t_0} to p_t, so its action
    bounds the squared Wasserstein distance (Benamou and Brenier 2000; arXiv 2409.03817). By the
    trapezoidal rule.

    Args:
        process: the forward process.
        t: times [T].
        rates: r at these times [T, ...], from `rate`.

    Returns:
        The bound at each time [T, ...].
    """
    cost = 0.5 * jnp.square(process.diffusion(t)).reshape(-1, *(1 for _ in rates.shape[1:])) * rates
    width = jnp.diff(t).reshape(-1, *(1 for _ in rates.shape[1:]))
    action = jnp.cumsum(0.5 * width * (cost[1:] + cost[:-1]), axis=0)
    action = jnp.concatenate([jnp.zeros_like(action[:1]), action])
    return (t - t[:1]).reshape(-1, *(1 for _ in rates.shape[1:])) * action


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
    edges = np.asarray(levels.draw(jnp.linspace(0.0, 1.0, len(draws.values) + 1))[0], np.float64)
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


def _sum(values):
    return values.reshape(values.shape[0], -1).sum(axis=1)
