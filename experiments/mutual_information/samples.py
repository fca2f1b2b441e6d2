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
from diffenc.information import checks, functions, pairs, tasks
from diffenc.keys import key_of
from diffenc.run import arrays

LABELS = {"auto": None, "yes": True, "no": False}
ENDINGS = f".npz, {', '.join(arrays.TABLE_ENDINGS)}"


@dataclass(frozen=True)
class DataSettings:
    """The config's section `data`: a user's file.

    Attributes:
        path: an .npz file with arrays x and y, or a table, see `arrays.read_table`; "" is none.
        x_columns: names of the columns of x in a table.
        y_columns: names of the columns of y in a table.
        labels: whether y is class labels: "yes", "no", or "auto" to tell by its values.
        columns: names of the columns of which all pairs are estimated, () for all of the file; None
            for one pair, x and y.
    """

    path: str
    x_columns: tuple[str, ...] = ()
    y_columns: tuple[str, ...] = ()
    labels: str = "auto"
    columns: tuple[str, ...] | None = None

    def __post_init__(self):
        check_choice("labels", self.labels, LABELS)


class Samples(NamedTuple):
    """Samples with their information, where it is known.

    Attributes:
        x: [N, dim_x] or [N].
        y: [N, dim_y] or [N]; integers [N] if they are labels.
        are_labels: whether y is class labels; None to tell by its values.
        truth: the information (nats), or None.
    """

    x: np.ndarray
    y: np.ndarray
    are_labels: bool | None
    truth: float | None


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
    return Samples(x, y, False, task.information)


def load_samples(settings: DataSettings) -> Samples:
    """Read and check x and y of the user's file.

    Raises InputError for a file that cannot be read, and for samples that `checks` refuses.
    """
    path = check_file(settings.path)
    if path.suffix == ".npz":
        x, y = _read_npz(path)
    elif path.suffix in arrays.TABLE_ENDINGS:
        x, y = _read_table(path, settings)
    else:
        raise InputError(f"data file {path} is {path.suffix or 'without ending'}: give {ENDINGS}")
    if len(x) != len(y):
        raise InputError(
            f"rows differ in number (x has {len(x)}, y has {len(y)}): give one y for each x"
        )
    with _naming_the_field():
        are_labels = checks.are_labels(y, LABELS[settings.labels])
        if are_labels:
            y = np.unique(y, return_inverse=True)[1] if y.dtype.kind in "US" else y.astype(np.int64)
            y = y.reshape(len(y))
            checks.check_labels(x, y)
        else:
            functions.check_no_function(*checks.check(x, y))
    return Samples(x, y, are_labels, None)


def check_file(name: str) -> Path:
    """Return the path of a user's file; raises InputError where there is none."""
    path = Path(name)
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(f"data file {path} {problem}: give --config.data.path a file {ENDINGS}")
    return path


def _read_npz(path) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of an archive of numpy."""
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
    return blocks["x"], blocks["y"]


def _read_table(path, settings: DataSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of x and those of y of a table."""
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
    return blocks[0], blocks[1]


@contextlib.contextmanager
def _naming_the_field():
    """Say how the command line is told what an error asks for as labels=True or labels=False."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for word, value in LABELS.items():
            text = text.replace(f"labels={value}", f"--config.data.labels={word}")
        raise InputError(text) from error
