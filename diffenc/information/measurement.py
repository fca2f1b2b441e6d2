"""The result of an estimate: it prints itself with its error, and holds all that it is made of."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from diffenc.estimate import Estimate, format_value
from diffenc.information import clusters as clustering
from diffenc.information.assembly import Information
from diffenc.information.chain_rule import ChainRule
from diffenc.information.checks import LEAST_EXAMPLES
from diffenc.information.clusters import Clusters
from diffenc.information.count_table import CountTable, plug_in_entropy
from diffenc.information.divergence import Divergence
from diffenc.information.label_difference import LabelDifference
from diffenc.information.labels import Labels
from diffenc.information.one_block import Entropy
from diffenc.information.rows import Rows

NOTHING_DETECTED = "the networks detected nothing beyond the regression"
# Rows for each column, below which that says little.
ROWS_TO_LEARN = 100
EXCHANGED = (
    "x and y were exchanged internally; in the rows `conditional` and `marginal`, X means your y"
)
UNBOUNDED = (
    "information still grows at the finest resolution: infinite, or sharper than the samples show"
)
TIED = (
    "more than a tenth of the values of a column repeat others, as those of a density never do: if "
    "they are discrete rather than rounded, there is no such entropy, and the number means nothing"
)
POOLED = (
    f"labels of fewer than {LEAST_EXAMPLES} examples were taken together; what this may have lost "
    "is in the error"
)
FORMS = ("entropy_difference", "growth_difference", "score_difference", "gaussian", "neighbours")


@dataclass(frozen=True, eq=False, repr=False)
class Measurement:
    """An information or an entropy with its error, in nats, and all that it is made of.

    It prints itself as "1.234 +- 0.021 nats"; `report()` is the table of its parts.

    Attributes:
        quantity: what is estimated, such as "I(X;Y)".
        estimate: (mean, stderr). The error holds every source in `errors`.
        parts: what it is made of and its other forms, (mean, stderr) by name; docs/own-data.md
            says what each is. The error of a part is None where the part is exact.
        errors: standard errors by source: `examples` is sampling; `networks`, `regression` and
            `resolution` are systematic. Their squares add up to that of the estimate.
        notes: what a reader of the number should know beside it.
        details: the result of the library, with pointwise values and densities.
        rows: which rows were used, and which depend on each other.
    """

    quantity: str
    estimate: Estimate
    parts: dict[str, Estimate]
    errors: dict[str, float]
    notes: tuple[str, ...]
    details: Information | LabelDifference | Entropy | CountTable | ChainRule
    rows: Rows

    @property
    def mean(self) -> float:
        """The estimate in nats. It may be negative, see `mutual_information`."""
        return self.estimate.mean

    @property
    def stderr(self) -> float:
        """Its standard error in nats."""
        return self.estimate.stderr

    @property
    def bits(self) -> Estimate:
        """The estimate in bits, (mean, stderr)."""
        return Estimate(self.mean / math.log(2), self.stderr / math.log(2))

    def report(self) -> str:
        """Return a table of the estimate, its parts and its errors by source, and the notes."""
        rows = {self.quantity: self.estimate} | self.parts
        for source, error in self.errors.items():
            rows[f"error by {source}"] = Estimate(error, None)
        width = max(len(name) for name in rows)
        lines = [f"{name:{width}}  {_write(value)}" for name, value in rows.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __float__(self) -> float:
        return self.mean

    def __str__(self) -> str:
        text = f"{_write(self.estimate)} nats"
        return f"{text} ({UNBOUNDED})" if UNBOUNDED in self.notes else text

    __repr__ = __str__


def _write(value: Estimate) -> str:
    return format_value(value.mean, value.stderr, sign="+-")


def parts_of(result: Information) -> dict[str, Estimate]:
    """Return what an information is made of, and its other forms, (mean, stderr) by name.

    It is regression + conditional - marginal; `marginal` is absent where it needs no network.
    """
    parts = {"regression": result.regression}
    for name in ("conditional", "marginal"):
        if getattr(result, name) is not None:
            parts[name] = of_divergence(getattr(result, name), result.clusters)
    forms = {form: getattr(result, form) for form in FORMS}
    return parts | {form: value for form, value in forms.items() if value is not None}


def of_divergence(divergence: Divergence, clusters: Clusters | None = None) -> Estimate:
    """Return a divergence with its whole error."""
    sampling = clustering.estimate(divergence.pointwise, clusters).stderr
    return Estimate(divergence.mean, float(np.hypot(sampling, divergence.systematic)))


def of_table(quantity: str, result: CountTable, notes: tuple[str, ...], rows: Rows) -> Measurement:
    """Return the information of two blocks of codes.

    Args:
        quantity: what it is called.
        result: the estimate.
        notes: what to know beside the number.
        rows: of the samples.

    Returns:
        The information.
    """
    limit = min(plug_in_entropy(result.counts.sum(axis=axis)) for axis in (0, 1))
    parts = {
        "plug_in": Estimate(result.plug_in, None),
        "label_entropy": Estimate(limit, None),
    }
    notes = (*notes, *limits(result.estimate, limit))
    return Measurement(quantity, result.estimate, parts, result.errors, notes, result, rows)


def of_chain(quantity: str, result: ChainRule, notes: tuple[str, ...], rows: Rows) -> Measurement:
    """Return the information about codes of a block that holds codes beside numbers.

    Args:
        quantity: what it is called.
        result: the estimate.
        notes: what to know beside the number.
        rows: of the samples.

    Returns:
        The information.
    """
    limit = plug_in_entropy(result.table.counts.sum(axis=0))
    parts = {
        "I(codes of X;Y)": result.table.estimate,
        "I(numbers of X;Y and codes of X)": result.together.estimate,
        "I(numbers of X;codes of X)": result.alone.estimate,
    }
    measurement = Measurement(quantity, result.estimate, parts, result.errors, notes, result, rows)
    measurement = with_loss(measurement, result.loss)
    return dataclasses.replace(
        measurement,
        parts=measurement.parts | {"label_entropy": Estimate(limit, None)},
        notes=(*measurement.notes, *limits(measurement.estimate, limit)),
    )


def restore(measurement: Measurement, labels: Labels) -> Measurement:
    """Return an information of labels, with what pooling rare ones lost and with its limit.

    Args:
        measurement: of the pooled labels.
        labels: these.

    Returns:
        The information of the labels.
    """
    added = labels.restore(measurement.mean)
    measurement = with_loss(measurement, labels.loss, added)
    return dataclasses.replace(
        measurement,
        parts=measurement.parts | {"label_entropy": Estimate(labels.entropy, None)},
        notes=(*measurement.notes, *limits(measurement.estimate, labels.entropy)),
    )


def with_loss(measurement: Measurement, loss: float, added: float = 0.0) -> Measurement:
    """Return an information with what pooling rare codes may have lost in its error.

    Args:
        measurement: of the pooled codes.
        loss: the most that was lost (nats), 0 if none were pooled. Two errors reach over it.
        added: what is added to the estimate.

    Returns:
        The information.
    """
    if not loss:
        return measurement
    estimate = measurement.estimate
    stderr = float(np.hypot(estimate.stderr, loss / 2))
    return dataclasses.replace(
        measurement,
        estimate=Estimate(estimate.mean + added, stderr),
        parts=measurement.parts | {"pooled_labels": Estimate(added, loss / 2)},
        errors=measurement.errors | {"pooled labels": loss / 2},
        notes=(*measurement.notes, POOLED),
    )


def limits(estimate: Estimate, entropy: float) -> list[str]:
    """Say where an information of labels, or its error, leaves what is possible.

    Args:
        estimate: the information.
        entropy: of the labels.

    Returns:
        A sentence, or none.
    """
    if -estimate.stderr <= estimate.mean <= entropy - estimate.stderr:
        return []
    return [
        f"the information of labels lies between 0 and their entropy, {entropy:.4g}, and the "
        "estimate or its error reaches beyond"
    ]


def nothing_detected(rows: int, columns: int, systematic: float) -> str:
    """Say that networks detected nothing, and how much that says.

    Args:
        rows: examples.
        columns: of both blocks.
        systematic: the error of the estimate by the networks (nats).

    Returns:
        A sentence.
    """
    note = (
        f"{NOTHING_DETECTED}: {rows} rows of {columns} columns show what is smooth from about "
        f"{2 * systematic:.1g} nats on"
    )
    if rows < ROWS_TO_LEARN * columns:
        note += ", and so few do not show that there is nothing more"
    return note


def remarks_of_resolution(result: Information, names: list[list[str]]) -> list[str]:
    """Say where nearest neighbours contradicted an estimate, and what was done.

    Args:
        result: the information.
        names: of the columns of each block.

    Returns:
        Sentences.
    """

    def join(places):
        parts = zip(names, places, strict=True)
        return " and ".join(", ".join(block[place] for place in of) for block, of in parts)

    notes = []
    if result.columns is not None:
        notes.append(
            f"the estimate is that of {join(result.columns)} alone: all columns together show "
            "less, because there are too few rows for so many"
        )
    if result.is_by_neighbours:
        notes.append(
            "the relation is finer than the networks resolve: the estimate is that of nearest "
            f"neighbours of {join(result.nearest.columns)}, and its error holds what the second "
            "half of the rows has added"
        )
    elif result.unresolved:
        notes.append(
            f"nearest neighbours of {join(result.nearest.columns)} show more than the networks: "
            "the error holds the difference"
        )
    return notes


def remarks(
    nothing_detected: str = "",
    exchanged: bool = False,
    unbounded: bool = False,
    tied: bool = False,
) -> list[str]:
    """Return what the reader of an estimate should know beside the number.

    Args:
        nothing_detected: what to say where no network was trained to the end.
        exchanged: whether x and y were exchanged.
        unbounded: whether the information still grows at the finest noise.
        tied: whether the entropy is of samples of which many values are equal.

    Returns:
        Sentences.
    """
    notes = {
        nothing_detected: bool(nothing_detected),
        EXCHANGED: exchanged,
        UNBOUNDED: unbounded,
        TIED: tied,
    }
    return [note for note, holds in notes.items() if holds]
