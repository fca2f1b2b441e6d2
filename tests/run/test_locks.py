"""The lock of a workdir: living processes keep it, dead ones lose it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from diffenc.errors import InputError
from diffenc.run import locks, parallel

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def write_lock(workdir, **changes):
    holder = locks._describe_self() | {"token": "another's"} | changes
    (workdir / locks.FILE).write_text(json.dumps(holder))
    return workdir / locks.FILE


def holder_of(workdir):
    return json.loads((workdir / locks.FILE).read_text())


def test_a_lock_names_its_process_and_is_removed(tmp_path):
    with locks.hold(tmp_path):
        assert holder_of(tmp_path)["pid"] == os.getpid()
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} on host .*: wait"):
            with locks.hold(tmp_path):
                pass
        assert holder_of(tmp_path)["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit), locks.hold(tmp_path):
        raise SystemExit(3)
    assert not list(tmp_path.iterdir())


def test_a_dead_process_loses_the_lock_also_as_a_zombie(tmp_path):
    process = subprocess.Popen(SLEEP)
    try:
        write_lock(tmp_path, pid=process.pid, process_started=locks._start_of(process.pid))
        with pytest.raises(InputError, match=f"in use by process {process.pid} on host") as raised:
            with locks.hold(tmp_path):
                pass
        assert "\n" not in str(raised.value)
        process.send_signal(signal.SIGKILL)
        patience = time.monotonic() + 60
        while locks._status(process.pid)[:1] not in ([], ["Z"]) and time.monotonic() < patience:
            time.sleep(0.01)
        with locks.hold(tmp_path):  # nobody has waited for that process: it is a zombie
            assert holder_of(tmp_path)["pid"] == os.getpid()
    finally:
        process.kill()
        process.wait()
    write_lock(tmp_path, pid=process.pid)
    with locks.hold(tmp_path):
        assert holder_of(tmp_path)["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(locks._start_of(os.getpid()) is None, reason="no /proc here")
def test_a_number_that_was_given_to_another_process_is_dead(tmp_path):
    write_lock(tmp_path, process_started="1")
    with locks.hold(tmp_path):
        assert holder_of(tmp_path)["token"] != "another's"


def test_another_machine_is_judged_by_the_age_of_its_lock(tmp_path):
    path = write_lock(tmp_path, host="elsewhere", pid=7)
    words = "process 7 on host elsewhere.*free after 120 s without renewal; delete run.lock"
    with pytest.raises(InputError, match=words):
        with locks.hold(tmp_path):
            pass
    before = time.time() - 2 * locks.PATIENCE
    os.utime(path, (before, before))
    with locks.hold(tmp_path):
        assert holder_of(tmp_path)["pid"] == os.getpid()


def test_a_lock_that_is_being_written_is_one(tmp_path):
    (tmp_path / locks.FILE).write_text("")
    with pytest.raises(InputError, match="by process unknown on host unknown"):
        with locks.hold(tmp_path):
            pass


def test_a_lock_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with locks.hold(tmp_path):
        path = tmp_path / locks.FILE
        os.utime(path, (1, 1))
        patience = time.monotonic() + 60
        while path.stat().st_mtime < 2 and time.monotonic() < patience:
            time.sleep(0.01)
        assert path.stat().st_mtime > 2


def test_of_the_processes_of_a_run_the_first_holds_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    with locks.hold(tmp_path):
        assert not list(tmp_path.iterdir())


def test_a_process_whose_lock_was_taken_over_ends(tmp_path, monkeypatch, capsys):
    statuses = []
    monkeypatch.setattr(locks, "BEAT", 0.01)
    monkeypatch.setattr(locks.os, "_exit", statuses.append)
    with locks.hold(tmp_path):
        write_lock(tmp_path, host="elsewhere", pid=7)
        patience = time.monotonic() + 60
        while not statuses and time.monotonic() < patience:
            time.sleep(0.01)
    assert statuses == [2]
    assert "was taken over by process 7 on host elsewhere" in capsys.readouterr().err
    assert holder_of(tmp_path)["pid"] == 7  # the lock of the other stays


def test_any_error_of_taking_the_lock_is_told_to_the_others(tmp_path, monkeypatch):
    told = []

    def fail(path, owner):
        raise OSError("no space left")

    monkeypatch.setattr(locks, "_take", fail)
    monkeypatch.setattr(parallel, "first_says", lambda good: told.append(good) or good)
    with pytest.raises(OSError, match="no space left"), locks.hold(tmp_path):
        pass
    assert told == [False]
