"""False alarms of what the estimator of information says of samples, on samples that are clean.

    python -m experiments.benchmarks.false_alarms --config=configs/benchmarks/false_alarms.py \
        --workdir=DIR

Every warning is asked of as many sets by itself, without a network. Those that an estimate makes
are counted on whole estimates, and are false where the known information says so, see
`whole_estimates`. Nearest neighbours, which must not show more than there is, are compared with the
exact pointwise information of the same samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict
from scipy.special import ndtri

from diffenc.errors import InputError, check_least
from diffenc.estimate import Estimate
from diffenc.information.benchmark import beyond, tasks
from diffenc.information.benchmark import pairs as pairs_of_samples
from diffenc.information.comparisons import neighbours
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import resolution
from diffenc.information.regressions import additive, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.samples import checks, clumps, functions, inputs, kinds, repeats, rows
from diffenc.information.samples.columns import read_words
from diffenc.information.settings import Settings
from diffenc.information.training.halves import check_halves, split
from diffenc.keys import key_of, rng_of
from diffenc.run import records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.benchmarks import whole_estimates
from experiments.benchmarks.clean_samples import Censored, Independent, draw, labels_of
from experiments.benchmarks.whole_estimates import MOST


@dataclass(frozen=True)
class Benchmark:
    """The config.

    Attributes:
        seed: of the samples.
        sets: clean sets for each warning.
        sets_of_law: sets of each law with a known information, for each number of rows.
        num_samples: numbers of rows of these.
        estimates: clean sets of which whole estimates are made.
    """

    seed: int
    sets: int
    sets_of_law: int
    num_samples: tuple[int, ...]
    estimates: int

    def __post_init__(self):
        check_least(self, 0, "seed")
        check_least(self, 2, "sets")
        check_least(self, 1, "sets_of_law")
        check_least(self, 2, "estimates")


def run(config: ConfigDict, workdir: Path) -> None:
    """Count the false alarms."""
    benchmark = command_line.read(Benchmark, config)
    if command_line.is_complete(config, workdir):
        return
    laws = known_laws()
    total = len(WARNINGS) * benchmark.sets
    total += len(laws) * len(benchmark.num_samples) * benchmark.sets_of_law + benchmark.estimates
    alarms: dict[str, list] = {name: [] for name in WARNINGS}
    excesses = []
    with records.progress(total, description="sets") as show:
        done = 0
        for name, is_warned in WARNINGS.items():
            for index in range(benchmark.sets):
                rng = rng_of(benchmark.seed, "warning", name, index)
                alarms[name].append(is_warned(rng, *draw(rng, index)))
                done += 1
                show(done, name)
        for name, law in laws.items():
            for n in benchmark.num_samples:
                for index in range(benchmark.sets_of_law):
                    excesses.append(excess(benchmark.seed, name, law, n, index))
                    done += 1
                    show(done, name)
        answers = whole_estimates.answer_all(
            benchmark.seed,
            benchmark.estimates,
            workdir,
            lambda count: show(done + count, "estimates"),
        )
    results = [
        Result(f"{name}.false_alarms", *Estimate.of(one), "of sets", MOST)
        for name, one in alarms.items()
    ]
    results += summarize(excesses)
    results += whole_estimates.summarize(answers)
    tables.write_results(workdir, results)
    tables.print_table(results, title="false alarms")


def summarize(excesses: list[tuple[str, int, float, float]]) -> list[Result]:
    """Count how often nearest neighbours show more than there is; name the worst set."""
    by_errors = np.array([errors for _, _, errors, _ in excesses])
    results = [
        Result("neighbours.doubted", *Estimate.of(by_errors > resolution.DOUBTED), "of sets"),
        Result(
            "neighbours.contradicted", *Estimate.of(by_errors > resolution.CONTRADICTED), "of sets"
        ),
        Result("neighbours.largest_excess", float(by_errors.max()), None, "errors"),
    ]
    for name, n, errors, nats in sorted(excesses, key=lambda one: -one[2])[:5]:
        print(f"{name}, {n} rows: {errors:.2f} errors, {nats:.3f} nats")
    return results


def excess(seed: int, name: str, law, n: int, index: int) -> tuple[str, int, float, float]:
    """Compare nearest neighbours of samples of a law with the oracle of the same samples.

    Args:
        seed: of the run.
        name: of the law.
        law: with `sample` and an exact pointwise information.
        n: rows.
        index: of the set.

    Returns:
        The name, n, by how many errors the neighbours show more, as `resolution` counts them, and
        by how many nats.
    """
    key = key_of(seed, "law", name, n, index)
    x, y = law.sample(key, n)
    if isinstance(law, Censored | Independent):
        exact = law.pointwise(x, y)
    else:
        exact = pairs_of_samples.oracle(law, key_of(seed, "law", name, n, index), n)
    truth = Estimate.of(exact)
    rng = rng_of(seed, "scores", name, n, index)
    near = neighbours.strongest(gaussian.by_rank(x, rng), gaussian.by_rank(y, rng)).estimate
    gap = near.mean - truth.mean
    return name, n, gap / float(np.hypot(near.stderr, truth.stderr)), gap


def known_laws() -> dict:
    """Make the laws of numbers whose pointwise information is known, by name."""
    every = tasks.benchmark() | beyond.beyond()
    dims = ((1, 1), (2, 1), (2, 2), (3, 1), (5, 1), (10, 3), (30, 1))
    independent = {f"independent_{of_x}x{of_y}": Independent(of_x, of_y) for of_x, of_y in dims}
    return (
        {"censored_1x1": Censored()}
        | independent
        | {name: law for name, law in every.items() if not name.startswith("choice")}
    )


def _is_refused(check: Callable, *arguments) -> bool:
    try:
        check(*arguments)
    except InputError:
        return True
    return False


def _copies(rng, x, y):
    return repeats.find(x, y) is not None


def _copies_of_rounded(rng, x, y):
    """A hundredth of the deviation is the last digit."""
    return repeats.find(*[np.round(one / one.std(axis=0), 2) for one in (x, y)]) is not None


def _copies_of_counts(rng, x, y):
    return repeats.find(_counts_of(rng, x), _counts_of(rng, y)) is not None


def _counts_of(rng, values):
    return rng.poisson(np.exp(0.5 * gaussian.by_rank(values) + 1))


def _weights(rng, x, y):
    """Of a bootstrap the number of copies does not depend on the values."""
    drawn = rng.integers(0, len(x), len(x))
    copies = repeats.find(x[drawn], y[drawn])
    return copies is None or copies.is_chosen


def _says_dependent(x, y) -> bool:
    try:
        found = rows.examine([x, y])
    except InputError:
        return True
    return bool(found.facts)


def _series(rng, x, y):
    return _says_dependent(x, y)


def _series_of_sorted(rng, x, y):
    order = np.argsort(x[:, 0])
    return _says_dependent(x[order], y[order])


def _series_of_sorted_labels(rng, x, y):
    labels = labels_of(y)
    order = np.argsort(labels, kind="stable")
    return _says_dependent(x[order], labels[order])


def _series_of_counts(rng, x, y):
    return _says_dependent(_counts_of(rng, x), _counts_of(rng, y))


def _function(rng, x, y):
    return _is_refused(functions.check_no_function, x, y)


def _function_given(rng, x, y):
    return x.shape[1] > 1 and _is_refused(functions.check_no_function_given, x[:, :1], y, x[:, 1:])


def _function_within(rng, x, y):
    return _is_refused(functions.check_no_function_within, x[:, :3])


def _bad_columns(rng, x, y):
    return _is_refused(checks.check, x, y)


def _bad_halves(rng, x, y):
    halves = split(key_of(0, "halves", int(rng.integers(2**31))), len(x))
    scores = {name: gaussian.block_scores(rng, one) for name, one in (("x", x), ("y", y))}
    return _is_refused(check_halves, {name: one[halves] for name, one in scores.items()})


def _case(x, y) -> str:
    words = read_words(None, (), ())
    return kinds.decide(inputs.read("x", x), inputs.read("y", y), words).case


def _codes(rng, x, y):
    """Counts of which the order tells, with enough rows of each to be codes."""
    steps = np.digitize(gaussian.by_rank(y[:, 0][:, None])[:, 0], ndtri(np.arange(1, 30) / 30))
    return len(x) >= 500 and _case(x, steps) != "numbers"


def _ties(rng, x, y):
    return bool(gaussian.has_ties(np.concatenate([x, y], axis=1)).any())


def _recurring(rng, x, y):
    """Rounded values and counts recur by chance."""
    blocks = (
        x,
        np.round(x[:, :1] / x.std(), 2),
        np.round(x / x.std(axis=0), 1),
        _counts_of(rng, y),
    )
    if repeats.find(x, y) is None and repeats.count_turned(x, y) is not None:
        return True
    return any(repeats.count_recurring(block) is not None for block in blocks)


def _clumps(rng, x, y):
    return any(clumps.clump_size(*blocks) is not None for blocks in ((x, y), (x,)))


def _terms(rng, x, y):
    """Of independent blocks no products or waves tell anything."""
    y = y[rng.permutation(len(y))]
    return bool(resolution.sets_of(gaussian.by_rank(x), gaussian.by_rank(y)))


def _single_columns(rng, x, y):
    """Nor do functions of single columns in the regression."""
    rows = rng.permutation(len(y))
    n = len(y) // 2 * 2
    blocks = (gaussian.by_rank(x)[:n], gaussian.by_rank(y[rows])[:n])
    pair = Pair(*(block.reshape(2, n // 2, -1) for block in blocks))
    errors = Settings().map_errors
    return any(additive.select(one, regression.polar, errors) for one in (pair, pair.exchange()))


def _telling_columns(rng, x, y):
    """Of independent blocks no column tells anything."""
    y = y[rng.permutation(len(y))]
    return any(resolution.telling(gaussian.by_rank(x), gaussian.by_rank(y)))


WARNINGS = {
    "copies": _copies,
    "copies_of_rounded": _copies_of_rounded,
    "copies_of_counts": _copies_of_counts,
    "weights_of_bootstraps": _weights,
    "series": _series,
    "series_of_sorted": _series_of_sorted,
    "series_of_sorted_labels": _series_of_sorted_labels,
    "series_of_counts": _series_of_counts,
    "function": _function,
    "function_given": _function_given,
    "function_within": _function_within,
    "bad_columns": _bad_columns,
    "bad_halves": _bad_halves,
    "codes": _codes,
    "ties": _ties,
    "telling_columns": _telling_columns,
    "terms": _terms,
    "single_columns": _single_columns,
    "recurring": _recurring,
    "clumps": _clumps,
}

if __name__ == "__main__":
    command_line.main(run, is_divided=False)
