"""Many weighted proposals in place of one posterior sample.

    w_k ~ p(x, z_k) / q(z_k|x), sum_k w_k = 1:   E[f(z)|x] = E[sum_k w_k f(z_k)] + O(1/K)

The sum itself errs by O(K^-1/2), which averages out over examples and updates; its bias does not.

Choosing one by weight is sampling importance resampling (Rubin 1987). A loss of the choice has the
same mean as the weighted average of the losses, which has less variance (Rao and Blackwell).

Shapes: z [K, batch, d], log weights [K, batch]. A decoder's observation of x has `batch` rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from scipy.stats import qmc

from diffenc.latent.decoders import log_prior
from diffenc.latent.whitening import Frame, apply

KINDS = ("gaussian", "prior", "shared")


class Proposals(NamedTuple):
    """K weighted latents for each example.

    Attributes:
        z: [K, batch, d], or [K, 1, d] if the batch shares them.
        log_weight: [K, batch], normalized over K.
        gradient: grad_z of the log posterior [K, batch, d], where it is needed.
    """

    z: jax.Array
    log_weight: jax.Array
    gradient: jax.Array | None = None


def propose(key: jax.Array, frame: Frame, kind: str, count: int) -> tuple[jax.Array, jax.Array]:
    """Draw proposals for each example.

    Args:
        key: a random key.
        frame: the Gaussians N(m, W W^T) of the examples.
        kind: "gaussian" for these Gaussians, "prior" for N(0, I).
        count: number K of proposals.

    Returns:
        z [K, batch, d], and their log density [K, batch] up to a constant of the row.
    """
    mean, factor = frame
    y = jax.random.normal(key, (count, *mean.shape))
    z = y if kind == "prior" else jax.vmap(apply, (None, None, 0))(mean, factor, y)
    return z, log_prior(y)


def weigh(log_density: Callable, observation, z: jax.Array, log_q: jax.Array) -> Proposals:
    """Weight proposals for the posterior.

    Args:
        log_density: (observation, z [batch, d]) -> log q* up to a constant [batch].
        observation: of the examples.
        z: proposals [K, batch, d].
        log_q: their log density [K, batch], up to a constant of the row.

    Returns:
        The weighted proposals.
    """
    log_p = jax.vmap(lambda z: log_density(observation, z))(z)
    return Proposals(z, jax.nn.log_softmax(log_p - log_q, axis=0))


def share(key: jax.Array, log_prob_pairs: Callable, latent_dim: int, count: int) -> Proposals:
    """Draw proposals from N(0, I) for the whole batch, and weight them for each of its rows.

    The decoder's network sees each draw once instead of once for each row, so that there can be
    hundreds, which in two or three dimensions reach every mode of every posterior. The draws are
    those of a low-discrepancy sequence with a random shift (Cranley and Patterson 1976): each is
    distributed like the prior, and together they fill it evenly, so that a posterior which only a
    dozen of them reach is still weighed well.

    Args:
        key: a random key.
        log_prob_pairs: z [K, d] -> (1/gamma) log p(x_i|z_k) [K, batch].
        latent_dim: d.
        count: K.

    Returns:
        `Proposals` with z [K, 1, d].
    """
    shift = jax.random.uniform(key, (1, latent_dim))
    uniform = (even(latent_dim, count) + shift) % 1.0
    z = jax.scipy.special.ndtri(jnp.clip(uniform, 1e-6, 1 - 1e-6))
    return Proposals(z[:, None], jax.nn.log_softmax(log_prob_pairs(z), axis=0))


def even(latent_dim: int, count: int) -> jax.Array:
    """`count` points that fill the unit cube evenly [count, latent_dim] (Halton's sequence)."""
    return jnp.asarray(qmc.Halton(latent_dim, scramble=False).random(count + 1)[1:], jnp.float32)


def choose(key: jax.Array, proposals: Proposals) -> jax.Array:
    """Choose one z [batch, d] for each example, with the probability of its weight."""
    choice = jax.random.categorical(key, proposals.log_weight, axis=0)
    return jnp.take_along_axis(proposals.z, choice[None, :, None], axis=0)[0]


def effective_share(log_weight: jax.Array) -> jax.Array:
    """Compute 1 / (K sum_k w_k^2) [batch], between 1/K and 1."""
    return jnp.exp(-jax.nn.logsumexp(2 * log_weight, axis=0)) / len(log_weight)


def smoothed(
    proposals: Proposals, y_t: jax.Array, alpha: jax.Array, sigma: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Average (y, eps, gradient) over the choice among the proposals, given y_t.

    y_t = alpha y + sigma eps, where y is the chosen proposal. A denoiser has the same minimum with
    these averages as with the values of the choice.

    Args:
        proposals: with z and gradients in the coordinates of y.
        y_t: noised choices [batch, draws, d].
        alpha: of their noise levels [batch, draws].
        sigma: of their noise levels [batch, draws].

    Returns:
        E[y | y_t], E[eps | y_t] and E[gradient | y_t], each [batch, draws, d].
    """
    assert proposals.gradient is not None, "it is averaged"
    alpha = alpha[..., None]
    sigma = sigma[..., None]
    eps = (y_t[None] - alpha[None] * proposals.z[:, :, None]) / sigma[None]
    log_weight = proposals.log_weight[:, :, None] - 0.5 * jnp.sum(eps**2, axis=-1)
    share = jax.nn.softmax(log_weight, axis=0)
    z = jnp.broadcast_to(proposals.z, proposals.gradient.shape)
    y = jnp.einsum("kbn,kbd->bnd", share, z)
    gradient = jnp.einsum("kbn,kbd->bnd", share, proposals.gradient)
    return y, (y_t - alpha * y) / sigma, gradient
