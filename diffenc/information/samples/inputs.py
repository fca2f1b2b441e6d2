"""What a caller gives as samples: arrays, lists, tables of pandas; errors in the caller's words."""

import contextlib
import math
import operator
import re
import sys
import time
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from diffenc.errors import InputError, describe
from diffenc.information.samples import rows as rows_of_samples
from diffenc.information.samples.checks import LEAST_ROWS
from diffenc.information.settings import DEFAULTS, Settings, silent

SECONDS_BETWEEN_LINES = 2.0
EXACT = 2**53  # float64 holds all whole numbers up to this size
Progress = bool | Callable[[str, int, float], None] | None


class Block(NamedTuple):
    """Samples of one parameter of a caller.

    Attributes:
        name: of the parameter.
        values: [N] or [N, dim].
        columns: what errors call its columns.
        index: the index of a pandas object, or None.
        words: what a caller calls its columns: their names, or "x[0]" and so on.
    """

    name: str
    values: np.ndarray
    columns: list[str]
    index: Any
    words: list[str] = []


def read(name: str, values, may_be_names: bool = False) -> Block:
    """Read what a caller gave as samples.

    Args:
        name: of the parameter.
        values: an array, a list, or a DataFrame or Series of pandas; [N] or [N, dim].
        may_be_names: whether columns of names will do. A table that holds names beside numbers
            becomes an array of objects.

    Returns:
        The block; its numbers are not checked.

    Raises:
        InputError: it is no such thing, or a column of it holds no numbers.
    """
    pandas = sys.modules.get("pandas")  # without pandas nobody can have given its objects
    if pandas is not None and isinstance(values, pandas.Series):
        values = values.to_frame(name if values.name is None else values.name)
        block = _read_table(name, values, may_be_names)
        return block._replace(values=block.values[:, 0])
    if pandas is not None and isinstance(values, pandas.DataFrame):
        return _read_table(name, values, may_be_names)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    array = as_array(name, values)
    if may_be_names and array.dtype == object and all(isinstance(one, str) for one in array.flat):
        array = array.astype(str)
    array = _without_offset(array)
    if array.dtype == object:
        _refuse_objects(name, array)
    check_not_transposed(name, array)
    width = array.shape[1] if array.ndim == 2 else 1
    columns = [f"{name} column {column}" for column in range(width)]
    return Block(name, array, columns, None, [f"{name}[{column}]" for column in range(width)])


def as_array(name: str, values) -> np.ndarray:
    """Make an array of what a caller gave; InputError for rows of different lengths, or keys."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} is no array ({describe(error)}): give numbers [N] or [N, dim]"
        ) from error


def _without_offset(array: np.ndarray) -> np.ndarray:
    """Return an array in which columns of whole numbers beyond 2^53 begin at 0.

    Of such numbers float64 keeps the first digits alone, and float64 is what estimates are made in.
    Their differences have all digits where they are not so large themselves.
    """
    if array.dtype.kind not in "iuO" or array.ndim not in (1, 2) or not array.size:
        return array
    if array.dtype.kind in "iu" and array.dtype.itemsize < 8:
        return array
    are_objects = array.dtype == object
    if are_objects and not all(isinstance(value, Integral) for value in array.flat):
        return array
    columns = []
    is_better = False
    for column in array.reshape(len(array), -1).T:
        least = int(column.min())
        most = int(column.max())
        if max(-least, most) <= EXACT:
            columns.append(column.astype(np.int64))
        elif most - least <= EXACT:
            columns.append((column - column.min()).astype(np.int64))
            is_better = True
        else:
            columns.append(column.astype(np.float64))
            is_better = is_better or are_objects
    return np.stack(columns, axis=1).reshape(array.shape) if is_better else array


def check_not_transposed(name: str, array: np.ndarray) -> None:
    """Raise InputError for too few rows of so many columns that they should be the rows."""
    if array.ndim != 2:
        return
    count, width = array.shape
    if count < LEAST_ROWS <= width:
        raise InputError(
            f"{name} has shape {array.shape}, {count} row{'s' if count > 1 else ''} of {width} "
            f"columns: transposed? give {name}.T"
        )


def _refuse_objects(name, array) -> None:
    """Raise InputError that names the first object that is no number, if there is one."""
    if not array.ndim:
        raise InputError(
            f"{name} is of type {type(array.item()).__name__}: give numbers [N] or [N, dim]"
        )
    places = (one for one in np.ndindex(array.shape) if not isinstance(array[one], Real))
    place = next(places, None)
    if place is None:
        raise InputError(
            f"{name} is an array of objects: save numbers, not objects: {name}.astype(float)"
        )
    raise InputError(
        f"{name} is an array of objects, with {array[place]!r} in row {place[0]}: give numbers, or "
        "a table of pandas if some of its columns are names"
    )


def _read_table(name, table, may_be_names) -> Block:
    if not table.size:
        raise InputError(f"{name} has shape {table.shape}: give rows and columns")
    columns = [f"{name} column {label!r}" for label in table.columns]
    arrays = [
        _read_column(column, table.iloc[:, place], may_be_names)
        for place, column in enumerate(columns)
    ]
    if len({array.dtype.kind in "US" for array in arrays}) > 1:
        arrays = [array.astype(object) for array in arrays]
    words = [str(label) for label in table.columns]
    return Block(name, np.stack(arrays, axis=1), columns, table.index, words)


def _read_column(name, column, may_be_names) -> np.ndarray:
    """Return the numbers of a Series, NaN where there is none, or the names of classes in it."""
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    if is_numeric_dtype(column.dtype) and not is_complex_dtype(column.dtype):
        if column.isna().any():
            return column.to_numpy(float, na_value=np.nan)
        return _without_offset(column.to_numpy(column.dtype.type))
    if column.dtype == object:
        array = _without_offset(column.to_numpy())
        if array.dtype != object:
            return array
    if not may_be_names:
        raise InputError(f"{name} holds {column.dtype}: give numbers")
    is_missing = column.isna().to_numpy()
    if is_missing.any():
        raise InputError(f"{name} is empty in row {np.argmax(is_missing)}: drop such rows")
    return column.astype(str).to_numpy(str)


def check_rows(*blocks: Block) -> None:
    """Check that the blocks have equally many rows, and tables of pandas the same index.

    Rows are taken in their order. Two tables whose indexes differ were cut or sorted differently,
    and their rows would be paired wrongly.
    """
    lengths = {block.name: len(block.values) for block in blocks if block.values.ndim}
    for block in blocks:
        others = {length for name, length in lengths.items() if name != block.name}
        if block.values.ndim == 2 and others == {block.values.shape[1]} != {len(block.values)}:
            raise InputError(
                f"{block.name} has shape {block.values.shape}, but the others {min(others)} rows: "
                f"transposed? give {block.name}.T"
            )
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise InputError(f"rows differ in number ({counts}): give the same rows of each")
    tables = [block for block in blocks if block.index is not None]
    for table in tables[1:]:
        if not table.index.equals(tables[0].index):
            first = tables[0].name
            raise InputError(
                f"{table.name} has another index than {first}: align them "
                f"({table.name}.loc[{first}.index]), or give arrays if their rows belong together"
            )


def read_groups(groups, *blocks: Block) -> np.ndarray:
    """Return what a caller gave as groups of the rows of these blocks: one value for each row."""
    block = read("groups", groups, may_be_names=True)
    check_rows(*blocks, block)
    return block.values


def select_rows(groups, order, *blocks: Block, by_column: bool = False) -> tuple:
    """Return the blocks of the rows that are used, and these.

    Args:
        groups: of the caller.
        order: of the caller.
        *blocks: what the caller gave.
        by_column: whether the columns of the only block are asked about each other.
    """
    if groups is not None:
        groups = read_groups(groups, *blocks)
    tables = [block.values for block in blocks]
    if by_column and tables[0].ndim == 2 and tables[0].shape[1]:
        tables = list(tables[0].T)
    rows = rows_of_samples.examine(tables, groups, order, by_column)
    if rows.used is None:
        return *blocks, rows
    used = [
        block._replace(
            values=block.values[rows.used],
            index=None if block.index is None else block.index[rows.used],
        )
        for block in blocks
    ]
    return *used, rows


@contextlib.contextmanager
def naming(blocks: dict[str, list[Block]], classes: list | None = None):
    """Put errors of the library in the caller's words: names of parameters, columns, rows, classes.

    A covariance without an inverse, which no check has foreseen, becomes such an error, too.

    Args:
        blocks: by the name that the library uses, such as "z", the caller's blocks whose columns
            it holds.
        classes: what the labels 0, 1, ... stand for, if they are not numbers of the caller.
    """
    columns = {}
    for name, parts in blocks.items():
        columns[name] = [column for part in parts for column in part.columns]
    index = next((part.index for parts in blocks.values() for part in parts), None)

    def name_column(match):
        names = columns.get(match[1], [])
        place = int(match[2])
        return names[place] if place < len(names) else match[0]

    def name_row(match):
        return match[0] if index is None else f"in row {list(index)[int(match[1])]!r}"

    def name_class(match):
        if classes is None:
            return match[0]
        name = f"{match[1]} {classes[int(match[2])]!r}"
        is_of_one = match[1] == "label" and len(columns.get("y", [])) == 1
        return f"{name} of {columns['y'][0]}" if is_of_one else name

    try:
        yield
    except InputError as error:
        text = re.sub(r"\b(y, z|[xyz]) column (\d+)", name_column, str(error))
        text = re.sub(r"\bin row (\d+)", name_row, text)
        text = re.sub(r"\b(label|labels are) (\d+)", name_class, text)
        text = re.sub(r"\bz has\b", "given has", text)
        text = re.sub(r"\b([xy]), z,", r"\1 and given,", text)
        text = re.sub(r"\bof z,", "of given,", text)
        raise InputError(text) from error
    except np.linalg.LinAlgError as error:
        raise InputError(
            "two columns are in the same order but for ties, or one is the sum of others but for "
            "rounding: their information is infinite, or larger than these rows show; leave such "
            "a column out, or give it its noise"
        ) from error


def read_seed(seed) -> int:
    """Return a seed as an integer; raise InputError unless it is one of 0 or more."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0 or isinstance(seed, bool):
        raise InputError(f"seed is {seed!r}: give a whole number of 0 or more")
    return number


def read_name(name) -> str:
    """Return the name of samples; raise InputError unless it is a text."""
    if not isinstance(name, str):
        raise InputError(f'name is {name!r}: give a text, such as "x.y"')
    return name


def read_settings(settings: Settings | Mapping | None) -> Settings:
    """Make the settings of what a caller gave."""
    if settings is None or isinstance(settings, Settings):
        return settings or DEFAULTS
    if not isinstance(settings, Mapping):
        raise InputError(f"settings is {settings!r}: give Settings, or a mapping of its sections")
    return Settings.from_dict(settings)


def read_progress(progress: Progress) -> Callable[[str, int, float], None]:
    """Make the progress callback of what a caller gave."""
    if progress is None or progress is False:
        return silent
    if progress is True:
        return _make_printer()
    if not callable(progress):
        raise InputError(
            f"progress is {progress!r}: give True, or a function of (stage, updates, nats)"
        )
    return progress


def _make_printer():
    """Make the callback that prints a line to stderr every other second."""
    last = -math.inf

    def show(stage, updates, value):
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{stage}: {updates} updates, {value:.3f} nats", file=sys.stderr, flush=True)

    return show
