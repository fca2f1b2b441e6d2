"""run.json: what a run was made with, and how each of its sessions ended."""

import datetime
import json
import os
import signal
import subprocess

import jax
import pytest
from etils import epath
from ml_collections import ConfigDict

from diffenc.errors import InputError
from diffenc.run import loop, parallel, sessions
from experiments import command_line

CONFIG = {"seed": 3, "num_seeds": 2, "data": {"name": "digits", "seed": 5}, "batch_size": 8}


def make(workdir):
    return sessions.Session(workdir, "kelly", CONFIG, ["python", "-m", "experiments.kelly"])


def test_a_session_says_with_what_and_when(tmp_path):
    session = make(tmp_path)
    session.end("failed", "before it began")
    assert not list(tmp_path.iterdir())
    session.begin()
    (running,) = sessions.read(tmp_path)
    assert running["status"] == "running" and running["ended"] is None
    session.end("complete")
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["experiment"] == "kelly" and content["format"] == 1
    (entry,) = content["sessions"]
    assert entry["status"] == "complete" and "reason" not in entry
    assert entry["seeds"] == {"seed": 3, "num_seeds": 2, "data.seed": 5}
    assert set(entry["packages"]) == {
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "numpy",
    }
    assert entry["packages"]["jax"] == jax.__version__
    assert (entry["backend"], entry["num_devices"]) == (jax.default_backend(), len(jax.devices()))
    assert entry["device_kind"] and entry["num_processes"] == 1 and entry["pid"] == os.getpid()
    began, ended = (datetime.datetime.fromisoformat(entry[name]) for name in ("started", "ended"))
    assert began.tzinfo is not None and 0 <= (ended - began).total_seconds() < 600
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_session_that_ended_without_a_word_failed(tmp_path):
    make(tmp_path).begin()
    second = make(tmp_path)
    second._started += " later"  # another process, of another number
    second.begin()
    second.end("complete")
    first, last = sessions.read(tmp_path)
    assert (first["status"], first["reason"], first["ended"]) == (
        "failed",
        "ended without a word",
        None,
    )
    assert last["status"] == "complete"


def test_a_damaged_record_keeps_nothing_from_going_on(tmp_path):
    (tmp_path / "run.json").write_text("{")
    session = make(tmp_path)
    session.begin()
    session.end("complete")
    assert len(sessions.read(tmp_path)) == 1


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    make(tmp_path).begin()
    assert not list(tmp_path.iterdir())


def test_the_commit_is_that_of_this_code_only(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)

    (tmp_path / "diffenc").mkdir()
    module = tmp_path / "diffenc" / "__init__.py"
    module.write_text("")

    class Module:
        __file__ = str(module)
        __version__ = "1"

    monkeypatch.setattr(sessions.importlib, "import_module", lambda name: Module)
    assert sessions._commit() == (None, None)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    commit, is_dirty = sessions._commit()
    assert len(commit) == 40 and is_dirty is False
    (tmp_path / "notes.txt").write_text("of no code")
    assert sessions._commit() == (commit, False)
    module.write_text("x = 1\n")
    assert sessions._commit() == (commit, True)
    inner = tmp_path / "site-packages" / "diffenc"
    inner.mkdir(parents=True)
    Module.__file__ = str(inner / "__init__.py")  # installed inside another project's repository
    assert sessions._commit() == (None, None)


@pytest.mark.parametrize(
    "error, status",
    [
        (None, "complete"),
        (loop.Stopped(143), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (InputError("bad"), "failed"),
        (RuntimeError("worse"), "failed"),
    ],
)
def test_the_command_line_records_how_a_run_ends(tmp_path, error, status):
    config = ConfigDict(CONFIG)
    workdir = epath.Path(tmp_path)

    def experiment():
        with command_line._recorded(config, workdir):
            if not command_line.is_complete(config, workdir):
                assert (workdir / "run.lock").exists()
                if error is not None:
                    raise error

    if error is None:
        experiment()
    else:
        with pytest.raises(type(error)):
            experiment()
    (entry,) = sessions.read(workdir)
    assert entry["status"] == status and not (workdir / "run.lock").exists()
    assert {path.name for path in workdir.iterdir()} == {"config.json", "run.json"}

    # Nothing was made yet: another config is taken. Then it is refused, and that is no session.
    other = ConfigDict(CONFIG | {"seed": 4})
    with command_line._recorded(other, workdir):
        assert not command_line.is_complete(other, workdir)
    (workdir / "metrics.jsonl").touch()
    with pytest.raises(InputError, match="seed: 4 in the workdir, 3 given"):
        with command_line._recorded(config, workdir):
            command_line.is_complete(config, workdir)
    assert [one["seeds"]["seed"] for one in sessions.read(workdir)] == [3, 4]

    # What is complete is only shown.
    (workdir / "results.json").write_text("[]")
    with command_line._recorded(other, workdir):
        assert command_line.is_complete(other, workdir)
        assert not (workdir / "run.lock").exists()
    assert len(sessions.read(workdir)) == 2


def test_a_damaged_record_is_set_aside_and_keeps_nothing_from_being_done(tmp_path):
    (tmp_path / "run.json").write_text('{"sessions": [')
    make(tmp_path).begin()
    assert (tmp_path / "run.json.damaged").read_text() == '{"sessions": ['
    assert len(sessions.read(tmp_path)) == 1
    (tmp_path / "run.json").write_text('{"sessions": [{"status": "running"}, 3]}')
    assert sessions.read(tmp_path) == []
    make(tmp_path).begin()
    assert len(sessions.read(tmp_path)) == 1


def test_a_run_that_is_terminated_says_so_and_frees_its_workdir(tmp_path):
    config = ConfigDict(CONFIG)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(loop.Stopped), command_line._recorded(config, epath.Path(tmp_path)):
        command_line.is_complete(config, epath.Path(tmp_path))
        signal.raise_signal(signal.SIGTERM)
    assert sessions.read(tmp_path)[0]["status"] == "stopped"
    assert not (tmp_path / "run.lock").exists() and signal.getsignal(signal.SIGTERM) == before
