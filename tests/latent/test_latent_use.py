"""The rise of a diffusion decoder's loss when its latents are shuffled, against closed forms."""

import jax
import numpy as np
from checks import assert_mean
from exact_decoder import EXACT, MIX, NOISE

from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.latent_use import shuffle_rise
from diffenc.networks import LevelMLP


def pairs(n):
    """x [n, 3] of EXACT's law and its latents [n, 2]; every other example has the first latent."""
    rng = np.random.default_rng(0)
    z = np.tile(np.array([[0.5, -0.3], [-0.2, 0.7]], np.float32), (n // 2, 1))
    return np.float32(z @ MIX.T + NOISE * rng.normal(size=(n, 3))), z


def test_the_rise_of_the_exact_velocity_is_the_divergence_of_what_latents_say():
    """KL(p(x|z) || p(x|z')) = |MIX (z - z')|^2 / (2 NOISE^2), in all and by lambda."""
    x, z = pairs(4000)
    square = np.sum((MIX @ (z[0] - z[1])) ** 2)
    draw = jax.jit(lambda key: shuffle_rise(key, EXACT, {}, x, z))
    totals, moved = [], []
    for seed in range(4):
        found = jax.tree.map(np.asarray, draw(jax.random.key(seed)))
        if np.abs(found.density).max() > 0:  # by an odd number of places
            snr = np.exp(found.log_snr)
            truth = 0.5 * square * snr / (1 + snr * NOISE**2) ** 2
            totals.append(found.total)
            moved.append((found.density - truth) / np.sqrt(truth))
        else:  # the same latent
            np.testing.assert_array_equal(found.total, 0)
    assert 0 < len(totals) < 4
    assert_mean(np.concatenate(totals), square / (2 * NOISE**2))
    by_level = np.concatenate(moved)
    for column in by_level.T:  # strata of lambda
        assert_mean(column, 0.0)


def test_nothing_rises_in_a_decoder_that_ignores_its_latent():
    """An untrained network is zero, whatever it is told."""
    decoder = DiffusionDecoder(LevelMLP((8,)), (3,), EXACT.below)
    x, z = pairs(10)
    rise = jax.jit(
        lambda key: shuffle_rise(key, decoder, decoder.init(jax.random.key(0), 2), x, z)
    )(jax.random.key(1))
    np.testing.assert_array_equal(rise.total, 0)
    assert rise.log_snr.shape == rise.density.shape == (10, decoder.draws)
