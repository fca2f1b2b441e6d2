"""Programs of experiments: the systems of a group have the numbers that each has alone."""

import json

import chex
import jax
import numpy as np
import pytest
from entropy_runs import make_config

from diffenc.errors import InputError
from diffenc.run import advance, groups, parallel
from experiments import command_line
from experiments.arguments import load_config
from experiments.neural_entropy import systems
from experiments.neural_entropy.cases import load_cases
from experiments.neural_entropy.settings import Training, read_sweep
from experiments.posteriors import cases
from experiments.posteriors.settings import read_experiment

BATCH = 8
# Of a parameter's norm: some hundred roundings, which few updates of Adam do not enlarge.
ROUNDING = 100 * float(np.finfo(np.float32).eps)


def entropy_systems(mesh):
    """Two systems with data, references and starts of their own."""
    config = make_config(
        "neural_entropy/gaussian_mixture",
        processes=("vp",),
        dimensions=(2,),
        samples=(50,),
        num_seeds=2,
        warmup=1,
    )
    sweep = read_sweep(config)
    settings = command_line.read(Training, config)
    made = {case.name: case for case in load_cases(sweep)}
    states = systems.make_states(sweep.seed, settings, made)
    return states, systems.make_trainees(sweep.seed, settings, made, mesh)


def posterior_systems(mesh):
    """Two seeds of the alternating update by two E-steps, all on the same data."""
    config = load_config("configs/posteriors/toys.py")
    config.update(toys=("ring",), methods=("importance", "langevin"), num_seeds=2)
    config.update(batch_size=BATCH, num_updates=4, warmup=1)
    config.model.update(embed_features=(8,), features=(8,))
    config.em.update(langevin_steps=1, sampler_steps=1, proposals=3, draws=1)
    experiment = read_experiment(config)
    made = cases.load_cases(experiment)
    models = cases.make_models(experiment, made)
    states = {name: system.state for name, system in models.items()}
    return states, cases.make_trainees(experiment.training.seed, made, models, mesh)


def train(states, trainees, mesh, systems_at_once):
    """The states after two dispatches of two updates, and the metrics."""
    go = advance.make_advance(trainees, mesh, BATCH, systems_at_once)
    states = parallel.replicate(mesh, jax.tree.map(np.asarray, states))
    metrics = []
    for step in (0, 2):
        states, values = go(states, step, 2)
        metrics.append({name: np.asarray(a) for name, a in values.items() if "ms_" not in name})
    return states, metrics


def differences(found, expected) -> list[float]:
    """Norms of the differences of arrays, in norms of the arrays."""
    return [
        float(np.linalg.norm(np.subtract(a, b)) / max(1e-3, np.linalg.norm(b)))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    ]


@pytest.mark.parametrize(
    "make_systems", [entropy_systems, pytest.param(posterior_systems, marks=pytest.mark.slow)]
)
def test_a_group_is_its_systems_one_after_another(monkeypatch, make_systems):
    mesh = parallel.data_mesh(2)
    states, trainees = make_systems(mesh)
    alone, metrics_alone = train(states, trainees, mesh, 1)
    sizes = []
    run = groups.run
    monkeypatch.setattr(groups, "run", lambda *given: sizes.append(len(given[1])) or run(*given))
    together, metrics = train(states, trainees, mesh, 2)
    assert sizes == [2] * len(sizes) and 2 * sum(sizes) == 4 * len(trainees)
    assert max(differences(together, alone)) < ROUNDING
    start = parallel.replicate(mesh, jax.tree.map(np.asarray, states))
    assert min(map(max, (differences(together[name], start[name]) for name in start))) > 0.1
    chex.assert_trees_all_close(metrics, metrics_alone, rtol=1e-4, atol=1e-5)


def test_a_run_of_before_the_field_goes_on_and_in_any_grouping(tmp_path):
    config = make_config("neural_entropy/gaussian_mixture")
    before = config.to_dict()
    del before["systems_at_once"]
    (tmp_path / "config.json").write_text(json.dumps(before))
    (tmp_path / "checkpoints").mkdir()
    for systems_at_once in (0, 3):
        config.systems_at_once = systems_at_once
        assert not command_line.is_complete(config, tmp_path)
    config.batch_size += 8
    with pytest.raises(InputError, match=r"made with another config \(batch_size"):
        command_line.is_complete(config, tmp_path)


def test_a_group_of_fewer_than_none_is_refused():
    config = make_config("neural_entropy/gaussian_mixture", systems_at_once=-1)
    with pytest.raises(InputError, match="config field systems_at_once is -1"):
        command_line.read(Training, config)
