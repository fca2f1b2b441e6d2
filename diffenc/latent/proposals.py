"""Many weighted proposals in place of one posterior sample: importance weights, a choice by weight,
averages over it.

    w_k ~ p(x, z_k) / q(z_k|x), sum_k w_k = 1:   E[f(z)|x] = E[sum_k w_k f(z_k)] + O(1/K)

The sum itself errs by O(K^-1/2), which averages out over examples and updates; its bias does not.

Choosing one by weight is sampling importance resampling (Rubin 1987); what is learned from the
choice is learned with less variance from its expected value (Rao and Blackwell).

Shapes: x [batch, D], z [K, batch, d], log weights [K, batch].
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.latent import whitening
from diffenc.latent.decoders import log_prior

KINDS = ("gaussian", "prior", "shared")


class Proposals(NamedTuple):
    """z [K, batch, d], or [K, 1, d] where the batch shares them; log weights [K, batch],
    normalized; grad_z of the log posterior [K, batch, d] where needed."""

    z: jax.Array
    log_weight: jax.Array
    gradient: jax.Array | None = None


def propose(
    key: jax.Array, mean: jax.Array, factor: jax.Array, kind: str, count: int
) -> tuple[jax.Array, jax.Array]:
    """z [count, batch, d] from N(mean, factor factor^T), or from the prior N(0, I) (kind "prior"),
    and their log density [count, batch] up to a constant of the row."""
    y = jax.random.normal(key, (count, *mean.shape))
    z = y if kind == "prior" else jax.vmap(whitening.apply, (None, None, 0))(mean, factor, y)
    return z, log_prior(y)


def weigh(log_density, x: jax.Array, z: jax.Array, log_q: jax.Array) -> Proposals:
    """Proposals z of log density log_q, weighted for the posterior log_density(x, z) [batch]."""
    log_p = jax.vmap(lambda z: log_density(x, z))(z)
    return Proposals(z, jax.nn.log_softmax(log_p - log_q, axis=0))


def share(key: jax.Array, log_prob_pairs: Callable, latent_dim: int, count: int) -> Proposals:
    """`count` draws of N(0, I) for the whole batch, weighted for each of its rows.

    The decoder's network sees each draw once instead of once for each row, so that there can be
    hundreds, which in two or three dimensions reach every mode of every posterior.

    Args:
        key: a random key.
        log_prob_pairs: z [K, d] -> (1/gamma) log p(x_i|z_k) [K, batch].
        latent_dim: d.
        count: K.

    Returns:
        `Proposals` with z [K, 1, d].
    """
    z = jax.random.normal(key, (count, latent_dim))
    return Proposals(z[:, None], jax.nn.log_softmax(log_prob_pairs(z), axis=0))


def choose(key: jax.Array, proposals: Proposals) -> jax.Array:
    """One z [batch, d] for each x, with the probability of its weight."""
    choice = jax.random.categorical(key, proposals.log_weight, axis=0)
    return jnp.take_along_axis(proposals.z, choice[None, :, None], axis=0)[0]


def effective_share(log_weight: jax.Array) -> jax.Array:
    """1 / (K sum_k w_k^2) [batch], between 1/K and 1."""
    return jnp.exp(-jax.nn.logsumexp(2 * log_weight, axis=0)) / len(log_weight)


def smoothed(proposals: Proposals, y_t: jax.Array, alpha: jax.Array, sigma: jax.Array):
    """E[(y, eps, gradient) | y_t] over the choice among the proposals, each [batch, draws, d].

    y_t = alpha y + sigma eps [batch, draws, d], y the proposal that was chosen; alpha, sigma
    [batch, draws]; proposals and gradients in the coordinates of y. A denoiser has the same minimum
    with these as with the choice's own.
    """
    alpha, sigma = alpha[None, ..., None], sigma[None, ..., None]
    y, gradient = proposals.z[:, :, None], proposals.gradient[:, :, None]
    eps = (y_t[None] - alpha * y) / sigma
    share = jax.nn.softmax(
        proposals.log_weight[:, :, None] - 0.5 * jnp.sum(eps**2, axis=-1), axis=0
    )[..., None]
    return (
        jnp.sum(share * y, axis=0),
        jnp.sum(share * eps, axis=0),
        jnp.sum(share * gradient, axis=0),
    )
