"""Noise levels: each density is that of its own draws, strata are met once each, and bad ranges are
refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion import noise_levels
from diffenc.diffusion.noise_levels import (
    Logistic,
    Piecewise,
    Uniform,
    UniformTime,
    log_snr_range,
)
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPLinear
from diffenc.errors import InputError

LEVELS = [
    Uniform(-6.0, 9.0),
    Logistic(-6.0, 9.0, location=1.0, scale=1.5),
    Piecewise((-6.0, -1.0, 0.5, 9.0), (1.0, 6.0, 3.0)),
    Piecewise.fit(np.linspace(-6.0, 9.0, 31), np.exp(-(np.linspace(-6, 9, 30) ** 2))),
]


@pytest.mark.parametrize("levels", LEVELS, ids=lambda levels: type(levels).__name__)
def test_the_density_is_that_of_the_draws(levels):
    uniform = (jnp.arange(40_000) + 0.5) / 40_000
    log_snr, density = levels.draw(uniform)
    assert float(log_snr[0]) >= levels.low and float(log_snr[-1]) <= levels.high
    assert np.all(np.diff(np.asarray(log_snr)) >= 0)
    # int f = E[f/q] for f = 1 and for a bump
    assert float(jnp.mean(1 / density)) == pytest.approx(15.0, rel=2e-3)
    bump = jnp.exp(-0.5 * jnp.square(log_snr - 1.0)) / np.sqrt(2 * np.pi)
    assert float(jnp.mean(bump / density)) == pytest.approx(1.0, abs=1e-3)


def test_uniform_times_are_a_density_over_lambda():
    """int d(lambda) = high - low, and int sigma^2 alpha^2 d(lambda) = the rise of alpha^2."""
    process = VPLinear()
    levels = UniformTime(process, 0.01, 0.9)
    log_snr, density = levels.draw((jnp.arange(40_000) + 0.5) / 40_000)
    assert levels.low <= float(log_snr[-1]) < float(log_snr[0]) <= levels.high
    assert float(jnp.mean(1 / density)) == pytest.approx(levels.high - levels.low, rel=1e-4)
    alpha, sigma = alpha_sigma(log_snr)
    rise = jax.nn.sigmoid(levels.high) - jax.nn.sigmoid(levels.low)
    assert float(jnp.mean(jnp.square(alpha * sigma) / density)) == pytest.approx(
        float(rise), rel=1e-4
    )
    with pytest.raises(InputError, match="t_min"):
        UniformTime(process, 0.0, 1.0)


def test_a_fitted_density_spends_its_draws_where_the_curve_is_high():
    levels = LEVELS[3]
    log_snr = np.asarray(levels.draw((jnp.arange(1000) + 0.5) / 1000)[0])
    assert np.mean(np.abs(log_snr) < 2) > 0.85
    assert min(np.asarray(levels.masses)) >= 0.1 / 30 * 0.999  # the floor
    assert Piecewise.fit((0.0, 1.0, 3.0), (0.0, 0.0)).masses == pytest.approx((1 / 3, 2 / 3))


def test_the_range_of_a_process():
    low, high = log_snr_range(VPLinear(), 1e-3, 1.0)
    assert low == pytest.approx(float(VPLinear().log_snr(1.0))) and high == pytest.approx(
        float(VPLinear().log_snr(1e-3))
    )
    assert log_snr_range(VE(), 0.0)[1] == pytest.approx(-2 * np.log(0.01), rel=1e-5)
    for process, t_min, t_max in (
        (StraightLine(), 1e-3, 1.0),
        (SubVP(), 0.0, 1.0),
        (VPLinear(), 0.5, 0.5),
    ):
        with pytest.raises(InputError, match="t_min"):
            log_snr_range(process, t_min, t_max)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(1.0, 1.0),
        lambda: Logistic(0.0, 1.0, scale=0.0),
        lambda: Logistic(0.0, float("inf")),
        lambda: Piecewise((0.0, 1.0), (1.0, 2.0)),
        lambda: Piecewise((0.0, 1.0, 2.0), (1.0, 0.0)),
        lambda: Piecewise((0.0, 2.0, 1.0), (1.0, 1.0)),
    ],
)
def test_bad_densities_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_draws_trace_under_jit():
    for levels in LEVELS:
        log_snr, density = jax.jit(levels.draw)(jnp.array([0.25, 0.75]))
        assert log_snr.shape == density.shape == (2,)


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
