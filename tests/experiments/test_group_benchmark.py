"""experiments.benchmarks.groups: gains turn by turn, one run with tiny settings, bad input."""

import json

import numpy as np
import pytest
from test_benchmarks import TINY

from diffenc.errors import InputError
from experiments.arguments import load_config
from experiments.benchmarks import groups
from experiments.benchmarks.trainings import SEVERAL


def tiny_config(rows):
    config = load_config("configs/benchmarks/groups.py")
    config.benchmark.update(rows=rows, sizes=(2,), turns=2, turn_seconds=1e-3, updates=2)
    for section, changes in TINY.items():
        name = section.split(".")[1]
        if name in config.experiments:
            config.experiments[name].update(changes)
    for name in ("posteriors", "diffusion_decoder"):
        config.experiments[name].methods = ("vae",)
    return config


def run(config, tmp_path) -> dict:
    groups.run(config, tmp_path)
    return {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}


def test_a_gain_is_taken_turn_by_turn():
    alone = groups.Measured(3.0, 5_000_000, np.array([4e-3, 8e-3, 2e-3]))
    together = groups.Measured(4.0, None, np.array([2e-3, 4e-3, 1e-3]))
    rows = groups.rows_of("mixture.vp.D9.size3", {"alone": alone, "together": together})
    named = {groups.split(row.name): row for row in rows}
    gain = named["mixture.vp.D9.size3", "gain"]
    assert (gain.value, gain.stderr) == (2.0, 0.0)
    assert named["mixture.vp.D9.size3", "alone.time"].value == 4.0
    assert named["mixture.vp.D9.size3", "alone.memory"].value == 5.0
    assert ("mixture.vp.D9.size3", "together.memory") not in named


def test_systems_go_on_where_they_stopped_in_both_ways():
    config = tiny_config(("mixture",))
    systems = groups.make_systems("mixture", config.experiments.mixture, 3)
    (program,) = systems.names
    assert program == "vp.D9" and len(systems.names[program]) == 3
    for way in groups.WAYS:
        contender = groups.Contender(systems, systems.names[program], way, updates=2)
        for _ in range(2):
            contender.call()
        steps = [int(state.step) for state in contender._states.values()]
        assert steps == [4, 4, 4], way
    assert [int(state.step) for state in systems.states.values()] == [0, 0, 0], "copies are trained"


def test_a_run_has_its_rows_and_is_complete(tmp_path, capsys):
    config = tiny_config(("mixture",))
    rows = run(config, tmp_path)
    for column in ("alone.time", "alone.first_step", "together.time", "together.memory", "gain"):
        assert rows[f"mixture.vp.D9.size2.{column}"]["value"] > 0
    assert len(rows) == 7
    assert [path.stem for path in (tmp_path / "figures").iterdir()] == ["groups"]
    groups.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.slow
def test_every_experiment_of_several_systems_has_its_rows(tmp_path):
    rows = run(tiny_config(tuple(SEVERAL)), tmp_path)
    gains = [name for name in rows if name.endswith(".gain")]
    assert {name.split(".")[0] for name in gains} == set(SEVERAL)
    assert all(rows[name]["value"] > 0 for name in gains)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ("labels",)}, "benchmark.rows is 'labels'"),
        ({"rows": ()}, "rows"),
        ({"sizes": (1, 3)}, "sizes"),
        ({"turns": 1}, "turns is 1"),
        ({"turn_seconds": 0.0}, "turn_seconds"),
    ],
)
def test_bad_benchmarks_are_one_line(tmp_path, changes, message):
    config = load_config("configs/benchmarks/groups.py")
    config.benchmark.update(changes)
    with pytest.raises(InputError, match=message):
        groups.run(config, tmp_path)
