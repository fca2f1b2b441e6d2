"""Samples of experiments.mutual_information: those of known tasks, and those of a user's file."""

import contextlib
import functools
import io
import zipfile
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from etils.epath import Path

from diffenc.errors import InputError, check_choice
from diffenc.information import checks, functions, pairs, rows, tasks
from diffenc.keys import key_of
from diffenc.run import arrays

LABELS = {"auto": None, "yes": True, "no": False}
ORDERS = {"auto": None, "exchangeable": "exchangeable"}
ENDINGS = f".npz, {', '.join(arrays.TABLE_ENDINGS)}"


@dataclass(frozen=True)
class DataSettings:
    """The config's section `data`: a user's file.

    Attributes:
        path: an .npz file with arrays x and y, or a table, see `arrays.read_table`; "" is none.
        x_columns: names of the columns of x in a table.
        y_columns: names of the columns of y in a table.
        labels: whether y is class labels: "yes", "no", or "auto" to tell by its values.
        groups_column: the name of the column, or array, of what rows belong together; "" is none.
        order: "exchangeable" if the order of the rows means nothing, "auto" to find out.
    """

    path: str
    x_columns: tuple[str, ...]
    y_columns: tuple[str, ...]
    labels: str
    groups_column: str
    order: str

    def __post_init__(self):
        check_choice("labels", self.labels, LABELS)
        check_choice("order", self.order, ORDERS)


class Samples(NamedTuple):
    """Samples with their information, where it is known.

    Attributes:
        x: [N, dim_x] or [N].
        y: [N, dim_y] or [N]; integers [N] if they are labels.
        are_labels: whether y is class labels.
        truth: the information (nats), or None.
        groups: [N] what rows belong together, or None.
        order: see `rows.examine`.
    """

    x: np.ndarray
    y: np.ndarray
    are_labels: bool
    truth: float | None
    groups: np.ndarray | None = None
    order: str | None = None


@functools.cache
def known_tasks() -> dict:
    """Make the tasks whose information is known, by name.

    They are made when they are asked for, because making them computes with jax.
    """
    return tasks.benchmark() | {
        "joint_gaussian_25x15": pairs.linear_channel(jax.random.key(0)),
        "gaussian_80x80": pairs.high_information(80, 80.0),
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
    return Samples(x, y, False, task.information, order="exchangeable")


def load_samples(settings: DataSettings) -> Samples:
    """Read and check x and y of the user's file.

    Raises InputError for a file that cannot be read, and for samples that `checks` refuses.
    """
    path = Path(settings.path)
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(f"data file {path} {problem}: give --config.data.path a file {ENDINGS}")
    if path.suffix == ".npz":
        x, y, groups = _read_npz(path, settings.groups_column)
    elif path.suffix in arrays.TABLE_ENDINGS:
        x, y, groups = _read_table(path, settings)
    else:
        raise InputError(f"data file {path} is {path.suffix or 'without ending'}: give {ENDINGS}")
    if len(x) != len(y):
        raise InputError(
            f"rows differ in number (x has {len(x)}, y has {len(y)}): give one y for each x"
        )
    order = ORDERS[settings.order]
    with _naming_the_field():
        are_labels = checks.are_labels(y, LABELS[settings.labels])
        if are_labels:
            y = np.unique(y, return_inverse=True)[1] if y.dtype.kind in "US" else y.astype(np.int64)
            y = y.reshape(len(y))
            checks.check_labels(x, y)
        else:
            functions.check_no_function(*checks.check(x, y))
        rows.examine([x, y], groups, order)
    return Samples(x, y, are_labels, None, groups, order)


def _read_npz(path, groups_name) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, y and the groups of an archive of numpy."""
    if not zipfile.is_zipfile(io.BytesIO(path.read_bytes())):  # else numpy would read one array
        raise InputError(
            f"{path} cannot be read, it is damaged or no archive of arrays: "
            "save it with numpy.savez"
        )
    blocks = arrays.read_arrays(path)
    for name in ("x", "y"):
        if name not in blocks:
            raise InputError(
                f"{path} has arrays {', '.join(blocks) or 'none'}, but no {name}: save x and y"
            )
        block = blocks[name]
        if block.ndim not in (1, 2) or not block.size:
            raise InputError(f"{path}: {name} has shape {block.shape}: give [N] or [N, dim]")
    if groups_name and groups_name not in blocks:
        raise InputError(
            f"{path} has arrays {', '.join(blocks)}, but no {groups_name}: give "
            "config field data.groups_column the name of one"
        )
    return blocks["x"], blocks["y"], blocks[groups_name] if groups_name else None


def _read_table(path, settings: DataSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the columns of x, those of y, and that of the groups of a table."""
    table = arrays.read_table(path)
    blocks = []
    for field in ("x_columns", "y_columns"):
        names = getattr(settings, field)
        if not names:
            raise InputError(
                f"config field data.{field} is empty: "
                f"give names of columns, of {', '.join(map(str, table.columns))}"
            )
        blocks.append(arrays.numbers(table, names, str(path)))
    groups = settings.groups_column
    if groups and groups not in table.columns:
        raise InputError(
            f"{path} has no column {groups!r}: give config field data.groups_column one of "
            f"{', '.join(map(str, table.columns))}"
        )
    return blocks[0], blocks[1], table[groups].astype(str).to_numpy(str) if groups else None


@contextlib.contextmanager
def _naming_the_field():
    """Say how the command line is told what an error asks for as an argument of Python."""
    try:
        yield
    except InputError as error:
        raise InputError(name_fields(str(error))) from error


def name_fields(text: str) -> str:
    """Replace arguments of Python, such as labels=True, by the fields of the config."""
    for word, value in LABELS.items():
        text = text.replace(f"labels={value}", f"--config.data.labels={word}")
    text = text.replace("order='exchangeable'", "--config.data.order=exchangeable")
    return text.replace("groups=...", "--config.data.groups_column")
