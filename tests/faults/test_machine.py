"""What a machine and a person do to a run: a full disk, a clock set back, another data file, a
second run in its workdir. Each ends in one clear line, and the same command then ends as if it had
never happened; or it does no harm at all."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from processes import Fault, Run

from diffenc.run import records, sessions

DAY = 86_400.0
FULL_FROM = (2, 4, 6, 10, 13, 15, 18, 19, 24, 34, 60)  # changes of files
FULL_KB = (4, 8, 16, 24, 48, 96, 128)  # a whole run needs less than 192


def newest_of(workdir) -> int:
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def assert_one_line(run, *words) -> None:
    assert run.status == 2 and len(run.errors) == 1, run.text
    assert run.errors[0].startswith("error: ")
    for word in words:
        assert word in run.errors[0]


@pytest.mark.parametrize(
    "changes", [pytest.param(FULL_FROM, marks=pytest.mark.slow), pytest.param((19,), id="quick")]
)
def test_a_disk_that_is_full_for_python_stops_a_run_in_one_line(
    undisturbed, check_end, tmp_path, changes
):
    """Opening a file to write, or making a directory, raises ENOSPC from one change of a file on.

    All stops are in one workdir, one after the other."""
    workdir = tmp_path / "run"
    for change in changes:
        newest = newest_of(workdir)
        run = Run(workdir, undisturbed.data, Fault(full_from=change)).wait()
        assert_one_line(run, "No space left on device")
        assert newest_of(workdir) >= newest, "a checkpoint was lost"
        assert not (workdir / "run.lock").exists()
    assert Run(workdir, undisturbed.data).wait().status == 0
    check_end(workdir)
    print(f"full disk (ENOSPC in Python): {len(changes)} tried, all stopped in a line, none lost")


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int):
    """Mount a file system of this size; skip the test where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_file_system_that_is_full_stops_a_run_in_one_line(undisturbed, check_end, tmp_path):
    """Arrays are written by C++, which only a real file system refuses (tmpfs, as root)."""
    for kilobytes in FULL_KB:
        place = tmp_path / f"disk{kilobytes}"
        workdir = place / "run"
        with small_disk(place, kilobytes):
            assert_one_line(Run(workdir, undisturbed.data).wait(), "cannot")
            newest = newest_of(workdir)
            subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
            run = Run(workdir, undisturbed.data).wait()
            assert run.status == 0 and (not newest or f"from update {newest} of" in run.text)
            check_end(workdir)
    print(f"full disk (tmpfs): {len(FULL_KB)} tried, all stopped in a line, none lost")


@pytest.mark.slow
@pytest.mark.parametrize("shift", ["the clock", "the files"])
def test_a_clock_set_back_changes_nothing(workdir, undisturbed, check_end, shift):
    """By a day: the process reads an earlier time, or all files are of a later one."""
    fault = Fault(clock=-DAY)
    if shift == "the files":
        fault = Fault()
        later = time.time() + DAY
        for path in (workdir, *workdir.rglob("*")):
            os.utime(path, (later, later))
    run = Run(workdir, undisturbed.data, fault).wait()
    assert run.status == 0 and "continuing from update 60 of 120" in run.text, run.text
    check_end(workdir)
    first, last = sessions.read(workdir)
    assert (first["status"], last["status"]) == ("failed", "complete") and last["seconds"] >= 0
    if shift == "the clock":
        assert last["started"] < first["started"]
    print(f"a clock set back ({shift}): 1 tried, 1 survived")


def test_another_data_file_is_refused_until_the_first_is_back(
    workdir, undisturbed, check_end, tmp_path
):
    """The file has another content by the same name."""
    path = Path(undisturbed.data)
    original = path.read_bytes()
    x = np.load(path)
    x[0, 0] = np.nextafter(x[0, 0], 9.0)
    try:
        np.save(path, x)
        assert_one_line(Run(workdir, path).wait(), "the data file is not the one that the run")
        path.unlink()
        assert_one_line(Run(workdir, path).wait(), "does not exist")
    finally:
        path.write_bytes(original)
    run = Run(workdir, path).wait()
    assert run.status == 0 and "continuing from update 60 of 120" in run.text, run.text
    check_end(workdir)
    print("a data file changed: 2 tried, 2 refused, none lost")


def test_a_second_run_in_the_workdir_is_refused(undisturbed, check_end, tmp_path):
    workdir = tmp_path / "run"
    go_on = tmp_path / "go on"
    first = Run(workdir, undisturbed.data, Fault(wait_for=str(go_on)))
    try:
        patience = time.monotonic() + 60
        while len(records.read_metrics(workdir)) < 2 and time.monotonic() < patience:
            time.sleep(0.01)
        before = {path: path.read_bytes() for path in workdir.iterdir() if path.is_file()}
        assert json.loads(before[workdir / "run.lock"])["pid"] == first.process.pid
        second = Run(workdir, undisturbed.data).wait()
        assert_one_line(second, f"in use by process {first.process.pid}", "wait until it ends")
        after = {path: path.read_bytes() for path in workdir.iterdir() if path.is_file()}
        assert after == before
    finally:
        go_on.touch()
    assert first.wait().status == 0
    check_end(workdir)
    print("two runs in a workdir: 1 tried, 1 refused, none lost")
