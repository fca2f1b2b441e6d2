"""Files that appear whole or not at all, and of which a run over several processes writes one."""

import math
import shutil
import uuid
from collections.abc import Callable

import numpy as np
from etils import epath

from diffenc.run import parallel


def is_local(path) -> bool:
    """Return whether a path is one of this machine's file systems, and not of a bucket."""
    return "://" not in str(path)


def absolute(path) -> epath.Path:
    """Make a path absolute; one of a bucket, such as gs://bucket/run, is so already.

    (`epath.Path.resolve` would make a local path of it, below the current directory.)
    """
    path = epath.Path(path)
    return path.resolve() if is_local(path) else path


def free_bytes(directory) -> str:
    """Say how many bytes are free where a directory is, as in "1,234 bytes are free"."""
    if not is_local(directory):
        return "free bytes of a bucket unknown"
    try:
        return f"{shutil.disk_usage(directory).free:,} bytes are free"
    except OSError:
        return "free bytes unknown"


def check_writable(directory: epath.Path) -> None:
    """Make a file in a directory and remove it; raise OSError where that cannot be done."""
    probe = directory / f".probe.{uuid.uuid4().hex}"  # of no other process
    probe.write_text("")
    probe.unlink()


def write(path, write_to: Callable[[epath.Path], object]) -> None:
    """Make a file by write_to(temporary), which then takes the place of `path` in one step.

    A process that is killed meanwhile leaves the old file as it was. The temporary name is random:
    a process id would be the same in two containers that share a disk.
    """
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_to(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_once(path, write_to: Callable[[epath.Path], object]) -> None:
    """Write a file in the first process of a run, see `write`.

    The others, which hold the same numbers, write nothing.
    """
    if parallel.is_main_process():
        write(path, write_to)


def json_number(value) -> float | None:
    """Return a number as JSON can hold it: None for what is not finite, and for None."""
    if value is None:
        return None
    number = float(np.asarray(value))
    return number if math.isfinite(number) else None
