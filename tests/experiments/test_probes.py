"""Probes of latents: sure where labels are separated, at chance where they are independent."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from experiments.diffusion_decoder import probes

NUM_LABELS = 5
DIM = 3
N = 1000
TINY = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "judge": {"parts": 3},
}


def draw(seed, separation, scales=(1.0, 10.0, 0.1)):
    """Latents [N, DIM] about the corner of their label, and balanced labels [N]. Their units differ
    between coordinates."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(N) % NUM_LABELS)
    corners = np.random.default_rng(100).normal(size=(NUM_LABELS, DIM))
    z = separation * corners[labels] + rng.normal(size=(N, DIM))
    return z * np.array(scales), labels


def assert_at_chance(correct):
    """Hits of guesses that know nothing are binomial, with 1 / NUM_LABELS for balanced labels."""
    chance = 1 / NUM_LABELS
    assert abs(correct.mean() - chance) < NUM_SIGMAS * np.sqrt(chance * (1 - chance) / N)


def test_neighbours_tell_separated_labels_and_none_that_are_independent():
    correct = probes.knn_accuracy(*draw(0, 100.0), *draw(1, 100.0))
    assert correct.dtype == np.float64 and correct.shape == (N,) and correct.min() == 1
    assert_at_chance(probes.knn_accuracy(*draw(0, 0.0), *draw(1, 0.0)))


def test_a_regression_tells_separated_labels_and_none_that_are_independent():
    correct = probes.logistic_accuracy(*draw(2, 100.0))
    assert correct.dtype == np.float64 and correct.shape == (N,) and correct.min() == 1
    assert_at_chance(probes.logistic_accuracy(*draw(3, 0.0)))


def test_two_labels_are_told_as_often_as_the_best_rule_tells_them():
    """Of N(-1, 1) and N(1, 1) the sign of z tells the label with probability Phi(1)."""
    best = 0.8413447
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, N)
    z = (2 * labels - 1 + rng.normal(size=N))[:, None]
    by_sign = ((z[:, 0] > 0) == labels).astype(float)
    correct = probes.logistic_accuracy(z, labels)
    assert abs(correct.mean() - best) < NUM_SIGMAS * np.sqrt(best * (1 - best) / N)
    excess = Estimate.of(correct - by_sign)
    assert abs(excess.mean) < NUM_SIGMAS * excess.stderr < 0.04


def test_no_probe_depends_on_the_units_of_a_coordinate():
    train = draw(5, 0.7)
    z, labels = draw(6, 0.7)
    unit, _ = draw(6, 0.7, scales=(1.0, 1.0, 1.0))
    of_units = probes.knn_accuracy(*draw(5, 0.7, scales=(1.0, 1.0, 1.0)), unit, labels)
    np.testing.assert_array_equal(probes.knn_accuracy(*train, z, labels), of_units)
    assert 0.3 < of_units.mean() < 0.95
    by_regression = probes.logistic_accuracy(z, labels)
    np.testing.assert_array_equal(by_regression, probes.logistic_accuracy(unit, labels))


def test_a_coordinate_that_never_varies_changes_nothing():
    z, labels = draw(7, 0.7)
    padded = np.pad(z, ((0, 0), (0, 1)), constant_values=3.0)
    train, train_labels = draw(8, 0.7)
    padded_train = np.pad(train, ((0, 0), (0, 1)), constant_values=3.0)
    np.testing.assert_array_equal(
        probes.knn_accuracy(padded_train, train_labels, padded, labels),
        probes.knn_accuracy(train, train_labels, z, labels),
    )
    np.testing.assert_array_equal(
        probes.logistic_accuracy(padded, labels), probes.logistic_accuracy(z, labels)
    )
    assert probes.label_information(0, np.ones((N, 2)), labels) == Estimate(0.0, 0.0)


def test_the_folds_are_of_the_seed():
    z, labels = draw(9, 0.7)
    first = probes.logistic_accuracy(z, labels, seed=1)
    np.testing.assert_array_equal(first, probes.logistic_accuracy(z, labels, seed=1))
    assert np.any(first != probes.logistic_accuracy(z, labels, seed=2))


def draw_pairs(seed, separation):
    """Two coordinates that tell one of two labels each, so that I(Z; label) = H(label) = log 4 if
    they are separated."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(N) % 4)
    corners = np.stack([labels // 2, labels % 2], axis=1)
    return separation * corners + rng.normal(size=(N, 2)), labels


@pytest.mark.slow
def test_independent_latents_have_no_information():
    estimate = probes.label_information(0, *draw_pairs(10, 0.0), TINY)
    assert abs(estimate.mean) < NUM_SIGMAS * estimate.stderr and 0 < estimate.stderr < 0.1


@pytest.mark.slow
@pytest.mark.optimized
def test_separated_latents_have_the_entropy_of_the_label():
    estimate = probes.label_information(0, *draw_pairs(11, 8.0))
    assert abs(estimate.mean - np.log(4)) < NUM_SIGMAS * estimate.stderr
    assert 0 < estimate.stderr < 0.1 * np.log(4)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda z, y: probes.knn_accuracy(z, y[1:], z, y), "train_z has shape .*its labels"),
        (lambda z, y: probes.knn_accuracy(z, y, z[:, :1], y), "z has 1 coordinates and train_z 3"),
        (lambda z, y: probes.knn_accuracy(z, y, z, y, N + 1), "neighbours is 1001: give 1000"),
        (lambda z, y: probes.logistic_accuracy(z * np.nan, y), "z is not finite"),
        (lambda z, y: probes.logistic_accuracy(z[:9], y[:9], 5), "label . has . examples? for 5"),
        (lambda z, y: probes.logistic_accuracy(z, 0 * y), "all labels are 0"),
        (lambda z, y: probes.label_information(0, z[:, 0], y), "give latents"),
    ],
)
def test_bad_input_has_its_error(ask, words):
    with pytest.raises(InputError, match=words):
        ask(*draw(12, 1.0))
