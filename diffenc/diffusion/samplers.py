"""Samplers: the flow in the angle, its exact density, the probability flow and the reverse SDE.

Every sampler is one `lax.scan` over a fixed grid, uniform in the angle phi = atan2(sigma/kappa,
alpha), which runs from pi/2 (noise) to 0 (data). All of them are written in entropy-matching form:
they integrate e = score - equilibrium score, so a model that knows nothing (e = 0, v = 0) moves
nothing, and the noise that went in comes out with exactly the law it had, at any number of steps.
"""

import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.processes import Process
from diffenc.errors import InputError

HALF_PI = math.pi / 2


# ---------------------------------------------------------------------------- the flow in the angle


def angle_flow(
    v_fn: Callable, x: jax.Array, num_steps: int, start: float = HALF_PI, stop: float = 0.0
) -> jax.Array:
    """The end point at angle `stop` of the probability flow through `x` at angle `start`, by Heun's
    method.

    dx/dphi = v(x, phi), phi = atan2(sigma/kappa, alpha): the probability flow of a process of fixed
    width (arXiv 2011.13456) in the angle of v-prediction (arXiv 2202.00512). Second order in the
    step; the identity where v = 0; `start < stop` runs it backwards.

    x: [batch, ...]; v_fn(x: [batch, ...], phi: [batch]) -> [batch, ...]; two evaluations a step.
    Returns [batch, ...]. Raises InputError where num_steps is not a positive integer.
    """
    _check_num_steps(num_steps)
    step_size = (stop - start) / num_steps

    def step(x, phi):
        return _heun(v_fn, x, phi, step_size), None

    return jax.lax.scan(step, x, _left_ends(start, step_size, num_steps, x.dtype))[0]


def angle_flow_with_log_det(
    v_fn: Callable, x: jax.Array, num_steps: int, start: float = HALF_PI, stop: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """`angle_flow` together with log|det| of the exact Jacobian of the discrete map, for vectors.

    log q(x_stop) = log p(x_start) - log|det dx_stop/dx_start|. The determinant is that of every
    Heun step itself, not an integral of the divergence: q is the density of the samples which
    `angle_flow` returns at this very number of steps. This needs each step to be invertible, |step|
    times the Lipschitz constant of v below one: too few steps can fold the space, and then this is
    not the density (`angle_flow_folds` finds folds).

    x: [batch, d]; v_fn(x: [batch, d], phi: [batch]) -> [batch, d], each example's v a function of
    that example alone. Cost: d tangents a step. Returns ([batch, d], [batch] in nats). Raises
    InputError for another rank of x or a bad num_steps.
    """
    return _flow_with_jacobian(v_fn, x, num_steps, start, stop)[:2]


def angle_flow_with_hutchinson(
    key: jax.Array,
    v_fn: Callable,
    x: jax.Array,
    num_steps: int,
    start: float = HALF_PI,
    stop: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """`angle_flow` and a random estimate of int div v dphi along it, in place of the exact log
    determinant.

    div v = E[xi^T (dv/dx) xi], xi one vector of random signs per example for the whole path
    (Hutchinson 1990; FFJORD, 1810.01367), the integral by the trapezoidal rule. One tangent an
    evaluation, whatever d. The mean is right as num_steps grows, but it is the density of no
    sampler: weights p/q made of it have a mean other than p(x), so it gives NO BOUND of the
    likelihood. Shapes and errors as in `angle_flow_with_log_det`.
    """
    _check_num_steps(num_steps)
    if x.ndim != 2:
        raise InputError(
            f"x has shape {x.shape}: angle_flow_with_hutchinson takes [batch, d]; flatten each example"
        )
    step_size = (stop - start) / num_steps
    xi = jax.random.rademacher(key, x.shape, x.dtype)

    def slope_and_divergence(x, phi):
        slope, push = jax.jvp(lambda x: v_fn(x, jnp.full(x.shape[:1], phi)), (x,), (xi,))
        return slope, jnp.sum(xi * push, axis=-1)

    def step(carry, phi):
        x, integral = carry
        slope, divergence = slope_and_divergence(x, phi)
        ahead, divergence_ahead = slope_and_divergence(x + step_size * slope, phi + step_size)
        x = x + (0.5 * step_size) * (slope + ahead)
        return (x, integral + (0.5 * step_size) * (divergence + divergence_ahead)), None

    return jax.lax.scan(
        step, (x, jnp.zeros_like(x[:, 0])), _left_ends(start, step_size, num_steps, x.dtype)
    )[0]


def angle_flow_folds(
    v_fn: Callable, x: jax.Array, num_steps: int, start: float = HALF_PI, stop: float = 0.0
) -> jax.Array:
    """Whether a step of `angle_flow` turns the space around x [batch, d] inside out (a negative
    determinant): [batch].

    Where that never happens, the density of `angle_flow_with_log_det` is that of the samples,
    except where the space is folded twice; take more steps where it does.
    """
    return _flow_with_jacobian(v_fn, x, num_steps, start, stop)[2]


def _flow_with_jacobian(v_fn, x, num_steps, start, stop):
    """(x, log |det|, whether any step has a negative determinant) at the end of the flow."""
    _check_num_steps(num_steps)
    if x.ndim != 2:
        raise InputError(
            f"x has shape {x.shape}: angle_flow_with_log_det takes [batch, d]; flatten each example first"
        )
    step_size = (stop - start) / num_steps
    # Examples are independent, so one tangent carries the basis vector e_i of every example at
    # once.
    basis = jnp.broadcast_to(jnp.eye(x.shape[1], dtype=x.dtype)[:, None, :], (x.shape[1], *x.shape))

    def step(carry, phi):
        x, log_det, folded = carry
        x, push = jax.linearize(lambda x: _heun(v_fn, x, phi, step_size), x)
        transposed_jacobian = jnp.moveaxis(jax.vmap(push)(basis), 0, 1)
        sign, log_abs = jnp.linalg.slogdet(transposed_jacobian)
        return (x, log_det + log_abs, folded | (sign < 0)), None

    start_carry = (x, jnp.zeros_like(x[:, 0]), jnp.zeros(x.shape[:1], bool))
    return jax.lax.scan(step, start_carry, _left_ends(start, step_size, num_steps, x.dtype))[0]


def _heun(v_fn, x, phi, step_size):
    """One Heun step of dx/dphi = v_fn(x, phi), with phi a scalar handed on as [batch]."""
    slope = v_fn(x, jnp.full(x.shape[:1], phi))
    ahead = v_fn(x + step_size * slope, jnp.full(x.shape[:1], phi + step_size))
    return x + (0.5 * step_size) * (slope + ahead)


def _left_ends(start, step_size, num_steps, dtype):
    return start + step_size * jnp.arange(num_steps, dtype=dtype)


def _check_num_steps(num_steps):
    try:
        valid = operator.index(num_steps) >= 1
    except TypeError:
        valid = False
    if not valid:
        raise InputError(f"num_steps is {num_steps!r}: give a positive integer")


# -------------------------------------------------------------- samplers for a score of any process


class _Node(NamedTuple):
    """A point of the grid: the time, and the time at which the score is evaluated."""

    t: jax.Array
    t_score: jax.Array


def probability_flow(
    score_fn: Callable, process: Process, x: jax.Array, num_steps: int, t_min: float = 1e-3
) -> jax.Array:
    """Samples at t_min by the probability flow from `x` at t = 1, by Heun's method in
    entropy-matching form.

    dx = -(g^2/2) (score - equilibrium score) dt (arXiv 2011.13456, 2409.03817), integrated in the
    clock of the process (`Process.clock_steps`), in which the velocity stays bounded. For a fixed
    width the clock is the angle phi, with dx/dphi = -kappa^2 tan(phi) (score - equilibrium score)
    = v; for VE it is sigma, with velocity eps (arXiv 2010.02502). The identity for a score equal
    to the equilibrium score. Second order; the result is a draw from p at t_min, which still holds
    noise of standard deviation sigma(t_min).

    x: [batch, ...], distributed as p at t = 1; score_fn(x, t: [batch]) -> [batch, ...], evaluated
    with t_min <= t < 1 where alpha(1) = 0; two evaluations a step. Returns [batch, ...]. Raises
    InputError for a bad num_steps or t_min.
    """
    _check_num_steps(num_steps)
    gap = _equilibrium_gap(score_fn, process)

    def step(x, interval):
        return _flow_step(gap, process, x, *interval)[0], None

    return jax.lax.scan(step, x, _intervals(process, num_steps, t_min, x.dtype))[0]


def reverse_sde(
    key: jax.Array,
    score_fn: Callable,
    process: Process,
    x: jax.Array,
    num_steps: int,
    eta: float = 1.0,
    t_min: float = 1e-3,
) -> jax.Array:
    """Samples at t_min by a member of the family of reverse processes with equal marginals, from
    `x` at t = 1.

    dx = [-f x + (1 + eta^2)/2 g^2 score] d(tau) + eta g dB,  tau = 1 - t       (arXiv 2011.13456;
    eta = 0 the flow, eta = 1 the SDE)

    A step is the flow from a to b (as `probability_flow`), then Langevin dynamics that preserve p_b
    for the time eta^2 int g^2 dt,

        x <- rho x + (1 - rho) m^2 (score + x/m^2) + m sqrt(1 - rho^2) xi,

    the Ornstein-Uhlenbeck part exact and the rest by Heun. `Process.langevin_step` gives m and rho:
    m = equilibrium std and rho = (alpha_a/alpha_b)^(eta^2), but where the equilibrium is flat (VE)
    m = sigma_b and rho = exp(-eta^2 (sigma_a^2/sigma_b^2 - 1)/2). Both halves carry the marginal
    p_b, so splitting them costs nothing; and N(0, m^2 I) of a fixed width stays invariant under its
    own score, at any number of steps. Second order in law; three evaluations a step (eta = 0: two).

    x: [batch, ...], distributed as p at t = 1; score_fn as in `probability_flow`. Returns [batch,
    ...]. Raises InputError for a bad num_steps or t_min, or eta < 0.
    """
    _check_num_steps(num_steps)
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
        forget, noise = -jnp.expm1(-decay), jax.random.normal(step_key, x.shape, x.dtype)
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


def _equilibrium_gap(score_fn, process):
    """e(x, t) = score - equilibrium score, at a scalar time: the entropy-matching field (arXiv
    2409.03817)."""

    def gap(x, t):
        times = jnp.full(x.shape[:1], t, x.dtype)
        return score_fn(x, times) - process.equilibrium_score(x, times)

    return gap


def _flow_step(gap, process, x, a, b, step_size):
    """One Heun step of the probability flow from node a to node b; also the gap at the
    predictor."""
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
    phi_max, phi_min = process.angle(jnp.ones((), dtype)), process.angle(jnp.full((), t_min, dtype))
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
