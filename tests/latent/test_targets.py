"""Losses: the noise levels, the three targets of one conditional mean, and entropies in closed
form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion import noise_levels
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import gaussian_kl
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
