"""Coordinates of a Gaussian, and Newton steps of its mean."""

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.gaussians import Gaussian
from diffenc.latent import whitening

FACTOR = np.array([[0.6, 0.0], [0.2, 0.4]], np.float32)
MODE = np.array([[0.3, -0.2]], np.float32)


def rows(n):
    y = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    return y, np.tile(FACTOR, (n, 1, 1))


def test_solve_undoes_apply_and_pull_is_the_gradient_in_whitened_coordinates():
    y, factor = rows(20)

    def colour(y):
        return whitening.apply(jnp.tile(MODE, (20, 1)), factor, y)

    def log_density(z):
        return jnp.sum(jnp.sin(z[:, 0]) * z[:, 1])

    @jax.jit
    def evaluate():
        z = colour(y)
        pulled = whitening.pull(factor, jax.grad(log_density)(z))
        return (
            whitening.solve(factor, z - MODE),
            pulled,
            jax.grad(lambda y: log_density(colour(y)))(y),
        )

    again, pulled, gradient = evaluate()
    np.testing.assert_allclose(again, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pulled, gradient, rtol=1e-5, atol=1e-6)


def test_a_gradient_beyond_its_trust_region_is_shortened():
    g = np.array([[3.0, 4.0], [30.0, 40.0], [0.0, 0.0]], np.float32)
    found = np.asarray(jax.jit(whitening.trusted)(g, 4.0))
    np.testing.assert_allclose(found[::2], g[::2])
    np.testing.assert_allclose(found[1], 4 * np.sqrt(2) * np.array([0.6, 0.8]), rtol=1e-6)


def test_one_newton_step_finds_the_mode_of_its_own_gaussian():
    y, factor = rows(20)
    near = np.linalg.norm(y, axis=-1) < 2 * np.sqrt(2)  # the rest is shortened

    @jax.jit
    def step():
        start = whitening.apply(jnp.tile(MODE, (20, 1)), factor, y)
        return whitening.newton(
            Gaussian(MODE[0], FACTOR @ FACTOR.T).log_prob, start, factor, 1
        ).mean

    found = np.asarray(step())
    np.testing.assert_allclose(found[near], np.tile(MODE, (int(near.sum()), 1)), atol=1e-5)


def test_newton_steps_never_go_downhill_and_converge_in_the_wrong_metric():
    """A metric ten times too wide overshoots at first: steps are refused and shortened until they
    climb."""
    start, factor = rows(50)
    log_density = Gaussian(MODE[0], FACTOR @ FACTOR.T / 100).log_prob

    @jax.jit
    def climb():
        """log p after 0 to 11 steps, and the points after 200."""
        points = [whitening.newton(log_density, start, factor, n).mean for n in range(12)]
        values = jax.lax.map(log_density, jnp.stack(points))
        return values, whitening.newton(log_density, start, factor, 200).mean

    values, found = jax.device_get(climb())
    assert np.all(np.diff(values, axis=0) >= 0)
    np.testing.assert_allclose(found, np.tile(MODE, (50, 1)), atol=1e-3)


def test_a_step_to_no_number_is_not_taken():
    """The log density there must not stand beside the mean that was kept."""

    def log_density(z):
        return jnp.where(jnp.abs(z[:, 0]) < 0.5, -0.5 * jnp.square(z[:, 0] - 3), jnp.nan)

    start = jnp.zeros((1, 1))
    peak = whitening.newton(log_density, start, jnp.ones((1, 1, 1)), 1)
    np.testing.assert_array_equal(peak.mean, start)
    np.testing.assert_allclose(peak.log_density, [-4.5])
