"""The Frechet distance against closed forms of Gaussians, and the classifier of its features."""

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_distinct_keys, assert_mean, record_keys

from diffenc.errors import InputError
from experiments.diffusion_decoder import frechet

ROUNDING = 1e-10


def with_moments(rng, n, mean, root):
    """Rows [n, f] whose sample mean and covariance are exactly mean and root root^T."""
    rows = rng.normal(size=(n, len(mean)))
    rows = rows - rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return rows @ root.T + mean


def test_the_distance_of_independent_coordinates_is_the_sum_of_theirs():
    """(1 - 4)^2 + (2 - 2)^2 of the means, (1 - 3)^2 + (5 - 2)^2 of the deviations."""
    rng = np.random.default_rng(0)
    first = with_moments(rng, 50, np.array([1.0, 2.0]), np.diag([1.0, 5.0]))
    second = with_moments(rng, 70, np.array([4.0, 2.0]), np.diag([3.0, 2.0]))
    assert frechet.frechet(first, second) == pytest.approx(9.0 + 4.0 + 9.0, abs=ROUNDING)
    assert frechet.frechet(second, first) == pytest.approx(22.0, abs=ROUNDING)


def test_covariances_that_do_not_commute():
    """Between N(0, C) and its image under a symmetric positive map A the distance is
    tr((A - I) C (A - I)), because A is the optimal transport."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    transport = rng.normal(size=(4, 4))
    transport = transport @ transport.T + 0.1 * np.eye(4)
    rows = with_moments(rng, 60, np.zeros(4), root)
    moved = rows - rows @ transport
    expected = np.trace(np.cov(moved.T))
    assert frechet.frechet(rows, rows @ transport) == pytest.approx(expected, rel=ROUNDING)


def test_equal_sets_have_no_distance_even_where_features_repeat():
    rows = np.random.default_rng(2).normal(size=(40, 3))
    repeated = np.concatenate([rows, rows, 0 * rows], axis=1)
    for one in (rows, repeated, rows[:, :1], rows[:2]):
        assert frechet.frechet(one, one[::-1]) == pytest.approx(0.0, abs=ROUNDING)


def test_large_samples_have_the_distance_of_their_laws_and_its_error():
    """Independent samples scatter by the error that the bootstrap gives one of them. Their mean is
    high by nearly what two samples of N(0, I) would have, f (f + 5) / 4 * 2 / n with f = 2."""
    rng = np.random.default_rng(3)
    n = 4000
    truth = 0.5**2 + 0.3**2  # of the first coordinate's mean and the second one's deviation

    def draw():
        first = rng.normal(size=(n, 2))
        second = rng.normal(size=(n, 2)) * [1.0, 1.3] + [0.5, 0.0]
        return first, second

    values = np.array([frechet.frechet(*draw()) for _ in range(200)])
    assert_mean(values, truth + 7 / n, largest_stderr=0.01)
    estimate = frechet.estimate_frechet(0, *draw())
    error = estimate.stderr * np.sqrt(1 / (2 * 100) + 1 / (2 * 200))
    assert abs(values.std(ddof=1) - estimate.stderr) < NUM_SIGMAS * error
    assert abs(estimate.mean - truth - 7 / n) < NUM_SIGMAS * estimate.stderr
    assert estimate.stderr < 0.1 * truth


def test_the_floor_is_the_bias_of_the_halves():
    """f (f + 5) / 4 (1/n_a + 1/n_b) for f features of covariance I. Of equal laws the bootstrap's
    variance is three times that of the distance."""
    rng = np.random.default_rng(4)
    f = 3
    half = 500
    floors = [frechet.floor(i, rng.normal(size=(2 * half, f)), 10) for i in range(300)]
    values, errors = np.array(floors).T
    assert_mean(values, f * (f + 5) / 4 * 2 / half, largest_stderr=0.05, scale=values.mean())
    deviations = (values - values.mean()) ** 2
    assert_mean(errors**2 - 3 * deviations, 0.0, largest_stderr=0.5, scale=deviations.mean())


def draw_images(seed, n):
    """Images [n, 6, 6, 1] of noise with a bright bar in the row of their label, which is 3, 5 or
    7."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, 3, n)
    x = 0.3 * rng.normal(size=(n, 6, 6, 1))
    x[np.arange(n), index] += 1.0
    return np.clip(x, -1, 1).astype(np.float32), 3 + 2 * index


def test_the_classifier_tells_labels_and_its_features_tell_images_from_noise(monkeypatch):
    asked = record_keys(monkeypatch)
    x, labels = draw_images(5, 600)
    classifier = frechet.train_classifier(0, x, labels, num_updates=200)
    held_out, held_out_labels = draw_images(6, 500)
    np.testing.assert_array_equal(frechet.predict(classifier, held_out), held_out_labels)
    real = frechet.features(classifier, held_out)
    assert real.shape == (500, 64) and np.ptp(real, axis=0).min() > 0

    others = frechet.features(classifier, draw_images(7, 500)[0])
    noise = frechet.features(classifier, 0.3 * np.random.default_rng(8).normal(size=x.shape))
    floor = frechet.floor(0, real, 20)
    of_real = frechet.estimate_frechet(0, others, real, 20)
    of_noise = frechet.estimate_frechet(0, noise, real, 20)
    assert of_real.mean < floor.mean + NUM_SIGMAS * np.hypot(floor.stderr, of_real.stderr)
    assert of_noise.mean - of_real.mean > 10 * np.hypot(of_noise.stderr, of_real.stderr)
    assert_distinct_keys(asked)


def test_a_classifier_is_a_function_of_its_seed():
    x, labels = draw_images(9, 600)

    def features_of(seed):
        classifier = frechet.train_classifier(seed, x, labels, num_updates=200)
        return frechet.features(classifier, x[:5])

    first = features_of(0)
    np.testing.assert_array_equal(first, features_of(0))
    assert np.all(first != features_of(1))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda a: frechet.frechet(a, a[:, :1]), "features_a has 2 features and features_b 1"),
        (lambda a: frechet.frechet(a, a[:1]), "features_b has shape .1, 2.: give"),
        (lambda a: frechet.frechet(a * np.nan, a), "features_a is not finite everywhere"),
        (lambda a: frechet.train_classifier(0, a, np.arange(9)), "labels have shape .9,.: give"),
        (lambda a: frechet.train_classifier(0, a, np.ones(10, int)), "all labels are 1"),
        (lambda a: frechet.train_classifier(0, a, np.arange(10), 1), "num_updates is 1: give 2"),
    ],
)
def test_bad_input_has_its_error(ask, words):
    with pytest.raises(InputError, match=words):
        ask(np.random.default_rng(10).normal(size=(10, 2)))
