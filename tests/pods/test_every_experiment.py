"""Every experiment that trains gives in two processes the losses of one; the others refuse several.

`table.py` makes the whole table of docs/pods.md; here is the part of it that costs least."""

import re
from pathlib import Path

import jax
import pytest
from hosts import ROOT, started, statuses
from small_runs import RUNS, largest_difference, train

from diffenc.errors import InputError
from experiments.action_principle import __main__ as action_principle
from experiments.arguments import load_config
from experiments.warm_start import __main__ as warm_start

# Those that `test_two_processes.py` runs whole are left out, and variants that share a training.
TRAINED = ("diffusion_decoder", "labels", "warm_start")
TOLERANCE = 1e-5  # of targets.md: sums of float32 in another order


def experiments() -> dict[str, str]:
    """The text of every module that has a command line, by its name."""
    paths = (ROOT / "experiments").rglob("*.py")
    texts = {path.relative_to(ROOT).with_suffix(""): path.read_text() for path in paths}
    return {
        ".".join(path.parts).removesuffix(".__main__"): text
        for path, text in texts.items()
        if "    command_line.main(run" in text
    }


def test_every_experiment_is_in_the_table_or_refuses_several_processes():
    trained = {f"experiments.{experiment}" for experiment, _, _ in RUNS.values()}
    refusing = {name for name, text in experiments().items() if "is_divided=False" in text}
    assert trained | refusing == set(experiments()) and not trained & refusing


@pytest.mark.parametrize(
    "experiment, config",
    [
        (action_principle, "action_principle/learn"),
        (action_principle, "action_principle/mixture"),
        (action_principle, "action_principle/sampling"),
        (warm_start, "warm_start/gaussian"),
        (warm_start, "warm_start/noise_families"),
    ],
)
def test_what_trains_nothing_over_devices_refuses_several_processes(
    monkeypatch, tmp_path, experiment, config
):
    config = load_config(str(ROOT / f"configs/{config}.py"))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError, match="runs on one process, and this is one of 2: start it on"):
        experiment.run(config, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_processes_that_should_be_one_end_with_one_line_each(tmp_path):
    words = ["-m", "experiments.kelly", "--config=configs/kelly/race.py"]
    with started([*words, f"--workdir={tmp_path / 'run'}"], tmp_path / "run", 2) as processes:
        assert statuses(processes) == [2, 2]
    for index in (0, 1):
        errors = Path(f"{tmp_path / 'run'}.{index}.err").read_text()
        lines = re.findall("^error: .*$", errors, re.MULTILINE)
        assert len(lines) == 1 and "experiments.kelly runs on one process" in lines[0], errors
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.slow
def test_two_processes_of_two_devices_have_the_losses_of_one(tmp_path):
    train(TRAINED, tmp_path / "one", 1, 1)
    train(TRAINED, tmp_path / "two", 2, 2)
    for name in TRAINED:
        difference, worst = largest_difference(tmp_path / "one" / name, tmp_path / "two" / name)
        assert difference < TOLERANCE, (name, worst)
