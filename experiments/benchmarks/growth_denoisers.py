"""Programs of denoisers whose growth is measured, see `growth_programs`."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from diffenc import networks, training
from diffenc.diffusion import samplers
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.noise_levels import log_snr_range
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import check, check_positive
from diffenc.keys import key_of
from experiments.benchmarks.growth_programs import (
    NUM_UPDATES,
    Program,
    Training,
    noise,
    of_function,
    of_updates,
)
from experiments.neural_entropy.systems import make_update

PROCESS = VPCosine()


def denoiser_training(network, x: np.ndarray) -> Training:
    """Make updates of a score model, as experiments.neural_entropy trains it.

    Args:
        network: of the model.
        x: a batch.
    """
    model = Denoiser(network, PROCESS, "v")
    reference = Reference.isotropic(x)
    levels = model.levels(reference, *log_snr_range(PROCESS, 1e-3, 0.999))
    optimizer = training.make_optimizer(1e-4, NUM_UPDATES)
    update = make_update(model, levels, optimizer, 1, 0.999)
    params = model.init(key_of(0, "model"), jnp.asarray(x[:1]))
    state = training.TrainState.create(params, optimizer, reference)
    return Training(state, training.scan_updates(update, lambda key, rows: rows), x)


@dataclass(frozen=True)
class UNetUpdate:
    """An update of a U-Net of two resolutions.

    Attributes:
        batch: images of an update.
        side: of the images, of one colour.
        width: channels at the finer resolution; twice as many at the coarser.
        attends: 1 where it attends over all pixels of the coarser resolution, 0 where nowhere.
    """

    batch: int
    side: int
    width: int
    attends: int

    def __post_init__(self):
        check_positive(self, "batch", "side", "width")
        check(self.side % 2 == 0, "side", self.side, "give an even number")

    def training(self) -> Training:
        """Make what is trained."""
        attention = (self.side // 2,) if self.attends else ()
        network = networks.UNet((self.width, 2 * self.width), attention=attention)
        return denoiser_training(network, noise(self.batch, self.side, self.side, 1))

    def make(self) -> Program:
        """Compile an update."""
        return of_updates(self.training())


@dataclass(frozen=True)
class MLPUpdate:
    """An update of a denoiser of dense layers.

    Attributes:
        batch: vectors of an update.
        dim: of the vectors.
        width: of the layers.
        depth: how many layers.
    """

    batch: int
    dim: int
    width: int
    depth: int

    def make(self) -> Program:
        """Compile an update."""
        network = networks.LevelMLP((self.width,) * self.depth)
        return of_updates(denoiser_training(network, noise(self.batch, self.dim)))


@dataclass(frozen=True)
class Sampling:
    """Samples of a denoiser of two dense layers by the probability flow, of 16 dimensions.

    Attributes:
        steps: of the flow.
        draws: how many samples.
        width: of the layers.
    """

    steps: int
    draws: int
    width: int

    def make(self) -> Program:
        """Compile the flow."""
        model = Denoiser(networks.LevelMLP((self.width, self.width)), PROCESS)
        reference = Reference.equilibrium(PROCESS)
        x = noise(self.draws, 16)
        params = model.init(key_of(0, "model"), jnp.asarray(x[:1]))

        def sample(params, x):
            score_fn = model.score_fn(params, reference)
            return samplers.probability_flow(score_fn, PROCESS, x, self.steps)

        return of_function(sample, params, x)
