"""The rise of a diffusion decoder's loss when examples exchange latents, against closed forms."""

import dataclasses

import jax
import numpy as np
import pytest
from checks import assert_mean
from exact_decoder import EXACT, MIX, NOISE

from diffenc.diffusion.noise_levels import Uniform
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.latent_use import shuffle_rise
from diffenc.networks import LevelMLP


def pairs(n):
    """x [n, 3] of EXACT's law and its latents [n, 2], which are two by turns."""
    rng = np.random.default_rng(0)
    z = np.tile(np.array([[0.5, -0.3], [-0.2, 0.7]], np.float32), (n // 2, 1))
    return np.float32(z @ MIX.T + NOISE * rng.normal(size=(n, 3))), z


SPLIT = dataclasses.replace(EXACT, below=Uniform(-11.0, 0.5), above=Uniform(0.5, 11.0))

SEEING = dataclasses.replace(SPLIT, sees_above=True)


@pytest.mark.parametrize("decoder", [EXACT, SPLIT, SEEING], ids=["whole", "split", "seeing"])
def test_the_rise_of_the_exact_velocity_is_the_divergence_of_what_latents_say(decoder):
    """KL(p(x_s|z) || p(x_s|z')) = |MIX (z - z')|^2 / (2 NOISE^2 (1 + 1 / (snr_s NOISE^2))), in all
    and by lambda; s is the last level where z is seen."""
    x, z = pairs(4000)
    found = jax.jit(lambda key: shuffle_rise(key, decoder, {}, x, z))(jax.random.key(0))
    found = jax.tree.map(np.asarray, found)
    square = np.sum((MIX @ (z[0] - z[1])) ** 2)
    last = decoder.high if decoder.sees_above else decoder.below.high
    at_split = np.exp(last) * NOISE**2
    np.testing.assert_allclose(found.terms.sum(axis=1), found.total, rtol=1e-5, atol=1e-6)
    assert_mean(found.total, square / (2 * NOISE**2) * at_split / (1 + at_split))
    snr = np.exp(found.log_snr)
    truth = 0.5 * square * snr / (1 + snr * NOISE**2) ** 2
    deviation = ((found.density - truth) / np.sqrt(truth)).ravel()
    by_level = np.array_split(deviation[np.argsort(found.log_snr.ravel())], 16)
    for part in by_level:
        assert_mean(part, 0.0)


def test_nothing_rises_in_a_decoder_that_ignores_its_latent():
    """An untrained network is zero, whatever it is told."""
    decoder = DiffusionDecoder(LevelMLP((8,)), (3,), EXACT.below)
    x, z = pairs(10)
    rise = jax.jit(
        lambda key: shuffle_rise(key, decoder, decoder.init(jax.random.key(0), 2), x, z)
    )(jax.random.key(1))
    np.testing.assert_array_equal(rise.total, 0)
    assert rise.log_snr.shape == rise.density.shape == (5, 2 * decoder.draws)


def test_every_example_is_in_one_pair_alone():
    """Values of pairs are independent then, and their scatter gives the error of the mean. The last
    of an odd number is left out."""
    x = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    z = np.random.default_rng(2).normal(size=(7, 2)).astype(np.float32)

    @jax.jit
    def totals(z):
        return shuffle_rise(jax.random.key(0), EXACT, {}, x, z).total

    first = np.asarray(totals(z))
    assert first.shape == (3,)
    for index in range(7):
        moved = z.copy()
        moved[index] += 1
        is_other = np.arange(3) == index // 2
        np.testing.assert_array_equal(totals(moved) != first, is_other)
