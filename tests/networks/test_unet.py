"""The U-Net: its shapes, what it sees, and that its options change what they say and nothing
else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.networks import UNet

UNET = UNet(channels=(8, 16), num_classes=3)
IMAGES = np.random.default_rng(8).standard_normal((2, 8, 8, 1), np.float32)
LEVEL = np.array([-3.0, 2.0], np.float32)


def wave(leaf):
    """Parameters moved away from their start."""
    leaf = np.asarray(leaf)
    return leaf + 0.05 * np.cos(np.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)


@functools.partial(jax.jit, static_argnums=0)
def apply_unet(net, params, level, labels=None):
    return net.apply(params, IMAGES, level, labels)


@pytest.fixture(scope="module")
def unet_params():
    return jax.jit(UNET.init)(jax.random.key(9), IMAGES, LEVEL, np.array([0, 2]))


def shapes(net, *inputs):
    """The parameters of a network, as shapes: nothing is computed."""
    return jax.eval_shape(net.init, jax.random.key(0), *inputs)["params"]


def test_the_unet_keeps_shapes_and_starts_at_zero(unet_params):
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(unet_params))
    out = apply_unet(UNET, unet_params, LEVEL, np.array([0, 2]))
    assert out.shape == IMAGES.shape and out.dtype == jnp.float32
    assert not np.any(np.asarray(out))


def test_the_unet_sees_level_and_label(unet_params):
    moved = jax.tree.map(wave, unet_params)

    def at(level, *labels):
        return np.asarray(apply_unet(UNET, moved, level, np.array(labels)))

    with_label = at(LEVEL, 0, 2)
    assert np.all(np.isfinite(with_label)) and np.any(with_label != at(LEVEL, 1, 2))
    assert np.any(with_label != at(LEVEL + 1, 0, 2))
    none = apply_unet(UNET, moved, LEVEL)
    np.testing.assert_allclose(none, at(LEVEL, 3, 3), rtol=0.05, atol=0.02)


def test_the_names_of_parameters_are_those_of_saved_runs():
    """Checkpoints rely on them."""
    blocks = {f"Block_{index}" for index in range(5)}
    dense = {f"Dense_{index}" for index in range(4)}
    others = {"Attention_0", "Conv_0", "Conv_1", "Embed_0", "GroupNorm_0"}
    assert set(shapes(UNET, IMAGES, LEVEL)) == blocks | dense | others


def test_blocks_and_attention_stand_where_they_are_asked_for():
    def count(kind, **options):
        params = shapes(UNet((8, 16), **options), IMAGES, LEVEL)
        return sum(name.startswith(f"{kind}_") for name in params)

    assert count("Block") == 5 and count("Block", blocks=2) == 9
    assert count("Attention", attention=()) == 0 and count("Attention", blocks=2) == 1
    assert count("Attention", blocks=2, attention=(8,)) == 4  # after two Blocks down, and two up
    assert count("Attention", blocks=2, attention=(4,)) == 5  # and after the one between the ways
    assert count("Attention", blocks=2, attention=(8, 4)) == 9


@pytest.mark.slow
def test_blocks_computed_again_are_the_same_blocks():
    kept = UNet((8,))
    again = kept.clone(rematerialize=True)

    def loss(params, net):
        return jnp.mean(jnp.square(net.apply(params, IMAGES, LEVEL) - IMAGES))

    def kept_bytes(net):
        """The size of what the forward pass hands to the backward pass, of four Blocks a way."""
        net = net.clone(blocks=4)
        params = {"params": shapes(net, IMAGES, LEVEL)}
        vjp = jax.eval_shape(lambda params: jax.vjp(lambda p: loss(p, net), params)[1], params)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(vjp))

    @functools.partial(jax.jit, static_argnums=0)
    def init(net):
        return net.init(jax.random.key(9), IMAGES, LEVEL)

    params = init(kept)
    jax.tree.map(np.testing.assert_array_equal, init(again), params)
    assert kept_bytes(again) < 0.5 * kept_bytes(kept)

    moved = jax.tree.map(wave, params)
    value_and_grad = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    value, grads = value_and_grad(moved, kept)
    value_again, grads_again = value_and_grad(moved, again)
    np.testing.assert_allclose(value, value_again, rtol=1e-6)
    # Some gradients are zero but for rounding, so what they are rounded from is the measure.
    grad, grad_again = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for tree in (grads, grads_again)
    )
    largest = np.abs(grad).max()
    np.testing.assert_allclose(grad, grad_again, rtol=0, atol=1e-6 * largest)


def test_the_bfloat16_unet_is_the_float32_one_rounded(unet_params):
    moved = jax.tree.map(wave, unet_params)
    rounded = UNET.clone(dtype=jnp.dtype("bfloat16"))
    assert all(
        leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes(rounded, IMAGES, LEVEL))
    )
    out = apply_unet(rounded, moved, LEVEL)
    assert out.dtype == jnp.float32
    exact = np.asarray(apply_unet(UNET, moved, LEVEL))
    relative = np.linalg.norm(out - exact) / np.linalg.norm(exact)
    # Each layer rounds its result by half an epsilon at most; independent errors add up by squares.
    num_layers = len(jax.tree.leaves(unet_params)) / 2
    assert 0 < relative < np.sqrt(num_layers) * float(jnp.finfo(jnp.bfloat16).eps) / 2


def test_a_unet_of_other_outputs_starts_at_zero_and_sees_all():
    net = UNet(channels=(8, 16), num_outputs=5)
    params = jax.jit(net.init)(jax.random.key(9), IMAGES, LEVEL)
    out = apply_unet(net, params, LEVEL)
    assert out.shape == (2, 8, 8, 5) and out.dtype == jnp.float32
    assert not np.any(np.asarray(out))
    moved = np.asarray(apply_unet(net, jax.tree.map(wave, params), LEVEL))
    assert np.all(np.ptp(moved.reshape(-1, 5), axis=0) > 0)


def test_dropout_needs_a_key_and_no_other_parameters():
    """Nor does it depend on whether Blocks are computed again."""
    plain = UNet((8,), attention=())
    net = plain.clone(dropout=0.3)
    names = jax.tree.structure(shapes(plain, IMAGES, LEVEL))
    assert jax.tree.structure(shapes(net, IMAGES, LEVEL)) == names

    @jax.jit
    def evaluate(keys):
        params = net.init(jax.random.key(9), IMAGES, LEVEL)
        params = jax.tree.map(
            lambda a: a + 0.05 * jnp.cos(jnp.arange(a.size)).reshape(a.shape), params
        )

        def with_key(net):
            return jax.lax.map(
                lambda k: net.apply(params, IMAGES, LEVEL, rngs={"dropout": k}), keys
            )

        without = plain.apply(params, IMAGES, LEVEL)
        off = net.apply(params, IMAGES, LEVEL)
        return without, off, with_key(net), with_key(net.clone(rematerialize=True))

    without, off, on, again = evaluate(jax.random.split(jax.random.key(0), 2))
    np.testing.assert_array_equal(off, without)
    np.testing.assert_allclose(again, on, rtol=1e-5, atol=1e-6)
    assert np.any(on[0] != on[1]) and np.any(on[0] != without)


@pytest.mark.parametrize(
    ("net", "sides", "message"),
    [
        (UNet((8, 16, 16)), (8, 6), "cannot be halved 2 times"),
        (UNet((8, 12)), (8, 8), "multiples of 8"),
        (UNet(()), (8, 8), "one or more"),
        (UNet((8, 16), blocks=0), (8, 8), "blocks is 0: give 1 or more"),
        (UNet((8, 16), dropout=1.0), (8, 8), r"dropout is 1.0: give a number in \[0, 1\)"),
        (UNet((8, 16), attention=(7,)), (8, 8), r"attention is \(7,\): .* levels, 8, 4\b"),
    ],
)
def test_a_unet_that_cannot_be_is_refused(net, sides, message):
    with pytest.raises(InputError, match=message):
        shapes(net, np.zeros((1, *sides, 1)), np.zeros(1))
