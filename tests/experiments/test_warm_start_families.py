"""Families of noise at the start, on a law that is known."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.diffusion import likelihood, noise_families, table_law
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.noisy_start import NoisyStart
from diffenc.diffusion.warmth import log_snr_of_bins
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from experiments.warm_start import families
from experiments.warm_start.families import Families

SETTINGS = Families(
    families=("gaussian", "uniform"),
    bins=(0.17, 4.0),
    size=17,
    num_examples=1000,
    sigma2=(0.0, 1e-4, 0.5),
)


@functools.cache
def draw_lines():
    return families.warmth_lines(0, SETTINGS)


def test_bounds_are_above_the_entropy_and_it_nll_falls_below_it():
    lines = draw_lines()
    entropy = families.entropy_per_dim(17)
    for family in SETTINGS.families:
        bounds = [lines[family, quantity] for quantity in families.QUANTITIES[:-1]]
        for line in bounds:
            np.testing.assert_array_less(entropy - NUM_SIGMAS * line.stderr - 1e-3, line.mean)
        for better, worse in zip(bounds, bounds[1:], strict=False):
            assert better.mean[1] < worse.mean[1]
        # what noise takes away it costs to put back, unless little is asked for
        assert np.all(np.diff(bounds[-1].mean) > 0.3)
        it_nll = lines[family, "it_nll"]
        assert it_nll.mean[1] + NUM_SIGMAS * it_nll.stderr[1] < entropy < it_nll.mean[0]
    names = [row.name for row in families.to_results(SETTINGS, lines)]
    assert len(names) == len(set(names)) == 16
    assert "uniform.bins=4.bits_per_dim" in names


def test_with_gaussian_noise_it_is_the_likelihoods_it_nll():
    lines = draw_lines()
    law = table_law.neighbours(17)
    alphabet = Alphabet(17)

    def denoise(x_t, log_snr):
        seen = alphabet.log_likelihood(x_t, log_snr)
        return alphabet.mean(jax.nn.softmax(law.log_weights(seen) + seen, axis=-1))

    @jax.jit
    def measure(key):
        key_x, key_noise = jax.random.split(key)
        levels = Uniform(families.LOW, log_snr_of_bins(4.0, alphabet.spacing))
        x = alphabet.encode(law.sample(key_x, 500))
        return likelihood.integrals(key_noise, denoise, x, levels, 16).weighted

    nats = likelihood.it_nll(measure(jax.random.key(2)), 2)
    values = np.asarray(likelihood.bits_per_dim(nats, 2))
    line = lines["gaussian", "it_nll"]
    stderr = math.hypot(values.std() / math.sqrt(len(values)), line.stderr[1])
    assert stderr < 0.1
    assert abs(values.mean() - line.mean[1]) < NUM_SIGMAS * stderr


def test_the_error_of_stratified_draws_is_the_scatter_of_their_means():
    law = table_law.neighbours(17)
    start = NoisyStart.of_bins(4.0, Alphabet(17), noise_families.make("gaussian"))
    draw = jax.jit(jax.vmap(lambda key: families._weighted(key, start, law, num=100)))
    draws = np.asarray(draw(jax.random.split(jax.random.key(3), 100)), np.float64)
    estimates = [families._of_strata(values) for values in draws]
    means, stderrs = np.array(estimates).T
    scatter = np.square(means - means.mean()) * len(means) / (len(means) - 1)
    excess = Estimate.of(scatter - np.square(stderrs))
    assert abs(excess.mean) < NUM_SIGMAS * excess.stderr
    # draws that are taken for independent would have a larger one
    independent = [Estimate.of(values).stderr for values in draws]
    excess = Estimate.of(np.square(independent) - np.square(stderrs))
    assert excess.mean > NUM_SIGMAS * excess.stderr


def test_kl_curves_fall_by_their_slope():
    for curve in families.kl_curves(SETTINGS).values():
        assert np.all(np.diff(curve.value) < 0)
        slope = (curve.value[1] - curve.value[0]) / SETTINGS.sigma2[1]
        np.testing.assert_allclose(slope, curve.slope, rtol=1e-2)


@pytest.mark.parametrize(
    "field, value, culprit",
    [
        ("families", ("laplas",), "families is 'laplas'"),
        ("families", ("correlated",), "families is 'correlated'"),
        ("bins", (0.0, 1.0), "bins is"),
        ("sigma2", (), "sigma2 is"),
        ("num_examples", 1, "num_examples is 1"),
    ],
)
def test_bad_settings_are_named(field, value, culprit):
    with pytest.raises(InputError, match=culprit):
        dataclasses.replace(SETTINGS, **{field: value})
