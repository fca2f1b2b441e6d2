"""How long an update takes: the alternation against a VAE, and their shares of the machine's peak.

    python -m experiments.benchmarks.update_time --config=configs/benchmarks/update_time.py \
        --workdir=DIR

Both systems are timed in turn within one run, so that a busy machine slows both; compare the ratio,
not the times.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from jax.extend.core import jaxprs_in_params
from ml_collections import ConfigDict

from diffenc.errors import check_positive
from diffenc.estimate import median
from diffenc.keys import key_of, rng_of
from diffenc.latent import systems
from diffenc.run import data, figures, records, tables
from diffenc.run.order import batch_indices
from diffenc.run.tables import Result
from experiments import command_line
from experiments.diffusion_encoder.__main__ import make_systems
from experiments.diffusion_encoder.examples import make_scaling
from experiments.diffusion_encoder.settings import read_experiment


@dataclass(frozen=True)
class Benchmark:
    """The section benchmark of the config.

    Attributes:
        repeats: turns of timing.
        updates: of each system in a turn.
    """

    repeats: int
    updates: int

    def __post_init__(self):
        check_positive(self, "repeats", "updates")


def run(config: ConfigDict, workdir: Path) -> None:
    """Time both systems on random bits of the size of MNIST."""
    experiment = read_experiment(config)
    benchmark = command_line.read(Benchmark, config, "benchmark")
    if command_line.is_complete(config, workdir):
        return
    seed = experiment.training.seed
    batch_size = experiment.training.batch_size
    pixels = rng_of(seed, "pixels").integers(0, 256, (1024, 28, 28, 1), dtype=np.uint8)
    dataset = data.Dataset("noise", pixels, pixels[:100], None, None, 255.0)
    scaling = make_scaling(experiment.model.decoder, dataset)
    prepare = scaling.prepare
    rows = batch_indices(seed, 0, benchmark.updates, batch_size, len(pixels))
    key = key_of(seed, "training")
    flops = {}
    advances = {}
    for name, system in make_systems(experiment, dataset, scaling).items():
        advances[name] = make_repeated(key, system, prepare, pixels, rows)
        flops[name] = matmul_flops_of(system, prepare, pixels[:batch_size])
    times: dict[str, list[float]] = {name: [] for name in advances}
    peaks = []
    with records.progress(benchmark.repeats, description="timing") as show:
        for turn in range(benchmark.repeats):
            for name, advance in advances.items():
                times[name].append(advance() / benchmark.updates)
            peaks.append(matmul_peak())
            parts = [f"{name} {1e3 * values[-1]:.1f} ms" for name, values in times.items()]
            show(turn + 1, ", ".join(parts))
    results = summarize(times, flops, np.array(peaks))
    draw(workdir, times)
    tables.write_results(workdir, results)
    tables.print_table(results, title="time per update")


def make_repeated(
    key, system: systems.System, prepare: Callable, examples: np.ndarray, rows: np.ndarray
) -> Callable[[], float]:
    """Make a function that makes some updates and returns their seconds; it is compiled first.

    Args:
        key: of the noise.
        system: whose updates.
        prepare: that of a `Scaling`.
        examples: the data [n, ...].
        rows: which of them each update takes [updates, batch].
    """
    run_updates = systems.make_run_updates(system, prepare)
    arrays = systems.examples_of(system, jnp.asarray(examples), jnp.arange(len(examples)))
    rows = jnp.asarray(rows)
    state = run_updates(jax.tree.map(jnp.copy, system.state), key, arrays, rows)[0]

    def advance():
        nonlocal state
        began = time.perf_counter()
        state = jax.block_until_ready(run_updates(state, key, arrays, rows)[0])
        return time.perf_counter() - began

    return advance


def matmul_flops_of(system: systems.System, prepare: Callable, examples: np.ndarray) -> float:
    """Count the operations of the matrix products of one update.

    Args:
        system: whose update.
        prepare: that of a `Scaling`.
        examples: a batch of the data [batch, ...].
    """
    key_prepare, key_update = jax.random.split(key_of(0, "operations"))  # any will do
    x = prepare(key_prepare, jnp.asarray(examples))
    batch = systems.examples_of(system, x, jnp.arange(len(x)))
    return matmul_flops(jax.make_jaxpr(system.update)(system.state, key_update, batch).jaxpr)


def matmul_flops(jaxpr) -> float:
    """Count the operations of all matrix products of a jaxpr, loops as often as they turn."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            inner = np.prod([shape[axis] for axis in contracted], dtype=float)
            total += 2 * inner * np.prod(equation.outvars[0].aval.shape, dtype=float)
        turns = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner_jaxpr in jaxprs_in_params(equation.params):
            total += turns * matmul_flops(inner_jaxpr)
    return total


def matmul_peak(size: int = 2048) -> float:
    """Measure the operations a second of a large matrix product in float32."""
    a = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    began = time.perf_counter()
    for _ in range(5):
        a_next = product(a, a)
    a_next.block_until_ready()
    return 5 * 2 * size**3 / (time.perf_counter() - began)


def summarize(times, flops, peaks) -> list[Result]:
    """Take medians with their standard errors; ratios are taken turn by turn.

    Args:
        times: {name: seconds of an update [repeats]}.
        flops: {name: operations of the matrix products of an update}.
        peaks: operations a second of a large matrix product [repeats].
    """
    results = []
    for name, values in times.items():
        results.append(Result(f"{name}.update_time", *median(1e3 * np.array(values)), "ms"))
        results.append(Result(f"{name}.matrix_flops", flops[name] / 1e9, None, "GFLOP an update"))
        share = flops[name] / np.array(values) / peaks
        results.append(
            Result(f"{name}.peak_share", *median(100 * share), "% of the matrix-product peak")
        )
    if "vae" in times:
        ratio = np.array(times["diffusion_encoder"]) / np.array(times["vae"])
        results.append(Result("diffusion_encoder.update_time_ratio", *median(ratio), "VAE updates"))
    results.append(Result("machine.matrix_peak", *median(peaks / 1e9), "GFLOP/s"))
    return results


def draw(workdir, times) -> None:
    """Draw the time of an update over the turns, into workdir/figures."""
    fig, axes = figures.figure()
    for name, values in times.items():
        axes[0, 0].plot(
            1 + np.arange(len(values)), 1e3 * np.array(values), "o-", label=name.replace("_", " ")
        )
    axes[0, 0].set_ylim(bottom=0)
    figures.label(axes[0, 0], "turn", "time per update [ms]", legend=True)
    figures.save(fig, workdir, "update_time")


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
