"""A first phase of training: an encoder learns from a Gaussian decoder, then from a diffusion.

A Gaussian decoder explains nothing of x without its latent, so its gradient leads an encoder to
hold something of x where a diffusion, which can do without, would let it collapse. The diffusion
decoder is trained beside it, on the encoder's samples, of which it takes no gradient: when it takes
over it has learned from these pairs (x, z). If it began then, its gradient in z would say nothing
of x at first, and the prior would undo what the encoder has learned.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc import training
from diffenc.latent import systems
from diffenc.latent.decoders import Gaussian
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.observations import Observation
from diffenc.latent.system_settings import Settings
from diffenc.latent.systems import System


class BothObservations(NamedTuple):
    """What the two decoders see.

    Attributes:
        x: [batch, ...], for the Gaussian one.
        noised: for the diffusion; None where only what has a gradient in z is asked.
    """

    x: jax.Array
    noised: Observation | None


@dataclasses.dataclass(frozen=True)
class FirstPhase:
    """Two decoders as one, of which the Gaussian alone is a function of z to the encoder.

    `log_prob` is the sum of both. The posterior is that of the Gaussian, which is exact.

    Attributes:
        gaussian: from which the encoder learns.
        diffusion: which learns from the encoder.
    """

    gaussian: Gaussian
    diffusion: DiffusionDecoder
    is_exact = True

    def init(self, key: jax.Array, latent_dim: int):
        """Make the parameters of both."""
        key_gaussian, key_diffusion = jax.random.split(key)
        return {
            "gaussian": self.gaussian.init(key_gaussian, latent_dim),
            "diffusion": self.diffusion.init(key_diffusion, latent_dim),
        }

    def observe(self, key: jax.Array, x: jax.Array) -> BothObservations:
        """Draw the noise by which the diffusion looks at x [batch, ...]."""
        return BothObservations(x, self.diffusion.observe(key, x))

    def about_latent(self, observation: BothObservations) -> BothObservations:
        """Drop what the diffusion sees: `log_prob` is then the Gaussian's."""
        return observation._replace(noised=None)

    def log_prob(self, params, observation: BothObservations, z: jax.Array) -> jax.Array:
        """Evaluate log p(x|z) of the Gaussian, and the draw of the diffusion's beside it.

        Args:
            params: of both.
            observation: of x.
            z: latents [batch, d].

        Returns:
            [batch], in nats; its gradient in z is that of the Gaussian.
        """
        log_prob = self.gaussian.log_prob(params["gaussian"], observation.x, z)
        if observation.noised is None:
            return log_prob
        constant = jax.lax.stop_gradient(z)
        return log_prob + self.diffusion.log_prob(params["diffusion"], observation.noised, constant)

    def sample(self, key: jax.Array, params, z: jax.Array) -> jax.Array:
        """Draw x [batch, D] from the Gaussian, for the curvature of its likelihood."""
        return self.gaussian.sample(key, params["gaussian"], z)


def make(
    settings: Settings,
    diffusion: DiffusionDecoder,
    example_shape: tuple[int, ...],
    num_examples: int,
    seed: int,
    *names: str | int,
) -> System:
    """Make the system of the first phase; its encoder starts as that of `systems.make` does.

    Args:
        settings: of the method in this phase. Its gamma is that of the rate beside the Gaussian's
            likelihood, whose scale is learned: it starts at 1 and falls slowly.
        diffusion: the decoder that is to take over.
        example_shape: of x [batch, *example_shape].
        num_examples: how many there are to train on.
        seed: of the initial values.
        *names: which of several systems of that seed this is.
    """
    model = dataclasses.replace(settings.model, decoder="gaussian", diffusion=None)
    decoder = FirstPhase(systems.make_decoder(model, example_shape), diffusion)
    return systems.make(settings, decoder, example_shape, num_examples, seed, *names)


def hand_over(system: System, settings: Settings, params) -> System:
    """Start a system where its first phase has ended.

    Args:
        system: the one to be trained now.
        settings: of it.
        params: of the system of the first phase.

    Returns:
        The system, in a state whose parameters are those of the encoder and of the diffusion.
    """
    params = {"encoder": params["encoder"], "decoder": params["decoder"]["diffusion"]}
    optimizer = systems.make_optimizer(settings)
    carried = system.state.carried
    state = training.TrainState.create(jax.tree.map(jnp.copy, params), optimizer, carried)
    return dataclasses.replace(system, state=state)
