"""experiments.benchmarks.situations and .false_alarms: truths that are known otherwise, verdicts,
one run of each with few sets."""

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.information.results import remarks
from diffenc.run import tables
from experiments import glossary
from experiments.arguments import load_config
from experiments.benchmarks import false_alarms, situations, whole_estimates, wild_samples
from experiments.benchmarks.whole_estimates import Answer
from experiments.benchmarks.wild_samples import SITUATIONS, of_noisy_levels

TINY = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "flow": {"rounds": 0},
    "judge": {"parts": 3},
}


def run(program, workdir, config, **changes):
    made = load_config(f"configs/benchmarks/{config}.py")
    with made.unlocked():
        made.update(changes)
    program.run(made, workdir)
    results = tables.read_results(workdir)
    assert not glossary.unexplained(f"benchmarks.{config}", results)
    return {result.name: result for result in results}


def test_quadratures_give_what_has_a_closed_form():
    z, weights = wild_samples.normal_nodes()
    line = of_noisy_levels(0.8 * z, weights, 0.6)
    assert line == pytest.approx(-0.5 * np.log(1 - 0.8**2), abs=1e-6)
    pieces = of_noisy_levels(np.array([-20.0, 0.0, 20.0]), np.full(3, 1 / 3), 0.5)
    assert pieces == pytest.approx(np.log(3), abs=1e-6)
    scatter = of_noisy_levels(np.zeros(2), np.full(2, 0.5), np.array([1.0, 1.0]))
    assert scatter == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["visits", "answers", "two_of_twenty", "spread_of_25"])
def test_truths_are_means_of_the_exact_pointwise_information(name):
    """By histograms of many samples, whose bias is known."""
    rng = np.random.default_rng(0)
    sets = 100 if name == "spread_of_25" else 200
    draws = [SITUATIONS[name].draw(rng) for _ in range(sets)]
    x, y = [np.concatenate(blocks) for blocks in zip(*draws, strict=True)]
    if name == "answers":
        x = np.unique(x, return_inverse=True)[1]
    if name == "two_of_twenty":
        x = x[:, 3] * x[:, 11]
    if name == "spread_of_25":
        x = x[:, 4]
    bins = [
        np.searchsorted(np.quantile(one, np.linspace(0, 1, 161)[1:-1]), one)
        if len(np.unique(one)) > 100
        else np.unique(one, return_inverse=True)[1]
        for one in (x, y)
    ]
    table = np.zeros([one.max() + 1 for one in bins])
    np.add.at(table, tuple(bins), 1 / len(x))
    independent = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
    inside = table > 0
    found = np.sum(table[inside] * np.log(table[inside] / independent[inside]))
    found -= (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * len(x))
    truth = SITUATIONS[name].truth()
    assert 0.97 * truth < found < 1.005 * truth, "bins lose a little"


@pytest.mark.parametrize(
    "mean, stderr, truth, notes, expected",
    [
        (0.5, 0.03, 0.53, [], "right"),
        (0.5, 0.2, 0.8, [], "covered"),
        (0.5, 0.01, 0.8, [], "wrong"),
        (0.5, 0.01, 0.8, [remarks.UNBOUNDED], "warned"),
        (0.5, 0.01, 0.8, [remarks.EXCHANGED], "wrong"),
        (2.5, 0.9, np.inf, [], "wrong"),
        (2.5, 0.9, None, [], "wrong"),
        (None, None, 0.8, ["refused: too few"], "refused"),
    ],
)
def test_verdicts(mean, stderr, truth, notes, expected):
    line = {"mean": mean, "stderr": stderr, "truth": truth, "notes": notes}
    assert situations.verdict(line) == expected


@pytest.mark.slow
def test_situations_are_run_and_judged(tmp_path):
    names = ("written_thrice", "prices")
    rows = run(situations, tmp_path, "situations", situations=names, estimator=TINY)
    assert np.isnan(rows["prices.information"].value)
    assert rows["written_thrice.information"].truth == 0.0
    counts = [rows[f"situations.{one}"].value for one in (*situations.GOOD, "wrong")]
    assert sum(counts) == 2 and rows["situations.refused"].value == 1
    with pytest.raises(InputError, match="situations is 'towers'"):
        run(situations, tmp_path / "other", "situations", situations=("towers",))


@pytest.mark.slow
def test_false_alarms_are_counted(tmp_path, monkeypatch):
    fake = Answer(1, 200, 2, 1, 0.0, 0.9, 0.3, 1.09, [remarks.LIMITS])
    monkeypatch.setattr(whole_estimates, "answer", lambda seed, index: fake)
    changes = dict(sets=2, sets_of_law=1, num_samples=(300,), estimates=2)
    rows = run(false_alarms, tmp_path, "false_alarms", **changes)
    assert set(rows) >= {f"{name}.false_alarms" for name in false_alarms.WARNINGS}
    assert rows["neighbours.contradicted"].value == 0
    assert rows["beyond_limits.said"].value == rows["beyond_limits.false_alarms"].value == 1
    assert rows["estimates.misses"].value == 1 and not rows["unbounded.said"].value
