"""Mutual information of samples in nats, with its error.

    python -m experiments.mutual_information --config=configs/mutual_information/data.py \
        --config.data.path=xy.npz --workdir=DIR
    python -m experiments.mutual_information --config=configs/mutual_information/benchmark.py \
        --workdir=DIR

The samples are a user's own, or those of tasks whose truth is known. (Images and their labels:
experiments.labels.) Task by task: a run that was stopped goes on with the task it was at. One set
of settings serves every task.
"""

from collections.abc import Callable
from dataclasses import dataclass

from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import InputError, check, check_choice, check_least
from diffenc.information.benchmark.rivals import RIVALS
from diffenc.information.results.independence import LEAST_PERMUTATIONS
from diffenc.information.settings import Settings
from diffenc.run import records, tables
from diffenc.run.advance import dotted
from experiments import command_line
from experiments.mutual_information import figures
from experiments.mutual_information.columns import load_pairs, report_pairs, summarize_pairs
from experiments.mutual_information.measures import measure
from experiments.mutual_information.results import OWN, Record, notes, summarize
from experiments.mutual_information.samples import (
    DataSettings,
    Samples,
    draw_samples,
    known_tasks,
    load_samples,
    names_of,
)


@dataclass(frozen=True)
class Experiment:
    """The config.

    Attributes:
        seed: of samples and estimates.
        data: a user's file; without one, the tasks are estimated.
        tasks: names of tasks; choose and report stand for the halves of `beyond`.
        num_samples: samples of each task.
        rivals: names of the other estimators.
        estimator: settings of the estimate.
        metrics_extras: where else metrics are written.
        permutations: of the test of independence; 0 for none.
    """

    seed: int
    data: DataSettings
    tasks: tuple[str, ...]
    num_samples: int
    rivals: tuple[str, ...]
    estimator: Settings
    metrics_extras: tuple[str, ...]
    permutations: int = 0

    def __post_init__(self):
        check_least(self, 0, "seed")
        is_enough = isinstance(self.permutations, int) and self.permutations >= LEAST_PERMUTATIONS
        check(
            is_enough or self.permutations == 0,
            "permutations",
            self.permutations,
            f"give a whole number of {LEAST_PERMUTATIONS} or more, or 0 for no test",
        )
        for name in self.rivals:
            check_choice("rivals", name, RIVALS)
        if self.data.path:
            return
        check_least(self, 100, "num_samples")
        if not self.tasks:
            raise InputError(
                "config field data.path is empty: "
                "give an .npz file with arrays x and y, or a .csv file"
            )
        for name in self.tasks:
            check_choice("tasks", name, known_tasks())
        are_different = len(set(self.tasks)) == len(self.tasks)
        check(are_different, "tasks", self.tasks, "give every task once")

    @property
    def most_updates(self) -> int:
        """The largest number of updates of one estimate."""
        settings = self.estimator
        of_fit = sum(
            stage.rounds * stage.updates for stage in (settings.mixture, settings.denoiser)
        )
        # Two divergences of two fits each, and again with x and y exchanged.
        return 8 * of_fit + settings.flow.rounds * settings.flow.updates


def parse(config: ConfigDict) -> Experiment:
    """Read and check the config; raises InputError for fields that no run could use."""
    data = command_line.read(DataSettings, config, "data")
    try:
        estimator = Settings.from_dict(config.get("estimator", ConfigDict()).to_dict())
    except InputError as error:
        raise InputError(f"config field estimator.{error}") from error
    tasks = names_of(tuple(command_line.read_field(config, "tasks", tuple[str, ...])))
    return command_line.read(Experiment, config, data=data, tasks=tasks, estimator=estimator)


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment.

    Running it again continues it, or prints the results of the finished run.
    """
    experiment = parse(config)
    if (workdir / "results.json").exists() and command_line.is_complete(config, workdir):
        return
    # Bad samples are refused before anything is written.
    columns = None
    own: dict[str, Samples] = {}
    if experiment.data.path and experiment.data.columns is not None:
        columns, own = load_pairs(experiment.data)
    elif experiment.data.path:
        own = {OWN: load_samples(experiment.data)}
    if command_line.is_complete(config, workdir):
        return
    names = tuple(own) or experiment.tasks
    estimate_all(experiment, names, own, workdir)
    all_records = [
        Record(name, line) for name, line in zip(names, records.read_metrics(workdir), strict=True)
    ]
    if columns is not None:
        report_pairs(workdir, columns, all_records)
        tables.write_results(workdir, summarize_pairs(all_records))
    else:
        report(experiment, own, all_records, workdir)
    if (workdir / "figures").exists():  # a table of counts has none
        print(f"figures: {workdir / 'figures'}")


def report(
    experiment: Experiment, own: dict[str, Samples], all_records: list[Record], workdir: Path
) -> None:
    """Draw the figures, and write and print the results, of one pair or of tasks.

    Args:
        experiment: the config.
        own: the user's samples, or none.
        all_records: metrics of every task.
        workdir: of the run.
    """
    results = summarize(all_records, experiment.rivals)
    judge = experiment.estimator.judge
    figures.draw(workdir, all_records, experiment.rivals, judge.strata * judge.parts)
    tables.write_results(workdir, results)
    tables.print_table(results, title="mutual information")
    for record in all_records:
        of_columns = own[record.name].notes if own else ()
        for note in dict.fromkeys((*of_columns, *notes(record))):
            print(f"{record.name}: {note}")


def estimate_all(
    experiment: Experiment, names: tuple[str, ...], own: dict[str, Samples], workdir: Path
) -> None:
    """Estimate task by task, from the first one that has no line in metrics.jsonl.

    Of many pairs of columns, one without an estimate is passed over, with a note.

    Args:
        experiment: the config.
        names: under which results are reported.
        own: the user's samples by these names, empty for tasks.
        workdir: of the run.
    """
    trains = any(name not in own or own[name].has_networks for name in names)
    most = experiment.most_updates if trains else 1
    counted = "updates" if trains else "estimates"
    done = len(records.read_metrics(workdir))
    with (
        records.MetricsWriter(
            workdir, resume_step=done, extras=experiment.metrics_extras
        ) as writer,
        records.progress(len(names) * most, done * most, counted, at_most=trains) as show,
    ):
        for index, name in enumerate(names[done:], start=done):
            samples = own.get(name)
            if samples is None:
                samples = draw_samples(experiment.seed, name, experiment.num_samples)
            tell = _add_up(show, index * most, (index + 1) * most - 1, name)
            try:
                numbers = measure(
                    experiment.seed,
                    name,
                    samples,
                    experiment.estimator,
                    experiment.rivals,
                    tell,
                    experiment.permutations,
                )
            except InputError as error:
                if len(own) < 2:
                    raise
                numbers = {dotted((name, "notes")): [f"no estimate, since {error}"]}
            writer.write(index + 1, **numbers)
        show(len(names) * most)


def _add_up(show, start: int, last: int, name: str) -> Callable[[str, int, float], None]:
    """Make the callback that adds up the updates of all fits of a task; each counts from 0."""
    before = start
    updates_of_fit = 0

    def tell(stage, updates, value):
        nonlocal before, updates_of_fit
        if updates <= updates_of_fit:
            before = before + updates_of_fit
        updates_of_fit = updates
        show(min(before + updates, last), f"{name}: {stage} {value:.3f} nats")

    return tell


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
