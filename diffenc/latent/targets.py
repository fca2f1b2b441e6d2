"""Denoising losses per example: targets and weights.

The likelihood-weighted loss of a velocity v_theta against a target v (2409.03817) is

    L = 1/2 int dlambda alpha^2 E |v_theta - v|^2,

an upper bound on KL(posterior || encoder) up to a constant. Targets differ in variance, not in
conditional mean.
"""

import jax
import jax.numpy as jnp


def denoising_target(z: jax.Array, eps: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """v_D = alpha eps - sigma z."""
    return alpha * eps - sigma * z


def pressure_target(z: jax.Array, grad_log_posterior: jax.Array, sigma: jax.Array) -> jax.Array:
    """v_P = -sigma (1/gamma) grad_z log p(x|z): the decoder's pressure; grad_log_posterior = that
    minus z.

    Same conditional mean as v_D, because e_t(z_t|x) = alpha_t E[(1/gamma) grad log p(x|z) | z_t, x]
    (decoder pressure).
    """
    return -sigma * (grad_log_posterior + z)


def mixture_weight(width: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """c of v = c v_P + (1 - c) v_D with least variance: none at all for a Gaussian posterior of
    that width."""
    return width**2 / ((alpha * width) ** 2 + sigma**2)


def weighted_error(
    v: jax.Array, target: jax.Array, alpha: jax.Array, density: jax.Array
) -> jax.Array:
    """1/2 alpha^2 |v - target|^2 / density(lambda) per example: an unbiased draw of L, in nats."""
    return 0.5 * jnp.sum((v - target) ** 2, axis=-1) * alpha**2 / density


def path_error(
    v: jax.Array, target: jax.Array, alpha: jax.Array, sigma: jax.Array, density: jax.Array
) -> jax.Array:
    """1/2 int dphi |v_theta - v|^2 per example, dlambda = 2 dphi / (alpha sigma): the error along
    the flow dy/dphi = v, which samples and log q depend on, in equal measure at every angle; least
    where `weighted_error` is.
    """
    return 0.25 * jnp.sum((v - target) ** 2, axis=-1) * alpha * sigma / density


def neural_entropy_draw(v: jax.Array, alpha: jax.Array, density: jax.Array) -> jax.Array:
    """1/2 alpha^2 |v|^2 / density(lambda): an unbiased draw of S_NN(Z|X), the information the
    network holds."""
    return 0.5 * jnp.sum(v**2, axis=-1) * alpha**2 / density
