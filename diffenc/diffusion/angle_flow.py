"""Follow the flow in the angle, with the exact density of what it makes.

dx/dphi = v(x, phi) is the probability flow of a process of fixed width in its angle phi =
atan2(sigma/kappa, alpha), which runs from pi/2 (noise) to 0 (data); v is that of
`parameterization`. Every function here is one `lax.scan` of Heun steps over a grid uniform in phi.
Where v = 0 nothing moves, at any number of steps.
"""

import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.errors import InputError, check

HALF_PI = math.pi / 2


def angle_flow(
    v_fn: Callable,
    x: jax.Array,
    num_steps: int,
    start: float = HALF_PI,
    stop: float = 0.0,
    rests: bool = False,
) -> jax.Array:
    """Follow the flow in the angle from `start` to `stop` by Heun's method.

    dx/dphi = v(x, phi), phi = atan2(sigma/kappa, alpha): the probability flow of a process of fixed
    width (arXiv 2011.13456) in the angle of v-prediction (arXiv 2202.00512). Second order in the
    step; the identity where v = 0; two evaluations a step.

    Args:
        v_fn: the velocity, (x [batch, ...], phi [batch]) -> [batch, ...].
        x: points at angle `start`, [batch, ...].
        num_steps: number of equal steps in phi.
        start: the first angle, pi/2 for noise.
        stop: the last angle; with start < stop the flow runs from data to noise.
        rests: whether v is known to be 0 at `stop`, where it is then not asked.

    Returns:
        The points at angle `stop`, [batch, ...].

    Raises:
        InputError: if num_steps is not a positive integer.
    """
    check_num_steps(num_steps)
    step_size = (stop - start) / num_steps

    def step(x, phi):
        return _heun(v_fn, x, phi, step_size), None

    angles = _left_ends(start, step_size, num_steps, x.dtype)
    if not rests:
        return jax.lax.scan(step, x, angles)[0]
    if num_steps > 1:
        x = jax.lax.scan(step, x, angles[:-1])[0]
    return x + (0.5 * step_size) * v_fn(x, jnp.full(x.shape[:1], angles[-1]))


def angle_flow_with_log_det(
    v_fn: Callable, x: jax.Array, num_steps: int, start: float = HALF_PI, stop: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Follow `angle_flow` together with log|det| of the exact Jacobian of the discrete map.

    log q(x_stop) = log p(x_start) - log|det dx_stop/dx_start|. The determinant is that of every
    Heun step itself, not an integral of the divergence: q is the density of the samples which
    `angle_flow` returns at this very number of steps. This needs each step to be invertible, |step|
    times the Lipschitz constant of v below one. Too few steps can fold the space, and then this is
    not the density (`angle_flow_folds` finds folds). The cost is d tangents a step.

    Args:
        v_fn: the velocity, (x [batch, d], phi [batch]) -> [batch, d]; each example's v must depend
            on that example alone.
        x: points at angle `start`, [batch, d].
        num_steps: number of equal steps in phi.
        start: the first angle.
        stop: the last angle.

    Returns:
        The points at angle `stop` [batch, d], and the log determinant [batch] in nats.

    Raises:
        InputError: for another rank of x or a bad num_steps.
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
    """Follow `angle_flow` with a random estimate of int div v dphi in place of the determinant.

    div v = E[xi^T (dv/dx) xi], xi one vector of random signs per example for the whole path
    (Hutchinson 1990; FFJORD, arXiv 1810.01367), the integral by the trapezoidal rule. One tangent
    an evaluation, whatever d. The mean is right as num_steps grows, but it is the density of no
    sampler: weights p/q made of it have a mean other than p(x), so it gives NO BOUND of the
    likelihood.

    Args:
        key: the key of the random signs.
        v_fn: the velocity, (x [batch, d], phi [batch]) -> [batch, d].
        x: points at angle `start`, [batch, d].
        num_steps: number of equal steps in phi.
        start: the first angle.
        stop: the last angle.

    Returns:
        The points at angle `stop` [batch, d], and the estimate [batch] in nats.

    Raises:
        InputError: for another rank of x or a bad num_steps.
    """
    check_num_steps(num_steps)
    if x.ndim != 2:
        raise InputError(
            f"x has shape {x.shape}: angle_flow_with_hutchinson takes [batch, d]; "
            "flatten each example first"
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
    """Tell where a step of `angle_flow` turns the space inside out (a negative determinant).

    Where that never happens, the density of `angle_flow_with_log_det` is that of the samples,
    except where the space is folded twice. Where it does happen, take more steps.

    Args:
        v_fn: the velocity, (x [batch, d], phi [batch]) -> [batch, d].
        x: points at angle `start`, [batch, d].
        num_steps: number of equal steps in phi.
        start: the first angle.
        stop: the last angle.

    Returns:
        Booleans [batch].

    Raises:
        InputError: for another rank of x or a bad num_steps.
    """
    return _flow_with_jacobian(v_fn, x, num_steps, start, stop)[2]


def _flow_with_jacobian(v_fn, x, num_steps, start, stop):
    """(x, log |det|, whether any step has a negative determinant) at the end of the flow."""
    check_num_steps(num_steps)
    if x.ndim != 2:
        raise InputError(
            f"x has shape {x.shape}: angle_flow_with_log_det takes [batch, d]; "
            "flatten each example first"
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


def check_num_steps(num_steps) -> None:
    """Raise InputError unless num_steps is a positive integer."""
    try:
        valid = operator.index(num_steps) >= 1
    except TypeError:
        valid = False
    check(valid, "num_steps", repr(num_steps), "give a positive integer")
