"""Paths of a controlled diffusion, and what their control costs: the ground of `control`.

In the coordinates y = x/alpha with the clock w = (sigma/alpha)^2 all linear processes are Brownian
motion, dy = alpha score |dw| + dW for the control u = g^2 score, and int f D d(tau) = D
log(alpha(t_max)/alpha(t_min)) is known. Paths are simulated in these coordinates, in equal steps of
lambda = -log w, by Heun's method, which for additive noise is of second order in law; the running
action is an equation of the same system, and errs by the second order too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.profiles import sum_over_data
from diffenc.errors import check, check_whole


@dataclass(frozen=True)
class Problem:
    """What a control is asked to do, and the steps in which its paths are followed.

    Raises InputError for a bad num_steps, and where lambda is infinite at an end.

    Attributes:
        process: the forward process.
        end_cost: E, a function of x [batch, ...] at t_min -> [batch] in nats.
        potential: q, a function of x [batch, ...] and t [batch] -> [batch] in nats for each unit of
            t; None for 0.
        num_steps: number of steps, equal in lambda.
        t_min: the time at which paths end.
        t_max: the time at which they begin.
    """

    process: Process
    end_cost: Callable
    potential: Callable | None = None
    num_steps: int = 200
    t_min: float = 1e-3
    t_max: float = 1.0

    def __post_init__(self):
        check_whole("num_steps", self.num_steps, 1)
        self._range()

    def _range(self):
        with jax.ensure_compile_time_eval():
            return log_snr_range(self.process, self.t_min, self.t_max)

    def nodes(self, dtype) -> "Nodes":
        """Make the nodes, equal in lambda."""
        low, high = self._range()
        log_snr = jnp.linspace(low, high, self.num_steps + 1, dtype=dtype)
        t = self.process.time(log_snr)
        return Nodes(t, self.process.alpha(t), jnp.exp(-log_snr))


def cost_of_ends(problem: Problem, x: jax.Array) -> jax.Array:
    """Evaluate the end cost at x [batch, ...]; an InputError unless it gives [batch]."""
    cost = problem.end_cost(x)
    name = "shape of the end cost"
    check(jnp.shape(cost) == x.shape[:1], name, jnp.shape(cost), f"give [batch], {x.shape[:1]}")
    return cost


class Action(NamedTuple):
    """The action of a control, path by path, each [batch] in nats.

    Attributes:
        running: int |u|^2 / (2 g^2) + q d(tau).
        volume: int f D d(tau), the same for every path.
        end: the cost of the end.
        martingale: int u/g . dB, of mean 0.
        x: the ends of the paths [batch, ...].
    """

    running: jax.Array
    volume: jax.Array
    end: jax.Array
    martingale: jax.Array
    x: jax.Array

    @property
    def total(self) -> jax.Array:
        """The action of each path."""
        return self.running + self.volume + self.end

    @property
    def reduced(self) -> jax.Array:
        """`total` plus the martingale: of the same mean.

        For the best control it is V(x) on every path, up to the steps: the variance falls with
        their size, in proportion.
        """
        return self.total + self.martingale


class Nodes(NamedTuple):
    """Points of the grid of time, each [num_steps + 1], from t_max to t_min.

    Attributes:
        t: times.
        alpha: of the process there.
        clock: (sigma/alpha)^2.
    """

    t: jax.Array
    alpha: jax.Array
    clock: jax.Array


class Field(NamedTuple):
    """What a control u does at x.

    Attributes:
        score: u / g^2, [batch, ...].
        cost: what it pays for each unit of int g^2 dt, [batch] in nats.
        integrand: what the martingale integrates against g dB, [batch, ...].
    """

    score: jax.Array
    cost: jax.Array
    integrand: jax.Array


def field_of(
    problem: Problem,
    score_fn: Callable,
    direction: Callable | None = None,
    size: jax.Array | float = 0.0,
) -> Callable:
    """Make the field of the control g^2 (score_fn + size direction).

    Args:
        problem: what to do.
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].
        direction: a function like it, or None.
        size: a number.

    Returns:
        (x [batch, ...], t [batch]) -> `Field`. The integrand is score_fn alone: at the best control
        the action of a path plus its martingale then hardly varies to first order in `size`.
    """

    def field(x, t):
        score = score_fn(x, t)
        moved = score if direction is None else score + size * direction(x, t)
        cost = 0.5 * sum_over_data(jnp.square(moved))
        if problem.potential is not None:
            cost += problem.potential(x, t) / jnp.square(problem.process.diffusion(t))
        return Field(moved, cost, score)

    return field


def follow(
    key: jax.Array,
    problem: Problem,
    field: Callable,
    x: jax.Array,
    is_held: bool = False,
    shifts: jax.Array | None = None,
) -> tuple[Action, jax.Array]:
    """Follow the paths of a field.

    Args:
        key: the key of the noise.
        problem: what to do.
        field: (x [batch, ...], t [batch]) -> `Field`.
        x: starts [batch, ...].
        is_held: whether the field is held over a step.
        shifts: added to y at every node [num_steps + 1, batch, ...], to be differentiated by; None
            for none.

    Returns:
        The action, and y at the nodes of the paths [num_steps + 1, batch, ...].
    """
    dim = x[0].size
    scale = problem.process.scale
    nodes = problem.nodes(x.dtype)
    starts = jax.tree.map(lambda values: values[:-1], nodes)
    ends = jax.tree.map(lambda values: values[1:], nodes)

    def at(y, node):
        """The field in units of y and its clock: alpha^2 |dw| = g^2 d(tau)."""
        values = field(node.alpha * y, jnp.full(y.shape[:1], node.t, y.dtype))
        cost = jnp.square(node.alpha) * values.cost
        return node.alpha * values.score, cost, node.alpha * values.integrand

    def step(state, inputs):
        y, running, martingale = state
        key, start, end, shift = inputs
        size = start.clock - end.clock
        noise = jnp.sqrt(size) * jax.random.normal(key, y.shape, y.dtype)
        score, cost, integrand = at(y, start)
        ahead = y + size * score + noise
        if not is_held:
            score_ahead, cost_ahead, _ = at(ahead, end)
            ahead = y + 0.5 * size * (score + score_ahead) + noise
            cost = 0.5 * (cost + cost_ahead)
        if shift is not None:
            ahead = ahead + shift
        # An integral over the step of a score whose slope is that of N(0, kappa^2 I).
        bend = 0.5 / (scale**2 + start.clock) * (sum_over_data(jnp.square(noise)) - dim * size)
        martingale = martingale + sum_over_data(integrand * noise) - bend
        return (ahead, running + size * cost, martingale), ahead

    y = x / nodes.alpha[0]
    if shifts is not None:
        y = y + shifts[0]
        shifts = shifts[1:]
    zeros = jnp.zeros(len(x), x.dtype)
    keys = jax.random.split(key, problem.num_steps)
    (last, running, martingale), path = jax.lax.scan(
        step, (y, zeros, zeros), (keys, starts, ends, shifts)
    )
    x_end = nodes.alpha[-1] * last
    volume = zeros + dim * (jnp.log(nodes.alpha[0]) - jnp.log(nodes.alpha[-1]))
    totals = Action(running, volume, cost_of_ends(problem, x_end), martingale, x_end)
    return totals, jnp.concatenate([y[None], path])
