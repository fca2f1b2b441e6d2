"""Rivals with the same decoder: the variational autoencoder."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from diffenc.decoders import log_prior
from diffenc.networks import MLP
from diffenc.training import TrainState


@dataclasses.dataclass(frozen=True)
class GaussianEncoder:
    """q(z|x) = N(mean(x), diag width(x)^2), the encoder of a VAE (Kingma and Welling, 1312.6114).

    Same interface as `DiffusionEncoder`: infer, sample, sample_and_log_prob, log_prob. num_steps is ignored.
    """

    network: MLP  # num_outputs = 2 d

    @property
    def latent_dim(self) -> int:
        return self.network.num_outputs // 2

    def init(self, key: jax.Array, x: jax.Array):
        return self.network.init(key, x[:1])

    def infer(self, params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(mean, log width), each [batch, d]."""
        mean, log_width = jnp.split(self.network.apply(params["encoder"], x), 2, axis=-1)
        return mean, jnp.clip(log_width, -8.0, 2.0)

    def gaussian(self, context) -> tuple[jax.Array, jax.Array]:
        """(mean [batch, d], factor [batch, d, d])."""
        mean, log_width = context
        return mean, jnp.eye(self.latent_dim)[None] * jnp.exp(log_width)[:, None, :]

    def sample(self, key: jax.Array, params, context, num_steps: int = 0) -> jax.Array:
        mean, log_width = context
        return mean + jnp.exp(log_width) * jax.random.normal(key, mean.shape)

    def sample_and_log_prob(self, key: jax.Array, params, context, num_steps: int = 0):
        z = self.sample(key, params, context)
        return z, self.log_prob(params, context, z)

    def log_prob(self, params, context, z: jax.Array, num_steps: int = 0) -> jax.Array:
        mean, log_width = context
        return log_prior((z - mean) * jnp.exp(-log_width)) - log_width.sum(axis=-1)


def gaussian_rate(context) -> jax.Array:
    """KL(N(mean, width^2) || N(0, I)) [batch], in nats."""
    mean, log_width = context
    return 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_width) - 1 - 2 * log_width, axis=-1)


def make_vae_update(
    encoder: GaussianEncoder, decoder, optimizer: optax.GradientTransformation, gamma: float, average_decay: float
):
    """One VAE update `(state, key, x) -> (state, metrics)`, by reparameterized gradients of gamma KL - E log p(x|z)."""

    def loss(params, key, x):
        context = encoder.infer(params, x)
        z = encoder.sample(key, params, context)
        distortion = -decoder.log_prob(params["decoder"], x, z).mean()
        rate = gaussian_rate(context).mean()
        return distortion + gamma * rate, {"decoder_loss": distortion, "rate": rate}

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, key, x)
        return state.apply_gradients(grads, optimizer, average_decay), metrics

    return update
