"""Systems trained together against the same systems one after another, for each experiment.

    python -m experiments.benchmarks.groups --config=configs/benchmarks/groups.py --workdir=DIR

A program is what the seeds of a method share. For each size of a group, as many seeds are trained
by `advance`, as every experiment trains them: all in one dispatch, and one dispatch after another.
The two take turns, and the ratio of their times is taken turn by turn. Beside it stand the seconds
to the first step, where nothing is found compiled, and the temporary memory of the compiled
program. A run that is stopped starts anew, because only times of one run can be compared.
"""

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import compilation
from diffenc.errors import check, check_choice, check_least, check_positive
from diffenc.estimate import median
from diffenc.run import figures, parallel, records, tables
from diffenc.run.advance import compile_updates, make_advance
from diffenc.run.tables import Result
from experiments import command_line
from experiments.benchmarks.report import MARKERS
from experiments.benchmarks.trainings import SEVERAL, Systems

WAYS = ("alone", "together")  # one system after another; all in one dispatch
COLUMNS = {
    "alone.time": "alone [ms]",
    "together.time": "together [ms]",
    "gain": "alone / together",
    "alone.first_step": "first step alone [s]",
    "together.first_step": "first step together [s]",
    "alone.memory": "memory alone [MB]",
    "together.memory": "memory together [MB]",
}


@dataclass(frozen=True)
class Benchmark:
    """The config, beside the configs of the experiments.

    Attributes:
        rows: of `trainings.SEVERAL`.
        sizes: systems of a group.
        turns: of every size, alone and together.
        turn_seconds: after which a turn ends.
        updates: of each system in a dispatch.
    """

    rows: tuple[str, ...]
    sizes: tuple[int, ...]
    turns: int
    turn_seconds: float
    updates: int

    def __post_init__(self):
        check(bool(self.rows), "rows", self.rows, "name one or more")
        for name in self.rows:
            check_choice("rows", name, tuple(SEVERAL))
        holds = bool(self.sizes) and min(self.sizes) >= 2
        check(holds, "sizes", self.sizes, "give numbers of 2 or more, one or more")
        check_least(self, 2, "turns")
        check_least(self, 1, "updates")
        check_positive(self, "turn_seconds")


class Measured(NamedTuple):
    """Systems that were trained in one of two ways.

    Attributes:
        first_step: seconds of tracing, compiling and making the first updates of all systems.
        memory: temporary bytes of the compiled program; None where they are not told.
        seconds: of an update of each system, in each turn [turns].
    """

    first_step: float
    memory: int | None
    seconds: np.ndarray


class Contender:
    """Systems in training, that go on where they stopped."""

    def __init__(self, systems: Systems, names: list[Hashable], way: str, updates: int):
        """Take systems, of whose states copies are used.

        Args:
            systems: of an experiment.
            names: of those that are trained.
            way: of `WAYS`.
            updates: of each of them in a dispatch.
        """
        self._mesh = parallel.data_mesh(1)
        # for ever, whatever the config says
        self._trainees = {name: systems.trainees[name]._replace(num_updates=None) for name in names}
        self._states = parallel.replicate(
            self._mesh, {name: jax.tree.map(jnp.copy, systems.states[name]) for name in names}
        )
        self._batch_size = systems.batch_size
        self._updates = updates
        self._at_once = len(names) if way == "together" else 1
        self._advance = make_advance(self._trainees, self._mesh, self._batch_size, self._at_once)
        self._step = 0

    def start(self) -> tuple[float, int | None]:
        """Make the first dispatch, nothing of which is found compiled.

        Returns:
            Its seconds and the temporary bytes of the program.
        """
        with compilation.without_cache():
            began = time.perf_counter()
            _, compiled, _ = compile_updates(
                self._trainees,
                self._states,
                next(iter(self._trainees)),
                self._mesh,
                self._batch_size,
                self._updates,
                self._at_once,
            )
            self.call()
            seconds = time.perf_counter() - began
        memory = compiled.memory_analysis()
        return seconds, None if memory is None else memory.temp_size_in_bytes

    def call(self) -> None:
        """Make the next updates of every system; `advance` waits for the last."""
        self._states, _ = self._advance(self._states, self._step, self._updates)
        self._step += self._updates

    def seconds(self, least: float) -> float:
        """Train until `least` seconds have passed; returns those of an update of each system."""
        began = time.perf_counter()
        before = self._step
        while self._step == before or time.perf_counter() - began < least:
            self.call()
        made = (self._step - before) * len(self._trainees)
        return (time.perf_counter() - began) / made


def run(config: ConfigDict, workdir: Path) -> None:
    """Time all programs; running it again prints the results of the finished run."""
    settings = command_line.read(Benchmark, config, "benchmark")
    if command_line.is_complete(config, workdir):
        return
    rows: list[Result] = []
    for name in settings.rows:
        section = command_line.read_field(config, f"experiments.{name}")
        for size in settings.sizes:
            # Made twice, so that neither way finds anything of the other traced.
            systems = {way: make_systems(name, section, size) for way in WAYS}
            for program in systems["alone"].names:
                group = f"{name}.{program}.size{size}"
                rows += rows_of(group, measure(group, systems, program, settings))
    tables.write_results(workdir, rows)
    draw(workdir, settings.sizes, rows)
    print_groups(rows)
    print(f"figures: {workdir / 'figures'}")


def make_systems(name: str, section: ConfigDict, num_seeds: int) -> Systems:
    """Make the systems of an experiment, so many seeds of each.

    Args:
        name: of `trainings.SEVERAL`.
        section: the config of the experiment.
        num_seeds: in place of the config's.
    """
    section = section.copy_and_resolve_references()
    section.num_seeds = num_seeds
    return SEVERAL[name](section)


def measure(
    group: str, systems: dict[str, Systems], program: str, settings: Benchmark
) -> dict[str, Measured]:
    """Train the systems of a program in both ways, which take turns.

    Args:
        group: its name.
        systems: of the experiment, by the name of `WAYS`.
        program: which of theirs.
        settings: of the turns.

    Returns:
        What was measured, by the name of `WAYS`.
    """
    running = {}
    firsts = {}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with records.progress(settings.turns, description=group) as show:
        for way, of_way in systems.items():
            running[way] = Contender(of_way, of_way.names[program], way, settings.updates)
            firsts[way] = running[way].start()
        for turn in range(settings.turns):
            # They begin in turn, because the first of a turn may find the machine otherwise.
            for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
                seconds[way].append(running[way].seconds(settings.turn_seconds))
            show(turn + 1)
    return {way: Measured(*firsts[way], np.array(seconds[way])) for way in WAYS}


def rows_of(name: str, measured: dict[str, Measured]) -> list[Result]:
    """Report a group: medians over turns with their standard errors, the ratio turn by turn.

    Args:
        name: of program and size.
        measured: by the name of `WAYS`.
    """
    rows = []
    for way, one in measured.items():
        rows.append(Result(f"{name}.{way}.time", *median(1e3 * one.seconds), "ms"))
        rows.append(Result(f"{name}.{way}.first_step", one.first_step, None, "s"))
        if one.memory is not None:
            rows.append(Result(f"{name}.{way}.memory", one.memory / 1e6, None, "MB"))
    gain = median(measured["alone"].seconds / measured["together"].seconds)
    return [*rows, Result(f"{name}.gain", *gain, "of one after another")]


def print_groups(rows: list[Result]) -> None:
    """Print a row for each group."""
    cells: dict[str, dict[str, tuple]] = {}
    for row in rows:
        group, column = split(row.name)
        cells.setdefault(group, {})[column] = (row.value, row.stderr)
    table = [[of_group.get(column) for column in COLUMNS] for of_group in cells.values()]
    title = "an update of each system, one after another and together"
    tables.print_matrix(title, list(cells), list(COLUMNS.values()), table)


def split(name: str) -> tuple[str, str]:
    """Split the name of a result into its group and its column."""
    column = next(column for column in COLUMNS if name.endswith(f".{column}"))
    return name.removesuffix(f".{column}"), column


def draw(workdir: Path, sizes: tuple[int, ...], rows: list[Result]) -> None:
    """Draw the gain over the size of the group, a line for each program.

    Args:
        workdir: of the run.
        sizes: of groups.
        rows: of `rows_of`.
    """
    gains = {split(row.name)[0]: row for row in rows if row.name.endswith(".gain")}
    programs = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in gains))
    fig, axes = figures.figure(width=6.6, height=3.6)
    ax = axes[0, 0]
    ax.axhline(1.0, color="#000000", linewidth=0.8)
    for index, program in enumerate(programs):
        of_program = [gains[f"{program}.size{size}"] for size in sizes]
        ax.errorbar(
            sizes,
            [row.value for row in of_program],
            [row.stderr for row in of_program],
            fmt=f"{MARKERS[index % len(MARKERS)]}-",
            color=figures.PALETTE[index % (len(figures.PALETTE) - 1)],
            markersize=5,
            label=program.replace("_", " "),
        )
    ax.set(xscale="log")
    figures.log_ticks(ax, sizes)
    figures.label(ax, "systems in a dispatch", "time one after another / together")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figures.save(fig, workdir, "groups")


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
