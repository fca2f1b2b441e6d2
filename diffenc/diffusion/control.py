"""Sampling as optimal control: the action of a control along the paths that it makes.

A control u drives the reverse process from t_max to t_min, tau = t_max - t, and pays for it:

    dX = (-f X + u) d(tau) + g dB
    A[u] = E[ int ( |u|^2 / (2 g^2) + f D + q ) d(tau) + E(X_end) ]

With q = 0 and the end cost E = -log p of the data at t_min, the least action from x is V(x) = -log
p(x) at t_max, and the control that takes it is g^2 times the score: score matching is the search
for a stationary point of A (arXiv 2310.04490). A control is given by a score function here, u = g^2
score_fn. For any control

    A[u] - A[u*] = int 1/(2 g^2) E_u|u - u*|^2 d(tau) = KL(paths of u || paths of u*)

exactly, the expectation along the paths of u (`control_gap`). So A[u* + eps h] - A[u*] = eps^2 int
1/(2 g^2) E|h|^2 d(tau) + O(eps^3), a parabola with its vertex at the score (`variations`). The
gradient of the action still to come by the state is the costate, grad V = -score for the best
control: u* = -g^2 costate (`costates`).

Everything comes path by path, for `Estimate.of`. The same key gives the same noise: differences of
two controls then have little variance. What varies between paths from one x is, for the best
control, a stochastic integral of known mean 0 and nothing else; `Action.reduced` is without it, and
so are the derivatives, which are those of the action of each path at fixed noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.controlled_paths import Action, Field, Problem, field_of, follow
from diffenc.diffusion.gaussians import exact
from diffenc.diffusion.profiles import sum_over_data


class Variations(NamedTuple):
    """Derivatives of the action in one direction, path by path, each [batch] in nats.

    Attributes:
        first: the first derivative by eps at 0.
        curvature: half of the second.
    """

    first: jax.Array
    curvature: jax.Array


class Costates(NamedTuple):
    """Paths and the costates along them.

    Attributes:
        t: times [num_steps + 1], falling.
        x: the paths [num_steps + 1, batch, ...].
        costate: gradients of the action to come by x, [num_steps + 1, batch, ...].
    """

    t: jax.Array
    x: jax.Array
    costate: jax.Array


@exact
def action(key: jax.Array, problem: Problem, score_fn: Callable, x: jax.Array) -> Action:
    """Simulate the paths of the control g^2 score_fn and add up its action.

    Args:
        key: the key of the noise; the same key gives the same noise for every control.
        problem: what to do.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].
        x: starts at t_max, [batch, ...].

    Returns:
        The action from each start. Its mean errs by the square of the steps in lambda.
    """
    return follow(key, problem, field_of(problem, score_fn), x)[0]


@exact
def held_action(key: jax.Array, problem: Problem, score_fn: Callable, x: jax.Array) -> Action:
    """Simulate the action of discrete time, of which `action` is the limit of many steps.

    The control of y = x/alpha is held over each step, as in an ancestral chain:

        y_k+1 = y_k + alpha score d_k + sqrt(d_k) xi,    running = 1/2 sum d_k |alpha score|^2,

    d_k the step of w: the relative entropy of the Gaussian of each step to that without control. To
    hold it is itself a control, so that without a potential no step needs to be small: the mean is
    the least action V(x) or more at any number of steps, and exceeds it by the first order of the
    step where score_fn is the exact score. One evaluation a step.

    Args:
        key: as in `action`, and the same noise.
        problem: what to do.
        score_fn: as in `action`.
        x: as in `action`.

    Returns:
        The action from each start.
    """
    return follow(key, problem, field_of(problem, score_fn), x, is_held=True)[0]


@exact
def control_gap(
    key: jax.Array, problem: Problem, score_fn: Callable, other: Callable, x: jax.Array
) -> jax.Array:
    """Integrate 1/(2 g^2) |u - u_other|^2 d(tau) along the paths of u = g^2 score_fn.

    Its mean is KL(paths of u || paths of u_other) from the same starts, and A[u] - A[u*] for u* in
    place of u_other. `entropy.path_kl` integrates the same along the paths of the data, that is, of
    u*: the relative entropy the other way round, which is equal to the second order of u - u*.

    Args:
        key: as in `action`, and the same paths.
        problem: what to do; only its process and steps matter.
        score_fn: as in `action`.
        other: the score of the other control.
        x: starts at t_max, [batch, ...].

    Returns:
        [batch], in nats.
    """

    def field(x, t):
        score = score_fn(x, t)
        gap = score - other(x, t)
        return Field(score, 0.5 * sum_over_data(jnp.square(gap)), score)

    return follow(key, problem, field, x)[0].running


@exact
def variations(
    key: jax.Array, problem: Problem, score_fn: Callable, direction: Callable, x: jax.Array
) -> Variations:
    """Differentiate the action of the control g^2 (score_fn + eps direction) by eps at 0.

    Args:
        key: the key of the noise; the same key gives the same noise for every direction.
        problem: what to do.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].
        direction: h / g^2, a function like score_fn.
        x: starts at t_max, [batch, ...].

    Returns:
        The first variation and the curvature.
    """

    def of_size(size):
        field = field_of(problem, score_fn, direction, size)
        return follow(key, problem, field, x)[0].reduced

    def first(size):
        return jax.jvp(of_size, (size,), (jnp.ones_like(size),))[1]

    zero = jnp.zeros((), x.dtype)
    slope, second = jax.jvp(first, (zero,), (jnp.ones_like(zero),))
    return Variations(slope, 0.5 * second)


@exact
def costates(key: jax.Array, problem: Problem, score_fn: Callable, x: jax.Array) -> Costates:
    """Differentiate the action still to come by the state at every node of each path.

    Args:
        key: as in `control.action`, and the same paths.
        problem: what to do.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...]; each example's score depends on that
            example alone.
        x: starts at t_max, [batch, ...].

    Returns:
        The paths and their costates. The mean of the costate given the state is the gradient of the
        action from there; the paths are held in memory.
    """
    field = field_of(problem, score_fn)

    def reduced(shifts):
        totals, path = follow(key, problem, field, x, shifts=shifts)
        return jnp.sum(totals.reduced), path

    shifts = jnp.zeros((problem.num_steps + 1, *x.shape), x.dtype)
    slopes, path = jax.grad(reduced, has_aux=True)(shifts)
    nodes = problem.nodes(x.dtype)
    alpha = nodes.alpha.reshape(-1, *(1 for _ in x.shape))
    return Costates(nodes.t, alpha * path, slopes / alpha)
