"""experiments.action_principle: each task once, small, beside what is known of it."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.diffusion.processes import StraightLine, SubVP, VPLinear
from diffenc.errors import InputError
from diffenc.run import records, tables
from experiments import arguments, command_line
from experiments.action_principle import __main__ as action_principle
from experiments.action_principle import family, mixture, sampling
from experiments.action_principle.learning import Training

ROOT = Path(__file__).resolve().parents[2]
LINE = np.linspace(-4.0, 4.0, 4001)
WELL = (np.exp(-np.square(np.square(LINE) - 4)), LINE)
SMALL = {
    "mixture": {
        "num_steps": 60,
        "num_paths": 100,
        "num_directions": 2,
        "sizes": (0.0, 0.2),
        "guidance": (0.0, 4.0),
        "etas": (0.0, 1.5),
        "num_samples": 200,
        "num_permutations": 199,
    },
    "learn": {
        "num_seeds": 1,
        "dimensions": (2,),
        "num_steps": 40,  # with 12 the gradient of the action exploits the errors of the steps
        "num_paths": 60,
        "training.num_updates": 150,
        "training.batch_size": 32,
        "training.num_nodes": 8,
        "training.features": (8,),
        "training.learning_rate": 1e-2,
        "training.num_checks": 1,
    },
    "sampling": {
        "num_seeds": 1,
        "targets": ("double_well",),
        "num_steps": 12,
        "num_groups": 2,
        "group_size": 100,
        "training.num_updates": 10,
        "training.batch_size": 16,
        "training.num_nodes": 4,
        "training.features": (8,),
    },
    "residual": {
        "num_devices": 1,
        "model.features": (8,),
        "batch_size": 32,
        "num_updates": 4,
        "updates_per_dispatch": 2,
        "save_every": 4,
        "evaluate_every": 2,
        "eval.num_examples": 60,
        "eval.num_levels": 4,
    },
    "family": {
        "num_devices": 1,
        "model.features": (8,),
        "batch_size": 32,
        "num_updates": 2,
        "updates_per_dispatch": 2,
        "save_every": 2,
        "eval.num_examples": 2,
        "eval.num_steps": 100,
        "eval.num_samples": 40,
        "eval.sampler_steps": 30,
        "eval.etas": (0.0, 1.0),
        "eval.batch_size": 2,
        "eval.num_permutations": 999,
    },
}


def make_config(name, **changes):
    """The config `name` with its small settings and these changes (dots as two underscores)."""
    config = arguments.load_config(f"{ROOT}/configs/action_principle/{name}.py")
    fields = SMALL[name] | {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(fields)
    return config


def assert_near_truth(row, rest=0.0):
    """Whether a row is within its errors of its truth, or within `rest` more."""
    assert abs(row.value - row.truth) <= NUM_SIGMAS * (row.stderr or 0.0) + rest, row


def test_mixtures_obey_their_equations_and_guidance_does_not(tmp_path, capsys, monkeypatch):
    few = {name: mixture.PROCESSES[name] for name in ("edm",)}
    monkeypatch.setattr(mixture, "PROCESSES", few)
    config = make_config("mixture")
    action_principle.run(config, tmp_path)
    rows = {row.name: row for row in tables.read_results(tmp_path)}
    for name, row in rows.items():
        if "residual" in name:
            assert row.value < 1e-8
        elif name.startswith(("curvature.", "first_variation.")) and "mean_square" not in name:
            assert_near_truth(row)
    assert_near_truth(rows["action"])
    assert_near_truth(rows["reduced_action"], rest=0.05)  # 60 steps err by the second order
    assert_near_truth(rows["guidance.w=0.excess_action"], rest=0.05)
    assert_near_truth(rows["guidance.w=4.excess_action"], rest=0.05)
    for moment in ("mean", "variance"):
        assert_near_truth(rows[f"guidance.w=0.{moment}"])
    assert rows["guidance.w=0.gap"].value < 1e-6
    for eta in ("0", "1.5"):
        assert rows[f"samples.eta={eta}.p_value"].value > 0.01
    assert rows["wrong_samples.flow_drift.p_value"].value == pytest.approx(0.005)
    paid = rows["guidance.w=4.gap"]
    assert paid.value > NUM_SIGMAS * paid.stderr
    assert rows["wrong_first_variation.mean_square"].value > np.square(NUM_SIGMAS)
    figures = {figure.name for figure in (tmp_path / "figures").iterdir()}
    assert figures == {"value.png", "parabola.png", "guidance.png"}
    capsys.readouterr()
    action_principle.run(config, tmp_path)
    assert capsys.readouterr().out.startswith(f"the run in {tmp_path} is complete")


def test_a_score_has_no_residual_and_a_stretched_one_has(tmp_path):
    """The reference is a score too, of another density: its residual is 0, and its gap is not."""
    action_principle.run(make_config("residual"), tmp_path)
    value = {row.name: row.value for row in tables.read_results(tmp_path)}
    assert value["exact.gap"] == 0
    for score in ("exact", "reference"):
        assert value[f"{score}.score_residual"] < 1e-8  # rounding, squared
    assert value["reference.gap"] > 0.01
    for score in ("network", "stretched"):
        assert value[f"{score}.gap"] > 0.01 and value[f"{score}.score_residual"] > 1e-6
    lines = records.read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert lines[-1]["network.gap"] == pytest.approx(value["network.gap"], rel=1e-5)
    assert lines[0]["network.score_residual"] < 1e-8  # it begins as its reference
    assert (tmp_path / "figures" / "residual.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_control_is_learned_in_both_forms(tmp_path):
    action_principle.run(make_config("learn"), tmp_path)
    rows = {row.name: row for row in tables.read_results(tmp_path)}
    for case in ("quadratic2", "mixture"):
        start = rows[f"control_error.{case}.untrained"]
        for form in ("action", "adjoint"):
            end = rows[f"control_error.{case}.{form}"]
            error = np.hypot(start.stderr, end.stderr)
            assert start.value - end.value > NUM_SIGMAS * error, (case, form)
    figures = {figure.name for figure in (tmp_path / "figures").iterdir()}
    assert figures == {"errors.png", "fields.png"}


@pytest.mark.slow
def test_annealing_has_the_evaluations_of_the_control(tmp_path):
    config = make_config("sampling")
    action_principle.run(config, tmp_path)
    rows = {row.name: row for row in tables.read_results(tmp_path)}
    for place in ("double_well", "double_well.annealing"):
        log_z = rows[f"{place}.log_z"]
        assert rows[f"{place}.bound"].value < log_z.value
        assert 0 < rows[f"{place}.effective_share"].value < 1
        assert rows[f"{place}.coverage"].value in (0, 0.5, 1)
    assert log_z.truth == pytest.approx(5 * np.log(np.trapezoid(*WELL)), rel=1e-6)
    assert (tmp_path / "figures" / "sampling.png").stat().st_size > 5000
    # 13 evaluations for each of 160 paths of training and 200 of sampling
    settings = command_line.read(sampling.Settings, config)
    training = command_line.read(Training, config, "training")
    schedule = sampling.annealing_settings(settings, training, "double_well")
    tuning = schedule.tuning_steps * sampling.TUNING_CHAINS
    moves = schedule.num_temperatures * (schedule.num_chains + tuning)
    spent = moves * schedule.leapfrog_steps
    assert spent <= 360 * 13 < spent + 3 * (200 + tuning)


@pytest.mark.parametrize("name", sampling.TARGETS)
def test_targets_have_their_normalizer(name):
    """In two dimensions, by a sum over a grid."""
    target = sampling.TARGETS[name]
    line = np.linspace(-9.0, 9.0, 901)
    if name == "funnel":  # x_2 in units of its width
        first, second = np.meshgrid(3 * line, line)
        points = np.stack([first, second * np.exp(first / 2)], axis=-1)
        volume = 3 * np.exp(first / 2) * np.square(line[1] - line[0])
    else:
        points = np.stack(np.meshgrid(line, line), axis=-1)
        volume = np.square(line[1] - line[0])
    energy = np.asarray(jax.jit(target.energy)(np.float32(points.reshape(-1, 2))), np.float64)
    area = np.sum(volume * np.exp(-energy.reshape(901, 901)))
    exact = target.log_normalizer * 2 / target.dim
    assert np.log(area) == pytest.approx(exact, abs=1e-4)


@pytest.mark.slow
def test_one_network_has_one_likelihood_and_one_law_in_all_coordinates(tmp_path, monkeypatch):
    """Two of the processes. The network is hardly trained, and nearly the score of its Gaussian."""
    others = {name: family.OTHERS[name] for name in ("rectified_flow",)}
    monkeypatch.setattr(family, "OTHERS", others)
    action_principle.run(make_config("family"), tmp_path)
    value = {row.name: row.value for row in tables.read_results(tmp_path)}
    for coordinates in ("vp", "rectified_flow"):
        assert value[f"largest_difference.{coordinates}"] < 0.01
        half = value[f"half_steps.largest_difference.{coordinates}"]
        assert half > value[f"largest_difference.{coordinates}"]
    assert value["flow_difference.rectified_flow"] < 0.01
    # A right law is refused once in a thousand times, a wrong one always.
    assert value["samples.rectified_flow.eta=1.p_value"] > 0.001
    assert value["samples.wrong.eta=1.p_value"] == pytest.approx(0.001)
    figures = {figure.name for figure in (tmp_path / "figures").iterdir()}
    assert figures == {"family.png", "samples.png"}


@pytest.mark.parametrize("other", [StraightLine(0.3), SubVP(0.1, 17.0)], ids=str)
def test_the_prior_has_the_width_of_the_model_s_data(other):
    """Data N(0, I) under VP are N(0, I) at all times, whatever the unit of the other process."""
    model = family.Model(VPLinear(), lambda x, t: -x, 2)
    x = np.array([[0.3, -1.0], [2.0, 0.1]], np.float32)
    log_prob = jax.jit(functools.partial(family._log_prob, model, other, 0.05, 100, None))(x)
    truth = -0.5 * np.sum(np.square(x), axis=1) - np.log(2 * np.pi)
    np.testing.assert_allclose(log_prob, truth, atol=0.02)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("learn", {"training__num_checks": 7}, "training.num_checks is 7: give a divisor"),
        ("learn", {"training__num_nodes": 42}, "training.num_nodes is 42: give 41 or less"),
        ("learn", {"t_max_quadratic": 1.1}, "t_max_quadratic is 1.1: give a time from t_min"),
        ("sampling", {"t_min": 0.9}, "t_min is 0.9: give a time above 0, less than t_max=0.8"),
        ("mixture", {"etas": (-1.0,)}, "etas is .*: give numbers of 0 or more"),
        ("learn", {"dimensions": ()}, "config field dimensions is .*: give numbers of 1"),
        ("sampling", {"targets": ("ring",)}, "config field targets is 'ring': choose one of"),
        ("mixture", {"task": "mixtures"}, "config field task is 'mixtures': .*nearest: mixture"),
        ("mixture", {"plane__weights": (0.5, -0.1)}, "plane.weights is .*: give numbers above 0"),
        ("mixture", {"line__stds": (0.4,)}, "line.stds is .*: give 2 numbers above 0"),
        ("mixture", {"guidance": (-1.0,)}, "guidance is .*: give 0 or more"),
        ("mixture", {"t_min": 0.0}, "t_min is 0.0: give a small time"),
        ("mixture", {"num_paths": 1}, "num_paths is 1: give 2 or more"),
        ("residual", {"num_seeds": 2}, "config field num_seeds is 2: give 1"),
        ("residual", {"dimensions": (2, 3)}, "config field dimensions is .*: give one of them"),
        ("family", {"processes": ("ve",)}, "config field processes is .*: give 'vp' alone"),
        ("family", {"model__features": ()}, "model.features is .*: give widths of 1 or more"),
        ("family", {"eval__t_end": 1.0}, "eval.t_end is 1.0: give a small time"),
    ],
)
def test_bad_settings_are_named(tmp_path, name, changes, words):
    with pytest.raises(InputError, match=words) as raised:
        action_principle.run(make_config(name, **changes), tmp_path)
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())
