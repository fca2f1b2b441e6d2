"""Train states, optimizers, and many updates in one dispatch.

Pure: no files, no devices, no configs.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax


class TrainState(flax.struct.PyTreeNode):
    """Everything that an update changes.

    Attributes:
        step: the number of updates made, int32.
        params: of the networks.
        averages: their moving average.
        opt_state: of the optimizer.
        carried: what else an update hands to the next, such as the states of Markov chains, or a
            fixed reference that travels with the params.
    """

    step: jax.Array
    params: Any
    averages: Any
    opt_state: Any
    carried: Any = None

    @classmethod
    def create(cls, params, optimizer: optax.GradientTransformation, carried=None) -> "TrainState":
        """Make the state before the first update."""
        step, averages, opt_state = _start(params, optimizer)
        return cls(step, params, averages, opt_state, carried)

    def apply_gradients(
        self, grads, optimizer: optax.GradientTransformation, average_decay: float
    ) -> "TrainState":
        """Make one step of the optimizer.

        Args:
            grads: of the params.
            optimizer: the one that `create` was called with.
            average_decay: the average keeps min(average_decay, (1 + step) / (10 + step)) of itself.

        Returns:
            The state after the step.
        """
        updates, opt_state = optimizer.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        decay = jnp.minimum(average_decay, (1.0 + self.step) / (10.0 + self.step))
        averages = optax.incremental_update(params, self.averages, 1.0 - decay)
        return self.replace(
            step=self.step + 1, params=params, averages=averages, opt_state=opt_state
        )


@functools.partial(jax.jit, static_argnames="optimizer")
def _start(params, optimizer):
    # The average starts as a copy: an alias could not be donated together with its original.
    averages = jax.tree.map(jnp.copy, params)
    return jnp.zeros((), jnp.int32), averages, optimizer.init(params)


@functools.cache  # the same object for all seeds, which then share the programs that it is part of
def make_optimizer(
    learning_rate: float, num_updates: int, warmup: int = 1000, clip_norm: float | None = None
) -> optax.GradientTransformation:
    """Make Adam with a linear warm-up and a cosine descent to zero.

    Args:
        learning_rate: its peak.
        num_updates: after which it is zero.
        warmup: updates to the peak, at most half of all.
        clip_norm: the global norm to which gradients are clipped; None is not at all.

    Returns:
        The optimizer.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(warmup, num_updates // 2), num_updates
    )
    adam = optax.adam(schedule)
    return adam if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), adam)


def scan_updates(update: Callable, prepare: Callable) -> Callable:
    """Make many updates one dispatch: `run(state, key, data, indices) -> (state, metrics)`.

    The state is donated. The key of an update is a function of its step, so a resumed run repeats
    an uninterrupted one.

    Args:
        update: update(state, key, x) -> (state, metrics).
        prepare: prepare(key, rows) -> x makes a batch of rows of the data.

    Returns:
        The compiled function `run`. Its indices are [num_updates, batch]: an update is made with
        the rows data[indices[i]], of every array where data is a tree of them. Metrics come back
        stacked, [num_updates].
    """

    def run(state: TrainState, key: jax.Array, data, indices: jax.Array):
        def body(state, batch_indices):
            key_prepare, key_update = jax.random.split(jax.random.fold_in(key, state.step))
            rows = jax.tree.map(lambda a: a[batch_indices], data)
            return update(state, key_update, prepare(key_prepare, rows))

        return jax.lax.scan(body, state, indices)

    return jax.jit(run, donate_argnums=0)
