"""experiments.neural_entropy: every config with tiny settings, names, passes."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import (
    NUM_SIGMAS,
    assert_distinct_keys,
    assert_every_field_is_read,
    record_keys,
    record_reads,
)
from entropy_runs import load_cases, make_config, make_measure, values_of

from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.estimate import Estimate
from diffenc.run import advance, parallel, records
from experiments import command_line
from experiments.arguments import load_config
from experiments.neural_entropy import __main__ as neural_entropy
from experiments.neural_entropy import measures, systems
from experiments.neural_entropy.settings import Training

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
SLOW = pytest.mark.slow  # each process compiles a measure of its own


@SLOW
@pytest.mark.parametrize("process", ["sub_vp", "straight_line"])
def test_what_is_produced_early_is_what_entropies_say(process):
    """S_tot before EARLY, by exact scores at the times there, against the entropies of exact
    samples."""
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=(process,),
        dimensions=(2,),
        samples=(200,),
        num_seeds=1,
        eval__num_examples=4000,
        eval__num_levels=16,
        eval__batch_size=4000,
    )
    (case,) = load_cases(config)
    params = case.model.init(jax.random.key(0), jnp.asarray(case.train[0][:1]))
    measure = make_measure(config, case)
    values = measure(
        jax.random.key(1), params, case.references[0], case.density_of(0), case.test[0]
    )
    for name, t_max in (("s_tot_early", measures.EARLY), ("s_tot", case.times[1])):
        exact = total_entropy(
            jax.random.key(2), case.density_of(0), case.process, 100_000, config.t_min, t_max
        )
        found, exact = Estimate.of(values[name]), Estimate.of(exact)
        assert abs(found.mean - exact.mean) < NUM_SIGMAS * np.hypot(found.stderr, exact.stderr)


def test_mixtures_of_two_dimensions_and_seeds(tmp_path, capsys, monkeypatch):
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=("straight_line",),
        dimensions=(2,),
        samples=(200,),
        num_seeds=2,
    )
    asked, reads = record_keys(monkeypatch), record_reads(monkeypatch, config)
    neural_entropy.run(config, tmp_path)
    assert_distinct_keys(asked)
    assert_every_field_is_read(config, reads | {"mixture.all"})  # which only samples=(0,) asks for
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
        assert abs(gap["value"] - shortfall["value"]) < 5 * np.hypot(
            gap["stderr"], shortfall["stderr"]
        )
        total = rows[f"{process}.D2.s_tot"]
        assert abs(total["value"] - total["truth"]) < 5 * total["stderr"]
        # hardly trained, so the model is the Gaussian reference still
        ratios = [
            rows[f"{process}.D2.{quantity}_ratio"]["value"] for quantity in ("s_nn", "s_reference")
        ]
        assert ratios[0] == pytest.approx(ratios[1], abs=1e-3)
        assert abs(rows[f"{process}.D2.learned_share"]["value"]) < 0.3
    for name in ("coverage_growth", "coverage_s_nn"):
        assert rows[name]["unit"].endswith("of 4")  # two repetitions of each of two seeds
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "training.png",
        "rates.png",
        "ratios.png",
    }
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "checkpoints",
        "figures",
    }
    lines = records.read_metrics(tmp_path)
    assert lines[1]["straight_line.D2.0.loss"] != lines[1]["straight_line.D2.1.loss"]
    capsys.readouterr()
    neural_entropy.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.slow
def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(tmp_path):
    changes = dict(
        processes=("vp",),
        dimensions=(2,),
        samples=(50,),
        num_seeds=2,
        systems_at_once=2,
        save_every=2,
        eval__repetitions=0,
    )
    config = make_config("neural_entropy/gaussian_mixture", **changes)
    neural_entropy.run(config, tmp_path)
    results = (tmp_path / "results.json").read_text()
    metrics = without_times(records.read_metrics(tmp_path))
    (tmp_path / "results.json").unlink()
    shutil.rmtree(tmp_path / "checkpoints" / "4")  # as if killed after the save of update 2
    neural_entropy.run(config, tmp_path)
    assert (tmp_path / "results.json").read_text() == results
    assert without_times(records.read_metrics(tmp_path)) == metrics


def without_times(lines):
    return [
        {name: value for name, value in line.items() if "ms_per_update" not in name}
        for line in lines
    ]


def test_a_case_rests_once_it_has_seen_its_samples_max_epochs_times():
    config = make_config(
        "neural_entropy/samples", dimensions=(2,), samples=(8, 12, 80), num_seeds=1, max_epochs=2
    )
    cases = {case.name: case for case in load_cases(config)}
    settings = command_line.read(Training, config)
    mesh = parallel.data_mesh(1)
    states = systems.make_states(config.seed, settings, cases)
    trainees = systems.make_trainees(config.seed, settings, cases, mesh)
    update = advance.make_advance(trainees, mesh, settings.batch_size)
    for step in (0, 2):
        states, metrics = update(states, step, 2)
    assert [int(states[f"mixture.N{n}", 0].step) for n in (8, 12, 80)] == [
        2,
        3,
        4,
    ]  # N = 12 ends within a dispatch
    losses = {name for name in metrics if name.endswith("loss")}
    assert losses == {"mixture.N12.0.loss", "mixture.N80.0.loss"}
    assert systems.headline(cases, {name: values.mean() for name, values in metrics.items()})


def test_passes_are_over_samples_not_dimensions():
    config = make_config(
        "neural_entropy/gaussian_mixture", dimensions=(2, 3), samples=(200,), max_epochs=3
    )
    config.num_updates = 1000
    settings = command_line.read(Training, config)
    assert {systems.updates_of(settings, case) for case in load_cases(config)} == {75}


@pytest.mark.optimized
@pytest.mark.slow
def test_training_closes_the_gap_of_the_gaussian_reference(tmp_path):
    """A mixture of three dimensions, trained as its config says, one seed."""
    config = load_config("configs/neural_entropy/gaussian_mixture.py")
    config.update(processes=("vp",), dimensions=(3,), num_seeds=1, num_devices=1, evaluate_every=0)
    neural_entropy.run(config, tmp_path)
    rows = values_of(tmp_path)
    share, gap, total = (
        rows[f"vp.D3.{quantity}"] for quantity in ("learned_share", "em_gap", "s_tot")
    )
    assert share["value"] > 0.9 and NUM_SIGMAS * share["stderr"] < 0.05
    assert 0 < gap["value"] < 0.05 and NUM_SIGMAS * gap["stderr"] < 0.05
    assert (
        abs(total["value"] - total["truth"]) < NUM_SIGMAS * total["stderr"] < 0.05 * total["truth"]
    )


@pytest.mark.slow
def test_sample_sizes_of_a_mixture(tmp_path):
    config = make_config(
        "neural_entropy/samples", dimensions=(2,), samples=(20, 40, 80), num_seeds=1
    )
    neural_entropy.run(config, tmp_path)
    rows = values_of(tmp_path)
    assert {"mixture.N20.s_nn", "mixture.N80.kelly_growth", "mixture.log_law.slope"} <= set(rows)
    assert (tmp_path / "figures" / "sample_sizes.png").exists()


@pytest.mark.slow
def test_digits_with_a_unet(tmp_path, monkeypatch):
    config = make_config(
        "neural_entropy/digits",
        samples=(100, 200, 0),
        batch_size=4,
        num_updates=2,
        save_every=2,
        model__channels=(8, 8),
    )
    reads = record_reads(monkeypatch, config)
    neural_entropy.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = values_of(tmp_path)
    sizes = sorted(int(name.split(".")[1][1:]) for name in rows if name.endswith(".s_nn"))
    assert sizes[:2] == [100, 200] and sizes[2] > 1400  # 0 stands for all
    assert {"digits.N100.total_correlation_bound", "digits.pixel_entropy"} <= set(rows)
    assert "digits.log_law.slope" in rows and "digits.N100.s_tot" not in rows
    assert {"generated.png", "pixels.png"} <= {
        path.name for path in (tmp_path / "figures").iterdir()
    }


@pytest.mark.slow
def test_mnist_has_its_cases(mnist_dir):
    """They are made and measured as digits are."""
    config = make_config("neural_entropy/mnist", samples=(50,), data__dir=str(mnist_dir))
    (case,) = load_cases(config)
    assert case.name == "mnist.N50" and case.train[0].shape == (50, 28, 28, 1)


@pytest.mark.slow
def test_pixels_and_what_is_between_them(tmp_path):
    config = make_config("neural_entropy/pixels", model__channels=(8,), evaluate_every=0)
    neural_entropy.run(config, tmp_path)
    assert {"digits.pixel_entropy", "digits.N1498.total_correlation_bound"} <= set(
        values_of(tmp_path)
    )
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert "pixels" in names and "training" not in names  # nothing was measured in training
