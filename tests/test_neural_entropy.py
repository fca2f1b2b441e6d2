"""experiments.neural_entropy, speed_limit and entropy_benchmark: every config with tiny settings, names, bad input."""

import json

import numpy as np
import pytest

from diffenc import reporting
from diffenc.errors import InputError
from experiments import command_line, entropy_benchmark, neural_entropy, speed_limit

TINY = {
    "num_updates": 4,
    "updates_per_dispatch": 2,
    "save_every": 4,
    "evaluate_every": 2,
    "batch_size": 8,
    "model.features": (8,),
    "model.channels": (8, 8),
    "eval.num_examples": 40,
    "eval.monitor": 20,
    "eval.num_levels": 4,
    "eval.batch_size": 20,
    "eval.images": 4,
    "eval.repetitions": 2,
    "eval.sampler_steps": 2,
}

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def make_config(name, **changes):
    config = command_line._load(f"configs/{name}.py")
    fields = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config


def values_of(workdir):
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def test_mixtures_of_two_dimensions_and_seeds(tmp_path, capsys):
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=("vpx", "straight_line"),
        dimensions=(2,),
        samples=(200,),
        num_seeds=2,
    )
    neural_entropy.run(config, tmp_path)
    rows = values_of(tmp_path)
    for process in config.processes:
        for quantity in (
            "s_tot",
            "s_nn",
            "kelly_growth",
            "em_gap",
            "growth_shortfall",
            "s_nn_train",
            "s_nn_ratio",
            "kelly_growth_ratio",
        ):
            row = rows[f"{process}.D2.{quantity}"]
            assert np.isfinite(row["value"]) and row["stderr"] > 0
        gap, shortfall = rows[f"{process}.D2.em_gap"], rows[f"{process}.D2.growth_shortfall"]
        assert abs(gap["value"] - shortfall["value"]) < 5 * np.hypot(gap["stderr"], shortfall["stderr"])
        total = rows[f"{process}.D2.s_tot"]
        assert abs(total["value"] - total["truth"]) < 5 * total["stderr"]
        # hardly trained, so the model is the Gaussian reference: most of the entropy of a narrow process is in it
        assert 0.9 < rows[f"{process}.D2.s_nn_ratio"]["value"] < 1.1
    assert 0 <= rows["coverage"]["value"] <= 1
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"training.png", "rates.png", "ratios.png"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "checkpoints",
        "figures",
    }
    lines = reporting.read_metrics(tmp_path)
    assert lines[1]["vpx.D2.0.loss"] != lines[1]["vpx.D2.1.loss"]
    capsys.readouterr()
    neural_entropy.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


def test_sample_sizes_of_a_mixture(tmp_path):
    config = make_config("neural_entropy/samples", dimensions=(2,), samples=(20, 40, 80), num_seeds=1)
    neural_entropy.run(config, tmp_path)
    rows = values_of(tmp_path)
    assert {"mixture.N20.s_nn", "mixture.N80.kelly_growth", "mixture.log_law.slope"} <= set(rows)
    assert (tmp_path / "figures" / "sample_sizes.png").exists()


def test_digits_with_a_unet(tmp_path):
    config = make_config("neural_entropy/digits", samples=(100, 200, 0), batch_size=4)
    neural_entropy.run(config, tmp_path)
    rows = values_of(tmp_path)
    sizes = sorted(int(name.split(".")[1][1:]) for name in rows if name.endswith(".s_nn"))
    assert sizes[:2] == [100, 200] and sizes[2] > 1400  # 0 stands for all
    assert "digits.log_law.slope" in rows and "digits.N100.s_tot" not in rows
    assert (tmp_path / "figures" / "generated.png").exists()


def test_mnist_with_a_unet(tmp_path, mnist_dir):
    config = make_config("neural_entropy/mnist", samples=(50,), batch_size=4, data__dir=str(mnist_dir), eval__images=2)
    config.eval.update(num_examples=8, monitor=4, batch_size=4)
    neural_entropy.run(config, tmp_path)
    assert np.isfinite(values_of(tmp_path)["mnist.N50.kelly_growth"]["value"])


def test_the_law_in_log_n_is_found():
    cases = {f"d.N{n}": neural_entropy.Case(f"d.N{n}", "d", n, *(None,) * 7) for n in (100, 1000, 10_000)}
    results = [reporting.Result(f"d.N{n}.s_nn", 3.0 + 2.0 * np.log(n)) for n in (100, 1000, 10_000)]
    results += [reporting.Result(f"d.N{n}.kelly_growth", n) for n in (100, 1000, 10_000)]
    law = {result.name: result for result in neural_entropy.log_laws(cases, results)}
    assert law["d.log_law.slope"].value == pytest.approx(2.0) and law["d.log_law.intercept"].value == pytest.approx(3.0)
    assert law["d.log_law.slope"].stderr == pytest.approx(0.0, abs=1e-6)


def test_speed_limit(tmp_path):
    config = command_line._load("configs/neural_entropy/speed_limit.py")
    config.update(processes=("vp",), dimensions=(1,), num_samples=400, num_times=4, refine=32)
    config.transport.update(samples=100, groups=3)
    speed_limit.run(config, tmp_path)
    rows = values_of(tmp_path)
    for name in ("vp.D1", "vp.D1.gaussian"):
        limit = rows[f"{name}.speed_limit"]
        assert 0 < rows[f"{name}.w2_squared"]["value"] < limit["value"] + 4 * limit["stderr"]
    assert (tmp_path / "figures" / "speed_limit.png").exists()


def test_benchmark(tmp_path):
    config = make_config("benchmark/entropy_training", dimensions=(2,), samples=(100,), processes=("vp",))
    config.benchmark.update(turns=2, plain_updates=3, scanned_updates=2, shares=(0.9, 1e-9))
    entropy_benchmark.run(config, tmp_path)
    rows = values_of(tmp_path)
    assert rows["scanned.examples_ratio"]["value"] > 0
    assert rows["scanned.seconds_to_90_percent"]["value"] > 0
    assert rows["scanned.seconds_to_1e-07_percent"]["value"] is None  # not reached


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(processes=("vq",)), "vp"),
        (dict(reference="momenta"), "moments"),
        (dict(output="eps"), "residual"),
        (dict(samples=(-5,)), "counts"),
        (dict(eval__num_examples=1), "2 or more"),
        (dict(draws=0), "above 0"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        neural_entropy.run(make_config("neural_entropy/gaussian_mixture", **changes), tmp_path)


def test_a_size_may_be_named_once(tmp_path):
    with pytest.raises(InputError, match="twice"):
        neural_entropy.run(make_config("neural_entropy/samples", dimensions=(2,), samples=(50, 50)), tmp_path)
