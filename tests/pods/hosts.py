"""Several processes on this machine that find each other on the loopback, as hosts do."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUM_DEVICES = 4  # of all processes together
TIME_LIMIT = 600.0  # seconds; on two free cores a run takes less than one minute


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def started(words: list[str], log: Path, num_processes: int, num_devices=None, indices=None):
    """Start `python *words` in each process of a run, or only in those of `indices`.

    Each has `num_devices` virtual devices; None shares NUM_DEVICES. Process i writes what it prints
    to `log`.i.log and what it complains of to `log`.i.err. At the end all are killed."""
    count = "--xla_force_host_platform_device_count"
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if not flag.startswith(count)]
    flags.append(f"{count}={num_devices or NUM_DEVICES // num_processes}")
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        "XLA_FLAGS": " ".join(flags),
        "PYTHONPATH": str(ROOT),
    }
    if num_processes > 1:
        environment["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{free_port()}"
        environment["JAX_NUM_PROCESSES"] = str(num_processes)
    processes = []
    try:
        for index in range(num_processes) if indices is None else indices:
            own = environment | ({"JAX_PROCESS_ID": str(index)} if num_processes > 1 else {})
            with open(f"{log}.{index}.log", "w") as output, open(f"{log}.{index}.err", "w") as err:
                process = subprocess.Popen(
                    [sys.executable, *words], cwd=ROOT, env=own, stdout=output, stderr=err
                )
            processes.append(process)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def statuses(processes, seconds: float = TIME_LIMIT) -> list[int | None]:
    """The exit statuses once all have ended or the time is over; None of one that has not."""
    last = time.monotonic() + seconds
    while time.monotonic() < last and any(process.poll() is None for process in processes):
        time.sleep(0.1)
    return [process.poll() for process in processes]


def wait_until(holds, processes, seconds: float = TIME_LIMIT) -> None:
    """Return once holds() is true; all processes live until then."""
    last = time.monotonic() + seconds
    while not holds():
        assert all(process.poll() is None for process in processes), "one has ended before"
        assert time.monotonic() < last
        time.sleep(0.05)


def terminate(process) -> None:
    process.send_signal(signal.SIGTERM)
