"""Losses: the noise levels, the three targets of one conditional mean, and entropies in closed
form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion import noise_levels
from diffenc.diffusion.analytic import FactorAnalysis, gaussian_kl
from diffenc.diffusion.parameterization import alpha_sigma, from_score
from diffenc.diffusion.processes import VPCosine
from diffenc.latent import targets

PROCESS = VPCosine()
MODEL = FactorAnalysis(
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]), jnp.array([0.1, 0.0, -0.2]), jnp.array(0.6)
)
X = jnp.array([[0.9, -1.4, 0.8]])


def draw_posterior(key, gamma, n):
    """n draws of z ~ q*(z|X), grad log q* there, and the law's mean [d] and covariance [d, d]."""
    mean, cov = MODEL.posterior(X, gamma)
    z = mean + jax.random.normal(key, (n, 2)) @ jnp.linalg.cholesky(cov).T
    return z, -jnp.linalg.solve(cov, (z - mean).T).T, mean[0], cov


def exact_v(z_t, log_snr, gamma=1.0):
    t = PROCESS.time(log_snr)
    score = MODEL.posterior_score(PROCESS, z_t, t, jnp.tile(X, (len(z_t), 1)), gamma)
    return from_score(PROCESS, "v", score, z_t, t)


@pytest.mark.parametrize("shape", [(1,), (1000,), (8, 5)])
def test_stratified_uniforms_fall_one_into_each_cell(shape):
    u = noise_levels.stratified_uniform(jax.random.key(0), shape)
    assert u.shape == shape
    cells = np.floor(np.asarray(u, np.float64).ravel() * u.size)
    np.testing.assert_array_equal(np.sort(cells), np.arange(u.size))
    assert u.size == 1 or not np.array_equal(cells, np.arange(u.size))  # in random order


def test_stratified_uniforms_are_each_uniform():
    u = jax.vmap(lambda key: noise_levels.stratified_uniform(key, (4,)))(
        jax.random.split(jax.random.key(0), 4000)
    )
    assert_mean(u, 0.5)
    assert_mean(u**2, 1 / 3)


@pytest.mark.parametrize("location, half_range", [(0.0, 7.0), (3.5, 7.0), (-2.0, 2.0)])
def test_the_truncated_logistic_is_a_density_and_its_quantiles(location, half_range):
    with jax.enable_x64(True):
        u = jnp.linspace(0.0, 1.0, 20_001)
        log_snr, density = noise_levels.truncated_logistic(u, location, half_range)
        np.testing.assert_allclose(
            log_snr[jnp.array([0, -1])], location + half_range * np.array([-1, 1]), atol=1e-12
        )
        mass = jnp.cumsum(0.5 * (density[1:] + density[:-1]) * jnp.diff(log_snr))
        np.testing.assert_allclose(mass, u[1:], atol=1e-5)
        shape = jax.nn.sigmoid(log_snr - location) * jax.nn.sigmoid(location - log_snr)
        np.testing.assert_allclose(density / density[10_000], shape / shape[10_000], rtol=1e-9)


@pytest.mark.parametrize("location", [0.0, 4.6])
def test_half_of_the_levels_are_uniform_in_the_angle(location):
    n = 40_000
    uniform = (jnp.arange(n) + 0.5) / n
    log_snr, density = noise_levels.with_angles(uniform, location)
    phi = np.sort(np.arctan(np.exp(-0.5 * np.asarray(log_snr[: n // 2], np.float64))))
    np.testing.assert_allclose(phi, 0.5 * np.pi * (np.arange(n // 2) + 0.5) / (n // 2), atol=1e-3)
    logistic, _ = noise_levels.truncated_logistic((jnp.arange(n // 2) + 0.5) / (n // 2), location)
    np.testing.assert_allclose(log_snr[n // 2 :], logistic, rtol=1e-3, atol=1e-3)
    # E[f/density] = int f dlambda, for f of known integrals: the logistic density, and dphi = alpha
    # sigma / 2 dlambda
    alpha, sigma = alpha_sigma(log_snr)
    np.testing.assert_allclose(np.mean(alpha**2 * sigma**2 / density), 1.0, rtol=1e-3)
    np.testing.assert_allclose(np.mean(0.5 * alpha * sigma / density), 0.5 * np.pi, rtol=1e-3)


def test_the_path_error_is_an_integral_over_the_angle():
    n = 40_000
    log_snr, density = noise_levels.with_angles((jnp.arange(n) + 0.5) / n, 3.0)
    alpha, sigma = alpha_sigma(log_snr)
    v = jnp.stack([alpha, 2 * sigma], axis=-1)  # 1/2 int dphi (cos^2 + 4 sin^2) = 5 pi / 8
    error = targets.path_error(v, jnp.zeros_like(v), alpha, sigma, density)
    np.testing.assert_allclose(np.mean(error), 5 * np.pi / 8, rtol=1e-3)


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_the_targets_have_one_conditional_mean(gamma):
    """target - v is uncorrelated with any function of z_t, where v is exact: so E[target | z_t] =
    v."""
    key_z, key_eps = jax.random.split(jax.random.key(0))
    z, grad, _, _ = draw_posterior(key_z, gamma, 20_000)
    eps = jax.random.normal(key_eps, z.shape)
    for log_snr in (-3.0, 0.0, 2.0, 5.0):
        alpha, sigma = alpha_sigma(jnp.array(log_snr))
        z_t = alpha * z + sigma * eps
        v, width = exact_v(z_t, jnp.array(log_snr), gamma), jnp.array([[0.4, 0.9]])
        denoising, pressure = (
            targets.denoising_target(z, eps, alpha, sigma),
            targets.pressure_target(z, grad, sigma),
        )
        c = targets.mixture_weight(width, alpha, sigma)
        for target in (denoising, pressure, c * pressure + (1 - c) * denoising):
            error = np.asarray(target - v)
            for probe in (jnp.ones_like(z_t), z_t, z_t**2, jnp.sin(3 * z_t)):
                assert_mean(error[:, :, None] * np.asarray(probe)[:, None, :], 0.0)


def test_the_mixture_has_no_variance_for_a_gaussian_posterior_of_that_width():
    with jax.enable_x64(True):
        mean, width = jnp.array([[0.7, -2.0]]), jnp.array([[0.3, 1.2]])
        key_z, key_eps = jax.random.split(jax.random.key(0))
        z = mean + width * jax.random.normal(key_z, (200, 2))
        eps, log_snr = jax.random.normal(key_eps, (200, 2)), jnp.linspace(-8.0, 12.0, 200)
        alpha, sigma = (a[:, None] for a in alpha_sigma(log_snr))
        c = targets.mixture_weight(width, alpha, sigma)
        pressure = targets.pressure_target(z, -(z - mean) / width**2, sigma)
        target = c * pressure + (1 - c) * targets.denoising_target(z, eps, alpha, sigma)
        z_t, variance = alpha * z + sigma * eps, (alpha * width) ** 2 + sigma**2
        np.testing.assert_allclose(
            target, sigma / variance * (alpha * (1 - width**2) * z_t - mean), atol=1e-12
        )


def draw_levels(key, n, location):
    """Noise levels over a range so wide that what lies outside is nothing, and their density."""
    return noise_levels.truncated_logistic(
        noise_levels.stratified_uniform(key, (n,)), location, half_range=16.0
    )


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_the_neural_entropy_of_the_exact_velocity_is_the_rate(gamma):
    key_z, key_eps, key_level = jax.random.split(jax.random.key(1), 3)
    z, _, mean, cov = draw_posterior(key_z, gamma, 20_000)
    log_snr, density = draw_levels(key_level, len(z), -0.5 * jnp.linalg.slogdet(cov)[1])
    alpha, sigma = alpha_sigma(log_snr)
    z_t = alpha[:, None] * z + sigma[:, None] * jax.random.normal(key_eps, z.shape)
    entropy = targets.neural_entropy_draw(exact_v(z_t, log_snr, gamma), alpha, density)
    rate = gaussian_kl(mean, cov, jnp.zeros(2), jnp.eye(2))
    assert_mean(entropy, rate)
    assert np.std(entropy) / np.sqrt(len(z)) < 0.02 * rate  # the test can tell


def test_the_excess_of_the_loss_is_the_divergence():
    """E |v_q - target|^2 - E |v - target|^2, weighted, is KL(posterior || q) for a Gaussian q and
    each target."""
    key_z, key_eps, key_level = jax.random.split(jax.random.key(2), 3)
    z, grad, mean, cov = draw_posterior(key_z, 1.0, 20_000)
    eps = jax.random.normal(key_eps, z.shape)
    log_snr, density = draw_levels(key_level, len(z), -0.5 * jnp.linalg.slogdet(cov)[1])
    alpha, sigma = alpha_sigma(log_snr)
    alpha_, sigma_ = alpha[:, None], sigma[:, None]
    z_t = alpha_ * z + sigma_ * eps
    wrong_mean, wrong_width = jnp.array([[0.3, -0.8]]), jnp.array([[0.9, 0.5]])
    variance = (alpha_ * wrong_width) ** 2 + sigma_**2
    wrong_v = sigma_ / variance * (alpha_ * (1 - wrong_width**2) * z_t - wrong_mean)
    divergence = gaussian_kl(mean, cov, wrong_mean[0], jnp.diag(wrong_width[0] ** 2))
    denoising, pressure = (
        targets.denoising_target(z, eps, alpha_, sigma_),
        targets.pressure_target(z, grad, sigma_),
    )
    c = targets.mixture_weight(wrong_width, alpha_, sigma_)
    for target in (denoising, pressure, c * pressure + (1 - c) * denoising):
        errors = [
            targets.weighted_error(v, target, alpha, density)
            for v in (wrong_v, exact_v(z_t, log_snr))
        ]
        assert_mean(errors[0] - errors[1], divergence)
