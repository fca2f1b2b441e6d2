"""Networks: the only rooms that import `flax.linen`.

Why linen: its modules are plain dataclasses whose parameters live outside them, in a pytree that
the caller holds. `module.apply(params, ...)` is then a pure function, and the train state, the
averages and the optimizer see nothing but pytrees. Modules here hold shapes only, never a key and
never a counter.
"""

from diffenc.networks.classifier import LevelClassifier
from diffenc.networks.convolution import ConvEmbed
from diffenc.networks.coupling import Coupling
from diffenc.networks.mlp import MLP, ConditionalDenoiser, LevelMLP
from diffenc.networks.modulated import ModulatedMLP
from diffenc.networks.residual import ResidualDenoiser
from diffenc.networks.sequence import ModulatedSequence
from diffenc.networks.unet import UNet
from diffenc.networks.velocity import Velocity

__all__ = [
    "MLP",
    "ConditionalDenoiser",
    "ConvEmbed",
    "Coupling",
    "LevelClassifier",
    "LevelMLP",
    "ModulatedMLP",
    "ModulatedSequence",
    "ResidualDenoiser",
    "UNet",
    "Velocity",
]
