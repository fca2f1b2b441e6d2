"""Labels of the next rows: steps cost what their gaps cost, and the limit holds."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.information.comparisons import order_posteriors

FOLDS = 5


def held(coordinates, labels, rng):
    """log q(l|x) / p(l), with the same coordinates [N, count] in every fold."""
    fold = rng.permutation(len(labels)) % FOLDS
    return order_posteriors.estimate([coordinates] * FOLDS, labels, fold)


@pytest.mark.parametrize("classes", [2, 5, 12])
def test_steps_cost_log_2_in_the_gaps_around_them(classes):
    """The gap around a place has a mean mass of 2 / (rows + 1) among uniform rows."""
    n = 1000
    losses = []
    for seed in range(40):
        rng = np.random.default_rng((seed, classes))
        x = rng.random((n, 1))
        labels = (classes * x[:, 0]).astype(int)
        shares = np.bincount(labels) / n
        losses.append(-(shares @ np.log(shares)) - held(x, labels, rng).mean())
    gaps = (classes - 1) * 2 / (n * (FOLDS - 1) / FOLDS + 1)
    # The share of 1 / n by chance costs as much, for labels but the own one.
    expected = gaps * np.log(2) + (1 - 1 / classes) / n
    error = np.std(losses) / len(losses) ** 0.5
    assert np.mean(losses) == pytest.approx(expected, abs=NUM_SIGMAS * error)


@pytest.mark.parametrize("slope", [0.0, 1.0, 5.0])
def test_smooth_laws_are_followed_from_below(slope):
    gains = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(2000, 2))
        chance = 1 / (1 + np.exp(-slope * np.sin(3 * x[:, 1])))
        labels = (rng.random(2000) < chance).astype(int)
        exact = np.log(np.where(labels == 1, chance, 1 - chance) / 0.5)
        gains.append(np.mean(held(x, labels, rng) - exact))
    error = np.std(gains) / len(gains) ** 0.5
    # Shares of 2 k labels cost 1 / (4 k) nats, which k of 16 or 32 keep below this.
    assert -0.03 < np.mean(gains) < NUM_SIGMAS * error


def test_equal_values_and_the_column_that_decides():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=1500), rng.integers(0, 12, 1500)], axis=1)
    labels = np.array([0, 1, 1, 2, 0, 3, 3, 2, 1, 0, 2, 2])[x[:, 1].astype(int)]
    shares = np.bincount(labels) / len(labels)
    entropy = -(shares @ np.log(shares))
    values = held(x, labels, rng)
    assert entropy - 2 / len(labels) < values.mean() < entropy
    nothing = held(x[:, :1], labels, rng)
    assert nothing.mean() < NUM_SIGMAS * nothing.std() / len(labels) ** 0.5


def test_directions_are_those_that_part_the_classes():
    weights = np.outer([0.0, 3.0, 4.0], [-1.0, 0.0, 1.0]) + np.array([[5.0], [1.0], [2.0]])
    first = order_posteriors.directions(weights)[:, 0]
    np.testing.assert_allclose(np.abs(first), [0.0, 0.6, 0.8], atol=1e-12)
