"""Decoders p_phi(x|z): per-example log-likelihoods as pure functions of (params, x, z).

x is [batch, D] (flat), z is [batch, d], values are nats per example, summed over D.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.errors import check_choice
from diffenc.networks import MLP

KINDS = ("bernoulli", "gaussian")
ACTIVATIONS = ("tanh", "silu", "relu", "gelu", "softplus")


@dataclasses.dataclass(frozen=True)
class Bernoulli:
    """Independent bits: p(x|z) = prod_i sigmoid((2 x_i - 1) logit_i(z)), x in {0, 1}."""

    network: MLP

    def init(self, key: jax.Array, latent_dim: int):
        return self.network.init(key, jnp.zeros((1, latent_dim)))

    def log_prob(self, params, x: jax.Array, z: jax.Array) -> jax.Array:
        logits = self.network.apply(params, z)
        return jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)

    def log_prob_pairs(self, params, x: jax.Array, z: jax.Array) -> jax.Array:
        """log p(x_i|z_k) of every pair [K, batch], for z [K, d]: the network sees each z once."""
        logits = self.network.apply(params, z)
        return logits @ x.T - jnp.sum(jax.nn.softplus(logits), axis=-1)[:, None]

    def mean(self, params, z: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(self.network.apply(params, z))

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, self.mean(params, z)).astype(z.dtype)


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """x = network(z) + tau noise, with one learned scale tau: log N(x; network(z), tau^2 I).

    A network without hidden layers makes this factor analysis with isotropic noise (probabilistic
    PCA).
    """

    network: MLP

    def init(self, key: jax.Array, latent_dim: int):
        return {
            "network": self.network.init(key, jnp.zeros((1, latent_dim))),
            "log_tau": jnp.zeros(()),
        }

    def log_prob(self, params, x: jax.Array, z: jax.Array) -> jax.Array:
        error = (x - self.mean(params, z)) * jnp.exp(-params["log_tau"])
        dim = x.shape[-1]
        return -0.5 * jnp.sum(error**2, axis=-1) - dim * (
            params["log_tau"] + 0.5 * np.log(2 * np.pi)
        )

    def mean(self, params, z: jax.Array) -> jax.Array:
        return self.network.apply(params["network"], z)

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        mean = self.mean(params, z)
        return mean + jnp.exp(params["log_tau"]) * jax.random.normal(key, mean.shape)


def make(
    kind: str, data_dim: int, features: tuple[int, ...] = (), activation: str = "tanh"
) -> Bernoulli | Gaussian:
    """Make a decoder whose network is an MLP.

    Args:
        kind: "bernoulli" or "gaussian".
        data_dim: number of data dimensions D.
        features: widths of the hidden layers; none makes it linear.
        activation: a name of `ACTIVATIONS`.

    Returns:
        The decoder.

    Raises:
        InputError: for an unknown kind or activation.
    """
    check_choice("decoder", kind, KINDS)
    check_choice("activation", activation, ACTIVATIONS)
    network = MLP(tuple(features), data_dim, getattr(jax.nn, activation))
    return {"bernoulli": Bernoulli, "gaussian": Gaussian}[kind](network)


def log_prior(z: jax.Array) -> jax.Array:
    """log N(z; 0, I) [batch], in nats."""
    return -0.5 * jnp.sum(z**2, axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)


def log_joint(decoder, params, x: jax.Array, z: jax.Array, gamma: float = 1.0) -> jax.Array:
    """log p(z) + (1/gamma) log p(x|z) [batch]: the tempered posterior up to its constant
    (2605.13399)."""
    return log_prior(z) + decoder.log_prob(params, x, z) / gamma


def log_prob_pairs(decoder, params, x: jax.Array, z: jax.Array) -> jax.Array:
    """log p(x_i|z_k) of every pair [K, batch], for x [batch, D] and z [K, d].

    A decoder's own `log_prob_pairs` is preferred, where it has one.
    """
    if hasattr(decoder, "log_prob_pairs"):
        return decoder.log_prob_pairs(params, x, z)

    def of_example(row):
        return decoder.log_prob(params, jnp.broadcast_to(row[None], (len(z), row.size)), z)

    return jax.vmap(of_example, out_axes=1)(x)
