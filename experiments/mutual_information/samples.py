"""Samples of experiments.mutual_information: those of known tasks, and those of a user's file."""

import csv
import difflib
import functools
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from etils.epath import Path

from diffenc.errors import InputError
from diffenc.information import checks, tasks
from diffenc.keys import key_of
from experiments import command_line

LABELS = ("auto", "yes", "no")


@dataclass(frozen=True)
class DataSettings:
    """The config's section `data`: a user's file.

    Attributes:
        path: an .npz file with arrays x and y, or a .csv file with a line of names; "" is none.
        x_columns: names of the columns of x in a .csv file.
        y_columns: names of the columns of y in a .csv file.
        labels: whether y is class labels: "yes", "no", or "auto" to tell by its values.
    """

    path: str
    x_columns: tuple[str, ...]
    y_columns: tuple[str, ...]
    labels: str

    def __post_init__(self):
        command_line.check_choice("data.labels", self.labels, LABELS)


class Samples(NamedTuple):
    """Samples with their information, where it is known.

    Attributes:
        x: [N, dim_x] or [N].
        y: [N, dim_y] or [N]; integers [N] if they are labels.
        are_labels: whether y is class labels.
        truth: the information (nats), or None.
    """

    x: np.ndarray
    y: np.ndarray
    are_labels: bool
    truth: float | None


@functools.cache
def known_tasks() -> dict:
    """Make the tasks whose information is known, by name.

    They are made when they are asked for, because making them computes with jax.
    """
    return tasks.benchmark() | {
        "joint_gaussian_25x15": tasks.linear_channel(jax.random.key(0)),
        "gaussian_80x80": tasks.high_information(80, 80.0),
    }


def draw_samples(seed: int, name: str, num_samples: int) -> Samples:
    """Draw the samples of a task, a function of the seed and of the task's name.

    Args:
        seed: the seed of the run.
        name: the name of the task.
        num_samples: number of pairs.

    Returns:
        The samples with their information.
    """
    task = known_tasks()[name]
    x, y = task.sample(key_of(seed, "samples", name), num_samples)
    return Samples(x, y, False, task.information)


def load_samples(settings: DataSettings) -> Samples:
    """Read and check x and y of the user's file.

    Raises InputError for a file that cannot be read, and for samples that `checks` refuses.
    """
    path = Path(settings.path)
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(
            f"data file {path} {problem}: give --config.data.path an .npz or .csv file"
        )
    if path.suffix == ".npz":
        x, y = _read_npz(path)
    elif path.suffix == ".csv":
        x, y = _read_csv(path, settings.x_columns, settings.y_columns)
    else:
        raise InputError(
            f"data file {path} is {path.suffix or 'without ending'}: give .npz or .csv"
        )
    if len(x) != len(y):
        raise InputError(
            f"rows differ in number (x has {len(x)}, y has {len(y)}): give one y for each x"
        )
    are_labels = _are_labels(y, settings.labels)
    if are_labels:
        y = y.reshape(len(y)).astype(np.int64)
        checks.check_labels(x, y)
    else:
        checks.check_no_function(*checks.check(x, y))
    return Samples(x, y, are_labels, None)


def _read_npz(path):
    if not zipfile.is_zipfile(path):  # numpy would read a single array by another name, or nothing
        raise InputError(
            f"{path} cannot be read, it is damaged or no archive of arrays: "
            "save it with numpy.savez"
        )
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in ("x", "y") if name in archive}
            names = ", ".join(archive) or "none"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())}): save it with numpy.savez"
        ) from error
    for name in ("x", "y"):
        if name not in arrays:
            raise InputError(f"{path} has arrays {names}, but no {name}: save x and y")
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or not array.size:
            raise InputError(f"{path}: {name} has shape {array.shape}: give [N] or [N, dim]")
    return arrays["x"], arrays["y"]


def _read_csv(path, x_columns, y_columns):
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""))
        rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as text ({error}): save it as comma-separated values"
        ) from error
    if len(rows) < 2:
        raise InputError(f"{path} has {len(rows)} lines: give a line of names and rows of numbers")
    header = [name.strip() for name in rows[0][1]]
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path} is separated by semicolons: separate its columns by commas")
    _check_names(path, header, "x_columns", x_columns)
    _check_names(path, header, "y_columns", y_columns)

    def read(names):
        columns = [_read_column(path, rows[1:], header.index(name), name) for name in names]
        return np.stack(columns, axis=1)

    return read(x_columns), read(y_columns)


def _check_names(path, header, field, names) -> None:
    """Raise InputError unless every name is that of one column."""
    if not names:
        raise InputError(
            f"config field data.{field} is empty: give names of columns, of {', '.join(header)}"
        )
    for name in names:
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1) or [", ".join(header)]
            raise InputError(
                f"{path} has no column {name!r} (nearest: {near[0]}): correct data.{field}"
            )
        if header.count(name) > 1:
            raise InputError(
                f"{path} has {header.count(name)} columns {name!r}: give every column its own name"
            )


def _read_column(path, rows, index, name):
    """Return the numbers of one column; rows are pairs (line number, cells)."""
    values = np.empty(len(rows))
    for row, (line, cells) in enumerate(rows):
        cell = cells[index] if index < len(cells) else ""
        try:
            values[row] = float(cell)
        except ValueError as error:
            raise InputError(
                f"{path} column {name!r}, line {line} holds {cell!r}: give a number"
            ) from error
        if not np.isfinite(values[row]):
            raise InputError(
                f"{path} column {name!r}, line {line} holds {cell!r}: drop or repair such lines"
            )
    return values


def _are_labels(y, choice) -> bool:
    """Return whether y is one column of class labels.

    If y has few distinct integer values it is treated as labels. Integers stored as floats are
    ambiguous and refused, unless the choice says what they are.
    """
    is_column = np.asarray(y).size == len(y) and np.issubdtype(y.dtype, np.number)
    is_whole = bool(is_column and np.isfinite(y).all() and np.all(y == np.round(y)))
    if choice == "yes" and not is_whole:
        raise InputError(
            "y is not one column of whole numbers: give labels, or --config.data.labels=no"
        )
    if choice != "auto":
        return choice == "yes"
    count = len(np.unique(y)) if is_whole else 0
    are_few = 1 < count <= max(2, min(50, len(y) // 10))
    if are_few and not np.issubdtype(y.dtype, np.integer):
        raise InputError(
            f"y holds {count} whole numbers as floats: "
            "say --config.data.labels=yes (labels) or no (amounts)"
        )
    return are_few
