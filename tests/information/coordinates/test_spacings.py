"""Entropy of single columns by spacings, against closed forms."""

import numpy as np
import pytest
from scipy import stats

import diffenc
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import spacings

NUM_SIGMAS = 4
N = 1000
SETS = 60


def two_heaps(rng):
    return np.where(rng.random(N) < 0.5, -6, 6) + rng.normal(size=N)


LAWS = {
    "normal": (stats.norm().rvs, stats.norm().entropy()),
    "uniform": (stats.uniform().rvs, 0.0),
    "exponential": (stats.expon().rvs, 1.0),
    "cauchy": (stats.cauchy().rvs, np.log(4 * np.pi)),
    "lognormal": (stats.lognorm(1).rvs, stats.lognorm(1).entropy()),
    "arcsine": (stats.beta(0.5, 0.5).rvs, np.log(np.pi / 4)),
    "two_heaps": (None, stats.norm().entropy() + np.log(2)),
}


@pytest.mark.parametrize("law", LAWS)
def test_entropy_of_laws_with_a_closed_form(law):
    """The bias is below half an error, and as many truths lie within two errors as should."""
    draw, truth = LAWS[law]
    estimates = []
    for seed in range(SETS):
        rng = np.random.default_rng((seed, 3))
        x = two_heaps(rng) if draw is None else draw(N, random_state=rng)
        part, doubt = spacings.entropy(x)
        estimates.append((part.mean - truth, np.hypot(part.estimate.stderr, doubt)))
    errors, stated = np.array(estimates).T
    scatter = errors.std() / SETS**0.5
    assert abs(errors.mean()) < 0.5 * stated.mean() + NUM_SIGMAS * scatter
    assert np.sum(np.abs(errors) > 2 * stated) <= stats.binom.isf(1e-4, SETS, 0.05)


def test_entropy_follows_the_unit():
    x = np.random.default_rng(0).standard_cauchy(N)
    part, _ = spacings.entropy(x)
    moved, _ = spacings.entropy(5 - 1e-6 * x)
    assert moved.mean == pytest.approx(part.mean - np.log(1e6), abs=1e-6)


def test_ties_and_clumps_are_left_to_others():
    rng = np.random.default_rng(1)
    assert spacings.entropy(rng.poisson(3.0, N).astype(float)) is None
    assert spacings.entropy(rng.integers(0, 500, N) + 1e-4 * rng.normal(size=N)) is None


def test_copies_count_once_in_the_error():
    """Of pairs of neighbouring values, as near each other as any two, half as many are examples."""
    x = np.sort(np.random.default_rng(2).normal(size=N))
    clusters = Clusters(np.repeat(np.arange(N // 2), 2), 2.0, 1.0)
    alone, _ = spacings.entropy(x)
    together, _ = spacings.entropy(x, clusters)
    assert together.mean == alone.mean
    assert together.estimate.stderr == pytest.approx(2**0.5 * alone.estimate.stderr, rel=0.1)


def test_the_public_entropy_of_a_column_needs_no_network():
    x = np.random.default_rng(3).exponential(2.0, size=N)
    estimate = diffenc.entropy(x)
    assert abs(estimate.mean - 1 - np.log(2)) < NUM_SIGMAS * estimate.stderr
    assert estimate.stderr < 0.05
    assert estimate.details.marginal is None and set(estimate.errors) == {"examples", "spacings"}
    difference = estimate.parts["gaussian"].mean - estimate.parts["divergence"].mean
    assert estimate.mean == pytest.approx(difference, abs=1e-12)
    assert np.mean(estimate.details.pointwise) == pytest.approx(estimate.mean, abs=1e-9)


@pytest.mark.parametrize("law", ["random", "standard_normal"])
def test_the_scatter_of_the_mean(law):
    """About the mean of log p of the same numbers, whose error is not of the spacings."""
    gaps = []
    for seed in range(300):
        x = getattr(np.random.default_rng(seed), law)(500)
        log_p = 0.0 if law == "random" else -0.5 * np.mean(x**2) - 0.5 * np.log(2 * np.pi)
        gaps.append(spacings.log_density(x).mean() - log_p)
    # The error of a standard deviation of 300 is 4 %; windows at the ends add some.
    assert np.std(gaps) == pytest.approx(spacings.scatter(500), rel=0.2)
    assert spacings.scatter(500) == pytest.approx(2 * spacings.scatter(2000))
