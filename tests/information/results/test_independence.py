"""The test of independence: exact for every kind of samples, with power, and the same by its seed;
all pairs of columns at once."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest
from checks import NUM_SIGMAS, count_compilations
from scipy.signal import lfilter
from scipy.stats import binom

import diffenc
from diffenc.errors import InputError
from diffenc.information.benchmark import pairs
from diffenc.information.clusters import Clusters
from diffenc.information.results import dependence, independence
from diffenc.information.results.independence import (
    Independence,
    Samples,
    _divide,
    permutation_test,
)
from diffenc.information.samples import columns, inputs, kinds
from diffenc.information.samples.rows import Rows

SECTIONS = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "flow": {"rounds": 0},
    "judge": {"parts": 3},
}
N = 60
PERMUTATIONS = 39


def numbers(rng):
    return Samples(rng.standard_normal((N, 2)), rng.standard_cauchy(N))


def codes(rng):
    return Samples(rng.standard_normal(N), rng.integers(0, 3, N), y_are_codes=True)


def counts(rng):
    """Most values of either are equal to others."""
    return Samples(rng.poisson(1.0, N), rng.integers(0, 2, N))


def groups(rng):
    """Rows of a group are nearly equal, and groups are of 1 to 4 rows."""
    index = np.repeat(np.arange(N), rng.integers(1, 5, N))[: 2 * N]
    x, y = rng.standard_normal((2, N))[:, index] + 0.1 * rng.standard_normal((2, 2 * N))
    return Samples(x, y, groups=index)


def series(rng):
    noise = rng.standard_normal((2, 3 * N + 4))
    x, y = sum(noise[:, lag : 3 * N + lag] for lag in range(5))
    return Samples(x, y, memory=10)


@pytest.mark.parametrize("law", [numbers, codes, counts, groups, series])
def test_false_alarms_are_as_rare_as_is_said(law):
    """P(p <= 0.05) is 0.05 of samples without ties, and not above it of others."""
    sets = 200
    p = np.array(
        [
            permutation_test(law(np.random.default_rng((seed, 7))), PERMUTATIONS, seed).p_value
            for seed in range(sets)
        ]
    )
    most = binom.isf(5e-4, sets, 0.05)
    assert np.sum(p <= 0.05) <= most
    assert np.all(np.round(p * (PERMUTATIONS + 1)) >= 1)
    if law is not counts:  # p is uniform on 1 / 40, ..., 40 / 40
        size = (sets * 12) ** -0.5
        assert abs(p.mean() - (1 + 1 / (PERMUTATIONS + 1)) / 2) < NUM_SIGMAS * size


def test_a_series_is_shifted_by_less_than_its_memory_too():
    """Without these shifts 0.14 of the p of such series are below 0.05."""
    sets = 400
    p = []
    for seed in range(sets):
        noise = np.random.default_rng((seed, 8)).standard_normal((2, 400))
        x, y = lfilter([1.0], [1.0, -0.95], noise)[:, 150:]
        p.append(permutation_test(Samples(x, y, memory=75), PERMUTATIONS, seed).p_value)
    assert np.sum(np.array(p) <= 0.05) <= binom.isf(5e-4, sets, 0.05)


def test_dependent_rows_would_raise_false_alarms_if_they_were_taken_for_independent():
    alarms = []
    for seed in range(60):
        samples = groups(np.random.default_rng((seed, 7)))._replace(groups=None)
        alarms.append(permutation_test(samples, PERMUTATIONS, seed).p_value <= 0.05)
    assert np.sum(alarms) > binom.isf(1e-6, 60, 0.05)


def relation(name, rng, n=200):
    x = rng.uniform(-1, 1, n)
    noise = rng.standard_normal(n)
    if name == "labels":
        label = rng.integers(0, 3, n)
        return Samples(noise * 2.0**label, label, y_are_codes=True)
    if name == "circle":
        return Samples(np.cos(3 * x + noise), np.sin(3 * x + noise))
    if name == "two codes":
        code = rng.integers(0, 4, n)
        other = np.where(x > 0, code, rng.integers(0, 4, n))
        return Samples(code, other, x_are_codes=True, y_are_codes=True)
    if name == "product":
        pair = rng.standard_normal((n, 3))
        return Samples(pair, pair[:, 0] * pair[:, 1] + 0.5 * noise)
    function = {"line": lambda x: x, "parabola": np.square, "wave": lambda x: np.sin(18 * x)}[name]
    return Samples(x, function(x) + 0.3 * noise)


@pytest.mark.parametrize(
    "name, by",
    [
        ("line", "gaussian"),
        ("parabola", "squares"),
        ("wave", "neighbours"),
        ("circle", "waves"),
        ("labels", "squares"),
        ("two codes", "gaussian"),
        ("product", "distances"),
    ],
)
def test_relations_are_found(name, by):
    result = permutation_test(relation(name, np.random.default_rng(3)), 99)
    assert result.p_value == 0.01 == result.statistics[by]


def test_what_groups_have_in_common_is_found_and_small_groups_are_not_cut():
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(60), np.tile([1, 2, 4], 20))
    x = rng.standard_normal(60)[index]
    samples = Samples(x, x + 0.5 * rng.standard_normal(len(x)), groups=index)
    assert permutation_test(samples, 99).p_value == 0.01
    rows, blocks = _divide(rng, index)
    assert [block.shape for block in blocks] == [(20, 1), (20, 2), (20, 4)]
    for block in blocks:
        members = index[rows[block]]
        assert np.all(members == members[:, :1])


def test_a_group_of_another_size_is_cut_to_that_of_its_set():
    index = np.repeat(np.arange(30), [3] * 25 + [5] * 5)
    rows, (block,) = _divide(np.random.default_rng(0), index)
    assert block.shape == (30, 3) and len(set(rows)) == 90


def test_the_seed_fixes_the_result_which_prints_itself_in_a_line():
    samples = numbers(np.random.default_rng(0))
    first, again, other = [permutation_test(samples, 39, seed) for seed in (1, 1, 2)]
    assert isinstance(first, Independence) and first == again != other
    line = str(first)
    assert line.startswith(f"independent? p = {first.p_value:.2g} (39 permutations; gaussian ")
    assert "\n" not in line and line == repr(first)


def test_statistics_of_many_columns_take_some_of_the_rows():
    rng = np.random.default_rng(0)
    x = dependence.read_side(rng.standard_normal((400, 100)), False)
    y = dependence.read_side(rng.standard_normal((400, 100)), False)
    statistics = dependence.make_statistics(rng, x, y)
    order = np.arange(400, dtype=np.int32)[None]
    sizes = {name: one.values(order).shape for name, one in statistics.items()}
    assert sizes["gaussian"] == (1, 1) and sizes["neighbours"] == (1, 200)
    assert len(statistics["waves"].rows) == dependence.WORK // 100**2 == 200


@pytest.fixture(scope="module")
def table():
    x, y = pairs.dense(2, 2, 0.5).sample(jax.random.key(0), 1000)
    return pd.DataFrame({"a": x[:, 0], "b": y[:, 0], "twice": 2 * x[:, 0]})


@pytest.fixture(scope="module")
def estimate(table):
    x, y = table["a"].to_numpy(), table["b"].to_numpy()
    return diffenc.mutual_information(x, y, settings=SECTIONS, name="a.b")


def test_an_estimate_tests_itself_and_has_an_interval(table, estimate):
    assert estimate.test(99).p_value == 0.01
    low, high = estimate.interval()
    assert low < estimate.mean < high
    assert high - low == pytest.approx(2 * 1.959964 * estimate.stderr)
    wide = estimate.interval(level=0.99)
    assert wide[0] < low and high < wide[1]
    assert np.shares_memory(estimate.samples.x, table["a"].to_numpy())


def test_a_class_that_was_written_more_often_is_tested_by_its_distinct_rows():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 60])
    x = rng.standard_normal(360) + labels
    order = rng.permutation(np.repeat(np.arange(360), np.where(labels, 5, 1)))
    blocks = [inputs.read("x", x[order]), inputs.read("y", labels[order])]
    *blocks, rows = inputs.select_rows(None, None, *blocks)
    pair = kinds.decide(*blocks, columns.read_words(None, (), ()))
    samples = independence.samples_of(pair, rows)
    assert len(samples.x) == len(samples.y) == 360 and samples.groups is None
    assert samples.y.sum() == 60
    assert permutation_test(samples, 99).p_value == 0.01


def test_groups_whose_size_tells_their_label_have_no_test():
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(60), np.repeat([3, 6], 30))
    samples = Samples(rng.standard_normal(len(index)), index >= 30, groups=index, y_are_codes=True)
    with pytest.raises(InputError, match="the size of a group tells all"):
        permutation_test(samples, 19)


def test_samples_are_tested_as_what_they_are():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(100), 3)
    x = rng.integers(0, 3, 100)[group]
    y = rng.choice(["a", "b"], 300)
    samples = diffenc.mutual_information(x, y, groups=group).samples  # a table: no network
    assert samples.x_are_codes and samples.y_are_codes and not samples.memory
    np.testing.assert_array_equal(samples.groups, group)
    table = pd.DataFrame({"town": rng.choice(["a", "b", "c"], 300), "age": rng.normal(size=300)})
    blocks = [inputs.read("x", table, may_be_names=True), inputs.read("y", y, may_be_names=True)]
    rows = Rows(None, None, Clusters(group, gap=5), {})
    pair = kinds.decide(*blocks, columns.read_words(None, (), ()))
    samples = independence.samples_of(pair, rows)
    assert samples.x.shape == (300, 3) and not samples.x_are_codes and samples.y_are_codes
    assert samples.memory == 5 and samples.groups is None
    assert permutation_test(samples, 19).p_value >= 0.05


def test_what_has_no_test_says_so_in_a_line(table, estimate):
    total = dataclasses.replace(estimate, quantity="TC(X)", samples=None)
    matrix = diffenc.mutual_information_matrix
    for ask, words in (
        (lambda: total.test(), r"TC\(X\) has no test"),
        (lambda: estimate.test(5), "permutations is 5: give 19 or more"),
        (lambda: estimate.test(seed=-1), "seed is -1"),
        (lambda: estimate.interval(95), "level is 95: give a number between 0 and 1"),
        (lambda: matrix(table["a"]), "two columns or more"),
        (lambda: matrix(table[["a", "a"]]), "two columns 'a'"),
        (lambda: matrix(table.to_numpy().T), "columns has shape .*transposed.*columns.T"),
        (lambda: matrix(table, order="random"), "^order is 'random'"),
        (lambda: matrix(table, groups=np.zeros(9)), "^rows differ in number .columns has"),
        (lambda: matrix(table, groups=np.zeros(len(table))), "^groups has 1 different values"),
        (lambda: permutation_test(Samples(np.ones(100), np.arange(100))), "x is constant"),
        (lambda: permutation_test(Samples(*np.eye(2, 50), memory=30)), "give a longer series"),
    ):
        with pytest.raises(InputError, match=words) as raised:
            ask()
        assert "\n" not in str(raised.value)


def test_all_pairs_are_those_of_single_calls_by_one_set_of_programs(table, estimate, tmp_path):
    stages = []
    results = []

    def run():
        results.append(
            diffenc.mutual_information_matrix(
                table, settings=SECTIONS, progress=lambda *round_: stages.append(round_[0])
            )
        )

    run()
    compiled = count_compilations(run)
    matrix = results[0]
    assert compiled == 0 and matrix.names == ("a", "b", "twice")
    np.testing.assert_array_equal(matrix.mean, matrix.mean.T)
    np.testing.assert_array_equal(matrix.stderr, matrix.stderr.T)
    np.testing.assert_array_equal(matrix.mean, results[1].mean)
    assert [matrix.mean[0, 1], matrix.stderr[0, 1]] == list(estimate.estimate)
    assert np.isnan(np.diagonal(matrix.mean)).all() and np.isnan(matrix.mean[0, 2])
    assert matrix.notes[0].startswith("a, twice: no estimate, since y column 'twice' is a function")
    assert any(stage.startswith("a, b (1 of 3): ") for stage in stages)
    lines = str(matrix).splitlines()
    assert lines[0].split() == ["nats", "a", "b", "twice"] and len({*map(len, lines[:4])}) == 1
    assert str(estimate).removesuffix(" nats") in lines[1]
    matrix.plot(tmp_path / "matrix.png")
    axes = matrix.plot(str(tmp_path / "again.png"))
    assert (tmp_path / "matrix.png").exists() and len(axes.texts) == 6
