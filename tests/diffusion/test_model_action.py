"""The action of a model from the data is its bound, for the exact score and for any other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.entropy import path_kl
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.likelihood import continuous_terms
from diffenc.diffusion.model_action import model_action
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.processes import VE, StraightLine, VPLinear
from diffenc.diffusion.score_bound import denoise_of_score
from diffenc.diffusion.value import random_signs
from diffenc.estimate import Estimate

clone = jax.random.clone  # the same draws again, on purpose
LEVELS = Uniform(-7.0, 8.0)
NUM = 4000
MIXTURE = GaussianMixture.isotropic(
    np.log([0.2, 0.5, 0.3]),
    np.array([[1.5, 0.0], [-1.0, 1.0], [0.0, -1.8]]),
    np.array([0.5, 0.7, 0.9]),
)
PROCESSES = {"vp": VPLinear(), "straight line": StraightLine(), "ve": VE(0.01, 50.0)}
every_process = pytest.mark.parametrize(
    "name", ["vp", pytest.param("straight line", marks=pytest.mark.slow), "ve"]
)


@functools.cache
def draws(name):
    """At points of the mixture [NUM]: actions of the exact score and of a wrong one that is no
    gradient, bounds of both by `likelihood`, the denoising gap, -log p."""
    process = PROCESSES[name]

    def exact_score(x, t):
        return MIXTURE.score(process, x, t)

    def wrong_score(x, t):
        sigma = process.sigma(t)[:, None]
        bend = jnp.stack([jnp.sin(x[:, 1] / sigma[:, 0]), jnp.cos(x[:, 0])], axis=1)
        return exact_score(x, t) + 0.5 * bend / sigma

    @jax.jit
    def of(key):
        key_x, key_bound, key_action, key_signs = jax.random.split(key, 4)
        x = MIXTURE.sample(key_x, NUM)

        def bound(score_fn):
            denoise = denoise_of_score(score_fn, process)
            return continuous_terms(clone(key_bound), denoise, x, LEVELS, 8).total

        def acts(score_fn, probes=None):
            return model_action(clone(key_action), score_fn, process, x, LEVELS, 16, probes)

        gap = path_kl(clone(key_action), exact_score, wrong_score, process, x, LEVELS, 16)
        probed = acts(wrong_score, random_signs(key_signs, 4, x))
        pairs = [(acts(score), bound(score)) for score in (exact_score, wrong_score)]
        return pairs, gap, probed, -MIXTURE.log_prob(x)

    return jax.tree.map(np.asarray, of(jax.random.key(0)))


@every_process
def test_the_action_is_the_bound_of_the_library(name):
    pairs, _, probed, _ = draws(name)
    for acts, bound in pairs:
        assert_mean(acts - bound, 0.0)
    assert_mean(probed - pairs[1][0], 0.0)


@every_process
def test_a_wrong_score_pays_the_denoising_gap(name):
    """Of the same draws; the gap is far from zero."""
    pairs, gap, _, _ = draws(name)
    assert_mean(pairs[1][0] - pairs[0][0] - gap, 0.0)
    mean, stderr = Estimate.of(gap)
    assert mean > 10 * NUM_SIGMAS * stderr


@every_process
def test_the_action_of_the_exact_score_is_the_log_density(name):
    """Up to the ends: reading x off at lambda = 8 costs e^-8 / 2 times the Fisher information, and
    the prior at -7 less than that: below 1e-3 nats for this mixture."""
    pairs, _, _, neg_log_prob = draws(name)
    assert_mean(pairs[0][0] - neg_log_prob, 0.0)
