"""How often growth and S_NN of a trained network lie within two standard errors of their truths.

The truths are those of the network that was trained, not of an ideal one. The mean of its growth is
S_tot - L_EM, with S_tot from the known density of the data and L_EM from the exact score. The mean
of its S_NN is that of an independent, much larger evaluation; no closed form is known for it, and
S_NN + L_EM = S_tot holds at an optimum only.
"""

import math

import jax
import numpy as np

from diffenc.estimate import Estimate
from diffenc.run.tables import Result

COVERED = {"coverage_growth": "kelly_growth", "coverage_s_nn": "s_nn"}  # result: quantity
TRUTH_EXAMPLES = 50  # of the truth of a network, for each one of an estimate


def network_truths(values: dict[str, np.ndarray], total: Estimate) -> dict[str, Estimate]:
    """The means of growth and S_NN of a network, from a large evaluation and from S_tot."""
    gap = Estimate.of(values["em_gap"])
    growth = Estimate(total.mean - gap.mean, math.hypot(total.stderr, gap.stderr))
    return {"kelly_growth": growth, "s_nn": Estimate.of(values["s_nn"])}


def coverage(key, model, total: Estimate, measure, measure_truth, settings) -> dict[str, list]:
    """Estimate growth and S_NN of one network many times, and see which intervals hold the truth.

    Truth and estimates see fresh examples. The truth has TRUTH_EXAMPLES times as many as an
    estimate, and its noise levels come from another density, so that an error in their weights
    would show. The error of the truth is counted with that of the estimate.

    Args:
        key: the randomness of all estimates.
        model: parameters, reference and the density of the data.
        total: S_tot.
        measure: as `make_measure` gives it, with the noise levels of the experiment's results.
        measure_truth: the same with other noise levels.
        settings: of its `repetitions` estimates, each sees `monitor` examples.

    Returns:
        {result: whether each interval of two standard errors holds the truth [repetitions]}.
    """
    key_truth, key_estimates = jax.random.split(key)
    evaluation = _fresh(key_truth, model, measure_truth, TRUTH_EXAMPLES * settings.monitor)
    truths = network_truths(evaluation, total)
    inside: dict[str, list[bool]] = {name: [] for name in COVERED}
    for key_estimate in jax.random.split(key_estimates, settings.repetitions):
        values = _fresh(key_estimate, model, measure, settings.monitor)
        for name, quantity in COVERED.items():
            mean, stderr = Estimate.of(values[quantity])
            error = abs(mean - truths[quantity].mean)
            inside[name].append(bool(error < 2 * math.hypot(stderr, truths[quantity].stderr)))
    return inside


def _fresh(key, model, measure, count):
    """Every quantity of `count` examples that nobody has seen."""
    key_x, key_measure = jax.random.split(key)
    return measure(key_measure, *model, np.asarray(model[-1].sample(key_x, count)))


def coverage_result(name: str, inside: list[bool]) -> Result:
    """The share that was covered, with its binomial error at the share expected of a normal law."""
    expected = math.erf(math.sqrt(2.0))
    error = math.sqrt(expected * (1 - expected) / len(inside))
    unit = f"within 2 errors, of {len(inside)}"
    return Result(name, float(np.mean(inside)), error, unit, expected)
