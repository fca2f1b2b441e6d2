"""The Gaussian part of an information: scores, whitening, the closed form without its bias."""

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy.stats import rankdata

from diffenc.information.benchmark import pairs
from diffenc.information.coordinates import gaussian


def ties():
    """What breaks ties, the same in every call."""
    return np.random.default_rng(0)


def test_scores_do_not_depend_on_increasing_maps():
    x = np.random.default_rng(0).standard_t(2, size=(2000, 2))
    np.testing.assert_array_equal(
        gaussian.normal_scores(ties(), x), gaussian.normal_scores(ties(), np.arctan(x) ** 3)
    )


def test_normal_coordinates_are_only_standardized():
    rng = np.random.default_rng(1)
    x = np.stack([3 + 2 * rng.normal(size=5000), rng.uniform(size=5000)], axis=1)
    z = gaussian.normal_scores(ties(), x)
    np.testing.assert_allclose(z[:, 0], (x[:, 0] - x[:, 0].mean()) / x[:, 0].std())
    np.testing.assert_array_equal(z[:, 1], gaussian.by_rank(x)[:, 1])
    assert np.corrcoef(z[:, 1], x[:, 1])[0, 1] < 0.99


def test_uniform_coordinates_do_not_pass_for_normal():
    """Where a coordinate passes, the divergence it keeps, 0.176 nats, would be taken for 0."""
    for n in (100, 200, 400, 1000):
        z = np.random.default_rng(n).uniform(-(3**0.5), 3**0.5, size=(n, 500))
        assert gaussian.normal_enough((z - z.mean(axis=0)) / z.std(axis=0)).mean() < 0.02


def test_a_few_values_have_normal_scores_that_keep_their_order():
    rng = np.random.default_rng(11)
    x = np.stack([rng.integers(0, 2, size=1000), rng.integers(0, 5, size=1000)], axis=1).astype(
        float
    )
    z = gaussian.normal_scores(ties(), x)
    np.testing.assert_allclose(
        np.sort(z, axis=0), np.sort(gaussian.by_rank(rng.normal(size=(1000, 2))), axis=0)
    )
    for column in range(2):
        order = np.argsort(z[:, column])
        assert np.all(np.diff(x[order, column]) >= 0)
    same = x[:, 0] == 0  # within a value, by chance
    assert (
        abs(np.corrcoef(z[same, 0], np.arange(1000)[same])[0, 1]) < NUM_SIGMAS / same.sum() ** 0.5
    )


@pytest.mark.parametrize("n", [100, 1000, 4000])
def test_gaussian_information_does_not_change_under_exp(n):
    """Less than half a standard error: scores by rank and standardized ones see the same
    samples."""
    for index, (dim_x, dim_y) in enumerate(((1, 1), (2, 3), (1, 1), (2, 3))):
        x, y = pairs.dense(dim_x, dim_y, 0.5).sample(jax.random.key(20 + index), n)
        first, second = (
            gaussian.gaussian_information(
                gaussian.normal_scores(ties(), a), gaussian.normal_scores(ties(), b)
            )
            for a, b in ((x, y), (np.exp(x), np.exp(y)))
        )
        assert abs(first.mean - second.mean) < 0.5 * second.pointwise.std() / n**0.5


@pytest.mark.parametrize("dof", [1.0, 2.0])
def test_elliptical_blocks_are_made_normal_in_any_coordinates(dof):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(4000, 3)) / np.sqrt(rng.chisquare(dof, size=(4000, 1)) / dof)
    x = np.arcsinh(x @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]))
    marginal = gaussian._misfit(gaussian.normal_scores(ties(), x))
    block = gaussian._misfit(gaussian.block_scores(ties(), x))
    assert marginal > 2.0 and block < 0.8
    np.testing.assert_array_equal(
        gaussian.block_scores(ties(), x), gaussian.block_scores(ties(), np.sinh(x) ** 3)
    )


def test_a_gaussian_copula_keeps_its_normal_scores():
    x = np.random.default_rng(8).multivariate_normal(
        np.zeros(3), np.full((3, 3), 0.5) + 0.5 * np.eye(3), size=3000
    )
    for block in (x, np.exp(x), x[:, :1]):
        np.testing.assert_array_equal(
            gaussian.block_scores(ties(), block), gaussian.normal_scores(ties(), block)
        )


def test_radial_scores_keep_directions_and_have_the_right_lengths():
    x = np.random.default_rng(9).standard_t(3, size=(2001, 2))
    z = gaussian.radial_scores(x)
    order = np.argsort(np.linalg.norm(z, axis=1))
    middle = np.linalg.norm(z[order[1000]])
    assert middle == pytest.approx(
        np.sqrt(2 * np.log(2)), rel=1e-6
    )  # the median length in the plane
    white = gaussian.whiten(z)
    assert np.abs(white - z).max() < 0.5 and np.abs(white - z).mean() < 0.05


def test_sources_are_told_apart_where_examples_are_enough():
    """Of a rotated square of uniform sources, up to sign and order; one coordinate and few examples
    stay mixed."""
    rng = np.random.default_rng(12)
    sources = rng.uniform(-1, 1, size=(4000, 2))
    scores = gaussian.independent_scores(ties(), sources @ np.array([[2.0, 1.0], [-1.0, 2.0]]))
    found = np.abs(
        np.corrcoef(np.concatenate([scores, gaussian.by_rank(sources)], axis=1).T)[:2, 2:]
    )
    for axis in (0, 1):
        np.testing.assert_allclose(
            np.sort(found, axis=axis), np.sort(np.eye(2), axis=axis), atol=0.05
        )
    tied = np.stack(
        [rng.integers(0, 2, size=4000), sources[:, 0]], axis=1
    )  # their order would be that of the other
    assert gaussian.independent_scores(ties(), tied) is None
    assert gaussian.independent_scores(ties(), sources[:, :1]) is None
    assert gaussian.independent_scores(ties(), sources[:19]) is None
    assert gaussian.independent_scores(ties(), rng.normal(size=(4000, 3))) is None
    assert gaussian.independent_scores(ties(), rng.normal(size=(4000, 4))) is not None


def test_outliers_that_hold_all_of_a_variance_are_not_unmixed():
    """Of their sources all other rows are on a line, to rounding."""
    cauchy = np.random.default_rng(13).standard_cauchy((500, 2))
    x = np.stack([np.sinh(3 * np.arcsinh(cauchy[:, 0])), cauchy.sum(axis=1)], axis=1)
    assert gaussian.independent_scores(ties(), x) is None
    assert np.isfinite(gaussian.block_scores(ties(), x)).all()


def test_anderson_darling_agrees_with_scipy():
    from scipy import stats

    x = np.random.default_rng(2).normal(size=(300, 3)) ** np.array([1, 3, 1])
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    expected = [
        stats.goodness_of_fit(
            stats.norm, column, statistic="ad", known_params=dict(loc=0, scale=1), n_mc_samples=1
        ).statistic
        for column in z.T
    ]
    np.testing.assert_allclose(gaussian.anderson_darling(z), expected, rtol=1e-6)


def test_gaussian_information_is_unbiased_where_samples_are_few():
    task = pairs.dense(4, 3, 0.5)
    values = [
        gaussian.gaussian_information(*task.sample(key, 40)).mean
        for key in jax.random.split(jax.random.key(4), 600)
    ]
    assert_mean(values, task.information)
    biased = np.array(values).mean() + 4 * 3 / (
        2 * 40
    )  # what the plug-in would say, to first order
    assert abs(biased - task.information) > NUM_SIGMAS * np.std(values) / len(values) ** 0.5


def test_the_pointwise_spread_is_that_of_the_estimate():
    task = pairs.sparse(2, 2, 0.8)
    values, errors = [], []
    for key in jax.random.split(jax.random.key(5), 400):
        result = gaussian.gaussian_information(*task.sample(key, 500))
        values.append(result.mean)
        errors.append(result.pointwise.std() / 500**0.5)
        assert result.pointwise.mean() == pytest.approx(result.mean)
    spread = np.std(values, ddof=1)
    assert abs(np.mean(errors) / spread - 1) < NUM_SIGMAS / (2 * 400) ** 0.5


def test_high_information_keeps_its_digits():
    task = pairs.high_information(80, 80.0)
    result = gaussian.gaussian_information(*task.sample(jax.random.key(6), 5000))
    assert abs(result.mean - 80.0) < NUM_SIGMAS * result.pointwise.std() / 5000**0.5


def test_ranks_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=100), rng.integers(0, 9, size=100)):
        np.testing.assert_array_equal(gaussian._ranks(values), rankdata(values))


def test_images_that_no_regression_can_use_are_not_sound():
    """What is not finite, constant, or no longer told from another coordinate."""
    x, y = np.random.default_rng(3).normal(size=(2, 2, 200, 2))
    assert gaussian.is_sound(x, y)
    pressed = x @ np.array([[1.0, 1.0], [0.0, 1e-8]])
    for bad in (np.where(x > 2, np.inf, x), x * [0.0, 1.0], pressed):
        assert not gaussian.is_sound(bad, y) and not gaussian.is_sound(x, bad)
