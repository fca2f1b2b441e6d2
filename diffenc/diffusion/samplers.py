"""Sample from a score function: the probability flow and the reverse SDE of any process.

Every sampler is one `lax.scan` over a fixed grid. But for `ancestral`, which is given its grid, it
is uniform in the angle phi = atan2(sigma/kappa, alpha), which runs from its value at t = 1 (pi/2
where alpha vanishes there) towards 0 (data), and they are written in entropy-matching form: they
integrate e = score - equilibrium score. So a model that knows nothing (e = 0) moves nothing, and
the noise that went in comes out with exactly the law it had, at any number of steps.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.angle_flow import HALF_PI, check_num_steps
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError


class _Node(NamedTuple):
    """A point of the grid: the time, and the time at which the score is evaluated."""

    t: jax.Array
    t_score: jax.Array


def probability_flow(
    score_fn: Callable, process: Process, x: jax.Array, num_steps: int, t_min: float = 1e-3
) -> jax.Array:
    """Sample at t_min by the probability flow from `x` at t = 1, in entropy-matching form.

    dx = -(g^2/2) (score - equilibrium score) dt (arXiv 2011.13456, 2409.03817), integrated in the
    clock of the process (`Process.clock_steps`), in which the velocity stays bounded. For a fixed
    width the clock is the angle phi, with dx/dphi = -kappa^2 tan(phi) (score - equilibrium score)
    = v; for VE it is sigma, with velocity eps (arXiv 2010.02502). The identity for a score equal
    to the equilibrium score. Heun's method, of second order; the result is a draw from p at t_min,
    which still holds noise of standard deviation sigma(t_min).

    Args:
        score_fn: the score, (x [batch, ...], t [batch]) -> [batch, ...]; evaluated twice a step, at
            t_min <= t < 1 where alpha(1) = 0.
        process: the forward process.
        x: points distributed as p at t = 1, [batch, ...].
        num_steps: number of steps, equal in the angle.
        t_min: the time at which the samples are returned.

    Returns:
        The samples [batch, ...].

    Raises:
        InputError: for a bad num_steps or t_min.
    """
    check_num_steps(num_steps)
    gap = _equilibrium_gap(score_fn, process)

    def step(x, interval):
        return _flow_step(gap, process, x, *interval)[0], None

    return jax.lax.scan(step, x, _intervals(process, num_steps, t_min, x.dtype))[0]


def inverse_flow(
    score_fn: Callable, process: Process, x: jax.Array, num_steps: int, t_min: float = 1e-3
) -> jax.Array:
    """Follow the probability flow from `x` at t_min to t = 1: `probability_flow` backwards.

    The inversion of arXiv 2010.02502, of second order. The steps are those of `probability_flow`
    with their ends exchanged, whose leading errors cancel: there and back errs by the third order.

    Args:
        score_fn: the score, as in `probability_flow`.
        process: the forward process.
        x: points at t_min, [batch, ...].
        num_steps: number of steps, equal in the angle.
        t_min: the time of x.

    Returns:
        Points at t = 1 [batch, ...].

    Raises:
        InputError: for a bad num_steps or t_min.
    """
    check_num_steps(num_steps)
    gap = _equilibrium_gap(score_fn, process)

    def step(x, interval):
        late, early, step_size = interval
        return _flow_step(gap, process, x, early, late, -step_size)[0], None

    intervals = _intervals(process, num_steps, t_min, x.dtype)
    return jax.lax.scan(step, x, intervals, reverse=True)[0]


def reverse_sde(
    key: jax.Array,
    score_fn: Callable,
    process: Process,
    x: jax.Array,
    num_steps: int,
    eta: float = 1.0,
    t_min: float = 1e-3,
) -> jax.Array:
    """Sample at t_min, from `x` at t = 1, by a reverse process of the family of equal marginals.

        dx = [-f x + (1 + eta^2)/2 g^2 score] d(tau) + eta g dB,   tau = 1 - t

    (arXiv 2011.13456): eta = 0 is the flow, eta = 1 the SDE. A step is the flow from a to b (as
    `probability_flow`), then Langevin dynamics that preserve p_b for the time eta^2 int g^2 dt,

        x <- rho x + (1 - rho) m^2 (score + x/m^2) + m sqrt(1 - rho^2) xi,

    the Ornstein-Uhlenbeck part exact and the rest by Heun. `Process.langevin_step` gives m and rho:
    m = equilibrium std and rho = (alpha_a/alpha_b)^(eta^2), but where the equilibrium is flat (VE)
    m = sigma_b and rho = exp(-eta^2 (sigma_a^2/sigma_b^2 - 1)/2). Both halves carry the marginal
    p_b, so splitting them costs nothing; and N(0, m^2 I) of a fixed width stays invariant under its
    own score, at any number of steps. Second order in law; three evaluations a step (eta = 0: two).

    Args:
        key: the key of the noise.
        score_fn: the score, as in `probability_flow`.
        process: the forward process.
        x: points distributed as p at t = 1, [batch, ...].
        num_steps: number of steps, equal in the angle.
        eta: strength of the noise, 0 for the flow and 1 for the reverse SDE.
        t_min: the time at which the samples are returned.

    Returns:
        The samples [batch, ...].

    Raises:
        InputError: for a bad num_steps or t_min, or eta < 0.
    """
    check_num_steps(num_steps)
    if isinstance(eta, int | float):  # a traced eta is taken as it is
        if not eta >= 0:
            raise InputError(
                f"eta={eta}: give 0 for the flow, 1 for the reverse SDE, or any number above"
            )
        if eta == 0:
            return probability_flow(score_fn, process, x, num_steps, t_min)
    gap = _equilibrium_gap(score_fn, process)

    def step(x, inputs):
        step_key, (a, b, step_size) = inputs
        x, gap_ahead = _flow_step(gap, process, x, a, b, step_size)
        width, decay = process.langevin_step(a.t, b.t, eta)
        forget = -jnp.expm1(-decay)
        noise = jax.random.normal(step_key, x.shape, x.dtype)
        centre = jnp.exp(-decay) * x + width * jnp.sqrt(-jnp.expm1(-2 * decay)) * noise
        # `gap` is that to the equilibrium; the step needs the gap to N(0, m^2 I), often the same.
        excess = 1 - jnp.square(width / process.equilibrium_std(b.t))

        def pull(x, gap_value):
            return forget * (jnp.square(width) * gap_value + excess * x)

        # The gap at the flow's predictor differs from that at its end by the square of the step:
        # good enough here.
        slope = pull(x, gap_ahead)
        ahead = centre + slope
        return centre + 0.5 * (slope + pull(ahead, gap(ahead, b.t_score))), None

    keys = jax.random.split(key, num_steps)
    return jax.lax.scan(step, x, (keys, _intervals(process, num_steps, t_min, x.dtype)))[0]


def ancestral(key: jax.Array, denoise_fn: Callable, x: jax.Array, log_snr: jax.Array) -> jax.Array:
    """Sample by the posteriors q(x_b | x_a, x_0) of a variance-preserving process, x_0 by its mean.

        x_b ~ N(alpha_b ((1 - c) x_a / alpha_a + c x_hat), sigma_b^2 c)
        c = 1 - e^(lambda_a - lambda_b)

    (arXiv 2107.00630, appendix A). No step is too large for it: where x_hat is right it is exact,
    and the rest of x_a is only ever shrunk. So it serves data on a grid, whose score is steep at
    little noise, where the steps of `reverse_sde` have to be much shorter. First order in law; one
    evaluation a step.

    Args:
        key: the key of the noise.
        denoise_fn: E[x_0 | x_t], (x_t [batch, ...], lambda [batch]) -> [batch, ...].
        x: points distributed as p at log_snr[0], [batch, ...].
        log_snr: lambda of the nodes [num_steps + 1], which grows.

    Returns:
        The samples [batch, ...] at log_snr[-1], which still hold its noise.
    """

    def step(x, inputs):
        step_key, a, b = inputs
        x_hat = denoise_fn(x, jnp.full(len(x), a))
        alpha_a = alpha_sigma(a)[0]
        alpha_b, sigma_b = alpha_sigma(b)
        c = -jnp.expm1(a - b)
        noise = jax.random.normal(step_key, x.shape, x.dtype)
        mean = alpha_b * ((1 - c) / alpha_a * x + c * x_hat)
        return mean + sigma_b * jnp.sqrt(c) * noise, None

    keys = jax.random.split(key, len(log_snr) - 1)
    return jax.lax.scan(step, x, (keys, log_snr[:-1], log_snr[1:]))[0]


def _equilibrium_gap(score_fn, process):
    """Make e(x, t) = score - equilibrium score at a scalar time, the field of entropy matching."""

    def gap(x, t):
        times = jnp.full(x.shape[:1], t, x.dtype)
        return score_fn(x, times) - process.equilibrium_score(x, times)

    return gap


def _flow_step(gap, process, x, a, b, step_size):
    """Take one Heun step of the probability flow from node a to node b; also give the gap ahead."""
    slope = -process.flow_weight(a.t_score) * gap(x, a.t_score)
    gap_ahead = gap(x + step_size * slope, b.t_score)
    ahead = -process.flow_weight(b.t_score) * gap_ahead
    return x + (0.5 * step_size) * (slope + ahead), gap_ahead


def _intervals(process, num_steps, t_min, dtype):
    """Pairs of neighbouring nodes from t = 1 to t_min, uniform in the angle, and steps between."""
    if not 0 <= t_min < 1:
        raise InputError(f"t_min={t_min} is outside [0, 1): give a small time such as 1e-3")
    if t_min == 0:
        with jax.ensure_compile_time_eval():
            is_noisy = float(process.sigma(jnp.zeros((), dtype))) > 0
        if not is_noisy:
            name = type(process).__name__
            raise InputError(f"t_min=0 is where {name} has sigma = 0: give a small time, say 1e-3")
    phi_max = process.angle(jnp.ones((), dtype))
    phi_min = process.angle(jnp.full((), t_min, dtype))
    phi = phi_max + (phi_min - phi_max) * jnp.linspace(0, 1, num_steps + 1, dtype=dtype)
    t = process.time_at_angle(phi).at[0].set(1.0).at[-1].set(t_min)
    # At alpha = 0 a score cannot tell v, for e = -alpha v / (kappa sigma) vanishes whatever v is;
    # near it the rounding error of v is epsilon / alpha. Evaluations stay sqrt(epsilon) from pi/2,
    # where that equals the error of moving.
    t_score = jnp.minimum(
        t, process.time_at_angle(jnp.asarray(HALF_PI - math.sqrt(jnp.finfo(dtype).eps), dtype))
    )
    nodes = _Node(t, t_score)
    starts = jax.tree.map(lambda values: values[:-1], nodes)
    ends = jax.tree.map(lambda values: values[1:], nodes)
    return starts, ends, process.clock_steps(t, phi)
