"""How time and memory grow with sizes: exponents with standard errors, beside those of theory.

    python -m experiments.benchmarks.growth --config=configs/benchmarks/growth.py --workdir=DIR

growth_programs, growth_denoisers, growth_hosts: what is measured. virtual_devices: programs over
several devices. growth_fits: exponents. growth_figures: pictures.

The sizes of a sweep take turns, so a busy machine slows all of them. On CPUs time is that of the
CPU which the process used, and other processes do not count. A run that is stopped goes on with the
sweep at which it was.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check, check_least, check_positive
from diffenc.estimate import median
from diffenc.information.settings import Settings as InformationSettings
from diffenc.run import files, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.benchmarks import (
    growth_denoisers,
    growth_figures,
    growth_hosts,
    growth_programs,
    virtual_devices,
)
from experiments.benchmarks.growth_fits import LEAST_POINTS, power_law
from experiments.benchmarks.virtual_devices import Exchange
from experiments.command_line import read_field

PROGRAMS = {
    "encoder_update": growth_programs.EncoderUpdate,
    "unet_update": growth_denoisers.UNetUpdate,
    "attending_unet_update": growth_denoisers.UNetUpdate,
    "mlp_update": growth_denoisers.MLPUpdate,
    "sampling": growth_denoisers.Sampling,
    "encoding": growth_programs.Encoding,
    "bound": growth_programs.Bound,
    "annealing": growth_programs.Annealing,
    "information": growth_hosts.Information,
    "order": growth_hosts.Order,
    "checkpoint": growth_hosts.Checkpoint,
}


class Law(NamedTuple):
    """What theory expects of a sweep at large sizes: exponents of time and of memory."""

    time: float
    memory: float | None


# Written before anything was measured. Memory is that of activations, where those of parameters are
# fewer; a loop uses its memory again at each turn.
LAWS = {
    ("encoder_update", "batch"): Law(1, 1),
    # a Newton step differentiates the decoder along each of d axes
    ("encoder_update", "latent_dim"): Law(1, 1),
    ("encoder_update", "width"): Law(2, 1),
    ("encoder_update", "chain_steps"): Law(1, 0),
    ("encoder_update", "proposals"): Law(1, 1),
    ("unet_update", "side"): Law(2, 2),
    ("unet_update", "width"): Law(2, 1),
    ("attending_unet_update", "side"): Law(4, 4),  # each pixel attends to all
    ("mlp_update", "width"): Law(2, 2),
    ("mlp_update", "dim"): Law(1, 1),
    ("sampling", "steps"): Law(1, 0),
    ("sampling", "draws"): Law(1, 1),
    ("encoding", "examples"): Law(1, None),
    ("encoding", "steps"): Law(1, None),
    ("bound", "samples"): Law(1, 0),
    ("annealing", "chains"): Law(1, 1),
    ("annealing", "temperatures"): Law(1, 0),
    ("order", "examples"): Law(1, 1),
    ("checkpoint", "parameters"): Law(1, 1),
    ("information", "rows"): Law(1, 1),
    ("information", "columns"): Law(1, 1),
}
DIVIDED = ("encoder_update",)  # programs of which the exchange of devices is counted


@dataclass(frozen=True)
class Growth:
    """How sizes are measured.

    Attributes:
        turns: of each size.
        estimates: turns of each size of `information`, which take longest.
        least_seconds: a program of less is run several times in a turn.
        fitted: how many of the largest sizes are fitted.
        devices: over which updates are divided; () for none.
    """

    turns: int
    estimates: int
    least_seconds: float
    fitted: int
    devices: tuple[int, ...]

    def __post_init__(self):
        check_least(self, 2, "turns", "estimates")
        check_least(self, LEAST_POINTS, "fitted")
        check_positive(self, "least_seconds")
        check_sizes("devices", self.devices)


class Points(NamedTuple):
    """What was measured of a sweep.

    Attributes:
        sizes: [n], ascending.
        seconds: [turns, n].
        flops: [n]; None where they are not counted.
        num_bytes: [n]; None where they are not known.
    """

    sizes: tuple[int, ...]
    seconds: np.ndarray
    flops: np.ndarray | None
    num_bytes: np.ndarray | None


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Raise an InputError unless sizes can be fitted, or there are none."""
    holds = not sizes or (len(sizes) >= LEAST_POINTS and sizes[0] >= 1)
    remedy = f"give {LEAST_POINTS} whole numbers or more, ascending; () to leave it out"
    ascend = all(low < high for low, high in zip(sizes, sizes[1:], strict=False))
    check(holds and ascend, name, tuple(sizes), remedy)


def run(config: ConfigDict, workdir: Path) -> None:
    """Measure all sweeps, fit them, and draw them; running it again prints the results."""
    settings = command_line.read(Growth, config)
    estimates = read_field(config, "estimator").to_dict()
    with command_line.naming(**{name: f"estimator.{name}" for name in estimates}):
        InformationSettings.from_dict(estimates)
    sweeps = read_sweeps(config)
    if command_line.is_complete(config, workdir):
        return
    points = read_points(workdir)
    with records.progress(len(sweeps), len(points), description="sweeps") as show:
        for name, programs in sweeps.items():
            if name in points:
                continue
            if name[0] == "information":
                points[name] = measure_estimates(programs, settings.estimates, estimates)
            else:
                points[name] = measure(programs, settings)
            write_points(workdir, points)
            show(len(points), ".".join(name))
    exchanges = {}
    if settings.devices:
        bases = {name: read_program(config, name) for name in DIVIDED}
        exchanges = virtual_devices.call(max(settings.devices), divide, bases, settings.devices)
    results = summarize(points, exchanges, settings.fitted)
    growth_figures.draw(workdir, points, LAWS, settings.fitted)
    growth_figures.draw_exchanges(workdir, exchanges)
    tables.write_results(workdir, results)
    exponents = [one for one in results if one.name.endswith("exponent")]
    tables.print_table(exponents, title="growth; the truth is what theory expects")


def read_program(config: ConfigDict, name: str, **values):
    """Read the sizes of a program.

    Args:
        config: the whole config.
        name: of the program.
        **values: sizes that are given already.
    """
    kind = PROGRAMS[name]
    sizes = {field.name: read_field(config, f"{name}.{field.name}", int) for field in fields(kind)}
    with command_line.naming(**{one: f"{name}.{one}" for one in sizes}):
        return kind(**(sizes | values))


def read_sweeps(config: ConfigDict) -> dict[tuple[str, str], dict[int, Any]]:
    """Read the programs of each sweep, by their size; those without sizes are left out."""
    sweeps = {}
    for name, axis in LAWS:
        field = f"sweeps.{name}.{axis}"
        sizes = tuple(read_field(config, field, tuple[int, ...]))
        check_sizes(f"config field {field}", sizes)
        base = read_program(config, name)
        if sizes:
            with command_line.naming(**{axis: field}):
                sweeps[name, axis] = {size: replace(base, **{axis: size}) for size in sizes}
    return sweeps


def write_points(workdir: Path, points: dict[tuple[str, str], Points]) -> None:
    """Keep what is measured so far in workdir/points.json, from which a stopped run goes on."""
    rows = []
    for name, one in points.items():
        arrays = [None if values is None else values.tolist() for values in one[1:]]
        rows.append([name, one.sizes, *arrays])
    files.write(workdir / "points.json", lambda temporary: temporary.write_text(json.dumps(rows)))


def read_points(workdir: Path) -> dict[tuple[str, str], Points]:
    """Read what `write_points` kept; nothing where a run begins."""
    path = workdir / "points.json"
    points = {}
    for name, sizes, *arrays in json.loads(path.read_text()) if path.exists() else ():
        seconds, flops, num_bytes = [
            None if values is None else np.array(values) for values in arrays
        ]
        points[tuple(name)] = Points(tuple(sizes), np.asarray(seconds), flops, num_bytes)
    return points


def measure(programs: dict[int, Any], settings: Growth) -> Points:
    """Time a sweep of programs, which take turns.

    Args:
        programs: by size, ascending.
        settings: how.
    """
    made = [program.make() for program in programs.values()]
    calls = []
    for program in made:
        program.run()  # the first run reads what later ones find at hand
        calls.append(int(np.ceil(settings.least_seconds / max(program.run(), 1e-6))))
    seconds = []
    for _ in range(settings.turns):
        pairs = zip(made, calls, strict=True)
        seconds.append([np.mean([program.run() for _ in range(count)]) for program, count in pairs])
    return Points(
        tuple(programs),
        np.array(seconds),
        _known([program.flops for program in made]),
        _known([program.temporary_bytes for program in made]),
    )


def _known(values: list) -> np.ndarray | None:
    """Give values as an array; None where one is not known, or nothing."""
    return np.array(values, float) if all(values) else None


def measure_estimates(programs: dict[int, Any], turns: int, settings: dict) -> Points:
    """Time a sweep of estimates of information in a process of its own.

    Args:
        programs: by size, ascending.
        turns: of each.
        settings: of the estimates.
    """
    seconds, rises = virtual_devices.call(
        1,
        growth_hosts.measure_information,
        list(programs.values()),
        turns,
        settings,
        is_timed=True,
    )
    return Points(tuple(programs), seconds, None, _known(rises))


def divide(bases: dict[str, Any], devices: tuple[int, ...]) -> dict[str, dict[int, Exchange]]:
    """Compile updates over several numbers of devices, and read what they exchange.

    Args:
        bases: programs by name, which have `training`.
        devices: how many.
    """
    exchanges = {}
    for name, base in bases.items():
        trained = base.training()
        trainee, state = trained.on(parallel.data_mesh(1))
        batch = len(trained.examples)
        exchanges[name] = {
            count: virtual_devices.exchange(trainee, state, count, batch) for count in devices
        }
    return exchanges


def summarize(
    points: dict[tuple[str, str], Points],
    exchanges: dict[str, dict[int, Exchange]],
    num_points: int,
) -> list[Result]:
    """Report all exponents, then all points.

    Args:
        points: of each sweep.
        exchanges: of each program that was divided, by the number of devices.
        num_points: how many of the largest sizes are fitted.
    """
    exponents = []
    rows = []
    for (name, axis), one in points.items():
        law = LAWS[name, axis]
        sizes = one.sizes
        label = f"{name}.{axis}"
        fit = power_law(sizes, one.seconds, num_points)
        exponents.append(Result(f"{label}.time_exponent", *fit.exponent, "", law.time))
        times = [median(1e3 * values) for values in one.seconds.T]
        rows += [
            Result(f"{label}={size}.time", *value, "ms")
            for size, value in zip(sizes, times, strict=True)
        ]
        counts = {
            "operations_exponent": (one.flops, 1e9, "GFLOP", law.time),
            "memory_exponent": (one.num_bytes, 1e6, "MB", law.memory),
        }
        for exponent, (values, unit_size, unit, expected) in counts.items():
            if values is None:
                continue
            quantity = exponent.removesuffix("_exponent")
            fit = power_law(sizes, values[None], num_points)
            exponents.append(Result(f"{label}.{exponent}", *fit.exponent, "", expected))
            rows += [
                Result(f"{label}={size}.{quantity}", value / unit_size, None, unit)
                for size, value in zip(sizes, values, strict=True)
            ]
    for name, by_count in exchanges.items():
        flops = [[one.flops for one in by_count.values()]]
        fit = power_law(list(by_count), flops, len(by_count))
        exponents.append(Result(f"{name}.devices.share_exponent", *fit.exponent, "", -1.0))
        for count, one in by_count.items():
            label = f"{name}.devices={count}"
            rows.append(Result(f"{label}.summed", one.summed_bytes / 1e6, None, "MB"))
            rows.append(Result(f"{label}.sums", one.sums, None, "an update"))
            rows.append(Result(f"{label}.sent_beside", one.other_bytes / 1e6, None, "MB"))
            rows.append(Result(f"{label}.share", one.flops / 1e9, None, "GFLOP"))
    return exponents + rows


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
