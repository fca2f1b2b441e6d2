"""What a run writes for a person: metrics.jsonl, results.json with a table, progress, and figures
of one style."""

import contextlib
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from diffenc.errors import InputError
from diffenc.run import files, parallel

# Okabe and Ito's colours, told apart by every common kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}
SECONDS_BETWEEN_LINES = 10.0


def _number(value) -> float | None:
    """A finite float, or None: JSON has no NaN."""
    number = None if value is None else float(np.asarray(value))
    return number if number is not None and math.isfinite(number) else None


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
        numbers = {name: _number(value) for name, value in metrics.items()}
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


class Result(NamedTuple):
    """One number a run reports, with its standard error and, where it is known, the truth."""

    name: str
    value: float
    stderr: float | None = None
    unit: str = "nats"
    truth: float | None = None


def write_results(workdir, results) -> None:
    """Write workdir/results.json: a list of {"name", "value", "stderr", "unit", "truth"}; what is
    not finite becomes null."""
    rows = [
        {
            **r._asdict(),
            "value": _number(r.value),
            "stderr": _number(r.stderr),
            "truth": _number(r.truth),
        }
        for r in results
    ]
    text = json.dumps(rows, indent=2) + "\n"
    files.write_once(Path(workdir) / "results.json", lambda temporary: temporary.write_text(text))


def read_results(workdir) -> list[Result]:
    """The results in workdir/results.json; a null value is read as NaN. Raises InputError where
    there are none or the file is damaged."""
    path = Path(workdir) / "results.json"
    try:
        rows = [Result(**row) for row in json.loads(path.read_text())]
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist: let the run finish, or give another workdir"
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}): delete it and run again"
        ) from error
    return [row._replace(value=math.nan if row.value is None else row.value) for row in rows]


def format_value(value, stderr=None) -> str:
    """`value ± stderr`, with two digits of the error and the value to the same place."""
    value, stderr = _number(value), _number(stderr)
    if value is None:
        return "not finite"
    if stderr is None or stderr <= 0:
        return f"{value:.5g}" + ("" if stderr is None else " ± 0")
    places = max(0, 1 - math.floor(math.log10(stderr)))
    if places > 8 or abs(value) >= 1e9:
        return f"{value:.5g} ± {stderr:.2g}"
    return f"{value:.{places}f} ± {stderr:.{places}f}"


def print_table(results, title: str = "", file=None) -> None:
    """Print results as a table: name, value ± standard error, unit and, where any is known, the
    truth."""
    results = list(results)
    with_truth = any(result.truth is not None for result in results)
    table = Table(title=title or None, title_justify="left")
    for heading, side in (
        ("result", "left"),
        ("value ± standard error", "right"),
        ("unit", "left"),
    ) + ((("truth", "right"),) if with_truth else ()):
        table.add_column(heading, justify=side, overflow="fold")
    for result in results:
        truth = (
            [] if not with_truth else ["" if result.truth is None else f"{float(result.truth):.5g}"]
        )
        table.add_row(result.name, format_value(result.value, result.stderr), result.unit, *truth)
    console = Console(file=file)
    if not console.is_terminal:
        console = Console(file=file, width=160)
    console.print(table, markup=False)


def print_matrix(title: str, rows, columns, cells, file=None) -> None:
    """Print a table of cells[row][column], each (value, stderr) or None."""
    table = Table(title=title, title_justify="left")
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left", overflow="fold")
    for row, values in zip(rows, cells, strict=True):
        table.add_row(row, *("" if value is None else format_value(*value) for value in values))
    console = Console(file=file)
    if not console.is_terminal:
        console = Console(file=file, width=40 + 18 * len(columns))
    console.print(table, markup=False)


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


def figure(rows: int = 1, columns: int = 1, width: float = 3.4, height: float = 2.8, **subplots):
    """`(figure, axes [rows, columns])` in the project's style; `width` and `height` are each
    panel's, in inches."""
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, columns, squeeze=False, **subplots)


def save(fig, workdir, name: str) -> Path:
    """Write the figure to workdir/figures/<name>.png at 150 dots per inch; returns the path."""
    path = Path(workdir) / "figures" / f"{name}.png"
    with matplotlib.rc_context(STYLE):
        files.write_once(path, lambda temporary: fig.savefig(temporary, dpi=150, format="png"))
    return path


def label(ax, x: str, y: str, title: str = "", legend: bool = False) -> None:
    """Name both axes (with units), and give the panel its title and legend."""
    ax.set(xlabel=x, ylabel=y, title=title)
    if legend:
        ax.legend(frameon=False, markerscale=2)


def band(ax, x, y, stderr, label: str | None = None, **style):
    """A curve with its band of one standard error; x, y, stderr: [n]."""
    x, y, stderr = (np.asarray(values, float) for values in (x, y, stderr))
    (line,) = ax.plot(x, y, label=label, **style)
    ax.fill_between(x, y - stderr, y + stderr, color=line.get_color(), alpha=0.2, linewidth=0)
    return line


def truth_line(ax, value: float, label: str = "truth") -> None:
    """A dashed horizontal line at the true value."""
    ax.axhline(float(value), color="#000000", linestyle="--", linewidth=1.0, label=label)


def image_grid(ax, images, columns: int, max_value: float | None = None) -> None:
    """Show images, [n, h, w], [n, h, w, 1] or [n, h, w, 3], row by row in one panel, black at 0 and
    white at `max_value` (the largest by default)."""
    images = np.asarray(images, float)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
        raise InputError(
            f"images have shape {images.shape}: give [n, h, w], [n, h, w, 1] or [n, h, w, 3] with n at least 1"
        )
    count, height, width, channels = images.shape
    scale = images.max() if max_value is None else max_value
    rows = math.ceil(count / columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + 1), column * (width + 1)
        canvas[top : top + height, left : left + width] = np.clip(image / (scale or 1.0), 0.0, 1.0)
    ax.imshow(
        canvas[..., 0] if channels == 1 else canvas,
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest",
    )
    ax.set_axis_off()
