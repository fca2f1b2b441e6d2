"""What is measured of one task of experiments.mutual_information: numbers by name."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import estimates
from diffenc.information.benchmark.rivals import RIVALS
from diffenc.information.codes.count_table import CountTable
from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.chain_rule import ChainRule
from diffenc.information.results.measurement import Measurement
from diffenc.information.samples.rows import Rows
from diffenc.information.settings import Settings
from diffenc.keys import key_of
from diffenc.run.advance import dotted
from experiments.mutual_information.results import FORMS, ORACLE, PARTS
from experiments.mutual_information.samples import Samples


def measure(
    seed: int,
    name: str,
    samples: Samples,
    estimator: Settings,
    rivals: tuple[str, ...],
    tell: Callable[[str, int, float], None],
    permutations: int = 0,
) -> dict[str, Any]:
    """Estimate the information of one task, by the rivals too.

    Args:
        seed: the seed of the run.
        name: of the task.
        samples: its samples.
        estimator: settings of the estimate.
        rivals: names of the other estimators.
        tell: progress callback, called with (stage, updates, value in nats).
        permutations: of the test of independence; 0 for none.

    Returns:
        Numbers by name: `<task>.<estimator>`, with its error at `<task>.<estimator>.stderr`, the
        parts of the estimate, and their densities over lambda.
    """
    began = time.perf_counter()
    result = estimates.mutual_information(
        samples.x,
        samples.y,
        **samples.words,
        seed=seed,
        progress=tell,
        settings=estimator,
        groups=samples.groups,
        order=samples.order,
        name=name,
    )
    seconds = time.perf_counter() - began
    numbers: dict[tuple[str, ...], Any] = {("seconds",): seconds, ("truth",): samples.truth}
    numbers |= numbers_of(result)
    if permutations:
        numbers[("p_value",)] = result.test(permutations, seed).p_value
    numbers |= {("rows", fact): value for fact, value in result.rows.facts.items()}
    if samples.oracle is not None:
        numbers |= _with_error((ORACLE,), samples.oracle)
    numbers[("notes",)] = [*result.notes, *result.notes_of_parts]
    blocks = [np.asarray(samples.x), np.asarray(samples.y)]
    if samples.are_numbers:
        numbers |= measure_by_rivals(seed, name, blocks, result.rows, rivals)
    return {dotted((name, *names)): value for names, value in numbers.items()}


def measure_by_rivals(
    seed: int, name: str, blocks: list[np.ndarray], rows: Rows, rivals: tuple[str, ...]
) -> dict:
    """Estimate the information of one task by other estimators.

    Args:
        seed: the seed of the run.
        name: of the task.
        blocks: x and y, which are numbers.
        rows: of them; distinct ones are used.
        rivals: names of the estimators.

    Returns:
        Numbers by the parts of their names.
    """
    numbers: dict[tuple[str, ...], float] = {}
    tables = [rows.distinct(block.astype(float).reshape(len(block), -1)) for block in blocks]
    for rival in rivals:
        began = time.perf_counter()
        value = RIVALS[rival](key_of(seed, "rival", rival, name), *tables)
        numbers |= _with_error((rival,), value)
        numbers[(rival, "seconds")] = time.perf_counter() - began
    return numbers


def numbers_of(measurement: Measurement) -> dict:
    """Return the numbers of an estimate by the parts of their names."""
    result = measurement.details
    numbers = _with_error((FORMS[0],), measurement.estimate)
    for name, value in measurement.parts.items():
        if name not in PARTS:
            numbers[(name,)] = value.mean
        if value.stderr is not None:
            numbers[(name, "stderr")] = value.stderr
    if isinstance(result, CountTable | ChainRule):
        return numbers
    assert isinstance(result, Information), "I(X;Y) is of no other kind"
    numbers |= {
        ("unbounded",): float(result.unbounded),
        ("shape",): result.shape,
    }
    numbers |= _density("regression", "", result.regression_density)
    for part in PARTS:
        divergence = getattr(result, part)
        if divergence is None:
            continue
        for field in ("mean", "value", "earlier", "systematic", "updates"):
            numbers[(part, field)] = getattr(divergence, field)
        numbers |= _density(part, "", divergence.density)
        numbers |= _density(part, "stderr", divergence.density_stderr)
    return numbers


def _with_error(names, value: Estimate) -> dict:
    return {names: value.mean, (*names, "stderr"): value.stderr}


def _density(part, ending, values) -> dict:
    endings = (ending,) if ending else ()
    return {(part, "density", k, *endings): value for k, value in enumerate(values)}
