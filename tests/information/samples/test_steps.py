"""Columns of repeated values that another one determines, and the entropy of these values."""

import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.stats import norm

import diffenc
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.samples import steps

N = 1000


def entropy(law):
    law = law[law > 0]
    return -np.sum(law * np.log(law))


CELSIUS = np.diff(norm(15, 8).cdf(np.arange(-400, 700) / 10 + 0.05))
BODY = np.diff(norm(37, 0.6).cdf(np.arange(330, 411) / 10 + 0.05))


def celsius(rng):
    return np.round(rng.normal(15, 8, N), 1)


# (x, y) and their information.
DETERMINED = {
    "steps": (
        lambda rng: (lambda x: (x, np.floor(150 * x)))(rng.uniform(size=N)),
        np.log(150),
    ),
    "steps down and up, of one of three columns": (
        lambda rng: (lambda x: (x, np.floor(60 * x[:, 1]) * 7 % 60))(rng.uniform(size=(N, 3))),
        np.log(60),
    ),
    "rounded twice": (
        lambda rng: (lambda x: (x, np.round(1.8 * x + 32, 1)))(celsius(rng)),
        entropy(CELSIUS),
    ),
    "a rounded copy": (
        lambda rng: (lambda x: (x, np.round(x, 1)))(rng.normal(37, 0.6, N)),
        entropy(BODY),
    ),
    "another order": (
        lambda rng: (lambda x: (x, np.sin(1e4 * x).round(9)))(rng.integers(0, 90, N)),
        np.log(90),
    ),
}


@pytest.mark.parametrize("name", DETERMINED)
def test_the_information_is_the_entropy_of_the_values(name):
    """Of twenty samples: their errors cover the truth, and are not much too large."""
    draw, truth = DETERMINED[name]
    off = []
    for seed in range(20):
        x, y = draw(np.random.default_rng(seed))
        found = steps.find_steps(x, y)
        exchanged = steps.find_steps(y, x)
        assert (found.of, exchanged.of) in {("x", "y"), ("x", "x")}, "one-to-one, it is either"
        entropies = found.entropy
        assert found.num_values == len(entropies.counts) == len(np.unique(y))
        assert entropies.pointwise.mean() == pytest.approx(entropies.estimate.mean)
        assert 0 < entropies.estimate.stderr < 0.07
        off.append((entropies.estimate.mean - truth) / entropies.estimate.stderr)
    assert np.all(np.abs(off) < NUM_SIGMAS)
    assert abs(np.mean(off)) < 1


def test_the_estimate_says_so():
    x, y = DETERMINED["steps"][0](np.random.default_rng(0))
    estimate = diffenc.mutual_information(x, y)
    assert abs(estimate.mean - np.log(150)) < NUM_SIGMAS * estimate.stderr < 0.2
    assert "y column 0 is a function of x column 0 with 150 different values" in estimate.notes[0]
    assert sum(error**2 for error in estimate.errors.values()) ** 0.5 == (
        pytest.approx(estimate.stderr)
    )
    assert estimate.mean > estimate.parts["plug_in"].mean
    exchanged = diffenc.mutual_information(y, x)
    assert exchanged.estimate == estimate.estimate
    assert "x column 0 is a function of y column 0" in exchanged.notes[0]


def noisy(share):
    """Steps of uniform numbers with noise of this share of a step."""

    def draw(rng):
        x = rng.uniform(size=N)
        return x, np.floor(100 * x + share * rng.normal(size=N))

    return draw


def zeros(rng):
    """Both are 0 in the same rows, and else have densities."""
    is_zero = rng.random(N) < 0.4
    x, y = rng.normal(size=(2, N))
    return np.where(is_zero, 0, x), np.where(is_zero, 0, x + y)


OTHERS = {
    "noise": noisy(0.1),
    "two readings, rounded": lambda rng: (lambda x: (x.round(1), (x + 0.02).round(1)))(
        rng.normal(size=N) + 0.01 * rng.normal(size=N)
    ),
    "rare events": lambda rng: (
        celsius(rng),
        np.where(rng.random(N) < 0.01, rng.integers(1, 9, N), 0),
    ),
    "independent": lambda rng: (celsius(rng), rng.integers(0, 40, N)),
    "a threshold": lambda rng: (lambda x: (x, (x > 0).astype(int)))(rng.normal(size=N)),
    "row numbers": lambda rng: (np.arange(N), np.arange(N) // 10),
    "coarser than the other": lambda rng: (
        np.round(rng.normal(size=N)),
        rng.normal(size=N).round(2),
    ),
    "zeros": zeros,
    "two columns": lambda rng: (lambda x: (x, np.floor(50 * x)))(rng.uniform(size=(N, 2))),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_such_column(name):
    for seed in range(20):
        x, y = OTHERS[name](np.random.default_rng(seed))
        assert steps.find_steps(x, y) is None and steps.find_steps(y, x) is None


def test_values_that_hardly_repeat_are_refused():
    x = np.random.default_rng(0).uniform(size=300)
    with pytest.raises(InputError, match="y column 0 is a function of x column 0.* give more rows"):
        diffenc.mutual_information(x, np.floor(600 * x) / 10)


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("count", [30, 150])
def test_the_entropy_of_uniform_values_has_no_bias(n, count):
    """The plug-in entropy is low by (K - 1) / 2n and more."""
    rng = np.random.default_rng(1)
    samples = [np.unique(rng.integers(0, count, n), return_counts=True)[1] for _ in range(60)]
    estimates = Estimate.of(np.array([steps.chao_wang_jost(counts) for counts in samples]))
    assert abs(estimates.mean - np.log(count)) < NUM_SIGMAS * estimates.stderr < 0.05


def test_the_entropy_of_few_counts_in_two_forms():
    """Of counts whose tail is summed in the other form: both are the series of -log A."""
    counts = np.array([1] * 40 + [2] * 21 + [5] * 9)
    n = counts.sum()
    share = 2 * 21 / ((n - 1) * 40 + 2 * 21)
    powers = np.arange(1, n)
    rest = -np.log(share) - np.sum((1 - share) ** powers / powers)
    tail = 40 / n * (1 - share) ** (1 - n) * rest
    seen = sum(count / n * np.sum(1 / np.arange(count, n)) for count in counts)
    assert steps.chao_wang_jost(counts) == pytest.approx(seen + tail, rel=1e-9)
    few = np.array([1] * 5 + [3] * 50)
    assert steps.chao_wang_jost(few) > steps.chao_wang_jost(np.array([3] * 50))
