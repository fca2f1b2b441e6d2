"""Estimates: what the bootstrap says of a mean and of a ratio."""

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy.stats import chi2

from diffenc.estimate import Estimate, bootstrap, over_seeds, ratio, resampled_mean

NUM_RESAMPLES = 2000
TOLERANCE = 4 / np.sqrt(2 * NUM_RESAMPLES)  # four relative errors of a standard deviation


def test_the_bootstrap_of_a_mean_is_its_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 1))
    error = bootstrap(lambda mean: mean[0], lambda: resampled_mean(rng, values), NUM_RESAMPLES)
    assert error == pytest.approx(Estimate.of(values[:, 0]).stderr, rel=TOLERANCE)


def test_the_bootstrap_of_a_ratio_is_that_of_its_linear_term():
    rng = np.random.default_rng(1)
    values = 5 + rng.normal(size=(2000, 2))
    ratio = values[:, 0].mean() / values[:, 1].mean()
    linear = (values[:, 0] - ratio * values[:, 1]) / values[:, 1].mean()
    error = bootstrap(
        lambda means: means[0] / means[1], lambda: resampled_mean(rng, values), NUM_RESAMPLES
    )
    assert error == pytest.approx(Estimate.of(linear).stderr, rel=TOLERANCE)


def test_a_statistic_of_several_numbers_has_several_errors():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(100, 3)) * [1.0, 2.0, 4.0]
    errors = bootstrap(lambda mean: mean, lambda: resampled_mean(rng, values), 200)
    assert errors.shape == (3,) and np.all(np.diff(errors) > 0)


@pytest.mark.parametrize("seed_scatter", [0.0, 0.1, 0.5])
def test_errors_are_over_examples_seeds_and_noise(seed_scatter):
    """The squared error is the variance of the mean, on average, and noise counts once.

    A variance of seeds that is estimated below zero counts as zero. What that adds is known.
    """
    rng = np.random.default_rng(0)
    num_repeats = 4000
    num_seeds = 4
    n = 50
    examples = rng.normal(size=(num_repeats, 1, n))
    seeds = seed_scatter * rng.normal(size=(num_repeats, num_seeds, 1))
    noise = 2 * rng.normal(size=(num_repeats, num_seeds, n))
    estimates = [over_seeds(values) for values in examples + seeds + noise]
    of_noise = 4 / n
    of_means = seed_scatter**2 + of_noise  # the variance of a seed's mean
    truth = 1 / n + of_means / num_seeds
    spread = np.var([mean for mean, _ in estimates], ddof=1)
    assert spread == pytest.approx(truth, rel=NUM_SIGMAS * np.sqrt(2 / num_repeats))
    degrees = num_seeds - 1
    least = degrees * of_noise / of_means
    above = of_means * chi2.sf(least, degrees + 2) - of_noise * chi2.sf(least, degrees)
    expected = 1 / n + (of_noise + above) / num_seeds
    squares = np.array([[stderr**2] for _, stderr in estimates])
    assert_mean(squares, expected, largest_stderr=0.02, scale=expected)
    assert truth <= expected < 1.2 * truth


def test_one_seed_has_the_error_of_its_examples():
    values = np.random.default_rng(0).normal(size=(1, 400))
    assert over_seeds(values).stderr == pytest.approx(values[0].std(ddof=1) / 20)


def test_values_of_a_ratio_have_its_mean_and_the_scatter_of_its_error():
    """The error of one set of examples is the spread of the ratio over many sets."""
    rng = np.random.default_rng(4)
    denominator = 4 + rng.normal(size=(NUM_RESAMPLES, 300))
    numerator = 0.7 * denominator + rng.normal(size=denominator.shape)
    estimates = []
    for a, b in zip(numerator, denominator, strict=True):
        mean, stderr = Estimate.of(ratio(a, b))
        assert mean == pytest.approx(a.mean() / b.mean())
        estimates.append((mean, stderr))
    means, stderrs = np.transpose(estimates)
    spread = means.std(ddof=1)
    assert spread == pytest.approx(np.sqrt(np.mean(stderrs**2)), rel=TOLERANCE)
    assert abs(means.mean() - 0.7) < 4 * spread / np.sqrt(NUM_RESAMPLES)
