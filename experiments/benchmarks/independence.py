"""False alarms and power of the test of independence, beside those of other statistics.

    python -m experiments.benchmarks.independence --config=configs/benchmarks/independence.py \
        --workdir=DIR

Nearest neighbours (Kraskov et al.) are tested by permutations, too. The p of canonical correlations
is that of the part `gaussian` of the test.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check_least
from diffenc.estimate import Estimate
from diffenc.information.benchmark import rivals
from diffenc.information.results.independence import LEAST_PERMUTATIONS, Samples, permutation_test
from diffenc.keys import rng_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line

LEVEL = 0.05
TESTS = {
    "power_of_test": "this test",
    "power_of_ksg": "nearest neighbours",
    "power_of_gaussian": "canonical correlations",
}
MEMORY = 40  # rows beyond which the series are shifted; they depend on each other over twenty


@dataclass(frozen=True)
class Benchmark:
    """The config.

    Attributes:
        seed: of the samples and the permutations.
        num_samples: rows of a set.
        permutations: of a test.
        independent_sets: sets of each law.
        dependent_sets: sets of each relation.
    """

    seed: int
    num_samples: int
    permutations: int
    independent_sets: int
    dependent_sets: int

    def __post_init__(self):
        check_least(self, 0, "seed")
        check_least(self, 100, "num_samples")
        check_least(self, LEAST_PERMUTATIONS, "permutations")
        check_least(self, 2, "independent_sets", "dependent_sets")


def run(config: ConfigDict, workdir: Path) -> None:
    """Count false alarms and finds."""
    benchmark = command_line.read(Benchmark, config)
    if command_line.is_complete(config, workdir):
        return
    shares = {}
    total = len(LAWS) * benchmark.independent_sets + len(RELATIONS) * benchmark.dependent_sets
    with records.progress(total, description="tests") as show:
        done = 0
        for name, law in LAWS.items():
            alarms = []
            for index in range(benchmark.independent_sets):
                rng = rng_of(benchmark.seed, "law", name, index)
                samples = law(rng, benchmark.num_samples)
                p = permutation_test(samples, benchmark.permutations, index).p_value
                alarms.append(p <= LEVEL)
                show(done + index + 1, name)
            done += benchmark.independent_sets
            shares[name, "false_alarms"] = Estimate.of(alarms)
        for name, relation in RELATIONS.items():
            finds: dict[str, list[bool]] = {power: [] for power in TESTS}
            for index in range(benchmark.dependent_sets):
                rng = rng_of(benchmark.seed, "relation", name, index)
                samples = relation(rng, benchmark.num_samples)
                result = permutation_test(samples, benchmark.permutations, index)
                p_of_neighbours = p_of_ksg(rng, samples, benchmark.permutations)
                finds["power_of_test"].append(result.p_value <= LEVEL)
                finds["power_of_ksg"].append(p_of_neighbours <= LEVEL)
                finds["power_of_gaussian"].append(result.statistics["gaussian"] <= LEVEL)
                show(done + index + 1, name)
            done += benchmark.dependent_sets
            for power, values in finds.items():
                shares[name, power] = Estimate.of(values)
    results = [
        Result(f"{name}.{quantity}", *share, "of sets", LEVEL if name in LAWS else None)
        for (name, quantity), share in shares.items()
    ]
    draw(workdir, shares)
    tables.write_results(workdir, results)
    tables.print_table(results, title="p <= 0.05")


def p_of_ksg(rng: np.random.Generator, samples: Samples, permutations: int) -> float:
    """Test the independence of x and y by the estimator of Kraskov et al. of permuted pairs.

    Args:
        rng: a generator.
        samples: x and y.
        permutations: number of them.

    Returns:
        The p-value.
    """
    x, y = [block.reshape(len(block), -1).astype(float) for block in (samples.x, samples.y)]
    if samples.y_are_codes:  # as points that are equally far from each other
        y = np.eye(int(y.max()) + 1)[y[:, 0].astype(int)]
    values = [rivals.ksg(None, x, y).mean]
    values += [rivals.ksg(None, x, y[rng.permutation(len(y))]).mean for _ in range(permutations)]
    return float(np.mean(np.array(values) >= values[0]))


def draw(workdir: Path, shares: dict) -> None:
    """Draw the power of all tests, relation by relation, into workdir/figures."""
    fig, axes = figures.figure(width=5.0)
    places = np.arange(len(RELATIONS))
    for index, (power, label) in enumerate(TESTS.items()):
        of_relations = [shares[name, power] for name in RELATIONS]
        axes[0, 0].errorbar(
            places + 0.15 * (index - 1),
            [share.mean for share in of_relations],
            [share.stderr for share in of_relations],
            fmt="osD"[index],
            label=label,
        )
    axes[0, 0].axhline(LEVEL, color="#000000", linestyle="--", linewidth=1.0)
    axes[0, 0].set_xticks(places, list(RELATIONS), rotation=30)
    axes[0, 0].set_ylim(0, 1.05)
    figures.label(axes[0, 0], "", f"share of sets with p <= {LEVEL}")
    axes[0, 0].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figures.save(fig, workdir, "power")


def _normal(rng, n):
    return Samples(rng.standard_normal(n), rng.standard_normal(n))


def _cauchy(rng, n):
    return Samples(rng.standard_cauchy(n), rng.standard_cauchy(n))


def _counts(rng, n):
    return Samples(rng.poisson(1.0, n), rng.poisson(3.0, n))


def _codes(rng, n):
    return Samples(rng.standard_normal(n), rng.integers(0, 4, n), y_are_codes=True)


def _two_codes(rng, n):
    return Samples(rng.integers(0, 3, n), rng.integers(0, 4, n), x_are_codes=True, y_are_codes=True)


def _columns(rng, n):
    scale = np.exp(0.5 * rng.standard_normal((n, 1)))  # columns of a block depend on each other
    return Samples(scale * rng.standard_normal((n, 3)), rng.standard_normal((n, 2)))


def _groups(rng, n):
    """Make groups of 1 to 8 rows that share half of the variance of x and of y."""
    groups = np.repeat(np.arange(n), rng.integers(1, 9, n))[:n]
    blocks = [rng.standard_normal(n)[groups] + rng.standard_normal(n) for _ in range(2)]
    return Samples(*blocks, groups=groups)


def _series(rng, n):
    """Make two autoregressions whose neighbours have the correlation 0.8."""
    noise = rng.standard_normal((n + 100, 2))
    for row in range(1, len(noise)):
        noise[row] = 0.8 * noise[row - 1] + 0.6 * noise[row]
    return Samples(noise[100:, 0], noise[100:, 1], memory=MEMORY)


def _of_uniform(function: Callable[[np.ndarray], np.ndarray], noise: float) -> Callable:
    """Make the relation y = function(x) + noise of uniform x in [-1, 1]."""

    def relation(rng, n):
        x = rng.uniform(-1, 1, n)
        return Samples(x, function(x) + noise * rng.standard_normal(n))

    return relation


def _circle(rng, n):
    angle = rng.uniform(0, 2 * np.pi, n)
    points = np.stack([np.cos(angle), np.sin(angle)]) + 0.4 * rng.standard_normal((2, n))
    return Samples(*points)


def _checkerboard(rng, n):
    field_x = rng.integers(0, 4, n)
    field_y = 2 * rng.integers(0, 2, n) + field_x % 2
    field_y = np.where(rng.uniform(size=n) < 0.4, rng.integers(0, 4, n), field_y)
    return Samples(field_x + rng.uniform(size=n), field_y + rng.uniform(size=n))


def _spread(rng, n):
    """Make labels that tell the spread of x alone."""
    labels = rng.integers(0, 3, n)
    return Samples(rng.standard_normal(n) * 1.3**labels, labels, y_are_codes=True)


def _product(rng, n):
    """Make a product of two of three columns, which tells about no column by itself."""
    x = rng.standard_normal((n, 3))
    return Samples(x, 0.5 * x[:, 0] * x[:, 1] + rng.standard_normal(n))


LAWS = {
    "normal": _normal,
    "cauchy": _cauchy,
    "counts": _counts,
    "codes": _codes,
    "two_codes": _two_codes,
    "columns_3x2": _columns,
    "groups": _groups,
    "series": _series,
}
RELATIONS = {
    "line": _of_uniform(lambda x: 0.4 * x, 1.0),
    "parabola": _of_uniform(np.square, 0.8),
    "wave": _of_uniform(lambda x: np.sin(6 * np.pi * x), 0.8),
    "circle": _circle,
    "checkerboard": _checkerboard,
    "spread": _spread,
    "product": _product,
}

if __name__ == "__main__":
    command_line.main(run, is_divided=False)
