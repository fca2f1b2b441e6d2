"""A function of a batch of examples, of which each device of this process computes a part.

The function closes over parameters that lie on one device. It is traced, what it closes over is
copied to the other devices, and one program runs on all, each on its part of the batch; nothing is
exchanged between them, which a program that XLA divides by itself may do.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable

import jax
from jax.extend.core import Literal
from jax.sharding import Mesh, NamedSharding, PartitionSpec

MOST_PROGRAMS = 64
_programs: OrderedDict[Hashable, Callable] = OrderedDict()


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
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
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
    places = {}

    def place(atom):
        if isinstance(atom, Literal):
            return repr(atom.val), str(atom.aval)
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
