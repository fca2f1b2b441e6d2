"""How a run goes: its metrics, a line of JSON each, and its progress on the screen."""

import contextlib
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path

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


class MetricsWriter:
    """Appends one JSON object per line to workdir/metrics.jsonl, flushed each time; a context
    manager.

    Of several processes the first one writes, and all leave the context together: then each can
    read all lines.

    `resume_step`: the step that training continues from (0 for a new run); lines of later steps,
    which it will write again, are dropped, and so is a line torn by a kill. Write a step's metrics
    before its checkpoint: then no line is ever missing. `extras`: 'tensorboard' and 'wandb', which
    receive the same numbers; raises InputError where their package is not installed.
    """

    def __init__(self, workdir, resume_step: int = 0, extras=()):
        workdir = Path(workdir)
        path = workdir / "metrics.jsonl"
        if not parallel.is_main_process():
            path, extras = Path(os.devnull), ()
        self._extras = [_open_extra(name, workdir, resume_step) for name in extras]
        earlier = [line for line in _read_lines(path) if line["step"] <= resume_step]
        text = "".join(json.dumps(line) + "\n" for line in earlier)
        files.write_once(path, lambda temporary: temporary.write_text(text))
        self._file = path.open("a")

    def write(self, step: int, **metrics) -> None:
        """Write the scalars of one step; what is not finite becomes null."""
        numbers = {name: files.json_number(value) for name, value in metrics.items()}
        self._file.write(json.dumps({"step": int(step), **numbers}) + "\n")
        self._file.flush()
        for write, _ in self._extras:
            write(int(step), {name: value for name, value in numbers.items() if value is not None})

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


def read_metrics(workdir) -> list[dict]:
    """The whole lines of workdir/metrics.jsonl, in order."""
    return _read_lines(Path(workdir) / "metrics.jsonl")


def _read_lines(path) -> list[dict]:
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
    return lines


def _open_extra(name, workdir, resume_step):
    """`(write(step, numbers), close())` of another place that metrics go to."""
    try:
        if name == "tensorboard":
            from tensorboardX import SummaryWriter

            board = SummaryWriter(str(workdir / "tensorboard"), purge_step=resume_step + 1)
            return lambda step, numbers: [
                board.add_scalar(key, value, step) for key, value in numbers.items()
            ], board.close
        if name == "wandb":
            import wandb

            identity = hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:16]
            run = wandb.init(
                project="diffenc", name=workdir.name, id=identity, resume="allow", dir=str(workdir)
            )
            return lambda step, numbers: run.log(numbers, step=step), run.finish
    except ImportError as error:
        raise InputError(
            f"metrics for {name} need a package that is absent: pip install -e '.[{name}]', or leave it out"
        ) from error
    raise InputError(
        f"metrics can go to 'tensorboard' and 'wandb', not to {name!r}: leave it out or give one of these"
    )


@contextlib.contextmanager
def progress(total: int, start: int = 0, description: str = "updates", at_most: bool = False):
    """A function `update(completed, text="")` that shows how far a run is: a bar on a terminal, an
    occasional plain line elsewhere.

    `text` is shown as given, such as "loss 1.23 45/s". The remaining time is judged by the work
    done since `start`, and not shown where the total is only the most that there can be to do.
    """
    console = Console()
    if not console.is_terminal:
        yield _plain_progress(total, start, description, at_most)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        *(() if at_most else (TimeRemainingColumn(),)),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(
            f"{description} (at most)" if at_most else description,
            total=total,
            completed=start,
            text="",
        )
        yield lambda completed, text="": bar.update(task, completed=int(completed), text=text)


def _plain_progress(total, start, description, at_most):
    began = time.monotonic()
    last_shown = -math.inf

    def update(completed, text=""):
        nonlocal last_shown
        now = time.monotonic()
        if now - last_shown < SECONDS_BETWEEN_LINES and completed < total:
            return
        last_shown, done = now, completed - start
        remaining = _clock((now - began) * (total - completed) / done) if done > 0 else "?"
        clock = f"elapsed {_clock(now - began)}", "" if at_most else f"remaining {remaining}"
        done_of_total = f"{completed} of at most {total}" if at_most else f"{completed}/{total}"
        parts = f"{description} {done_of_total}", text, *clock
        print("  ".join(part for part in parts if part), file=sys.stdout, flush=True)

    return update


def _clock(seconds) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
