"""noise_levels: each density is that of its own draws, and bad ranges are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion.noise_levels import Logistic, Piecewise, Uniform, log_snr_range
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
