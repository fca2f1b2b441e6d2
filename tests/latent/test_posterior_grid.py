"""Posteriors on a grid, measured against encoders and Gaussians, in closed form where the toy is
linear."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from toy_cases import (
    best_gaussian_kl,
    case,
    encoder_log_prob,
    gaussian_divergence,
    gaussian_log_prob,
    likelihood,
    log_marginal,
    log_normal,
    many_x,
    marginal,
    points,
    posterior,
    posterior_kl,
    posterior_moments,
    sample_posterior,
)

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian
from diffenc.latent import posterior_grid, toys
from diffenc.latent.baseline_encoders import GaussianEncoder
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.posterior_grid import Grid
from diffenc.networks import MLP, ConditionalDenoiser


@functools.partial(jax.jit, static_argnums=2)
def closed_form(model, x, grid):
    """log p(x), the posterior's moments, and its log density on the grid."""
    mean, cov = model.posterior(x)
    log_p = gaussian_log_prob(mean, jnp.tile(cov[None], (len(x), 1, 1)), grid.points())
    return model.log_prob(x), mean, cov, log_p


def normal(key, shape):
    return np.asarray(jax.jit(jax.random.normal, static_argnums=1)(key, shape))


@pytest.fixture
def linear(monkeypatch):
    """A toy with linear g, and the same model in closed form."""
    weight = np.array([[1.0, -0.5], [0.3, 0.8], [0.0, 1.2]], np.float32)
    monkeypatch.setitem(toys._TOYS, "linear", (2, 0.5, lambda z: z @ weight.T))
    return toys.make("linear"), FactorAnalysis(weight, np.zeros(3, np.float32), np.float32(0.5))


def test_a_linear_toy_is_factor_analysis(linear):
    toy, model = linear
    x, grid = (
        np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32),
        Grid(2, num_points=100),
    )
    log_p = posterior(toy, grid, x)
    log_p_x, mean, cov, exact = closed_form(model, x, grid)
    np.testing.assert_allclose(log_marginal(toy, grid, x), log_p_x, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(log_p, exact, rtol=1e-4, atol=1e-4)
    found_mean, found_cov = posterior_moments(log_p, grid)
    np.testing.assert_allclose(found_mean, mean, atol=1e-5)
    np.testing.assert_allclose(found_cov, np.broadcast_to(cov, found_cov.shape), atol=1e-5)
    np.testing.assert_allclose(best_gaussian_kl(log_p, grid), 0.0, atol=1e-5)


def test_a_gaussian_encoder_has_its_closed_form_divergence(linear):
    toy, model = linear
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    encoder, grid = GaussianEncoder(MLP((), num_outputs=4)), Grid(2, num_points=100)
    kernel = np.float32(0.2) * normal(jax.random.key(1), (3, 4))
    bias = np.array([0.1, -0.2, -0.7, -0.4], np.float32)
    params = {"encoder": {"params": {"Dense_0": {"kernel": kernel, "bias": bias}}}}
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 0, 777)  # 777 does not divide 10000
    mean, log_width = jax.device_get(jax.jit(encoder.infer)(params, x))
    widths = np.exp(2 * log_width)[:, :, None] * np.eye(2, dtype=np.float32)[None]
    np.testing.assert_allclose(
        log_q, gaussian_log_prob(mean, widths, points(grid)), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(mass, 1.0, rtol=1e-5)
    _, posterior_mean, cov, _ = closed_form(model, x, grid)
    kl = gaussian_divergence(posterior_mean, np.tile(cov, (6, 1, 1)), mean, widths)
    found = posterior_kl(posterior(toy, grid, x), log_q, grid.volume)
    np.testing.assert_allclose(found, kl, rtol=1e-4)


@pytest.mark.parametrize(
    "num_points", [40, 100]
)  # cells as wide as a third of the posterior, and finer ones
def test_the_divergence_from_draws_is_that_of_quadrature(linear, num_points):
    toy, model = linear
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    posterior_mean, posterior_cov = jax.device_get(jax.jit(model.posterior)(x))
    mean, cov = posterior_mean + np.float32(0.3), np.float32(1.5) * posterior_cov
    exact = gaussian_divergence(
        posterior_mean, np.tile(posterior_cov, (6, 1, 1)), mean, np.tile(cov, (6, 1, 1))
    )
    draws = functools.partial(posterior_grid.posterior_kl_by_draws, num_draws=200)

    @jax.jit
    def found(key):
        gaussian = jax.vmap(lambda mean, z: Gaussian(mean, cov).log_prob(z[None])[0])
        return draws(key, toy, Grid(2, num_points=num_points), x, lambda z: gaussian(mean, z))

    assert_mean(np.stack([found(jax.random.key(i)) for i in range(40)]), np.asarray(exact))


def test_a_density_that_the_cells_miss_shows_in_its_mass():
    encoder, grid = GaussianEncoder(MLP((), num_outputs=2)), Grid(1, num_points=20)
    layer = {
        "kernel": np.zeros((1, 2), np.float32),
        "bias": np.array([0.25, -4.0], np.float32),
    }  # at the centre of a cell, width 0.018
    x = np.zeros((1, 1), np.float32)
    _, mass = encoder_log_prob(
        encoder, {"encoder": {"params": {"Dense_0": layer}}}, grid, x, 0, 1024
    )
    np.testing.assert_allclose(mass, grid.width * np.exp(4.0) / np.sqrt(2 * np.pi), rtol=1e-5)


def test_a_diffusion_encoder_has_mass_one_and_a_divergence_that_is_not_negative():
    toy, grid, x, log_p = case("absolute")
    encoder = DiffusionEncoder(
        ConditionalDenoiser(latent_dim=1, embed_features=(8,), features=(8,))
    )
    params = {"encoder": jax.device_get(jax.jit(encoder.init)(jax.random.key(0), x))}
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 6, 64)
    prior = log_normal(points(grid))[None]
    np.testing.assert_allclose(log_q, np.tile(prior, (len(x), 1)), atol=1e-4)  # r = 0: the prior
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)
    mean_likelihood = (np.exp(log_p) * likelihood(toy, x, points(grid))).sum(axis=1) * grid.volume
    gap = mean_likelihood - marginal("absolute")  # KL(p(z|x) || p(z)) = E log p(x|z) - log p(x)
    np.testing.assert_allclose(posterior_kl(log_p, log_q, grid.volume), gap, rtol=1e-4, atol=1e-4)
    layer = params["encoder"]["params"]["output"]
    layer["kernel"] = normal(jax.random.key(1), layer["kernel"].shape)
    log_q, mass = encoder_log_prob(encoder, params, grid, x, 6, 64)
    assert np.abs(np.asarray(log_q) - prior).max() > 0.1
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)
    assert np.all(np.asarray(posterior_kl(log_p, log_q, grid.volume)) > 0)


def test_no_gaussian_is_nearer_than_the_best():
    toy = toys.make("pinwheel")
    grid = Grid(
        toy.latent_dim, num_points=60
    )  # the moments are the grid's own: the equation holds on any grid

    @jax.jit
    def evaluate(x):
        log_p = posterior_grid.posterior(toy, grid, x)
        moments = posterior_grid.posterior_moments(log_p, grid)
        return log_p, moments, posterior_grid.best_gaussian_kl(log_p, grid), grid.points()

    @jax.jit
    def from_others(log_p, mean, cov, other_mean, other_cov, z):
        """The posterior's divergence from another Gaussian, and that of its own Gaussian."""
        log_q = gaussian_log_prob(other_mean, other_cov, z)
        kl = posterior_grid.posterior_kl(log_p, log_q, grid.volume)
        return kl, gaussian_divergence(mean, cov, other_mean, other_cov)

    x = many_x("pinwheel")[:4].astype(np.float64)
    with jax.enable_x64(True):
        log_p, (mean, cov), best, z = jax.device_get(evaluate(x))
        shear = 0.3 * np.ones_like(cov) * cov[:, :1, :1]
        for other in [(mean, cov), (mean + 0.1, cov), (mean, 1.3 * cov), (mean - 0.1, cov + shear)]:
            kl, excess = jax.device_get(from_others(log_p, mean, cov, *other, z))
            np.testing.assert_allclose(kl - best, excess, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["absolute", "pinwheel"])
def test_samples_have_the_moments_of_the_posterior(name):
    toy, grid, _, log_p = case(name)
    z = np.asarray(sample_posterior(jax.random.key(1), log_p[:3], grid, 4000))
    assert z.shape == (3, 4000, toy.latent_dim) and np.abs(z).max() <= grid.half_width
    mean, cov = posterior_moments(log_p[:3], grid)
    for one, m, c in zip(z, np.asarray(mean), np.asarray(cov), strict=True):
        assert_moments(one, m, c + grid.width**2 / 12 * np.eye(toy.latent_dim))


def test_samples_fill_their_cell():
    grid = Grid(2, num_points=10)
    cells = np.array([3, 58])
    log_p = np.full((2, 100), -np.inf, np.float32)
    log_p[[0, 1], cells] = -np.log(grid.volume)
    z = np.asarray(sample_posterior(jax.random.key(1), log_p, grid, 4000))
    for one, centre in zip(z, points(grid)[cells], strict=True):
        assert_moments(one, centre, grid.width**2 / 12 * np.eye(2))
        assert np.abs(one - centre[None]).max() <= grid.width / 2 + 1e-6
