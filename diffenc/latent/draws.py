"""Draws of a trained system: of its encoder, averaged, and of the whole model.

Programs are module-level functions as in `held_out`, to be called through `estimate.map_examples`.
"""

import functools

import jax
import jax.numpy as jnp

from diffenc.latent.systems import System


@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps", "num_samples"))
def _mean(key, params, x, *, encoder, sampler_steps, num_samples):
    context = encoder.infer(params, x)

    def draw(key):
        return encoder.sample(key, params, context, sampler_steps)

    return jax.lax.map(draw, jax.random.split(key, num_samples)).mean(axis=0)


def mean(key, system: System, params, x, num_samples: int) -> jax.Array:
    """Average draws z ~ q(z|x); the average errs by their width / sqrt(num_samples).

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [batch, ...].
        num_samples: how many draws.

    Returns:
        [batch, d].
    """
    return _mean(
        key,
        params,
        x,
        encoder=system.encoder,
        sampler_steps=system.sampler_steps,
        num_samples=num_samples,
    )


@functools.partial(jax.jit, static_argnames=("decoder", "latent_dim", "is_mean"))
def _ancestral(key, params, *, decoder, latent_dim, is_mean):
    key_z, key_x = jax.random.split(key)
    z = jax.random.normal(key_z, (1, latent_dim))
    if is_mean:
        return decoder.mean(params["decoder"], z)
    return decoder.sample(key_x, params["decoder"], z)


def ancestral(key, system: System, params, is_mean: bool) -> jax.Array:
    """Draw one x ~ p(x) [1, D]: z ~ N(0, I), then x ~ p(x|z).

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        is_mean: whether to give E[x|z] in place of x.
    """
    return _ancestral(
        key,
        params,
        decoder=system.decoder,
        latent_dim=system.encoder.latent_dim,
        is_mean=is_mean,
    )


@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps", "num_draws"))
def _folds(key, params, x, *, encoder, sampler_steps, num_draws):
    context = encoder.infer(params, x)

    def draw(key):
        return encoder.folds(key, params, context, sampler_steps)

    return jax.lax.map(draw, jax.random.split(key, num_draws)).mean(axis=0)


def fold_shares(key, system: System, params, x, num_draws: int) -> jax.Array:
    """Estimate how often the sampler folds the space [batch]; above a per cent no bound is one.

    Args:
        key: a random key.
        system: the model; 0 where its encoder is no diffusion, which cannot fold.
        params: its parameters.
        x: data [batch, ...].
        num_draws: of each example.
    """
    if not hasattr(system.encoder, "folds"):
        return jnp.zeros(len(x))
    return _folds(
        key,
        params,
        x,
        encoder=system.encoder,
        sampler_steps=system.sampler_steps,
        num_draws=num_draws,
    )
