"""How long an update takes: the alternation against a VAE, and the share of the machine's
matrix-product peak.

    python -m experiments.benchmarks.update_time --config=configs/benchmarks/update_time.py --workdir=DIR

Both systems are timed in turn within one run, so that a busy machine slows both; compare the ratio,
not the times.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from jax.extend.core import jaxprs_in_params
from ml_collections import ConfigDict

from diffenc import training
from diffenc.keys import key_of, rng_of
from diffenc.latent.systems import median
from diffenc.run import data, figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.diffusion_encoder.__main__ import check, check_e_step, make_systems, prepare


def run(config: ConfigDict, workdir: Path) -> None:
    check(config)
    check_e_step(config)
    if command_line.is_complete(config, workdir):
        return
    pixels = rng_of(config.seed, "pixels").integers(0, 256, (1024, 28, 28, 1), dtype=np.uint8)
    dataset = data.Dataset("noise", pixels, pixels[:100], None, None, 255.0)
    systems = make_systems(config, dataset)
    make_x = prepare(config, dataset)
    times, flops = {name: [] for name in systems}, {}
    runs = {name: repeat(system, make_x, dataset, config) for name, system in systems.items()}
    for name, system in systems.items():
        x = jnp.zeros((config.batch_size, int(np.prod(dataset.example_shape))))
        update = jax.make_jaxpr(system.update)(system.state, key_of(config.seed, "training"), x)
        flops[name] = matmul_flops(update.jaxpr)
    peaks = []
    with records.progress(config.benchmark.repeats, description="timing") as show:
        for turn in range(config.benchmark.repeats):
            for name, advance in runs.items():
                times[name].append(advance() / config.benchmark.updates)
            peaks.append(matmul_peak())
            show(
                turn + 1,
                ", ".join(f"{name} {1e3 * values[-1]:.1f} ms" for name, values in times.items()),
            )
    results = summarize(times, flops, np.array(peaks))
    draw(workdir, times)
    tables.write_results(workdir, results)
    tables.print_table(results, title="time per update")


def repeat(system, make_x, dataset, config):
    """A function that makes config.benchmark.updates updates and returns their seconds; compiled on
    the way."""
    update = training.scan_updates(system.update, make_x)
    rows = jnp.asarray(
        data.batch_indices(
            config.seed, 0, config.benchmark.updates, config.batch_size, len(dataset.train)
        )
    )
    train, key = jnp.asarray(dataset.train), key_of(config.seed, "training")
    state = update(system.state, key, train, rows)[0]

    def advance():
        nonlocal state
        began = time.perf_counter()
        state = jax.block_until_ready(update(state, key, train, rows)[0])
        return time.perf_counter() - began

    return advance


def matmul_flops(jaxpr) -> float:
    """Floating-point operations of all matrix products of a jaxpr, loops counted as often as they
    turn."""
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
    """Floating-point operations a second of a large matrix product in float32."""
    a = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    began = time.perf_counter()
    for _ in range(5):
        a_next = product(a, a)
    a_next.block_until_ready()
    return 5 * 2 * size**3 / (time.perf_counter() - began)


def summarize(times, flops, peaks) -> list[Result]:
    """Medians with their standard errors; ratios turn by turn."""
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
    fig, axes = figures.figure()
    for name, values in times.items():
        axes[0, 0].plot(
            1 + np.arange(len(values)), 1e3 * np.array(values), "o-", label=name.replace("_", " ")
        )
    axes[0, 0].set_ylim(bottom=0)
    figures.label(axes[0, 0], "turn", "time per update [ms]", legend=True)
    figures.save(fig, workdir, "update_time")


if __name__ == "__main__":
    command_line.main(run)
