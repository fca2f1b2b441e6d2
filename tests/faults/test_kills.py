"""kill -9 at every change of the files, and at random instants: the same command ends as if it had
never happened, bit for bit, and no checkpoint that was whole is lost.

A process dies; the machine does not. A power cut, after which the disk lacks what the system had
not written yet, is another fault, which these tests do not make.
"""

import random
import time

import pytest
from processes import PATIENCE, Fault, Run

from diffenc.run import records

NUM_INSTANTS = 20
EPOCH = 125 / 10  # updates


def newest_of(workdir) -> int:
    """The update of the newest whole checkpoint; 0 for none."""
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def check_begin(run, newest) -> None:
    """A run goes on from the checkpoint that was the newest when the one before it died."""
    line = f"continuing from update {newest} of 120"
    if 0 < newest < 120 and "training" in run.text:
        assert line in run.text
    else:
        assert "continuing" not in run.text or line in run.text


def kill_at_changes(workdir, data, changes) -> int:
    """Kill a run before each of these changes, one process after the other; count the deaths."""
    deaths = 0
    for change in changes:
        newest = newest_of(workdir)
        run = Run(workdir, data, Fault(kill_before=change)).wait()
        check_begin(run, newest)
        assert run.status in (0, -9), run.text
        if run.status == 0:
            break
        deaths += 1
    assert Run(workdir, data).wait().status == 0
    return deaths


def test_kills_around_a_save_leave_no_trace(undisturbed, check_end, tmp_path):
    """Before the lock is written, with the arrays half written, and before the last renaming."""
    deaths = kill_at_changes(tmp_path / "run", undisturbed.data, (4, 24, 34))
    assert deaths == 3
    print(f"kill -9 around a save: {deaths} tried, {deaths} survived")
    check_end(tmp_path / "run")


@pytest.mark.slow
def test_a_kill_before_each_change_of_a_file_leaves_no_trace(undisturbed, check_end, tmp_path):
    """The first process dies before its first change, the next before its second, and so on: up to
    the first whole save all begin anew, and from there each goes on a little further."""
    deaths = kill_at_changes(tmp_path / "run", undisturbed.data, range(1, 100))
    check_end(tmp_path / "run")
    print(f"kill -9 before a change: {deaths} tried, {deaths} survived")
    assert deaths > 40, "the whole of two saves, and the removal of a checkpoint"


@pytest.mark.slow
def test_kills_at_random_instants_leave_no_trace(undisturbed, check_end, tmp_path):
    """Instants are drawn from a fixed seed, but what a process is doing then is up to the machine.

    None of them is before the second epoch.
    """
    rng = random.Random(0)
    deaths = within_a_save = number = 0
    workdir = tmp_path / "run0"
    while deaths < NUM_INSTANTS:
        newest = newest_of(workdir)
        run = Run(workdir, undisturbed.data)
        patience = time.monotonic() + PATIENCE
        while run.process.exitcode is None and time.monotonic() < patience:
            if "training" in run.text and records.read_metrics(workdir)[-1]["step"] > EPOCH:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.8))
        run.kill()
        check_begin(run, newest)
        if run.status == -9:
            deaths += 1
            within_a_save += any((workdir / "checkpoints").glob("*tmp*"))
            continue
        assert run.status == 0, run.text
        check_end(workdir)
        number += 1
        workdir = tmp_path / f"run{number}"
    assert Run(workdir, undisturbed.data).wait().status == 0
    check_end(workdir)
    print(
        f"kill -9 at random: {deaths} tried, {deaths} survived, {within_a_save} within a save, "
        f"{number + 1} runs"
    )
    assert within_a_save
