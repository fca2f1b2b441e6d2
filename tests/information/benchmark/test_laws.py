"""Laws: densities against independent numerics, samples against their laws, information by
averages against closed forms and quadrature."""

import dataclasses

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean, assert_moments
from scipy import integrate, special, stats

from diffenc.errors import InputError
from diffenc.information.benchmark import laws, pairs


def assert_truth(law, truth):
    """The law's information is the truth within its standard error, which is small."""
    estimate = law.truth
    assert estimate.stderr < 2e-3 and abs(estimate.mean - truth) < NUM_SIGMAS * estimate.stderr


def test_one_component_is_a_gaussian():
    pair = pairs.dense(2, 3, 0.5)
    law = laws.gaussian_mixture([1.0], np.zeros((1, 5)), [pair.cov], 2)
    x, y = law.sample(jax.random.key(0), 3000)
    assert law.dims == pair.dims == (2, 3)
    assert_moments(np.concatenate([x, y], axis=1), np.zeros(5), pair.cov)
    np.testing.assert_allclose(law.pointwise(x, y), pair.pointwise(x, y), atol=1e-9)
    assert_truth(law, pair.information)
    assert_mean(pair.pointwise(x, y), pair.information)


def test_a_mixture_has_its_density_and_moments():
    weights = np.array([0.2, 0.5, 0.3])
    means = np.array([[0.0, 1.0], [2.0, -1.0], [-1.0, 0.5]])
    covs = np.array([[[1.0, 0.5], [0.5, 0.7]], np.diag([0.3, 0.2]), [[0.5, -0.4], [-0.4, 0.6]]])
    law = laws.gaussian_mixture(weights, means, covs, 1)
    x, y = law.sample(jax.random.key(1), 5000)
    mean = weights @ means
    spread = covs + means[:, :, None] * means[:, None, :]
    cov = np.einsum("k,kij->ij", weights, spread) - np.outer(mean, mean)
    assert_moments(np.concatenate([x, y], axis=1), mean, cov)

    grid = np.linspace(-7, 7, 281)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    terms = zip(weights, means, covs, strict=True)
    joint = sum(w * stats.multivariate_normal(m, c).pdf(points) for w, m, c in terms)
    step = grid[1] - grid[0]
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True) * step**2
    truth = np.sum(joint * np.log(joint / alone)) * step**2
    assert_truth(law, truth)
    inside = (joint > 1e-5).ravel()
    pointwise = law.pointwise(points[..., :1].reshape(-1, 1), points[..., 1:].reshape(-1, 1))
    np.testing.assert_allclose(pointwise[inside], np.log(joint / alone).ravel()[inside], atol=1e-6)


@pytest.mark.parametrize(
    "noise, density",
    [
        (laws.NORMAL, stats.norm),
        (laws.LAPLACE, stats.laplace),
        (laws.EXPONENTIAL, stats.expon),
    ],
)
def test_noise_has_its_law(noise, density):
    u = np.linspace(0.01, 0.99, 99)
    np.testing.assert_allclose(noise.quantile(u), density.ppf(u), atol=1e-12)
    np.testing.assert_allclose(noise.log_density(density.ppf(u)), density.logpdf(density.ppf(u)))
    assert noise is not laws.EXPONENTIAL or noise.log_density(np.float64(-0.1)) == -np.inf


def test_a_channel_by_quadrature():
    """p(y) of a sine, and I = h(Y) - h(noise)."""
    law = laws.channel(1, lambda x: x[:, 0], lambda t: np.sin(2 * t), 0.5)

    grid = np.linspace(-4, 4, 161)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    terms = stats.norm.pdf(grid[:, None], np.sin(18 * nodes), 0.5) * stats.norm.pdf(9 * nodes)
    densities = 9 * terms @ weights
    entropy = -np.sum(densities * np.log(densities)) * (grid[1] - grid[0])
    assert_truth(law, entropy - stats.norm.entropy(scale=0.5))
    x = np.full((161, 1), 0.4)
    expected = stats.norm.logpdf(grid, np.sin(0.8), 0.5) - np.log(densities)
    np.testing.assert_allclose(law.pointwise(x, grid[:, None]), expected, atol=1e-7)


def test_a_channel_of_a_statistic_of_a_known_law():
    """Squared lengths are chi-squared; noise has the size that was asked; more nodes change
    nothing."""

    def square_length(x):
        return np.sum(np.square(x), axis=1)

    def make(nodes):
        return laws.channel(
            3,
            square_length,
            lambda t: 2 * t,
            lambda t: 1 + t,
            quantile=lambda z: special.chdtri(3, special.ndtr(-z)),
            nodes=nodes,
        )

    x, y = make(1024).sample(jax.random.key(2), 4000)
    square = square_length(x)
    assert_moments((y - 2 * square[:, None]) / (1 + square[:, None]), np.zeros(1), np.eye(1))
    by_nodes = [make(nodes).pointwise(x[:400], y[:400]) for nodes in (1024, 4096)]
    np.testing.assert_allclose(*by_nodes, atol=1e-6)


COPULAS = {  # the law, its distribution function and Kendall's tau
    "clayton": (
        laws.clayton(2.0),
        lambda u, v: (u**-2.0 + v**-2.0 - 1) ** -0.5,
        0.5,
    ),
    "frank": (
        laws.frank(6.0),
        lambda u, v: -np.log1p(np.expm1(-6 * u) * np.expm1(-6 * v) / np.expm1(-6)) / 6,
        1 - 4 / 6 * (1 - integrate.quad(lambda t: t / np.expm1(t), 0, 6)[0] / 6),
    ),
    "gumbel": (
        laws.gumbel(2.5),
        lambda u, v: np.exp(-(((-np.log(u)) ** 2.5 + (-np.log(v)) ** 2.5) ** 0.4)),
        0.6,
    ),
}


@pytest.mark.parametrize("name", COPULAS)
def test_a_copula_has_its_density_and_its_samples(name):
    law, distribution, tau = COPULAS[name]
    u, v = np.random.default_rng(0).uniform(0.05, 0.95, (2, 200, 1))
    h = 1e-4
    mixed = (
        distribution(u + h, v + h)
        - distribution(u + h, v - h)
        - distribution(u - h, v + h)
        + distribution(u - h, v - h)
    ) / (4 * h**2)
    np.testing.assert_allclose(np.exp(law.pointwise(u, v)), mixed[:, 0], rtol=1e-4)
    x, y = law.sample(jax.random.key(3), 4000)
    for margin in (x, y):
        assert stats.kstest(margin[:, 0], "uniform").pvalue > 1e-4
    # tau is the mean sign over pairs of pairs; disjoint ones are independent
    assert_mean(np.sign((x[::2] - x[1::2]) * (y[::2] - y[1::2]))[:, 0], tau)
    assert_mean(law.pointwise(x, y), law.information)
    assert law.truth.stderr < 5e-4


def test_von_mises_by_quadrature():
    law = laws.VonMises(3.0)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    log_ratio = law.pointwise(np.zeros((400, 1)), angle[:, None])
    np.testing.assert_allclose(np.exp(log_ratio).mean(), 1.0)
    assert law.information == pytest.approx(np.mean(np.exp(log_ratio) * log_ratio), rel=1e-12)
    x, y = law.sample(jax.random.key(4), 4000)
    assert_mean(law.pointwise(x, y), law.information)
    assert np.abs(np.concatenate([x, y])).max() <= np.pi


def test_choices_by_quadrature():
    """Two labels: I = log 2 - E of the entropy of a coin of chance 1 / (1 + exp(-2 s x))."""
    law = laws.choice(3, 2, 0.8)
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    entropy = stats.bernoulli(special.expit(1.6 * nodes)).entropy()
    assert_truth(law, np.log(2) - weights @ entropy / weights.sum())
    law = laws.choice(2, 3, 3.0)
    x, labels = law.sample(jax.random.key(5), 6000)
    assert x.shape == (6000, 2) and labels.dtype.kind == "i"
    assert_mean(labels[:, None] == np.arange(3), 1 / 3)
    assert_mean(
        x[:, None] * (labels[:, None, None] == np.arange(3)[:, None]).sum(axis=1)[:, None], 0.0
    )


def test_a_product_adds_up():
    parts = (pairs.UniformNoise(0.3), pairs.StudentPair(2, 1, 3), laws.VonMises(1.0))
    law = pairs.Product(parts)
    x, y = law.sample(jax.random.key(6), 500)
    assert law.dims == (4, 3) and x.shape == (500, 4) and y.shape == (500, 3)
    pieces = ((slice(0, 1), slice(0, 1)), (slice(1, 3), slice(1, 2)), (slice(3, 4), slice(2, 3)))
    terms = [part.pointwise(x[:, a], y[:, b]) for part, (a, b) in zip(parts, pieces, strict=True)]
    np.testing.assert_allclose(law.pointwise(x, y), sum(terms))
    assert law.information == pytest.approx(sum(part.information for part in parts))
    assert abs(np.corrcoef(x[:, 0], x[:, 3])[0, 1]) < NUM_SIGMAS / 500**0.5  # keys of their own


def test_points_reduce_the_error_of_the_truth():
    law = laws.clayton(2.0)
    coarse = dataclasses.replace(law, log2_points=6)
    assert law.truth.stderr < coarse.truth.stderr / 10
    assert abs(law.information - coarse.information) < NUM_SIGMAS * coarse.truth.stderr


def test_weights_that_are_none_are_refused():
    with pytest.raises(InputError, match="sum 1"):
        laws.gaussian_mixture([0.5, 0.4], np.zeros((2, 2)), np.eye(2)[None], 1)
    with pytest.raises(InputError, match="concentration is -1"):
        laws.VonMises(-1.0)
