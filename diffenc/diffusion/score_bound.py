"""The bound of `likelihood` for a score function of any process, and a Gaussian's in closed form.

x_t / alpha_t = x + e^(-lambda/2) eps for every linear process: what a score function knows of x at
a lambda does not depend on the process, and neither does the bound. `denoise_of_score` makes the
x_hat that `likelihood` takes out of the score function of any process.

For x ~ N(m, C) and its exact denoiser, every term is known for each x. With c an eigenvalue of C, d
the part of x - m along its axis and g = e^lambda,

    e^lambda E(x - x_hat)^2 = g (d^2 + g c^2) / (1 + g c)^2
    diffusion               = 1/2 [log(1 + g c) + (1 - d^2/c) / (1 + g c)]  from g_low to g_high

summed over axes; prior and reconstruction are closed for any data.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion import likelihood
from diffenc.diffusion.gaussians import Gaussian, exact
from diffenc.diffusion.likelihood import LOG_2PI_E
from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.parameterization import alpha_sigma, from_score


def denoise_of_score(score_fn: Callable, process: Process) -> Callable:
    """Make the denoiser that a score function stands for.

    Args:
        score_fn: the score, (x [batch, ...], t [batch]) -> [batch, ...].
        process: its process.

    Returns:
        (x_t [batch, ...], log_snr [batch]) -> x_hat, with x_t on the variance-preserving process of
        width one, as `likelihood` draws it. The process must reach every log_snr.
    """

    def denoise(x_t, log_snr):
        t = process.time(log_snr)
        alpha, _ = alpha_sigma(log_snr)
        x_t = expand(process.alpha(t) / alpha, x_t) * x_t
        return from_score(process, "x0", score_fn(x_t, t), x_t, t)

    return denoise


@exact
def gaussian_terms(
    gaussian: Gaussian, x: jax.Array, low: float, high: float
) -> dict[str, jax.Array]:
    """Compute the terms of `continuous_terms` for Gaussian data and their exact denoiser.

    Args:
        gaussian: the law of the data.
        x: any points [batch, D].
        low: the smallest lambda.
        high: the largest.

    Returns:
        {"prior", "diffusion", "reconstruction"}, each [batch] in nats: the expectation over noise.
    """
    variances, axes = jnp.linalg.eigh(gaussian.cov)
    square = jnp.square((x - gaussian.mean[None]) @ axes)

    def primitive(log_snr):
        gain = jnp.exp(log_snr) * variances
        rest = (1 - square / variances[None]) / (1 + gain)[None]
        return 0.5 * jnp.sum(jnp.log1p(gain)[None] + rest, axis=1)

    return {
        "prior": likelihood.prior(x, low),
        "diffusion": primitive(high) - primitive(low),
        "reconstruction": jnp.full(len(x), 0.5 * x.shape[1] * (LOG_2PI_E - high)),
    }
