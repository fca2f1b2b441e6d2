"""Summaries of experiments.neural_entropy: means over seeds, ratios, laws in log N."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import entropy_quadrature
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.estimate import Estimate
from diffenc.run.tables import Result
from experiments.neural_entropy.cases import Case
from experiments.neural_entropy.measures import EARLY

# These differ between seeds because of training; S_tot differs because mixtures do.
TRAINED = ("em_gap", "growth_shortfall")


def summarize(
    name: str, seeds: list[dict], truths: list[Estimate], shared_examples: bool
) -> list[Result]:
    """Average over seeds and held-out examples.

    Errors are those of the examples; those of gaps, ratios and shares hold the spread over seeds
    too. S_tot differs from mixture to mixture: the mean is that of these mixtures.

    Args:
        name: of the case.
        seeds: quantities of every held-out example, {name: [n]} for each seed.
        truths: S_tot of each seed; empty where it is not known.
        shared_examples: whether every seed was measured on the same ones.
    """
    results = []
    for quantity in seeds[0]:
        if quantity.endswith("_early"):
            continue
        if shared_examples:
            mean = Estimate.of(np.mean([one[quantity] for one in seeds], axis=0))
            estimate = with_spread(mean, [one[quantity].mean() for one in seeds])
        else:
            estimate = over_systems([Estimate.of(one[quantity]) for one in seeds])
            if quantity in TRAINED:
                estimate = with_spread(estimate, [one[quantity].mean() for one in seeds])
        truth = over_systems(truths).mean if truths and quantity == "s_tot" else None
        results.append(Result(f"{name}.{quantity}", *estimate, truth=truth))
    results.append(early_share(name, seeds, bool(truths), shared_examples))
    if not truths:
        return results
    results.append(Result(f"{name}.s_tot_by_densities", *over_systems(truths)))
    shares = {
        "s_nn_ratio": [ratio_of_means(one["s_nn"], one["s_tot"]) for one in seeds],
        "s_reference_ratio": [ratio_of_means(one["s_reference"], one["s_tot"]) for one in seeds],
        "kelly_growth_ratio": [
            rest(ratio_of_means(one["growth_shortfall"], one["s_tot"])) for one in seeds
        ],
        "learned_share": [
            rest(ratio_of_means(one["em_gap"], one["reference_gap"])) for one in seeds
        ],
    }
    for quantity, ratios in shares.items():
        estimate = with_spread(over_systems(ratios), [ratio.mean for ratio in ratios])
        unit = "of the reference's gap" if quantity == "learned_share" else "of S_tot"
        results.append(Result(f"{name}.{quantity}", *estimate, unit, 1.0))
    return results


def early_share(name: str, seeds: list[dict], is_known: bool, shared_examples: bool) -> Result:
    """Estimate the share of S_NN that is produced before EARLY, beside that of S_tot if known.

    Args:
        name: of the case.
        seeds: quantities of every held-out example, {name: [n]} for each seed.
        is_known: whether S_tot is.
        shared_examples: whether every seed was measured on the same ones.
    """
    ratios = [ratio_of_means(one["s_nn_early"], one["s_nn"]) for one in seeds]
    estimate = over_systems(ratios)
    if shared_examples:  # the linear terms of the seeds' ratios, example by example
        terms = [
            (one["s_nn_early"] - r.mean * one["s_nn"]) / one["s_nn"].mean()
            for one, r in zip(seeds, ratios, strict=True)
        ]
        estimate = Estimate(estimate.mean, Estimate.of(np.mean(terms, axis=0)).stderr)
    exact = [ratio_of_means(one["s_tot_early"], one["s_tot"]).mean for one in seeds if is_known]
    truth = float(np.mean(exact)) if exact else None
    estimate = with_spread(estimate, [ratio.mean for ratio in ratios])
    return Result(f"{name}.early_share", *estimate, f"of S_NN, at t < {EARLY}", truth)


def over_systems(estimates: list[Estimate]) -> Estimate:
    """Average independent estimates, one for each system."""
    stderr = math.sqrt(sum(one.stderr**2 for one in estimates)) / len(estimates)
    return Estimate(float(np.mean([one.mean for one in estimates])), stderr)


def with_spread(estimate: Estimate, means: list[float]) -> Estimate:
    """Add the error of a mean over seeds to an estimate; one seed alone has no spread."""
    if len(means) < 2:
        return estimate
    return Estimate(
        estimate.mean,
        float(np.hypot(estimate.stderr, np.std(means, ddof=1) / math.sqrt(len(means)))),
    )


def ratio_of_means(values, others) -> Estimate:
    """Estimate mean(values) / mean(others) of paired values, with the linear term's error."""
    if not np.mean(others) > 0:
        return Estimate(math.nan, math.nan)
    ratio = float(np.mean(values) / np.mean(others))
    return Estimate(ratio, Estimate.of((values - ratio * others) / np.mean(others)).stderr)


def rest(estimate: Estimate) -> Estimate:
    """Subtract the estimate from one."""
    return Estimate(1 - estimate.mean, estimate.stderr)


def between_pixels(cases: dict[str, Case], results: list[Result]) -> list[Result]:
    """Bound how much of the entropy of images is between their pixels.

    The sum of S_tot of single pixels is computed from the shares of gray levels in the largest
    training set. What growth has beyond it is a lower bound of the pixels' total correlation. The
    error of the sum is a jackknife's over ten blocks of images. Shares of a sample make the sum too
    large on average, by about 1/N, and so the bound too low.
    """
    by_name = {result.name: result for result in results}
    pixels = []
    datasets = [case.program for case in cases.values() if case.train[0].ndim == 4]
    for dataset in dict.fromkeys(datasets):
        mine = [case for case in cases.values() if case.program == dataset]
        largest = max(mine, key=lambda case: case.size)
        rows = largest.train[0].reshape(largest.size, -1)
        alone = pixel_entropy(largest, rows)
        pixels.append(Result(f"{dataset}.pixel_entropy", *alone))
        for case in mine:
            growth = by_name[f"{case.name}.kelly_growth"]
            assert growth.stderr is not None, "it is an estimate"
            stderr = math.hypot(growth.stderr, alone.stderr)
            pixels.append(
                Result(f"{case.name}.total_correlation_bound", growth.value - alone.mean, stderr)
            )
    return pixels


def pixel_entropy(case: Case, rows: np.ndarray, num_blocks: int = 10) -> Estimate:
    """Estimate the sum of S_tot of the columns of rows [N, D], by themselves."""
    levels = np.unique(rows)
    counts = np.stack([level_counts(block, levels) for block in np.array_split(rows, num_blocks)])
    total = counts.sum(axis=0)
    # An error needs no fine quadrature, and there are ten times as many of all blocks but one.
    but_one = entropies(case, levels, (total - counts).reshape(-1, len(levels)), num_levels=50)
    sums = but_one.reshape(num_blocks, -1).sum(axis=1)
    stderr = float(np.sqrt((num_blocks - 1) * np.var(sums)))
    return Estimate(float(entropies(case, levels, total).sum()), stderr)


def pixel_map(case: Case) -> np.ndarray:
    """Compute S_tot of every pixel of the training images by itself, in the shape of an image."""
    rows = case.train[0].reshape(len(case.train[0]), -1)
    levels = np.unique(rows)
    return entropies(case, levels, level_counts(rows, levels)).reshape(case.train[0].shape[1:])


def level_counts(rows, levels) -> np.ndarray:
    """Count how often each column of rows [N, D] takes each of the levels [L]: [D, L]."""
    return np.stack([(rows == level).sum(axis=0) for level in levels], axis=1)


def entropies(case: Case, levels, counts, num_levels: int = 400) -> np.ndarray:
    """Compute S_tot of coordinates that take the levels [L] with frequencies counts [D, L]: [D].

    Args:
        case: its process and scale are read.
        levels: the values, divided by the scale what the model sees.
        counts: of each coordinate.
        num_levels: nodes of the quadrature over lambda.
    """
    shares = jnp.asarray(counts / counts.sum(axis=1, keepdims=True), jnp.float32)
    values = levels / case.scale
    edges = log_snr_range(case.process, *case.times)
    entropy_of = jax.jit(
        lambda shares: entropy_quadrature.coordinate_entropy(
            case.process, values, shares, *edges, num_levels
        )
    )
    return np.asarray(entropy_of(shares), np.float64)


def log_laws(cases: dict[str, Case], results: list[Result]) -> list[Result]:
    """Fit S_NN = a + b log N by least squares, and the same law of held-out growth.

    This is done for every data set with three sizes or more; errors come from the scatter.
    """
    value_of = {result.name: result.value for result in results}
    laws = []
    for dataset in dict.fromkeys(case.program for case in cases.values()):
        mine = [case for case in cases.values() if case.program == dataset]
        if len(mine) < 3:
            continue
        design = np.array([[1.0, math.log(case.size)] for case in mine])
        for law, quantity in (("log_law", "s_nn"), ("growth_law", "kelly_growth")):
            values = np.array([value_of[f"{case.name}.{quantity}"] for case in mine])
            coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
            scatter = np.sum((values - design @ coefficients) ** 2) / (len(mine) - 2)
            errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * scatter)
            for label, value, error in zip(
                ("intercept", "slope"), coefficients, errors, strict=True
            ):
                laws.append(Result(f"{dataset}.{law}.{label}", float(value), float(error)))
    return laws
