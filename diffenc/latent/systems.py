"""The models that experiments train side by side: one decoder, many ways to infer its latent.

Which there are is the list of `system_settings`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from diffenc import training
from diffenc.keys import key_of
from diffenc.latent import baseline_encoders, baselines, bottleneck, chains, decoders, em
from diffenc.latent.decoder_settings import make_diffusion_decoder
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.system_settings import ALTERNATING, ModelSettings, Settings
from diffenc.networks import MLP, ConditionalDenoiser, Coupling


@dataclasses.dataclass(frozen=True)
class System:
    """A model to train and to measure.

    Attributes:
        encoder: with the interface of `DiffusionEncoder`.
        decoder: with that of `decoders.Bernoulli`; the one to measure, see `decoders.bound_of`.
        state: the `TrainState` that training starts from.
        update: `update(state, key, batch) -> (state, metrics)`.
        sampler_steps: steps of the encoder when it is measured.
        gamma: temperature of the posterior, see `decoders.log_joint`.
        is_persistent: whether a batch is (x, index of each example) in place of x.
    """

    encoder: Any
    decoder: Any
    state: Any
    update: Callable
    sampler_steps: int
    gamma: float = 1.0
    is_persistent: bool = False


def make(
    settings: Settings,
    decoder,
    example_shape: tuple[int, ...],
    num_examples: int,
    seed: int,
    *names: str | int,
) -> System:
    """Make a system; those of one seed and of the same names start from the same decoder.

    Args:
        settings: the method and its settings.
        decoder: shared by all methods; `decoders.make` or a toy.
        example_shape: of x [batch, *example_shape].
        num_examples: how many there are to train on, for the chains of "persistent".
        seed: of the initial values.
        *names: which of several systems of that seed this is; see `key_of`.
    """
    latent_dim = settings.model.latent_dim
    encoder = make_encoder(settings, decoder)
    optimizer = make_optimizer(settings)
    x = jnp.zeros((1, *example_shape))
    params = {
        "encoder": encoder.init(key_of(seed, "encoder", *names), x),
        "decoder": decoder.init(key_of(seed, "decoder", *names), latent_dim),
    }
    z = None
    if settings.method == "persistent":
        z = jax.random.normal(key_of(seed, "chains", *names), (num_examples, latent_dim))
    narrow = None
    if not decoder.is_exact:
        narrow = bottleneck.Bottleneck.create(settings.em, latent_dim)
    carried = narrow
    if settings.diffuses:
        carried = chains.ChainState.create(settings.alternation, z, narrow)
    return System(
        encoder,
        decoders.bound_of(decoder),
        training.TrainState.create(params, optimizer, carried),
        make_update(settings, encoder, decoder, optimizer),
        settings.sampler_steps,
        settings.em.gamma,
        settings.method == "persistent",
    )


def make_decoder(
    model: ModelSettings,
    example_shape: tuple[int, ...],
    method: str = "",
    log_volume: float = 0.0,
):
    """Make the decoder of a model for data of D dimensions.

    Args:
        model: its settings.
        example_shape: of one x.
        method: of the system; "without_latent" asks for a diffusion that sees none.
        log_volume: of the data, for a Gaussian decoder, see `decoders.Gaussian`.
    """
    if model.diffusion is not None:
        return make_diffusion_decoder(model.diffusion, example_shape, method == "without_latent")
    data_dim = math.prod(example_shape)
    decoder = decoders.make(model.decoder, data_dim, model.decoder_features, model.activation)
    if isinstance(decoder, decoders.Gaussian):
        is_of_columns = model.noise == "column" or (
            model.noise == "auto" and len(example_shape) == 1
        )
        return dataclasses.replace(decoder, has_columns=is_of_columns, log_volume=log_volume)
    # Its density would be that of x, and nothing would say so.
    assert not log_volume, f"standardized data for {model.decoder!r}: give them as they are"
    return decoder


def make_encoder(settings: Settings, decoder):
    """Make the encoder of a method; a diffusion encoder may ask the decoder."""
    model = settings.model
    if settings.diffuses:
        asks = model.newton_steps or model.pressure or model.landmarks
        network = ConditionalDenoiser(
            model.latent_dim,
            model.embed_features,
            model.features,
            model.residual_bound,
            model.octaves,
            model.embed_channels,
        )
        return DiffusionEncoder(
            network,
            model.reference,
            model.newton_steps,
            model.pressure,
            # None where it is not asked: encoders of every gamma then share their programs
            decoder if asks else None,
            settings.em.gamma if asks else 1.0,
            model.landmarks,
        )
    if settings.method == "flow_vae":
        return baseline_encoders.FlowEncoder(Coupling(model.latent_dim, model.embed_features))
    channels = model.embed_channels
    if settings.method == "deterministic":
        network = MLP(model.embed_features, model.latent_dim, embed_channels=channels)
        return baseline_encoders.DeterministicEncoder(network)
    network = MLP(model.embed_features, 2 * model.latent_dim, embed_channels=channels)
    return baseline_encoders.GaussianEncoder(network)


def make_optimizer(settings: Settings) -> optax.GradientTransformation:
    """Make the optimizer of a method, at the baselines' rate where that has one."""
    optimizer = settings.optimizer
    learning_rate = optimizer.learning_rate
    if not settings.diffuses:
        learning_rate = optimizer.baseline_learning_rate or learning_rate
    descent = training.make_optimizer(
        learning_rate,
        optimizer.num_updates,
        optimizer.warmup,
        optimizer.clip_norm,
        optimizer.accumulate,
    )
    return _of_encoder(descent) if optimizer.only_encoder else descent


@functools.cache  # as `training.make_optimizer`
def _of_encoder(descent: optax.GradientTransformation) -> optax.GradientTransformation:
    """Make the optimizer that moves the encoder and leaves the decoder as it is."""
    of_label = {"moving": descent, "resting": optax.set_to_zero()}
    return optax.partition(of_label, {"encoder": "moving", "decoder": "resting"})


def make_update(settings: Settings, encoder, decoder, optimizer) -> Callable:
    """Make the update of a method: `update(state, key, batch) -> (state, metrics)`.

    Args:
        settings: the method and its settings.
        encoder: of `make_encoder`.
        decoder: the decoder.
        optimizer: of `make_optimizer`.
    """
    method = settings.method
    decay = settings.em.average_decay
    if method in ALTERNATING:
        return em.make_update(encoder, decoder, settings.alternation, optimizer)
    if method == "wake_sleep":
        return baselines.make_wake_sleep_update(encoder, decoder, settings.alternation, optimizer)
    if method in ("vae", "without_latent"):
        return baselines.make_vae_update(encoder, decoder, settings.em, optimizer)
    if method == "deterministic":
        return baselines.make_deterministic_update(encoder, decoder, settings.em, optimizer)
    num_samples = settings.iwae_samples if method == "iwae" else 1
    return baselines.make_importance_weighted_update(
        encoder, decoder, optimizer, num_samples, decay
    )


def refit(system: System, settings: Settings, params) -> System:
    """Make the system whose encoder is fitted further, at gamma = 1, while the decoder rests.

    An encoder that was trained at a smaller gamma is too sure of its latents for -ELBO, which
    judges the decoder unfairly. Here -ELBO itself is what it descends, at all noise levels at which
    the decoder sees its latent.

    Args:
        system: the trained one.
        settings: of the new training; its optimizer has only_encoder.
        params: of the trained system, where the new training starts.

    Returns:
        The system, in a new state.
    """
    optimizer = make_optimizer(settings)
    decoder = system.decoder
    if not decoder.is_exact:
        decoder = dataclasses.replace(decoder, pulls_above=decoder.sees_above)
    params = jax.tree.map(jnp.copy, params)
    narrow = None
    if not decoder.is_exact:
        narrow = bottleneck.Bottleneck.create(settings.em, settings.model.latent_dim)
    carried = narrow
    if settings.diffuses:
        # Chains that persist start anew, at the prior's mean; the old ones may have been donated.
        z = jnp.zeros(system.state.carried.z.shape) if system.is_persistent else None
        carried = chains.ChainState.create(settings.alternation, z, narrow)
    return dataclasses.replace(
        system,
        state=training.TrainState.create(params, optimizer, carried),
        update=make_update(settings, system.encoder, decoder, optimizer),
        gamma=settings.em.gamma,
    )


def make_run_updates(system: System, make_x: Callable) -> jax.stages.Wrapped:
    """Make the program of many updates of a system, see `training.scan_updates`.

    Args:
        system: the system.
        make_x: make_x(key, rows) -> x [batch, ...].
    """
    prepare = functools.partial(_with_index, make_x) if system.is_persistent else make_x
    return training.scan_updates(system.update, prepare)


def examples_of(system: System, examples: jax.Array, indices: jax.Array):
    """Give the arrays of which a system's batches are rows.

    Args:
        system: the system.
        examples: the data [n, ...].
        indices: 0, ..., n - 1, which chains that persist need too.
    """
    return (examples, indices) if system.is_persistent else examples


def _with_index(make_x, key, rows):
    """Make the batch of a persistent system, (x, index of each example)."""
    examples, indices = rows
    return make_x(key, examples), indices
