"""Settings of the models that experiments train side by side, and the methods to choose from.

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

from diffenc.errors import check, check_choice, check_least, check_positive, check_widths
from diffenc.latent import bottleneck, decoders, em
from diffenc.latent.decoder_settings import DiffusionSettings
from diffenc.latent.encoder import REFERENCES

Alternation = em.Settings  # under a name that the field `em` does not hide
ALTERNATING = ("langevin", "persistent", "importance", "encoder")
DIFFUSING = (*ALTERNATING, "wake_sleep")
METHODS = (*DIFFUSING, "vae", "iwae", "flow_vae", "deterministic", "without_latent")
RATELESS = ("wake_sleep", "iwae", "flow_vae")  # whose updates do not move gamma
DECODERS = (*decoders.KINDS, "diffusion")
NOISES = ("one", "column", "auto")


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
        noise: of a Gaussian decoder: "one" learned scale for all dimensions, one of each "column",
            or "auto", which is the latter for vectors and the former for images.
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
    noise: str = "one"

    def __post_init__(self):
        check_choice("noise", self.noise, NOISES)
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
    def alternation(self) -> Alternation:
        """The settings `em`, with the method as E-step where it is one."""
        e_step = self.method if self.method in ALTERNATING else "langevin"
        return dataclasses.replace(self.em, e_step=e_step)

    def unread(self) -> tuple[str, ...]:
        """List the fields of `em` about posterior samples that this method does not read."""
        if self.method in ALTERNATING:
            return self.alternation.unread()
        sampler = () if self.method == "wake_sleep" else ("sampler_steps",)
        return (*em.OF_CHAINS, *em.OF_PROPOSALS, *sampler)
