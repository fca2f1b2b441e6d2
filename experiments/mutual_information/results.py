"""Results of experiments.mutual_information: what is reported of the metrics of every task."""

import math
from typing import NamedTuple

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information.results import measurement, remarks
from diffenc.run.advance import dotted
from diffenc.run.tables import Result
from experiments.mutual_information.samples import name_fields

FORMS = ("diffusion", *measurement.FORMS)
PARTS = ("conditional", "marginal")
ORACLE = "oracle"  # the mean of the exact pointwise information of the samples
OWN = "data"  # the name of a user's samples, beside those of tasks


class Record(NamedTuple):
    """The metrics of one task.

    Attributes:
        name: of the task.
        line: a line of metrics.jsonl, in which every name begins with that of the task.
    """

    name: str
    line: dict

    def get(self, *names):
        """Return what is known of this task by its name or by the parts of it, or None."""
        return self.line.get(dotted((self.name, *names)))


def notes(record: Record) -> list[str]:
    """Return what the reader of a result should know beside the number."""
    sentences = [name_fields(note) for note in record.get("notes") or ()]
    return [note for note in sentences if record.name == OWN or note != remarks.EXCHANGED]


def summarize(records: list[Record], rivals: tuple[str, ...]) -> list[Result]:
    """Collect the results of all tasks, and the errors of every estimator over known tasks."""
    estimators = (*FORMS, ORACLE, *rivals)
    results = []
    for record in records:
        results += results_of(record, estimators)
    known = [record for record in records if record.get("truth") is not None]
    if len(known) < 2:
        return results
    for estimator in estimators:
        prefix = "benchmark" if estimator == "diffusion" else f"benchmark.{estimator}"
        results += scores(prefix, estimator, known)
    seconds = Estimate.of([record.get("seconds") for record in known])
    results.append(Result("benchmark.seconds", *seconds, "s a task"))
    return results


def results_of(record: Record, estimators: tuple[str, ...]) -> list[Result]:
    """Collect the results of one task, by the names of docs/results.md."""
    name = record.name
    truth = record.get("truth")
    # Of known tasks the number is shown even if it is unbounded, because it is scored.
    is_endless = record.get("unbounded") and truth is None
    results = []
    for estimator in estimators:
        if record.get(estimator) is None:
            continue
        value = record.get(estimator)
        stderr = record.get(estimator, "stderr")
        if is_endless and estimator in FORMS[:4]:
            value = stderr = math.nan
        is_headline = (name, estimator) == (OWN, "diffusion")
        label = "mutual_information" if is_headline else estimator
        results.append(Result(f"{name}.{label}", value, stderr, truth=truth))
    has_parts = record.get("regression") is not None and not record.get("unbounded")
    if name == OWN and has_parts:  # what the estimate is made of
        regression = record.get("regression")
        results.append(Result(f"{name}.regression", regression, record.get("regression", "stderr")))
        for part in PARTS:
            if record.get(part, "mean") is not None:
                stderr = record.get(part, "stderr")
                results.append(Result(f"{name}.{part}", record.get(part, "mean"), stderr))
    if record.get("plug_in") is not None:
        results.append(Result(f"{name}.plug_in", record.get("plug_in"), None))
    if record.get("pooled_labels") is not None:
        pooled = Estimate(record.get("pooled_labels"), record.get("pooled_labels", "stderr"))
        results.append(Result(f"{name}.pooled_labels", *pooled))
    if record.get("label_entropy") is not None:
        results.append(Result(f"{name}.label_entropy", record.get("label_entropy"), None))
    for title, fact in (("repeated_rows", "repeated"), ("effective_rows", "effective")):
        if record.get("rows", fact) is not None:
            results.append(Result(f"{name}.{title}", record.get("rows", fact), None, "rows"))
    if record.get("p_value") is not None:
        results.append(Result(f"{name}.p_value", record.get("p_value"), None, "of 1"))
    results.append(Result(f"{name}.seconds", record.get("seconds"), None, "s"))
    return results


def scores(prefix: str, estimator: str, known: list[Record]) -> list[Result]:
    """Score an estimator over tasks whose information is known.

    Args:
        prefix: of the names of the results.
        estimator: its name.
        known: metrics of these tasks.

    Returns:
        Mean absolute error, mean error, share of tasks within 0.1 nats, and share of truths within
        two standard errors.
    """
    scored = [record for record in known if record.get(estimator) is not None]
    if len(scored) < 2:
        return []
    of_tasks = "" if len(scored) == len(known) else f", of {len(scored)} tasks"
    error = np.array([record.get(estimator) - record.get("truth") for record in scored])
    stderr = np.array([record.get(estimator, "stderr") for record in scored])

    def result(name, values, unit):
        return Result(f"{prefix}.{name}", *Estimate.of(values), unit + of_tasks)

    return [
        result("mean_absolute_error", np.abs(error), "nats"),
        result("mean_error", error, "nats"),
        result("within_0.1", np.abs(error) <= 0.1, "of tasks"),
        result("coverage_2se", np.abs(error) <= 2 * stderr, "of tasks"),
    ]
