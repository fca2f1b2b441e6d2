"""Forests that predict labels: steps cost what their gaps cost, and the limit holds."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.information.comparisons import forest_posteriors

FOLDS = 5
N = 1000


def held(columns, labels, rng):
    """log q(l|x) / p(l), with the same columns [N, count] in every fold."""
    fold = rng.permutation(len(labels)) % FOLDS
    nothing = np.full(len(labels), -np.inf)
    return forest_posteriors.estimate([(columns,)] * FOLDS, labels, fold, nothing)


def entropy_of(labels):
    shares = np.bincount(labels) / len(labels)
    return -(shares @ np.log(shares))


def steps(x, classes):
    return (classes * x[:, 0]).astype(int)


def fields(x, classes):
    return (classes * x[:, 0]).astype(int) * classes + (classes * x[:, 1]).astype(int)


@pytest.mark.parametrize(
    ("rule", "classes", "cuts"), [(steps, 2, 1), (steps, 8, 7), (fields, 3, 2 + 2 * 3)]
)
def test_a_step_costs_about_the_gap_around_it(rule, classes, cuts):
    """The gap around a place has a mean mass of 2 / (rows + 1) among uniform rows; within it the
    best q, which falls evenly, costs half a nat. A cut of a third of the rows has three times the
    gap in a third of the mass."""
    losses = []
    for seed in range(4):
        rng = np.random.default_rng((seed, classes))
        x = rng.random((N, 2))
        labels = rule(x, classes)
        losses.append(entropy_of(labels) - held(x, labels, rng).mean())
    gaps = cuts * 2 / (N * (FOLDS - 1) / FOLDS + 1)
    error = np.std(losses, ddof=1) / len(losses) ** 0.5
    # Trees do not know the best q, and the share by chance costs one row of N.
    assert 0.5 * gaps - NUM_SIGMAS * error < np.mean(losses) < 2 * gaps + 1 / N


@pytest.mark.parametrize("slope", [0.0, 5.0])
def test_smooth_laws_are_followed_from_below(slope):
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(N, 2))
        chance = 1 / (1 + np.exp(-slope * np.sin(3 * x[:, 1])))
        labels = (rng.random(N) < chance).astype(int)
        exact = np.log(np.where(labels == 1, chance, 1 - chance) / 0.5)
        gains.append(np.mean(held(x, labels, rng) - exact))
    error = np.std(gains, ddof=1) / len(gains) ** 0.5
    # Leaves of ten labels cost a twentieth of a nat, or less as trees differ.
    assert -0.05 < np.mean(gains) < NUM_SIGMAS * error


def test_equal_values_and_a_label_that_a_forest_has_not_seen():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=N), rng.integers(0, 12, N)], axis=1)
    labels = np.array([0, 1, 1, 2, 0, 3, 3, 2, 1, 0, 2, 2])[x[:, 1].astype(int)]
    values = held(x, labels, rng)
    assert entropy_of(labels) - 2 / N < values.mean() < entropy_of(labels)
    labels[0] = 4  # its one row is in one fold alone
    values = held(x, labels, rng)
    assert np.isfinite(values).all() and np.argmin(values) == 0


def test_of_two_blocks_the_better_is_taken_and_none_if_more_is_known():
    rng = np.random.default_rng(1)
    x, other = rng.random((2, N, 1))
    labels = steps(x, 4)
    fold = rng.permutation(N) % FOLDS
    of_both = forest_posteriors.estimate([(other, x)] * FOLDS, labels, fold, np.zeros(N))
    assert of_both.mean() > entropy_of(labels) - 0.03
    more = np.full(N, entropy_of(labels))
    assert forest_posteriors.estimate([(other, x)] * FOLDS, labels, fold, more) is None


def test_directions_are_those_that_part_the_classes():
    weights = np.outer([0.0, 3.0, 4.0], [-1.0, 0.0, 1.0]) + np.array([[5.0], [1.0], [2.0]])
    first = forest_posteriors.directions(weights)[:, 0]
    np.testing.assert_allclose(np.abs(first), [0.0, 0.6, 0.8], atol=1e-12)
