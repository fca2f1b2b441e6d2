"""The one `advance` of every experiment that trains: the next updates of each of its systems."""

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.run import costs, parallel
from diffenc.run.order import batch_indices


class Trainee(NamedTuple):
    """What the updates of one system need, apart from its state.

    Attributes:
        run_updates: `training.scan_updates(update, prepare)`; systems of one program share it.
        examples: tree of arrays [n, ...], the training examples, replicated over the mesh.
        key: of the system's noise, one for the whole run.
        seed: of the order of its batches.
        num_updates: the update after which it stands still; None: the run's end.
        order: names of the order of its batches, see `order.batch_indices`; systems of one seed,
            size and order see the same batches.
    """

    run_updates: Callable
    examples: Any
    key: jax.Array
    seed: int
    num_updates: int | None = None
    order: tuple[str | int, ...] = ()


def make_advance(trainees: dict[Hashable, Trainee], mesh, batch_size: int) -> Callable:
    """Make the function that `loop.train` calls: `advance(states, step, n) -> (states, metrics)`.

    It makes the updates step, ..., step + n - 1 of every system, one dispatch each. The metrics of
    the system (a, b) are named "a.b.<metric>", those of the system "a" "a.<metric>"; beside the
    update's own there is `ms_per_update`, the dispatch's milliseconds for each update.

    Args:
        trainees: the systems by name.
        mesh: over which the batches are split.
        batch_size: over all devices.

    Returns:
        The function; `states` has the keys of `trainees`, and each metric is an array [n].

    Raises:
        InputError: the batch does not divide over the devices.
    """
    parallel.check_batch(batch_size, mesh)
    keys = {name: parallel.replicate(mesh, trainee.key) for name, trainee in trainees.items()}
    local = parallel.local_rows(batch_size)

    def advance(states, step, n):
        new_states = {}
        metrics = {}
        batches = {}
        for name, trainee in trainees.items():
            updates = n if trainee.num_updates is None else min(n, trainee.num_updates - step)
            if updates <= 0:
                new_states[name] = states[name]
                continue
            num_examples = len(jax.tree.leaves(trainee.examples)[0])
            order = (trainee.seed, num_examples, updates, trainee.order)
            if order not in batches:
                rows = batch_indices(
                    trainee.seed, step, updates, batch_size, num_examples, trainee.order
                )
                batches[order] = parallel.shard_batch(mesh, rows[:, local], axis=1)
            began = time.perf_counter()
            with parallel.together(f"update {step} of {dotted(name)}"):
                new_states[name], values = trainee.run_updates(
                    states[name], keys[name], trainee.examples, batches[order]
                )
                jax.block_until_ready(values)
            milliseconds = 1e3 * (time.perf_counter() - began) / updates
            values["ms_per_update"] = np.full(updates, milliseconds)
            metrics |= {f"{dotted(name)}.{metric}": value for metric, value in values.items()}
        return new_states, metrics

    return advance


def costs_of(trainee: Trainee, state, mesh, batch_size: int, count: int) -> costs.Costs:
    """Compile the updates of a system, and say what they cost, see `costs`.

    `advance` finds the program compiled, if it is given the same state, batches and count.

    Args:
        trainee: the system.
        state: its state, replicated over the mesh.
        mesh: over which the batches are split.
        batch_size: over all devices.
        count: of updates in a dispatch.

    Returns:
        The costs; their temporary memory is that of each device.
    """
    rows = np.zeros((count, batch_size), np.int32)
    indices = parallel.shard_batch(mesh, rows[:, parallel.local_rows(batch_size)], axis=1)
    key = parallel.replicate(mesh, trainee.key)
    traced = trainee.run_updates.trace(state, key, trainee.examples, indices)
    analysis = traced.lower().compile().memory_analysis()
    memory = None if analysis is None else analysis.temp_size_in_bytes
    return costs.of_program(state, traced.jaxpr, count)._replace(temporary_bytes=memory)


def dotted(name: Hashable) -> str:
    """Write a system's name as metrics and results have it: the parts of a tuple with dots."""
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
