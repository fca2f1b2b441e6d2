"""What a run found: results.json, and tables for a person."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from diffenc.errors import InputError
from diffenc.run import files


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
            "value": files.json_number(r.value),
            "stderr": files.json_number(r.stderr),
            "truth": files.json_number(r.truth),
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
    value, stderr = files.json_number(value), files.json_number(stderr)
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
