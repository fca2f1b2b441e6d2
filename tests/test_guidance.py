"""experiments.guidance: without weight the nats injected are the information; simulation against recursion; names."""

import json

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc import information_tasks
from diffenc.errors import InputError
from experiments import command_line, guidance

PAIR = information_tasks.linear_channel(jax.random.key(1), 3, 2)


def make_config(**changes):
    config = command_line._load("configs/guidance/joint_gaussian.py")
    config.update(dict(dim_x=3, dim_y=2, num_steps=300, num_samples=2000, weights=(0.0, 2.0)) | changes)
    return config


def test_unguided_nats_are_the_information():
    coarse, fine = (guidance.recursion(PAIR, 0.0, steps) for steps in (1500, 3000))
    assert abs(fine.injected - PAIR.information) < 0.6 * abs(coarse.injected - PAIR.information)  # first order
    assert 2 * fine.injected - coarse.injected == pytest.approx(PAIR.information, abs=2e-3)
    assert fine.information == pytest.approx(PAIR.information, abs=0.02) and abs(fine.distortion) < 1e-3


def test_guidance_injects_more_and_distorts():
    values = [guidance.recursion(PAIR, weight, 500) for weight in (0.0, 1.0, 3.0)]
    for field in ("injected", "information", "distortion"):
        assert np.all(np.diff([getattr(value, field) for value in values]) > 0.1)


def test_chains_do_what_the_recursion_says():
    config = make_config()
    exact = guidance.recursion(PAIR, 2.0, config.num_steps)
    measured = guidance.simulate(jax.random.key(2), PAIR, 2.0, config)
    assert abs(measured.injected.mean - exact.injected) < NUM_SIGMAS * measured.injected.stderr
    assert abs(measured.information.mean - exact.information) < NUM_SIGMAS * measured.information.stderr
    rest = measured.x - measured.y @ exact.slope.T
    spread = np.sqrt(np.diag(exact.cov))
    assert np.all(np.abs(rest.mean(axis=0)) < NUM_SIGMAS * spread / len(rest) ** 0.5)
    assert np.all(np.abs(rest.std(axis=0) / spread - 1) < NUM_SIGMAS / (2 * len(rest)) ** 0.5)


def test_a_run_has_its_names_and_figures(tmp_path, capsys):
    config = make_config(num_steps=100, num_samples=200)
    guidance.run(config, tmp_path)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    for weight in ("w=0", "w=2"):
        assert rows[f"{weight}.injected"]["stderr"] > 0 and rows[f"{weight}.injected"]["truth"] > 0
        assert {f"{weight}.sample_information", f"{weight}.distortion", "information"} < set(rows)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"guidance.png", "picture.png"}
    capsys.readouterr()
    guidance.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(weights=(-1.0,)), "none below 0"),
        (dict(num_samples=10), "num_samples is 10"),
        (dict(noise_std=0.0), "noise_std is 0"),
    ],
)
def test_bad_settings_are_named(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        guidance.run(make_config(**changes), tmp_path)
