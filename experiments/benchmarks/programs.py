"""Programs to be timed: what a first call takes, what the compiler counts, and turns of them."""

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diffenc import compilation
from diffenc.run import feeding, parallel
from diffenc.run.advance import Trainee
from diffenc.run.compiled_costs import ProgramWork, work_of
from diffenc.run.order import batch_indices

COMPILED = "/jax/core/compile/backend_compile_duration"  # what JAX says of each compilation


@dataclass(frozen=True)
class Program:
    """A jitted function that is called again and again.

    Attributes:
        function: function(state, *inputs), jitted.
        state: what the first call is given; its memory may be given away.
        inputs: of every call.
        count: updates, or other pieces of work, in a call.
        state_of: what the next call is given, of the result of a call.
        is_loop: whether a call is one loop of `count` turns.
    """

    function: Callable
    state: Any
    inputs: tuple
    count: int
    state_of: Callable = operator.itemgetter(0)
    is_loop: bool = True


class First(NamedTuple):
    """The first call of a program, in a process that finds nothing compiled.

    Attributes:
        seconds: of tracing, compiling and running it.
        compilations: programs that were compiled in it.
        later_compilations: those of a second call of equal shapes.
        work: of one piece of work, by the compiler's analysis.
    """

    seconds: float
    compilations: int
    later_compilations: int
    work: ProgramWork


class Running:
    """A program in use: it hands the state of each call to the next."""

    def __init__(self, program: Program):
        """Take a program, of whose state a copy is used."""
        self._program = program
        self._state = jax.tree.map(jnp.copy, program.state)

    def call(self) -> None:
        """Call the program once, and wait for its result."""
        program = self._program
        result = jax.block_until_ready(program.function(self._state, *program.inputs))
        self._state = program.state_of(result)

    def seconds(self, least: float) -> float:
        """Time calls until `least` seconds have passed; returns those of one piece of work."""
        began = time.perf_counter()
        calls = 0
        while calls == 0 or time.perf_counter() - began < least:
            self.call()
            calls += 1
        return (time.perf_counter() - began) / (calls * self._program.count)


def start(program: Program) -> tuple[Running, First]:
    """Make the first two calls of a program, nothing of which is found compiled."""
    running = Running(program)
    with compilation.without_cache():
        began = time.perf_counter()
        traced = None
        compiled = None

        def first():
            nonlocal traced, compiled
            traced = program.function.trace(program.state, *program.inputs)
            compiled = traced.lower().compile()
            running.call()

        compilations = count_compilations(first)
        seconds = time.perf_counter() - began
        later = count_compilations(running.call)
    work = work_of(traced, compiled, program.is_loop).times(
        1 if program.is_loop else 1 / program.count
    )
    return running, First(seconds, compilations, later, work)


def count_compilations(function: Callable[[], None]) -> int:
    """Count the programs that are compiled while a function runs."""
    count = 0

    def listen(event: str, duration_secs: float, **details: str | int) -> None:
        nonlocal count
        count += event == COMPILED

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        function()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return count


def of_trainee(trainee: Trainee, state, batch_size: int, updates: int) -> Program:
    """Make the program of many updates of a system, with its first batches.

    Args:
        trainee: the system.
        state: its state at the start.
        batch_size: of an update.
        updates: in a call.
    """
    mesh = parallel.data_mesh(1)
    size = len(jax.tree.leaves(trainee.examples)[0])
    rows = batch_indices(trainee.seed, 0, updates, batch_size, size, trainee.order)
    batches = feeding.batches_of(trainee.examples, rows, mesh)
    key = parallel.replicate(mesh, trainee.key)
    return Program(trainee.run_updates, parallel.replicate(mesh, state), (key, *batches), updates)
