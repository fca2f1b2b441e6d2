"""Information and entropy of a caller's samples: what `import diffenc` and the command line ask.

Samples are arrays, lists, or tables of pandas. The theory is in measures.py.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from diffenc import compilation
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import checks, inputs, measures
from diffenc.information.assembly import Information
from diffenc.information.gaussian import has_ties
from diffenc.information.independence import Samples
from diffenc.information.inputs import Block, Progress
from diffenc.information.label_difference import conditional_label_information
from diffenc.information.measurement import (
    Measurement,
    entropy_of_labels,
    of_divergence,
    parts_of,
    remarks,
    remarks_of_resolution,
)
from diffenc.information.settings import Settings
from diffenc.keys import key_of


def mutual_information(
    x,
    y,
    given=None,
    labels: bool | None = None,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    name: str = "data",
) -> Measurement:
    """Estimate the mutual information I(X;Y) of samples, or I(X;Y|Z) of samples and `given`.

    Row i of x belongs to row i of y. 100 rows or more are needed, and more than four for each
    column.

    An estimate may be negative, and is returned as it is: known biases are subtracted, so that the
    estimates of many independent pairs scatter about 0, some of them below it. Cut at 0, their mean
    would be too high. A negative estimate says that no information was detected; what there may be
    is below about twice the error.

    Args:
        x: [N] or [N, dim]: an array, a list, or a DataFrame or Series of pandas.
        y: as x. Class labels are one column of integers, truth values or, with labels=True, names.
        given: as x, the condition Z; None for none.
        labels: whether y is class labels. With None it is if it is one column of few distinct
            integers; whole numbers stored as floats are then refused as ambiguous.
        seed: a whole number of 0 or more. Another seed gives other halves and other networks; the
            same one gives the same digits on the same machine.
        progress: None for silence, True for lines on stderr, or a function that is called with
            (stage, updates, nats) after every round of training.
        settings: of the estimator: a `Settings`, or its sections as a mapping, as in
            {"flow": {"rounds": 0}}.
        name: of the pair. Pairs with other names have other random numbers at the same seed.

    Returns:
        The information.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    if given is not None:
        return conditional_information(x, y, given, labels, seed, progress, settings, name=name)
    x = inputs.read("x", x)
    y = inputs.read("y", y, may_be_names=labels is True)
    key = key_of(inputs.read_seed(seed), "estimate", name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    inputs.check_rows(x, y)
    y, classes, are_labels = _read_labels(y, labels)
    with inputs.naming({"x": [x], "y": [y]}, classes), compilation.cache():
        if are_labels:
            result = measures.label_information(key, x.values, y.values, settings, show)
        else:
            result = measures.mutual_information(key, x.values, y.values, settings, show)
    label_entropy = entropy_of_labels(y.values) if are_labels else None
    measurement = _of_information("I(X;Y)", result, (x, y), label_entropy)
    samples = Samples(x.values, y.values, y_are_codes=are_labels)
    return dataclasses.replace(measurement, samples=samples)


def conditional_information(
    x,
    y,
    given,
    labels: bool | None = None,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    name: str = "data",
) -> Measurement:
    """Estimate the conditional mutual information I(X;Y|Z) of samples, where Z is `given`.

    It is what y tells about x beyond what `given` tells. Of labels it is I((X,Z);Y) - I(Z;Y).

    Args:
        x: [N] or [N, dim], see `mutual_information`.
        y: as x, or class labels.
        given: as x. It is taken as numbers; a condition of a few values is, too.
        labels: whether y is class labels, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The information; negative estimates are explained in `mutual_information`.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x = inputs.read("x", x)
    y = inputs.read("y", y, may_be_names=labels is True)
    z = inputs.read("given", given)
    key = key_of(inputs.read_seed(seed), "conditional estimate", name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    inputs.check_rows(x, y, z)
    y, classes, are_labels = _read_labels(y, labels)
    if not are_labels:
        names = {"x": [x], "y": [y], "z": [z], "y, z": [y, z]}
        with inputs.naming(names), compilation.cache():
            result = measures.conditional_information(
                key, x.values, y.values, z.values, settings, show
            )
        return _of_information("I(X;Y|Z)", result, (x, y, z))
    with inputs.naming({"x": [x, z], "z": [z]}, classes), compilation.cache():
        result = conditional_label_information(key, x.values, y.values, z.values, settings, show)
    errors = {
        source: math.hypot(error, result.alone.errors[source])
        for source, error in result.together.errors.items()
    }
    difference = result.together.pointwise - result.alone.pointwise
    errors["examples"] = Estimate.of(difference).stderr  # those of both are correlated
    return Measurement(
        quantity="I(X;Y|Z)",
        estimate=result.estimate,
        parts={
            "I(X,Z;Y)": result.together.estimate,
            "I(Z;Y)": result.alone.estimate,
            "label_entropy": entropy_of_labels(y.values),
        },
        errors=errors,
        notes=tuple(remarks(copies=_count_copies(x, y, z))),
        details=result,
    )


def total_correlation(
    x,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    name: str = "data",
) -> Measurement:
    """Estimate the total correlation KL(p(x) || prod_i p(x_i)) between the columns of samples.

    Args:
        x: [N, dim] with two columns or more, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The total correlation; negative estimates are explained in `mutual_information`.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x = inputs.read("x", x)
    key = key_of(inputs.read_seed(seed), "total correlation", name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    with inputs.naming({"x": [x]}), compilation.cache():
        result = measures.total_correlation(key, x.values, settings, show)
    return _of_information("TC(X)", result, (x,))


def entropy(
    x,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    name: str = "data",
) -> Measurement:
    """Estimate the differential entropy h(X) = -E log p(x) of samples with a density.

    It changes with the unit of x, by log c for each column that is multiplied by c. It is negative
    where log p(x) is positive on average. Discrete samples have none (it would be -infinity): where
    many values are equal, a note says so.

    Args:
        x: [N] or [N, dim] of finite variance, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The entropy.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x = inputs.read("x", x)
    key = key_of(inputs.read_seed(seed), "entropy", name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    with inputs.naming({"x": [x]}), compilation.cache():
        result = measures.entropy(key, x.values, settings, show)
    return Measurement(
        quantity="h(X)",
        estimate=result.estimate,
        parts={"gaussian": result.gaussian, "divergence": of_divergence(result.marginal)},
        errors={
            "examples": Estimate.of(result.pointwise).stderr,
            "networks": result.marginal.systematic,
        },
        notes=tuple(remarks(copies=_count_copies(x), tied=_has_ties(x))),
        details=result,
    )


def _has_ties(x: Block) -> bool:
    return bool(has_ties(x.values.reshape(len(x.values), -1)).any())


def _of_information(quantity, result: Information, blocks, label_entropy=None) -> Measurement:
    parts = parts_of(result)
    if label_entropy is not None:
        parts["label_entropy"] = label_entropy
    divergences = [one for one in (result.conditional, result.marginal) if one is not None]
    notes = remarks(
        nothing_detected=not (result.is_by_neighbours or any(one.updates for one in divergences)),
        exchanged=result.diffused == "y",
        unbounded=result.unbounded,
        copies=_count_copies(*blocks),
    )
    notes += remarks_of_resolution(result, [block.columns for block in blocks])
    return Measurement(
        quantity=quantity,
        estimate=result.estimate,
        parts=parts,
        errors=result.errors,
        notes=tuple(notes),
        details=result,
    )


def _count_copies(*blocks: Block) -> int:
    return checks.count_copies(*(block.values for block in blocks))


def _read_labels(y: Block, labels) -> tuple[Block, np.ndarray | None, bool]:
    """Return y as integers [N] if it is labels, the names of these if it has names, and whether."""
    if not (labels is None or isinstance(labels, bool)):
        raise InputError(f"labels is a {type(labels).__name__}: give None, True or False")
    if not checks.are_labels(y.values, labels):
        return y, None, False
    values = y.values.reshape(len(y.values))
    if values.dtype.kind in "US":
        names, codes = np.unique(values, return_inverse=True)
        return y._replace(values=codes), names, True
    return y._replace(values=values.astype(np.int64)), None, True
