"""Rivals with the same decoder: VAE, IWAE, an autoencoder with a flow, and wake-sleep.

Shapes: x [batch, ...], z [batch, d].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from diffenc.latent import bottleneck, em, whitening
from diffenc.latent.baseline_encoders import DeterministicEncoder, GaussianEncoder, gaussian_rate
from diffenc.latent.decoders import check_exact, log_joint, log_prior
from diffenc.latent.e_steps import PosteriorSample, slope
from diffenc.latent.whitening import Frame
from diffenc.training import TrainState


def make_vae_update(
    encoder: GaussianEncoder,
    decoder,
    settings: em.Settings,
    optimizer: optax.GradientTransformation,
) -> Callable:
    """Make one update of a VAE, by reparameterized gradients of gamma KL - E log p(x|z).

    Args:
        encoder: the encoder.
        decoder: the decoder.
        settings: read are gamma, rate and average_decay.
        optimizer: of both networks; params = {"encoder", "decoder"}.

    Returns:
        (state, key, x) -> (state, metrics).
    """

    def loss(params, key, x, observation, gamma):
        context = encoder.infer(params, x)
        z = encoder.sample(key, params, context)
        distortion = -decoder.log_prob(params["decoder"], observation, z).mean()
        rate = gaussian_rate(context).mean()
        return distortion + gamma * rate, ({"decoder_loss": distortion, "rate": rate}, z)

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        observation = decoder.observe(jax.random.fold_in(key, 1), x)
        gamma = bottleneck.gamma(settings, state.carried)
        grads, (metrics, z) = jax.grad(loss, has_aux=True)(state.params, key, x, observation, gamma)
        carried = bottleneck.follow(state.carried, settings, metrics["rate"], z)
        metrics |= {} if carried is None else {"gamma": jnp.asarray(gamma)}
        state = state.replace(carried=carried)
        return state.apply_gradients(grads, optimizer, settings.average_decay), metrics

    return update


def make_deterministic_update(
    encoder: DeterministicEncoder,
    decoder,
    settings: em.Settings,
    optimizer: optax.GradientTransformation,
) -> Callable:
    """Make one update of a deterministic autoencoder, by the gradient of -E log p(x|z(x)).

    Args:
        encoder: the encoder.
        decoder: the decoder.
        settings: read is average_decay.
        optimizer: of both networks; params = {"encoder", "decoder"}.

    Returns:
        (state, key, x) -> (state, metrics).
    """

    def loss(params, x, observation):
        z = encoder.infer(params, x)
        return -decoder.log_prob(params["decoder"], observation, z).mean(), z

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        observation = decoder.observe(key, x)
        (distortion, z), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params, x, observation
        )
        carried = bottleneck.follow(state.carried, settings, jnp.zeros(()), z)
        state = state.replace(carried=carried)
        state = state.apply_gradients(grads, optimizer, settings.average_decay)
        return state, {"decoder_loss": distortion}

    return update


def make_importance_weighted_update(
    encoder,
    decoder,
    optimizer: optax.GradientTransformation,
    num_samples: int,
    average_decay: float,
) -> Callable:
    """Make one update of -E log (1/K) sum_k p(x, z_k)/q(z_k|x) (IWAE, Burda et al., 1509.00519).

    Gradients are reparameterized. With one sample this is the VAE of an encoder whose rate has no
    closed form, such as a flow.

    Args:
        encoder: the encoder.
        decoder: the decoder.
        optimizer: of both networks; params = {"encoder", "decoder"}.
        num_samples: K.
        average_decay: of the moving average of the parameters.

    Returns:
        (state, key, x) -> (state, metrics).

    Raises:
        InputError: for K > 1 and a decoder that is not exact.
    """
    if num_samples > 1:
        check_exact(decoder, "the importance-weighted bound")

    def loss(params, keys, x, observation):
        context = encoder.infer(params, x)

        def draw(key):
            z, log_q = encoder.sample_and_log_prob(key, params, context)
            return log_q - log_prior(z), -decoder.log_prob(params["decoder"], observation, z)

        rate, distortion = jax.vmap(draw)(keys)
        bound = jax.nn.logsumexp(-rate - distortion, axis=0) - jnp.log(num_samples)
        return -bound.mean(), {"decoder_loss": distortion.mean(), "rate": rate.mean()}

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        keys = jax.random.split(key, num_samples + 1)
        observation = decoder.observe(keys[-1], x)
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, keys[:-1], x, observation)
        return state.apply_gradients(grads, optimizer, average_decay), metrics

    return update


def make_wake_sleep_update(
    encoder, decoder, settings: em.Settings, optimizer: optax.GradientTransformation
) -> Callable:
    """Make one update of wake-sleep (Hinton et al. 1995) with a diffusion encoder.

    As in denoising diffusion variational inference (2401.02739), the encoder is trained by
    denoising on dreams (x', z), z ~ p(z), x' ~ p(x'|z), and the decoder on encoded data. The z of a
    dream is an exact posterior sample, but of data that the decoder has made.

    Args:
        encoder: the diffusion encoder.
        decoder: the decoder.
        settings: see `em.Settings`; read are those of the encoder's loss, gamma and sampler_steps.
        optimizer: of both networks; params = {"encoder", "decoder"}.

    Returns:
        (state, key, x) -> (state, metrics).
    """

    def update(state: TrainState, key: jax.Array, x: jax.Array):
        key_z, key_x, key_dream, key_loss, key_wake, key_sleep, key_fisher, key_data = (
            jax.random.split(key, 8)
        )
        params = state.params
        z = jax.random.normal(key_z, (x.shape[0], encoder.latent_dim))
        x_dream = jax.lax.stop_gradient(decoder.sample(key_x, params["decoder"], z))
        x_dream = x_dream.reshape(x.shape)
        dream_observation = decoder.observe(key_sleep, x_dream)
        frame = Frame(*encoder.gaussian(encoder.infer(params, x_dream)))

        def log_density(observation, z):
            return log_joint(decoder, params["decoder"], observation, z, settings.gamma)

        y = whitening.solve(frame.factor, z - frame.mean)
        gradient = whitening.pull(frame.factor, slope(log_density, dream_observation, z))
        sample = PosteriorSample(z, frame, y, gradient)
        dream = em.curvature_draw(
            key_dream,
            decoder,
            params["decoder"],
            dream_observation,
            z,
            settings.gamma,
            key_fisher,
        )
        encoder_grads, metrics = jax.grad(em.encoder_loss, has_aux=True)(
            params["encoder"],
            params["decoder"],
            key_loss,
            encoder,
            x_dream,
            sample,
            dream,
            settings,
        )

        z = encoder.sample(key_wake, params, encoder.infer(params, x), settings.sampler_steps)
        observation = decoder.observe(key_data, x)

        def decoder_loss(decoder_params):
            return -decoder.log_prob(decoder_params, observation, z).mean()

        loss, decoder_grads = jax.value_and_grad(decoder_loss)(params["decoder"])
        grads = {"encoder": encoder_grads, "decoder": decoder_grads}
        metrics |= {"decoder_loss": loss}
        return state.apply_gradients(grads, optimizer, settings.average_decay), metrics

    return update
