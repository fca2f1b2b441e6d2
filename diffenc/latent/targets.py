"""Denoising losses per example: targets and weights.

The likelihood-weighted loss of a velocity v_theta against a target v (2409.03817) is

    L = 1/2 int dlambda alpha^2 E |v_theta - v|^2,

an upper bound on KL(posterior || encoder) up to a constant. Targets differ in variance, not in
conditional mean.
"""

import jax
import jax.numpy as jnp


def denoising_target(z: jax.Array, eps: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Compute v_D = alpha eps - sigma z [batch, d]."""
    return alpha * eps - sigma * z


def pressure_target(z: jax.Array, grad_log_posterior: jax.Array, sigma: jax.Array) -> jax.Array:
    """Compute v_P = -sigma (1/gamma) grad_z log p(x|z), the pressure of the decoder.

    It has the conditional mean of v_D, because e_t(z_t|x) = alpha_t E[(1/gamma) grad log p(x|z) |
    z_t, x].

    Args:
        z: latents [batch, d].
        grad_log_posterior: grad_z log q*(z|x) = (1/gamma) grad_z log p(x|z) - z [batch, d].
        sigma: broadcasts to [batch, d].

    Returns:
        [batch, d].
    """
    return -sigma * (grad_log_posterior + z)


def mixture_weight(width: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Compute the c of least variance in v = c v_P + (1 - c) v_D.

    For a Gaussian posterior of that width this v has no variance at all.

    Args:
        width: standard deviations of the posterior, broadcast to [batch, d].
        alpha: broadcasts to [batch, d].
        sigma: broadcasts to [batch, d].

    Returns:
        c [batch, d].
    """
    return width**2 / ((alpha * width) ** 2 + sigma**2)


def weighted_error(
    v: jax.Array, target: jax.Array, alpha: jax.Array, density: jax.Array
) -> jax.Array:
    """Compute 1/2 alpha^2 |v - target|^2 / density(lambda), an unbiased draw of L.

    Args:
        v: the network's velocity [batch, d].
        target: what it regresses on [batch, d].
        alpha: [batch].
        density: of the drawn lambda [batch].

    Returns:
        [batch], in nats.
    """
    return 0.5 * jnp.sum((v - target) ** 2, axis=-1) * alpha**2 / density


def path_error(
    v: jax.Array, target: jax.Array, alpha: jax.Array, sigma: jax.Array, density: jax.Array
) -> jax.Array:
    """Compute a draw of 1/2 int dphi |v_theta - v|^2, where dlambda = 2 dphi / (alpha sigma).

    This is the error along the flow dy/dphi = v, on which samples and log q depend equally at every
    angle. Its minimum is that of `weighted_error`.

    Args:
        v: the network's velocity [batch, d].
        target: what it regresses on [batch, d].
        alpha: [batch].
        sigma: [batch].
        density: of the drawn lambda [batch].

    Returns:
        [batch].
    """
    return 0.25 * jnp.sum((v - target) ** 2, axis=-1) * alpha * sigma / density


def neural_entropy_draw(v: jax.Array, alpha: jax.Array, density: jax.Array) -> jax.Array:
    """Compute 1/2 alpha^2 |v|^2 / density(lambda), an unbiased draw of S_NN(Z|X).

    S_NN is the neural entropy, the information that the network holds.

    Args:
        v: the network's velocity [batch, d].
        alpha: [batch].
        density: of the drawn lambda [batch].

    Returns:
        [batch], in nats.
    """
    return 0.5 * jnp.sum(v**2, axis=-1) * alpha**2 / density
