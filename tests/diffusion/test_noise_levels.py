"""Noise levels: each density is that of its own draws, strata are met once each, and bad ranges are
refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean
from scipy import special

from diffenc.diffusion import noise_levels
from diffenc.diffusion.noise_levels import (
    Logistic,
    Piecewise,
    Uniform,
    UniformTime,
    log_snr_range,
)
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPLinear
from diffenc.errors import InputError

LEVELS = [
    Uniform(-6.0, 9.0),
    Logistic(-6.0, 9.0, location=1.0, scale=1.5),
    Piecewise((-6.0, -1.0, 0.5, 9.0), (1.0, 6.0, 3.0)),
    Piecewise.fit(np.linspace(-6.0, 9.0, 31), np.exp(-(np.linspace(-6, 9, 30) ** 2))),
]

truncated_logistic = jax.jit(noise_levels.truncated_logistic)
with_angles = jax.jit(noise_levels.with_angles)
UNIFORM = (np.arange(40_000) + 0.5) / 40_000


def draw(levels, uniform=UNIFORM):
    return [np.asarray(part) for part in jax.jit(levels.draw)(uniform)]


@pytest.mark.parametrize("levels", LEVELS, ids=lambda levels: type(levels).__name__)
def test_the_density_is_that_of_the_draws(levels):
    log_snr, density = draw(levels)
    assert log_snr[0] >= levels.low and log_snr[-1] <= levels.high
    assert np.all(np.diff(log_snr) >= 0)
    # int f = E[f/q] for f = 1 and for a bump
    assert np.mean(1 / density) == pytest.approx(15.0, rel=2e-3)
    bump = np.exp(-0.5 * np.square(log_snr - 1.0)) / np.sqrt(2 * np.pi)
    assert np.mean(bump / density) == pytest.approx(1.0, abs=1e-3)


def test_uniform_times_are_a_density_over_lambda():
    """int d(lambda) = high - low, and int sigma^2 alpha^2 d(lambda) = the rise of alpha^2."""
    process = VPLinear()
    levels = UniformTime(process, 0.01, 0.9)
    log_snr, density = draw(levels)
    assert levels.low <= log_snr[-1] < log_snr[0] <= levels.high
    assert np.mean(1 / density) == pytest.approx(levels.high - levels.low, rel=1e-4)
    rise = special.expit(levels.high) - special.expit(levels.low)
    product = special.expit(log_snr) * special.expit(-log_snr)
    assert np.mean(product / density) == pytest.approx(rise, rel=1e-4)
    with pytest.raises(InputError, match="t_min"):
        UniformTime(process, 0.0, 1.0)


def test_a_fitted_density_spends_its_draws_where_the_curve_is_high():
    levels = LEVELS[3]
    log_snr, _ = draw(levels)
    assert np.mean(np.abs(log_snr) < 2) > 0.85
    assert min(np.asarray(levels.masses)) >= 0.1 / 30 * 0.999  # the floor
    assert Piecewise.fit((0.0, 1.0, 3.0), (0.0, 0.0)).masses == pytest.approx((1 / 3, 2 / 3))


def test_the_range_of_a_process():
    alpha2 = np.exp(-np.array([0.1 + 0.5 * 15.9, (0.1 + 0.5 * 15.9e-3) * 1e-3]))
    expected = np.log(alpha2) - np.log1p(-alpha2)
    np.testing.assert_allclose(log_snr_range(VPLinear(), 1e-3, 1.0), expected, rtol=1e-6)
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
        log_snr, density = jax.eval_shape(levels.draw, jnp.array([0.25, 0.75]))
        assert log_snr.shape == density.shape == (2,)


@pytest.mark.parametrize("shape", [(1,), (1000,), (8, 5)])
def test_stratified_uniforms_fall_one_into_each_cell(shape):
    draw_uniform = jax.jit(noise_levels.stratified_uniform, static_argnums=1)
    u = np.asarray(draw_uniform(jax.random.key(0), shape), np.float64)
    assert u.shape == shape
    cells = np.floor(u.ravel() * u.size)
    np.testing.assert_array_equal(np.sort(cells), np.arange(u.size))
    assert u.size == 1 or not np.array_equal(cells, np.arange(u.size))  # in random order


def test_stratified_uniforms_are_each_uniform():
    @jax.jit
    def draw_many(key):
        return jax.vmap(lambda key: noise_levels.stratified_uniform(key, (4,)))(
            jax.random.split(key, 4000)
        )

    u = np.asarray(draw_many(jax.random.key(0)))
    assert_mean(u, 0.5)
    assert_mean(u**2, 1 / 3)


@pytest.mark.parametrize("location, half_range", [(0.0, 7.0), (3.5, 7.0), (-2.0, 2.0)])
def test_the_truncated_logistic_is_a_density_and_its_quantiles(location, half_range):
    with jax.enable_x64(True):
        u = np.linspace(0.0, 1.0, 20_001)
        draws = truncated_logistic(u, location, half_range)
        log_snr, density = map(np.asarray, draws)
        ends = location + half_range * np.array([-1, 1])
        np.testing.assert_allclose(log_snr[[0, -1]], ends, atol=1e-12)
        mass = np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(log_snr))
        np.testing.assert_allclose(mass, u[1:], atol=1e-5)
        shape = special.expit(log_snr - location) * special.expit(location - log_snr)
        np.testing.assert_allclose(density / density[10_000], shape / shape[10_000], rtol=1e-9)


@pytest.mark.parametrize("location", [0.0, 4.6])
def test_half_of_the_levels_are_uniform_in_the_angle(location):
    n = len(UNIFORM)
    log_snr, density = map(np.asarray, with_angles(UNIFORM, location))
    phi = np.sort(np.arctan(np.exp(-0.5 * log_snr[: n // 2].astype(np.float64))))
    np.testing.assert_allclose(phi, 0.5 * np.pi * (np.arange(n // 2) + 0.5) / (n // 2), atol=1e-3)
    logistic, _ = truncated_logistic((np.arange(n // 2) + 0.5) / (n // 2), location)
    np.testing.assert_allclose(log_snr[n // 2 :], logistic, rtol=1e-3, atol=1e-3)
    # E[f/density] = int f dlambda, for f of known integrals: the logistic density, and dphi = alpha
    # sigma / 2 dlambda
    alpha, sigma = np.sqrt(special.expit(log_snr)), np.sqrt(special.expit(-log_snr))
    np.testing.assert_allclose(np.mean(alpha**2 * sigma**2 / density), 1.0, rtol=1e-3)
    np.testing.assert_allclose(np.mean(0.5 * alpha * sigma / density), 0.5 * np.pi, rtol=1e-3)
