"""Held-out likelihood of a latent-variable model, one value per example, in nats.

For any encoder with an exact density, log w_k = log p(x, z_k) - log q(z_k|x), z_k ~ q(z|x):

    ELBO = E log w          log p(x) >= E log (1/K) sum_k w_k >= ELBO       (Burda et al., 1509.00519)

The density of a diffusion encoder is that of its discrete sampler
(`DiffusionEncoder.sample_and_log_prob`), so both are bounds at any number of sampler steps that
does not fold the space (`DiffusionEncoder.folds` tells).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent.decoders import log_prior


class Terms(NamedTuple):
    """Per-example terms [batch] of a latent-variable likelihood."""

    neg_elbo: jax.Array  # rate + distortion
    rate: jax.Array  # log q(z|x) - log p(z)
    distortion: jax.Array  # -log p(x|z)
    nll: jax.Array  # -log (1/K) sum w_k
    ess: jax.Array  # (sum w)^2 / sum w^2, between 1 and K


def terms(
    key: jax.Array, encoder, decoder, params, x: jax.Array, num_samples: int, sampler_steps: int
) -> Terms:
    """All terms for x [batch, D] from num_samples draws of z per example, one at a time in
    memory."""
    context = encoder.infer(params, x)

    def draw(key):
        z, log_q = encoder.sample_and_log_prob(key, params, context, sampler_steps)
        return log_q - log_prior(z), -decoder.log_prob(params["decoder"], x, z)

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
