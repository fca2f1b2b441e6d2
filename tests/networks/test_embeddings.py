"""Features of the noise level: what they tell apart, and where."""

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.networks.embeddings import log_snr_features


def test_features_tell_levels_apart_as_far_as_sixteen():
    levels = jnp.arange(-16.0, 16.01, 0.5)
    features = np.asarray(log_snr_features(levels))
    apart = np.linalg.norm(features[:, None] - features[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 0.02
    inside = np.abs(levels) <= 12
    assert apart[inside][:, inside].min() > 0.2  # and better where the work is done


def test_features_are_the_same_beyond_sixteen():
    ends = log_snr_features(jnp.array([-16.0, 16.0]))
    beyond = log_snr_features(jnp.array([-jnp.inf, jnp.inf]))
    np.testing.assert_array_equal(beyond, ends)


def test_features_within_twelve_are_those_of_trained_networks():
    """Checkpoints rely on these numbers."""
    levels = jnp.linspace(-12.0, 12.0, 97)
    waves = [wave(levels * k) for k in (0.2, 0.4, 0.8) for wave in (jnp.sin, jnp.cos)]
    alpha = jnp.sqrt(jax.nn.sigmoid(levels))
    sigma = jnp.sqrt(jax.nn.sigmoid(-levels))
    expected = jnp.stack([alpha, sigma, *waves], axis=-1)
    np.testing.assert_array_equal(log_snr_features(levels), expected)


def test_what_a_network_sees_moves_little_beyond_twelve():
    """A sampler starts and ends at an infinite level, which training hardly sees."""
    last = log_snr_features(jnp.array([-12.0, 12.0]))
    ends = log_snr_features(jnp.array([-jnp.inf, jnp.inf]))
    assert np.linalg.norm(ends - last, axis=-1).max() < 0.5
