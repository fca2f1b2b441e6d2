"""Models of discrete data: what one is made from, as plain values."""

import dataclasses
import math

import jax.numpy as jnp

from diffenc.diffusion import warmth
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.grid_denoiser import GridDenoiser, num_outputs
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

    def __post_init__(self):
        check_choice("network", self.network, NETWORKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_least(self, 1, "blocks")
        check_fraction(self, "dropout")
        check_widths(self, "features")
        if self.network == "unet":
            check_channels("features", self.features)
        else:
            holds = len(self.features) == 1
            check(holds, "features", self.features, "the MLP has one width: give one number")
            check(
                self.attention is None, "attention", self.attention, "the MLP has none: give None"
            )
        num_outputs(self.head, self.alphabet)  # checks the head
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
    return GridDenoiser(network, settings.alphabet, settings.head)


def data_dim(example_shape: tuple[int, ...]) -> int:
    """Count the numbers D of an example."""
    return math.prod(example_shape)
