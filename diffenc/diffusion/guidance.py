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

from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import Process, expand
from diffenc.errors import InputError


class Guided(NamedTuple):
    """Samples x [batch, ...] at t_min, and the nats [num_steps, batch] injected by each step, which
    ends at log_snr [num_steps]."""

    x: jax.Array
    nats: jax.Array
    log_snr: jax.Array


def guided_chain(
    key: jax.Array,
    score_fn: Callable,
    score_given: Callable,
    weight: jax.Array | float,
    process: Process,
    x: jax.Array,
    num_steps: int,
    t_min: float = 1e-3,
) -> Guided:
    """Ancestral sampling with the guided score from x [batch, ...], distributed as p at t = 1, to
    t_min, in equal steps of lambda. score_fn, score_given: (x_t [batch, ...], t [batch]) -> score,
    the latter with each example's condition closed over. Raises InputError for fewer than one
    step."""
    if num_steps < 1:
        raise InputError(f"num_steps is {num_steps}: give 1 or more")
    with jax.ensure_compile_time_eval():
        low, high = log_snr_range(process, t_min)
    log_snr = jnp.linspace(low, high, num_steps + 1)

    def step(x, inputs):
        key, start, end = inputs
        t, s = (jnp.full(x.shape[:1], process.time(level), x.dtype) for level in (start, end))
        alpha, sigma, alpha_s, sigma_s = (
            expand(coefficient(time), x)
            for time in (t, s)
            for coefficient in (process.alpha, process.sigma)
        )
        free, given = score_fn(x, t), score_given(x, t)
        pull = (1 + weight) * (given - free)
        guess = (x + jnp.square(sigma) * (free + pull)) / alpha
        kept = jnp.exp(start - end)  # SNR_t / SNR_s
        mean = alpha_s * (kept * x / alpha + (1 - kept) * guess)
        moved = jnp.sum(jnp.square(jnp.square(sigma) * pull / alpha).reshape(len(x), -1), axis=1)
        nats = 0.5 * (jnp.exp(end) - jnp.exp(start)) * moved
        return mean + sigma_s * jnp.sqrt(1 - kept) * jax.random.normal(key, x.shape, x.dtype), nats

    keys = jax.random.split(key, num_steps)
    x, nats = jax.lax.scan(step, x, (keys, log_snr[:-1], log_snr[1:]))
    return Guided(x, nats, log_snr[1:])
