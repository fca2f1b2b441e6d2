"""What is measured of a system whose decoder is a diffusion, one value per example.

Programs are module-level functions as in `held_out`. They serve every decoder, so that rivals with
an exact one are measured in the same way, and encoders without a density where none is needed.
"""

import functools

import jax
import numpy as np

from diffenc.estimate import map_examples
from diffenc.latent import draws, held_out, latent_use
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.systems import System


def latents(key, system: System, params, x, num_samples: int, batch_size: int) -> np.ndarray:
    """Draw z ~ q(z|x) for every example, or average such draws [n, d].

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [n, ...].
        num_samples: draws that are averaged; 1 for one draw.
        batch_size: examples at a time.
    """

    def of_batch(key, x):
        if num_samples == 1:
            return held_out.own_samples(key, system, params, x)
        return draws.mean(key, system, params, x, num_samples)

    return map_examples(of_batch, key, x, batch_size)


@functools.partial(jax.jit, static_argnames="decoder")
def _decode(key, params, z, *, decoder):
    if decoder.is_exact:
        return decoder.mean(params["decoder"], z)
    return decoder.sample(key, params["decoder"], z)


def reconstructions(key, system: System, params, z, batch_size: int) -> np.ndarray:
    """Decode latents [n, d] to x [n, D]: E[x|z] of an exact decoder, else a draw of x.

    Args:
        key: of the noise that a diffusion starts from; the same for two calls of one key.
        system: the model.
        params: its parameters.
        z: latents.
        batch_size: latents at a time.
    """

    def of_batch(key, z):
        return decode_batch(key, system, params, z)

    return map_examples(of_batch, key, z, batch_size)


def means(system: System, params, z, batch_size: int) -> np.ndarray:
    """Evaluate E[x|z] [n, D] of latents [n, d].

    Args:
        system: the model.
        params: its parameters.
        z: latents.
        batch_size: latents at a time.
    """

    def of_batch(_, z):
        return held_out.decode_batch(system, params, z)

    return map_examples(of_batch, None, z, batch_size)


def decode_batch(key, system: System, params, z) -> jax.Array:
    """Decode latents of a batch, as `reconstructions`.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        z: latents [batch, d].
    """
    return _decode(key, params, z, decoder=system.decoder)


@functools.partial(jax.jit, static_argnames="decoder")
def _round_trip(params, x, z, *, decoder):
    return decoder.decode(params["decoder"], z, decoder.invert(params["decoder"], z, x))


def round_trips(system: System, params, x, z, batch_size: int) -> np.ndarray:
    """Follow the flow from x to noise and back, both times with z: x [n, D].

    What comes back better than from random noise was in the noise and not in z.

    Args:
        system: the model; its decoder is a diffusion.
        params: its parameters.
        x: data [n, ...].
        z: a latent of each [n, d].
        batch_size: examples at a time.
    """

    def of_batch(_, pair):
        return _round_trip(params, *pair, decoder=system.decoder)

    return map_examples(of_batch, None, (x, z), batch_size)


@functools.partial(jax.jit, static_argnames="decoder")
def _shuffle_rise(key, params, x, z, *, decoder: DiffusionDecoder):
    return latent_use.shuffle_rise(key, decoder, params["decoder"], x, z)


def shuffle_rise(key, system: System, params, x, z) -> latent_use.ShuffleRise:
    """Measure how much worse each example is denoised with the latent of another.

    Args:
        key: of the noise.
        system: the model; its decoder is a diffusion.
        params: its parameters.
        x: data [n, ...], in random order.
        z: a latent of each [n, d].
    """
    rise = _shuffle_rise(key, params, x, z, decoder=system.decoder)
    return jax.tree.map(np.asarray, rise)


@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps"))
def _log_learned_prior(params, x, z, *, encoder, sampler_steps):
    context = encoder.embed_null(params, len(z), x.shape[1:])
    return encoder.log_prob(params, context, z, sampler_steps)


def log_learned_prior(system: System, params, x, z, batch_size: int) -> np.ndarray:
    """Evaluate log q(z) [n] of the learned prior, the null branch of a diffusion encoder.

    Args:
        system: the model; its encoder is a diffusion.
        params: its parameters.
        x: data [n, ...], of which the shape is read.
        z: latents [n, d].
        batch_size: latents at a time.
    """

    def of_batch(_, pair):
        return _log_learned_prior(
            params, *pair, encoder=system.encoder, sampler_steps=system.sampler_steps
        )

    return map_examples(of_batch, None, (x, z), batch_size)
