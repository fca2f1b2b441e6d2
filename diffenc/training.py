"""Train states, optimizers, and many updates in one dispatch. Pure: no files, no devices, no
configs."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax


class TrainState(flax.struct.PyTreeNode):
    """Everything an update changes: step (int32), params, their moving average, optimizer and chain
    states."""

    step: jax.Array
    params: Any
    averages: Any
    opt_state: Any
    chain: Any = None

    @classmethod
    def create(cls, params, optimizer: optax.GradientTransformation, chain=None) -> "TrainState":
        # The average starts as a copy: an alias could not be donated together with its original.
        averages = jax.tree.map(jnp.copy, params)
        return cls(jnp.zeros((), jnp.int32), params, averages, optimizer.init(params), chain)

    def apply_gradients(
        self, grads, optimizer: optax.GradientTransformation, average_decay: float
    ) -> "TrainState":
        """One optimizer step; the average forgets with min(average_decay, (1 + step) / (10 +
        step))."""
        updates, opt_state = optimizer.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        decay = jnp.minimum(average_decay, (1.0 + self.step) / (10.0 + self.step))
        averages = optax.incremental_update(params, self.averages, 1.0 - decay)
        return self.replace(
            step=self.step + 1, params=params, averages=averages, opt_state=opt_state
        )


def make_optimizer(
    learning_rate: float, num_updates: int, warmup: int = 1000, clip_norm: float | None = None
) -> optax.GradientTransformation:
    """Adam with a linear warm-up and a cosine descent to zero; gradients clipped to a global norm
    if asked."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(warmup, num_updates // 2), num_updates
    )
    adam = optax.adam(schedule)
    return adam if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), adam)


def scan_updates(update: Callable, prepare: Callable) -> Callable:
    """Many updates in one dispatch: `run(state, key, data, indices) -> (state, metrics)`, state
    donated.

    update(state, key, x) -> (state, metrics); prepare(key, rows) -> x makes a batch of the rows
    data[indices[i]], of every array where data is a tree of them. indices is [num_updates, batch];
    metrics come back stacked. The key of an update is a function of its step, so a resumed run
    repeats an uninterrupted one.
    """

    def run(state: TrainState, key: jax.Array, data, indices: jax.Array):
        def body(state, batch_indices):
            key_prepare, key_update = jax.random.split(jax.random.fold_in(key, state.step))
            return update(
                state,
                key_update,
                prepare(key_prepare, jax.tree.map(lambda a: a[batch_indices], data)),
            )

        return jax.lax.scan(body, state, indices)

    return jax.jit(run, donate_argnums=0)
