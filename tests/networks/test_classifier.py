"""The classifier of noised examples: dense layers, blocks for images, what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.compilation import init
from diffenc.errors import InputError
from diffenc.networks import MLP, LevelClassifier
from diffenc.networks.embeddings import log_snr_features

RNG = np.random.default_rng(0)
U = RNG.normal(size=(3, 8, 8, 3)).astype(np.float32)  # images of three colours
LEVEL = np.array([-3.0, 0.0, 2.0], np.float32)


def test_without_blocks_it_is_an_mlp_of_numbers_and_level():
    network = LevelClassifier((6,), 4)
    params = init(network, jax.random.key(0), U, LEVEL)
    inputs = jnp.concatenate([U.reshape(3, -1), log_snr_features(LEVEL)], axis=1)
    of_mlp = MLP((6,), 4)
    for ours, theirs in zip(
        jax.tree.leaves(params),
        jax.tree.leaves(init(of_mlp, jax.random.key(0), inputs)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    expected = jax.jit(of_mlp.apply)(params, inputs)
    found = jax.jit(network.apply)(params, U, LEVEL)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def blocks():
    """A network of two resolutions, its parameters, none of them zero, and its function."""
    network = LevelClassifier((6,), 4, channels=(8, 16), dropout=0.5)
    params = init(network, jax.random.key(1), U, LEVEL)
    params = jax.tree.map(lambda a: np.float32(a + 0.3 * RNG.normal(size=a.shape)), params)
    return network, params, jax.jit(network.apply)


def test_blocks_see_every_pixel_and_the_level_of_their_own_example(blocks):
    _, params, apply = blocks
    out = np.asarray(apply(params, U, LEVEL))
    assert out.shape == (3, 4)
    one = jax.jit(lambda u: jnp.sum(jnp.cos(apply(params, u, LEVEL)[1])))
    gradient = np.asarray(jax.grad(one)(U))
    assert np.all(gradient[1] != 0) and not np.any(gradient[[0, 2]])
    moved = np.asarray(apply(params, U, LEVEL + np.array([0, 1, 0], np.float32)))
    np.testing.assert_array_equal(moved[[0, 2]], out[[0, 2]])
    assert np.all(moved[1] != out[1])


def test_dropout_wants_a_key(blocks):
    network, params, apply = blocks
    out = np.asarray(apply(params, U, LEVEL))
    np.testing.assert_array_equal(out, np.asarray(apply(params, U, LEVEL)))
    drop = jax.jit(lambda key: network.apply(params, U, LEVEL, rngs={"dropout": key}))
    dropped = drop(jax.random.key(2))
    assert np.all(np.asarray(dropped) != out)


@pytest.mark.parametrize(
    ("channels", "shape", "message"),
    [
        ((12,), (8, 8, 3), "channels is (12,): give multiples of 8"),
        ((8, 8), (6, 6, 3), "channels has 2 widths, but images of (6, 6) cannot be halved 2 times"),
        ((8,), (12,), "channels is (8,): examples of shape (12,) are no images"),
    ],
)
def test_what_it_cannot_take_is_refused(channels, shape, message):
    network = LevelClassifier((6,), 4, channels=channels)
    with pytest.raises(InputError, match=re.escape(message)):
        jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, *shape)), np.zeros(1))
