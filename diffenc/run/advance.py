"""The one `advance` of every experiment that trains: the next updates of each of its systems."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.run import costs, feeding, groups, parallel
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


def make_advance(
    trainees: Mapping[Any, Trainee], mesh, batch_size: int, systems_at_once: int = 1
) -> Callable:
    """Make the function that `loop.train` calls: `advance(states, step, n) -> (states, metrics)`.

    It makes the updates step, ..., step + n - 1 of every system, one dispatch for each group of
    systems, see `groups`. The metrics of the system (a, b) are named "a.b.<metric>", those of the
    system "a" "a.<metric>"; beside the update's own there is `ms_per_update`, the dispatch's
    milliseconds for each update of each system: those of a group have equal shares.

    Args:
        trainees: the systems by name.
        mesh: over which the batches are split.
        batch_size: over all devices.
        systems_at_once: in a dispatch, of one program; 0: see `groups.largest`.

    Returns:
        The function; `states` has the keys of `trainees`, and each metric is an array [n].

    Raises:
        InputError: the batch does not divide over the devices.
    """
    parallel.check_batch(batch_size, mesh)
    keys = {name: parallel.replicate(mesh, trainee.key) for name, trainee in trainees.items()}
    feed = _Feed(trainees, mesh, batch_size, systems_at_once)

    def advance(states, step, n):
        states = dict(states)
        parts = {}
        seconds = dict.fromkeys(trainees, 0.0)
        lots = feed.lots(states, step, n)
        # The first lot of the next dispatch is made ready too; at the end of training, in vain.
        after = [*lots[1:], *feed.lots(states, step + n, n)[:1], None]
        for lot, following in zip(lots, after, strict=False):
            names = lot.names
            batches = feed.take(lot)
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            what = f"update {lot.step} of {dotted(names[0])}{others}"
            began = time.perf_counter()
            with parallel.together(what):
                states_of_lot, values_of_lot = groups.run(
                    trainees[names[0]].run_updates,
                    [states[name] for name in names],
                    [keys[name] for name in names],
                    batches,
                )
            states |= zip(names, states_of_lot, strict=True)
            if following is not None:
                feed.make_ready(following)
            with parallel.together(what):
                jax.block_until_ready(values_of_lot)
            share = (time.perf_counter() - began) / len(names)
            for name, values in zip(names, values_of_lot, strict=True):
                seconds[name] += share
                parts.setdefault(name, []).append(values)
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
    """Updates of a group that one program makes: `count` of each system from update `step`."""

    names: tuple[Hashable, ...]
    step: int
    count: int


class _Feed:
    """What each lot of updates reads, made ready while the one before is computed."""

    def __init__(
        self, trainees: Mapping[Any, Trainee], mesh, batch_size: int, systems_at_once: int
    ):
        self._trainees = trainees
        self._mesh = mesh
        self._batch_size = batch_size
        self._largest = groups.largest(systems_at_once, mesh)
        self._ready: dict[Hashable, Any] = {}  # by what it is read from

    def lots(self, states: Mapping[Any, Any], step: int, n: int) -> list[_Lot]:
        """List the lots of the updates step, ..., step + n - 1, one group after another.

        Systems are of one group if they share a program, shapes of states and examples, and the
        number of updates that they have left.
        """
        left = {}
        kinds = {}
        for name, trainee in self._trainees.items():
            updates = n if trainee.num_updates is None else min(n, trainee.num_updates - step)
            if updates > 0:
                left[name] = updates
                shapes = groups.shapes_of((states[name], trainee.examples))
                is_fed = feeding.is_fed(trainee.examples)
                kinds[name] = (trainee.run_updates, updates, shapes, is_fed)
        lots = []
        for names in groups.split(kinds, self._largest):
            updates = left[names[0]]
            sources = {self._source(name) for name in names}
            count = feeding.updates_at_once(
                self._trainees[names[0]].examples,
                updates,
                len(sources) * self._batch_size,
                self._mesh,
            )
            lots += [_Lot(names, first, count) for first in range(step, step + updates, count)]
        return lots

    def take(self, lot: _Lot) -> list[feeding.Batches]:
        """Return the batches of a lot, made ready or not; of earlier ones none are kept."""
        self.make_ready(lot)
        keys = self._keys(lot)
        self._ready = {key: self._ready[key] for key in keys}
        return [self._ready[key] for key in keys]

    def make_ready(self, lot: _Lot) -> None:
        """Begin to bring the batches of a lot to the devices."""
        for name, key in zip(lot.names, self._keys(lot), strict=True):
            if key not in self._ready:
                trainee = self._trainees[name]
                rows = batch_indices(
                    trainee.seed,
                    lot.step,
                    lot.count,
                    self._batch_size,
                    len(jax.tree.leaves(trainee.examples)[0]),
                    trainee.order,
                )
                self._ready[key] = feeding.batches_of(trainee.examples, rows, self._mesh)

    def _keys(self, lot: _Lot) -> list[tuple]:
        return [(*self._source(name), lot.step, lot.count) for name in lot.names]

    def _source(self, name: Hashable) -> tuple:
        """Name what a system reads; systems of one order and data share it."""
        trainee = self._trainees[name]
        arrays = tuple(id(leaf) for leaf in jax.tree.leaves(trainee.examples))
        return trainee.seed, trainee.order, arrays


def _joined(parts: list[dict]) -> dict:
    """Join the metrics of the lots of one dispatch."""
    if len(parts) == 1:
        return dict(parts[0])
    parts = jax.device_get(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def costs_of(
    trainees: Mapping[Any, Trainee],
    states: Mapping[Any, Any],
    name: Hashable,
    mesh,
    batch_size: int,
    count: int,
    systems_at_once: int = 1,
) -> costs.Costs:
    """Compile the first updates of a system, and say what they cost, see `costs`.

    `advance` finds the program compiled, if it is given the same states, batches and count.

    Args:
        trainees: the systems by name.
        states: theirs, replicated over the mesh.
        name: of the system.
        mesh: over which the batches are split.
        batch_size: over all devices.
        count: of updates in a dispatch.
        systems_at_once: see `make_advance`.

    Returns:
        The costs of one update of the system; the temporary memory is that of its whole group, on
        each device.
    """
    traced, compiled, updates = compile_updates(
        trainees, states, name, mesh, batch_size, count, systems_at_once
    )
    analysis = compiled.memory_analysis()
    memory = None if analysis is None else analysis.temp_size_in_bytes
    return costs.of_program(states[name], traced.jaxpr, updates)._replace(temporary_bytes=memory)


def compile_updates(
    trainees: Mapping[Any, Trainee],
    states: Mapping[Any, Any],
    name: Hashable,
    mesh,
    batch_size: int,
    count: int,
    systems_at_once: int = 1,
):
    """Compile the first updates of a system, together with those of its group.

    Args:
        trainees: the systems by name.
        states: theirs, replicated over the mesh.
        name: of the system.
        mesh: over which the batches are split.
        batch_size: over all devices.
        count: of updates in a dispatch.
        systems_at_once: see `make_advance`.

    Returns:
        `(traced, compiled, updates)`: the program before and after, see jax.stages, and how many
        updates it makes of all its systems together.
    """
    feed = _Feed(trainees, mesh, batch_size, systems_at_once)
    lot = next(lot for lot in feed.lots(states, 0, count) if name in lot.names)
    traced, compiled = groups.compile_program(
        trainees[name].run_updates,
        [states[one] for one in lot.names],
        [parallel.replicate(mesh, trainees[one].key) for one in lot.names],
        feed.take(lot),
    )
    return traced, compiled, lot.count * len(lot.names)


def dotted(name: Hashable) -> str:
    """Write a system's name as metrics and results have it: the parts of a tuple with dots."""
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
