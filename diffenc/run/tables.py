"""The results of a run: results.json, and tables for a person."""

import json
import math
from typing import NamedTuple

from etils import epath
from rich.console import Console
from rich.table import Table

from diffenc import estimate
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
    """Write workdir/results.json, a list of objects with the fields of `Result`.

    What is not finite becomes null.
    """
    rows = []
    for result in results:
        row = result._asdict()
        for field in ("value", "stderr", "truth"):
            row[field] = files.json_number(row[field])
        rows.append(row)
    text = json.dumps(rows, indent=2) + "\n"
    path = epath.Path(workdir) / "results.json"
    files.write_once(path, lambda temporary: temporary.write_text(text))


def read_results(workdir) -> list[Result]:
    """Read the results in workdir/results.json; a null value is read as NaN.

    Raises InputError where there are none or the file is damaged.
    """
    path = epath.Path(workdir) / "results.json"
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
    """Write `value ± stderr` with two digits of the error and the value to the same place."""
    value = files.json_number(value)
    stderr = files.json_number(stderr)
    if value is None:
        return "not finite"
    return estimate.format_value(value, stderr)


def print_table(results, title: str = "", file=None) -> None:
    """Print results as a table: name, value ± standard error, unit and truth.

    Args:
        results: a `Result` each; the column of truths is left out where none is known.
        title: above the table.
        file: where to print; None is the standard output.
    """
    results = list(results)
    with_truth = any(result.truth is not None for result in results)
    table = Table(title=title or None, title_justify="left")
    table.add_column("result", overflow="fold")
    table.add_column("value ± standard error", justify="right", overflow="fold")
    table.add_column("unit", overflow="fold")
    if with_truth:
        table.add_column("truth", justify="right", overflow="fold")
    for result in results:
        cells = [result.name, format_value(result.value, result.stderr), result.unit]
        if with_truth:
            cells.append("" if result.truth is None else f"{float(result.truth):.5g}")
        table.add_row(*cells)
    _print(table, file, width=160)


def print_matrix(title: str, rows, columns, cells, file=None) -> None:
    """Print a table with a row and a column of names.

    Args:
        title: above the table.
        rows: their names.
        columns: their names.
        cells: cells[row][column] is (value, stderr) or None.
        file: where to print; None is the standard output.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for row, values in zip(rows, cells, strict=True):
        table.add_row(row, *("" if value is None else format_value(*value) for value in values))
    _print(table, file, width=40 + 18 * len(columns))


def _print(table, file, width) -> None:
    """Print a table, as wide as the terminal or, in a log, as `width` columns."""
    console = Console(file=file)
    if not console.is_terminal:
        console = Console(file=file, width=width)
    console.print(table, markup=False)
