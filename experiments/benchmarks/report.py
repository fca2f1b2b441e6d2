"""What the table says: results by name, the table itself, and the roofline of the figure."""

from typing import NamedTuple

import numpy as np
from etils.epath import Path

from diffenc.estimate import Estimate, median
from diffenc.run import figures, tables
from diffenc.run.tables import Result
from experiments.benchmarks.programs import First

COLUMNS = {
    "flops": "GFLOP",
    "megabytes": "MB",
    "time": "ms",
    "limit_share": "% of the limit",
    "first_step": "first step [s]",
    "compilations": "compilations",
}
MADE = {"encoder": "encodings", "sampler": "samples"}
MARKERS = "osD^vP*Xph<>"


class Peaks(NamedTuple):
    """The limits of the machine.

    Attributes:
        matrix: operations a second of products of matrices, in each turn [turns].
        cached: bytes a second of copies that stay in a cache, in each turn [turns].
        memory: bytes a second of copies that do not, once.
    """

    matrix: np.ndarray
    cached: np.ndarray
    memory: float


class Measured(NamedTuple):
    """A program that was timed.

    Attributes:
        first: its first call.
        seconds: of one piece of work in each turn [turns].
    """

    first: First
    seconds: np.ndarray

    def least_seconds(self, peaks: Peaks) -> np.ndarray:
        """Give what the limits alone would take, in each turn [turns]."""
        work = self.first.work
        return np.maximum(work.flops / peaks.matrix, work.num_bytes / peaks.cached)


def rows_of(name: str, measured: Measured, peaks: Peaks) -> list[Result]:
    """Report a program: medians over turns with their standard errors, ratios turn by turn.

    Args:
        name: of the program.
        measured: what was timed.
        peaks: of the machine.
    """
    first = measured.first
    share = 100 * measured.least_seconds(peaks) / measured.seconds
    return [
        Result(f"{name}.flops", first.work.flops / 1e9, None, "GFLOP"),
        Result(f"{name}.megabytes", first.work.num_bytes / 1e6, None, "MB"),
        Result(f"{name}.time", *median(1e3 * measured.seconds), "ms"),
        Result(f"{name}.limit_share", *median(share), "% of the limit"),
        Result(f"{name}.first_step", first.seconds, None, "s"),
        Result(f"{name}.compilations", first.compilations, None, "programs"),
        Result(f"{name}.later_compilations", first.later_compilations, None, "programs", 0),
    ]


def rows_of_ratios(measured: dict[str, Measured]) -> list[Result]:
    """Report the alternating updates in updates of the VAE of the same run."""
    vae = measured.get("diffusion_encoder.vae")
    rows = []
    for method in ("importance", "langevin", "iwae"):
        one = measured.get(f"diffusion_encoder.{method}")
        if one is not None and vae is not None:
            ratio = median(one.seconds / vae.seconds)
            rows.append(Result(f"diffusion_encoder.{method}.time_ratio", *ratio, "VAE updates"))
    return rows


def rows_of_steps(
    purpose: str,
    of_steps: dict[int, Measured],
    losses: dict[int, dict[str, Estimate]],
) -> list[Result]:
    """Report how many a second are made by each number of steps, and what was lost.

    Args:
        purpose: "encoder" or "sampler".
        of_steps: what was timed.
        losses: of quantities.
    """
    rows = []
    for num_steps, measured in of_steps.items():
        name = f"{purpose}.steps{num_steps}"
        rows.append(Result(f"{name}.rate", *median(1 / measured.seconds), "1/s"))
        for quantity, estimate in losses[num_steps].items():
            unit = "nats" if quantity == "loss" else "of draws"
            truth = 0.0 if quantity == "loss" else None
            rows.append(Result(f"{name}.{quantity}", *estimate, unit, truth))
    return rows


def rows_of_machine(peaks: Peaks) -> list[Result]:
    """Report the limits of the machine."""
    return [
        Result("machine.matrix_peak", *median(peaks.matrix / 1e9), "GFLOP/s"),
        Result("machine.cached_copy_peak", *median(peaks.cached / 1e9), "GB/s"),
        Result("machine.memory_copy_peak", peaks.memory / 1e9, None, "GB/s"),
    ]


def print_updates(names: list[str], results: list[Result]) -> None:
    """Print a row for each program.

    Args:
        names: of the programs.
        results: theirs and others.
    """
    values = {result.name: (result.value, result.stderr) for result in results}
    cells = [[values[f"{name}.{column}"] for column in COLUMNS] for name in names]
    tables.print_matrix("an update of each experiment", names, list(COLUMNS.values()), cells)


def draw_roofline(workdir: Path, measured: dict[str, Measured], peaks: Peaks) -> None:
    """Draw operations a second over operations a byte, below the roofs of the machine.

    Args:
        workdir: of the run.
        measured: the programs.
        peaks: of the machine.
    """
    fig, axes = figures.figure(width=6.6, height=4.2)
    ax = axes[0, 0]
    intensity = {
        name: one.first.work.flops / one.first.work.num_bytes for name, one in measured.items()
    }
    matrix = float(np.median(peaks.matrix)) / 1e9
    cached = float(np.median(peaks.cached)) / 1e9
    low = 0.5 * min(matrix / cached, *intensity.values())
    span = np.geomspace(low, 2 * max(100.0, *intensity.values()), 200)
    for rate, style, label in (
        (cached, "-", "arrays in a cache"),
        (peaks.memory / 1e9, "--", "arrays in memory"),
    ):
        ax.plot(span, np.minimum(matrix, rate * span), style, color="#000000", label=label)
    groups = list(dict.fromkeys(name.split(".")[0] for name in measured))
    for index, group in enumerate(groups):
        names = [name for name in measured if name.split(".")[0] == group]
        speeds = [
            median(measured[name].first.work.flops / measured[name].seconds / 1e9) for name in names
        ]
        ax.errorbar(
            [intensity[name] for name in names],
            [speed.mean for speed in speeds],
            [speed.stderr for speed in speeds],
            fmt=MARKERS[index % len(MARKERS)],
            color=figures.PALETTE[index % (len(figures.PALETTE) - 1)],
            markersize=5,
            label=group.replace("_", " "),
        )
    ax.set(xscale="log", yscale="log")
    figures.log_labels(ax.xaxis)
    figures.log_labels(ax.yaxis)
    figures.label(ax, "operations for each byte", "operations a second [GFLOP/s]")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figures.save(fig, workdir, "roofline")


def draw_steps(workdir: Path, results: list[Result], steps: dict[str, tuple[int, ...]]) -> None:
    """Draw the loss over encodings or samples a second, a point for each number of steps.

    Args:
        workdir: of the run.
        results: of `rows_of_steps`.
        steps: numbers of steps, by purpose.
    """
    named = {result.name: result for result in results}
    fig, axes = figures.figure(1, len(steps))
    for ax, (purpose, numbers) in zip(axes[0], steps.items(), strict=True):
        rates = [named[f"{purpose}.steps{number}.rate"] for number in numbers]
        losses = [named[f"{purpose}.steps{number}.loss"] for number in numbers]
        ax.errorbar(
            [rate.value for rate in rates],
            [loss.value for loss in losses],
            [loss.stderr for loss in losses],
            [rate.stderr for rate in rates],
            fmt="o-",
        )
        for number, rate, loss in zip(numbers, rates, losses, strict=True):
            ax.annotate(
                # At its end the encoder's velocity is known to be zero.
                f"{2 * number - (purpose == 'encoder')}",
                (rate.value, loss.value),
                textcoords="offset points",
                xytext=(4, 4),
                fontsize=7,
            )
        ax.set(xscale="log", yscale="log")
        figures.log_labels(ax.xaxis)
        figures.label(ax, f"{MADE[purpose]} a second", "loss [nats]", "by evaluations")
    figures.save(fig, workdir, "steps")
