"""Sample an unnormalized density exp(-E) by a control, and correct it by the weights of its paths.

The density is the end of a chain in y = x/alpha with the clock w = (sigma/alpha)^2, whose steps
take d of the clock. The chain of the control and the one that it is compared with are

    y' ~ N(y + d alpha s, d (kappa^2 + w') / (kappa^2 + w))    from N(0, kappa^2 + w_max)
    y' ~ N(y, d)                                               from dy, all of space

so that with weight = exp(-E) at the end times the ratio of the second to the first, E[weight] = Z =
int exp(-E(x)) dx, whatever the score and however few the steps: -log weight is the action of the
path (`control`), of discrete time. For exp(-E) = N(0, kappa^2 I) and its score every weight is Z,
where the process is one of fixed width kappa.
(Path integral sampler, arXiv 2111.15141; denoising diffusion sampler, arXiv 2302.13834.)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from diffenc.diffusion.controlled_paths import Problem, cost_of_ends
from diffenc.diffusion.gaussians import LOG_2PI, exact
from diffenc.diffusion.profiles import sum_over_data
from diffenc.errors import InputError, check
from diffenc.estimate import Estimate

LARGEST_LOG = 600.0  # nats; exp of it is still a number
HEAVY_TAIL = 0.7  # from this tail index on, no affordable number of paths makes log Z sure


class WeightedPaths(NamedTuple):
    """Paths and their weights.

    Attributes:
        log_weight: [n] in nats; E[exp(log_weight)] = Z, and -E[log_weight] is above -log Z by the
            relative entropy of the paths to those of the best control.
        x: the ends [n, ...], a sample of exp(-E)/Z by these weights.
        path: y at the nodes [num_steps + 1, n, ...].
    """

    log_weight: jax.Array
    x: jax.Array
    path: jax.Array


@exact
def weighted_paths(
    key: jax.Array, problem: Problem, score_fn: Callable, shape: tuple[int, ...], dtype=jnp.float32
) -> WeightedPaths:
    """Draw paths with their weights; one evaluation of the score a step.

    Args:
        key: the key of starts and noise.
        problem: its end cost is E; it may have no potential.
        score_fn: (x [n, ...], t [n]) -> [n, ...].
        shape: (n, ...), the number of paths and the shape of an example.
        dtype: of the paths.

    Returns:
        The paths.

    Raises:
        InputError: where the problem has a potential.
    """
    if problem.potential is not None:
        raise InputError("potential is given: weights are those of a density, give None")
    key_start, key_steps = jax.random.split(key)
    nodes = problem.nodes(dtype)
    dim = int(np.prod(shape[1:]))
    total = problem.process.scale**2 + nodes.clock
    start = jax.random.normal(key_start, shape, dtype)
    log_weight = 0.5 * sum_over_data(jnp.square(start)) + 0.5 * dim * (LOG_2PI + jnp.log(total[0]))

    def step(state, inputs):
        y, log_weight = state
        key, t, alpha, size, shrink = inputs
        noise = jax.random.normal(key, y.shape, dtype)
        control = alpha * score_fn(alpha * y, jnp.full(shape[:1], t, dtype))
        moved = size * control + jnp.sqrt(size * shrink) * noise
        log_ratio = 0.5 * sum_over_data(jnp.square(noise) - jnp.square(moved) / size)
        log_ratio += 0.5 * dim * jnp.log(shrink)
        y = y + moved
        return (y, log_weight + log_ratio), y

    keys = jax.random.split(key_steps, problem.num_steps)
    inputs = (keys, nodes.t[:-1], nodes.alpha[:-1], -jnp.diff(nodes.clock), total[1:] / total[:-1])
    y = jnp.sqrt(total[0]) * start
    (last, log_weight), path = jax.lax.scan(step, (y, log_weight), inputs)
    x = nodes.alpha[-1] * last
    log_weight += dim * jnp.log(nodes.alpha[-1]) - cost_of_ends(problem, x)
    return WeightedPaths(log_weight, x, jnp.concatenate([y[None], path]))


def log_normalizer(log_weights) -> Estimate:
    """Estimate log Z = log E[weight], with its error to first order.

    The estimate is low by half of the squared error in the mean, and by more where rare weights
    hold much of Z: look at `effective_sample_size` and `tail_index` too. Where all weights are 0 it
    is -inf, with an infinite error: of Z is known then that no path found any of it.

    Args:
        log_weights: [n], of independent paths or chains, in nats; -inf is a weight of 0.

    Raises:
        InputError: where a weight is infinite or not a number.
    """
    log_weights = _log_weights(log_weights)
    largest = log_weights.max()
    if largest == -np.inf:
        return Estimate(-np.inf, np.inf)
    mean, stderr = Estimate.of(np.exp(log_weights - largest))
    return Estimate(float(largest + np.log(mean)), stderr / mean)


def effective_sample_size(log_weights) -> float:
    """Compute (sum w)^2 / sum w^2 of log weights [n]: between 1 and n, or 0 if all weights are 0.

    Raises InputError where a weight is infinite or not a number.
    """
    log_weights = _log_weights(log_weights)
    largest = log_weights.max()
    if largest == -np.inf:
        return 0.0
    weights = np.exp(log_weights - largest)
    return float(weights.sum() ** 2 / np.square(weights).sum())


def tail_index(log_weights) -> float:
    """Fit the shape k of a generalized Pareto law to the largest weights.

    Moments of an order above 1/k are infinite: from 1/2 on the variance is, so that the error of
    `log_normalizer` means little, and from `HEAVY_TAIL` on the estimate is not to be relied on. The
    law is fitted to what the min(n/5, 3 sqrt n) largest weights have above the next one. (Pareto
    smoothed importance sampling, arXiv 1507.02646.)

    Args:
        log_weights: [n], of independent paths or chains, in nats; -inf is a weight of 0.

    Returns:
        k, which has no unit. NaN where there is no tail to fit: fewer than 25 weights, or equal
        ones where it begins. Infinite where the largest are beyond what can be compared with it.

    Raises:
        InputError: where a weight is infinite or not a number.
    """
    log_weights = np.sort(_log_weights(log_weights))
    count = int(min(log_weights.size / 5, 3 * log_weights.size**0.5))
    if count < 5 or not log_weights[-count - 1] < log_weights[-count]:
        return float("nan")
    above = log_weights[-count:] - log_weights[-count - 1]
    if above[-1] > LARGEST_LOG:
        return float("inf")
    excess = np.expm1(above)
    return float(stats.genpareto.fit(excess / excess.mean(), floc=0.0)[0])


def _log_weights(values) -> np.ndarray:
    values = np.asarray(values, np.float64)
    bad = int(np.sum(~(values < np.inf)))  # written with `not <` so that NaN counts
    remedy = "give an energy that is finite or +inf at every x"
    check(bad == 0, "number of weights that are infinite or not a number", bad, remedy)
    return values
