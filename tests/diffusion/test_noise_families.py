"""Noises: densities against scipy's and by automatic differentiation, samples against both."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from scipy import stats

from diffenc.diffusion import noise_families
from diffenc.diffusion.noise_families import Correlated, Student, Uniform, make
from diffenc.errors import InputError

LAWS = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(scale=math.sqrt(1 / 2)),
    "logistic": stats.logistic(scale=math.sqrt(3) / math.pi),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "student": stats.t(9.0, scale=math.sqrt(7 / 9)),
}
NOISES = {name: make(name) for name in LAWS} | {"student": Student(9.0)}
ALL = NOISES | {"correlated": Correlated(1.5)}
every_white_noise = pytest.mark.parametrize("name", NOISES)
every_noise = pytest.mark.parametrize("noise", ALL.values(), ids=ALL)
SHAPE = (2, 3)  # of an example


@functools.partial(jax.jit, static_argnums=0)
def functions(noise, u):
    """The density, its score and the distribution function, and the gradients of two of them."""
    score = jnp.zeros_like(u) if isinstance(noise, Uniform) else noise.score(u)
    slopes = jax.grad(lambda u: noise.log_prob(u).sum())(u)
    return noise.log_prob(u), score, slopes, noise.cdf(u), jax.grad(lambda u: noise.cdf(u).sum())(u)


def functions_at(noise, u):
    with jax.enable_x64(True):
        return [np.asarray(value) for value in functions(noise, np.asarray(u, np.float64))]


@every_white_noise
def test_density_and_distribution_are_those_of_scipy(name):
    law = LAWS[name]
    noise = NOISES[name]
    u = 2 * np.random.default_rng(0).normal(size=(5, *SHAPE))
    log_prob, _, _, cdf, density = functions_at(noise, u)
    np.testing.assert_allclose(log_prob, law.logpdf(u).sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(cdf, law.cdf(u), rtol=1e-10)
    np.testing.assert_allclose(density, law.pdf(u), rtol=1e-10)
    np.testing.assert_allclose(noise.entropy(SHAPE), 6 * law.entropy(), rtol=1e-10)
    np.testing.assert_allclose([law.mean(), law.var()], [0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (3, 2, 2)], ids=str)
def test_correlated_noise_is_that_of_scipy(shape):
    noise = ALL["correlated"]
    cov = noise.covariance(shape)
    place = np.indices(shape).reshape(len(shape), -1)
    distance = np.abs(place[:2, :, None] - place[:2, None, :]).sum(axis=0)
    same_channel = 1.0 if len(shape) < 3 else place[2][:, None] == place[2][None]
    np.testing.assert_allclose(cov, np.exp(-distance / 1.5) * same_channel, atol=1e-12)
    law = stats.multivariate_normal(np.zeros(len(cov)), cov)
    u = np.random.default_rng(0).normal(size=(5, *shape))
    log_prob, score, _, cdf, _ = functions_at(noise, u)
    flat = u.reshape(5, -1)
    np.testing.assert_allclose(log_prob, law.logpdf(flat), rtol=1e-10)
    np.testing.assert_allclose(score.reshape(5, -1), -np.linalg.solve(cov, flat.T).T, rtol=1e-9)
    np.testing.assert_allclose(cdf, stats.norm.cdf(u), rtol=1e-10)
    np.testing.assert_allclose(noise.entropy(shape), law.entropy(), rtol=1e-10)


@every_noise
def test_score_is_the_gradient_of_the_log_density(noise):
    _, score, slopes, _, _ = functions_at(noise, np.random.default_rng(1).normal(size=(5, *SHAPE)))
    np.testing.assert_allclose(score, slopes, rtol=1e-9, atol=1e-12)


@functools.partial(jax.jit, static_argnums=0)
def draw(noise, key):
    """Samples, their log densities and the distribution function at them."""
    u = noise.sample(key, (4000, *SHAPE))
    return u, noise.log_prob(u), noise.cdf(u)


@every_noise
def test_samples_have_the_moments_the_entropy_and_the_distribution_of_the_law(noise):
    u, log_prob, cdf = jax.tree.map(np.asarray, draw(noise, jax.random.key(0)))
    assert u.dtype == np.float32
    cov = noise.covariance(SHAPE) if noise is ALL["correlated"] else np.eye(6)
    assert_moments(u.reshape(len(u), -1), np.zeros(6), cov)
    if isinstance(noise, Uniform):  # a constant, exact to rounding
        np.testing.assert_allclose(-log_prob, noise.entropy(SHAPE), rtol=1e-6)
    else:
        assert_mean(-log_prob, noise.entropy(SHAPE))
    for power in (1, 2, 3):  # P(coordinate <= u) of a sample is uniform
        assert_mean(cdf**power, 1 / (power + 1))


@every_noise
def test_nodes_and_weights_give_moments(noise):
    for shape in ((1,), (2,), (1, 2, 1)):
        u, weights = noise.quadrature(shape, 40)
        assert u.shape == (len(weights), *shape) and np.all(weights > 0)
        flat = u.reshape(len(u), -1)
        moments = [weights.sum(), *(weights @ flat)]
        np.testing.assert_allclose(moments, [1.0, *np.zeros(flat.shape[1])], atol=1e-12)
        cov = noise.covariance(shape) if noise is ALL["correlated"] else np.eye(flat.shape[1])
        np.testing.assert_allclose((weights * flat.T) @ flat, cov, atol=1e-7)


@every_white_noise
def test_nodes_and_weights_give_the_characteristic_function(name):
    u, weights = NOISES[name].quadrature((1,), 40)
    expected = LAWS[name].expect(np.cos, epsabs=1e-10)
    np.testing.assert_allclose(weights @ np.cos(u[:, 0]), expected, rtol=1e-6)


@pytest.mark.parametrize("df, num", [(3.0, 400), (5.0, 40), (30.0, 40)])
def test_tails_are_cut_where_they_hold_next_to_no_variance(df, num):
    u, weights = Student(df).quadrature((1,), num)
    np.testing.assert_allclose(weights @ u[:, 0] ** 2, 1.0, atol=1e-5)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: make("laplas"), r"noise is 'laplas': .*\(nearest: laplace\)"),
        (lambda: make("gaussian", df=3.0), "option of the noise 'gaussian' is 'df': give none"),
        (lambda: make("student", length=3.0), "'length': give df"),
        (lambda: Student(2.0), "df is 2.0: give more than 2"),
        (lambda: Correlated(0.0), "length is 0.0"),
        (lambda: Uniform().score(np.zeros((1, 2))), "the uniform noise has no score"),
        (lambda: Correlated().entropy((2, 2, 2, 2)), "shape of an example is"),
        (lambda: Correlated().sample(jax.random.key(0), (3,)), "shape of an example is"),
        (lambda: Uniform().quadrature((3,), 4), "number of coordinates is 3"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()


def test_names():
    assert make("student", df=4.0) == Student(4.0) and make("correlated", length=2) == Correlated(2)
    assert list(noise_families._FAMILIES) == [*ALL]
