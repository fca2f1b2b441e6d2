"""The result of an estimate: it prints itself with its error, and holds all that it is made of."""

import math
import numbers
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from diffenc.errors import InputError, check
from diffenc.estimate import Estimate, format_value
from diffenc.information import independence, inputs
from diffenc.information.assembly import Information
from diffenc.information.divergence import Divergence
from diffenc.information.independence import Independence, Samples
from diffenc.information.label_difference import LabelDifference
from diffenc.information.measures import Entropy

NOTHING_DETECTED = "the denoisers found nothing beyond a Gaussian residual of the regression"
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
        samples: the caller's own x and y of an I(X;Y), for `test`; else None.
    """

    quantity: str
    estimate: Estimate
    parts: dict[str, Estimate]
    errors: dict[str, float]
    notes: tuple[str, ...]
    details: Information | LabelDifference | Entropy
    samples: Samples | None = None

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
    parts = {"regression": result.regression, "conditional": of_divergence(result.conditional)}
    if result.marginal is not None:
        parts["marginal"] = of_divergence(result.marginal)
    forms = {form: getattr(result, form) for form in FORMS}
    return parts | {form: value for form, value in forms.items() if value is not None}


def of_divergence(divergence: Divergence) -> Estimate:
    """Return a divergence with its whole error."""
    sampling = Estimate.of(divergence.pointwise).stderr
    return Estimate(divergence.mean, float(np.hypot(sampling, divergence.systematic)))


def entropy_of_labels(labels: np.ndarray) -> Estimate:
    """Return the entropy of labels, an upper limit of their information."""
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return Estimate(-float(np.sum(share * np.log(share))), None)


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
    nothing_detected: bool = False,
    exchanged: bool = False,
    unbounded: bool = False,
    copies: int = 0,
    tied: bool = False,
) -> list[str]:
    """Return what the reader of an estimate should know beside the number.

    Args:
        nothing_detected: whether no network was trained to the end.
        exchanged: whether x and y were exchanged.
        unbounded: whether the information still grows at the finest noise.
        copies: how many rows repeat another.
        tied: whether the entropy is of samples of which many values are equal.

    Returns:
        Sentences.
    """
    copied = (
        f"{copies} rows repeat another row: if they are copies, drop them, or the estimate is too "
        "high and its error too small"
    )
    notes = {
        NOTHING_DETECTED: nothing_detected,
        EXCHANGED: exchanged,
        UNBOUNDED: unbounded,
        copied: copies > 0,
        TIED: tied,
    }
    return [note for note, holds in notes.items() if holds]
