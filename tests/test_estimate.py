"""Estimates: what the bootstrap says of a mean and of a ratio."""

import numpy as np
import pytest

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


def test_errors_are_over_examples_and_seeds():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 400)) + np.array([[-1.0], [0.0], [1.0]])
    mean, stderr = over_seeds(values)
    examples = values.mean(axis=0).std(ddof=1) / 20
    seeds = values.mean(axis=1).std(ddof=1) / np.sqrt(3)
    assert mean == pytest.approx(values.mean()) and stderr == pytest.approx(
        np.hypot(examples, seeds)
    )
    assert over_seeds(values[:1]).stderr == pytest.approx(values[0].std(ddof=1) / 20)


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
