"""Samples of a diffusion encoder and their density, by the probability flow of its diffusion.

The flow dy/dphi = v(y, phi) runs in the coordinates y = W^-1 (z - m) of the encoder's reference,
from noise at phi = pi/2 to y at phi = 0, so

    log q(z|x) = log N(y_1; 0, I) - log |det dy/dy_1| - log det W

Shapes: z and y [batch, d]; all information is in nats.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion import angle_flow
from diffenc.latent.decoders import log_prior
from diffenc.networks.mlp import Context

FROM_DATA = (0.0, angle_flow.HALF_PI)  # start and stop of the flow from data to noise


def velocity_fn(encoder, params, context: Context, is_noise: bool = False) -> Callable:
    """Make dy/dphi = v(y, phi) for `angle_flow`.

    Args:
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        is_noise: whether it is asked at phi = pi/2 alone.
    """

    def v_fn(y, phi):
        cos = jnp.maximum(jnp.cos(phi), 1e-6)
        sin = jnp.maximum(jnp.sin(phi), 1e-6)
        return encoder.velocity(params, context, y, 2 * jnp.log(cos / sin), is_noise)

    return v_fn


def sample_whitened(key: jax.Array, encoder, params, context: Context, num_steps: int) -> jax.Array:
    """Sample y with m + W y = z ~ q_theta(z|x).

    At phi = 0 v = -sigma r is 0, so the last step needs one evaluation, at its start.

    Args:
        key: the key of the noise at the start.
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        num_steps: number K of Heun steps; the evaluations are 2 K - 1.

    Returns:
        y [batch, d].
    """
    y = jax.random.normal(key, context.mean.shape)
    v_fn = velocity_fn(encoder, params, context, is_noise=num_steps == 1)
    return angle_flow.angle_flow(v_fn, y, num_steps, rests=True)


def sample_and_log_prob(
    key: jax.Array, encoder, params, context: Context, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Sample z ~ q_theta(z|x) with log q(z|x), the density of the *discrete* sampler.

    The density comes from the Jacobian of each step. It is exact at any number of steps, as long as
    each is invertible (see `folds`), so bounds built from it need no limit.

    Args:
        key: the key of the noise at the start; z = m + W y of the y of `sample_whitened` with it.
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        num_steps: number of Heun steps.

    Returns:
        z [batch, d] and log q(z|x) [batch].
    """
    y1 = jax.random.normal(key, context.mean.shape)
    v_fn = velocity_fn(encoder, params, context)
    y, log_det = angle_flow.angle_flow_with_log_det(v_fn, y1, num_steps)
    return encoder.colour(context, y), log_prior(y1) - log_det - encoder.log_volume(context)


def folds(key: jax.Array, encoder, params, context: Context, num_steps: int) -> jax.Array:
    """Tell whether the sampler folded the space on the way to each draw.

    A share above a per cent says that num_steps is too small for `sample_and_log_prob` to be a
    density.

    Args:
        key: the key of the noise at the start, as in `sample_and_log_prob`.
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        num_steps: number of Heun steps.

    Returns:
        Booleans [batch].
    """
    y1 = jax.random.normal(key, context.mean.shape)
    return angle_flow.angle_flow_folds(velocity_fn(encoder, params, context), y1, num_steps)


def log_prob(encoder, params, context: Context, z: jax.Array, num_steps: int) -> jax.Array:
    """Evaluate log q(z|x) of any z by the flow from data to noise.

    Args:
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        z: latents [batch, d].
        num_steps: number of Heun steps; the error is of second order in the step.

    Returns:
        [batch], in nats.
    """
    v_fn = velocity_fn(encoder, params, context)
    y = encoder.whiten(context, z)
    y1, log_det = angle_flow.angle_flow_with_log_det(v_fn, y, num_steps, *FROM_DATA)
    return log_prior(y1) + log_det - encoder.log_volume(context)


def log_prob_hutchinson(
    key: jax.Array, encoder, params, context: Context, z: jax.Array, num_steps: int
) -> jax.Array:
    """Estimate log q(z|x) at random, with one tangent in place of d.

    It gives NO BOUND of the likelihood (see `angle_flow.angle_flow_with_hutchinson`). Use it for
    large d, where only its mean over many z is needed.

    Args:
        key: the key of the random signs.
        encoder: a `DiffusionEncoder`.
        params: as in `DiffusionEncoder.residual`.
        context: the context of x.
        z: latents [batch, d].
        num_steps: number of Heun steps.

    Returns:
        [batch], in nats.
    """
    v_fn = velocity_fn(encoder, params, context)
    y = encoder.whiten(context, z)
    y1, log_det = angle_flow.angle_flow_with_hutchinson(key, v_fn, y, num_steps, *FROM_DATA)
    return log_prior(y1) + log_det - encoder.log_volume(context)
