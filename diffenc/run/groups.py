"""Groups: systems of one program, whose updates are made together in one dispatch.

An update of small networks on an accelerator takes as long as its operations take to be launched.
A group launches each operation once for all its systems. Each system keeps its own noise, batches
and numbers: they are those of a system alone, up to the order of additions.

The operations of all systems are in flight at once, and so is their temporary memory.
"""

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from diffenc.run.feeding import Batches


def largest(systems_at_once: int, mesh) -> int | None:
    """Say how many systems a group has at most; None: as many as share a program.

    Args:
        systems_at_once: that number; 0: 1 on CPUs, which launch fast, and None elsewhere.
        mesh: of devices.
    """
    if systems_at_once == 0:
        is_cpu = next(iter(mesh.devices.flat)).platform == "cpu"
        return 1 if is_cpu else None
    return systems_at_once


def split(kinds: Mapping[Any, Hashable], most: int | None) -> list[tuple]:
    """Put systems of one kind together, at most so many, in the order of the first of each kind.

    Args:
        kinds: of the systems by name.
        most: systems in a group; None: all.

    Returns:
        The names of each group.
    """
    members: dict[Hashable, list] = {}
    for name, kind in kinds.items():
        members.setdefault(kind, []).append(name)
    groups = []
    for names in members.values():
        size = most or len(names)
        groups += [tuple(names[first : first + size]) for first in range(0, len(names), size)]
    return groups


def shapes_of(tree) -> Hashable:
    """Describe a tree of arrays: trees that can be stacked have one description."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


def run(run_updates, states: Sequence, keys: Sequence, batches: Sequence[Batches]):
    """Make the updates of a group by one program; a system alone has its own.

    JAX's check of keys that are used twice holds for a system's own program. It is off for that of
    a group, because it takes stacking a key for a use of it.

    Args:
        run_updates: see `training.scan_updates`.
        states: of the systems; donated.
        keys: of their noise.
        batches: theirs; what is one object for all of them is not copied.

    Returns:
        States and metrics, a list of each in the order of the systems.
    """
    if len(states) == 1:
        state, metrics = run_updates(states[0], keys[0], *batches[0])
        return [state], [metrics]
    with jax.debug_key_reuse(False):
        return program(run_updates, *arguments(states, keys, batches))


def compile_program(run_updates, states: Sequence, keys: Sequence, batches: Sequence[Batches]):
    """Trace and compile the program of `run`; returns it before and after, see jax.stages."""
    if len(states) == 1:
        traced = run_updates.trace(states[0], keys[0], *batches[0])
        return traced, traced.lower().compile()
    with jax.debug_key_reuse(False):
        traced = program.trace(run_updates, *arguments(states, keys, batches))
        return traced, traced.lower().compile()


def arguments(states: Sequence, keys: Sequence, batches: Sequence[Batches]) -> tuple:
    """Give what `program` takes of the systems; what all of them read is there once."""
    data = tuple(batch.data for batch in batches)
    indices = tuple(batch.indices for batch in batches)
    return tuple(states), tuple(keys), _once(data), _once(indices)


@functools.partial(jax.jit, static_argnames="run_updates", donate_argnames="states")
def program(run_updates, states: tuple, keys: tuple, data: tuple, indices: tuple):
    """Make the updates of several systems, stacked along a new first axis, which is mapped over.

    Args:
        run_updates: see `training.scan_updates`.
        states: of the systems; their memory becomes that of the results.
        keys: of their noise.
        data: what each of them reads, or one tree that all read.
        indices: rows of the data of each, or of all.

    Returns:
        The states and the metrics, a list of each.
    """
    stacked_data, data_axis = _stack(data)
    stacked_indices, indices_axis = _stack(indices)
    stacked_states, _ = _stack(states)
    stacked_keys, _ = _stack(keys)
    mapped = jax.vmap(run_updates, in_axes=(0, 0, data_axis, indices_axis))
    results = mapped(stacked_states, stacked_keys, stacked_data, stacked_indices)
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], results) for i in range(len(states))]
    return [state for state, _ in each], [metrics for _, metrics in each]


def _stack(trees: tuple) -> tuple[Any, int | None]:
    """Stack trees, and give the axis to map over; one tree alone is that of all, and not mapped."""
    if len(trees) == 1:
        return trees[0], None
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees), 0


def _once(trees: tuple) -> tuple:
    """Return one tree where all are made of the same arrays, and all of them elsewhere."""
    arrays = {tuple(id(leaf) for leaf in jax.tree.leaves(tree)) for tree in trees}
    return trees[:1] if len(arrays) == 1 else trees
