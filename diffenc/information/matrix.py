"""The mutual information of all pairs of columns: an estimate for each, a table and a heat map."""

import functools
import itertools
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import format_value
from diffenc.information import clusters, estimates
from diffenc.information.results.remarks import NOTHING_DETECTED
from diffenc.information.samples import checks, inputs, rows
from diffenc.information.samples.columns import read_words
from diffenc.information.samples.inputs import Progress
from diffenc.information.settings import Settings

# Columns of which at most the cells of a heat map hold their values.
MOST_WRITTEN = 16


@dataclass(frozen=True, eq=False, repr=False)
class InformationMatrix:
    """The mutual information of all pairs of d columns, in nats.

    It prints itself as a table.

    Attributes:
        names: of the columns.
        mean: estimates [d, d], symmetric. The diagonal is NaN, as is a pair that has no estimate.
        stderr: their standard errors [d, d].
        notes: what to know beside the numbers, each beginning with its pairs of columns.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    stderr: np.ndarray
    notes: tuple[str, ...]

    def __str__(self) -> str:
        table = [["nats", *self.names]]
        for i, name in enumerate(self.names):
            table.append([name, *(self._write(i, j) for j in range(len(self.names)))])
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        lines = []
        for row in table:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _write(self, i, j, sign="+-") -> str:
        if i == j:
            return ""
        if not math.isfinite(self.mean[i, j]):
            return "-"
        return format_value(self.mean[i, j], self.stderr[i, j], sign=sign)

    def plot(self, place):
        """Draw a heat map with the estimates and their errors in its cells.

        Args:
            place: the path of a file to write, such as "pairs.png", or axes of matplotlib.

        Returns:
            The axes.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        if not isinstance(place, str | os.PathLike):
            self._draw(place)
            return place
        side = 1.6 + 0.75 * len(self.names)
        figure = Figure(figsize=(side + 1.2, side), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        self._draw(axes)
        figure.savefig(place, dpi=150)
        return axes

    def _draw(self, axes) -> None:
        count = len(self.names)
        shown = np.ma.masked_invalid(np.maximum(self.mean, 0.0))
        most = float(shown.max()) if shown.count() else 1.0
        image = axes.imshow(shown, cmap="viridis", vmin=0.0, vmax=most or 1.0)
        axes.set_xticks(range(count), self.names, rotation=45, ha="right")
        axes.set_yticks(range(count), self.names)
        axes.grid(False)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("mutual information [nats]")
        if count > MOST_WRITTEN:
            return
        for i, j in itertools.permutations(range(count), 2):
            text = self._write(i, j, sign="±").replace(" ± ", "\n± ")
            is_light = shown[i, j] is not np.ma.masked and shown[i, j] > 0.6 * most
            color = "black" if is_light or shown[i, j] is np.ma.masked else "white"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=color)


def mutual_information_matrix(
    columns,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    codes: str | Sequence[str] = (),
    amounts: str | Sequence[str] = (),
    groups=None,
    order: str | None = None,
) -> InformationMatrix:
    """Estimate the mutual information of all pairs of columns.

    Each is that of `mutual_information` with the name "a.b" of columns a and b, in their order. All
    pairs have the same shape, so that programs are compiled once. Of d columns there are
    d (d - 1) / 2 pairs. Some are far from 0 by chance: of a hundred independent pairs five are
    beyond two errors.

    Args:
        columns: [N, d] with two columns or more: an array, or a DataFrame of pandas, whose names
            are taken. Numbers and codes are told apart as in `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None for silence, True for lines on stderr, or a function that is called with
            (stage, updates, nats) after every round of training; a stage begins with its pair.
        settings: of the estimator, see `mutual_information`.
        codes: the name of a column whose values are codes, or several; x0, x1, ... of an array.
        amounts: likewise of columns that are numbers, though they have few values.
        groups: one value for each row, see `mutual_information`.
        order: see `mutual_information`.

    Returns:
        The matrix. A pair that has no estimate, as where one column is a function of the other, is
        NaN, and a note says why.

    Raises:
        InputError: for a column that has no estimate with any other, and for groups or an order
            that no pair can have.
    """
    names, parts = split_columns(columns)
    words = read_words(None, codes, amounts)
    check_names(words.codes | words.amounts, names)
    check_rows_of_all(parts[0], groups, order)
    seed = inputs.read_seed(seed)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    mean = np.full((len(names), len(names)), np.nan)
    stderr = mean.copy()
    notes_of_pairs: dict[str, Sequence[str]] = {}
    pairs = list(itertools.combinations(range(len(names)), 2))
    for done, (i, j) in enumerate(pairs, start=1):
        label = f"{names[i]}, {names[j]}"
        tell = functools.partial(_tell, show, f"{label} ({done} of {len(pairs)})")
        name = f"{names[i]}.{names[j]}"
        try:
            result = estimates.mutual_information(
                parts[i],
                parts[j],
                seed=seed,
                progress=tell,
                settings=settings,
                codes=words_of_pair(words.codes, names[i], names[j]),
                amounts=words_of_pair(words.amounts, names[i], names[j]),
                groups=groups,
                order=order,
                name=name,
            )
        except InputError as error:
            notes_of_pairs[label] = [f"no estimate, since {error}"]
            continue
        mean[i, j] = mean[j, i] = result.mean
        stderr[i, j] = stderr[j, i] = result.stderr
        notes_of_pairs[label] = result.notes
    return InformationMatrix(names, mean, stderr, join_notes(notes_of_pairs))


def join_notes(notes_of_pairs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Write every note once, after the pairs of columns that it is of.

    Args:
        notes_of_pairs: notes by the words for a pair. That networks detected nothing is left out.

    Returns:
        Sentences.
    """
    pairs_of_notes: dict[str, list[str]] = {}
    for label, notes in notes_of_pairs.items():
        for note in notes:
            if not note.startswith(NOTHING_DETECTED):
                pairs_of_notes.setdefault(note, []).append(label)
    return tuple(f"{'; '.join(labels)}: {note}" for note, labels in pairs_of_notes.items())


def check_names(words: Collection[str], names: tuple[str, ...]) -> None:
    """Raise InputError unless words of `codes` and `amounts` are names of columns."""
    for word in sorted(words):
        if word not in names:
            raise InputError(
                f"codes or amounts name {word!r}, which is no column: give one of "
                f"{', '.join(names)}"
            )


def check_rows_of_all(column, groups, order: str | None) -> None:
    """Raise InputError for groups or an order that no pair of columns can have.

    Args:
        column: [N] one of the columns.
        groups: of the caller.
        order: of the caller.
    """
    rows.check_order(order)
    if groups is not None:
        block = inputs.read("columns", column, may_be_names=True)
        clusters.read(inputs.read_groups(groups, block), len(block.values))


def words_of_pair(words: Collection[str], first: str, second: str) -> tuple[str, ...]:
    """Return the words for x and y of a pair of columns of these names, if they are among these.

    They are "x[0]" and "y[0]", since a column may be called x or y itself.
    """
    return tuple(block for block, name in (("x[0]", first), ("y[0]", second)) if name in words)


def _tell(show, head, stage, updates, value) -> None:
    show(f"{head}: {stage}", updates, value)


def split_columns(columns) -> tuple[tuple[str, ...], list]:
    """Return the columns of an array or a table one by one, with their names.

    Args:
        columns: [N, d], an array or a DataFrame of pandas.

    Returns:
        names: those of the table, or x0, x1, ... of an array.
        parts: arrays [N] or Series of pandas, of the caller's own values.

    Raises:
        InputError: for fewer than two columns, for names that are not different, and for numbers
            that have no information with anything.
    """
    is_table = hasattr(columns, "iloc")
    table: Any = columns if is_table else inputs.as_array("columns", columns)
    if not is_table:
        inputs.check_not_transposed("columns", table)
    if table.ndim != 2 or table.shape[1] < 2:
        raise InputError(
            f"columns has shape {list(table.shape)}: give rows of two columns or more, [N, d]"
        )
    count = table.shape[1]
    if is_table:
        names = tuple(str(label) for label in table.columns)
        parts = [table.iloc[:, place] for place in range(count)]
    else:
        names = tuple(f"x{place}" for place in range(count))
        parts = list(table.T)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"columns has two columns {twice[0]!r}: give each a name of its own")
    for name, part in zip(names, parts, strict=True):
        block = inputs.read("column", part, may_be_names=True)
        if block.values.dtype.kind in "biuf":
            with inputs.naming({"x": [block._replace(columns=[f"column {name}"])]}):
                checks.check(block.values)
    return names, parts
