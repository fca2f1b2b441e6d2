"""Contracts of the command line: errors name the field of the config, and paths are checked."""

import json
import logging
import sys
import types
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest
from absl import logging as absl_logging
from etils import epath
from ml_collections import ConfigDict

from diffenc.errors import InputError
from experiments import command_line
from experiments.diffusion_encoder import __main__ as diffusion_encoder


@dataclass(frozen=True)
class Settings:
    """Settings that a config must have, and one that it may."""

    draws: int
    widths: tuple[int, ...]
    rounds: int = 3


def test_settings_are_read_from_a_section():
    config = ConfigDict(dict(em=dict(draws=2, widths=[8, 4], other=1)))
    assert command_line.read(Settings, config, "em") == Settings(2, (8, 4))
    assert command_line.read(Settings, config, "em", draws=5, rounds=1) == Settings(5, (8, 4), 1)


@pytest.mark.parametrize("config", [{}, {"em": 3}, {"em": {"widths": (1,)}}])
def test_a_missing_field_belongs_to_another_experiment(config, monkeypatch):
    with pytest.raises(
        InputError,
        match="config field em.draws is missing: this config belongs to another experiment; "
        "use one from configs/<this experiment>/",
    ):
        command_line.read_field(ConfigDict(config), "em.draws")
    module = types.SimpleNamespace(__spec__=types.SimpleNamespace(name="experiments.kelly"))
    monkeypatch.setitem(sys.modules, "__main__", module)
    with pytest.raises(InputError, match="use one from configs/kelly/$"):
        command_line.read_field(ConfigDict(config), "em.draws")


@pytest.mark.parametrize("section", [3, None, "x", (1,)])
def test_a_section_is_no_value(section):
    with pytest.raises(InputError, match="config field em is .*: give it the fields of a section"):
        command_line.read(Settings, ConfigDict({"em": section}), "em", draws=1, widths=())


@pytest.mark.parametrize("name", ["experiments.benchmarks.pod", "experiments.guidance.__main__"])
def test_a_run_records_the_module_that_was_called(tmp_path, monkeypatch, name):
    module = types.SimpleNamespace(__spec__=types.SimpleNamespace(name=name))
    monkeypatch.setitem(sys.modules, "__main__", module)
    with command_line._recorded(ConfigDict(), epath.Path(tmp_path)):
        command_line._session.begin()
    (session,) = json.loads((tmp_path / "run.json").read_text())["sessions"]
    assert session["command"][2] == name.removesuffix(".__main__")


def test_an_error_of_the_library_names_the_field():
    with pytest.raises(InputError, match="^config field data.validation is 3: give more$"):
        with command_line.naming(count="data.validation"):
            raise InputError("count is 3: give more")
    with pytest.raises(InputError, match="^seed is -1: give 0 or more$"):
        with command_line.naming(count="data.validation"):
            raise InputError("seed is -1: give 0 or more")


def test_a_warning_begins_with_its_level(command):
    handler = absl_logging.get_absl_handler()
    handler.setFormatter(None)
    command([])
    record = logging.makeLogRecord({"levelname": "WARNING", "msg": "x is short"})
    assert handler.format(record) == "WARNING: x is short"


def test_a_workdir_is_made_and_left_empty(tmp_path):
    workdir = epath.Path(tmp_path / "runs" / "a")
    command_line._make(workdir)
    command_line._make(workdir)
    assert workdir.is_dir() and not list(workdir.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made .*: give another --workdir"):
        command_line._make(epath.Path(tmp_path / "file" / "run"))


def test_a_workdir_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(self, text):
        raise PermissionError(13, "Permission denied")

    workdir = epath.Path(tmp_path)
    monkeypatch.setattr(type(workdir), "write_text", refuse)
    with pytest.raises(InputError, match=r"cannot be written to \(Permission denied\)"):
        command_line._make(workdir)


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_runs_are_of_single_precision(command, monkeypatch, tmp_path):
    def experiment(config, workdir):
        print(jnp.ones(3).dtype)

    monkeypatch.setattr(diffusion_encoder, "run", experiment)
    arguments = ["--config=configs/diffusion_encoder/digits.py", f"--workdir={tmp_path}"]
    with jax.enable_x64(True):
        status, printed, _ = command(arguments)
    assert (status, printed.strip()) == (0, "float32")


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_configs_are_found_beside_the_experiments_from_any_directory(
    command, monkeypatch, tmp_path
):
    monkeypatch.setattr(diffusion_encoder, "run", lambda config, workdir: print(config.seed))
    monkeypatch.chdir(tmp_path)
    arguments = ["--config=configs/diffusion_encoder/digits.py", "--workdir=run"]
    status, printed, _ = command([*arguments, "--config.seed=7"])
    assert (status, printed.strip()) == (0, "7")
    status, _, error = command(["--config=configs/diffusion_encoder/none.py", "--workdir=run"])
    assert status == 2
    assert error.startswith("error: config file configs/diffusion_encoder/none.py does not exist")
