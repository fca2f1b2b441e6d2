"""The modulated MLP: zero at first, of the shape of its input, and no input without effect."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from checks import assert_mean

from diffenc.errors import InputError
from diffenc.networks import ModulatedMLP
from diffenc.networks.dropout import drop

NETWORK = ModulatedMLP(width=8, blocks=2)
RNG = np.random.default_rng(0)
U = RNG.normal(size=(4, 3, 2)).astype(np.float32)
LEVEL = np.linspace(-4.0, 4.0, 4, dtype=np.float32)
CONDITION = RNG.normal(size=(4, 5)).astype(np.float32)


@jax.jit
def make_params(condition):
    return NETWORK.init(jax.random.key(0), U, LEVEL, condition)


def moved(params):
    """Parameters of which none is zero."""
    return jax.tree.map(lambda a: np.float32(a + 0.3 * RNG.normal(size=a.shape)), params)


@pytest.mark.parametrize("condition", [CONDITION, None], ids=["conditional", "plain"])
def test_it_is_zero_at_first_and_keeps_the_shape(condition):
    params = make_params(condition)
    out = jax.jit(NETWORK.apply)(params, U, LEVEL, condition)
    assert out.shape == U.shape
    np.testing.assert_array_equal(out, 0)


def test_every_input_and_every_parameter_matters():
    """Each number of u, the level and each number of the condition move the output of their own
    row alone, and each parameter of the network moves it somewhere."""
    params = moved(make_params(CONDITION))

    @jax.jit
    def evaluate():
        def of_one(params, u, level, condition):
            return NETWORK.apply(params, u[None], level[None], condition[None])[0]

        in_batch = NETWORK.apply(params, U, LEVEL, CONDITION)
        alone = jax.vmap(of_one, (None, 0, 0, 0))(params, U, LEVEL, CONDITION)
        slopes = jax.vmap(jax.jacrev(of_one, (1, 2, 3)), (None, 0, 0, 0))(
            params, U, LEVEL, CONDITION
        )
        of_params = jax.grad(lambda p: (NETWORK.apply(p, U, LEVEL, CONDITION) * U).sum())(params)
        return in_batch, alone, slopes, of_params

    in_batch, alone, slopes, of_params = jax.device_get(evaluate())
    np.testing.assert_allclose(in_batch, alone, rtol=1e-5, atol=1e-5)
    for slope in slopes:
        flat = np.abs(slope.reshape(4, U[0].size, -1))
        assert np.all(flat.max(axis=1) > 1e-4)
    assert all(np.any(np.abs(leaf) > 1e-6) for leaf in jax.tree.leaves(of_params))


def test_the_linear_part_is_a_function_of_the_level():
    """With the blocks' output layer zero, every number of u passes times its own gain, which
    layers narrower than u could not carry."""
    wide = ModulatedMLP(width=2, blocks=1)
    params = moved(jax.jit(lambda: wide.init(jax.random.key(0), U, LEVEL))())
    last = max(
        (name for name in params["params"] if params["params"][name]["kernel"].shape[0] == 2),
        key=lambda name: params["params"][name]["kernel"].shape[1],
    )
    assert params["params"][last]["kernel"].shape == (2, 6)
    params["params"][last] = jax.tree.map(np.zeros_like, params["params"][last])
    apply = jax.jit(wide.apply)
    out = apply(params, U, LEVEL)
    np.testing.assert_allclose(apply(params, 2 * U, LEVEL), 2 * out, rtol=1e-5)
    gain = out / U
    assert np.unique(gain.round(5)).size == gain.size
    np.testing.assert_allclose(apply(params, U[::-1], LEVEL), gain * U[::-1], rtol=1e-4)


def test_other_outputs_start_at_zero_and_are_those_of_the_blocks():
    net = ModulatedMLP(width=8, blocks=1, num_outputs=5)
    params = jax.jit(net.init)(jax.random.key(0), U, LEVEL)
    apply = jax.jit(net.apply)
    out = apply(params, U, LEVEL)
    assert out.shape == (4, 3, 5)
    np.testing.assert_array_equal(out, 0)
    assert np.all(np.ptp(apply(moved(params), U, LEVEL), axis=0) > 0)


@pytest.mark.parametrize("num_outputs", [None, 5])
def test_dropout_needs_a_key(num_outputs):
    net = ModulatedMLP(width=8, blocks=1, num_outputs=num_outputs, dropout=0.25)
    params = moved(jax.jit(net.init)(jax.random.key(0), U, LEVEL))

    @jax.jit
    def evaluate(params):
        keys = jax.random.split(jax.random.key(1), 500)
        without = net.clone(dropout=0.0).apply(params, U, LEVEL)
        off = net.apply(params, U, LEVEL)
        on = jax.vmap(lambda key: net.apply(params, U, LEVEL, rngs={"dropout": key}))(keys)
        return without, off, on

    without, off, on = evaluate(params)
    np.testing.assert_array_equal(off, without)
    assert np.all(np.ptp(on, axis=0) > 0)


def test_a_dropped_number_is_zero_and_the_mean_stays():
    class Drop(nn.Module):
        dropout: float

        @nn.compact
        def __call__(self, h):
            return drop(self, h)

    h = jax.jit(Drop(0.25).apply)({}, np.ones((2000, 3)), rngs={"dropout": jax.random.key(0)})
    np.testing.assert_allclose(np.unique(h), [0.0, 1 / 0.75], rtol=1e-6)
    assert_mean(h, 1.0)
    with pytest.raises(InputError, match=r"dropout is -0.1: give a number in \[0, 1\)"):
        Drop(-0.1).apply({}, np.ones(3))
