"""experiments.neural_entropy, speed_limit and benchmarks.entropy_training: every config with tiny
settings, names, bad input."""

import json
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
from jax.flatten_util import ravel_pytree

from diffenc.diffusion import entropy_quadrature
from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.run import advance, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line, speed_limit
from experiments.benchmarks import entropy_training
from experiments.neural_entropy import __main__ as neural_entropy
from experiments.neural_entropy import cases as neural_entropy_cases
from experiments.neural_entropy import coverage, measures, systems
from experiments.neural_entropy import results as neural_entropy_results
from experiments.neural_entropy.settings import Evaluation, Training, read_sweep

TINY = {
    "num_devices": 1,
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
    known = command_line._fields(config)
    fields = {
        field: value for field, value in TINY.items() if field in known
    }  # images have others than mixtures
    fields |= {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config


def load_cases(config):
    return neural_entropy_cases.load_cases(read_sweep(config))


def make_measure(config, case, levels=None):
    levels = levels or measures.evaluation_levels(jax.random.key(3), case)
    return measures.make_measure(case, levels, config.eval.num_levels, config.eval.batch_size)


def values_of(workdir):
    rows = json.loads((workdir / "results.json").read_text())
    assert all(set(row) == {"name", "value", "stderr", "unit", "truth"} for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


SLOW = pytest.mark.slow  # each process compiles a measure of its own


@pytest.mark.parametrize(
    "process",
    ["cosine", "sub_vp", pytest.param("vp", marks=SLOW), pytest.param("straight_line", marks=SLOW)],
)
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


def test_the_early_share_of_shared_examples_has_their_error_once():
    """Three seeds that say the same of the same examples are no better than one."""
    x = np.random.default_rng(0).normal(size=(500, 2))
    seed = {"s_nn": 2 + x[:, 0], "s_nn_early": 1 + 0.3 * x[:, 0] + 0.2 * x[:, 1]}
    one, three = (neural_entropy_results.early_share("a", [seed] * n, False, True) for n in (1, 3))
    assert three[1:3] == pytest.approx(one[1:3])
    assert one.stderr == pytest.approx(
        np.sqrt(0.2**2 + 0.2**2) / 2 / 500**0.5, rel=0.1
    )  # (early - 1/2 s_nn) / 2


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
        num_seeds=1,
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


def test_coverage_counts_what_lies_within_two_errors():
    """With a measure whose law is known: 95.4 % of the intervals hold its mean, and none a number
    far away."""
    sizes = dict(eval__repetitions=300, eval__monitor=1000)
    config = make_config("neural_entropy/gaussian_mixture", **sizes)
    settings = command_line.read(Evaluation, config, "eval")
    model = (None, None, Gaussian(jnp.zeros(2), jnp.eye(2)))

    def measure(key, params, reference, density, x):
        draws = np.asarray(jax.random.normal(key, (3, len(x))))
        gap = 1.0 + 0.1 * draws[2]
        return {"kelly_growth": 3.0 + draws[0], "s_nn": 7.0 + draws[1], "em_gap": gap}

    def covered(key, total):
        inside = coverage.coverage(key, model, total, measure, measure, settings)
        return {name: coverage.coverage_result(name, hits) for name, hits in inside.items()}

    results = covered(jax.random.key(0), Estimate(4.0, 0.0))  # growth is S_tot less the gap
    for result in results.values():
        assert abs(result.value - result.truth) < NUM_SIGMAS * result.stderr
        assert result.stderr < 0.02
    far = covered(jax.random.key(1), Estimate(3.0, 0.0))
    assert far["coverage_growth"].value == 0 and far["coverage_s_nn"].value > 0.9


def test_growth_and_s_nn_cover_the_truth_of_a_bad_network_and_not_that_of_a_good_one():
    """A network moved at random is far from the exact score, and its errors cover all the same."""
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=("vp",),
        dimensions=(2,),
        samples=(200,),
        num_seeds=1,
        eval__num_examples=2000,
        eval__repetitions=200,
        eval__monitor=500,
        eval__batch_size=500,
    )
    (case,) = load_cases(config)
    params = case.model.init(jax.random.key(0), jnp.asarray(case.train[0][:1]))
    flat, unravel = ravel_pytree(params)
    moved = unravel(flat + 0.5 * jax.random.normal(jax.random.key(1), flat.shape))
    density = case.density_of(0)
    model = (moved, case.references[0], density)
    measure = make_measure(config, case)
    levels = log_snr_range(case.process, *case.times)
    measure_truth = make_measure(config, case, Uniform(*levels))
    values = total_entropy(jax.random.key(2), density, case.process, 100_000, *case.times)
    total = Estimate.of(values)
    both = (measure, measure_truth)
    inside = coverage.coverage(
        jax.random.key(3), model, total, *both, command_line.read(Evaluation, config, "eval")
    )
    for name, hits in inside.items():
        result = coverage.coverage_result(name, hits)
        assert abs(result.value - result.truth) < NUM_SIGMAS * result.stderr, name
        assert result.stderr < 0.02
    one = measure(jax.random.key(4), *model, case.test[0])
    for quantity in ("kelly_growth", "s_nn"):  # S_tot itself is out of reach
        estimate = Estimate.of(one[quantity])
        assert abs(estimate.mean - total.mean) > 10 * estimate.stderr


@pytest.mark.slow
def test_training_closes_the_gap_of_the_gaussian_reference(tmp_path):
    """A mixture of three dimensions, trained as its config says, one seed."""
    config = command_line._load("configs/neural_entropy/gaussian_mixture.py")
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
        "neural_entropy/digits", samples=(100, 200, 0), batch_size=4, num_updates=2, save_every=2
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
def test_mnist_with_a_unet(tmp_path, mnist_dir):
    config = make_config(
        "neural_entropy/mnist",
        samples=(50,),
        batch_size=4,
        data__dir=str(mnist_dir),
        eval__images=2,
    )
    config.eval.update(num_examples=8, monitor=4, batch_size=4)
    neural_entropy.run(config, tmp_path)
    assert np.isfinite(values_of(tmp_path)["mnist.N50.kelly_growth"]["value"])


def test_what_two_equal_pixels_have_between_them():
    """Images of two pixels, equal, 0 or 255 with shares 3/4 and 1/4: each by itself is a bit of
    that law."""
    process, times = VPLinear(), (1e-3, 1.0)
    bits = np.random.default_rng(0).permutation(np.repeat([0, 255], [3000, 1000])).astype(np.uint8)
    train = np.stack([bits, bits], axis=1).reshape(-1, 1, 2, 1)
    case = neural_entropy_cases.Case(
        "d.N4000", "d", "d", 4000, process, times, *(None,) * 3, [train], [train], 255.0
    )
    growth = Result("d.N4000.kelly_growth", 10.0, 0.3)
    alone, bound = neural_entropy_results.between_pixels({"d.N4000": case}, [growth])
    levels = log_snr_range(process, *times)
    less, one, more = (
        float(
            entropy_quadrature.coordinate_entropy(
                process, np.array([0.0, 1.0]), jnp.array([[1 - p, p]]), *levels
            )[0]
        )
        for p in (0.24, 0.25, 0.26)
    )
    assert alone.value == pytest.approx(2 * one, rel=1e-5)
    shares_error = (
        np.std([block.mean() / 255 for block in np.array_split(bits, 10)], ddof=1) / 10**0.5
    )
    assert alone.stderr == pytest.approx(
        abs(more - less) / 0.01 * shares_error, rel=0.02
    )  # the delta method
    assert bound.value == pytest.approx(10 - 2 * one, rel=1e-5)
    assert bound.stderr == pytest.approx(np.hypot(0.3, alone.stderr))
    np.testing.assert_allclose(
        neural_entropy_results.pixel_map(case), np.full((1, 2, 1), one), rtol=1e-5
    )


def test_the_law_in_log_n_is_found():
    cases = {
        f"d.N{n}": neural_entropy_cases.Case(f"d.N{n}", "d", "d", n, *(None,) * 7)
        for n in (100, 1000, 10_000)
    }
    results = [tables.Result(f"d.N{n}.s_nn", 3.0 + 2.0 * np.log(n)) for n in (100, 1000, 10_000)]
    results += [tables.Result(f"d.N{n}.kelly_growth", n) for n in (100, 1000, 10_000)]
    law = {result.name: result for result in neural_entropy_results.log_laws(cases, results)}
    assert law["d.log_law.slope"].value == pytest.approx(2.0) and law[
        "d.log_law.intercept"
    ].value == pytest.approx(3.0)
    assert law["d.log_law.slope"].stderr == pytest.approx(0.0, abs=1e-6)


def test_speed_limit(tmp_path, monkeypatch):
    config = command_line._load("configs/speed_limit/gaussian_mixture.py")
    config.update(processes=("vp",), dimensions=(1,), num_samples=400, num_times=4, refine=32)
    config.transport.update(samples=100, groups=3)
    reads = record_reads(monkeypatch, config)
    speed_limit.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = values_of(tmp_path)
    limit, exact = rows["vp.D1.speed_limit"], rows["vp.D1.gaussian.speed_limit"]["value"]
    assert (
        0
        < rows["vp.D1.w2_squared_corrected"]["value"]
        < limit["value"] + NUM_SIGMAS * limit["stderr"]
    )
    assert 0 < rows["vp.D1.gaussian.w2_squared"]["value"] < exact
    assert 0.5 < rows["vp.D1.gaussian.largest_share"]["value"] < 1
    assert (tmp_path / "figures" / "speed_limit.png").exists()


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
        (dict(processes=("vq",)), "vp"),
        (dict(reference="momenta"), "moments"),
        (dict(output="eps"), "residual"),
        (dict(samples=(-5,)), "counts"),
        (dict(eval__num_examples=1), "2 or more"),
        (dict(draws=0), "draws is 0: give a number above 0"),
        (dict(model__features=()), "features"),
        (dict(average_decay=1.0), "average_decay"),
        (dict(clip_norm=0.0), "clip_norm"),
        (dict(mixture__std_min=2.0), "std_min"),
        (dict(mixture__components=0), "mixture.components"),
        (dict(eval__monitor=1), "eval.monitor is 1"),
        (dict(processes=("ve",), reference="equilibrium"), "no equilibrium"),
        (dict(dimensions=()), "dimensions"),
        (dict(samples=(10, 20)), "ignored"),
        (dict(sweep="samples"), "datasets"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        neural_entropy.run(make_config("neural_entropy/gaussian_mixture", **changes), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model__channels=(12,)), "multiples of 8"),
        (dict(model__channels=(8,) * 5), "cannot be halved 4 times"),
        (dict(model__channels=()), "model.channels"),
        (dict(model__dtype="float16"), "model.dtype is 'float16'"),
        (dict(eval__images=0), "eval.images"),
        (dict(eval__sampler_steps=0), "sampler_steps"),
        (dict(datasets=("mixture",)), "field mixture.components is missing"),
        (dict(datasets=()), "datasets"),
        (dict(processes=("vp", "ve")), "ignored"),
    ],
)
def test_bad_settings_of_images_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        neural_entropy.run(make_config("neural_entropy/digits", **changes), tmp_path)


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


def test_bad_speed_limits_are_one_line(tmp_path):
    config = command_line._load("configs/speed_limit/gaussian_mixture.py")
    config.transport.groups = 1
    with pytest.raises(InputError, match="groups"):
        speed_limit.run(config, tmp_path)


def test_a_size_may_be_named_once(tmp_path):
    with pytest.raises(InputError, match="twice"):
        neural_entropy.run(
            make_config("neural_entropy/samples", dimensions=(2,), samples=(50, 50)), tmp_path
        )


@pytest.mark.slow
def test_pixels_and_what_is_between_them(tmp_path):
    config = make_config("neural_entropy/pixels", model__channels=(8,), evaluate_every=0)
    neural_entropy.run(config, tmp_path)
    assert {"digits.pixel_entropy", "digits.N1498.total_correlation_bound"} <= set(
        values_of(tmp_path)
    )
    assert (tmp_path / "figures" / "pixels.png").exists()
