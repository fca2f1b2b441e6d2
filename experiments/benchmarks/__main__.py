"""What every experiment's update costs, against the limits of the machine: one table.

    python -m experiments.benchmarks --config=configs/benchmarks/table.py --workdir=DIR

A row is an update of an experiment that trains, made from a config of that experiment by its own
functions: operations and bytes by the compiler's analysis with loops counted, time, the share that
the machine's limits alone would take of it, time to the first step, and compilations. Beside them
stand encodings and samples a second by number of steps, with what few steps lose. All programs take
turns in one process, so a busy machine slows all; ratios are taken turn by turn. A run that is
stopped starts anew, because only times of one run can be compared.

programs: a program, its first call, its turns. trainings: the updates. sampling: encodings and
samples. report: results, table and figures.
"""

from dataclasses import dataclass

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check, check_choice, check_least, check_positive
from diffenc.run import peaks as limits
from diffenc.run import records, tables
from experiments import command_line
from experiments.benchmarks import report, sampling
from experiments.benchmarks.programs import Program, start
from experiments.benchmarks.trainings import GROUPS

PURPOSES = ("encoder", "sampler")
PEAK_WORK = 2**31  # operations of the products of one side that are timed


@dataclass(frozen=True)
class Benchmark:
    """The config, beside the configs of the experiments.

    Attributes:
        rows: groups of `trainings.GROUPS`, and "encoder" and "sampler".
        turns: of every program.
        turn_seconds: after which a program's turn ends.
        updates: in a call of a program.
        steps: of the encoder and of the sampler.
        encoder_updates: of the encoder that is measured.
        draws: samples that the sampler's loss is measured on.
        peak_sides: of the matrices whose fastest product is the machine's peak.
    """

    rows: tuple[str, ...]
    turns: int
    turn_seconds: float
    updates: int
    steps: tuple[int, ...]
    encoder_updates: int
    draws: int
    peak_sides: tuple[int, ...]

    def __post_init__(self):
        check(bool(self.rows), "rows", self.rows, "name one or more")
        for name in self.rows:
            check_choice("rows", name, (*GROUPS, *PURPOSES))
        holds = bool(self.steps) and min(self.steps) >= 1
        check(holds, "steps", self.steps, "give numbers of 1 or more, one or more")
        holds = bool(self.peak_sides) and min(self.peak_sides) >= 1
        check(holds, "peak_sides", self.peak_sides, "give numbers of 1 or more, one or more")
        check_least(self, 2, "turns", "draws")
        check_least(self, 1, "updates", "encoder_updates")
        check_positive(self, "turn_seconds")


def run(config: ConfigDict, workdir: Path) -> None:
    """Time all programs; running it again prints the results of the finished run."""
    settings = command_line.read(Benchmark, config, "benchmark")
    if command_line.is_complete(config, workdir):
        return
    programs, losses = make_programs(config, settings)
    running, firsts = {}, {}
    with records.progress(len(programs), description="first calls") as show:
        for done, (name, program) in enumerate(programs.items()):
            show(done, name)
            running[name], firsts[name] = start(program)
        show(len(programs))
    seconds, peaks = take_turns(settings, running, workdir)
    measured = {name: report.Measured(firsts[name], seconds[name]) for name in programs}
    updates = {name: one for name, one in measured.items() if ".steps" not in name}
    rows = []
    for name, one in updates.items():
        rows += report.rows_of(name, one, peaks)
    others = report.rows_of_machine(peaks) + report.rows_of_ratios(updates)
    for purpose, of_steps in losses.items():
        timed = {number: measured[f"{purpose}.steps{number}"] for number in of_steps}
        others += report.rows_of_steps(purpose, timed, of_steps)
    if updates:
        report.draw_roofline(workdir, updates, peaks)
        report.print_updates(list(updates), rows)
    if losses:
        report.draw_steps(workdir, others, {name: tuple(one) for name, one in losses.items()})
    tables.write_results(workdir, rows + others)
    tables.print_table(others, title="the machine, ratios and steps")
    print(f"figures: {workdir / 'figures'}")


def make_programs(config: ConfigDict, settings: Benchmark) -> tuple[dict[str, Program], dict]:
    """Make every program of the rows, by name, and measure what few steps lose.

    Args:
        config: the whole config.
        settings: its section.

    Returns:
        The programs, and {purpose: {steps: {quantity: its mean}}}.
    """
    programs: dict[str, Program] = {}
    losses = {}
    with records.progress(len(settings.rows), description="making") as show:
        for done, group in enumerate(settings.rows):
            show(done, group)
            of_group = command_line.read_field(config, f"experiments.{group}")
            if group in GROUPS:
                made = GROUPS[group](of_group, settings.updates)
                programs |= {f"{group}.{name}": program for name, program in made.items()}
                continue
            if group == "encoder":
                made, lost = sampling.encodings(of_group, settings.steps, settings.encoder_updates)
            else:
                made, lost = sampling.samples(of_group, settings.steps, settings.draws)
            programs |= {f"{group}.steps{number}": program for number, program in made.items()}
            losses[group] = lost
        show(len(settings.rows))
    return programs, losses


def take_turns(settings: Benchmark, running: dict, workdir: Path) -> tuple[dict, report.Peaks]:
    """Time every program in every turn, and the machine between them.

    Args:
        settings: of the turns.
        running: the programs.
        workdir: of the metrics.

    Returns:
        Seconds of one piece of work {name: [turns]}, and the machine's limits.
    """
    seconds: dict[str, list[float]] = {name: [] for name in running}
    matrix = []
    cached = []
    with (
        records.MetricsWriter(workdir) as writer,
        records.progress(settings.turns, description="turns") as show,
    ):
        for turn in range(settings.turns):
            for name, one in running.items():
                seconds[name].append(one.seconds(settings.turn_seconds))
            matrix.append(max(map(_matrix_peak, settings.peak_sides)))
            cached.append(limits.copy_peak(limits.CACHED_BYTES))
            metrics = {f"{name}.ms": 1e3 * values[-1] for name, values in seconds.items()}
            writer.write(turn + 1, matrix_peak=matrix[-1], cached_copy_peak=cached[-1], **metrics)
            show(turn + 1)
    memory = limits.copy_peak(limits.MEMORY_BYTES)
    peaks = report.Peaks(np.array(matrix), np.array(cached), memory)
    return {name: np.array(values) for name, values in seconds.items()}, peaks


def _matrix_peak(side: int) -> float:
    return limits.matrix_peak(side, products=max(1, PEAK_WORK // (2 * side**3)))


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
