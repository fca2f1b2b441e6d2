"""Nearest neighbours of samples and labels: no information where there is none, waves that classes
of means do not show, and columns that tell among many."""

import numpy as np
import pytest
from scipy.special import digamma, ndtr
from scipy.stats import norm

from diffenc.information.comparisons import label_neighbours as neighbours

X = np.random.default_rng(0).standard_normal((2000, 20))


def wave(x, rng):
    """Labels of a wave of x: 1 where sin(4x) + noise / 4 is positive."""
    return (np.sin(4 * x) + rng.standard_normal(len(x)) / 4 > 0).astype(int)


def information_of_wave():
    """By quadrature of the label's entropy given x, of a normal x."""
    x = np.linspace(-9, 9, 100_001)
    weight = norm.pdf(x) / norm.pdf(x).sum()
    chance = np.clip(ndtr(4 * np.sin(4 * x)), 1e-300, 1)
    rest = np.clip(ndtr(-4 * np.sin(4 * x)), 1e-300, 1)
    share = weight @ chance
    known = weight @ (chance * np.log(chance) + rest * np.log(rest))
    return known - share * np.log(share) - (1 - share) * np.log(1 - share)


def test_neighbours_are_counted_as_ross_does():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 300)
    x = rng.standard_normal((300, 2)) + labels[:, None]
    terms = []
    for row, label in zip(x, labels, strict=True):
        apart = np.abs(x - row).max(axis=1)
        farthest = np.sort(apart[labels == label])[4]
        within = np.sum(apart < farthest)
        terms.append(digamma(300) + digamma(4) - digamma(np.sum(labels == label)) - digamma(within))
    assert neighbours.ross(x, labels).mean == pytest.approx(np.mean(terms), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 10])
def test_independent_labels_have_none(classes):
    """The mean is 0 within its error, and they scatter by no more than their own errors tell."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((500, 1))
        found.append(neighbours.ross(x, rng.integers(0, classes, 500)))
    means = np.array([one.mean for one in found])
    stderr = np.mean([one.stderr for one in found])
    scatter = means.std(ddof=1)
    assert abs(means.mean()) < 4 * scatter / 60**0.5
    assert 0.5 < scatter / stderr < 1 + 4 / 120**0.5


def test_a_wave_has_its_information():
    rng = np.random.default_rng(2)
    found = neighbours.strongest(X[:, :1], wave(X[:, 0], rng))
    truth = information_of_wave()
    assert abs(found.estimate.mean + found.missing.mean - truth) < 4 * found.estimate.stderr
    assert found.estimate.stderr < 0.1 * truth


def test_the_telling_columns_of_many_are_found():
    rng = np.random.default_rng(3)
    labels = wave(X[:, 7], rng)
    found = neighbours.strongest(X, labels)
    assert found.columns == ((7,), (0,))
    assert neighbours.telling(X, labels) == [7]
    shifted = X + np.where(np.arange(20) == 3, 0.3, 0.0) * labels[:, None]
    wider = shifted * np.where(np.arange(20) == 5, 1.3, 1.0) ** labels[:, None]
    assert neighbours.telling(wider, labels) == [3, 5, 7]


def test_of_independent_labels_no_column_tells():
    """Chances below 5 % are at most 5 % of all, and seldom below CHANCE of all columns."""
    chances = []
    for seed in range(40):
        labels = np.random.default_rng(seed).integers(0, 3, len(X))
        chances.append(neighbours.chances(X, labels))
    chances = np.array(chances)
    share = np.mean(chances < 0.05)
    assert share < 0.05 + 4 * (0.05 / chances.size) ** 0.5
    assert np.mean(chances.min(axis=1) < neighbours.CHANCE / 20) <= 2 / 40


def test_labels_of_few_rows_make_no_column_tell():
    """Their limits would not be those of many rows."""
    rng = np.random.default_rng(5)
    rare = np.zeros(len(X), int)
    rare[:10] = 1
    assert (neighbours.chances(X, rare) == 1).all() and not neighbours.are_enough(rare)
    rare[10:20] = 1
    assert neighbours.are_enough(rare) and not neighbours.are_enough(rare[5:])
    told = [neighbours.telling(X, rng.permutation(rare)) for _ in range(40)]
    assert np.mean([len(columns) > 0 for columns in told]) <= 3 / 40


def test_columns_of_one_value_or_two_tell_nothing_by_their_ties():
    rng = np.random.default_rng(6)
    x = np.stack([np.ones(600), rng.choice([-1.0, 1.0], 600), rng.standard_normal(600)], axis=1)
    chances = np.array([neighbours.chances(x, rng.integers(0, 2, 600)) for _ in range(40)])
    assert np.mean(chances < 0.05) < 0.05 + 4 * (0.05 / chances.size) ** 0.5


def test_two_columns_that_tell_together_are_compared_whole():
    rng = np.random.default_rng(4)
    x = X[:, :2]
    labels = (x[:, 0] * x[:, 1] + 0.1 * rng.standard_normal(len(x)) > 0).astype(int)
    found = neighbours.strongest(x, labels)
    assert found.columns == ((0, 1), (0,)) and 0.3 < found.estimate.mean < np.log(2)


def test_labels_of_a_single_row_are_left_out():
    labels = np.r_[np.zeros(50, int), np.ones(50, int), 2]
    found = neighbours.ross(X[:101, :1], labels)
    assert found == neighbours.ross(X[:100, :1], labels[:100])
