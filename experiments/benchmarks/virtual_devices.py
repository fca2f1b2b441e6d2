"""Programs over several virtual devices of a CPU, in a process of their own."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import jax

from diffenc import compilation
from diffenc.run import collectives, parallel
from diffenc.run.advance import compile_updates
from diffenc.run.collectives import Collective

FLAG = "--xla_force_host_platform_device_count"


def call(num_devices: int, function: Callable, *arguments):
    """Call a function in a new process with so many devices; both must be picklable.

    Args:
        num_devices: that `jax.devices()` has there.
        function: of a module.
        *arguments: its arguments.

    Returns:
        What it returns.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_begin, initargs=(num_devices,)) as pool:
        return pool.submit(_with_programs, function, arguments).result()


def _begin(num_devices: int) -> None:
    flags = [one for one in os.environ.get("XLA_FLAGS", "").split() if not one.startswith(FLAG)]
    os.environ["XLA_FLAGS"] = " ".join([*flags, f"{FLAG}={num_devices}"])
    jax.config.update("jax_platforms", "cpu")


def _with_programs(function, arguments):
    with compilation.cache():
        return function(*arguments)


def exchange(trainee, state, num_devices: int, batch_size: int) -> tuple[list[Collective], float]:
    """Compile an update over several devices; nothing is computed.

    Args:
        trainee: what is trained, a `run.advance.Trainee`.
        state: its train state.
        num_devices: over which the batch is split.
        batch_size: over all devices.

    Returns:
        What the update exchanges, and the floating-point operations of each device by XLA's
        analysis, which counts a loop's body once.
    """
    mesh = parallel.data_mesh(num_devices)
    placed = trainee._replace(examples=parallel.replicate(mesh, trainee.examples))
    state = parallel.replicate(mesh, state)
    _, compiled, _ = compile_updates(placed, state, mesh, batch_size, 1)
    analysis = compiled.cost_analysis() or {}
    return collectives.of_program(compiled.as_text()), analysis.get("flops", float("nan"))
