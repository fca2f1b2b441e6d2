"""The result of an estimate: it prints itself with its error, and holds all that it is made of."""

import dataclasses
import math
import numbers
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from diffenc.errors import InputError, check
from diffenc.estimate import Estimate, format_value
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.codes.count_table import CountTable, plug_in_entropy
from diffenc.information.codes.labels import Labels
from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.chain_rule import ChainRule
from diffenc.information.quantities.label_difference import LabelDifference
from diffenc.information.quantities.one_block import Entropy
from diffenc.information.results import independence, remarks
from diffenc.information.results.independence import Independence, Samples
from diffenc.information.samples import inputs
from diffenc.information.samples import rows as rows_of_samples
from diffenc.information.samples.rows import Rows
from diffenc.information.samples.steps import Steps
from diffenc.information.training.divergence import Divergence

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
        samples: the caller's own x and y of an I(X;Y), for `test`; else None.
        notes_of_parts: what a reader of the parts should know, in `report()` alone.
    """

    quantity: str
    estimate: Estimate
    parts: dict[str, Estimate]
    errors: dict[str, float]
    notes: tuple[str, ...]
    details: Information | LabelDifference | Entropy | CountTable | ChainRule
    rows: Rows
    samples: Samples | None = None
    notes_of_parts: tuple[str, ...] = ()

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

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of a normal law about the estimate, in nats.

        It is not cut at 0: an interval that reaches below says that there may be none.

        Args:
            level: the share of such intervals that hold the truth, below 1.

        Returns:
            The lower and the upper end.

        Raises:
            InputError: for a level that is no share.
        """
        is_share = isinstance(level, numbers.Real) and 0 < level < 1
        check(is_share, "level", level, "give a number between 0 and 1, such as 0.95")
        reach = float(ndtri(0.5 + level / 2)) * self.stderr
        return self.mean - reach, self.mean + reach

    def test(self, permutations: int = 499, seed: int = 0) -> Independence:
        """Test whether x and y are independent, by permuted pairs, see `independence`.

        It trains no network. Its answer holds for any law and number of rows, whatever the estimate
        and its error are.

        Args:
            permutations: number of them, 19 or more.
            seed: a whole number of 0 or more; another seed gives other permutations.

        Returns:
            The p-value, which prints itself.

        Raises:
            InputError: for another quantity than I(X;Y), and for too few permutations.
        """
        if self.samples is None:
            raise InputError(
                f"{self.quantity} has no test by permuted pairs, only I(X;Y) has: see whether "
                "interval() reaches 0"
            )
        return independence.permutation_test(self.samples, permutations, inputs.read_seed(seed))

    def report(self) -> str:
        """Return a table of the estimate, its parts and its errors by source, and the notes."""
        rows = {self.quantity: self.estimate} | self.parts
        for source, error in self.errors.items():
            rows[f"error by {source}"] = _without_error(error)
        width = max(len(name) for name in rows)
        lines = [f"{name:{width}}  {_write(value)}" for name, value in rows.items()]
        notes = (*self.notes, *self.notes_of_parts)
        return "\n".join([*lines, *(f"note: {note}" for note in notes)])

    def __float__(self) -> float:
        return self.mean

    def __str__(self) -> str:
        text = f"{_write(self.estimate)} nats"
        return f"{text} ({remarks.UNBOUNDED})" if remarks.UNBOUNDED in self.notes else text

    __repr__ = __str__


def _write(value: Estimate) -> str:
    return format_value(value.mean, value.stderr, sign="+-")


def _without_error(value: float) -> Estimate:
    """Return a part whose error nobody knows: its `stderr` is None."""
    return Estimate(value, None)  # type: ignore[arg-type]


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
        "plug_in": _without_error(result.plug_in),
        "label_entropy": _without_error(limit),
    }
    notes = (*notes, *remarks.limits(result.estimate, limit))
    return Measurement(quantity, result.estimate, parts, result.errors, notes, result, rows)


def of_conditional_table(
    result: CountTable, given: np.ndarray, notes: tuple[str, ...], rows: Rows
) -> Measurement:
    """Return I(X;Y|Z) of three blocks of codes.

    Args:
        result: the estimate.
        given: Z, whole numbers [N] from 0.
        notes: what to know beside the number.
        rows: of the samples.

    Returns:
        The information.
    """
    of_given = plug_in_entropy(np.bincount(given))
    limit = min(plug_in_entropy(counts) for counts in result.counts) - of_given
    parts = {
        "plug_in": _without_error(result.plug_in),
        "label_entropy": _without_error(limit),
    }
    notes = (*notes, *remarks.limits(result.estimate, limit))
    return Measurement("I(X;Y|Z)", result.estimate, parts, result.errors, notes, result, rows)


def of_steps(
    quantity: str,
    steps: Steps,
    of_x: list[str],
    of_y: list[str],
    notes: tuple[str, ...],
    rows: Rows,
) -> Measurement:
    """Return the information of a column of repeated values that the other block determines.

    Args:
        quantity: what it is called.
        steps: the column and its entropy.
        of_x: the columns of x.
        of_y: the columns of y.
        notes: how columns are taken.
        rows: of the samples.

    Returns:
        The information.
    """
    blocks = [of_x, of_y] if steps.of == "x" else [of_y, of_x]
    entropy = steps.entropy
    return Measurement(
        quantity=quantity,
        estimate=entropy.estimate,
        parts={"plug_in": _without_error(entropy.plug_in)},
        errors=entropy.errors,
        notes=(
            remarks.steps(blocks[1][0], blocks[0][steps.column], steps.num_values),
            *notes,
            *rows_of_samples.notes(rows.facts),
        ),
        details=entropy,
        rows=rows,
    )


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
        parts=measurement.parts | {"label_entropy": _without_error(limit)},
        notes=(*measurement.notes, *remarks.limits(measurement.estimate, limit)),
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
        parts=measurement.parts | {"label_entropy": _without_error(labels.entropy)},
        notes=(*measurement.notes, *remarks.limits(measurement.estimate, labels.entropy)),
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
    # Codes of a condition may have been pooled before labels are.
    before = measurement.parts.get("pooled_labels", Estimate(0.0, 0.0))
    pooled = Estimate(before.mean + added, float(np.hypot(before.stderr, loss / 2)))
    return dataclasses.replace(
        measurement,
        estimate=Estimate(estimate.mean + added, stderr),
        parts=measurement.parts | {"pooled_labels": pooled},
        errors=measurement.errors | {"pooled labels": pooled.stderr},
        notes=tuple(dict.fromkeys((*measurement.notes, remarks.POOLED))),
    )
