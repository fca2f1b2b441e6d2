"""Coordinates of a Gaussian, and Newton steps of its mean."""

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.gaussians import Gaussian
from diffenc.latent import whitening

FACTOR = jnp.array([[0.6, 0.0], [0.2, 0.4]])
MODE = jnp.array([[0.3, -0.2]])


def rows(n):
    return jax.random.normal(jax.random.key(0), (n, 2)), jnp.tile(FACTOR, (n, 1, 1))


def test_solve_undoes_apply_and_pull_is_the_gradient_in_whitened_coordinates():
    y, factor = rows(20)
    z = whitening.apply(jnp.tile(MODE, (20, 1)), factor, y)
    np.testing.assert_allclose(whitening.solve(factor, z - MODE), y, rtol=1e-5, atol=1e-6)

    def log_density(z):
        return jnp.sum(jnp.sin(z[:, 0]) * z[:, 1])

    gradient = jax.grad(lambda y: log_density(whitening.apply(jnp.tile(MODE, (20, 1)), factor, y)))(
        y
    )
    np.testing.assert_allclose(
        whitening.pull(factor, jax.grad(log_density)(z)), gradient, rtol=1e-5, atol=1e-6
    )


def test_a_gradient_beyond_its_trust_region_is_shortened():
    g = jnp.array([[3.0, 4.0], [30.0, 40.0], [0.0, 0.0]])
    np.testing.assert_allclose(whitening.trusted(g, 4.0)[::2], g[::2])
    np.testing.assert_allclose(
        whitening.trusted(g, 4.0)[1], 4 * np.sqrt(2) * np.array([0.6, 0.8]), rtol=1e-6
    )


def test_one_newton_step_finds_the_mode_of_its_own_gaussian():
    y, factor = rows(20)
    log_density = Gaussian(MODE[0], FACTOR @ FACTOR.T).log_prob
    start = whitening.apply(jnp.tile(MODE, (20, 1)), factor, y)
    near = jnp.linalg.norm(y, axis=-1) < 2 * np.sqrt(2)  # the rest is shortened
    found = whitening.newton(log_density, start, factor, 1)
    np.testing.assert_allclose(found[near], np.tile(MODE, (int(near.sum()), 1)), atol=1e-5)


def test_newton_steps_never_go_downhill_and_converge_in_the_wrong_metric():
    """A metric ten times too wide overshoots at first: steps are refused and shortened until they
    climb."""
    start, factor = rows(50)
    log_density = Gaussian(MODE[0], FACTOR @ FACTOR.T / 100).log_prob
    values = [log_density(whitening.newton(log_density, start, factor, n)) for n in range(12)]
    assert all(np.all(after >= before) for before, after in zip(values, values[1:], strict=False))
    found = whitening.newton(log_density, start, factor, 200)
    np.testing.assert_allclose(found, np.tile(MODE, (50, 1)), atol=1e-3)
