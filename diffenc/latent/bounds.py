"""Held-out likelihood of a latent-variable model, one value per example, in nats.

For any encoder with an exact density, log w_k = log p(x, z_k) - log q(z_k|x), z_k ~ q(z|x):

    ELBO = E log w
    log p(x) >= E log (1/K) sum_k w_k >= ELBO       (Burda et al., 1509.00519)

The density of a diffusion encoder is that of its discrete sampler
(`DiffusionEncoder.sample_and_log_prob`), so both are bounds at any number of sampler steps that
does not fold the space (`DiffusionEncoder.folds` tells).
"""

import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent.decoders import check_exact, log_prior


class Terms(NamedTuple):
    """Per-example terms [batch] of a latent-variable likelihood.

    Attributes:
        neg_elbo: -ELBO = rate + distortion, averaged over the draws.
        rate: the mean of log q(z|x) - log p(z).
        distortion: the mean of -log p(x|z).
        nll: -log (1/K) sum_k w_k.
        ess: the effective sample size (sum w)^2 / sum w^2, between 1 and K.
    """

    neg_elbo: jax.Array
    rate: jax.Array
    distortion: jax.Array
    nll: jax.Array
    ess: jax.Array


def terms(
    key: jax.Array, encoder, decoder, params, x: jax.Array, num_samples: int, sampler_steps: int
) -> Terms:
    """Evaluate all terms, one draw of z at a time in memory, in full float32 precision.

    Args:
        key: a random key.
        encoder: any encoder with an exact density.
        decoder: an exact decoder.
        params: {"encoder", "decoder"}.
        x: data [batch, ...].
        num_samples: K.
        sampler_steps: steps of the encoder's sampler.

    Returns:
        `Terms`.

    Raises:
        InputError: for a decoder that is not exact.
    """
    check_exact(decoder, "the importance-weighted bound")
    observation = decoder.observe(None, x)

    with jax.default_matmul_precision("highest"):
        context = encoder.infer(params, x)

        def draw(key):
            z, log_q = encoder.sample_and_log_prob(key, params, context, sampler_steps)
            return log_q - log_prior(z), -decoder.log_prob(params["decoder"], observation, z)

        rate, distortion = jax.lax.map(draw, jax.random.split(key, num_samples))
    log_w = -rate - distortion
    log_sum = jax.nn.logsumexp(log_w, axis=0)
    return Terms(
        neg_elbo=-log_w.mean(axis=0),
        rate=rate.mean(axis=0),
        distortion=distortion.mean(axis=0),
        nll=jnp.log(num_samples) - log_sum,
        ess=jnp.exp(2 * log_sum - jax.nn.logsumexp(2 * log_w, axis=0)),
    )


class Elbo(NamedTuple):
    """Per-example terms [batch] of -ELBO = rate + distortion, averaged over draws, in nats.

    Attributes:
        rate: the mean of log q(z|x) - log p(z). It is 0 where the decoder sees no latent, whose
            likelihood needs no z, and None for an encoder without a density.
        distortion: the mean of -log p(x|z), or of draws of its bound.
        scatter: the standard deviation of their sum over the draws.
        parts: the means of the `diffusion_bound.Terms` whose sum the distortion is; None for a
            decoder without them.
    """

    rate: jax.Array | None
    distortion: jax.Array
    scatter: jax.Array | None = None
    parts: Any = None


def elbo(
    key: jax.Array, encoder, decoder, params, x: jax.Array, num_samples: int, sampler_steps: int
) -> Elbo:
    """Evaluate both terms of -ELBO, for a decoder of either kind, in full float32 precision.

    Each draw of z has an observation of x of its own, so the mean of their sum is a bound for a
    decoder that is not exact, too.

    Args:
        key: a random key.
        encoder: any encoder.
        decoder: a decoder.
        params: {"encoder", "decoder"}.
        x: data [batch, ...].
        num_samples: draws.
        sampler_steps: steps of the encoder's sampler.
    """
    has_parts = hasattr(decoder, "terms")
    with jax.default_matmul_precision("highest"):
        context = encoder.infer(params, x)

        def draw(key):
            key_z, key_observe = jax.random.split(key)
            rate, z = _draw_latent(key_z, encoder, decoder, params, context, sampler_steps)
            observation = decoder.observe(key_observe, x)
            if has_parts:
                return rate, decoder.terms(params["decoder"], observation, z)
            return rate, -decoder.log_prob(params["decoder"], observation, z)

        rate, parts = jax.lax.map(draw, jax.random.split(key, num_samples))
    distortion = jax.tree.reduce(operator.add, parts)
    scatter = jnp.std(distortion if rate is None else rate + distortion, axis=0)
    rate, parts = jax.tree.map(lambda values: values.mean(axis=0), (rate, parts))
    return Elbo(rate, distortion.mean(axis=0), scatter, parts if has_parts else None)


def _draw_latent(key, encoder, decoder, params, context, sampler_steps: int):
    """Draw what z costs, log q(z|x) - log p(z) or as `Elbo.rate` says, and z."""
    if not hasattr(encoder, "sample_and_log_prob"):
        return None, encoder.sample(key, params, context, sampler_steps)
    z, log_q = encoder.sample_and_log_prob(key, params, context, sampler_steps)
    rate = log_q - log_prior(z)
    return jnp.zeros_like(rate) if getattr(decoder, "is_blind", False) else rate, z
