"""Rivals with the same decoder: variational, importance-weighted and flow autoencoders, and
wake-sleep.

Encoders share the interface of `DiffusionEncoder` (init, infer, gaussian, sample,
sample_and_log_prob, log_prob), so the same estimators measure them all. num_steps is ignored here:
these densities are exact in one step.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from diffenc.latent import chains, em, whitening
from diffenc.latent.decoders import log_joint, log_prior
from diffenc.networks import MLP, Coupling
from diffenc.networks.coupling import CouplingContext
from diffenc.training import TrainState


@dataclasses.dataclass(frozen=True)
class GaussianEncoder:
    """q(z|x) = N(mean(x), diag width(x)^2), the encoder of a VAE (Kingma and Welling,
    1312.6114)."""

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


@dataclasses.dataclass(frozen=True)
class FlowEncoder:
    """q(z|x): a normalizing flow conditioned on x (Rezende and Mohamed, 1505.05770; layers of
    1605.08803)."""

    network: Coupling

    @property
    def latent_dim(self) -> int:
        return self.network.latent_dim

    def init(self, key: jax.Array, x: jax.Array):
        return self.network.init(key, x[:1], jnp.zeros((1, self.latent_dim)), method="initialize")

    def infer(self, params, x: jax.Array) -> CouplingContext:
        return self.network.apply(params["encoder"], x, method="embed")

    def gaussian(self, context: CouplingContext) -> tuple[jax.Array, jax.Array]:
        """(mean [batch, d], factor [batch, d, d]) of the flow's base: coordinates for chains."""
        return context.mean, jnp.eye(self.latent_dim)[None] * jnp.exp(context.log_width)[:, None, :]

    def sample(
        self, key: jax.Array, params, context: CouplingContext, num_steps: int = 0
    ) -> jax.Array:
        return self.sample_and_log_prob(key, params, context)[0]

    def sample_and_log_prob(
        self, key: jax.Array, params, context: CouplingContext, num_steps: int = 0
    ):
        y = jax.random.normal(key, context.mean.shape)
        z, log_det = self.network.apply(params["encoder"], context, y)
        return z, log_prior(y) - log_det

    def log_prob(
        self, params, context: CouplingContext, z: jax.Array, num_steps: int = 0
    ) -> jax.Array:
        y, log_det = self.network.apply(params["encoder"], context, z, method="inverse")
        return log_prior(y) - log_det


def gaussian_rate(context) -> jax.Array:
    """KL(N(mean, width^2) || N(0, I)) [batch], in nats."""
    mean, log_width = context
    return 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_width) - 1 - 2 * log_width, axis=-1)


def make_vae_update(
    encoder: GaussianEncoder,
    decoder,
    optimizer: optax.GradientTransformation,
    gamma: float,
    average_decay: float,
):
    """One VAE update `(state, key, x) -> (state, metrics)`, by reparameterized gradients of gamma
    KL - E log p(x|z)."""

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


def make_importance_weighted_update(
    encoder,
    decoder,
    optimizer: optax.GradientTransformation,
    num_samples: int,
    average_decay: float,
):
    """One update of -E log (1/K) sum_k p(x, z_k)/q(z_k|x), reparameterized (IWAE, Burda et al.,
    1509.00519).

    With one sample it is the VAE of any encoder whose rate has no closed form, such as a flow.
    """

    def loss(params, key, x):
        context = encoder.infer(params, x)

        def draw(key):
            z, log_q = encoder.sample_and_log_prob(key, params, context)
            return log_q - log_prior(z), -decoder.log_prob(params["decoder"], x, z)

        rate, distortion = jax.vmap(draw)(jax.random.split(key, num_samples))
        bound = jax.nn.logsumexp(-rate - distortion, axis=0) - jnp.log(num_samples)
        return -bound.mean(), {"decoder_loss": distortion.mean(), "rate": rate.mean()}

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, key, x)
        return state.apply_gradients(grads, optimizer, average_decay), metrics

    return update


def make_wake_sleep_update(
    encoder, decoder, settings: em.Settings, optimizer: optax.GradientTransformation
):
    """One update of wake-sleep (Hinton et al. 1995) with a diffusion encoder, as in denoising
    diffusion variational inference (2401.02739): the encoder by denoising on dreams (x', z), z ~
    p(z), x' ~ p(x'|z); the decoder on encoded data. A dream's z is an exact posterior sample, of
    data that the decoder has made."""

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        key_z, key_x, key_dream, key_loss, key_wake = jax.random.split(key, 5)
        params = state.params
        z = jax.random.normal(key_z, (x.shape[0], encoder.latent_dim))
        x_dream = jax.lax.stop_gradient(decoder.sample(key_x, params["decoder"], z))
        mean, factor = encoder.gaussian(encoder.infer(params, x_dream))
        gradient = jax.grad(
            lambda z: log_joint(decoder, params["decoder"], x_dream, z, settings.gamma).sum()
        )(z)
        y = whitening.solve(factor, z - mean)
        chain = chains.Chain(
            z, mean, y, whitening.pull(factor, gradient), jnp.ones(()), state.chain
        )
        dream = em.dream_gradient(key_dream, decoder, params["decoder"], z, settings.gamma)
        encoder_grads, metrics = jax.grad(em.encoder_loss, has_aux=True)(
            params["encoder"], params["decoder"], key_loss, encoder, x_dream, chain, dream, settings
        )
        z = encoder.sample(key_wake, params, encoder.infer(params, x), settings.sampler_steps)
        decoder_loss, decoder_grads = jax.value_and_grad(
            lambda p: -decoder.log_prob(p, x, z).mean()
        )(params["decoder"])
        grads = {"encoder": encoder_grads, "decoder": decoder_grads}
        metrics |= {"decoder_loss": decoder_loss}
        return state.apply_gradients(grads, optimizer, settings.average_decay), metrics

    return update
