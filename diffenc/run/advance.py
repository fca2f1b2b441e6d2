"""The one `advance` of every experiment that trains: the next updates of each of its systems."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.run import costs, feeding, parallel
from diffenc.run.order import batch_indices


class Trainee(NamedTuple):
    """What the updates of one system need, apart from its state.

    Attributes:
        run_updates: `training.scan_updates(update, prepare)`; systems of one program share it.
        examples: tree of arrays [n, ...], the training examples, as `feeding.place` gives them.
        key: of the system's noise, one for the whole run.
        seed: of the order of its batches.
        num_updates: the update after which it stands still; None: the run's end.
        order: names of the order of its batches, see `order.batch_indices`; systems of one seed,
            size and order see the same batches.
    """

    run_updates: jax.stages.Wrapped
    examples: Any
    key: jax.Array
    seed: int
    num_updates: int | None = None
    order: tuple[str | int, ...] = ()


def make_advance(trainees: Mapping[Any, Trainee], mesh, batch_size: int) -> Callable:
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
    feed = _Feed(trainees, mesh, batch_size)

    def advance(states, step, n):
        states = dict(states)
        parts = {}
        seconds = dict.fromkeys(trainees, 0.0)
        lots = feed.lots(step, n)
        # The first lot of the next dispatch is made ready too; at the end of training, in vain.
        after = [*lots[1:], *feed.lots(step + n, n)[:1], None]
        for lot, following in zip(lots, after, strict=False):
            trainee = trainees[lot.name]
            batches = feed.take(lot)
            what = f"update {lot.step} of {dotted(lot.name)}"
            began = time.perf_counter()
            with parallel.together(what):
                states[lot.name], values = trainee.run_updates(
                    states[lot.name], keys[lot.name], *batches
                )
            if following is not None:
                feed.make_ready(following)
            with parallel.together(what):
                jax.block_until_ready(values)
            seconds[lot.name] += time.perf_counter() - began
            parts.setdefault(lot.name, []).append(values)
        metrics = {}
        for name, values in parts.items():
            values = _joined(values)
            updates = len(next(iter(values.values())))
            values["ms_per_update"] = np.full(updates, 1e3 * seconds[name] / updates)
            metrics |= {f"{dotted(name)}.{metric}": value for metric, value in values.items()}
        return states, metrics

    return advance


@dataclasses.dataclass(frozen=True)
class _Lot:
    """Updates of one system that one program makes: `count` of them from update `step`."""

    name: Hashable
    step: int
    count: int


class _Feed:
    """What each lot of updates reads, made ready while the one before is computed."""

    def __init__(self, trainees: Mapping[Any, Trainee], mesh, batch_size: int):
        self._trainees = trainees
        self._mesh = mesh
        self._batch_size = batch_size
        self._ready: dict[Hashable, Any] = {}  # by what it is read from

    def lots(self, step: int, n: int) -> list[_Lot]:
        """List the lots of the updates step, ..., step + n - 1, one system after another."""
        lots = []
        for name, trainee in self._trainees.items():
            updates = n if trainee.num_updates is None else min(n, trainee.num_updates - step)
            if updates > 0:
                count = feeding.updates_at_once(
                    trainee.examples, updates, self._batch_size, self._mesh
                )
                lots += [_Lot(name, first, count) for first in range(step, step + updates, count)]
        return lots

    def take(self, lot: _Lot) -> feeding.Batches:
        """Return the batches of a lot, made ready or not; of earlier ones none are kept."""
        self.make_ready(lot)
        key = self._key(lot)
        self._ready = {key: self._ready[key]}
        return self._ready[key]

    def make_ready(self, lot: _Lot) -> None:
        """Begin to bring the batches of a lot to the devices."""
        key = self._key(lot)
        if key not in self._ready:
            trainee = self._trainees[lot.name]
            rows = batch_indices(
                trainee.seed,
                lot.step,
                lot.count,
                self._batch_size,
                len(jax.tree.leaves(trainee.examples)[0]),
                trainee.order,
            )
            self._ready[key] = feeding.batches_of(trainee.examples, rows, self._mesh)

    def _key(self, lot: _Lot) -> tuple:
        """Name what a lot is read from; systems of one order and data share it."""
        trainee = self._trainees[lot.name]
        arrays = tuple(id(leaf) for leaf in jax.tree.leaves(trainee.examples))
        return trainee.seed, trainee.order, arrays, lot.step, lot.count


def _joined(parts: list[dict]) -> dict:
    """Join the metrics of the lots of one dispatch."""
    if len(parts) == 1:
        return dict(parts[0])
    parts = jax.device_get(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
    traced, compiled, count = compile_updates(trainee, state, mesh, batch_size, count)
    analysis = compiled.memory_analysis()
    memory = None if analysis is None else analysis.temp_size_in_bytes
    return costs.of_program(state, traced.jaxpr, count)._replace(temporary_bytes=memory)


def compile_updates(trainee: Trainee, state, mesh, batch_size: int, count: int):
    """Compile the updates of a system.

    Args:
        trainee: the system.
        state: its state, replicated over the mesh.
        mesh: over which the batches are split.
        batch_size: over all devices.
        count: of updates in a dispatch.

    Returns:
        `(traced, compiled, count)`: the program before and after, see jax.stages, and how many
        updates it makes, which are fewer where the examples lie on the host.
    """
    count = feeding.updates_at_once(trainee.examples, count, batch_size, mesh)
    rows = np.zeros((count, batch_size), np.int32)
    batches = feeding.batches_of(trainee.examples, rows, mesh)
    key = parallel.replicate(mesh, trainee.key)
    traced = trainee.run_updates.trace(state, key, *batches)
    return traced, traced.lower().compile(), count


def dotted(name: Hashable) -> str:
    """Write a system's name as metrics and results have it: the parts of a tuple with dots."""
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
