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
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
)
X = np.array([[0.9, -1.4, 0.8]], np.float32)


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

    @jax.jit
    def errors():
        log_snr, density = noise_levels.with_angles((jnp.arange(n) + 0.5) / n, 3.0)
        alpha, sigma = alpha_sigma(log_snr)
        v = jnp.stack([alpha, 2 * sigma], axis=-1)  # 1/2 int dphi (cos^2 + 4 sin^2) = 5 pi / 8
        return targets.path_error(v, jnp.zeros_like(v), alpha, sigma, density)

    np.testing.assert_allclose(np.mean(errors()), 5 * np.pi / 8, rtol=1e-3)


def three_targets(z, eps, grad, width, alpha, sigma):
    """The denoising target, the pressure target and their mixture for a posterior of this width."""
    denoising = targets.denoising_target(z, eps, alpha, sigma)
    pressure = targets.pressure_target(z, grad, sigma)
    c = targets.mixture_weight(width, alpha, sigma)
    return denoising, pressure, c * pressure + (1 - c) * denoising


@jax.jit
def noised(gamma):
    """For several noise levels: z_t, and the difference of each target from the exact velocity."""
    key_z, key_eps = jax.random.split(jax.random.key(0))
    z, grad, _, _ = draw_posterior(key_z, gamma, 20_000)
    eps = jax.random.normal(key_eps, z.shape)

    def at_level(log_snr):
        alpha, sigma = alpha_sigma(log_snr)
        z_t = alpha * z + sigma * eps
        v = exact_v(z_t, log_snr, gamma)
        width = jnp.array([[0.4, 0.9]])
        return z_t, [a - v for a in three_targets(z, eps, grad, width, alpha, sigma)]

    return jax.vmap(at_level)(jnp.array([-3.0, 0.0, 2.0, 5.0]))


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_the_targets_have_one_conditional_mean(gamma):
    """target - v is uncorrelated with any function of z_t, where v is exact: so E[target | z_t] =
    v."""
    for z_t, *errors in zip(*jax.tree.leaves(jax.device_get(noised(gamma))), strict=True):
        for error in errors:
            for probe in (np.ones_like(z_t), z_t, z_t**2, np.sin(3 * z_t)):
                assert_mean(error[:, :, None] * probe[:, None, :], 0.0)


def test_the_mixture_has_no_variance_for_a_gaussian_posterior_of_that_width():
    rng = np.random.default_rng(0)
    mean, width = np.array([[0.7, -2.0]]), np.array([[0.3, 1.2]])
    z = mean + width * rng.normal(size=(200, 2))
    eps, log_snr = rng.normal(size=(200, 2)), np.linspace(-8.0, 12.0, 200)
    alpha = np.sqrt(1 / (1 + np.exp(-log_snr)))[:, None]
    sigma = np.sqrt(1 / (1 + np.exp(log_snr)))[:, None]
    with jax.enable_x64(True):
        *_, target = jax.jit(three_targets)(z, eps, -(z - mean) / width**2, width, alpha, sigma)
    z_t, variance = alpha * z + sigma * eps, (alpha * width) ** 2 + sigma**2
    np.testing.assert_allclose(
        target, sigma / variance * (alpha * (1 - width**2) * z_t - mean), atol=1e-12
    )


def draw_levels(key, n, cov):
    """Noise levels over a range so wide that what lies outside is nothing, and their density."""
    location = -0.5 * jnp.linalg.slogdet(cov)[1]
    return noise_levels.truncated_logistic(
        noise_levels.stratified_uniform(key, (n,)), location, half_range=16.0
    )


@jax.jit
def neural_entropy(gamma):
    """Draws of the neural entropy of the exact velocity, and the rate."""
    key_z, key_eps, key_level = jax.random.split(jax.random.key(1), 3)
    z, _, mean, cov = draw_posterior(key_z, gamma, 20_000)
    log_snr, density = draw_levels(key_level, len(z), cov)
    alpha, sigma = alpha_sigma(log_snr)
    z_t = alpha[:, None] * z + sigma[:, None] * jax.random.normal(key_eps, z.shape)
    draws = targets.neural_entropy_draw(exact_v(z_t, log_snr, gamma), alpha, density)
    return draws, gaussian_kl(mean, cov, jnp.zeros(2), jnp.eye(2))


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_the_neural_entropy_of_the_exact_velocity_is_the_rate(gamma):
    entropy, rate = jax.device_get(neural_entropy(gamma))
    assert_mean(entropy, rate)
    assert np.std(entropy) / np.sqrt(len(entropy)) < 0.02 * rate  # the test can tell


def test_the_excess_of_the_loss_is_the_divergence():
    """E |v_q - target|^2 - E |v - target|^2, weighted, is KL(posterior || q) for a Gaussian q and
    each target."""
    wrong_mean = np.array([[0.3, -0.8]], np.float32)
    wrong_width = np.array([[0.9, 0.5]], np.float32)

    @jax.jit
    def excess():
        key_z, key_eps, key_level = jax.random.split(jax.random.key(2), 3)
        z, grad, mean, cov = draw_posterior(key_z, 1.0, 20_000)
        eps = jax.random.normal(key_eps, z.shape)
        log_snr, density = draw_levels(key_level, len(z), cov)
        alpha, sigma = alpha_sigma(log_snr)
        alpha_, sigma_ = alpha[:, None], sigma[:, None]
        z_t = alpha_ * z + sigma_ * eps
        variance = (alpha_ * wrong_width) ** 2 + sigma_**2
        wrong_v = sigma_ / variance * (alpha_ * (1 - wrong_width**2) * z_t - wrong_mean)
        v = exact_v(z_t, log_snr)
        divergence = gaussian_kl(mean, cov, wrong_mean[0], jnp.diag(wrong_width[0] ** 2))

        def of_target(target):
            wrong = targets.weighted_error(wrong_v, target, alpha, density)
            return wrong - targets.weighted_error(v, target, alpha, density)

        all_targets = three_targets(z, eps, grad, wrong_width, alpha_, sigma_)
        return [of_target(target) for target in all_targets], divergence

    of_targets, divergence = jax.device_get(excess())
    for found in of_targets:
        assert_mean(found, divergence)
