"""Learn a control from the action alone: no data, no score matching.

Two losses have the best control of `control` as their solution; of the law of the data they see the
end cost alone.

*The action itself* (`action_loss`) is differentiated through the simulated paths. The martingale is
integrated against the control of fixed parameters: it then adds nothing to the gradient in the
mean, and takes its noise away, as at the best control the gradient of every path is 0 (up to the
steps).

*Adjoint matching* (arXiv 2409.08861) is a regression on fixed targets, without derivatives through
the paths. Relative to the control of N(0, kappa^2 I), the reference, which in y = x/alpha with the
clock w = (sigma/alpha)^2 is -y/(kappa^2 + w), the lean adjoint obeys a linear equation along each
path, whose solution is b(w) / (kappa^2 + w):

    b(w) = (kappa^2 + w_min) grad_y E - y_end + int_(w_min)^w (kappa^2 + w') grad_y q dw'
    target of alpha s at w = -(y + b(w)) / (kappa^2 + w)

with q for each unit of w. On the paths of the best control the mean of the target given (x, t) is
alpha s, and no other control is the mean of the targets of its own paths. For Gaussian data of
width kappa the target does not vary at all; for others its variance falls to 0 with the noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.gaussians import exact
from diffenc.errors import check


class Targets(NamedTuple):
    """Points of paths and what the score is to be there, for a regression.

    Attributes:
        t: times [n].
        x: points [n, batch, ...].
        score: targets of the score [n, batch, ...].
        weight: of the squared error at each time [n]: int g^2 dt is a sum of these.
    """

    t: jax.Array
    x: jax.Array
    score: jax.Array
    weight: jax.Array


@exact
def action_loss(
    key: jax.Array, problem: Problem, score_fn: Callable, params, x: jax.Array
) -> jax.Array:
    """Simulate the action of the control g^2 score_fn(params, ...), to be differentiated by params.

    The gradient of its mean is that of `control.action`, with less noise. The paths of a gradient
    are held in memory.

    Args:
        key: the key of the noise.
        problem: what to do.
        score_fn: (params, x [batch, ...], t [batch]) -> [batch, ...].
        params: of the score.
        x: starts at t_max, [batch, ...].

    Returns:
        [batch], in nats.
    """
    fixed = jax.lax.stop_gradient(params)
    field = field_of(problem, lambda x, t: score_fn(params, x, t))

    def quiet(x, t):
        return field(x, t)._replace(integrand=score_fn(fixed, x, t))

    return follow(key, problem, quiet, x)[0].reduced


@exact
def adjoint_targets(problem: Problem, path: jax.Array) -> Targets:
    """Compute the targets of adjoint matching along paths, through which nothing is differentiated.

    Args:
        problem: what to do. Its end cost is evaluated with its gradient once for every path.
        path: y = x/alpha at the nodes [num_steps + 1, batch, ...], as of `controlled_paths.follow`
            or `path_weights.weighted_paths`.

    Returns:
        The targets at all nodes.
    """
    path = jax.lax.stop_gradient(path)
    nodes = problem.nodes(path.dtype)
    expanded = (-1, *(1 for _ in path.shape[1:]))
    alpha = nodes.alpha.reshape(expanded)
    x = alpha * path
    total = problem.process.scale**2 + nodes.clock
    slope = nodes.alpha[-1] * jax.grad(lambda x: jnp.sum(problem.end_cost(x)))(x[-1])
    adjoint = (total[-1] * slope - path[-1])[None]  # times the total variance
    steps = -jnp.diff(nodes.clock)
    if problem.potential is not None:
        slopes = (total * nodes.alpha).reshape(expanded) * _potential_slopes(problem, nodes.t, x)
        parts = 0.5 * steps.reshape(expanded) * (slopes[1:] + slopes[:-1])
        ahead = jnp.cumsum(parts[::-1], axis=0)[::-1]
        adjoint = adjoint + jnp.concatenate([ahead, jnp.zeros_like(path[:1])])
    score = -(path + adjoint) / (total.reshape(expanded) * alpha)
    halves = 0.5 * steps
    lengths = jnp.append(halves, 0.0) + jnp.append(0.0, halves)
    targets = Targets(nodes.t, x, score, jnp.square(nodes.alpha) * lengths)
    return jax.lax.stop_gradient(targets)


def _potential_slopes(problem, t, x):
    """Differentiate q dt/dw = alpha^2 q / g^2 by x at the nodes: [num_steps + 1, batch, ...]."""

    def at_node(t, x):
        def potential(x):
            return jnp.sum(problem.potential(x, jnp.full(x.shape[:1], t, x.dtype)))

        unit = jnp.square(problem.process.alpha(t) / problem.process.diffusion(t))
        return unit * jax.grad(potential)(x)

    return jax.vmap(at_node)(t, x)


def thin(key: jax.Array, targets: Targets, num_nodes: int) -> Targets:
    """Choose one node at random from each of equal parts of the path.

    The mean of the loss is that of all nodes.

    Args:
        key: the key of the choice.
        targets: at all nodes.
        num_nodes: number of the nodes that are chosen.

    Returns:
        The targets at these.

    Raises:
        InputError: unless num_nodes is 1 or more, and at most the number of nodes.
    """
    count = len(targets.t)
    remedy = f"give 1 to {count}, the number of nodes"
    check(1 <= num_nodes <= count, "num_nodes", num_nodes, remedy)
    places = (jnp.arange(num_nodes) + jax.random.uniform(key, (num_nodes,))) / num_nodes
    chosen = jnp.minimum((count * places).astype(int), count - 1)
    few = jax.tree.map(lambda values: values[chosen], targets)
    return few._replace(weight=few.weight * (count / num_nodes))


@exact
def adjoint_loss(score_fn: Callable, targets: Targets) -> jax.Array:
    """Compute 1/2 int g^2 |score_fn - target|^2 d(tau) along each path.

    Args:
        score_fn: (x [batch, ...], t [batch]) -> [batch, ...].
        targets: of `adjoint_targets`.

    Returns:
        [batch], in nats: in the mean that of the best function of (x, t), plus what score_fn
        differs from it.
    """
    count, batch = targets.x.shape[:2]
    x = targets.x.reshape(count * batch, *targets.x.shape[2:])
    score = score_fn(x, jnp.repeat(targets.t, batch)).reshape(targets.x.shape)
    square = jnp.square(score - targets.score).reshape(count, batch, -1).sum(axis=2)
    return 0.5 * jnp.sum(targets.weight[:, None] * square, axis=0)
