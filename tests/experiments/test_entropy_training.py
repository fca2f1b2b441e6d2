"""experiments.benchmarks.entropy_training: one run with tiny settings, bad input."""

import pytest
from entropy_runs import make_config, values_of

from diffenc.errors import InputError
from experiments.benchmarks import entropy_training

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.mark.slow
def test_benchmark(tmp_path):
    config = make_config(
        "benchmarks/entropy_training", dimensions=(2,), samples=(100,), processes=("vp",)
    )
    config.benchmark.update(turns=2, plain_updates=3, scanned_updates=2, shares=(0.99, 1e-9))
    entropy_training.run(config, tmp_path)
    rows = values_of(tmp_path)
    ratios = [rows[f"scanned.{counted}_ratio"]["value"] for counted in ("examples", "evaluations")]
    assert ratios[0] == pytest.approx(config.benchmark.plain_draws * ratios[1])
    assert (
        rows["reference.seconds_to_99_percent"]["value"] == 0
    )  # the reference alone has less than that
    assert rows["scanned.seconds_to_1e-07_percent"]["value"] is None  # not reached


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmark.turns": 0}, "turns"),
        ({"benchmark.plain_batch": 1000}, "plain_batch"),
        ({"benchmark.plain_updates": 0}, "plain_updates"),
        ({"max_epochs": 2}, "max_epochs is 2"),
        ({"processes": ("ve",)}, "fixed width"),
    ],
)
def test_bad_benchmarks_are_one_line(tmp_path, changes, message):
    config = make_config("benchmarks/entropy_training", dimensions=(2,), samples=(100,))
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        entropy_training.run(config, tmp_path)


def test_a_benchmark_takes_one_case(tmp_path):
    with pytest.raises(InputError, match="one mixture"):
        entropy_training.run(
            make_config("benchmarks/entropy_training", dimensions=(2, 3), samples=(100,)), tmp_path
        )
