"""What a program costs by the compiler's own analysis, with loops counted as often as they run."""

import math
from dataclasses import dataclass

import jax
from jax.extend.core import jaxpr_as_fun

from diffenc.errors import InputError
from diffenc.run.costs import programs_in


@dataclass(frozen=True)
class ProgramWork:
    """What a program does, in one run of it or in a part of one.

    Attributes:
        flops: floating-point operations, elementwise ones included; exponentials and the like,
            which XLA counts by themselves, are not.
        num_bytes: read and written by the operations of the program, each fusion of them counted
            as one. What stays in a cache between two operations counts like what does not.
    """

    flops: float
    num_bytes: float

    def __add__(self, other: "ProgramWork") -> "ProgramWork":
        return ProgramWork(self.flops + other.flops, self.num_bytes + other.num_bytes)

    def times(self, factor: float) -> "ProgramWork":
        """Multiply both by a factor."""
        return ProgramWork(factor * self.flops, factor * self.num_bytes)


NOTHING = ProgramWork(0.0, 0.0)


def work_of(traced, compiled, is_loop: bool = False) -> ProgramWork:
    """Give the work of one run of a program, or of one turn of a program that is a loop.

    XLA's analysis counts the body of a loop once. So each body is compiled by itself too, and its
    work is added as often as the loop runs beyond the first time; in nested loops likewise. A loop
    whose length is not known before it runs (`jax.lax.while_loop`, and `fori_loop` with bounds
    that are traced) counts once. Of the branches of a `cond` the most expensive one counts.

    Args:
        traced: `jax.jit(...).trace(...)` of it.
        compiled: what was compiled of that.
        is_loop: whether the outermost loops count once; then their bodies need not be compiled
            again.

    Raises:
        InputError: for a program of several devices, of which XLA tells the work of one.
    """
    devices = {
        device for one in jax.tree.leaves(compiled.input_shardings) for device in one.device_set
    }
    if len(devices) > 1:
        raise InputError(f"the program is divided over {len(devices)} devices: give one of one")
    return _analysis(compiled) + _of_further_turns(traced.jaxpr, is_loop)


def _of_further_turns(jaxpr, is_loop: bool = False) -> ProgramWork:
    """Add up the work of the loops in a traced program beyond their first turns."""
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    total = NOTHING
    for equation in jaxpr.eqns:
        params = equation.params
        name = equation.primitive.name
        if name == "scan":
            body = params["jaxpr"]
            inner = _of_further_turns(body)
            turns = 1 if is_loop else params["length"]
            written = min(turns, int(params.get("unroll", 1)))  # bodies that XLA has seen
            if turns > 1:
                once = _once(body)
                inner = (inner + once).times(turns) + once.times(-written)
            total += inner
            continue
        in_loop = is_loop and name != "while"
        inner = [
            _of_further_turns(one, in_loop)
            for value in params.values()
            for one in programs_in(value)
        ]
        if name == "cond":
            inner = [max(inner, key=lambda work: work.flops)]
        total += sum(inner, NOTHING)
    return total


def _once(body) -> ProgramWork:
    """Compile a body by itself, and give the work of one turn of it."""
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in body.in_avals]
    return _analysis(jax.jit(jaxpr_as_fun(body)).lower(*shapes).compile())


def _analysis(compiled) -> ProgramWork:
    costs = compiled.cost_analysis() or {}
    return ProgramWork(costs.get("flops", math.nan), costs.get("bytes accessed", math.nan))
