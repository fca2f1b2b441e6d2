"""Runs of small_run as processes of their own, with a fault at an instant that the test names.

A forkserver imports what they need once; each run is then a fork of it, with a backend, a lock and
a death of its own. What happens to a process comes from outside (a signal) or from its interpreter,
which asks an audit hook before it opens, renames or removes a file. The code of a run is the
product's, but for a clock that is set back, for a run that is to wait, and for how long one of
several processes waits for one that is dead.
"""

import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PATIENCE = 300.0  # seconds; a run takes a few
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["small_run", "orbax.checkpoint.v1"])


@dataclass(frozen=True)
class Fault:
    """What happens to a process from within.

    Attributes:
        kill_before: the process is killed before its change of this number to the workdir's files.
        kill_renaming: it is killed before it gives a file or a directory this name, below workdir.
        full_from: from its change of this number on the disk is full, for what Python writes.
        clock: seconds that are added to the time of day.
        wait_for: once it has logged a dispatch, the run waits until this file exists.
        heartbeat: seconds after which a process of several that is silent counts as dead; None
            leaves it to jax, which waits for a hundred.
    """

    kill_before: int | None = None
    kill_renaming: str | None = None
    full_from: int | None = None
    clock: float = 0.0
    wait_for: str | None = None
    heartbeat: int | None = None


class Run:
    """A process that runs the command of small_run."""

    def __init__(self, workdir, data, fault=None, environment=None, **settings):
        self.workdir = Path(workdir)
        self.log = self.workdir.with_name(f"{self.workdir.name}.{time.monotonic_ns()}.log")
        self.log.touch()
        arguments = ["small_run", f"--config={FOLDER / 'small_config.py'}", f"--workdir={workdir}"]
        arguments += [f"--config.data.path={data}"]
        arguments += [f"--config.{name}={value}" for name, value in settings.items()]
        given = (arguments, str(self.log), fault or Fault(), environment or {})
        self.process = _context.Process(target=_work, args=given)
        self.process.start()

    def wait(self) -> "Run":
        """Return once it has ended."""
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"a run did not end: {self.text[-3000:]}")
        return self

    def kill(self) -> "Run":
        if self.process.exitcode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        return self.wait()

    @property
    def status(self) -> int:
        """0, the exit status, or minus the number of the signal that ended it."""
        return self.process.exitcode

    @property
    def text(self) -> str:
        """What it printed, errors included."""
        return self.log.read_text()

    @property
    def errors(self) -> list[str]:
        """The lines that say why it ended; all of a traceback."""
        lines = self.text.splitlines()
        begins = [i for i, line in enumerate(lines) if line.startswith(("error:", "Traceback"))]
        return lines[begins[0] :] if begins else []


def _work(arguments, log, fault, environment) -> None:
    number = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.environ.update(environment)
    sys.argv[:] = arguments
    import jax
    import small_run

    from experiments import command_line

    _prepare(fault, arguments[2].partition("=")[2])
    try:
        command_line.main(small_run.run)
    finally:
        # jax does this as an interpreter exits, which processes of multiprocessing skip before
        # Python 3.13. Where the first of several is gone without it, the others abort.
        jax.distributed.shutdown()


def _prepare(fault: Fault, workdir: str) -> None:
    """Let a fault happen to this process."""
    if fault.clock:
        _set_clock(fault.clock)
    if fault.wait_for:
        _wait_within(fault.wait_for)
    if fault.heartbeat:
        _set_heartbeat(fault.heartbeat)
    if fault.kill_before or fault.kill_renaming or fault.full_from:
        _watch_files(fault, workdir)


def _watch_files(fault: Fault, workdir: str) -> None:
    """Count what this process changes below a directory; die, or be refused, at a number of it."""
    lock = threading.Lock()
    count = 0
    named = f"{workdir}/{fault.kill_renaming}"

    def is_change(event, arguments) -> bool:
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return False
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime"):
            return False
        return any(str(one).startswith(workdir) for one in arguments[:2])

    def hook(event, arguments):
        nonlocal count
        if not is_change(event, arguments):
            return
        with lock:
            count += 1
            is_named = event == "os.rename" and str(arguments[1]) == named
            if fault.kill_before == count or is_named:
                os.kill(os.getpid(), signal.SIGKILL)
            is_full = fault.full_from is not None and count >= fault.full_from
        if is_full and event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))

    sys.addaudithook(hook)


def _set_clock(seconds: float) -> None:
    """Move the time of day, as a person or a time server does; what only goes forward stays."""
    import datetime

    now, now_ns, Date = time.time, time.time_ns, datetime.datetime

    class Moved(Date):
        @classmethod
        def now(cls, tz=None):
            return Date.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(1e9 * seconds)
    datetime.datetime = Moved


def _set_heartbeat(seconds: int) -> None:
    """Let processes of several miss each other sooner."""
    import functools

    import jax

    jax.distributed.initialize = functools.partial(
        jax.distributed.initialize, heartbeat_timeout_seconds=seconds
    )


def _wait_within(path: str) -> None:
    """Stop after the first dispatch until a file exists."""
    from diffenc.run import records

    write = records.MetricsWriter.write

    def write_and_wait(self, step, **metrics):
        write(self, step, **metrics)
        while step and not os.path.exists(path):
            time.sleep(0.01)

    records.MetricsWriter.write = write_and_wait
