"""Evaluation over all devices: each process computes a share of the examples, each device a part.

The function of a batch closes over parameters that lie on one device. It is traced, what it closes
over is copied to the other devices, and one program runs on all, each on its part of the batch;
nothing is exchanged between them, which a program that XLA divides by itself may do.
"""

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from diffenc import estimate
from diffenc.run import parallel

MOST_PROGRAMS = 64
_programs: OrderedDict[Hashable, Callable] = OrderedDict()


@contextlib.contextmanager
def spread_over(mesh: Mesh):
    """Let `estimate.map_examples` use all devices of all processes within this context.

    Each process computes an equal share of the examples, in order, on its own devices, and gets the
    results of the others at the end. The devices of a process run one program, each on a part of
    the batch, and exchange nothing.
    """
    own = _own_part(mesh)
    if own.size == 1 and jax.process_count() == 1:
        yield
        return

    def share(n):
        size = -(-n // jax.process_count())
        first = jax.process_index() * size
        return np.minimum(np.arange(first, first + size), n - 1)

    how = estimate.Spread(share, own.size, functools.partial(apply, own), _gather)
    with estimate.spread(how):
        yield


def apply(mesh: Mesh, fn: Callable, *arrays):
    """Apply fn(*arrays) -> tree of [batch, ...] to a part of the batch on each device.

    Args:
        mesh: one-dimensional, over devices of this process.
        fn: a function of each example. Where it cannot be traced, as it computes with numpy, one
            device does all.
        *arrays: trees of [batch, ...]; the batch divides over the devices.

    Returns:
        What fn returns, split over the devices.
    """
    leaves, structure = jax.tree.flatten(arrays)
    parts = [
        jax.ShapeDtypeStruct((leaf.shape[0] // mesh.size, *leaf.shape[1:]), leaf.dtype)
        for leaf in leaves
    ]

    def flat(*leaves):
        return fn(*jax.tree.unflatten(structure, leaves))

    try:
        closed, shapes = jax.make_jaxpr(flat, return_shape=True)(*parts)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ):
        return fn(*arrays)
    constants = jax.device_put(closed.consts, NamedSharding(mesh, PartitionSpec()))
    split = jax.device_put(leaves, NamedSharding(mesh, PartitionSpec(*mesh.axis_names)))
    values = _program(mesh, closed.jaxpr)(constants, *split)
    return jax.tree.unflatten(jax.tree.structure(shapes), values)


def _program(mesh: Mesh, jaxpr) -> Callable:
    """Return the program of a jaxpr; an earlier one where that does the same."""
    key = (mesh, _signature(jaxpr))
    try:
        program = _programs.pop(key, None)
    except TypeError:  # a parameter of an equation has no hash
        return _make(mesh, jaxpr)
    _programs[key] = program or _make(mesh, jaxpr)
    if len(_programs) > MOST_PROGRAMS:
        _programs.popitem(last=False)
    return _programs[key]


def _make(mesh: Mesh, jaxpr) -> Callable:
    axis = PartitionSpec(*mesh.axis_names)
    mapped = jax.shard_map(
        functools.partial(jax.core.eval_jaxpr, jaxpr),
        mesh=mesh,
        in_specs=(PartitionSpec(), *[axis] * len(jaxpr.invars)),
        out_specs=axis,
        check_vma=False,
    )
    return jax.jit(mapped)


def _signature(jaxpr) -> Hashable:
    """Say what a jaxpr computes. A program within it counts as itself: jax keeps one of each."""
    places: dict[Any, int] = {}

    def place(atom):
        if isinstance(atom, Literal):
            return np.asarray(atom.val).tobytes(), str(atom.aval)
        return places.setdefault(atom, len(places))

    inputs = [(place(atom), str(atom.aval)) for atom in (*jaxpr.constvars, *jaxpr.invars)]
    equations = [
        (
            equation.primitive,
            tuple(equation.params.items()),
            tuple(map(place, equation.invars)),
            tuple(map(place, equation.outvars)),
        )
        for equation in jaxpr.eqns
    ]
    return tuple(inputs), tuple(equations), tuple(map(place, jaxpr.outvars))


def _own_part(mesh: Mesh) -> Mesh:
    """Return the mesh over the devices of this process alone."""
    devices = [device for device in mesh.devices.flat if device in set(mesh.local_devices)]
    return Mesh(np.array(devices), (parallel.AXIS,), axis_types=(AxisType.Auto,))


def _gather(tree, n: int):
    """Join the arrays of numpy [share, ...] of all processes to [n, ...], bit for bit."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    leaves, structure = jax.tree.flatten(tree)
    own = np.frombuffer(b"".join(leaf.tobytes() for leaf in leaves), np.uint8)
    parallel.wait_for_all("evaluation of each share")
    every = [row.tobytes() for row in np.asarray(multihost_utils.process_allgather(own))]
    whole = []
    first = 0
    for leaf in leaves:
        last = first + leaf.nbytes
        parts = [np.frombuffer(row[first:last], leaf.dtype).reshape(leaf.shape) for row in every]
        whole.append(np.concatenate(parts)[:n])
        first = last
    return jax.tree.unflatten(structure, whole)
