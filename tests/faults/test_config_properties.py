"""Configs of every experiment with odd values: they are taken, or refused in one line.

A config that a person has edited holds anything; the command line lets through what has the type of
the config file.
"""

import collections
import importlib
import json

import hypothesis.strategies as st
import numpy as np
import odd
import pytest
import small_run
from etils import epath
from hypothesis import given
from test_configs import PATHS, module_of

from diffenc.errors import InputError
from diffenc.run import checkpoints, sessions
from experiments import command_line
from experiments.arguments import fields_of, load_config
from experiments.diffusion_encoder import __main__ as diffusion_encoder

# ml_collections reads a config file by a method that newer Pythons discourage.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
ONE_OF_EACH = list({path.parent: path for path in PATHS}.values())
CONFIGS = {path: load_config(str(path)) for path in PATHS}
NAMES = ("adam", "all", "digits", "file", "mnist", "gaussian", "langevin", "v", "vp", "cold")


def set_field(config, field, value):
    *sections, name = field.split(".")
    for section in sections:
        config = config[section]
    with config.ignore_type():
        config[name] = value


@st.composite
def changed_configs(draw, paths):
    """(module, config, changes): one or two fields of a config with other values."""
    path = draw(st.sampled_from(paths))
    config = CONFIGS[path].copy_and_resolve_references()
    fields = sorted(fields_of(config))
    changes = {}
    for _ in range(draw(st.integers(1, 2))):
        value = draw(st.one_of(odd.VALUES, st.sampled_from(NAMES)))
        changes[draw(st.sampled_from(fields))] = value
    for field, value in changes.items():
        set_field(config, field, value)
    config.lock()
    return module_of(path), config, changes


@pytest.mark.parametrize(
    "count, paths",
    [
        pytest.param(60, ONE_OF_EACH, id="quick"),
        pytest.param(1200, PATHS, marks=pytest.mark.slow, id="slow"),
    ],
)
def test_a_config_is_taken_or_refused_in_one_line(monkeypatch, tmp_path, count, paths):
    monkeypatch.setattr(command_line, "is_complete", odd.reach)
    counts = collections.Counter()
    workdir = epath.Path(tmp_path / "run")

    @odd.draw(count)
    @given(changed_configs(paths))
    def check(case):
        module, config, changes = case
        run = importlib.import_module(module).run
        text = odd.end_of(counts, lambda: run(config, workdir))
        assert not workdir.exists(), "a config that is refused leaves nothing behind"
        if text and len(changes) == 1 and "\n" not in str(changes):
            assert len(text) < 1000

    check()
    odd.report("configs", counts)


TEXTS = st.one_of(odd.VALUES.map(str), st.text(max_size=10), st.sampled_from(NAMES))


@pytest.mark.parametrize("count", [10, pytest.param(150, marks=pytest.mark.slow)])
def test_words_of_a_command_line_are_taken_or_refused_in_one_line(
    command, monkeypatch, tmp_path, count
):
    monkeypatch.setattr(command_line, "_recorded", lambda config, workdir: odd.reach())
    monkeypatch.setattr(diffusion_encoder, "run", odd.reach)
    path = next(path for path in PATHS if path.parent.name == "diffusion_encoder")
    fields = [*sorted(fields_of(CONFIGS[path])), "no_such_field", "em", ""]
    counts = collections.Counter()

    @odd.draw(count)
    @given(st.sampled_from(fields), TEXTS)
    def check(field, text):
        given = [f"--config={path}", f"--workdir={tmp_path}", f"--config.{field}={text}"]
        try:
            status, _, stderr = command(given)
        except odd.Reached:
            counts["ran"] += 1
            return
        lines = stderr.splitlines()
        assert status == 2 and len(lines) == 1 and lines[0].startswith("error: "), stderr
        counts["refused"] += 1

    check()
    odd.report("command lines", counts)


@pytest.mark.parametrize("count", [20, pytest.param(250, marks=pytest.mark.slow)])
def test_a_refusal_leaves_a_workdir_in_which_the_next_run_begins(
    monkeypatch, tmp_path, undisturbed, count
):
    """The settings or the data file are odd; then the right command is given the same workdir."""
    monkeypatch.setattr(checkpoints, "open", odd.reach)
    monkeypatch.setattr(sessions, "describe_code", dict)
    right = load_config(str(small_run.CONFIG))
    right.data.path = undisturbed.data
    counts = collections.Counter()
    workdir = epath.Path(tmp_path / "run")
    workdir.mkdir()
    bad_data = tmp_path / "data.npy"

    def work(config):
        with command_line._recorded(config, workdir):
            small_run.run(config, workdir)

    numbers = ("num_updates", "updates_per_dispatch", "save_every", "batch_size", "num_devices")

    @odd.draw(count)
    @given(st.sampled_from(numbers), st.integers(1, 12), st.booleans(), odd.samples(strange=False))
    def check(field, value, is_data_odd, x):
        config = right.copy_and_resolve_references()
        if is_data_odd:
            np.save(bad_data, np.asarray(x))
            config.data.path = str(bad_data)
        else:
            config[field] = value
        odd.end_of(counts, lambda: work(config))
        with pytest.raises(odd.Reached):
            work(right)
        assert json.loads((workdir / "config.json").read_text())["data"]["path"] == undisturbed.data
        assert not (workdir / "run.lock").exists()

    check()
    odd.report("workdirs after a refusal", counts)


def test_an_error_is_one_line_whatever_it_names():
    assert str(InputError("a\nb\r\nc")) == "a b c"
