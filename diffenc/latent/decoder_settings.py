"""The settings of a diffusion decoder, and the decoder made of them."""

import dataclasses
import math

import jax.numpy as jnp

from diffenc.diffusion.noise_levels import Logistic
from diffenc.errors import (
    InputError,
    check,
    check_choice,
    check_least,
    check_widths,
)
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.networks import ModulatedMLP, UNet

NETWORKS = ("mlp", "unet")
PRECISIONS = ("float32", "bfloat16")
OF_UNET = ("attention", "rematerialize", "precision")  # fields that an MLP does not read
WEIGHTINGS = ("elbo", "sigmoid")
START = 0.1  # of the U-Net, so that z is pulled after one update


@dataclasses.dataclass(frozen=True)
class DiffusionSettings:
    """How p(x|z) diffuses x, and its network.

    Raises InputError for an unknown choice, a number out of range, a field that the network does
    not read, or a split outside the range of lambda.

    Attributes:
        network: "mlp" for vectors and small images, or "unet" for images.
        features: the width of the MLP, or the channels of each resolution of the U-Net.
        low: the smallest lambda.
        high: the largest, where x is read off.
        split: z is seen below it; at `high`, at every level.
        location: where the levels below the split are drawn most often, a logistic density.
        location_above: where those above it are.
        weighting: of the levels in training: "elbo", all alike, or "sigmoid", less where lambda is
            large, see `DiffusionDecoder`. Reported bounds are not weighted.
        weighting_bias: the lambda at which a sigmoid weighs one half.
        draws: noise levels for each example and side of the split.
        sampler_steps: steps of the flow that draws x.
        perceptual_dim: see `DiffusionDecoder`.
        sees_above: see `DiffusionDecoder`.
        blocks: of the MLP, or of the U-Net at each resolution.
        attention: sides of the feature maps at which the U-Net attends; none for the coarsest only.
        rematerialize: whether the U-Net is computed again in its backward pass, to save memory.
        precision: of the U-Net's products; its parameters are float32.
    """

    network: str = "mlp"
    features: tuple[int, ...] = (256,)
    low: float = -7.0
    high: float = 7.0
    split: float = 0.0
    location: float = -1.0
    location_above: float = 1.0
    weighting: str = "elbo"
    weighting_bias: float = 2.0
    draws: int = 4
    sampler_steps: int = 25
    perceptual_dim: int = 0
    sees_above: bool = False
    blocks: int = 2
    attention: tuple[int, ...] = ()
    rematerialize: bool = False
    precision: str = "float32"

    def __post_init__(self):
        check_choice("network", self.network, NETWORKS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("weighting", self.weighting, WEIGHTINGS)
        holds = self.weighting == "sigmoid" or self.weighting_bias == 2.0
        remedy = "weighting=elbo does not read it, give 2 or weighting=sigmoid"
        check(holds, "weighting_bias", self.weighting_bias, remedy)
        holds = math.isfinite(self.weighting_bias)
        check(holds, "weighting_bias", self.weighting_bias, "give a number")
        check_widths(self, "features")
        holds = self.network != "mlp" or len(self.features) == 1
        check(holds, "features", self.features, "an MLP has one width, all its blocks have it")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_read = self.network != "mlp" or field.name not in OF_UNET
            remedy = f"an MLP does not read it, give {field.default!r} or network=unet"
            check(is_read or value == field.default, field.name, value, remedy)
        check_least(self, 1, "draws", "sampler_steps", "blocks")
        check_least(self, 0, "perceptual_dim")
        check(self.low < self.high, "low", self.low, f"give less than high={self.high:g}")
        check(
            self.low < self.split <= self.high,
            "split",
            self.split,
            f"give a level between low={self.low:g} and high={self.high:g}",
        )
        holds = not self.perceptual_dim or self.split < self.high
        remedy = f"a second latent is seen above the split: give a split below high={self.high:g}"
        check(holds, "perceptual_dim", self.perceptual_dim, remedy)


def make_diffusion_decoder(
    settings: DiffusionSettings, example_shape: tuple[int, ...], is_blind: bool = False
) -> DiffusionDecoder:
    """Make the decoder of x [batch, *example_shape].

    Args:
        settings: of the decoder.
        example_shape: of one x; of an image [h, w, c] for the U-Net.
        is_blind: whether the decoder is to see no latent.

    Raises:
        InputError: the U-Net is asked for what is no image, or one whose sides cannot be halved.
    """
    above = None
    if settings.split < settings.high:
        above = Logistic(settings.split, settings.high, settings.location_above, 2.0)
    shape = example_shape
    if settings.network == "mlp":
        network = ModulatedMLP(settings.features[0], settings.blocks)
        shape = (math.prod(example_shape),)
    else:
        if len(example_shape) != 3:
            raise InputError(
                f"decoder network 'unet' takes images [h, w, c], not examples of shape "
                f"{list(example_shape)}: choose mlp"
            )
        network = UNet(
            settings.features,
            blocks=settings.blocks,
            attention=settings.attention or None,
            rematerialize=settings.rematerialize,
            dtype=jnp.dtype(settings.precision),
            start=START,
        )
        network.check_sides(example_shape[:2], channels="features", attention="attention")
    return DiffusionDecoder(
        network,
        tuple(shape),
        Logistic(settings.low, settings.split, settings.location, 1.5),
        above,
        draws=settings.draws,
        sampler_steps=settings.sampler_steps,
        perceptual_dim=settings.perceptual_dim,
        sees_above=settings.sees_above,
        is_blind=is_blind,
        weighting_bias=settings.weighting_bias if settings.weighting == "sigmoid" else None,
    )
