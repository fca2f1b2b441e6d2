"""One diffusion in the coordinates of another process, without another network.

Linear processes x_t = alpha x_0 + sigma eps differ in two choices only: the unit of x and the clock
t. In x/alpha and lambda = log(alpha^2/sigma^2) all of them are one (arXiv 2107.00630, 2206.00364).
So at equal lambda, with c = alpha'/alpha = sigma'/sigma of another process,

    x' = c x      score' = score / c      log p' = log p - D log c      x0' = x0,  eps' = eps

and the score of one process is the score of every other, and gives its samples (`samplers`), its
entropies (`entropy`) and its likelihoods (`flow_likelihood`, and here `log_prob_in_time`). The
velocity of flow matching is one more output of `parameterization`; eta is that of
`samplers.reverse_sde`, whose drift is here in the usual form.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.angle_flow import angle_flow_with_log_det
from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.parameterization import from_pair, from_score, to_pair
from diffenc.errors import check

ROUNDING = 1e-6  # of an alpha that is 0


def time_in(other: Process, process: Process, t: jax.Array | float) -> jax.Array:
    """Give the time of another process at which lambda is that of `process` at t.

    Args:
        other: the process whose time is asked for.
        process: the process whose time is t.
        t: times of any shape.

    Returns:
        Times of the shape of t; outside of [0, 1] where `other` does not reach that lambda.
    """
    return other.time(process.log_snr(t))


def scale_in(other: Process, process: Process, t: jax.Array) -> jax.Array:
    """Compute c = alpha'/alpha at equal lambda, the factor from x to x' of another process.

    Args:
        other: the process to whose coordinates it leads.
        process: the process whose time is t.
        t: times of any shape.

    Returns:
        Factors of the shape of t.
    """
    # Of equal lambda is equal angle: the ratio of the two lengths, where no alpha has to be above
    # 0.
    t_other = time_in(other, process, t)
    length = jnp.hypot(process.alpha(t), process.sigma(t))
    return jnp.hypot(other.alpha(t_other), other.sigma(t_other)) / length


def convert_between(
    process: Process,
    other: Process,
    kind: str,
    new_kind: str,
    out: jax.Array,
    x_t: jax.Array,
    t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Convert an output of one process to one of another, at the same point of the one diffusion.

    Args:
        process: the process of out, x_t and t.
        other: the other process.
        kind: what `out` is, of `parameterization.KINDS`.
        new_kind: what is asked for.
        out: the output [batch, ...].
        x_t: where, [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        (new_out, x', t'): the output of the other process, at x' [batch, ...] and t'.

    Raises:
        InputError: for an unknown kind or unequal shapes.
    """
    t_other = time_in(other, process, t)
    x_other = expand(scale_in(other, process, t), x_t) * x_t
    x0, eps = to_pair(process, kind, out, x_t, t)
    return from_pair(other, new_kind, x0, eps, t_other), x_other, t_other


def score_in(other: Process, process: Process, score_fn: Callable) -> Callable:
    """Make the score function of another process from that of `process`.

    Where `other` reaches a lambda below that of `process` at t = 1, the law goes on as it started:
    as that of data N(0, kappa^2 I), kappa = process.scale. Nothing is known above the lambda at
    which `score_fn` may be evaluated first, t_min: end at `time_in(other, process, t_min)`.

    Args:
        other: the process whose score is asked for.
        process: the process of `score_fn`.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].

    Returns:
        A function of the same signature, of x' and t' of the other process.
    """

    def score(x, t):
        t_own = time_in(process, other, t)
        is_noise = ~(t_own <= 1)  # written with `not <=` so that NaN, of lambda = -inf, is noise
        t_known = jnp.where(is_noise, 1.0, jnp.maximum(t_own, 0.0))
        length = jnp.hypot(process.alpha(t_known), process.sigma(t_known))
        c = expand(jnp.hypot(other.alpha(t), other.sigma(t)) / length, x)
        variance = jnp.square(process.scale * other.alpha(t)) + jnp.square(other.sigma(t))
        known = score_fn(x / c, t_known) / c
        return jnp.where(expand(is_noise, x), -x / expand(variance, x), known)

    return score


def velocity_fn(process: Process, score_fn: Callable) -> Callable:
    """Make the velocity of the probability flow in t, that of flow matching, from a score.

    dx/dt = f x - (g^2/2) score = E[alpha' x_0 + sigma' eps | x_t] (arXiv 2011.13456, 2210.02747).
    The way back is `parameterization.score_fn` of kind "velocity".

    Args:
        process: the forward process.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].

    Returns:
        A function of the same signature, for t where alpha is above 0.
    """

    def velocity(x, t):
        return from_score(process, "velocity", score_fn(x, t), x, t)

    return velocity


def reverse_drift(process: Process, score_fn: Callable, eta: float) -> Callable:
    """Make the drift of the reverse process of strength eta, dx = drift d(tau) + eta g dB.

    drift = -f x + (1 + eta^2)/2 g^2 score, tau = 1 - t: every eta has the same marginals (arXiv
    2011.13456). `samplers.reverse_sde` follows it without the stiffness of g.

    Args:
        process: the forward process.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].
        eta: 0 for the flow, 1 for the reverse of the process, or any number above.

    Returns:
        A function of the same signature.
    """

    def drift(x, t):
        weight = 0.5 * (1 + eta**2) * jnp.square(process.diffusion(t))
        return -expand(process.drift(t), x) * x + expand(weight, x) * score_fn(x, t)

    return drift


def log_prob_in_time(
    process: Process,
    score_fn: Callable,
    log_prior: Callable,
    x: jax.Array,
    num_steps: int,
    t_min: float = 1e-3,
    t_max: float = 1.0,
) -> jax.Array:
    """Evaluate log p of x at t_min by the flow in the process's own x.

    log p(x) = log p_tmax(x_tmax) + log|det dx_tmax/dx|, by Heun's method with the determinant of
    every step. Steps are equal in lambda: equal ones of t err several times as much where sigma is
    a root of t. `Flow.log_prob` is the better way, in a variable that is the same for all
    processes; that the two agree, and the processes among themselves, is a test of the coordinates.

    Args:
        process: the forward process.
        score_fn: its score, (x [batch, D], t [batch]) -> [batch, D].
        log_prior: log density at t_max, [batch, D] -> [batch].
        x: points at t_min, [batch, D].
        num_steps: number of steps.
        t_min: the time of x, above 0.
        t_max: the last time, where alpha is above 0.

    Returns:
        [batch], in nats.

    Raises:
        InputError: for impossible times or a bad num_steps.
    """
    check(0 < t_min < t_max <= 1, "t_min", t_min, f"give more than 0, less than t_max={t_max}")
    with jax.ensure_compile_time_eval():
        has_signal = float(process.alpha(t_max)) > ROUNDING
        start = -float(process.log_snr(t_min))
        stop = -float(process.log_snr(t_max))
    check(has_signal, "t_max", t_max, "alpha is 0 there, give less")
    velocity = velocity_fn(process, score_fn)

    def in_lambda(x, noise_level):  # -lambda, which grows from data to noise
        t = process.time(-noise_level)
        time_of_lambda = jnp.square(process.sigma(t) / process.diffusion(t))
        return expand(time_of_lambda, x) * velocity(x, t)

    x, log_det = angle_flow_with_log_det(in_lambda, x, num_steps, start, stop)
    return log_prior(x) + log_det
