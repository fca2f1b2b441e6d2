"""The lock of a workdir: one run at a time works there.

workdir/run.lock names the host, the process and its start. While it lives, the process renews the
file's time of modification every `BEAT` seconds. A second process is refused beside a living one
and takes the lock of a dead one:

* on the same machine a process is dead if there is none of its number, if that is a zombie, or if
  the process of that number began at another time (Linux tells);
* on another machine, or in another container, it is dead if its lock was not renewed for `PATIENCE`
  seconds. Both times are those of the file system, so the clocks of the machines do not matter.

On a local or shared file system the file is made in one step that only one process can make. In a
bucket (gs://...) there is no such step: a process writes the lock, waits, and has it if it still
reads its own. If the bucket delays what it shows, two processes that begin within that second may
both believe to have it.

A process that finds the lock taken over, because it was not heard of for `PATIENCE` seconds, ends
at once: two that write one workdir would spoil it.
"""

import contextlib
import datetime
import json
import os
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

from etils import epath

from diffenc.errors import InputError
from diffenc.run import files, parallel

FILE = "run.lock"
BEAT = 15.0
PATIENCE = 120.0
SETTLING = 1.0  # seconds until a bucket shows who has written last


@contextlib.contextmanager
def hold(workdir):
    """Hold the lock of a workdir, in the first process of a run; the others need none.

    Raises InputError, which names host and process, where another process holds it; in all
    processes of the run, since one that went on alone would wait for the first for ever.
    """
    path = files.absolute(workdir) / FILE
    owner = _describe_self()
    refusal = None
    if parallel.is_main_process():
        try:
            _take(path, owner)
        except Exception as error:  # whatever it is, the others wait for a word
            refusal = error
    if not parallel.first_says(refusal is None):
        raise refusal or InputError("the first process of this run was refused: see its message")
    if not parallel.is_main_process():
        yield
        return
    done = threading.Event()
    beat = threading.Thread(target=_renew, args=(path, owner, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        with contextlib.suppress(OSError):
            if _read(path) == owner:
                path.unlink()


def _take(path: epath.Path, owner: dict) -> None:
    """Make the lock, or raise an InputError."""
    for _ in range(10):  # each time another process was faster
        if _make(path, owner):
            return
        holder = _read(path)
        if holder is None and not path.exists():
            continue
        age = _age(path)
        if _is_alive(holder, age):
            raise InputError(_explain(path, holder or {}, age))
        _remove(path, holder)
    raise InputError(
        f"workdir {path.parent} is wanted by several processes at once: give each its own"
    )


def _make(path: epath.Path, owner: dict) -> bool:
    """Make the lock file unless there is one; return whether it was made."""
    text = json.dumps(owner, indent=2) + "\n"
    if files.is_local(path):
        try:
            number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(number, "w") as file:
                file.write(text)
        except OSError:
            path.unlink(missing_ok=True)  # an empty lock would be in the way for `PATIENCE` seconds
            raise
        return True
    if path.exists():
        return False
    path.write_text(text)
    time.sleep(SETTLING)
    return _read(path) == owner


def _remove(path: epath.Path, holder: dict | None) -> None:
    """Remove the lock of a dead holder, unless another process has just taken it.

    It is moved away first: a process that reads a lock and then deletes it by name could delete the
    new lock of one that was faster.
    """
    aside = path.with_name(f".{FILE}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except OSError:
        return
    if _read(aside) != holder and not path.exists():
        aside.rename(path)
        return
    aside.unlink(missing_ok=True)


def _renew(path: epath.Path, owner: dict, done: threading.Event) -> None:
    """Renew the time of the lock while it is the owner's."""
    while not done.wait(BEAT):
        with contextlib.suppress(OSError):
            holder = _read(path)
            if holder is None:
                continue  # a person has removed it, or the disk is away for a moment
            if holder != owner:
                _end(path, holder)
                return
            if files.is_local(path):
                os.utime(path)
            else:
                path.write_text(json.dumps(owner, indent=2) + "\n")


def _end(path: epath.Path, holder: dict) -> None:
    """End this process, which has lost its lock, before it writes anything more."""
    print(
        f"error: workdir {path.parent} was taken over by process {holder.get('pid')} on host "
        f"{holder.get('host')}, as this one had not renewed its lock for {PATIENCE:.0f} s: it ends "
        "here and writes nothing more",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def _read(path: epath.Path) -> dict | None:
    """Read who holds a lock; None where it is absent, or not yet written."""
    try:
        holder = json.loads(path.read_text())
        return holder if isinstance(holder, dict) else None
    except (OSError, ValueError):
        return None


def _age(path: epath.Path) -> float:
    """Return the seconds since the lock was renewed, by the clock of its file system."""
    probe = path.with_name(f".{FILE}.{uuid.uuid4().hex}")
    try:
        probe.write_text("")
        return float(probe.stat().mtime) - float(path.stat().mtime)
    except OSError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _describe_self() -> dict:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "process_started": _start_of(pid),
        "token": uuid.uuid4().hex,
    }


def _machine() -> str | None:
    """Name this boot of this machine and its space of process numbers; None where unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    """Return when a process began, in ticks since the boot; None where it cannot be known."""
    fields = _status(pid)
    return fields[19] if fields else None


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, the state first; [] where unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _is_alive(holder: dict | None, age: float) -> bool:
    """Return whether the process that holds a lock may still work.

    Args:
        holder: what the lock says; None where it cannot be read.
        age: seconds since it was renewed.
    """
    is_recent = age < PATIENCE
    if holder is None or os.name == "nt":  # there a process cannot be asked without harm
        return is_recent
    here = _describe_self()
    is_here = here["machine"] is not None  # else two machines of one name look like one
    if not is_here or any(holder.get(name) != here[name] for name in ("host", "machine")):
        return is_recent
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return is_recent
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    fields = _status(pid)
    if fields and fields[0] in "ZX":
        return False
    return not fields or holder.get("process_started") in (None, fields[19])


def _explain(path: epath.Path, holder: dict, age: float) -> str:
    """Say who holds the lock, in one line."""
    host = holder.get("host", "unknown")
    pid = holder.get("pid", "unknown")
    message = (
        f"workdir {path.parent} is in use by process {pid} on host {host}, "
        f"since {holder.get('started', 'unknown')}: wait until it ends, or give another workdir"
    )
    here = _describe_self()
    if any(holder.get(name) != here[name] for name in ("host", "machine")):
        message += (
            f" (its lock was renewed {max(age, 0):.0f} s ago and is free after {PATIENCE:.0f} s "
            f"without renewal; delete {path.name} if you know that it has ended)"
        )
    return message
