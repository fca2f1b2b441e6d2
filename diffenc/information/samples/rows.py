"""The rows of a caller's samples: which are used, and which depend on each other.

Copies are found first (repeats.py), then rows that depend on their neighbours (series.py). What a
caller says of groups of rows stands in place of the second. All of them become `Clusters`.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from diffenc.errors import InputError
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.samples import repeats, series
from diffenc.information.samples.checks import LEAST_ROWS
from diffenc.keys import rng_of

ORDERS = (None, "exchangeable")
FACTS = (
    "rows",
    "repeated",
    "weighted",
    "grouped",
    "memory",
    "drift",
    "sorted",
    "period",
    "effective",
)


class Rows(NamedTuple):
    """Rows of samples.

    Attributes:
        used: [n] which of the caller's rows are used, in their order; None for all.
        first: [k] one of each set of equal rows; None for all.
        clusters: of the used rows, or None if they are independent.
        facts: numbers for `notes`, of the names in `FACTS`.
    """

    used: np.ndarray | None
    first: np.ndarray | None
    clusters: Clusters | None
    facts: dict[str, float]

    def select(self, values: np.ndarray) -> np.ndarray:
        """Return those of values, one for each of the caller's rows, of the rows that are used."""
        return values if self.used is None else values[self.used]

    def distinct(self, values: np.ndarray) -> np.ndarray:
        """Return those of values, one for each of the caller's rows, that hardly depend on others.

        They are some of the rows that are used and follow their law, see `clusters.some_rows`: for
        estimators that know no clusters.
        """
        used = self.select(values)
        if self.clusters is None:
            return used
        return used[clustering.some_rows(self.clusters, rng_of(0, "distinct rows"))]


def examine(
    blocks: list[np.ndarray], groups=None, order: str | None = None, by_column: bool = False
) -> Rows:
    """Find copies, groups, and rows that depend on their neighbours.

    What `checks` refuses, such as values that are not finite, is left to it.

    Args:
        blocks: [N] or [N, dim] of numbers or names.
        groups: [N] what rows belong together, see `clusters.read`; None for nothing.
        order: "exchangeable" if the order of the rows means nothing; None to find out.
        by_column: whether the blocks are the columns of one, see `series.examine`.

    Returns:
        The rows.

    Raises:
        InputError: for groups, an order or a series that have no estimate.
    """
    check_order(order)
    index = None if groups is None else clustering.read(groups, len(blocks[0]))
    tables = [table for table in map(_numbers, blocks) if table is not None]
    if groups is not None and len(blocks[0]) < LEAST_ROWS:
        raise InputError(
            f"{len(blocks[0])} rows are too few for groups: give {LEAST_ROWS} rows or more"
        )
    if len(tables) < len(blocks):
        return Rows(None, None, None, {})
    n = len(tables[0])
    facts: dict[str, float] = {}
    used = None
    clusters = None
    copies = repeats.find(*tables)
    if copies is not None:
        facts = {"repeated": copies.count, "rows": n}
        if len(copies.first) < LEAST_ROWS:
            raise InputError(
                f"{n} rows are {len(copies.first)} different ones written several times: an "
                f"estimate with an error needs {LEAST_ROWS} different rows or more"
            )
    if copies is not None and not copies.is_chosen:
        used = copies.first
        tables = [table[used] for table in tables]
        index = None if index is None else np.unique(index[used], return_inverse=True)[1]
    elif copies is not None:
        index = copies.index if index is None else _join(index, copies.index)
        facts["weighted"] = 1
        if groups is None and order is None:
            distinct = _one_of_each(copies.index)
            _refuse_series_of_copies([table[distinct] for table in tables])
    if index is not None:
        inflation = clustering.measure_inflation(_products(tables), index)
        clusters = Clusters(index, inflation)
        facts |= {} if groups is None else {"grouped": 1}
    elif order is None:
        order_found = series.examine(*tables, by_column=by_column)
        clusters = order_found.clusters
        facts |= {"memory": order_found.memory} if clusters is not None else {}
        if order_found.has_drift:
            facts |= {"sorted" if order_found.is_sorted else "drift": 1}
        if order_found.period:
            facts |= {"period": order_found.period}
    if clusters is not None:
        effective = len(tables[0]) / clusters.inflation
        facts["effective"] = effective
        facts["rows"] = n
        _check_number(sum(table.shape[1] for table in tables), len(tables[0]), effective)
    return Rows(used, None if copies is None else copies.first, clusters, facts)


def _one_of_each(index) -> np.ndarray:
    """Return a random row of each set of copies, in the order of the rows.

    In a shuffled file the first copy of a row that was written often stands early, so that first
    copies would drift along the rows.
    """
    order = rng_of(0, "one of each set of copies").permutation(len(index))
    return np.sort(order[np.unique(index[order], return_index=True)[1]])


def _refuse_series_of_copies(distinct) -> None:
    """Raise InputError if rows depend on their neighbours, of which some were written more often.

    Blocks of rows and sets of copies cannot both be kept whole.
    """
    if series.examine(*distinct).clusters is not None:
        raise InputError(
            "rows depend on their neighbours, and how often a row was written depends on its "
            "values: give every row once, in the order of the series; if the rows are independent "
            "examples that were sorted, say order='exchangeable'"
        )


def check_order(order: str | None) -> None:
    """Raise InputError for what is no order of rows."""
    if order not in ORDERS:
        raise InputError(f"order is {order!r}: give 'exchangeable', or None to find out")


def _numbers(block) -> np.ndarray | None:
    """Return a block as float64 [N, dim], names as numbers; None if `checks` will refuse it.

    Columns that are constant tell nothing, and are left out.
    """
    if block.ndim not in (1, 2) or len(block) < LEAST_ROWS or not block.size:
        return None
    block = block.reshape(len(block), -1)
    if block.dtype.kind == "O":  # a table of names beside numbers
        block = np.stack([_number(column) for column in block.T], axis=1)
    if block.dtype.kind in "US":
        block = np.unique(block, return_inverse=True)[1].reshape(block.shape)
    if block.dtype.kind not in "biuf":
        return None
    block = block.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        block = block[:, np.ptp(block, axis=0) != 0]
        size = block.std(axis=0)
    return block if size.size and np.all((size > 1e-100) & (size < 1e100)) else None


def _number(column) -> np.ndarray:
    """Return a column of objects as numbers: the place of every name, or the numbers it holds."""
    if any(isinstance(value, str) for value in column):
        return np.unique(column.astype(str), return_inverse=True)[1]
    return column.astype(float)


def _join(index, other) -> np.ndarray:
    """Number the sets of rows that are connected by one of two clusterings."""
    shape = (index.max() + 1, other.max() + 1)
    graph = coo_array((np.ones(len(index)), (index, shape[0] + other)), shape=(sum(shape),) * 2)
    return np.unique(connected_components(graph, directed=False)[1][index], return_inverse=True)[1]


def _products(tables) -> list[np.ndarray]:
    """Return the blocks whose products have the errors of a regression, see `measure_inflation`."""
    first, *others = [gaussian.by_rank(table) for table in tables]
    first = first / first.std(axis=0)
    if not others:
        return [first]
    other = np.concatenate(others, axis=1)[:, : clustering.MOST_COLUMNS]
    other = other / other.std(axis=0)
    return [first - other @ np.linalg.lstsq(other, first)[0], other]


def _check_number(columns, n, effective) -> None:
    """Raise InputError unless there are more than four effective rows for each column."""
    if columns >= effective / 4:
        raise InputError(
            f"{columns} columns are too many for {n} rows that depend on each other and count as "
            f"{effective:.0f} independent ones: give fewer, or more than four such rows a column"
        )


def notes(facts: dict[str, float]) -> list[str]:
    """Return what a reader of an estimate should know about its rows."""
    lines = []
    if facts.get("repeated"):
        of_all = f"{facts['repeated']:.0f} of {facts['rows']:.0f} rows repeat others"
        if facts.get("weighted"):
            lines.append(
                f"{of_all}, and which do depends on their values: copies count as one example of "
                f"more weight, all rows as {facts['effective']:.0f} independent ones; for the law "
                "of the distinct rows, drop the copies"
            )
        else:
            lines.append(f"{of_all} and were left out: each distinct row is used once")
    if facts.get("grouped"):
        lines.append(
            f"groups are divided whole: the rows count as {facts['effective']:.0f} independent ones"
        )
    if facts.get("memory"):
        lines.append(
            f"rows depend on their neighbours, over about {facts['memory']:.0f} rows: halves and "
            f"errors are by blocks of rows, which count as {facts['effective']:.0f} independent "
            "ones; if they are independent examples that were sorted, say order='exchangeable'"
        )
    if facts.get("drift"):
        lines.append(
            "the blocks drift along the rows, though neighbours are independent: rows are taken "
            "for sorted examples; in a series, a drift that blocks share counts as information"
        )
    if facts.get("sorted"):
        lines.append(
            "rows are sorted by a column, and resemble their neighbours beyond what it tells: they "
            "are taken for independent examples, and the error may be too small; if they are, say "
            "order='exchangeable', else give groups=..., such as stretches of rows"
        )
    if facts.get("period"):
        lines.append(
            f"rows resemble those {facts['period']:.0f} rows before: if subjects take turns or a "
            "grid is written row by row, the error is too small unless you say groups=..., such "
            "as the subject or squares of the grid; a cycle that blocks share counts as "
            "information"
        )
    return lines
