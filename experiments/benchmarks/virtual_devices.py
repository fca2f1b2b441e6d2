"""Programs over several virtual devices of a CPU, in a process of their own."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import jax

from diffenc import compilation
from diffenc.run import collectives, costs, parallel
from diffenc.run.advance import Trainee, compile_updates

FLAG = "--xla_force_host_platform_device_count"
# For programs that are only read: optimizing their code would take most of the time.
UNOPTIMIZED = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]


class Exchange(NamedTuple):
    """What an update does, divided over several devices.

    Attributes:
        costs: of the update on all devices.
        summed_bytes: that are summed over devices.
        sums: how many sums there are.
        other_bytes: that each device sends beside, if they stand in a ring.
        flops: of each device by XLA's analysis, which counts a loop's body once.
    """

    costs: costs.Costs
    summed_bytes: int
    sums: int
    other_bytes: float
    flops: float


def call(num_devices: int, function: Callable, *arguments, is_timed: bool = False):
    """Call a function in a new process with so many devices; both must be picklable.

    Args:
        num_devices: that `jax.devices()` has there.
        function: of a module.
        *arguments: its arguments.
        is_timed: whether it is to run fast; else its programs are hardly optimized.

    Returns:
        What it returns.
    """
    context = multiprocessing.get_context("spawn")
    settings = (num_devices, is_timed)
    with ProcessPoolExecutor(1, context, initializer=_begin, initargs=settings) as pool:
        return pool.submit(_with_programs, function, arguments).result()


def _begin(num_devices: int, is_timed: bool) -> None:
    flags = [one for one in os.environ.get("XLA_FLAGS", "").split() if not one.startswith(FLAG)]
    flags += [f"{FLAG}={num_devices}"] + ([] if is_timed else UNOPTIMIZED)
    os.environ["XLA_FLAGS"] = " ".join(flags)
    jax.config.update("jax_platforms", "cpu")


def _with_programs(function, arguments):
    with compilation.cache():
        return function(*arguments)


def exchange(trainee: Trainee, state, num_devices: int, batch_size: int) -> Exchange:
    """Compile an update over several devices, and read what it exchanges; nothing is computed.

    Args:
        trainee: what is trained.
        state: its train state.
        num_devices: over which the batch is split.
        batch_size: over all devices.
    """
    mesh = parallel.data_mesh(num_devices)
    placed = trainee._replace(examples=parallel.replicate(mesh, trainee.examples))
    placed_state = parallel.replicate(mesh, state)
    traced, compiled, _ = compile_updates(
        {"system": placed}, {"system": placed_state}, "system", mesh, batch_size, 1
    )
    found = collectives.of_program(compiled.as_text())
    sums = [one for one in found if one.kind == "all-reduce"]
    others = [one for one in found if one.kind != "all-reduce"]
    return Exchange(
        costs.of_program(state, traced.jaxpr),
        sum(one.num_bytes for one in sums),
        sum(one.count for one in sums),
        collectives.ring_bytes(others, num_devices),
        (compiled.cost_analysis() or {}).get("flops", float("nan")),
    )
