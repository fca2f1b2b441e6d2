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

from diffenc.errors import check, check_whole


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
    learning_rate: float,
    num_updates: int,
    warmup: int = 1000,
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> optax.GradientTransformation:
    """Make Adam with a linear warm-up and a cosine descent to zero.

    With `accumulate` above 1 an update only adds its gradient to a mean, and every so many updates
    Adam makes one step with the mean: the step of a batch `accumulate` times as large, in the
    memory of one. An update is then still one batch. `TrainState.step`, num_updates and warmup
    count updates, and the average of the parameters, which rest between two steps, forgets by the
    update. Updates at the end that are too few for a step change nothing.

    Args:
        learning_rate: its peak.
        num_updates: after which it is zero.
        warmup: updates to the peak, at most half of all.
        clip_norm: the global norm to which gradients are clipped, the mean of them where they are
            accumulated; None is not at all.
        accumulate: updates for each step of Adam.

    Returns:
        The optimizer.

    Raises:
        InputError: num_updates is not a whole number of 1 or more, or accumulate not one in
            [1, num_updates].
    """
    check_whole("num_updates", num_updates, 1)
    check_whole("accumulate", accumulate, 1)
    remedy = f"give at most the number of updates, {num_updates}"
    check(accumulate == 1 or accumulate <= num_updates, "accumulate", accumulate, remedy)
    num_steps = num_updates // accumulate
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, min(warmup // accumulate, num_steps // 2), num_steps
    )
    optimizer = optax.adam(schedule)
    if clip_norm is not None:
        optimizer = optax.chain(_clip(clip_norm), optimizer)
    if accumulate > 1:
        optimizer = optax.MultiSteps(optimizer, accumulate).gradient_transformation()
    return optimizer


def _clip(clip_norm: float) -> optax.GradientTransformation:
    """Clip gradients to a global norm, as `optax.clip_by_global_norm`.

    XLA's CPU compiler adds the squares of a whole array one after the other. Of sums of columns,
    which it adds side by side, the norm takes a fifth of the time.
    """

    def clip(grads, params):
        del params
        rows = [g.reshape(-1, *g.shape[-1:]) for g in jax.tree.leaves(grads)]
        columns = jax.lax.optimization_barrier([jnp.sum(g**2, axis=0) for g in rows])
        norm = jnp.sqrt(sum(jnp.sum(squares) for squares in columns))
        scale = jnp.where(norm < clip_norm, 1.0, clip_norm / norm)
        return jax.tree.map(lambda g: scale * g, grads)

    return optax.stateless(clip)


def scan_updates(update: Callable, prepare: Callable) -> jax.stages.Wrapped:
    """Make many updates one dispatch: `run(state, key, data, indices) -> (state, metrics)`.

    The state is donated. The key of an update is a function of its step, so a resumed run repeats
    an uninterrupted one.

    Args:
        update: update(state, key, x) -> (state, metrics).
        prepare: prepare(key, rows) -> x makes a batch of rows of the data.

    Returns:
        The compiled function `run`. Its indices are [num_updates, batch]: an update is made with
        the rows data[indices[i]], of every array where data is a tree of them. If they are None,
        it is made with the rows data[i], where data is [num_updates, batch, ...]. Metrics come back
        stacked, [num_updates].
    """

    def run(state: TrainState, key: jax.Array, data, indices: jax.Array | None):
        def body(state, batch):
            key_prepare, key_update = jax.random.split(jax.random.fold_in(key, state.step))
            rows = batch if indices is None else jax.tree.map(lambda a: a[batch], data)
            return update(state, key_update, prepare(key_prepare, rows))

        return jax.lax.scan(body, state, data if indices is None else indices)

    return jax.jit(run, donate_argnums=0)
