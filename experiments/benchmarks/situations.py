"""Samples as people bring them: truth, answer, error, and what is said beside the number.

    python -m experiments.benchmarks.situations --config=configs/benchmarks/situations.py \
        --workdir=DIR

A wrong number is no fault where its error covers it, where it is refused, or where a note says that
it may be wrong. One that is wrong without a word is. The samples are those of wild_samples.py. A
run that was stopped goes on.
"""

from dataclasses import dataclass

from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import InputError, check_choice, check_least
from diffenc.information import estimates
from diffenc.information.results import remarks
from diffenc.information.settings import Settings
from diffenc.keys import rng_of
from diffenc.run import records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.benchmarks.wild_samples import SITUATIONS

# An answer within two errors is right if the error is small, and covered if it is not.
SMALL = 0.05  # nats, or
SMALL_SHARE = 0.15  # of the truth
WARNINGS = (remarks.UNBOUNDED, remarks.FEW_ROWS, remarks.RECOGNIZED, remarks.GROWING)
GOOD = ("right", "covered", "refused", "warned")


@dataclass(frozen=True)
class Benchmark:
    """The config.

    Attributes:
        seed: of the samples and the estimates.
        situations: their names; () for all.
        estimator: settings of the estimate.
    """

    seed: int
    situations: tuple[str, ...]
    estimator: Settings

    def __post_init__(self):
        check_least(self, 0, "seed")
        for name in self.situations:
            check_choice("situations", name, SITUATIONS)


def run(config: ConfigDict, workdir: Path) -> None:
    """Estimate all situations and judge the answers."""
    estimator = Settings.from_dict(config.get("estimator", ConfigDict()).to_dict())
    benchmark = command_line.read(Benchmark, config, estimator=estimator)
    if command_line.is_complete(config, workdir):
        return
    names = benchmark.situations or tuple(SITUATIONS)
    done = len(records.read_metrics(workdir))
    with (
        records.MetricsWriter(workdir, resume_step=done) as writer,
        records.progress(len(names), done, "situations") as show,
    ):
        for index, name in enumerate(names[done:], start=done):
            writer.write(index + 1, **answer(benchmark, name))
            show(index + 1, name)
    lines = dict(zip(names, records.read_metrics(workdir), strict=True))
    results = summarize(lines)
    tables.write_results(workdir, results)
    tables.print_table(results, title="situations")
    for name, line in lines.items():
        print(f"{name}: {verdict(line)}; {'; '.join(line['notes'])}")


def answer(benchmark: Benchmark, name: str) -> dict:
    """Estimate one situation: its truth, the answer and its error, or a refusal, and the notes."""
    situation = SITUATIONS[name]
    x, y = situation.draw(rng_of(benchmark.seed, "situation", name))
    line = {"truth": situation.truth(), "mean": None, "stderr": None}
    try:
        result = estimates.mutual_information(
            x, y, seed=benchmark.seed, settings=benchmark.estimator, name=name
        )
    except InputError as error:
        return line | {"notes": [f"refused: {error}"]}
    return line | {"mean": result.mean, "stderr": result.stderr, "notes": list(result.notes)}


def verdict(line: dict) -> str:
    """Judge an answer: one of `GOOD`, or "wrong"."""
    truth = line["truth"]
    if line["mean"] is None:
        return "refused"
    if truth is not None and abs(line["mean"] - truth) <= 2 * line["stderr"]:
        is_small = line["stderr"] <= max(SMALL, SMALL_SHARE * truth)
        return "right" if is_small else "covered"
    is_warned = any(warning in note for note in line["notes"] for warning in WARNINGS)
    return "warned" if is_warned else "wrong"


def summarize(lines: dict[str, dict]) -> list[Result]:
    """Collect the results: every answer, and how many of each verdict there are."""
    results = [
        Result(f"{name}.information", line["mean"], line["stderr"], truth=line["truth"])
        for name, line in lines.items()
    ]
    verdicts = [verdict(line) for line in lines.values()]
    return results + [
        Result(f"situations.{one}", verdicts.count(one), None, f"situations of {len(lines)}")
        for one in (*GOOD, "wrong")
    ]


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
