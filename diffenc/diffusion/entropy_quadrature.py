"""Entropy of densities in closed form, integrated over the noise level by quadrature.

Where the law of the data is known (a Gaussian, a mixture of them, a coordinate that takes a few
values) nothing but samples of the data is random. `entropy` defines the quantities; lambda is the
log signal-to-noise ratio, and everything is in nats.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.gaussians import Gaussian, GaussianMixture, jit_for_process
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.noise_levels import log_snr_range


def total_entropy(
    key: jax.Array,
    density: Gaussian | GaussianMixture,
    process: Process,
    n: int,
    t_min: float = 1e-3,
    t_max: float = 1.0,
) -> jax.Array:
    """Draw values whose mean is S_tot, the entropy that the diffusion of `density` produces.

        S_tot = 1/2 int g^2 E|grad log p_t/p_eq|^2 dt
              = h(p_tmax) - h(p_tmin) - int (dm/dt) / (2 w^2) dt,   m = E|x_t|^2,

    between t_min and t_max: the growth of entropy plus the heat taken by the bath N(0, w^2 I) =
    p_eq (arXiv 2409.03817). Where p_eq does not move this is KL(p_tmin||p_eq) - KL(p_tmax||p_eq);
    where it does (sub-VP), that less int E[d/dt log p_eq(x_t)] dt; where it is flat (VE), the
    growth of entropy alone. Entropies are means of log p over n exact samples, m is known.

    Args:
        key: the key of samples and noise.
        density: the law of the data.
        process: the forward process.
        n: number of samples; [n, D] must fit in memory.
        t_min: the first time.
        t_max: the last time.

    Returns:
        Independent values [n] in nats, for `Estimate.of`.

    Raises:
        InputError: for impossible times.
    """
    low, high = log_snr_range(process, t_min, t_max)
    return _total_entropy(key, density, process, n, t_min, t_max, low, high)


@functools.partial(jax.jit, static_argnames=("process", "n"))
def _total_entropy(key, density, process, n, t_min, t_max, low, high):
    key_x, key_first, key_last = jax.random.split(key, 3)
    x = density.sample(key_x, n)
    log_probs = []
    for key_noise, t in ((key_first, t_min), (key_last, t_max)):
        x_t = process.perturb(
            x, jax.random.normal(key_noise, x.shape, x.dtype), jnp.asarray(t, x.dtype)
        )
        log_probs.append(density.diffused(process, jnp.asarray(t, x.dtype)).log_prob(x_t))
    # dm/dt = g^2 (D - m / w^2) and g^2 dt = -sigma^2 d(lambda)
    log_snr = jnp.linspace(low, high, 8001, dtype=x.dtype)
    t = process.time(log_snr)
    sigma2 = jnp.square(process.sigma(t))
    inverse_eq = 1 / jnp.square(process.equilibrium_std(t))
    moment = jnp.square(process.alpha(t)) * density.second_moment() + x.shape[1] * sigma2
    heat = jnp.trapezoid(0.5 * sigma2 * inverse_eq * (moment * inverse_eq - x.shape[1]), log_snr)
    return log_probs[0] - log_probs[1] + heat


@jit_for_process
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
    half_span = 0.5 * float(np.ptp(values))
    num_nodes = 1 + 2 * math.ceil(4 * (8 + half_span * math.exp(high / 2)))
    return _coordinate_entropy(process, values, shares, low, high, num_levels, num_nodes)


@functools.partial(jax.jit, static_argnames=("process", "num_levels", "num_nodes"))
def _coordinate_entropy(process, values, shares, low, high, num_levels, num_nodes):
    half_span = 0.5 * (values.max() - values.min())
    middle = 0.5 * (values.max() + values.min())
    nodes = jnp.linspace(-1.0, 1.0, num_nodes)

    def at_level(log_snr):
        t = process.time(log_snr)
        alpha = process.alpha(t)
        sigma = process.sigma(t)
        x = alpha * middle + nodes * (alpha * half_span + 8 * sigma)
        white = (x[:, None] - alpha * values[None]) / sigma
        weight = jnp.exp(-0.5 * jnp.square(white)) / (sigma * math.sqrt(2 * math.pi))
        density = jnp.matmul(shares, weight.T, precision="highest")  # [D, nodes]
        slope = jnp.matmul(shares, -(weight * white).T, precision="highest")  # sigma dp/dx
        gap = slope / jnp.maximum(density, 1e-30) - (sigma * process.equilibrium_score(x, t))[None]
        return 0.5 * jnp.trapezoid(density * jnp.square(gap), dx=x[1] - x[0], axis=1)

    log_snr = jnp.linspace(low, high, num_levels)
    return jnp.trapezoid(jax.lax.map(at_level, log_snr), dx=(high - low) / (num_levels - 1), axis=0)
