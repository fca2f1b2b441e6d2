"""Toys with data, and what is known of their posteriors, as numpy arrays."""

import functools

import jax
import numpy as np
from scipy import stats

from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.latent import posterior_grid, toys
from diffenc.latent.posterior_grid import Grid

NAMES = ("absolute", "ring", "pinwheel", "two_components")
log_marginal = jax.jit(posterior_grid.log_marginal, static_argnums=(0, 1))
posterior = jax.jit(posterior_grid.posterior, static_argnums=(0, 1))
best_gaussian_kl = jax.jit(posterior_grid.best_gaussian_kl, static_argnums=1)
posterior_moments = jax.jit(posterior_grid.posterior_moments, static_argnums=1)
posterior_kl = jax.jit(posterior_grid.posterior_kl, static_argnums=2)
sample_posterior = jax.jit(posterior_grid.sample_posterior, static_argnums=(2, 3))
encoder_log_prob = jax.jit(posterior_grid.encoder_log_prob, static_argnums=(0, 2, 4, 5))
likelihood = jax.jit(
    lambda toy, x, z: jax.vmap(lambda row: toy.log_prob({}, row[None], z))(x), static_argnums=0
)
gaussian_divergence = jax.jit(jax.vmap(gaussian_kl))
gaussian_log_prob = jax.jit(
    jax.vmap(lambda mean, cov, z: Gaussian(mean, cov).log_prob(z), in_axes=(0, 0, None))
)


@functools.partial(jax.jit, static_argnums=(0, 1))
def draw(toy, grid):
    """128 x, and the log posterior and the log marginal of the first 16."""
    key_z, key_x = jax.random.split(jax.random.key(0))
    x = toy.sample(key_x, {}, jax.random.normal(key_z, (128, toy.latent_dim)))
    known = x[:16]
    log_p = posterior_grid.posterior(toy, grid, known)
    return x, log_p, posterior_grid.log_marginal(toy, grid, known)


@functools.cache
def drawn(name):
    """The toy, its default grid, and what `draw` gives."""
    toy = toys.make(name)
    grid = Grid(toy.latent_dim)
    return toy, grid, *jax.device_get(draw(toy, grid))


def many_x(name):
    return drawn(name)[2]


def case(name):
    """The toy, its default grid, data x and the log posterior of each."""
    toy, grid, x, log_p, _ = drawn(name)
    return toy, grid, x[:16], log_p


def marginal(name):
    """log p(x) of the data of `case`."""
    return drawn(name)[4]


@functools.cache
def points(grid):
    return np.asarray(grid.points())


def log_normal(z):
    return stats.norm.logpdf(z).sum(axis=-1)
