"""Whole estimates of clean sets: what is said beside them, and whether it is true.

Clean sets hold relations of a known information, so that a note can be true of them: `NOTES` says
what makes each false. The share of estimates whose error holds the truth is counted, too.
"""

from collections.abc import Callable
from typing import NamedTuple

from etils.epath import Path
from scipy.special import ndtr

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import estimates
from diffenc.information.results import remarks
from diffenc.keys import rng_of
from diffenc.run import records, tables
from diffenc.run.tables import Result
from experiments.benchmarks import clean_samples

ERRORS = 2  # standard errors, within which the truth should lie
REFUSED = "refused:"
MOST = 0.02  # share of false alarms that is aimed at


class Answer(NamedTuple):
    """The estimate of a clean set.

    Attributes:
        number: of the set.
        rows: how many.
        dim_x: columns of x.
        dim_y: columns of y.
        truth: the information (nats).
        mean: the estimate of it (nats), or None where the samples are refused.
        stderr: its standard error, likewise.
        entropy: of the labels, or None if y is not labels or the samples are refused.
        notes: what is said beside it.
    """

    number: int
    rows: int
    dim_x: int
    dim_y: int
    truth: float
    mean: float | None
    stderr: float | None
    entropy: float | None
    notes: list[str]

    @property
    def relation(self) -> str:
        """The name of its relation in `clean_samples.RELATIONS`."""
        return clean_samples.relation_of(_set_of(self.number))

    @property
    def is_missed(self) -> bool:
        """Whether the truth is further than two standard errors away, or there is no estimate."""
        return self.mean is None or not self.is_near(self.truth, self.mean)

    @property
    def is_warned(self) -> bool:
        """Whether a note says that so few rows do not show that there is nothing more."""
        return self.says(remarks.FEW_ROWS)

    def is_near(self, one: float, other: float) -> bool:
        """Return whether two informations differ by two standard errors of the estimate at most."""
        assert self.stderr is not None, "refused samples are compared with nothing"
        return abs(one - other) <= ERRORS * self.stderr

    def says(self, words: str) -> bool:
        """Return whether a note has these words."""
        return any(words in note for note in self.notes)


def _set_of(index: int) -> int:
    """Return which set of `clean_samples.draw` it is: only those of 1,000 rows at most are used."""
    return 5 * (index // 3) + index % 3


def answer_all(seed: int, count: int, workdir: Path, show: Callable[[int], None]) -> list[Answer]:
    """Estimate the information of clean sets, or read it of those that the workdir has already.

    Args:
        seed: of the run.
        count: of sets.
        workdir: its metrics.jsonl holds an answer a line.
        show: show(number of answers) is called after every set.

    Returns:
        The answers.
    """
    done = len(records.read_metrics(workdir))
    with records.MetricsWriter(workdir, resume_step=done) as writer:
        for index in range(done, count):
            writer.write(index + 1, **answer(seed, index)._asdict())
            show(index + 1)
    return [_read(line) for line in records.read_metrics(workdir)]


def _read(line: dict) -> Answer:
    whole = {name: int(line[name]) for name in ("number", "rows", "dim_x", "dim_y")}
    return Answer(**{name: line[name] for name in Answer._fields} | whole)


def answer(seed: int, index: int) -> Answer:
    """Estimate the information of a clean set of 1,000 rows at most.

    Every other y is three labels.

    Args:
        seed: of the run.
        index: of the set.

    Returns:
        The estimate with its truth.
    """
    rng = rng_of(seed, "estimate", index)
    x, y = clean_samples.draw(rng, _set_of(index))
    information = clean_samples.information
    has_labels = index % 2 == 1
    if has_labels:
        y = clean_samples.labels_of(y)
        information = clean_samples.information_of_labels
    truth = information(clean_samples.relation_of(_set_of(index)))
    facts = index, len(x), x.shape[1], y.size // len(y), truth
    try:
        result = estimates.mutual_information(x, y, seed=index, order="exchangeable")
    except InputError as error:
        return Answer(*facts, None, None, None, [f"{REFUSED} {error}"])
    entropy = result.parts["label_entropy"].mean if has_labels else None
    return Answer(*facts, *result.estimate, entropy, list(result.notes))


def _always(answer: Answer) -> bool:
    return True


def _of_nothing_or_missed(answer: Answer) -> bool:
    return answer.relation == "none" or answer.is_missed


def _of_nothing_more(answer: Answer) -> bool:
    if answer.mean is None or _of_nothing_or_missed(answer):
        return True
    return answer.truth <= answer.mean


def _missed(answer: Answer) -> bool:
    return answer.is_missed


def _far_from_the_limit(answer: Answer) -> bool:
    limit = 0.0 if answer.says(remarks.BELOW) else answer.entropy
    assert limit is not None, "labels have an entropy"
    return not answer.is_near(answer.truth, limit)


class Note(NamedTuple):
    """A note beside an estimate.

    Attributes:
        words: by which it is known.
        is_false: whether it is false of the estimate beside which it is said.
    """

    words: str
    is_false: Callable[[Answer], bool]


NOTES = {
    # Nothing is wrong with any set.
    "refused": Note(REFUSED, _always),
    # Every information here is finite, and 3.0 nats at most.
    "unbounded": Note(remarks.UNBOUNDED, _always),
    # False if the truth is more than two errors away from the limit that the estimate leaves.
    "beyond_limits": Note(remarks.LIMITS, _far_from_the_limit),
    # Both say that the networks saw less than there is and that the estimate is mended: false if
    # there is nothing, or if the estimate misses the truth.
    "columns_alone": Note("all columns together show less", _of_nothing_or_missed),
    "by_neighbours": Note("the estimate is that of nearest neighbours", _of_nothing_or_missed),
    # Says that there is more than the estimate, and that the error holds it: false also if there is
    # no more.
    "doubted": Note("the error holds the difference", _of_nothing_more),
    # False if the mean, of networks and of neighbours or a mixture, misses the truth.
    "weighed": Note("surer than the networks", _missed),
    # False if the estimate misses the truth.
    "by_laws": Note(remarks.KNOW_LESS, _missed),
    "by_noise": Note("by the entropy of this noise", _missed),
    # Columns of densities neither clump nor repeat, and have no steps.
    "blurred": Note("values clump or repeat", _always),
    "steps": Note("the information is the entropy of these values", _always),
    # Rows of densities do not recur, nor come in turns.
    "recurring_rows": Note(remarks.RECOGNIZED, _always),
    "turns": Note("subjects take turns", _always),
}


def false_notes(answer: Answer) -> list[str]:
    """Return the names of the notes that are said of a set and are false of it."""
    return [
        name for name, note in NOTES.items() if answer.says(note.words) and note.is_false(answer)
    ]


def summarize(answers: list[Answer]) -> list[Result]:
    """Count the notes, the false ones, and the estimates that miss; print which these are.

    Args:
        answers: of all sets.

    Returns:
        Shares of the sets.
    """
    results = []
    for name, note in NOTES.items():
        said = Estimate.of([one.says(note.words) for one in answers])
        false = Estimate.of([name in false_notes(one) for one in answers])
        results.append(Result(f"{name}.said", *said, "of sets"))
        results.append(Result(f"{name}.false_alarms", *false, "of sets", MOST))
    within = float(ndtr(ERRORS) - ndtr(-ERRORS))
    covered = [not one.is_missed for one in answers]
    missed = [one.is_missed and not one.is_warned for one in answers]
    warned = [one.is_missed and one.is_warned for one in answers]
    results += [
        Result("estimates.coverage", *Estimate.of(covered), "of sets", within),
        Result("estimates.misses", *Estimate.of(missed), "of sets"),
        Result("estimates.misses_warned", *Estimate.of(warned), "of sets"),
    ]
    for one in answers:
        if one.is_missed or false_notes(one):
            print(describe(one))
    return results


def describe(answer: Answer) -> str:
    """Say in one line what a set is, what was estimated, and what was said."""
    kind = "labels" if answer.number % 2 else "numbers"
    parts = [
        f"{answer.relation}, {kind}, {answer.rows} rows, {answer.dim_x} x {answer.dim_y}",
        f"{tables.format_value(answer.mean, answer.stderr)} of {answer.truth:.3f}",
    ]
    false = false_notes(answer)
    parts += [
        f"{name} ({'false' if name in false else 'true'})"
        for name, note in NOTES.items()
        if answer.says(note.words)
    ]
    if answer.is_missed:
        parts.append("missed, with a warning" if answer.is_warned else "missed without a warning")
    return f"set {answer.number}: {'; '.join(parts)}"
