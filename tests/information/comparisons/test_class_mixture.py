"""The information of labels by laws of the classes, against closed forms."""

import numpy as np
import pytest
from scipy.special import logsumexp

from diffenc.information import clusters
from diffenc.information.clusters import Clusters
from diffenc.information.codes.labels import pool
from diffenc.information.comparisons import class_mixture

DIM = 30
SETS = 6


def make(seed, shifts, spreads, n=1000, shares=None):
    """Draw n rows of classes N(shifts[l], spreads[l]^2), and their log ratios [n]."""
    rng = np.random.default_rng(seed)
    num_classes, dim = shifts.shape
    shares = np.full(num_classes, 1 / num_classes) if shares is None else np.array(shares)
    labels = rng.choice(num_classes, n, p=shares)
    x = shifts[labels] + spreads[labels][:, None] * rng.normal(size=(n, dim))
    squares = np.sum((x[:, None] - shifts) ** 2, axis=2) / spreads**2
    logs = -0.5 * squares - dim * np.log(spreads)
    return x, labels, logs[np.arange(n), labels] - logsumexp(logs, axis=1, b=shares)


def shifts_of(spread, num_classes=6, dim=DIM):
    return spread * np.random.default_rng(5).normal(size=(num_classes, dim))


def estimate(x, labels, of_rows=None, seed=0):
    return class_mixture.estimate(x, x, labels, np.random.default_rng(seed), of_rows)


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.2])
def test_the_information_of_shifted_classes_in_many_columns(spread):
    # Log ratios by the true laws, on the same rows, are the truth of these rows.
    shifts = shifts_of(spread)
    errors = []
    for seed in range(SETS):
        x, labels, truth = make(seed, shifts, np.ones(6))
        mixture = estimate(x, labels)
        difference = mixture.pointwise - truth
        sampling = difference.std() / len(x) ** 0.5
        errors.append((mixture.mean - truth.mean()) / np.hypot(sampling, mixture.systematic))
        assert mixture.systematic < 0.05
        assert mixture.mean <= mixture.entropy + 1e-9
    assert np.abs(errors).max() < 3 and abs(np.mean(errors)) < 3 / SETS**0.5


def test_classes_of_unequal_shares_and_covariances():
    shifts = shifts_of(0.3, 3, 8)
    spreads = np.array([0.5, 1.0, 2.0])
    x, labels, truth = make(1, shifts, spreads, 2000, (0.6, 0.3, 0.1))
    mixture = estimate(x, labels)
    sampling = (mixture.pointwise - truth).std() / len(x) ** 0.5
    assert abs(mixture.mean - truth.mean()) < 3 * np.hypot(sampling, mixture.systematic)
    assert mixture.systematic < 0.03 and mixture.by_means < truth.mean() - 0.2
    # The Gaussian of the mean covariance, less the classes' own.
    shares = np.bincount(labels) / len(labels)
    gain = 8 * (0.5 * np.log(shares @ spreads**2) - shares @ np.log(spreads))
    assert mixture.gain == pytest.approx(gain, abs=0.1)


def test_what_laws_tell_is_kept_beside_posteriors_that_tell_more():
    """Labels are decided by a length, of which means tell nothing and covariances a part."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(1500, 3))
    mixture = estimate(x, (np.sum(x**2, axis=1) > 2.366).astype(int))
    assert mixture.posterior and mixture.mean > 0.6
    assert abs(mixture.by_means) < 0.01 and 0.2 < mixture.by_shapes < 0.5


def test_steps_of_one_column_are_told_to_the_entropy_but_for_their_gaps():
    """floor(1.5 x) of one of three columns: a regression loses a tenth of a nat and more."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(1500, 3))
    mixture = estimate(x, pool(np.unique(np.floor(1.5 * x[:, 1]), return_inverse=True)[1]).pooled)
    assert mixture.posterior == "a forest of decision trees"
    assert mixture.entropy - 0.03 < mixture.mean < mixture.entropy


def test_independent_labels_scatter_about_0_within_their_error():
    values = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1000, 20))
        mixture = estimate(x, rng.integers(0, 5, 1000), seed=seed)
        sampling = mixture.pointwise.std() / 1000**0.5
        values.append((mixture.mean, np.hypot(sampling, mixture.systematic)))
    means, errors = np.transpose(values)
    assert abs(means.mean()) < errors.mean()
    assert np.abs(means / errors).max() < 3 and errors.max() < 0.02


def test_scores_are_taken_where_they_are_normal_and_x_where_it_is():
    x, labels, truth = make(2, shifts_of(0.6, 5, 10), np.ones(5))
    for pair in ((x, x**3), (x**3, x)):
        mixture = class_mixture.estimate(*pair, labels, np.random.default_rng(0))
        sampling = (mixture.pointwise - truth).std() / len(x) ** 0.5
        assert abs(mixture.mean - truth.mean()) < 3 * np.hypot(sampling, mixture.systematic)


def test_copies_in_clusters_are_not_recognized():
    # Rows that occur five times have labels without a law: only folds of whole clusters tell.
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(100, 40)), 5, axis=0)
    labels = np.repeat(rng.integers(0, 2, 100), 5)
    of_rows = Clusters(np.repeat(np.arange(100), 5), inflation=5.0)
    recognized = estimate(x, labels)
    mixture = estimate(x, labels, of_rows)
    error = np.hypot(clusters.estimate(mixture.pointwise, of_rows).stderr, mixture.systematic)
    assert abs(mixture.mean) < 3 * error < recognized.mean


def test_the_covariance_is_that_of_ledoit_and_wolf():
    from sklearn.covariance import ledoit_wolf

    rest = np.random.default_rng(4).normal(size=(50, 20)) * np.linspace(1, 3, 20)
    rest = rest - rest.mean(axis=0)
    expected = ledoit_wolf(rest, assume_centered=True)[0]
    np.testing.assert_allclose(class_mixture.shrink(rest), expected, rtol=1e-6, atol=1e-7)


def test_a_class_without_rows_and_a_column_that_is_the_label_are_no_failure():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 300)
    x = np.stack([labels.astype(float), rng.normal(size=300)], axis=1)
    mixture = estimate(x, labels)
    assert mixture.mean == pytest.approx(mixture.entropy, abs=1e-6)
    alone = estimate(x[:, :1], labels)
    assert alone.mean == pytest.approx(alone.entropy, abs=1e-6)
    laws = class_mixture.fit(x[labels < 2], labels[labels < 2], 3, True)
    ratios = class_mixture.log_ratios(laws, x, labels)[0]
    assert np.isfinite(ratios).all()
