"""The convolution and the correlation of images, against those of `jax.lax`, and each as the
transpose of the other."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.networks.bilinear import convolve, correlate

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 6, 5, 3), np.float32)
W = RNG.standard_normal((3, 3, 3, 4), np.float32)
DX = RNG.standard_normal(X.shape, np.float32)
DW = RNG.standard_normal(W.shape, np.float32)
Y = RNG.standard_normal((2, 6, 5, 4), np.float32)


def by_lax(x, w):
    """The convolution of jax.lax, with its own derivatives."""
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=axes)


def loss_of(conv):
    """A function of x and w with derivatives of any order."""
    return lambda x, w: jnp.sum(jnp.sin(conv(x, w)) * Y[: x.shape[0]])


def slope_of(conv):
    """The derivative of the loss along (DX, DW)."""
    return lambda x, w: jax.jvp(loss_of(conv), (x, w), (DX, DW))[1]


def gradients_of(conv):
    """Both gradients of the loss."""
    return jax.grad(loss_of(conv), argnums=(0, 1))


CASES = {
    "value": lambda conv: conv,
    "gradients": gradients_of,
    "tangent": lambda conv: lambda x, w: jax.jvp(conv, (x, w), (DX, DW))[1],
    "gradients of a tangent": lambda conv: jax.grad(slope_of(conv), argnums=(0, 1)),
    "tangent of gradients": lambda conv: (
        lambda x, w: jax.jvp(gradients_of(conv), (x, w), (DX, DW))[1]
    ),
    "gradients, computed again": lambda conv: jax.grad(
        jax.checkpoint(loss_of(conv)), argnums=(0, 1)
    ),
    "gradients inside a loop": lambda conv: (
        lambda x, w: jax.lax.map(lambda a: gradients_of(conv)(a * x, w), jnp.array([0.5, 1.0]))
    ),
}
# Each moves an axis of its own to a place of its own: (axes of x and w, axes of the result).
BATCHES = {
    "images": ((1, None), 2),
    "kernels": ((None, 3), 0),
    "images and kernels": ((0, 2), 1),
}


def agree(ours, theirs):
    """Assert equality to rounding: both add up no more than some hundred products of size 1."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-6 * np.abs(b).max())


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_lax(name):
    agree(*jax.jit(lambda x, w: [CASES[name](conv)(x, w) for conv in (convolve, by_lax)])(X, W))


def test_without_jit_it_is_the_same():
    agree(convolve(X, W), jax.jit(by_lax)(X, W))


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("case", ["value", "gradients", "tangent of gradients"])
def test_batches_of_images_and_of_kernels(name, case):
    axes, out_axis = BATCHES[name]
    batch = [
        operand if axis is None else np.stack([operand, 2 * operand[::-1], -operand], axis)
        for operand, axis in zip((X, W), axes, strict=True)
    ]

    def both(*batch):
        """The case over the batch, by ours and by lax."""
        return [
            jax.vmap(CASES[case](conv), in_axes=axes, out_axes=out_axis)(*batch)
            for conv in (convolve, by_lax)
        ]

    agree(*jax.jit(both)(*batch))


def test_batches_of_batches():
    """Two batches of both, and one of x more: every place that an axis can be merged into."""
    xs = np.stack([np.stack([X, -X]), np.stack([2 * X, X[::-1]])])
    ws = np.stack([W, W[::-1]])

    def both(xs, ws):
        """Gradients for each pair, then for each x, by ours and by lax."""
        return [
            jax.vmap(jax.vmap(gradients_of(conv), (0, 0)), (0, None))(xs, ws)
            for conv in (convolve, by_lax)
        ]

    agree(*jax.jit(both)(xs, ws))


def test_a_correlation_transposes_a_convolution():
    """<convolve(x, w), y> = <w, correlate(x, y)>, and so for batches of x or of y alone."""

    @jax.jit
    def products():
        xs = jnp.stack([X, DX])
        ys = jnp.stack([Y, Y[::-1]])
        left = jnp.einsum("anhwo,bnhwo->ab", jax.vmap(lambda x: convolve(x, W))(xs), ys)
        kernels = jax.vmap(lambda x: jax.vmap(lambda y: correlate(x, y))(ys))(xs)
        return left, jnp.einsum("ijco,abijco->ab", W, kernels)

    agree(*products())


def test_a_convolution_in_bfloat16_is_the_exact_one_rounded():
    def rounded(*operands):
        return [jnp.asarray(a, jnp.bfloat16) for a in operands]

    x, w = rounded(X, W)
    ours = (convolve(x, w), *gradients_of(convolve)(x, w))
    assert all(a.dtype == jnp.bfloat16 for a in ours)
    eps = float(jnp.finfo(jnp.bfloat16).eps)
    exact = by_lax(x.astype(jnp.float32), w.astype(jnp.float32))
    # Rounding to nearest is off by half an epsilon of the result. Before it, sums of 9 c products
    # are off by as many epsilons of float32, times the sum of their sizes, at most.
    sizes = by_lax(jnp.abs(x).astype(jnp.float32), jnp.abs(w).astype(jnp.float32))
    of_sums = 9 * x.shape[-1] * float(jnp.finfo(jnp.float32).eps) * np.asarray(sizes)
    error = np.abs(np.asarray(ours[0], np.float64) - np.asarray(exact, np.float64))
    assert np.all(error <= 0.5 * eps * (np.abs(exact) + of_sums) + of_sums)


def test_types_are_not_mixed():
    with pytest.raises(TypeError, match="convolve_3x3: float32 and bfloat16 are not of one type"):
        convolve(jnp.asarray(X), jnp.asarray(W, jnp.bfloat16))


def test_the_precision_is_that_of_where_it_is_called():
    """Not of where it is compiled: accelerators round products unless they are told otherwise."""

    def precise(x):
        """Convolve under a precision of its own."""
        with jax.default_matmul_precision("highest"):
            return convolve(x, W)

    gradient = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(jnp.square(precise(x)))))(X)
    ours = [eqn for eqn in gradient.eqns if eqn.primitive.name == "convolve_3x3"]
    assert len(ours) == 2 and all(eqn.params["precision"] == "highest" for eqn in ours)


@pytest.mark.parametrize(("platform", "products"), [("cuda", 0), ("tpu", 0), ("cpu", 3)])
def test_accelerators_have_convolutions_only(platform, products):
    """A CPU has products for the kernel's gradient, one for each row of the kernel."""
    exported = jax.export.export(jax.jit(gradients_of(convolve)), platforms=[platform])
    text = exported(X, W).mlir_module()
    assert text.count("= stablehlo.dot_general") == products
    assert text.count("stablehlo.convolution") == (2 if products else 3)
