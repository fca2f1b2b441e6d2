"""What the columns of a block are: codes, whose order tells nothing, or numbers.

A column of names or truth values is codes. So is one of few distinct values: of these, codes and
amounts have the same information, and what is estimated for codes assumes no order. Whole numbers
of more distinct values may be either, and the other block decides, see `kinds.py`. All else is
numbers. The caller can say otherwise.
"""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError
from diffenc.information.codes.labels import LEAST_EXAMPLES, pool
from diffenc.information.samples.inputs import Block

CODES = "codes"
NUMBERS = "numbers"
EITHER = "either"
# A column of at most so many distinct values, each in so many rows on average, is codes.
FEW = 20
ROWS = 20
# Whole numbers are never codes unless each is in so many rows on average.
FEWEST_ROWS = 10
BLOCKS = ("x", "y", "given")
WHOLE_Y = "y[:]"  # what `labels` speaks of: the block, whatever columns are called y


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a block.

    Attributes:
        name: what errors call it.
        word: how `codes` and `amounts` name it.
        values: [N] numbers or names.
        kind: CODES, NUMBERS or EITHER.
        is_declared: whether the caller said its kind.
    """

    name: str
    word: str
    values: np.ndarray
    kind: str
    is_declared: bool

    @property
    def count(self) -> int:
        """The number of distinct values."""
        return len(np.unique(self.values))

    @property
    def are_names(self) -> bool:
        """Whether the values are text."""
        return self.values.dtype.kind in "US"

    @property
    def is_whole(self) -> bool:
        """Whether the values are finite whole numbers."""
        if self.are_names or not np.isfinite(self.values).all():
            return False
        return bool(np.all(self.values == np.round(self.values)))

    @property
    def repeats(self) -> bool:
        """Whether the values are whole numbers, three or more, of which many are equal."""
        return self.is_whole and 2 < self.count < 0.9 * len(self.values)

    @property
    def are_row_numbers(self) -> bool:
        """Whether the values are all whole numbers of a range, each once."""
        if not self.is_whole or self.count < len(self.values):
            return False
        return float(self.values.max()) - float(self.values.min()) == len(self.values) - 1


class Words(NamedTuple):
    """What the caller says of columns.

    Attributes:
        codes: names of blocks and of columns that are codes.
        amounts: names of blocks and of columns that are numbers.

    "y[:]" is the block y.
    """

    codes: frozenset[str]
    amounts: frozenset[str]


def read_words(labels, codes, amounts) -> Words:
    """Read what the caller says of columns.

    Args:
        labels: None, or whether y is codes.
        codes: a name, or several: "x" or "y" is a whole block, "x[2]" a column of an array, and a
            column of a table has its own.
        amounts: as codes.

    Returns:
        The names.

    Raises:
        InputError: a value of another type, or a name in both.
    """
    if not (labels is None or isinstance(labels, bool | np.bool_)):
        shown = repr(labels) if isinstance(labels, str) else f"a {type(labels).__name__}"
        raise InputError(f"labels is {shown}: give None, True or False")
    words = Words(_names("codes", codes), _names("amounts", amounts))
    both = sorted(words.codes & words.amounts)
    if labels is not None and "y" in (words.amounts if labels else words.codes):
        both.append("y")
    if both:
        raise InputError(f"{both[0]} is said to be codes and amounts: say one of them")
    if labels is not None:
        field = "codes" if labels else "amounts"
        words = words._replace(**{field: getattr(words, field) | {WHOLE_Y}})
    return words


def _names(field, names) -> frozenset[str]:
    if isinstance(names, str):
        return frozenset([names])
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise InputError(f'{field} is {names!r}: give names, such as "x", "x[2]" or a column\'s')
    return frozenset(names)


def read_columns(block: Block, words: Words) -> list[Column]:
    """Read the columns of a block and what each of them is.

    Args:
        block: numbers or names [N] or [N, dim].
        words: what the caller says.

    Returns:
        The columns.

    Raises:
        InputError: the caller says of a column what it cannot be, or it is numbers as text.
    """
    table = block.values.reshape(len(block.values), -1)
    columns = []
    for place, (name, word) in enumerate(zip(block.columns, block.words, strict=True)):
        values = table[:, place]
        if values.dtype == object:  # of a table that holds names beside numbers
            are_names = any(isinstance(value, str) for value in values)
            values = values.astype(str if are_names else float)
        names = {word, f"{block.name}[{place}]"} - set(BLOCKS)  # "y" is no column y of x
        names |= {block.name, f"{block.name}[:]"}
        if word == f"{block.name}[0]" and table.shape[1] == 1:
            name = block.name
            word = block.name
        elif word in BLOCKS and word != block.name:
            word = f"{block.name}[{place}]"
        columns.append(_read_column(name, word, values, names, words))
    return columns


def check_words(words: Words, *blocks: Block) -> None:
    """Raise InputError for a name that is of no block or column, or of a block and a column."""
    known: dict[str, None] = {}
    for block in blocks:
        known |= dict.fromkeys((block.name, *block.words))
        known |= {f"{block.name}[{place}]": None for place in range(len(block.columns))}
    for name in sorted((words.codes | words.amounts) - {WHOLE_Y}):
        for block in blocks:
            if name in BLOCKS and name in block.words and block.words != [block.name]:
                raise InputError(
                    f"codes or amounts name {name!r}, which is a column of {block.name}, too: say "
                    f"{block.name}[{block.words.index(name)}], or rename that column"
                )
        if name not in known:
            raise InputError(
                f"codes or amounts name {name!r}, which is no column: give one of "
                f"{', '.join(known)}"
            )


def _read_column(name, word, values, names, words) -> Column:
    is_codes = bool(names & words.codes)
    is_amounts = bool(names & words.amounts)
    column = Column(name, word, values, NUMBERS, is_codes or is_amounts)
    if column.are_names:
        _check_names(column, is_codes, is_amounts)
        return dataclasses.replace(column, kind=CODES)
    is_finite = values.dtype.kind in "biu" or (
        values.dtype.kind == "f" and np.isfinite(values).all()
    )
    if is_codes and not is_finite:
        raise InputError(
            f"{name} is said to be codes, but holds what is no finite number and no name: "
            "drop or repair such rows"
        )
    if is_codes:
        return dataclasses.replace(column, kind=CODES)
    if is_amounts or not is_finite:
        return column
    return dataclasses.replace(column, kind=_guess(column))


def _check_names(column, is_codes, is_amounts) -> None:
    """Raise InputError for names that are said to be amounts, and for numbers as text."""
    if is_amounts:
        raise InputError(
            f"{column.name} holds text, such as {str(column.values[0])!r}, and is said to be "
            "amounts: give numbers"
        )
    if is_codes:
        return
    try:
        column.values.astype(float)
    except ValueError:
        return
    raise InputError(
        f"{column.name} holds numbers as text: give them as numbers, as by astype(float), or say "
        f"that they are codes: {says(column, CODES)}"
    )


def _guess(column) -> str:
    """Return what a column of finite numbers is."""
    count = column.count
    rows = len(column.values)
    if count < 2:
        return NUMBERS  # refused as constant
    if count == 2 or (count <= FEW and rows >= ROWS * count):
        return CODES
    if rows >= FEWEST_ROWS * count and column.is_whole:
        return EITHER
    return NUMBERS


def says(column: Column, kind: str, is_alone: bool = True) -> str:
    """Return how a caller says that a column, alone in its block or not, is codes, or numbers."""
    if column.name.split(" ")[0] == "y" and is_alone:
        return f"labels={kind == CODES}"
    return f"{'codes' if kind == CODES else 'amounts'}={column.word!r}"


def describe(column: Column) -> str:
    """Say how many values a column has, and of what sort."""
    sort = "whole numbers" if column.is_whole else "values"
    return f"{column.name}: {column.count} different {sort} in {len(column.values)} rows"


def join(columns: list[Column]) -> tuple[np.ndarray, list]:
    """Join columns of codes to one.

    Args:
        columns: one or more.

    Returns:
        codes: [N] whole numbers from 0.
        names: what each of them stands for.
    """
    index = np.zeros(len(columns[0].values), np.int64)
    for column in columns:
        values, of_column = np.unique(column.values, return_inverse=True)
        index = np.unique(index * len(values) + of_column, return_inverse=True)[1]
    first = np.unique(index, return_index=True)[1]
    names = []
    for row in first:
        name = tuple(column.values[row].item() for column in columns)
        names.append(name[0] if len(name) == 1 else name)
    return index, names


def indicators(columns: list[Column]) -> tuple[np.ndarray, float]:
    """Make the indicators of codes, all of a column but the first; rare ones are pooled.

    Args:
        columns: of codes.

    Returns:
        indicators: [N, k].
        loss: entropy of the codes given the pooled ones (nats), the most that was lost.

    Raises:
        InputError: each code of a column is rare.
    """
    parts = []
    loss = 0.0
    for column in columns:
        labels = pool(join([column])[0])
        if np.bincount(labels.pooled).min() < LEAST_EXAMPLES:
            raise InputError(
                f"{column.name} holds {column.count} different codes in {len(column.values)} rows, "
                f"none of them in {LEAST_EXAMPLES}: leave it out, or give coarser ones, or numbers "
                "(of dates the days since the first)"
            )
        parts.append(np.eye(labels.pooled.max() + 1)[labels.pooled][:, 1:])
        loss += labels.loss
    return np.concatenate(parts, axis=1), loss
