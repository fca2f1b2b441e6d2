"""kill -9 of one of two processes of a run: the other ends as well, and the same command over two
processes ends bit for bit as a run of two that nothing disturbed."""

import socket
import time

import pytest
import small_run
from processes import PATIENCE, Fault, Run

from diffenc.run import records

pytestmark = pytest.mark.slow
HEARTBEAT = 30  # seconds after which a process that waits for a dead one is told so
SURVIVAL = 100.0  # seconds


def start(workdir, data, fault=None) -> list[Run]:
    """Start two processes of one device each, which find each other on the loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    environment = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_NUM_PROCESSES": "2",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    return [
        Run(workdir, data, fault, environment | {"JAX_PROCESS_ID": str(i)}, num_devices=0)
        for i in range(2)
    ]


def end(workdir, data):
    for run in start(workdir, data):
        assert run.wait().status == 0, run.text[-3000:]
    return small_run.outcome(workdir)


@pytest.fixture(scope="module")
def outcome(undisturbed, tmp_path_factory):
    """What two processes end with that nothing disturbs."""
    return end(tmp_path_factory.mktemp("two") / "run", undisturbed.data)


@pytest.mark.parametrize("index", [0, 1])
def test_a_run_goes_on_after_one_of_two_was_killed(undisturbed, outcome, tmp_path, index):
    workdir = tmp_path / "run"
    runs = start(workdir, undisturbed.data, Fault(heartbeat=HEARTBEAT))
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience and all(run.process.exitcode is None for run in runs):
        lines = records.read_metrics(workdir)
        if lines and lines[-1]["step"] >= 40:
            break
        time.sleep(0.01)
    assert all(run.process.exitcode is None for run in runs), "killed while both train"
    killed = runs.pop(index).kill()
    (survivor,) = runs
    survivor.process.join(SURVIVAL)
    is_over = survivor.process.exitcode is not None
    survivor.kill()
    assert killed.status == -9 and is_over and survivor.status != 0, survivor.text[-3000:]
    assert not (workdir / "results.json").exists()
    assert end(workdir, undisturbed.data) == outcome
    print(f"kill -9 of process {index} of two: 1 tried, 1 survived")
