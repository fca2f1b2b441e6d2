"""Denoising losses per example: noise levels, targets and weights.

The likelihood-weighted loss of a velocity v_theta against a target v (2409.03817) is

    L = 1/2 int dlambda alpha^2 E |v_theta - v|^2,

an upper bound on KL(posterior || encoder) up to a constant. Targets differ in variance, not in conditional mean.
"""

import jax
import jax.numpy as jnp


def stratified_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform numbers on (0, 1), one in each of `size` equal cells, in random order: [shape]."""
    size = 1
    for length in shape:
        size *= length
    key_cell, key_order = jax.random.split(key)
    cells = jax.random.permutation(key_order, size)
    return ((cells + jax.random.uniform(key_cell, (size,))) / size).reshape(shape)


def truncated_logistic(uniform: jax.Array, location: jax.Array, half_range: float = 7.0) -> tuple[jax.Array, jax.Array]:
    """Map uniforms to log_snr ~ logistic(location, 1) on location +- half_range; also returns its density.

    The logistic density sigmoid(l) sigmoid(-l) is the shape of the likelihood integrand of a posterior of precision
    exp(location), so no level dominates the loss (see diffenc.latent.encoder).
    """
    edge = jax.nn.sigmoid(-half_range)
    probability = edge + (1 - 2 * edge) * uniform
    centred = jax.scipy.special.logit(probability)
    return location + centred, probability * (1 - probability) / (1 - 2 * edge)


def with_angles(
    uniform: jax.Array, location: jax.Array, share: float = 0.5, half_range: float = 7.0
) -> tuple[jax.Array, jax.Array]:
    """As `truncated_logistic`, but a share of the levels is uniform in the angle phi = atan2(sigma, alpha).

    The logistic of a narrow posterior (location >> 0) never visits high noise, where the likelihood has next to no
    weight; yet the probability flow, uniform in phi, passes through it, and everything after depends on it.
    """
    logistic, _ = truncated_logistic(jnp.clip((uniform - share) / (1 - share), 0, 1), location, half_range)
    phi = (0.5 * jnp.pi) * jnp.clip(uniform / share, 1e-4, 1 - 1e-4)
    log_snr = jnp.where(uniform < share, -2 * jnp.log(jnp.tan(phi)), logistic)
    alpha_sigma = jnp.sqrt(jax.nn.sigmoid(log_snr) * jax.nn.sigmoid(-log_snr))
    centred = log_snr - location
    edge = jax.nn.sigmoid(-half_range)
    inside = jnp.abs(centred) <= half_range
    logistic_density = jnp.where(inside, jax.nn.sigmoid(centred) * jax.nn.sigmoid(-centred) / (1 - 2 * edge), 0.0)
    return log_snr, (1 - share) * logistic_density + share * alpha_sigma / jnp.pi


def denoising_target(z: jax.Array, eps: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """v_D = alpha eps - sigma z."""
    return alpha * eps - sigma * z


def pressure_target(z: jax.Array, grad_log_posterior: jax.Array, sigma: jax.Array) -> jax.Array:
    """v_P = -sigma (1/gamma) grad_z log p(x|z): the decoder's pressure; grad_log_posterior = that minus z.

    Same conditional mean as v_D, because e_t(z_t|x) = alpha_t E[(1/gamma) grad log p(x|z) | z_t, x] (decoder pressure).
    """
    return -sigma * (grad_log_posterior + z)


def mixture_weight(width: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """c of v = c v_P + (1 - c) v_D with least variance: none at all for a Gaussian posterior of that width."""
    return width**2 / ((alpha * width) ** 2 + sigma**2)


def weighted_error(v: jax.Array, target: jax.Array, alpha: jax.Array, density: jax.Array) -> jax.Array:
    """1/2 alpha^2 |v - target|^2 / density(lambda) per example: an unbiased draw of L, in nats."""
    return 0.5 * jnp.sum((v - target) ** 2, axis=-1) * alpha**2 / density


def path_error(v: jax.Array, target: jax.Array, alpha: jax.Array, sigma: jax.Array, density: jax.Array) -> jax.Array:
    """1/2 int dphi |v_theta - v|^2 per example, dlambda = 2 dphi / (alpha sigma): the error along the flow dy/dphi = v,
    which samples and log q depend on, in equal measure at every angle; least where `weighted_error` is.
    """
    return 0.25 * jnp.sum((v - target) ** 2, axis=-1) * alpha * sigma / density


def neural_entropy_draw(v: jax.Array, alpha: jax.Array, density: jax.Array) -> jax.Array:
    """1/2 alpha^2 |v|^2 / density(lambda): an unbiased draw of S_NN(Z|X), the information the network holds."""
    return 0.5 * jnp.sum(v**2, axis=-1) * alpha**2 / density
