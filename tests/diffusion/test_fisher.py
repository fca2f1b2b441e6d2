"""Quadrature of densities against closed forms; how KL and entropy change with a little noise of
each family."""

import math

import jax
import numpy as np
import pytest
from scipy import special

from diffenc.diffusion import fisher
from diffenc.diffusion.fisher import Cells
from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.diffusion.noise_families import make
from diffenc.errors import InputError

NOISES = {
    name: make(name) for name in "gaussian laplace logistic uniform student correlated".split()
}
CELLS = {1: Cells(1, 10.0, 300), 2: Cells(2, 7.0, 40)}
NODES = {1: 400, 2: 32}  # along each axis: fewer than by default, for a noise of no width
STEP = 1e-7  # of sigma^2: the derivative is right to about as much
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
every_dim = pytest.mark.parametrize("dim", [1, 2])


def gaussian(mean, cov):
    return Gaussian(np.array(mean), np.array(cov))


PAIRS = {
    1: (gaussian([0.5], [[0.8]]), gaussian([-0.3], [[1.5]])),
    2: (
        gaussian([0.5, -0.2], [[0.9, 0.3], [0.3, 0.7]]),
        gaussian([0.0, 0.4], [[1.2, -0.4], [-0.4, 1.0]]),
    ),
}


def mixture(dim, weights, means, covs):
    """The log density of a mixture of Gaussians; means and variances are cut to `dim`."""
    means = np.array(means)[:, :dim]
    covs = np.array(covs)[:, :dim, :dim]
    whitening = np.linalg.inv(np.linalg.cholesky(covs))
    centres = whitening @ means[:, :, None]
    log_norms = np.log(weights) - 0.5 * np.linalg.slogdet(2 * np.pi * covs)[1]

    def log_prob(x):
        white = whitening @ x.T - centres
        terms = log_norms[:, None] - 0.5 * np.square(white).sum(axis=1)
        return np.logaddexp(*terms)

    return log_prob


def mixtures(dim):
    p = mixture(
        dim,
        [0.6, 0.4],
        [[-1.0, 0.5], [1.2, 0.0]],
        [[[0.5, 0.2], [0.2, 0.6]], [[0.8, -0.3], [-0.3, 0.7]]],
    )
    q = mixture(
        dim,
        [0.5, 0.5],
        [[0.0, 1.0], [0.7, -0.6]],
        [[[1.2, 0.0], [0.0, 0.8]], [[0.6, 0.1], [0.1, 1.3]]],
    )
    return p, q


@every_dim
def test_two_gaussians(dim):
    p, q = PAIRS[dim]
    cells = CELLS[dim]
    cov_p, cov_q = p.cov, q.cov
    with jax.enable_x64(True):
        expected = float(gaussian_kl(p.mean, cov_p, q.mean, cov_q))
    np.testing.assert_allclose(fisher.kl(p.log_prob, q.log_prob, cells), expected, rtol=1e-9)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * math.e * cov_p)[1]
    np.testing.assert_allclose(fisher.entropy(p.log_prob, cells), entropy, rtol=1e-9)
    information = fisher.fisher(p.log_prob, cells)
    np.testing.assert_allclose(information, np.trace(np.linalg.inv(cov_p)), rtol=1e-8)
    # grad log p/q = A (x - mean_p) + b
    weight = np.eye(dim) + 0.2
    matrix = np.linalg.inv(cov_q) - np.linalg.inv(cov_p)
    offset = np.linalg.solve(cov_q, p.mean - q.mean)
    expected = np.trace(matrix @ cov_p @ matrix @ weight) + offset @ weight @ offset
    relative = fisher.relative_fisher(p.log_prob, q.log_prob, cells, weight)
    np.testing.assert_allclose(relative, expected, rtol=1e-8)


@every_dim
@pytest.mark.parametrize("name", ["gaussian", "correlated"])
def test_gaussian_noise_widens_a_gaussian(name, dim):
    p = PAIRS[dim][0]
    noise = NOISES[name]
    noise_cov = noise.covariance((dim,)) if name == "correlated" else np.eye(dim)
    wider = mixture(dim, [1.0, 1e-300], [p.mean] * 2, [p.cov + 0.3 * noise_cov] * 2)
    x = np.linspace(-6, 6, 40 * dim).reshape(-1, dim)
    log_prob = fisher.smoothed(p.log_prob, noise, 0.3, dim)(x)
    np.testing.assert_allclose(log_prob, wider(x), atol=1e-8)


def test_laplace_and_uniform_noise_about_a_gaussian():
    p = mixture(1, [1.0, 1e-300], [[0.0]] * 2, [[[1.0]]] * 2)
    x = np.linspace(-8, 8, 33)
    sigma = 1.5
    rate = math.sqrt(2) / sigma
    distance = np.abs(x)
    toward = rate * distance + special.log_ndtr(-rate - distance)
    away = -rate * distance + special.log_ndtr(-rate + distance)
    laplace = math.log(rate / 2) + 0.5 * rate**2 + np.logaddexp(toward, away)
    width = sigma * math.sqrt(3)
    mass = special.ndtr(width - distance) - special.ndtr(-width - distance)
    uniform = np.log(mass / (2 * width))
    for noise, expected in ((NOISES["laplace"], laplace), (NOISES["uniform"], uniform)):
        log_prob = fisher.smoothed(p, noise, sigma**2, 1)(x[:, None])
        np.testing.assert_allclose(log_prob, expected, atol=1e-8)


@every_dim
@every_noise
def test_a_little_noise_changes_kl_and_entropy_by_half_the_fisher_information(noise, dim):
    p, q = mixtures(dim)
    cells = CELLS[dim]
    sigma2 = np.array([0.0, STEP])
    kl = fisher.kl_curve(p, q, noise, sigma2, cells, NODES[dim])
    entropy = fisher.entropy_curve(p, noise, sigma2, cells, NODES[dim])
    for curve in (kl, entropy):
        np.testing.assert_allclose(np.diff(curve.value)[0] / STEP, curve.slope, rtol=1e-5)
    assert kl.slope < -0.1 and entropy.slope > 0.1


@every_dim
def test_correlated_noise_has_another_slope_than_white_noise(dim):
    """Of the same p and q: in two dimensions they differ by more than a tenth of a percent."""
    p, q = mixtures(dim)
    white = fisher.kl_curve(p, q, NOISES["gaussian"], np.zeros(1), CELLS[dim]).slope
    correlated = fisher.kl_curve(p, q, NOISES["correlated"], np.zeros(1), CELLS[dim]).slope
    assert (abs(correlated / white - 1) > 1e-3) == (dim == 2)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "uniform", "student"])
def test_with_more_noise_gaussian_noise_alone_obeys_the_identities(name):
    p, q = mixtures(1)
    noise = NOISES[name]
    cells = Cells(1, 20.0, 300)
    sigma2 = 0.5 + 1e-2 * np.array([-2, -1, 1, 2])
    difference = np.array([1, -8, 8, -1]) / (12 * 1e-2)
    p_s = fisher.smoothed(p, noise, 0.5, 1)
    q_s = fisher.smoothed(q, noise, 0.5, 1)
    kl = difference @ fisher.kl_curve(p, q, noise, sigma2, cells).value
    entropy = difference @ fisher.entropy_curve(p, noise, sigma2, cells).value
    gaps = [
        kl / (-0.5 * fisher.relative_fisher(p_s, q_s, cells)) - 1,
        entropy / (0.5 * fisher.fisher(p_s, cells)) - 1,
    ]
    if name == "gaussian":
        np.testing.assert_allclose(gaps, 0.0, atol=1e-6)
    else:
        assert np.min(np.abs(gaps)) > 0.01


@every_noise
def test_noise_lowers_kl_and_raises_entropy(noise):
    p, q = mixtures(1)
    cells = Cells(1, 40.0, 400)
    sigma2 = np.array([0.0, 0.5, 1.0, 4.0])
    kl = fisher.kl_curve(p, q, noise, sigma2, cells)
    entropy = fisher.entropy_curve(p, noise, sigma2, cells)
    assert np.all(np.diff(kl.value) < 0) and np.all(np.diff(entropy.value) > 0)
    np.testing.assert_allclose(kl.value[0], fisher.kl(p, q, cells))
    np.testing.assert_array_equal(kl.sigma2, sigma2)


def normal(x):
    return PAIRS[1][0].log_prob(x)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: Cells(3), "dim is 3: give 1 or 2"),
        (lambda: Cells(1, 0.0), "half_width is 0.0"),
        (lambda: Cells(1, 5.0, 1), "num_cells is 1"),
        (lambda: fisher.entropy(normal, Cells(1, 1.0)), "up to 1: give its normalized log"),
        (lambda: fisher.kl(normal, lambda x: normal(x) + 1, Cells(1)), "mass 2.7183 on cells"),
        (lambda: fisher.entropy(lambda x: normal(x).astype("float32"), Cells(1)), "gives float32"),
        (lambda: fisher.entropy(lambda x: normal(x)[:, None], Cells(1)), "float64 .400, 1. at x"),
        (lambda: fisher.smoothed(normal, NOISES["laplace"], -1.0, 1), "sigma2 is -1.0"),
        (lambda: fisher.smoothed(normal, NOISES["laplace"], 1.0, 3), "dim is 3"),
        (lambda: fisher.smoothed(normal, NOISES["student"], 1.0, 1, 10), "give more num_nodes"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()
