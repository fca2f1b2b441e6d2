"""Models of discrete data: what one is made from, as plain values; its bound and its samples."""

import dataclasses
import functools

import flax.struct
import jax
import jax.numpy as jnp

from diffenc.diffusion import likelihood, warmth
from diffenc.diffusion.adaptive_levels import AdaptiveLevels
from diffenc.diffusion.alphabet import KINDS, Alphabet
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals, num_outputs
from diffenc.errors import check, check_choice, check_fraction, check_least, check_widths
from diffenc.networks import ModulatedMLP, ModulatedSequence, UNet
from diffenc.networks.unet import check_channels

NETWORKS = ("mlp", "unet", "sequence")
PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """A `GridDenoiser` with its network, and the range of its noise.

    Raises InputError for an unknown choice or a number out of range.

    Attributes:
        head: what the network gives, see `grid_denoiser`.
        bins: the noise of its start, x_high, in distances of neighbouring codes.
        low: the smallest log signal-to-noise ratio.
        size: how many values a number of the data takes.
        code: where they stand, see `Alphabet`.
        network: a name of `NETWORKS`.
        features: the width of the MLP and of the network of sequences, one number; the U-Net's
            channels of each resolution.
        blocks: of the network; of the U-Net at each resolution.
        attention: of the U-Net, sides of the feature maps at which it attends; None for at the
            coarsest, once.
        dropout: share of the numbers dropped inside each block in training.
        precision: of the U-Net's products, a name of `PRECISIONS`.
        sees: what the network sees of noisy data, see `grid_denoiser`.
        fourier: exponents of the waves that the network sees, see `GridDenoiser`.
    """

    head: str
    bins: float
    low: float
    size: int
    code: str
    network: str
    features: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] | None = None
    dropout: float = 0.0
    precision: str = "float32"
    sees: str = "noisy"
    fourier: tuple[int, ...] = ()

    def __post_init__(self):
        check_choice("network", self.network, NETWORKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("code", self.code, KINDS)
        check_least(self, 1, "blocks")
        check_fraction(self, "dropout")
        check_widths(self, "features")
        if self.network == "unet":
            check_channels("features", self.features)
        else:
            # What another network does not read may not look as if it did something.
            holds = len(self.features) == 1
            remedy = f"network {self.network} has one width, give one number"
            check(holds, "features", self.features, remedy)
            remedy = f"network {self.network} does not attend, give none"
            check(self.attention is None, "attention", self.attention, remedy)
            remedy = f"network {self.network} is of single precision, give float32"
            check(self.precision == "float32", "precision", self.precision, remedy)
        # These check the head, what the network sees, and the waves.
        num_outputs(self.head, self.alphabet)
        GridDenoiser(None, self.alphabet, self.head, self.sees, self.fourier)
        check(self.low < self.high, "low", self.low, f"the start is at {self.high:.3g}: give less")

    @property
    def alphabet(self) -> Alphabet:
        """The values of the data and their codes."""
        return Alphabet(self.size, self.code)

    @property
    def high(self) -> float:
        """The largest log signal-to-noise ratio, where the decoder reads the values."""
        return float(warmth.log_snr_of_bins(self.bins, self.alphabet.spacing))


def make(settings: ModelSettings, example_shape: tuple[int, ...]) -> GridDenoiser:
    """Make the model of data x [batch, *example_shape].

    Args:
        settings: of it.
        example_shape: of one x.

    Raises:
        InputError: the network cannot take examples of this shape.
    """
    outputs = num_outputs(settings.head, settings.alphabet, example_shape[-1])
    if settings.network == "unet":
        network = UNet(
            settings.features,
            dtype=PRECISIONS[settings.precision],
            blocks=settings.blocks,
            attention=settings.attention,
            num_outputs=outputs,
            dropout=settings.dropout,
        )
        holds = len(example_shape) == 3
        check(holds, "network", settings.network, f"data {example_shape} are no images: give mlp")
        network.check_sides(example_shape[:2])
    elif settings.network == "sequence":
        holds = len(example_shape) == 2
        check(holds, "network", settings.network, f"data {example_shape} are no sequences")
        network = ModulatedSequence(
            settings.features[0],
            settings.blocks,
            num_outputs=outputs,
            dropout=settings.dropout,
        )
    else:
        network = ModulatedMLP(settings.features[0], settings.blocks, outputs, settings.dropout)
    return GridDenoiser(network, settings.alphabet, settings.head, settings.sees, settings.fourier)


class Carried(flax.struct.PyTreeNode):
    """What the state of a model holds beside the parameters of its network.

    Attributes:
        marginals: of the training data.
        levels: the density of noise levels that training has learned; the bound is measured by it.
    """

    marginals: Marginals
    levels: AdaptiveLevels

    @classmethod
    def create(cls, settings: ModelSettings, marginals: Marginals, rule: str) -> "Carried":
        """Make what a model holds before its first update.

        Args:
            settings: of the model.
            marginals: of the training data.
            rule: by which its noise levels are learned, see `AdaptiveLevels`.
        """
        levels = AdaptiveLevels.create(settings.low, settings.high, rule)
        # The state is donated in training, and no array can be donated twice.
        return jax.tree.map(jnp.copy, cls(marginals, levels))


@functools.partial(jax.jit, static_argnames=("denoiser", "draws"))
def draw_terms(
    key: jax.Array, params, carried: Carried, x: jax.Array, *, denoiser: GridDenoiser, draws: int
) -> likelihood.Terms:
    """Draw the terms of the bound on -log P(x), each [batch] in nats.

    Args:
        key: of levels and noise.
        params: of the network.
        carried: by the model's state.
        x: values [batch, ..., c].
        denoiser: the model.
        draws: noise levels for each example, see `likelihood.discrete_terms`.
    """
    return likelihood.discrete_terms(
        key, denoiser, params, carried.marginals, x, carried.levels, draws
    )


@functools.partial(jax.jit, static_argnames=("denoiser", "shape", "steps"))
def sample(
    key: jax.Array,
    params,
    carried: Carried,
    *,
    denoiser: GridDenoiser,
    shape: tuple[int, ...],
    steps: int,
) -> jax.Array:
    """Draw values of a model, int32.

    Args:
        key: of all draws.
        params: of the network.
        carried: by the model's state.
        denoiser: the model.
        shape: of what is drawn, [batch, ..., c].
        steps: of the reverse process.
    """
    key_noise, key_sample = jax.random.split(key)
    width = shape[-1] * denoiser.alphabet.code_dim
    x_1 = jax.random.normal(key_noise, (*shape[:-1], width))
    ends = carried.levels.low, carried.levels.high
    return denoiser.sample(key_sample, params, carried.marginals, x_1, ends, steps)
