"""Costs of an update: parameters and bytes exactly, operations of products whose number is known,
loops and branches included."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffenc import training
from diffenc.networks import bilinear
from diffenc.run import costs

OPTIMIZER = optax.adam(0.1)
X = jax.ShapeDtypeStruct((16, 32), jnp.float32)
W = jax.ShapeDtypeStruct((32, 32), jnp.float32)
PRODUCT = 2 * 16 * 32 * 32


def flops_of(function, *inputs):
    return costs.count_flops(jax.make_jaxpr(function)(*inputs))


def test_an_update_of_a_linear_model():
    def update(state, key, x):
        noise = jax.random.normal(key, (16, 8))

        def loss(params):
            return jnp.mean(jnp.square(x @ params["w"] + params["b"][None] - noise))

        grads = jax.grad(loss)(state.params)
        return state.apply_gradients(grads, OPTIMIZER, 0.99), {}

    params = {"w": jnp.zeros((32, 8)), "b": jnp.zeros(8)}
    state = training.TrainState.create(params, OPTIMIZER, carried=jnp.zeros(5))
    found = costs.measure(update, state, jax.random.key(0), X)
    num_parameters = 32 * 8 + 8
    assert found.num_parameters == num_parameters
    # params, averages and two moments; what is carried; the counts of the state and of Adam
    assert found.state_bytes == 4 * (4 * num_parameters + 5 + 2)
    # x w, and x^T times the gradient; x asks for no gradient
    assert found.flops == 2 * (2 * 16 * 32 * 8)
    assert found.temporary_bytes is None
    shapes = jax.eval_shape(lambda: state)
    assert costs.measure(update, shapes, jax.eval_shape(lambda: jax.random.key(0)), X) == found


def test_a_loop_counts_as_often_as_it_runs():
    """XLA's own analysis counts it once."""

    def chain(x, w):
        return jax.lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, length=10)[0]

    assert flops_of(chain, X, W) == 10 * PRODUCT
    assert flops_of(lambda x, w: jax.lax.fori_loop(0, 7, lambda _, x: x @ w, x), X, W) == (
        7 * PRODUCT
    )
    gradient = jax.grad(lambda w, x: jnp.sum(chain(x, w)))
    # In the backward pass each step is two products: for w, and for the x before it.
    assert flops_of(gradient, W, X) == 30 * PRODUCT
    nested = jax.jit(lambda x, w: jax.lax.map(lambda _: chain(x, w), jnp.arange(3)))
    assert flops_of(nested, X, W) == 30 * PRODUCT


def test_a_branch_counts_as_its_most_expensive_alternative():
    def branch(x, w):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ w @ w, lambda x: x @ w, x)

    assert flops_of(branch, X, W) == 2 * PRODUCT


def test_what_is_computed_again_counts_again():
    def loss(w, x):
        return jnp.sum(jnp.tanh(jnp.tanh(x @ w) @ w))

    # Two products forward; backward two for each but the first, of whose x no gradient is asked.
    assert flops_of(jax.value_and_grad(loss), W, X) == 5 * PRODUCT
    # Both products are computed again in the backward pass.
    assert flops_of(jax.value_and_grad(jax.checkpoint(loss)), W, X) == 7 * PRODUCT


def test_what_nothing_uses_does_not_count():
    """Gradients that two cotangents of one evaluation have, of which one is used."""

    def both(w, x):
        h = jnp.tanh(x @ w)
        return jnp.sum(h), jnp.sum(h**2)

    def gradients(w, x):
        _, pull_back = jax.vjp(both, w, x)
        one, zero = jnp.ones(()), jnp.zeros(())
        return pull_back((one, zero)), pull_back((zero, one))[1]

    assert flops_of(gradients, W, X) == 4 * PRODUCT
    assert flops_of(lambda w, x: jax.jit(gradients)(w, x)[0], W, X) == 3 * PRODUCT
    assert flops_of(lambda w, x: x, W, X) == flops_of(lambda w, x: (x @ w, x)[1], W, X) == 0


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_counted_by_its_kernel(stride):
    def convolve(h, kernel):
        return jax.lax.conv_general_dilated(
            h, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    h = jax.ShapeDtypeStruct((2, 8, 8, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4, 6), jnp.float32)
    forward = 2 * (3 * 3 * 4) * (2 * (8 // stride) ** 2 * 6)
    assert flops_of(convolve, h, kernel) == forward
    assert flops_of(jax.vmap(convolve, (0, None)), stack(h), kernel) == 5 * forward


def test_convolutions_of_networks_are_counted_with_their_gradients():
    """As XLA's own would be: three of one size, forward, and for either operand."""
    h = jax.ShapeDtypeStruct((2, 8, 8, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4, 6), jnp.float32)
    forward = 2 * (3 * 3 * 4) * (2 * 8**2 * 6)
    assert flops_of(bilinear.convolve, h, kernel) == forward
    assert flops_of(jax.vmap(bilinear.convolve), stack(h), stack(kernel)) == 5 * forward

    def gradients(h, kernel):
        loss = lambda h, kernel: jnp.sum(jnp.square(bilinear.convolve(h, kernel)))  # noqa: E731
        return jax.grad(loss, (0, 1))(h, kernel)

    assert flops_of(gradients, h, kernel) == 3 * forward


def stack(struct):
    """Five of them."""
    return jax.ShapeDtypeStruct((5, *struct.shape), struct.dtype)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (7, "7 B"), (999, "999 B"), (999_960, "1 MB"), (1_234_567, "1.23 MB")],
)
def test_a_number_has_three_digits(value, text):
    assert costs._scaled(value, "B") == text


def test_a_line_of_costs():
    line = costs.describe(costs.Costs(1_200_000, 14_400_000, 3_400_000_000))
    assert line == "1.2 M parameters, state 14.4 MB, 3.4 GFLOP an update"
    line = costs.describe(costs.Costs(120, 14_400, int(np.int64(34)), 52_000_000))
    assert line == "120 parameters, state 14.4 kB, 34 FLOP an update, 52 MB of temporary memory"
