"""Optimal transport: closed forms for Gaussians, known couplings and another solver for samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from diffenc.diffusion.gaussians import gaussian_w2_squared
from diffenc.diffusion.transport import sample_w2_squared
from diffenc.errors import InputError


def test_gaussians_that_commute():
    cov0, cov1 = jnp.diag(jnp.array([1.0, 4.0])), jnp.diag(jnp.array([9.0, 0.25]))
    found = gaussian_w2_squared(jnp.zeros(2), cov0, jnp.array([1.0, 2.0]), cov1)
    assert float(found) == pytest.approx(1 + 4 + (3 - 1) ** 2 + (2 - 0.5) ** 2, rel=1e-5)


def test_gaussians_that_do_not_commute():
    """T = C0^-1/2 (C0^1/2 C1 C0^1/2)^1/2 C0^-1/2 carries the first to the second: E|Tx - x|^2 is
    the distance."""
    rng = np.random.default_rng(0)
    a, b = (m @ m.T + 0.2 * np.eye(3) for m in rng.normal(size=(2, 3, 3)))

    def root(m):
        values, axes = np.linalg.eigh(m)
        return (axes * np.sqrt(values)) @ axes.T

    inverse = np.linalg.inv(root(a))
    map_ = inverse @ root(root(a) @ b @ root(a)) @ inverse
    np.testing.assert_allclose(map_ @ a @ map_.T, b, rtol=1e-6)
    move = map_ - np.eye(3)
    found = gaussian_w2_squared(jnp.zeros(3), jnp.asarray(a), jnp.zeros(3), jnp.asarray(b))
    assert float(found) == pytest.approx(np.trace(move @ a @ move.T), rel=1e-4)


def test_samples():
    x = np.asarray(jax.random.normal(jax.random.key(0), (200, 3)))
    assert sample_w2_squared(x, x + np.array([1.0, 2.0, 0.5])) == pytest.approx(
        5.25, rel=1e-5
    )  # a translation
    y = np.asarray(1.5 * jax.random.normal(jax.random.key(1), (200, 3)))
    cost = cdist(x, y, "sqeuclidean")
    rows, columns = linear_sum_assignment(cost)
    assert sample_w2_squared(x, y) == pytest.approx(cost[rows, columns].mean(), rel=1e-5)
    line = sample_w2_squared(x[:50, :1], y[:, :1])  # unequal sizes, in one dimension by quantiles
    quantiles = np.repeat(np.sort(x[:50, 0]), 4) - np.sort(y[:, 0])
    assert line == pytest.approx(np.mean(quantiles**2), rel=1e-5)


def test_shapes_must_fit():
    with pytest.raises(InputError, match="give"):
        sample_w2_squared(np.zeros((3, 2)), np.zeros((3, 1)))
