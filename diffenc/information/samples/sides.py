"""A block with the kinds of its columns, decided where the columns alone do not tell."""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy.special import ndtr

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.samples import columns
from diffenc.information.samples.columns import CODES, EITHER, NUMBERS, Column, Words
from diffenc.information.samples.inputs import Block
from diffenc.keys import rng_of

# The regression on indicators has to tell more by so many of its standard errors.
ERRORS = 3.0
# Combinations of names are codes if they have so many rows each on average; rare ones are pooled.
LEAST_ROWS = 5
DEGREE = 12  # of the polynomials by which a smooth function of whole numbers is regressed
# Least part of a regressor, in its deviations, that is no linear function of those before it.
LEAST_REST = 1e-6


class Side(NamedTuple):
    """One block.

    Attributes:
        block: as the caller gave it.
        columns: its columns, none of which is EITHER.
    """

    block: Block
    columns: list[Column]

    @property
    def are_codes(self) -> bool:
        """Whether all columns are codes."""
        return all(column.kind == CODES for column in self.columns)

    @property
    def are_numbers(self) -> bool:
        """Whether no column is codes."""
        return all(column.kind == NUMBERS for column in self.columns)

    @property
    def must_be_codes(self) -> bool:
        """Whether there are codes of three or more values that are no numbers."""
        return any(
            column.kind == CODES and column.count > 2 and (column.are_names or column.is_declared)
            for column in self.columns
        )

    def of(self, kind: str) -> list[Column]:
        """Return the columns of a kind."""
        return [column for column in self.columns if column.kind == kind]

    def as_kind(self, kind: str) -> "Side":
        """Take all columns as one kind."""
        columns = [dataclasses.replace(column, kind=kind) for column in self.columns]
        return self._replace(columns=columns)


def read_side(block: Block, words: Words) -> Side:
    """Read the columns of a block; some may be EITHER until `settle`."""
    return Side(block, columns.read_columns(block, words))


def settle(x: Side, y: Side) -> tuple[Side, Side]:
    """Decide about columns that may be either, and about several columns of codes."""
    x = _settle_several(x)
    y = _settle_several(y)
    open_x = len(x.columns) == 1 and x.columns[0].kind == EITHER
    open_y = len(y.columns) == 1 and y.columns[0].kind == EITHER
    if open_x and open_y:
        cells = x.columns[0].count * y.columns[0].count
        kind = CODES if cells <= len(x.block.values) else NUMBERS
        return x.as_kind(kind), y.as_kind(kind)
    if open_y:
        return x, y.as_kind(CODES if _codes_tell_more(x, y.columns[0]) else NUMBERS)
    if open_x:
        return x.as_kind(CODES if _codes_tell_more(y, x.columns[0]) else NUMBERS), y
    return x, y


def _settle_several(side: Side) -> Side:
    """Take several columns of codes as numbers where there are too many combinations of them.

    Beside others, whole numbers that may be either are numbers.
    """
    if len(side.columns) == 1:
        return side
    settled = [
        dataclasses.replace(column, kind=NUMBERS) if column.kind == EITHER else column
        for column in side.columns
    ]
    side = side._replace(columns=settled)
    if not side.are_codes:
        return side
    codes, _ = columns.join(side.columns)
    count = codes.max() + 1
    if len(codes) >= (LEAST_ROWS if side.must_be_codes else columns.ROWS) * count:
        return side
    if side.must_be_codes:
        raise InputError(
            f"the codes of {side.block.name} have {count} combinations in {len(codes)} rows: "
            "leave columns out, or give more rows"
        )
    return side.as_kind(NUMBERS)


def _codes_tell_more(other: Side, column: Column) -> bool:
    """Return whether whole numbers tell more of the other block as codes than as amounts."""
    index, _ = columns.join([column])
    if other.are_codes:
        codes, _ = columns.join(other.columns)
        return (codes.max() + 1) * (index.max() + 1) <= len(index)
    if other.must_be_codes:
        return False
    x = table_of(other)
    if not _is_regular(x):
        return False  # `checks` refuses it
    as_codes = regression.linear(np.eye(index.max() + 1)[index][:, 1:])
    return _tells_more(x, as_codes, _smooth(column))


def _smooth(column: Column):
    """Return the features of a smooth function of a column: polynomials of its ranks."""
    score = gaussian.by_rank(column.values.astype(float)[:, None])[:, 0]
    degree = min(DEGREE, column.count // 2)
    return regression.linear(legvander(2 * ndtr(score) - 1, degree)[:, 1:])


def _tells_more(x, features, others) -> bool:
    """Return whether a regression of x [N, dim] on features tells significantly more than another.

    The scores of x are by rank, and of ties at random.
    """
    scores = gaussian.by_rank(x, rng_of(0, "ties", "diffused"))
    parts = []
    for one in (features, others):
        if not _is_regular(one.mean) or one.mean.shape[1] + x.shape[1] > len(x) / 4:
            return False
        if not _is_regular(np.concatenate([scores, one.mean], axis=1)):
            return False  # a function of it, which `checks` refuses
        parts.append(regression.information(scores, one))
    gain = Estimate.of(parts[0].pointwise - parts[1].pointwise)
    return parts[0].mean - parts[1].mean > ERRORS * gain.stderr


def _is_regular(table) -> bool:
    """Return whether the columns of an array [N, dim] are finite, and linearly independent."""
    if not np.isfinite(table).all() or len(table) < 4 * table.shape[1]:
        return False
    size = table.std(axis=0)
    if not np.all((size > 1e-100) & (size < 1e100)):
        return False
    white = (table - table.mean(axis=0)) / size
    rest = np.abs(np.diagonal(np.linalg.qr(white, mode="r"))) / len(white) ** 0.5
    return bool(rest.min() > LEAST_REST)


def is_mixed(side: Side, other: Side) -> bool:
    """Return whether the codes beside the numbers of a block are taken as codes."""
    if side.are_numbers or other.must_be_codes:
        return False
    if side.must_be_codes:
        return True
    x = table_of(other)
    table = table_of(side)
    if not (_is_regular(x) and _is_regular(table)):
        return False  # `checks` refuses it
    as_numbers = gaussian.by_rank(table, rng_of(0, "ties", "condition"))
    is_number = [column.kind == NUMBERS for column in side.columns]
    indicators, _ = columns.indicators(side.of(CODES))
    both = np.concatenate([as_numbers[:, is_number], indicators], axis=1)
    as_codes = regression.beside_codes(sum(is_number))(both).mean
    as_amounts = regression.polar(as_numbers).mean
    return _tells_more(x, regression.linear(as_codes), regression.linear(as_amounts))


def table_of(side: Side) -> np.ndarray:
    """Return the columns of a block as numbers; names of two values are 0 and 1."""
    arrays = []
    for column in side.columns:
        values = column.values
        if column.are_names:
            values = np.unique(values, return_inverse=True)[1]
        arrays.append(values.astype(float))
    return np.stack(arrays, axis=1)
