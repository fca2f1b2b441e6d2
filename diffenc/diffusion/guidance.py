"""Classifier-free guidance and the nats it injects (arXiv 2207.12598; arXiv 2509.23937).

    s_w = s(x|y) + w (s(x|y) - s(x))

What guidance adds to a sampler that knows no y is the relative entropy of the two sets of paths.
Here both are ancestral chains, whose steps from lambda_t to lambda_s > lambda_t are Gaussians of
one variance about means that are linear in the guess x_0 = (x_t + sigma_t^2 s) / alpha_t, so that a
step injects, exactly,

    1/2 (SNR_s - SNR_t) E_w|x_0(s_w) - x_0(s)|^2      ->      1/2 sigma^2 E_w|s_w - s|^2 d(lambda)

for many steps: I(X;Y) at w = 0, and more with w.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.errors import check


class Guided(NamedTuple):
    """Samples of a guided chain and what guidance put into them.

    Attributes:
        x: the samples at t_min, [batch, ...].
        nats: what each step injected, [num_steps, batch].
        log_snr: lambda at the end of each step, [num_steps].
    """

    x: jax.Array
    nats: jax.Array
    log_snr: jax.Array


def guided_chain(
    key: jax.Array,
    score_fn: Callable,
    conditional_score: Callable,
    weight: jax.Array | float,
    process: Process,
    x: jax.Array,
    num_steps: int,
    t_min: float = 1e-3,
) -> Guided:
    """Sample with the guided score by an ancestral chain, in equal steps of lambda.

    Args:
        key: the key of the noise.
        score_fn: the score without a condition, (x_t [batch, ...], t [batch]) -> [batch, ...].
        conditional_score: the score with each example's condition closed over.
        weight: w; 0 gives the conditional score.
        process: the forward process.
        x: points distributed as p at t = 1, [batch, ...].
        num_steps: number of steps.
        t_min: the time at which the chain ends.

    Returns:
        The samples and the nats of each step.

    Raises:
        InputError: for fewer than one step.
    """
    check(num_steps >= 1, "num_steps", num_steps, "give 1 or more")
    with jax.ensure_compile_time_eval():
        low, high = log_snr_range(process, t_min)
    log_snr = jnp.linspace(low, high, num_steps + 1)

    def step(x, inputs):
        key, start, end = inputs
        t = jnp.full(x.shape[:1], process.time(start), x.dtype)
        s = jnp.full(x.shape[:1], process.time(end), x.dtype)
        alpha = expand(process.alpha(t), x)
        sigma = expand(process.sigma(t), x)
        alpha_s = expand(process.alpha(s), x)
        sigma_s = expand(process.sigma(s), x)
        free = score_fn(x, t)
        pull = (1 + weight) * (conditional_score(x, t) - free)
        guess = (x + jnp.square(sigma) * (free + pull)) / alpha
        ratio = jnp.exp(start - end)  # SNR_t / SNR_s
        mean = alpha_s * (ratio * x / alpha + (1 - ratio) * guess)
        shift = jnp.square(sigma) * pull / alpha  # of the guess, by guidance
        distance = jnp.sum(jnp.square(shift).reshape(len(x), -1), axis=1)
        nats = 0.5 * (jnp.exp(end) - jnp.exp(start)) * distance
        noise = jax.random.normal(key, x.shape, x.dtype)
        return mean + sigma_s * jnp.sqrt(1 - ratio) * noise, nats

    keys = jax.random.split(key, num_steps)
    x, nats = jax.lax.scan(step, x, (keys, log_snr[:-1], log_snr[1:]))
    return Guided(x, nats, log_snr[1:])
