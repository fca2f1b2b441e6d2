"""What `growth` measures beside compiled programs: orders, checkpoints, and estimates."""

import functools
import resource
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax

import diffenc
from diffenc import compilation, training
from diffenc.keys import rng_of
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
        kernel = jax.random.normal(jax.random.key(0), (self.parameters,))
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
) -> tuple[np.ndarray, np.ndarray]:
    """Measure estimates, in a process of their own, of which the memory is that of estimates.

    Args:
        sizes: ascending.
        turns: of each.
        settings: of the estimates, see `diffenc.information.settings`.

    Returns:
        CPU seconds [turns, sizes]; and for each size, by how many bytes the resident memory of the
        process has grown from before the first estimate to its peak.
    """
    before = _peak_bytes()
    peaks = []
    seconds = []
    with compilation.cache():
        for size in sizes:
            size.estimate(0, settings)  # compiles
            peaks.append(_peak_bytes() - before)
        for turn in range(turns):
            seconds.append([])
            for size in sizes:
                began = time.process_time()
                size.estimate(turn, settings)
                seconds[-1].append(time.process_time() - began)
    return np.array(seconds), np.array(peaks)


def _peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
