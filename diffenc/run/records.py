"""How a run goes: its metrics, a line of JSON each, and its progress on the screen."""

import contextlib
import hashlib
import json
import math
import os
import sys
import time
from typing import TextIO

from etils import epath
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from diffenc.errors import InputError
from diffenc.run import files, parallel

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_COPIES = 30.0  # a bucket refuses more than one write of an object in a second


class MetricsWriter:
    """Appends one JSON object per line to workdir/metrics.jsonl, flushed each time.

    In a bucket, where nothing can be appended, the file is written anew every
    `SECONDS_BETWEEN_COPIES`, and by `flush`.

    It is a context manager. Of several processes the first one writes, and all leave the context
    together: then each can read all lines. If a step's metrics are written and flushed before its
    checkpoint, no line is ever missing.
    """

    def __init__(self, workdir, resume_step: int = 0, extras: tuple[str, ...] = ()):
        """Open the file, and the extras.

        Args:
            workdir: the directory of the run.
            resume_step: the step that training continues from, 0 for a new run. Lines of later
                steps, which will be written again, are dropped, and so is a line torn by a kill.
            extras: "tensorboard" and "wandb", which receive the same numbers.

        Raises:
            InputError: the package of an extra is not installed, or there is no such extra.
        """
        self._extras = []
        if not parallel.is_main_process():
            self._file: TextIO | _Copies = open(os.devnull, "w")
            return
        workdir = epath.Path(workdir)
        self._extras = [_open_extra(name, workdir, resume_step) for name in extras]
        path = workdir / "metrics.jsonl"
        earlier = [line for line in _read_lines(path) if line["step"] <= resume_step]
        text = "".join(json.dumps(line) + "\n" for line in earlier)
        files.write(path, lambda temporary: temporary.write_text(text))
        self._file = path.open("a") if files.is_local(path) else _Copies(path, text)

    def write(self, step: int, **metrics) -> None:
        """Write the scalars of one step; what is not finite becomes null.

        A list of sentences is written as it is, to metrics.jsonl alone.
        """
        sentences = {name: value for name, value in metrics.items() if isinstance(value, list)}
        numbers = {
            name: files.json_number(value)
            for name, value in metrics.items()
            if name not in sentences
        }
        self._file.write(json.dumps({"step": int(step), **numbers, **sentences}) + "\n")
        self._file.flush()
        for write, _ in self._extras:
            write(int(step), {name: value for name, value in numbers.items() if value is not None})

    def flush(self) -> None:
        """See that all lines are in the file, as before a checkpoint."""
        if isinstance(self._file, _Copies):
            self._file.copy()

    def close(self) -> None:
        """Close the file and the extras."""
        self._file.close()
        for _, close in self._extras:
            close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        self.close()
        if kind is None:
            parallel.wait_for_all("metrics")


class _Copies:
    """A file of a bucket to which text is added: all of it is written again and again."""

    def __init__(self, path, text: str):
        self._path = path
        self._parts = [text]
        self._written = 1  # parts
        self._last = time.monotonic()

    def write(self, text: str) -> None:
        self._parts.append(text)

    def flush(self) -> None:
        if time.monotonic() > self._last + SECONDS_BETWEEN_COPIES:
            self.copy()

    def copy(self) -> None:
        if self._written == len(self._parts):
            return
        text = "".join(self._parts)
        files.write(self._path, lambda temporary: temporary.write_text(text))
        self._written = len(self._parts)
        self._last = time.monotonic()

    def close(self) -> None:
        self.copy()


def read_metrics(workdir) -> list[dict]:
    """Read the whole lines of workdir/metrics.jsonl, in order; none where there is no file."""
    return _read_lines(epath.Path(workdir) / "metrics.jsonl")


def _read_lines(path) -> list[dict]:
    if not path.exists():
        return []
    lines = []
    for text in path.read_bytes().decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
    return lines


def _open_extra(name, workdir, resume_step):
    """Open another place that metrics go to: `(write(step, numbers), close())`."""
    try:
        if name == "tensorboard":
            from tensorboardX import SummaryWriter

            board = SummaryWriter(str(workdir / "tensorboard"), purge_step=resume_step + 1)

            def write(step, numbers):
                for key, value in numbers.items():
                    board.add_scalar(key, value, step)

            return write, board.close
        if name == "wandb":
            import wandb

            identity = hashlib.sha256(str(files.absolute(workdir)).encode()).hexdigest()[:16]
            run = wandb.init(
                project="diffenc", name=workdir.name, id=identity, resume="allow", dir=str(workdir)
            )
            return lambda step, numbers: run.log(numbers, step=step), run.finish
    except ImportError as error:
        raise InputError(
            f"metrics for {name} need a package that is absent: "
            f"pip install -e '.[{name}]', or leave it out"
        ) from error
    raise InputError(
        f"metrics can go to 'tensorboard' and 'wandb', not to {name!r}: "
        "leave it out or give one of these"
    )


@contextlib.contextmanager
def progress(total: int, start: int = 0, description: str = "updates", at_most: bool = False):
    """Show how far a run is: by a bar on a terminal, by an occasional plain line elsewhere.

    Args:
        total: the amount of work, in any unit.
        start: how much of it was done earlier. The remaining time is judged by the work done since.
        description: what is counted.
        at_most: whether the total is only the most that there can be to do. The remaining time is
            then not shown.

    Yields:
        A function `update(completed, text="")`; the text is shown as it is, such as
        "loss 1.23 45/s".
    """
    console = Console()
    if not console.is_terminal:
        yield _plain_progress(total, start, description, at_most)
        return
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
    ]
    if at_most:
        description = f"{description} (at most)"
    else:
        columns.append(TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, completed=start, text="")
        yield lambda completed, text="": bar.update(task, completed=int(completed), text=text)


def _plain_progress(total, start, description, at_most):
    began = time.monotonic()
    last_shown = -math.inf

    def update(completed, text=""):
        nonlocal last_shown
        now = time.monotonic()
        if now - last_shown < SECONDS_BETWEEN_LINES and completed < total:
            return
        last_shown = now
        parts = [f"{description} {completed}/{total}", text, f"elapsed {_clock(now - began)}"]
        if at_most:
            is_over = completed >= total  # the most is seldom what was done
            parts[0] = f"{description} {'done' if is_over else f'{completed} of at most {total}'}"
        else:
            done = completed - start
            remaining = _clock((now - began) * (total - completed) / done) if done > 0 else "?"
            parts.append(f"remaining {remaining}")
        print("  ".join(part for part in parts if part), file=sys.stdout, flush=True)

    return update


def _clock(seconds) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
