"""run.json: with what, when and how often a run was worked on, one session for each process.

    {"format": 1, "experiment": "diffusion_encoder", "sessions": [{...}, ...]}

A run that goes on after a stop has several sessions. The status of one is

    running    now, or it ended without a word (kill -9, a power cut); the next session then makes
               it "failed" and leaves its end open
    complete   the results are written
    stopped    by a signal or an interrupt; a training has saved its state
    failed     by an error, which `reason` names
"""

import contextlib
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import jax
from etils import epath

from diffenc.run import files, parallel, provenance

FORMAT = 1
FILE = "run.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
CODE = ("diffenc", "experiments", "configs")  # what a commit is called dirty by
NEEDED = {"started", "host", "pid", "status"}  # fields of a session, without which it is none
SEEDS = ("seed", "seeds", "num_seeds")  # fields of a config, in any section


class Session:
    """What one process does for a run; `begin` writes it to run.json, and `end` completes it."""

    def __init__(self, workdir, experiment: str, config: dict[str, Any], command: list[str]):
        """Begin to count the time; nothing is written yet.

        Args:
            workdir: the directory of the run.
            experiment: its name, as in experiments.NAME.
            config: nested dicts of plain values, of which the seeds are kept.
            command: the words of the command line.
        """
        self._path = epath.Path(workdir) / FILE
        self._experiment = experiment
        self._seeds = seeds_of(config)
        self._command = command
        self._started = _now()
        self._began = time.monotonic()
        self._entry: dict[str, Any] = {}

    def begin(self) -> None:
        """Append the session to run.json as "running"; those left so before are "failed" now."""
        self._entry = {
            "status": "running",
            "started": self._started,
            "ended": None,
            "seconds": None,
            "command": self._command,
            "seeds": self._seeds,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **describe_code(),
            **describe_machine(),
        }
        self._write()

    def end(self, status: str, reason: str | None = None) -> None:
        """Write how a session that was begun has ended; what is said first counts.

        Args:
            status: "complete", "stopped" or "failed".
            reason: in words, of what is not complete.
        """
        if self._entry.get("status") != "running":
            return
        seconds = round(time.monotonic() - self._began, 1)
        self._entry |= {"status": status, "ended": _now(), "seconds": seconds}
        if reason is not None:
            self._entry["reason"] = reason
        with contextlib.suppress(OSError):  # a full disk must not hide the error of the run itself
            self._write()

    def _write(self) -> None:
        earlier = [one for one in read(self._path.parent) if not self._is_this(one)]
        _set_aside_damaged(self._path)
        for one in earlier:
            if one["status"] == "running":
                one |= {"status": "failed", "reason": "ended without a word"}
        content = {
            "format": FORMAT,
            "experiment": self._experiment,
            "sessions": [*earlier, self._entry],
        }
        text = json.dumps(content, indent=2) + "\n"
        files.write_once(self._path, lambda temporary: temporary.write_text(text))

    def _is_this(self, entry: dict[str, Any]) -> bool:
        return all(entry[name] == self._entry[name] for name in ("started", "host", "pid"))


def read(workdir) -> list[dict[str, Any]]:
    """Read the sessions of a run, oldest first; none where run.json is absent or damaged.

    A record of what was done must not keep anything from being done.
    """
    sessions = _content(epath.Path(workdir) / FILE)
    return [one for one in sessions or [] if isinstance(one, dict) and NEEDED <= one.keys()]


def _content(path: epath.Path) -> list | None:
    """Return the sessions that a file holds; None where it is absent or damaged."""
    try:
        sessions = json.loads(path.read_text())["sessions"]
        return sessions if isinstance(sessions, list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _set_aside_damaged(path: epath.Path) -> None:
    """Give a file that cannot be read another name, so that what it holds is not lost."""
    if parallel.is_main_process() and path.exists() and _content(path) is None:
        path.replace(path.with_name(f"{path.name}.damaged"))


def seeds_of(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the fields of a nested config that are seeds, by their dotted names."""
    seeds: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            seeds |= seeds_of(value, f"{prefix}{name}.")
        elif name in SEEDS:
            seeds[f"{prefix}{name}"] = value
    return seeds


def describe_code() -> dict[str, Any]:
    """Return the versions of diffenc, of Python and of the packages that compute, and the commit.

    The commit is that of the repository whose top folder holds diffenc, and `is_dirty` says whether
    the code there differs from it. Both are None where there is no such repository, or no git.
    """
    commit, is_dirty = _commit()
    return {
        "diffenc": provenance.version(),
        "commit": commit,
        "is_dirty": is_dirty,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def describe_machine() -> dict[str, Any]:
    """Return the platform and the devices of the whole run."""
    devices = jax.devices()
    return {
        "platform": platform.platform(),
        "backend": jax.default_backend(),
        "device_kind": devices[0].device_kind,
        "num_devices": len(devices),
        "num_processes": jax.process_count(),
    }


def _commit() -> tuple[str | None, bool | None]:
    """Return the commit of the code and whether it is dirty; None and None where none is known."""
    root = Path(str(importlib.import_module("diffenc").__file__)).resolve().parents[1]
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != root:  # another project's, in which diffenc is installed
            return None, None
        commit = _git(root, "rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None, None
    folders = [name for name in CODE if (root / name).is_dir()]
    try:
        return commit, bool(_git(root, "status", "--porcelain", "--", *folders))
    except (OSError, subprocess.SubprocessError):  # such as a slow disk
        return commit, None


def _git(root: Path, *words: str) -> str:
    # Without optional locks git writes nothing, so that it disturbs no other git.
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
