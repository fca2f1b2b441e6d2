"""A tilted mixture against quadrature, and its action; guidance beside it is another control."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.control import action, control_gap
from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.entropy import path_kl
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.diffusion.tilted import Tilt, guided_score, log_desirability
from diffenc.diffusion.value import value_of
from diffenc.errors import InputError
from diffenc.estimate import Estimate

PROCESS = VPLinear()
T_MIN = 1e-2
NUM_PATHS = 2000
WEIGHT = 2.0  # of guidance: r is taken 1 + 2 times
MIXTURE = GaussianMixture.isotropic(
    np.log([0.6, 0.4]), np.array([[-1.0], [1.2]]), np.array([0.4, 0.6])
)
# log N(y; x, 1) for y = 0.8, without what does not depend on x.
TILT = Tilt(jnp.array([0.8]), jnp.array([[1.0]]))
GAUSSIAN = GaussianMixture.isotropic(np.zeros(2), np.full((2, 1), 0.5), np.full(2, 0.7))
LINEAR = Tilt(jnp.array([0.8]), jnp.zeros((1, 1)))


apply = jax.jit(lambda tilt, law: tilt.apply(law))
log_prob = jax.jit(lambda law, x: law.log_prob(x))
log_factor = jax.jit(lambda tilt, x: tilt.log_factor(x))
log_h_of = jax.jit(lambda law, tilt, x, t: log_desirability(law, tilt, PROCESS, x, t))


def test_the_tilted_mixture_and_its_desirability_are_those_of_quadrature():
    with jax.enable_x64(True):
        mixture = GaussianMixture(
            np.log(np.array([0.3, 0.7])),
            np.array([[-1.0], [1.2]]),
            np.array([[[0.16]], [[0.36]]]),
        )
        # Also a tilt that widens: 1/0.36 - 1.5 > 0.
        for tilt in (
            Tilt(np.array([0.7]), np.array([[1.3]])),
            Tilt(np.ones(1), -1.5 * np.eye(1)),
        ):
            grid = np.linspace(-12, 12, 24_001)[:, None]
            width = grid[1, 0] - grid[0, 0]
            density = np.exp(log_prob(mixture, grid))
            tilt_factor = np.exp(log_factor(tilt, grid))
            weight = density * tilt_factor
            tilted, log_normalizer = apply(tilt, mixture)
            np.testing.assert_allclose(log_normalizer, np.log(weight.sum() * width), rtol=1e-10)
            expected = weight / (weight.sum() * width)
            np.testing.assert_allclose(np.exp(log_prob(tilted, grid)), expected, atol=1e-10)

            x, t = np.array([[0.3], [-1.4]]), np.array([0.1, 0.4])
            alpha, sigma = PROCESS.alpha(t), PROCESS.sigma(t)
            noise = np.exp(-0.5 * ((x.T - alpha[None] * grid) / sigma[None]) ** 2)
            posterior = density[:, None] * noise
            factor = tilt_factor[:, None]
            h = (posterior * factor).sum(axis=0) / posterior.sum(axis=0)
            log_h = log_h_of(mixture, tilt, x, t)
            np.testing.assert_allclose(log_h, np.log(h), rtol=1e-9)


def test_in_two_dimensions_a_rotated_tilt_is_that_of_its_density():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        roots = rng.normal(size=(3, 2, 2))
        covs = roots @ np.swapaxes(roots, 1, 2) + 0.2 * np.eye(2)
        mixture = GaussianMixture(np.zeros(3), rng.normal(size=(3, 2)), covs)
        tilt = Tilt(np.array([0.5, -1.0]), np.array([[1.0, 0.4], [0.4, 0.3]]))
        tilted, log_normalizer = apply(tilt, mixture)
        x = rng.normal(size=(20, 2))
        expected = log_prob(mixture, x) + log_factor(tilt, x) - log_normalizer
        np.testing.assert_allclose(log_prob(tilted, x), expected, rtol=1e-10)


@functools.cache
def guidance(name):
    """Excess action of guidance for the tilted problem, the gap along guided paths and that along
    paths of the tilted law, [NUM_PATHS]; guided ends and draws of the tilted law."""
    mixture, tilt = {"mixture": (MIXTURE, TILT), "linear": (GAUSSIAN, LINEAR)}[name]
    conditional, _ = apply(tilt, mixture)
    tilted, _ = apply(tilt.scaled(1 + WEIGHT), mixture)

    def score_of(law):
        return lambda x, t: law.score(PROCESS, x, t)

    levels = Uniform(*log_snr_range(PROCESS, T_MIN, 1.0))

    @jax.jit
    def gaps(key):
        key_x, key, key_data, key_levels = jax.random.split(key, 4)
        guided = guided_score(score_of(mixture), score_of(conditional), WEIGHT)
        value = value_of(tilted, PROCESS)
        problem = Problem(
            PROCESS, lambda x: value(x, jnp.full(len(x), T_MIN)), num_steps=100, t_min=T_MIN
        )
        x = tilted.diffused(PROCESS, 1.0).sample(key_x, NUM_PATHS)
        guided_action = action(key, problem, guided, x)
        excess = guided_action.reduced - value(x, jnp.ones(NUM_PATHS))
        gap = control_gap(jax.random.clone(key), problem, guided, score_of(tilted), x)
        data = tilted.sample(key_data, NUM_PATHS)
        reverse = path_kl(key_levels, score_of(tilted), guided, PROCESS, data, levels, 16)
        return excess, gap, reverse, guided_action.x, data

    return [np.asarray(values) for values in gaps(jax.random.key(0))]


def test_guidance_is_not_the_control_of_the_tilted_law_and_pays_the_gap():
    excess, gap, reverse, ends, data = guidance("mixture")
    for values in (excess, gap, reverse):
        mean, stderr = Estimate.of(values)
        assert mean > NUM_SIGMAS * stderr, (mean, stderr)
    assert_mean(excess - gap, 0.0)
    # What it samples is another law too.
    far = Estimate.of(ends[:, 0])
    near = Estimate.of(data[:, 0])
    assert abs(far.mean - near.mean) > NUM_SIGMAS * np.hypot(far.stderr, near.stderr)


def test_guidance_is_exact_for_one_gaussian_and_a_linear_tilt():
    excess, gap, reverse, _, _ = guidance("linear")
    assert_mean(excess, 0.0, largest_stderr=0.04)
    np.testing.assert_allclose(gap, 0.0, atol=1e-6)
    np.testing.assert_allclose(reverse, 0.0, atol=1e-6)


def test_a_tilt_that_no_law_survives_is_refused():
    with pytest.raises(InputError, match="precision is too negative"):
        Tilt(jnp.zeros(1), -10 * jnp.eye(1)).apply(MIXTURE)


def test_a_tilt_of_another_dimension_is_refused():
    """An R of one number would be added to every entry of the precision."""
    mixture = GaussianMixture.isotropic(np.zeros(1), np.zeros((1, 2)), np.ones(1))
    for tilt, words in (
        (Tilt(jnp.zeros(1), jnp.eye(2)), r"linear is \(1,\): give \(2,\)"),
        (Tilt(jnp.zeros(2), jnp.ones((1, 1))), r"precision is \(1, 1\): give \(2, 2\)"),
    ):
        with pytest.raises(InputError, match=words):
            tilt.apply(mixture)
