"""A Gaussian's bound, term by term, in closed form; the same for every process."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion import likelihood
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear
from diffenc.diffusion.score_bound import denoise_of_score, gaussian_terms

# of fixed width, with a signal that ends, with an equilibrium that moves, and without one
PROCESSES = [VPLinear(), StraightLine(), SubVP(), VE(0.01, 50.0)]
LEVELS = Uniform(-6.0, 6.0)
NUM = 400


def gaussian():
    return Gaussian(jnp.array([0.3, -0.2]), jnp.array([[0.6, 0.3], [0.3, 0.4]]))


bounds = jax.jit(gaussian_terms, static_argnums=(2, 3))


def points():
    """One point often, so that the scatter is that of noise alone."""
    return np.tile(np.array([[0.9, -1.1]], np.float32), (NUM, 1))


@functools.cache
def draw(process):
    """Terms of the points [NUM], by the same draws for every process."""

    @jax.jit
    @jax.default_matmul_precision("highest")
    def terms(key):
        denoise = denoise_of_score(lambda x, t: gaussian().score(process, x, t), process)
        return likelihood.continuous_terms(key, denoise, points(), LEVELS, 16)

    return terms(jax.random.key(0))


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_the_bound_depends_on_lambda_alone(process):
    terms = draw(process)
    expected = bounds(gaussian(), points(), LEVELS.low, LEVELS.high)
    np.testing.assert_allclose(terms.prior, expected["prior"], rtol=1e-6)
    assert_mean(terms.diffusion - expected["diffusion"], 0.0)
    np.testing.assert_allclose(terms.reconstruction, expected["reconstruction"], rtol=1e-6)
    # Float32: where noise is small, x - x_hat is some 1e-3 of x, and has lost 3 digits.
    for values, others in zip(terms, draw(PROCESSES[0]), strict=True):
        np.testing.assert_allclose(values, others, rtol=2e-4)


def test_over_all_noise_the_bound_is_the_density():
    """What is left at lambda = +-18 is some 1e-6 nats, and rounding of terms of some 20 nats."""
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    terms = bounds(gaussian(), x, -18.0, 18.0)
    np.testing.assert_allclose(
        sum(map(np.asarray, terms.values())), -gaussian().log_prob(x), atol=2e-5
    )


def test_the_bound_of_a_narrower_range_is_looser_on_average():
    x = gaussian().sample(jax.random.key(1), 2000)
    wide = sum(map(np.asarray, bounds(gaussian(), x, -8.0, 8.0).values()))
    narrow = sum(map(np.asarray, bounds(gaussian(), x, -4.0, 4.0).values()))
    assert np.mean(narrow) > np.mean(wide) > -np.mean(gaussian().log_prob(x))


def test_standard_normal_data_have_a_closed_it_nll():
    """Weighted by alpha^2, 1/2 int g (x^2 + g) / (1 + g)^3 dg has the mean D/2 [log(1 + g) + 1 / (1
    + g)] over x."""
    process = VPCosine()

    @jax.jit
    def weighted(key):
        key_x, key_noise = jax.random.split(key)
        x = jax.random.normal(key_x, (NUM, 2))
        denoise = denoise_of_score(process.equilibrium_score, process)
        return likelihood.continuous_terms(key_noise, denoise, x, LEVELS, 16).weighted

    gain = np.exp([LEVELS.low, LEVELS.high])
    primitive = np.log1p(gain) + 1 / (1 + gain)
    truth = primitive[1] - primitive[0]
    assert_mean(weighted(jax.random.key(2)), truth)
