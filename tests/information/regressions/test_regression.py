"""Regression of mean and shape: whitens, exact for its own law, nothing gained where nothing is,
Student laws found."""

import itertools

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.special import chdtri, log_ndtr, ndtr
from scipy.stats import chi

from diffenc.information.benchmark import pairs
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.regressions.regression import Features

MEAN = regression.without_shape(regression.polar)


def test_the_residual_is_white_and_puts_x_together():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(500, 3))
    x = gaussian.whiten(y[:, :2] ** 3 + 0.5 * rng.normal(size=(500, 2)))
    r, linear, factor, gain = regression.fit(x, regression.linear(y))
    np.testing.assert_allclose(linear + r @ factor.T, x, atol=1e-12)
    together = np.concatenate([r, gaussian.whiten(y)], axis=1)
    np.testing.assert_allclose(np.cov(together.T, bias=True)[:2], np.eye(5)[:2], atol=1e-12)
    assert not gain.any()


def test_the_density_is_that_of_a_gaussian_channel():
    """1/2 sum_j alpha^2 (1 - c_j / (alpha^2 c_j + sigma^2)), c_j the variances of white x left
    given y, by quadrature; over all lambda the information."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(500, 3))
    x = y[:, :2] @ [[1.0, 0.3], [0.0, 0.5]] + rng.normal(size=(500, 2))
    rho = np.linalg.svd(gaussian.whiten(x).T @ gaussian.whiten(y) / 500, compute_uv=False)
    edges, left = np.array([-30.0, -1.0, 0.5, 4.0, 30.0]), 1 - np.square(rho)

    def pointwise(log_snr):
        alpha2 = 1 / (1 + np.exp(-log_snr))
        return 0.5 * np.sum(alpha2 * (1 - left / (alpha2 * left + 1 - alpha2)))

    found = regression.density(x, y, edges) * np.diff(edges)
    np.testing.assert_allclose(
        found, [quad(pointwise, *pair)[0] for pair in itertools.pairwise(edges)], rtol=1e-6
    )
    assert found.sum() == pytest.approx(-0.5 * np.sum(np.log(left)), rel=1e-6)
    assert not regression.density(x, y[:, :0], edges).any()


def test_features_are_as_many_as_the_examples_determine():
    y = np.random.default_rng(22).normal(size=(400, 2))
    assert regression.polar(y).mean.shape == (400, 5) and regression.polar(y[:99]).mean.shape == (
        99,
        2,
    )
    assert regression.polar(y).shape.shape == (400, 3)
    assert regression.polar(np.tile(y, (3, 1))).shape.shape == (1200, 5)
    assert MEAN(y).shape.shape == regression.linear(y).shape.shape[:1] + (0,) == (400, 0)
    assert [regression.count_coefficients(count) for count in (0, 3)] == [0, 16]


def test_lengths_of_normal_vectors_have_normal_scores():
    q = np.array([1e-12, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-12])
    for dim in (1, 2, 25):
        score = regression.normal_score(np.square(chi.ppf(q, dim)), dim)
        np.testing.assert_allclose(
            score, [-7.034484, -2.326348, -1.281552, 0, 1.281552, 2.326348, 7.034484], atol=2e-4
        )


def test_outliers_have_normal_scores_beyond_underflow():
    """Of two coordinates the probability of a larger square s is exp(-s/2), of one it is that of
    both tails; of any number, lengths on either side of the underflow have scores alike."""
    lengths = np.array([30.0, 37.5, 38.0, 60.0, 300.0])
    of_two = regression.normal_score(np.square(lengths), 2)
    np.testing.assert_allclose(log_ndtr(-of_two), -0.5 * np.square(lengths), rtol=1e-10)
    of_one = regression.normal_score(np.square(lengths), 1)
    np.testing.assert_allclose(log_ndtr(-of_one), np.log(2) + log_ndtr(-lengths), rtol=1e-10)
    assert regression.normal_score(np.array([np.inf]), 2) == pytest.approx([1e6], rel=1e-6)
    for dim in (3, 40, 300):
        squares = chdtri(dim, regression.LEAST_PROBABILITY) + np.linspace(-10, 10, 10)
        slopes = np.diff(regression.normal_score(squares, dim))
        np.testing.assert_allclose(slopes, slopes.mean(), rtol=0.01)


def test_slopes_of_the_sinh_arcsinh_map():
    rng = np.random.default_rng(0)
    score, design = rng.normal(size=40), np.c_[np.ones(40), rng.normal(size=(40, 2))]

    def cost(coefficients):
        return regression._sinh_arcsinh(score, design @ coefficients.reshape(-1, 4))[0].sum()

    def slope(coefficients):
        return (
            design.T @ regression._sinh_arcsinh(score, design @ coefficients.reshape(-1, 4))[1]
        ).ravel()

    coefficients = 0.5 * rng.normal(size=12)
    assert check_grad(cost, slope, coefficients) < 1e-5 * np.linalg.norm(slope(coefficients))
    parameters, step = design @ coefficients.reshape(-1, 4), 1e-5
    ends = [regression._sinh_arcsinh(score + sign * step, parameters)[2] for sign in (1, -1)]
    found, _, mapped = regression._sinh_arcsinh(score, parameters)
    volume = np.log((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(found, 0.5 * mapped**2 - volume - 0.5 * score**2, atol=1e-6)


def draw_shaped(rng, n):
    """A lever [n, 1], scores [n] that a T of it makes normal, and what this true T gains [n]."""
    lever = rng.normal(size=(n, 1))
    parameters = np.c_[np.ones(n), lever] @ np.array([[0.2, -0.1, 0.1, 0.1], [0.5, 0.2, -0.2, 0.1]])
    m, log_s, e, log_d = parameters.T
    mapped = rng.normal(size=n)
    score = m + np.exp(log_s) * np.sinh((np.arcsinh(mapped) + e) / np.exp(log_d))
    cost = regression._sinh_arcsinh(score, _unbounded(parameters))[0]
    return lever, score, -cost


def _unbounded(parameters):
    """What the bound on log s and log d makes these parameters of."""
    parameters = parameters.copy()
    parameters[:, [1, 3]] = 3 * np.arctanh(parameters[:, [1, 3]] / 3)
    return parameters


def test_a_law_of_its_own_is_made_normal_without_bias():
    """In samples of 300, the fitted map gains what the true one does and, on average, half a nat
    for each number."""
    rng, differences = np.random.default_rng(5), []
    for _ in range(150):
        lever, score, true_gain = draw_shaped(rng, 300)
        differences.append(regression.fit_length_map(score, lever)[1].mean() - true_gain.mean())
    assert_mean(np.array(differences) - 8 / (2 * 300), 0.0)
    assert np.mean(differences) > NUM_SIGMAS * np.std(differences) / 150**0.5


@pytest.mark.parametrize("dim", [2, 25])
def test_the_gain_is_the_divergence_that_the_map_takes_away(dim):
    """r with the lengths of such a law: r' is normal whatever the lever, r is not; the gain is that
    of the true map, less what whitening gains by itself."""
    rng = np.random.default_rng(6)
    n = 20_000
    lever, score, true_gain = draw_shaped(rng, n)
    direction = rng.normal(size=(n, dim))
    length = np.where(score < 0, chi.ppf(ndtr(score), dim), chi.isf(ndtr(-score), dim))
    x = length[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    fitted = regression.fit(gaussian.whiten(x), Features(lever[:, :0], lever))
    before = regression.normal_score(np.square(x).sum(axis=1), dim)
    after = regression.normal_score(np.square(fitted.r).sum(axis=1), dim)
    for values, normal in ((before, False), (after, True)):
        parts = values * lever[:, 0], values**2 - 1, values**3, (values**2 - 1) * lever[:, 0]
        assert normal == all(abs(part.mean()) < NUM_SIGMAS * part.std() / n**0.5 for part in parts)
    whitening = 0.5 * (
        np.mean(np.sum(x**2, axis=1)) - dim - np.linalg.slogdet(np.cov(x.T, bias=True))[1]
    )
    by_chance = (dim * (dim + 1) / 2 + 8) / (
        2 * n
    )  # half a nat for each number of the covariance and of the map
    assert fitted.gain.mean() == pytest.approx(true_gain.mean() - whitening + by_chance, rel=0.02)
    assert true_gain.mean() > 0.1


def test_scales_far_apart_are_found_in_many_dimensions():
    """N(0, s^2 I) of 25 coordinates with s = 1 or 3 by a label: half of log|cov| less E log
    s^25."""
    rng = np.random.default_rng(7)
    n, dim = 4000, 25
    wide = (rng.uniform(size=(n, 1)) < 0.3).astype(float)
    x = gaussian.whiten(np.where(wide, 3.0, 1.0) * rng.normal(size=(n, dim)))
    truth = 0.5 * dim * np.log(0.7 + 0.3 * 9) - 0.3 * dim * np.log(3.0)
    found = regression.information(x, Features(wide[:, :0], wide))
    assert found.mean < truth + NUM_SIGMAS * found.pointwise.std() / n**0.5
    assert found.mean > 0.98 * truth


@pytest.mark.parametrize(
    ("dim", "dof"), [(1, 1), (2, 2), pytest.param(5, 3, marks=pytest.mark.slow)]
)
def test_most_of_a_student_law_is_found(dim, dof):
    task = pairs.StudentPair(dim, dim, dof)
    x, y = task.sample(jax.random.key(dim), 8000)
    x = gaussian.block_scores(np.random.default_rng(0), x)
    y = gaussian.block_scores(np.random.default_rng(0), y)
    without = regression.information(x, MEAN(y))
    found = regression.information(x, regression.polar(y))
    error = NUM_SIGMAS * found.pointwise.std() / 8000**0.5
    assert without.mean < 0.02 < found.mean - task.information + 0.07 * task.information + error
    assert found.mean < task.information + error and found.pointwise.mean() == pytest.approx(
        found.mean
    )


def test_nothing_is_gained_of_gaussians():
    task, gains = pairs.dense(2, 2, 0.5), []
    for key in jax.random.split(jax.random.key(9), 40):
        x, y = task.sample(key, 500)
        with_shape = regression.information(x, regression.polar(y))
        without = regression.information(x, MEAN(y))
        gains.append(with_shape.mean - without.mean)
    assert_mean(gains, 0.0)


def test_rows_are_weighted_where_noise_is_of_uneven_size():
    """x = t + exp(t) noise: the fitted law of x given y is about as likely as the true one."""
    rng = np.random.default_rng(8)
    missing = []
    for _ in range(5):
        y = rng.normal(size=(2000, 2))
        t = y.sum(axis=1, keepdims=True) / 2**0.5
        noise = rng.normal(size=t.shape)
        size = 0.5 * np.exp(1.1 * t)
        x = t + size * noise
        true = _log_normal(noise, size / x.std())
        features = regression.polar_signed(y)
        fitted = regression.fit(gaussian.whiten(x), features)
        plain = regression.fit(gaussian.whiten(x), regression.linear(features.mean))
        by_least_squares = _log_normal(plain.r, plain.factor[0])
        missing.append(np.mean(true - by_least_squares - fitted.gain))
    assert abs(np.mean(missing)) < 0.02


def _log_normal(z, scale):
    """Return log N(scale z; 0, scale^2) [N] up to a constant."""
    return -0.5 * np.square(z[:, 0]) - np.log(np.squeeze(scale))
