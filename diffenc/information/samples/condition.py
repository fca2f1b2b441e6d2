"""The condition of a conditional information, by the kinds of its columns."""

from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError
from diffenc.information.samples import columns
from diffenc.information.samples.columns import CODES, ROWS, Column, Words
from diffenc.information.samples.inputs import Block


class Condition(NamedTuple):
    """What is given.

    Attributes:
        numbers: the columns that are numbers, [N, dim]; dim is 0 if all are codes.
        indicators: [N, k] of the columns that are codes; k is 0 if none is.
        codes: [N] all columns joined to one code, from 0; None if some are numbers.
        loss: the most that was lost because rare codes were pooled in the indicators (nats).
    """

    numbers: Block
    indicators: np.ndarray
    codes: np.ndarray | None
    loss: float

    @property
    def as_numbers(self) -> Block:
        """All columns as numbers: the codes by their indicators."""
        names = [f"a code of {self.numbers.name}"] * self.indicators.shape[1]
        values = np.concatenate([self.numbers.values, self.indicators], axis=1)
        return self.numbers._replace(values=values, columns=[*self.numbers.columns, *names])


def read_condition(block: Block, words: Words) -> Condition:
    """Read a condition.

    Names are codes, and so are columns of few values, as long as there are twenty rows for each of
    these. Whole numbers of more values are amounts unless the caller says otherwise.

    Args:
        block: as the caller gave it.
        words: what the caller says of columns.

    Returns:
        The condition; its numbers are not checked.

    Raises:
        InputError: a column of codes has one value, or is what `columns.read_columns` refuses.
    """
    if block.values.ndim not in (1, 2) or not block.values.size:
        raise InputError(f"{block.name} has shape {block.values.shape}: give rows and columns")
    every = columns.read_columns(block, words)
    for column, name in zip(every, block.columns, strict=True):
        if column.kind == CODES and column.count < 2:
            raise InputError(f"{name} is constant: leave it out, it tells nothing")
    codes = [column for column in every if column.kind == CODES]
    if sum(column.count for column in codes) * ROWS > len(block.values):
        codes = [column for column in codes if column.are_names or column.is_declared]
    are_codes = [any(column is one for one in codes) for column in every]
    indicators = np.zeros((len(block.values), 0))
    loss = 0.0
    if codes:
        indicators, loss = columns.indicators(codes)
    return Condition(
        numbers=_numbers_of(block, every, are_codes),
        indicators=indicators,
        codes=columns.join(codes)[0] if all(are_codes) else None,
        loss=loss,
    )


def _numbers_of(block: Block, every: list[Column], are_codes: list[bool]) -> Block:
    """Return the columns of a block that are numbers."""
    places = np.flatnonzero(~np.array(are_codes))
    values = np.zeros((len(block.values), 0))
    if places.size:
        values = np.stack([every[place].values for place in places], axis=1)
    return block._replace(values=values, columns=[block.columns[place] for place in places])
