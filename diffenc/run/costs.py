"""What an update costs, known before the first one is made."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from diffenc.training import TrainState

# Operations whose results are those of a program that they hold.
CALLS = ("jit", "remat2", "cond")
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


class Costs(NamedTuple):
    """The size of a train state and the work of one update.

    Attributes:
        num_parameters: numbers in the params of the state.
        state_bytes: the bytes of its params, their averages, the state of the optimizer and what is
            carried, on one device.
        flops: floating-point operations of one update in products of matrices and convolutions, a
            multiplication and an addition counted as two; those of all devices together.
        temporary_bytes: what the compiled updates need beside their arguments and results, see
            `advance.costs_of`, those of all systems of a group; None where it was not asked for or
            the backend does not tell.
    """

    num_parameters: int
    state_bytes: int
    flops: int
    temporary_bytes: int | None = None


def measure(update: Callable, state: TrainState, *inputs: Any) -> Costs:
    """Measure what an update costs, by tracing it: nothing is computed.

    The operations are counted here, in the traced program, and not by XLA's analysis of costs: that
    counts the body of a loop once, however often it runs. Here a loop of known length counts as
    often as it runs, and a branch as the most expensive of the alternatives. Only a loop whose
    length is not known before it runs (`jax.lax.while_loop`) counts once. Elementwise operations
    are left out, as is usual when a share of a device's peak is stated, and so are products whose
    result nothing uses, which compilers drop.

    Args:
        update: update(state, *inputs).
        state: the train state; arrays or `jax.ShapeDtypeStruct`s, as the inputs.
        *inputs: such as a key and a batch.

    Returns:
        The costs.
    """
    return of_program(state, jax.jit(update).trace(state, *inputs).jaxpr)


def of_program(state: TrainState, jaxpr, num_updates: int = 1) -> Costs:
    """Measure what an update costs by a traced program of one or more.

    Args:
        state: the train state; arrays or `jax.ShapeDtypeStruct`s.
        jaxpr: the program.
        num_updates: how many it makes.
    """
    return Costs(
        num_parameters=sum(leaf.size for leaf in jax.tree.leaves(state.params)),
        state_bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)),
        flops=count_flops(jaxpr) // num_updates,
    )


def describe(costs: Costs) -> str:
    """Put costs in a line, as in "1.2 M parameters, state 14 MB, 3.4 GFLOP an update"."""
    parts = [
        f"{_scaled(costs.num_parameters)} parameters",
        f"state {_scaled(costs.state_bytes, 'B')}",
        f"{_scaled(costs.flops, 'FLOP')} an update",
    ]
    if costs.temporary_bytes is not None:
        parts.append(f"{_scaled(costs.temporary_bytes, 'B')} of temporary memory")
    return ", ".join(parts)


def count_flops(jaxpr, is_used: Sequence[bool] | None = None) -> int:
    """Count the operations of the products and convolutions of a traced program; see `measure`.

    Args:
        jaxpr: the program.
        is_used: of each of its results, whether something uses it; None for all of them.
    """
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    is_used = [True] * len(jaxpr.outvars) if is_used is None else is_used
    used = {id(result) for result, use in zip(jaxpr.outvars, is_used, strict=True) if use}
    total = 0
    for equation in reversed(jaxpr.eqns):
        uses = [id(result) in used for result in equation.outvars]
        if any(uses) or equation.effects:
            total += _flops_of(equation, uses)
            used |= {id(operand) for operand in equation.invars}
    return total


def _flops_of(equation, is_used: list[bool]) -> int:
    name = equation.primitive.name
    params = equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        num_terms = math.prod(shape[axis] for axis in contracted)
        return 2 * num_terms * equation.outvars[0].aval.size
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        num_terms = kernel.size // kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        return 2 * num_terms * equation.outvars[0].aval.size
    if name in ("convolve_3x3", "correlate_3x3"):  # see networks.bilinear; [k, 3, 3, c, o]
        # A product sums over offsets and channels of the kernel, or over the pixels of all images.
        summed_over = equation.invars[1 if name == "convolve_3x3" else 0].aval.shape[1:4]
        return 2 * math.prod(summed_over) * equation.outvars[0].aval.size
    programs = [program for value in params.values() for program in programs_in(value)]
    inner = [count_flops(program, is_used if name in CALLS else None) for program in programs]
    if name == "cond":
        return max(inner)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def programs_in(value) -> list:
    """The programs in a parameter of an equation: the bodies of loops, branches and calls."""
    values = value if isinstance(value, tuple | list) else (value,)
    return [one for one in values if hasattr(getattr(one, "jaxpr", one), "eqns")]


def _scaled(value: int, unit: str = "") -> str:
    """Write a number in three digits and its unit with a prefix, as in "1.23 MB"."""
    mantissa, exponent = f"{value:.2e}".split("e")
    thousands = min(int(exponent) // 3, len(PREFIXES) - 1)
    scaled = float(mantissa) * 10.0 ** (int(exponent) - 3 * thousands)
    return f"{scaled:.3g} {PREFIXES[thousands]}{unit}".rstrip()
