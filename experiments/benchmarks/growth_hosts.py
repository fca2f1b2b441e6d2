"""What `growth` measures beside compiled programs: orders, checkpoints, and estimates."""

import ctypes
import functools
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax

import diffenc
from diffenc import compilation, training
from diffenc.keys import key_of, rng_of
from diffenc.run import checkpoints
from diffenc.run.order import batch_indices
from experiments.benchmarks.growth_programs import Program, seconds_of


@dataclass(frozen=True)
class Order:
    """The order in which one epoch visits the data.

    Attributes:
        examples: of the data set.
    """

    examples: int

    def make(self) -> Program:
        """Draw an order, and measure the most memory that this takes on the host."""
        seed = 0

        def draw():
            nonlocal seed
            seed += 1  # an order that was drawn is kept
            return batch_indices(seed, 0, 1, 1, self.examples)

        tracemalloc.start()
        draw()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return Program(functools.partial(seconds_of, draw), None, peak)


@dataclass(frozen=True)
class Checkpoint:
    """A save of a train state: parameters, their averages and the two moments of Adam.

    Attributes:
        parameters: of the network.
    """

    parameters: int

    def make(self) -> Program:
        """Save once, and measure the bytes on the disk."""
        kernel = jax.random.normal(key_of(0, "parameters"), (self.parameters,))
        state = training.TrainState.create({"kernel": kernel}, optax.adam(1e-3))
        # Moments that are no zeros, which a disk would hardly feel.
        full = jax.tree.map(lambda leaf: kernel if leaf.ndim else leaf, state)
        folder = tempfile.TemporaryDirectory()
        step = 0

        def save():
            nonlocal step
            step += 1
            with checkpoints.open(folder.name, keep=1) as saved:
                saved.save(step, full)

        save()
        size = sum(path.stat().st_size for path in Path(folder.name).rglob("*") if path.is_file())
        return Program(functools.partial(seconds_of, save), None, size)


@dataclass(frozen=True)
class Information:
    """An estimate of the information of Gaussian x and y, with correlated columns.

    Attributes:
        rows: of both.
        columns: of each.
    """

    rows: int
    columns: int

    def estimate(self, seed: int, settings: dict) -> None:
        """Estimate it for new samples."""
        rng = rng_of(seed, "information", self.rows, self.columns)
        x = rng.normal(size=(self.rows, self.columns))
        y = 0.6 * x + 0.8 * rng.normal(size=x.shape)
        diffenc.mutual_information(x, y, seed=seed, settings=settings)


def measure_information(
    sizes: list[Information], turns: int, settings: dict
) -> tuple[np.ndarray, list[int | None]]:
    """Measure estimates, in a process that does nothing else.

    Args:
        sizes: ascending.
        turns: of each.
        settings: of the estimates, see `diffenc.information.settings`.

    Returns:
        CPU seconds [turns, sizes]; and for each size the bytes by which the resident memory rises
        during an estimate, None where the system does not tell.
    """
    rises = []
    seconds: list[list[float]] = []
    with compilation.cache():
        for size in sizes:
            size.estimate(0, settings)  # compiles
            rises.append(rise_of_memory(functools.partial(size.estimate, 0, settings)))
        for turn in range(turns):
            seconds.append([])
            for size in sizes:
                began = time.process_time()
                size.estimate(turn, settings)
                seconds[-1].append(time.process_time() - began)
    return np.array(seconds), rises


def rise_of_memory(function: Callable[[], object]) -> int | None:
    """Call a function and return by how many bytes its process' resident memory rose at most.

    Free memory is given back before, and the system's mark of the peak is set back; both can be
    done on Linux, elsewhere the answer is None.
    """
    status = Path("/proc/self/status")
    mark = Path("/proc/self/clear_refs")
    if not (status.exists() and os.access(mark, os.W_OK)):
        function()
        return None
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    mark.write_text("5")  # see proc(5)
    before = _kilobytes(status, "VmRSS")
    function()
    return 1024 * (_kilobytes(status, "VmHWM") - before)


def _kilobytes(status: Path, name: str) -> int:
    """Read a number of /proc/self/status."""
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[name].split()[0])
