"""What is estimated of two blocks, by the kinds of their columns; x and y are treated alike.

| one block | the other | estimate |
|---|---|---|
| numbers | numbers | `measures.mutual_information` |
| codes | numbers | `measures.label_information` |
| codes | codes | `count_table.table_information` |
| codes beside numbers | numbers | `mixed.mixed_information`, or as numbers |
| codes beside numbers | codes | `chain_rule.chain_rule`, or as numbers and codes |

Whole numbers that may be either are codes if a regression of the other block on their indicators
tells significantly more than one on their amounts: then their order tells little. The same decides
whether codes beside numbers are taken as such. Where they are declared, or names, they are.
"""

from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError
from diffenc.information.samples import columns
from diffenc.information.samples.columns import CODES, NUMBERS, Words
from diffenc.information.samples.inputs import Block
from diffenc.information.samples.sides import Side, is_mixed, read_side, settle, table_of


class Kinds(NamedTuple):
    """What is estimated.

    Attributes:
        case: "numbers", "labels" (y is codes), "table" (both are), "mixed" (y holds codes beside
            numbers) or "chain" (y is codes, and x holds codes beside numbers).
        x: the block that is diffused: numbers, or in a table codes [N].
        y: the other block: numbers, or codes [N].
        indicators: [N, k] of the codes beside the numbers of y, or None.
        loss: the most that was lost because rare ones of these codes were pooled (nats).
        codes: [N] those beside the numbers of x in a "chain", joined.
        classes: what the codes of y stand for.
        is_exchanged: whether x is the caller's y.
        notes: how columns were taken, and how to say otherwise.
    """

    case: str
    x: Block
    y: Block
    indicators: np.ndarray | None = None
    loss: float = 0.0
    codes: np.ndarray | None = None
    classes: list | None = None
    is_exchanged: bool = False
    notes: tuple[str, ...] = ()


def decide(x: Block, y: Block, words: Words) -> Kinds:
    """Decide what is estimated of two blocks.

    Args:
        x: of equally many rows as y.
        y: a block.
        words: what the caller says of columns.

    Returns:
        What is estimated.

    Raises:
        InputError: the caller names no column, or asks for what is not estimated.
    """
    columns.check_words(words, x, y)
    for block in (x, y):
        _check_type(block)
    side_x, side_y = settle(read_side(x, words), read_side(y, words))
    notes = tuple(_notes(side_x) + _notes(side_y))
    if side_x.are_codes and side_y.are_codes:
        return _table(side_x, side_y)._replace(notes=notes)
    if side_y.are_codes:
        return _labels(side_x, side_y)._replace(notes=notes)
    if side_x.are_codes:
        return _labels(side_y, side_x)._replace(notes=notes, is_exchanged=True)
    if side_x.must_be_codes and side_y.must_be_codes:
        raise InputError(
            "x and y both hold codes of three or more values beside numbers: give one of them as "
            "numbers, as by one column of 0 and 1 for each code"
        )
    if is_mixed(side_y, side_x):
        return _mixed(side_x, side_y)._replace(notes=notes)
    if is_mixed(side_x, side_y):
        return _mixed(side_y, side_x)._replace(notes=notes, is_exchanged=True)
    return Kinds("numbers", _as_numbers(side_x), _as_numbers(side_y), notes=notes)


def decide_given(x: Block, y: Block, words: Words, are_codes_given: bool = False) -> Kinds:
    """Decide what is estimated of two blocks and a condition: "numbers", "labels" or "table".

    If both are codes, and the condition is not, x is taken as numbers.

    Args:
        x: of equally many rows as y.
        y: a block.
        words: what the caller says of columns, those of the condition among them.
        are_codes_given: whether the condition is codes.

    Returns:
        What is estimated.

    Raises:
        InputError: as `decide`, and for x and y that are both names of three or more values.
    """
    for block in (x, y):
        _check_type(block)
    side_x, side_y = settle(read_side(x, words), read_side(y, words))
    notes = tuple(_notes(side_x) + _notes(side_y))
    if side_x.are_codes and side_y.are_codes and are_codes_given:
        return _table(side_x, side_y)._replace(notes=notes)
    is_exchanged = side_x.are_codes and (not side_y.are_codes or side_x.must_be_codes)
    if is_exchanged:
        side_x, side_y = side_y, side_x
    if side_x.must_be_codes or (side_y.must_be_codes and not side_y.are_codes):
        raise InputError(
            "information given numbers is of numbers and of one block of codes, and x or y holds "
            "other codes: give these as numbers, as by one column of 0 and 1 for each, or codes as "
            "the condition"
        )
    if side_y.are_codes:
        return _labels(side_x, side_y)._replace(is_exchanged=is_exchanged, notes=notes)
    return Kinds("numbers", _as_numbers(side_x), _as_numbers(side_y), notes=notes)


def _check_type(block) -> None:
    """Raise InputError for what is neither numbers nor names of one or two axes."""
    values = block.values
    if values.ndim not in (1, 2) or not values.size or values.dtype.kind not in "biufUSO":
        raise InputError(
            f"{block.name} has type {values.dtype} and shape {values.shape}: "
            "give numbers [N] or [N, dim], or names of codes"
        )


def _as_numbers(side: Side) -> Block:
    """Return a block of which every column is taken as numbers."""
    if any(column.are_names for column in side.columns):
        return side.block._replace(values=table_of(side))
    return side.block


def _table(side_x: Side, side_y: Side) -> Kinds:
    """Make the case of two blocks of codes."""
    codes_x, _ = columns.join(side_x.columns)
    codes_y, classes = columns.join(side_y.columns)
    x = side_x.block._replace(values=codes_x)
    return Kinds("table", x, side_y.block._replace(values=codes_y), classes=classes)


def _labels(side: Side, labels: Side) -> Kinds:
    """Make the case of labels y and numbers x, with or without codes beside them."""
    index, classes = columns.join(labels.columns)
    of_labels = labels.block._replace(values=index)
    if not side.must_be_codes:
        return Kinds("labels", _as_numbers(side), of_labels, classes=classes)
    codes, _ = columns.join(side.of(CODES))
    return Kinds("chain", _numbers_of(side), of_labels, codes=codes, classes=classes)


def _mixed(side: Side, other: Side) -> Kinds:
    """Make the case of numbers x, and codes beside numbers in y."""
    indicators, loss = columns.indicators(other.of(CODES))
    return Kinds("mixed", _as_numbers(side), _numbers_of(other), indicators, loss)


def _numbers_of(side: Side) -> Block:
    """Return the columns of a block that are numbers."""
    numbers = side.of(NUMBERS)
    return side.block._replace(
        values=np.stack([column.values for column in numbers], axis=1).astype(float),
        columns=[column.name for column in numbers],
    )


def _notes(side: Side) -> list[str]:
    """Say what is not evident, and how to say otherwise."""
    evident = [column.is_declared or column.are_names for column in side.columns]
    open_columns = [
        column for column, is_evident in zip(side.columns, evident, strict=True) if not is_evident
    ]
    notes = []
    if len(side.columns) == 1 and side.are_codes:
        for column in open_columns:
            if column.count > 2:
                notes.append(
                    f"{columns.describe(column)} are taken as codes, whose order is not used; "
                    f"{columns.says(column, NUMBERS)} takes them as amounts"
                )
    whole = [column for column in open_columns if column.kind == NUMBERS and column.repeats]
    if whole:
        more = f" (as in {len(whole) - 1} more columns)" if len(whole) > 1 else ""
        notes.append(
            f"{columns.describe(whole[0])}{more} are taken as amounts; if they are codes, say "
            f"{columns.says(whole[0], CODES, len(side.columns) == 1)}"
        )
    for column in open_columns:
        if column.kind == NUMBERS and column.are_row_numbers:
            notes.append(
                f"{column.name} holds every whole number of a range once, as row numbers and ids "
                "do: leave it out if that is what it is"
            )
    return notes
