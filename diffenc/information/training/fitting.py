"""Training of the two networks: mixtures by maximum likelihood, what these miss by denoising.

Each network is trained on its own half of the data. The loss of denoising is O - 2P (see `growth`)
on that half, minus the growth.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from diffenc.compilation import jit_sooner
from diffenc.information.settings import Settings
from diffenc.information.training.growth import add_noise, draw_log_snr, make_network
from diffenc.information.training.halves import Halves


class State(NamedTuple):
    """The training state of both networks.

    Attributes:
        params: all parameters as one vector, see `descend`.
        averages: their running averages as a tree, stacked on the leading axis.
        opt_state: state of the optimizer of that vector.
        step: number of updates.
    """

    params: jax.Array
    averages: Any
    opt_state: Any
    step: jax.Array


def make_optimizer(learning_rate: float) -> optax.GradientTransformation:
    """Make Adam with a warm-up of 50 updates."""
    return optax.adam(optax.linear_schedule(0.0, learning_rate, 50), b2=0.99)


@jit_sooner(runs="once", static_argnames=("settings", "dim", "dim_y"))
def initialize(
    key: jax.Array, settings: Settings, dim: int, dim_y: int, key_spread: jax.Array | None = None
) -> State:
    """Initialize two networks with different parameters.

    Args:
        key: a key.
        settings: of the networks.
        dim: coordinates of the residual.
        dim_y: coordinates of the condition.
        key_spread: the key by which to `spread` the components of the mixtures; None leaves them
            together.

    Returns:
        The state before the first update.
    """
    network = make_network(dim, settings)
    y = jnp.zeros((2, dim_y))
    linear = jnp.zeros((2, dim))
    r = jnp.zeros((2, 1, dim))
    log_snr = jnp.zeros((2, 1))

    def init(key):
        return network.init(key, y, linear, r, log_snr, method="initialize")

    params = jax.lax.map(init, jax.random.split(key))
    if key_spread is not None:
        params = spread(params, key_spread, dim)
    return restart(params, settings.denoiser.learning_rate)


def advance(
    state: State, key: jax.Array, halves: Halves, count: jax.Array | int, settings: Settings
) -> State:
    """Train both networks by denoising for one round.

    The mixtures stay as they are, so that the rest of the network learns what they miss. Every
    noise is used with both signs: where the noise is small, most of what it adds to the gradient
    then cancels.

    Args:
        state: of both networks; its memory is given away.
        key: a key.
        halves: the data.
        count: each network sees the first count examples of its half.
        settings: of the networks and of the training.

    Returns:
        The state after `settings.denoiser.updates` updates.
    """
    batch = min(settings.denoiser.batch_size, halves.r.shape[1])
    halves = halves.pad(settings.judge.rows)
    return _advance(state, key, halves, count, settings.denoiser.updates, batch, settings.shape)


@jit_sooner(static_argnames=("batch", "settings"), donate_argnums=0)
def _advance(state, key, halves, count, updates, batch: int, settings: Settings) -> State:
    dim = halves.r.shape[-1]
    network = make_network(dim, settings)

    def half_loss(params, key, half):
        key_rows, key_log_snr, key_eps = jax.random.split(key, 3)
        rows = jax.random.randint(key_rows, (batch,), 0, count)
        linear = half.linear[rows]
        log_snr, weight = draw_log_snr(key_log_snr, batch, settings.denoiser.draws)
        eps = jax.random.normal(key_eps, (*log_snr.shape, dim))
        log_snr = jnp.tile(log_snr, (1, 2))
        weight = jnp.tile(weight, (1, 2))
        r_l, v = add_noise(half.r[rows], jnp.concatenate([eps, -eps], axis=1), log_snr)
        shape = network.apply(params, half.y[rows], linear, method="embed")
        shape = shape.replace(mixture=jax.lax.stop_gradient(shape.mixture))
        o = network.apply(params, shape, half.factor, r_l, log_snr)
        return 0.5 * jnp.mean(weight * jnp.sum(jnp.square(o) - 2 * o * v, axis=-1))

    training = settings.denoiser
    return descend(state, key, half_loss, halves, updates, training.learning_rate, training.average)


def advance_mixture(
    state: State, key: jax.Array, halves: Halves, count: jax.Array | int, settings: Settings
) -> State:
    """Train the mixtures of both networks by maximum likelihood for one round.

    The likelihood needs neither lambda nor eps and is free of their noise.

    Args:
        state: of both networks; its memory is given away.
        key: a key.
        halves: the data.
        count: each network sees the first count examples of its half.
        settings: of the networks and of the training.

    Returns:
        The state after `settings.mixture.updates` updates.
    """
    batch = min(settings.mixture.batch_size, halves.r.shape[1])
    halves = halves.pad(settings.judge.rows)
    updates = settings.mixture.updates
    return _advance_mixture(state, key, halves, count, updates, batch, settings.shape)


@jit_sooner(runs="short", static_argnames=("batch", "settings"), donate_argnums=0)
def _advance_mixture(state, key, halves, count, updates, batch: int, settings: Settings) -> State:
    network = make_network(halves.r.shape[-1], settings)

    def half_loss(params, key, half):
        rows = jax.random.randint(key, (batch,), 0, count)
        mixture = network.apply(params, half.y[rows], method="mixture")
        return -jnp.mean(mixture.log_prob(half.r[rows]))

    training = settings.denoiser
    return descend(state, key, half_loss, halves, updates, training.learning_rate, training.average)


def descend(
    state: State, key: jax.Array, half_loss, halves, updates, learning_rate, average
) -> State:
    """Descend the sum of the losses of both halves, or of as many parts as there are.

    The optimizer and the average see all parameters as one vector: what they do to each number is
    the same, and the program has one piece for all arrays in place of several for each.

    Args:
        state: of both networks, stacked on the leading axis.
        key: a key.
        half_loss: the loss of one network on its half, half_loss(params, key, half).
        halves: a tree of arrays [2, ...], or of another number of parts, each with its network.
        updates: number of updates, which may be traced.
        learning_rate: step size of Adam.
        average: see `DenoiserSettings`.

    Returns:
        The state after the updates.
    """
    optimizer = make_optimizer(learning_rate)
    averages, unravel = ravel_pytree(state.averages)
    num_networks = len(jax.tree.leaves(halves)[0])

    def update(index, state):
        keys = jax.random.split(jax.random.fold_in(key, index), num_networks)

        def loss(params):
            return jnp.sum(jax.vmap(half_loss)(params, keys, halves))

        gradient = ravel_pytree(jax.grad(loss)(unravel(state.params)))[0]
        changes, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, changes)
        share = (1 + average) / (state.step + 1 + average)
        averages = optax.incremental_update(params, state.averages, share)
        return State(params, averages, opt_state, state.step + 1)

    state = jax.lax.fori_loop(0, updates, update, state._replace(averages=averages))
    return state._replace(averages=unravel(state.averages))


def spread(params, key: jax.Array, dim: int, length: float = 0.5):
    """Move the components of the mixtures apart by normal vectors.

    While all components are equal, and no condition separates them, they have equal gradients of
    the likelihood and stay equal.

    Args:
        params: parameters of both networks.
        key: a key.
        dim: coordinates of the residual.
        length: root mean square length of the vectors.

    Returns:
        The parameters with other biases of the components' means.
    """
    bias = params["params"]["mean_head"]["bias"]
    bias = bias + length / dim**0.5 * jax.random.normal(key, bias.shape)
    mean_head = params["params"]["mean_head"] | {"bias": bias}
    return {"params": params["params"] | {"mean_head": mean_head}}


@jit_sooner(runs="short", static_argnames="learning_rate")
def restart(averages, learning_rate: float) -> State:
    """Make a state that starts from an average, with a new optimizer."""
    averages = jax.tree.map(jnp.array, averages)
    params = ravel_pytree(averages)[0]
    opt_state = make_optimizer(learning_rate).init(params)
    return State(params, averages, opt_state, jnp.zeros((), jnp.int32))
