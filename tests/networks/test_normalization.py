"""Group normalization: flax's, with scale and shift."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.networks.normalization import GroupNorm


@pytest.mark.parametrize("c", [4, 24])
def test_it_is_that_of_flax_scaled_and_shifted(c):
    """In values, gradients and the names of parameters; one group only below 16 channels."""
    rng = np.random.default_rng(c)
    h = (3 + 2 * rng.standard_normal((2, 4, 6, c))).astype("f")
    params = {name: rng.standard_normal(c).astype("f") for name in ("scale", "bias")}
    scale, shift = rng.standard_normal((2, 2, c)).astype("f")
    weights = rng.standard_normal(h.shape).astype("f")

    def ours(params, h, scale, shift):
        return GroupNorm().apply({"params": params}, h, scale, shift)

    def theirs(params, h, scale, shift):
        out = nn.GroupNorm(num_groups=max(1, c // 8)).apply({"params": params}, h)
        return out * (1 + scale[:, None, None]) + shift[:, None, None]

    @jax.jit
    def both(*inputs):
        def value_and_gradients(function):
            out = function(*inputs)
            grads = jax.grad(lambda *a: jnp.sum(function(*a) * weights), argnums=(0, 1, 2, 3))
            return out, grads(*inputs)

        return value_and_gradients(ours), value_and_gradients(theirs)

    mine, flax = both(params, h, scale, shift)
    # The values are a few sizes of 1 and the mean is 1.5 standard deviations.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max()),
        mine,
        flax,
    )
    names = jax.eval_shape(GroupNorm().init, jax.random.key(0), h)["params"]
    assert {name: leaf.shape for name, leaf in names.items()} == {"scale": (c,), "bias": (c,)}


def test_its_type_is_that_asked_for():
    """Means and variances are of float32 all the same: bfloat16 would keep two digits of them."""
    h = (100 + np.random.default_rng(0).standard_normal((1, 8, 8, 8))).astype(jnp.bfloat16)
    out = GroupNorm(jnp.bfloat16).init_with_output(jax.random.key(0), h)[0]
    assert out.dtype == jnp.bfloat16
    exact = h.astype(np.float64)
    exact = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-6)
    np.testing.assert_allclose(out.astype(np.float32), exact, rtol=0, atol=0.03)
