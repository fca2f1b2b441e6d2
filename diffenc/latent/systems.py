"""The models that experiments train side by side: one decoder, many ways to infer its latent.

langevin      diffusion encoder, alternating EM with Markov chains started at the encoder (arXiv
              2605.13399)
persistent    the same with chains that go on where each example was left
importance    the same with importance-resampled proposals in place of chains
encoder       the same with the encoder's samples as they are
wake_sleep    diffusion encoder trained on dreams (arXiv 2401.02739)
vae, iwae, flow_vae     reparameterized bounds with a Gaussian encoder, K samples, a coupling flow
deterministic           z is a function of x, and has no rate (arXiv 2111.15640)
without_latent          the VAE of a decoder that sees no latent: a diffusion model of x
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
from diffenc.errors import check, check_choice, check_least, check_positive, check_widths
from diffenc.keys import key_of
from diffenc.latent import baselines, bottleneck, chains, decoders, em
from diffenc.latent.decoder_settings import DiffusionSettings, make_diffusion_decoder
from diffenc.latent.encoder import REFERENCES, DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser, Coupling

ALTERNATING = ("langevin", "persistent", "importance", "encoder")
DIFFUSING = (*ALTERNATING, "wake_sleep")
METHODS = (*DIFFUSING, "vae", "iwae", "flow_vae", "deterministic", "without_latent")
RATELESS = ("wake_sleep", "iwae", "flow_vae")  # whose updates do not move gamma
DECODERS = (*decoders.KINDS, "diffusion")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The networks of a model.

    Raises InputError for an unknown choice or a number out of range.

    Attributes:
        latent_dim: the dimension d of the latent.
        decoder: a name of `DECODERS`.
        decoder_features: widths of its hidden layers; none makes it linear. Not of a diffusion.
        activation: of the decoder, a name of `decoders.ACTIVATIONS`. Not of a diffusion.
        embed_features: widths of the layers by which an encoder, of any method, embeds x.
        features: widths of the denoiser's layers.
        reference: where the diffusion starts, see `DiffusionEncoder`.
        newton_steps: of the reference's mean, see there; 0 for none.
        pressure: whether the denoiser starts from the decoder's gradient, see there.
        residual_bound: largest length of the denoiser's output.
        landmarks: latents whose posterior weights the network sees; 0 for none.
        octaves: of the Fourier features of the latent that the denoiser sees; 0 for none.
        embed_channels: of convolutions by which an encoder sees images before those layers; none
            for no convolutions.
        diffusion: of the decoder where that is a diffusion, else None.
    """

    latent_dim: int
    decoder: str
    decoder_features: tuple[int, ...]
    activation: str
    embed_features: tuple[int, ...]
    features: tuple[int, ...]
    reference: str
    newton_steps: int
    pressure: bool
    residual_bound: float
    landmarks: int
    octaves: int
    embed_channels: tuple[int, ...] = ()
    diffusion: DiffusionSettings | None = None

    def __post_init__(self):
        check_choice("decoder", self.decoder, DECODERS)
        if self.decoder == "diffusion":
            remedy = "it has settings of its own: train it by experiments.diffusion_decoder"
            check(self.diffusion is not None, "decoder", self.decoder, remedy)
        else:
            remedy = "settings of a diffusion go with decoder=diffusion alone: give none"
            check(self.diffusion is None, "decoder", self.decoder, remedy)
        check_choice("activation", self.activation, decoders.ACTIVATIONS)
        check_choice("reference", self.reference, REFERENCES)
        check_least(self, 1, "latent_dim")
        check_positive(self, "residual_bound")
        check_least(self, 0, "newton_steps", "landmarks", "octaves")
        starts_at_prior = self.reference == "prior"
        remedy = "set reference=prior, to diffuse from N(0, I), or give 0"
        check(starts_at_prior or not self.landmarks, "landmarks", self.landmarks, remedy)
        check_widths(self, "embed_features", "features")
        if self.embed_channels:
            check_widths(self, "embed_channels")
        if self.diffusion is not None:
            holds = self.diffusion.perceptual_dim < self.latent_dim
            remedy = "a latent that is seen above the split leaves some below it: give more"
            check(holds, "latent_dim", self.latent_dim, remedy)
        if self.decoder_features:  # a linear decoder has none
            check_widths(self, "decoder_features")


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """How parameters descend. Raises InputError for a number out of range.

    Attributes:
        learning_rate: its peak, after the warm-up; then it descends to 0 like a cosine.
        num_updates: the length of that schedule.
        warmup: updates of a linear rise.
        clip_norm: largest norm of a gradient; None for any.
        baseline_learning_rate: the peak of methods without a diffusion; None for the same.
        accumulate: updates whose gradients make one step, to train on larger batches than memory
            holds.
        only_encoder: whether the decoder stays as it is.
    """

    learning_rate: float
    num_updates: int
    warmup: int
    clip_norm: float | None = None
    baseline_learning_rate: float | None = None
    accumulate: int = 1
    only_encoder: bool = False

    def __post_init__(self):
        check_positive(self, "learning_rate", "clip_norm", "baseline_learning_rate")
        check_least(self, 1, "num_updates", "accumulate")
        check_least(self, 0, "warmup")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A method and all that its system is made with.

    Raises InputError for an unknown method or a number below 1.

    Attributes:
        method: a name of `METHODS`.
        model: the networks.
        em: the alternation. Its e_step is replaced by the method; what a method does not read of
            the posterior samples is `unread`.
        optimizer: of all parameters.
        sampler_steps: steps of the encoder when it is measured.
        iwae_samples: draws of each update of iwae.
    """

    method: str
    model: ModelSettings
    em: em.Settings
    optimizer: OptimizerSettings
    sampler_steps: int
    iwae_samples: int = 10

    def __post_init__(self):
        check_choice("method", self.method, METHODS)
        check_least(self, 1, "sampler_steps", "iwae_samples")
        is_diffusion = self.model.decoder == "diffusion"
        holds = is_diffusion or self.method != "without_latent"
        check(holds, "method", self.method, "only a diffusion decoder can do without: choose vae")
        if self.em.rate is not None:
            remedy = "only a diffusion decoder is held to one: give none"
            check(is_diffusion, "rate", self.em.rate, remedy)
            holds = self.method not in RATELESS
            check(holds, "rate", self.em.rate, f"{self.method} does not follow it: give none")
            most = bottleneck.LARGEST_RATE * self.model.latent_dim
            remedy = f"a latent of {self.model.latent_dim} dimensions holds {most:g} nats at most"
            check(self.em.rate <= most, "rate", self.em.rate, remedy)

    @property
    def diffuses(self) -> bool:
        """Whether the encoder is a diffusion."""
        return self.method in DIFFUSING

    @property
    def alternation(self) -> em.Settings:
        """The settings `em`, with the method as E-step where it is one."""
        e_step = self.method if self.method in ALTERNATING else "langevin"
        return dataclasses.replace(self.em, e_step=e_step)

    def unread(self) -> tuple[str, ...]:
        """List the fields of `em` about posterior samples that this method does not read."""
        if self.method in ALTERNATING:
            return self.alternation.unread()
        sampler = () if self.method == "wake_sleep" else ("sampler_steps",)
        return (*em.OF_CHAINS, *em.OF_PROPOSALS, *sampler)


@dataclasses.dataclass(frozen=True)
class System:
    """A model to train and to measure.

    Attributes:
        encoder: with the interface of `DiffusionEncoder`.
        decoder: with that of `decoders.Bernoulli`.
        state: the `TrainState` that training starts from.
        update: `update(state, key, batch) -> (state, metrics)`.
        sampler_steps: steps of the encoder when it is measured.
        gamma: temperature of the posterior, see `decoders.log_joint`.
        is_persistent: whether a batch is (x, index of each example) in place of x.
    """

    encoder: Any
    decoder: Any
    state: Any
    update: Callable | None
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
        decoder,
        training.TrainState.create(params, optimizer, carried),
        make_update(settings, encoder, decoder, optimizer),
        settings.sampler_steps,
        settings.em.gamma,
        settings.method == "persistent",
    )


def make_decoder(model: ModelSettings, example_shape: tuple[int, ...], method: str = ""):
    """Make the decoder of a model for data of D dimensions.

    Args:
        model: its settings.
        example_shape: of one x.
        method: of the system; "without_latent" asks for a diffusion that sees none.
    """
    if model.diffusion is not None:
        return make_diffusion_decoder(model.diffusion, example_shape, method == "without_latent")
    data_dim = math.prod(example_shape)
    return decoders.make(model.decoder, data_dim, model.decoder_features, model.activation)


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
        return baselines.FlowEncoder(Coupling(model.latent_dim, model.embed_features))
    channels = model.embed_channels
    if settings.method == "deterministic":
        network = MLP(model.embed_features, model.latent_dim, embed_channels=channels)
        return baselines.DeterministicEncoder(network)
    network = MLP(model.embed_features, 2 * model.latent_dim, embed_channels=channels)
    return baselines.GaussianEncoder(network)


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


def make_run_updates(system: System, make_x: Callable) -> Callable:
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
