"""The processes of a run start, stop and fail together: two real ones, see `toy.py`."""

import json
from pathlib import Path

import pytest
from hosts import ROOT, started, statuses, terminate, wait_until

from diffenc.run import parallel

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests" / "pods"
STUCK = 20.0  # seconds in which processes that agree have long ended


def words(workdir: Path, *flags: str, **settings) -> list[str]:
    given = [f"--config.{name}={value}" for name, value in settings.items()]
    config = f"--config={FOLDER / 'toy_config.py'}"
    return [str(FOLDER / "toy.py"), config, f"--workdir={workdir}", *flags, *given]


def errors(workdir: Path, index: int) -> list[str]:
    """The lines that process `index` has written for its user."""
    lines = Path(f"{workdir}.{index}.err").read_text().splitlines()
    return [line for line in lines if line.startswith("error: ")]


def lines_of(workdir: Path) -> int:
    path = workdir / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def last_step(workdir: Path) -> int:
    return json.loads((workdir / "metrics.jsonl").read_text().splitlines()[-1])["step"]


def results_of(workdir: Path) -> dict[str, float]:
    return {row["name"]: row["value"] for row in json.loads((workdir / "results.json").read_text())}


def last_session(workdir: Path) -> dict:
    return json.loads((workdir / "run.json").read_text())["sessions"][-1]


def asked_to_stop(
    workdir: Path, seconds: float, num_processes: int = 2, **settings
) -> list[int | None]:
    """The statuses of processes of which the last gets SIGTERM after three updates."""
    with started(words(workdir, pause=0.5, **settings), workdir, num_processes) as processes:
        wait_until(lambda: lines_of(workdir) >= 3, processes)
        terminate(processes[-1])
        return statuses(processes, seconds)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, float]:
    """The results of one process that nobody stops."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    with started(words(workdir), workdir, 1) as processes:
        assert statuses(processes) == [0], errors(workdir, 0)
    return results_of(workdir)


@pytest.mark.parametrize("before, after", [(2, 1), (1, 2)])
def test_a_stop_asked_of_one_is_agreed_on_and_other_processes_continue_it(
    undisturbed, tmp_path, before, after
):
    run = tmp_path / "run"
    ends = asked_to_stop(run, seconds=60, num_processes=before, is_fed=True)
    assert ends == [143] * before, [errors(run, index) for index in range(before)]
    saved = [path.name for path in (run / "checkpoints").iterdir()]
    assert len(saved) == 1 and int(saved[0]) == last_step(run), "all saved one step, the last"
    assert f"stopped by signal 15 at update {saved[0]}" in Path(f"{run}.0.log").read_text()
    assert last_session(run)["status"] == "stopped" and not (run / "run.lock").exists()
    with started(words(run, pause=0.5, is_fed=True), run, after) as processes:
        assert statuses(processes) == [0] * after, errors(run, 0)
    assert f"continuing from update {saved[0]}" in Path(f"{run}.0.log").read_text()
    assert results_of(run) == undisturbed, "bit for bit, fed and on other processes"


def test_a_stop_that_is_not_agreed_on_is_noticed(tmp_path):
    """The test above would not pass if processes decided alone."""
    assert asked_to_stop(tmp_path / "run", STUCK, trouble="deaf") != [143, 143]


def test_a_process_that_does_not_come_is_named_and_the_rest_ends(tmp_path):
    run = tmp_path / "run"
    with started(words(run, "--longest_wait=20", trouble="late"), run, 2) as processes:
        ends = statuses(processes, 120)
        late = processes[1].pid
    assert ends[0] == parallel.TRY_AGAIN and ends[1] not in (0, None)
    (line,) = errors(run, 0)
    assert (
        "process 1 (" in line
        and f"pid {late}) did not come to 'update 4 of toy and 1 more' within 20 s" in line
    )
    assert last_session(run)["status"] == "failed" and "process 1" in last_session(run)["reason"]


def test_the_error_of_one_ends_all_and_is_said_by_the_rest(tmp_path):
    run = tmp_path / "run"
    with started(words(run, trouble="error"), run, 2) as processes:
        assert statuses(processes, 120) == [1, 1]
    (line,) = errors(run, 0)
    assert "process 1 (" in line and "RuntimeError: the disk of this host is gone" in line
    assert "disk of this host" in Path(f"{run}.1.err").read_text(), "with its traceback"


def test_hosts_that_are_missing_at_the_start_are_said_within_the_time(tmp_path):
    run = tmp_path / "run"
    with started(words(run, "--start_wait=5"), run, 4, indices=(0, 2)) as processes:
        assert statuses(processes, 120) == [parallel.TRY_AGAIN] * 2
    for index in (0, 2):
        (line,) = errors(run, index)
        assert "of the 4 processes of this run some did not come" in line
        assert f"within 5 s (this is process {index}" in line


def test_an_error_after_the_others_are_done_is_said_by_them_too(tmp_path):
    """The first process draws and writes alone: here onto a full disk."""
    run = tmp_path / "run"
    with started(words(run, trouble="full"), run, 2) as processes:
        assert statuses(processes, 120) == [2, 2]
    (line,) = errors(run, 0)
    assert "cannot write results.json (No space left on device): free some space there" in line
    (line,) = errors(run, 1)
    assert "process 0 (" in line and "No space left on device" in line
    assert "Traceback" not in Path(f"{run}.0.err").read_text()
    assert last_session(run)["status"] == "failed"


def test_processes_of_different_settings_train_nothing(tmp_path):
    run = tmp_path / "run"
    with started(words(run, trouble="settings"), run, 2) as processes:
        assert statuses(processes, 120) == [2, 2]
    for index in (0, 1):
        (line,) = errors(run, index)
        assert "(pause: 0.0 in process 0, 0.5 in process 1): start the same command" in line
    assert not (run / "config.json").exists()
