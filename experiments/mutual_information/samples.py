"""Samples of experiments.mutual_information: those of known tasks, and those of a user's file."""

import contextlib
import functools
import io
import re
import zipfile
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from etils.epath import Path

from diffenc.errors import InputError, check_choice
from diffenc.estimate import Estimate
from diffenc.information.benchmark import beyond, pairs, tasks
from diffenc.information.codes import labels
from diffenc.information.samples import checks, columns, functions, inputs, kinds, rows
from diffenc.keys import key_of
from diffenc.run import arrays

LABELS = {"auto": None, "yes": True, "no": False}
ORDERS = {"auto": None, "exchangeable": "exchangeable"}
HALVES = {"choose": beyond.CHOOSE, "report": beyond.REPORT}  # of `beyond`, by the name of each
ENDINGS = f".npz, {', '.join(arrays.TABLE_ENDINGS)}"


@dataclass(frozen=True)
class DataSettings:
    """The config's section `data`: a user's file.

    Attributes:
        path: an .npz file with arrays x and y, or a table, see `arrays.read_table`; "" is none.
        x_columns: names of the columns of x in a table.
        y_columns: names of the columns of y in a table.
        labels: whether y is codes, such as class labels: "yes", "no", or "auto" to tell by its
            values.
        groups_column: the name of the column, or array, of what rows belong together; "" is none.
        order: "exchangeable" if the order of the rows means nothing, "auto" to find out.
        codes: what of x and y is codes, see `diffenc.mutual_information`.
        amounts: what is numbers, though it has few values.
        columns: names of the columns of which all pairs are estimated, () for all of the file; None
            for one pair, x and y.
    """

    path: str
    x_columns: tuple[str, ...] = ()
    y_columns: tuple[str, ...] = ()
    labels: str = "auto"
    groups_column: str = ""
    order: str = "auto"
    codes: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    def __post_init__(self):
        check_choice("labels", self.labels, LABELS)
        check_choice("order", self.order, ORDERS)


class Samples(NamedTuple):
    """Samples with their information, where it is known.

    Attributes:
        x: [N, dim_x] or [N], or a DataFrame.
        y: [N, dim_y] or [N], or a DataFrame.
        truth: the information (nats), or None.
        are_numbers: whether no block is taken as codes.
        words: what the caller says of columns: the arguments `labels`, `codes` and `amounts` of
            `diffenc.mutual_information`.
        notes: how columns are taken.
        groups: [N] what rows belong together, or None.
        order: see `rows.examine`.
        oracle: the mean of the exact pointwise information of these samples, or None.
        has_networks: whether the estimate trains any; that of two blocks of codes does not.
    """

    x: Any
    y: Any
    truth: float | None
    are_numbers: bool = True
    words: dict = {}
    notes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    order: str | None = None
    oracle: Estimate | None = None
    has_networks: bool = True


@functools.cache
def known_tasks() -> dict:
    """Make the tasks whose information is known, by name.

    They are made when they are asked for, because making them computes with jax.
    """
    return (
        tasks.benchmark()
        | beyond.beyond()
        | {
            "joint_gaussian_25x15": pairs.linear_channel(jax.random.key(0)),
            "gaussian_80x80": pairs.high_information(80, 80.0),
        }
    )


def names_of(tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Replace the name of a half of `beyond`, choose or report, by the names of its tasks."""
    names = ()
    for name in tasks:
        names += HALVES.get(name, (name,))
    return names


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
    key = key_of(seed, "samples", name)
    x, y = task.sample(key, num_samples)
    oracle = Estimate.of(pairs.oracle(task, jax.random.clone(key), num_samples))
    are_numbers = y.dtype.kind == "f"
    return Samples(x, y, task.information, are_numbers, order="exchangeable", oracle=oracle)


def load_samples(settings: DataSettings) -> Samples:
    """Read and check x and y of the user's file.

    Raises InputError for a file that cannot be read, and for samples that `checks` refuses.
    """
    path = check_file(settings.path)
    if path.suffix == ".npz":
        x, y, groups = _read_npz(path, settings.groups_column)
    elif path.suffix in arrays.TABLE_ENDINGS:
        x, y, groups = _read_table(path, settings)
    else:
        raise InputError(f"data file {path} is {path.suffix or 'without ending'}: give {ENDINGS}")
    words = dict(labels=LABELS[settings.labels], codes=settings.codes, amounts=settings.amounts)
    order = ORDERS[settings.order]
    with _naming_the_field():
        blocks = [inputs.read(name, one, may_be_names=True) for name, one in (("x", x), ("y", y))]
        inputs.check_rows(*blocks)
        examined = rows.examine([block.values for block in blocks], groups, order)
        blocks = [block._replace(values=examined.select(block.values)) for block in blocks]
        pair = kinds.decide(blocks[0], blocks[1], columns.read_words(**words))
        with inputs.naming({"x": [pair.x], "y": [pair.y]}, pair.classes):
            _check(pair)
    notes = tuple(name_fields(note) for note in pair.notes)
    return Samples(
        x,
        y,
        truth=None,
        are_numbers=pair.case == "numbers",
        words=words,
        notes=notes,
        groups=groups,
        order=order,
        has_networks=pair.case != "table",
    )


def check_file(name: str) -> Path:
    """Return the path of a user's file; raises InputError where there is none."""
    path = Path(name)
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(f"data file {path} {problem}: give --config.data.path a file {ENDINGS}")
    return path


def _check(pair) -> None:
    """Raise InputError for samples that `checks` refuses."""
    if pair.case == "labels":
        checks.check_labels(pair.x.values, labels.pool(pair.y.values).pooled)
    if pair.case == "chain":
        checks.check(pair.x.values)
    if pair.case == "mixed":
        checks.check(pair.x.values, pair.y.values)
    if pair.case == "numbers":
        functions.check_no_function(*checks.check(pair.x.values, pair.y.values))


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
    return blocks["x"], blocks["y"], groups_of_archive(path, blocks, groups_name)


def groups_of_archive(path, blocks: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """Return the array of this name, or None for no name; raises InputError if there is none."""
    if name and name not in blocks:
        raise InputError(
            f"{path} has arrays {', '.join(blocks)}, but no {name}: give "
            "config field data.groups_column the name of one"
        )
    return blocks[name] if name else None


def _read_table(path, settings: DataSettings) -> tuple:
    """Return the columns of x and those of y, as tables, and that of the groups of a table."""
    table = arrays.read_table(path)
    blocks = []
    for field in ("x_columns", "y_columns"):
        names = getattr(settings, field)
        if not names:
            raise InputError(
                f"config field data.{field} is empty: "
                f"give names of columns, of {', '.join(map(str, table.columns))}"
            )
        blocks.append(arrays.numbers_or_names(table, names, str(path)))
    return blocks[0], blocks[1], groups_of_table(path, table, settings.groups_column)


def groups_of_table(path, table, name: str) -> np.ndarray | None:
    """Return the column of this name as text, or None for no name.

    Raises InputError if there is no such column, or a cell of it is empty.
    """
    if name and name not in table.columns:
        raise InputError(
            f"{path} has no column {name!r}: give config field data.groups_column one of "
            f"{', '.join(map(str, table.columns))}"
        )
    if not name:
        return None
    is_missing = table[name].isna()
    if is_missing.any():  # pandas would cut all names to the first letter, too
        raise InputError(
            f"{path}: column {name!r}, {table.index.name} {table.index[is_missing][0]} is empty: "
            f"name the group there, or drop such rows ({is_missing.sum()})"
        )
    return table[name].astype(str).to_numpy(str)


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
    text = text.replace("groups=...", "--config.data.groups_column")
    return re.sub(r"\b(codes|amounts)=('[^']*')", r'--config.data.\1="(\2,)"', text)
