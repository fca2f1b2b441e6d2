"""Functions about which the noise has the least entropy, against laws whose entropy is known."""

import jax
import numpy as np
import pytest

from diffenc.information.benchmark.laws import EXPONENTIAL, channel
from diffenc.information.coordinates import spacings
from diffenc.information.estimation import additive_noise, sharp_noise
from diffenc.information.training.halves import split

N = 2000


def exponential(seed):
    """Draw y = exp(0.7 x) + exponential noise of scale 1/4, whose entropy is 1 + log(1/4)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(N)
    return x, np.exp(0.7 * x) + 0.25 * rng.standard_exponential(N)


def test_derivatives_of_the_entropy():
    noise = np.random.default_rng(0).standard_normal(300)
    direction = np.random.default_rng(1).standard_normal(300)
    _, slopes = sharp_noise.smooth_entropy(noise)
    step = 1e-7 * direction
    ends = [sharp_noise.smooth_entropy(noise + sign * step)[0] for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2e-7 == pytest.approx(slopes @ direction, rel=1e-4)


def test_splines_are_linear_beyond_their_knots_and_follow_bends():
    y = np.sort(np.random.default_rng(2).standard_normal(N))
    basis = sharp_noise.features(y, 8)
    for end in (slice(0, 3), slice(-3, None)):
        slopes = np.diff(basis[end], axis=0) / np.diff(y[end])[:, None]
        np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-6, atol=1e-6)
    basis = np.concatenate([basis, np.ones((N, 1))], axis=1)
    curve = np.sin(2 * y)
    rest = curve - basis @ np.linalg.lstsq(basis, curve)[0]
    assert rest.std() < 0.05 * curve.std()


def test_an_edge_is_told_behind_a_function_with_a_long_tail():
    """By the entropy 1 + log(1/4) of the noise, which an f that blurs its edge makes larger."""
    gaps = []
    for seed in range(6):
        x, y = exponential(seed)
        least = min(-spacings.log_density(noise).mean() for noise in sharp_noise.noises(y, x))
        gaps.append(least - 1 - np.log(0.25))
    error = np.std(gaps, ddof=1) / 6**0.5
    assert -2 * error < np.mean(gaps) < 0.05 and error < 0.02


def test_the_limit_is_below_the_exact_information_and_near_it():
    law = channel(1, lambda x: x[:, 0], lambda t: np.exp(0.7 * t), 0.25, EXPONENTIAL, nodes=4096)
    gaps = []
    for seed in range(4):
        x, y = exponential(seed)
        x = x[:, None]
        y = y[:, None]
        least = additive_noise.limit(x, y, split(jax.random.key(seed), N), 3.0)
        gaps.append(least.mean - law.pointwise(x, y).mean())
        assert gaps[-1] < 2 * least.doubt < 0.05
    assert np.mean(gaps) > -0.05


@pytest.mark.parametrize("seeds", [[0], pytest.param(range(1, 6), marks=pytest.mark.slow)])
def test_independent_columns_show_nothing(seeds):
    for seed in seeds:
        rng = np.random.default_rng([3, seed])
        x, y = rng.standard_exponential((2, N))
        least = additive_noise.limit(x[:, None], y[:, None], split(jax.random.key(0), N), 3.0)
        assert least.mean < 2 * least.doubt
