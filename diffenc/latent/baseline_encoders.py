"""Encoders of the rivals: a Gaussian, a flow, and a function of x.

They share the interface of `DiffusionEncoder` (init, infer, gaussian, sample, sample_and_log_prob,
log_prob), so the same estimators measure them all. num_steps is ignored here: these densities are
exact in one step.

Shapes: x [batch, ...], z [batch, d].
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.latent.decoders import log_prior
from diffenc.latent.whitening import Frame
from diffenc.networks import MLP, Coupling
from diffenc.networks.coupling import CouplingContext


@dataclasses.dataclass(frozen=True)
class GaussianEncoder:
    """q(z|x) = N(mean(x), diag width(x)^2), the encoder of a VAE (Kingma and Welling, 1312.6114).

    Attributes:
        network: x [batch, ...] -> mean and log width, 2 d outputs.
    """

    network: MLP

    @property
    def latent_dim(self) -> int:
        """The dimension d of the latent."""
        return self.network.num_outputs // 2

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the network, for examples like x [batch, ...]."""
        return init(self.network, key, x[:1])

    def infer(self, params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Compute the context of x [batch, ...].

        Returns:
            Mean and log width, each [batch, d].
        """
        mean, log_width = jnp.split(self.network.apply(params["encoder"], x), 2, axis=-1)
        return mean, jnp.clip(log_width, -8.0, 2.0)

    def gaussian(self, context) -> Frame:
        """Give q(z|x) as a `Frame`."""
        mean, log_width = context
        return Frame(mean, jnp.eye(self.latent_dim)[None] * jnp.exp(log_width)[:, None, :])

    def sample(self, key: jax.Array, params, context, num_steps: int = 0) -> jax.Array:
        """Sample z ~ q(z|x) [batch, d], as `DiffusionEncoder.sample`."""
        mean, log_width = context
        return mean + jnp.exp(log_width) * jax.random.normal(key, mean.shape)

    def sample_and_log_prob(
        self, key: jax.Array, params, context, num_steps: int = 0
    ) -> tuple[jax.Array, jax.Array]:
        """Sample z [batch, d] with log q(z|x) [batch], as `DiffusionEncoder`'s."""
        z = self.sample(key, params, context)
        return z, self.log_prob(params, context, z)

    def log_prob(self, params, context, z: jax.Array, num_steps: int = 0) -> jax.Array:
        """Evaluate log q(z|x) [batch] at z [batch, d], as `DiffusionEncoder.log_prob`."""
        mean, log_width = context
        return log_prior((z - mean) * jnp.exp(-log_width)) - log_width.sum(axis=-1)


@dataclasses.dataclass(frozen=True)
class FlowEncoder:
    """q(z|x) as a normalizing flow conditioned on x (Rezende and Mohamed, 1505.05770).

    Its layers are those of 1605.08803.

    Attributes:
        network: the flow.
    """

    network: Coupling

    @property
    def latent_dim(self) -> int:
        """The dimension d of the latent."""
        return self.network.latent_dim

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the flow, for examples like x [batch, ...]."""
        z = np.zeros((1, self.latent_dim), np.float32)
        return init(self.network, key, x[:1], z, method="initialize")

    def infer(self, params, x: jax.Array) -> CouplingContext:
        """Compute the context of x [batch, ...]."""
        return self.network.apply(params["encoder"], x, method="embed")

    def gaussian(self, context: CouplingContext) -> Frame:
        """Give the base of the flow as a `Frame`: coordinates for chains."""
        width = jnp.exp(context.log_width)
        return Frame(context.mean, jnp.eye(self.latent_dim)[None] * width[:, None, :])

    def sample(
        self, key: jax.Array, params, context: CouplingContext, num_steps: int = 0
    ) -> jax.Array:
        """Sample z ~ q(z|x) [batch, d], as `DiffusionEncoder.sample`."""
        return self.sample_and_log_prob(key, params, context)[0]

    def sample_and_log_prob(
        self, key: jax.Array, params, context: CouplingContext, num_steps: int = 0
    ) -> tuple[jax.Array, jax.Array]:
        """Sample z [batch, d] with log q(z|x) [batch], as `DiffusionEncoder`'s."""
        y = jax.random.normal(key, context.mean.shape)
        z, log_det = self.network.apply(params["encoder"], context, y)
        return z, log_prior(y) - log_det

    def log_prob(
        self, params, context: CouplingContext, z: jax.Array, num_steps: int = 0
    ) -> jax.Array:
        """Evaluate log q(z|x) [batch] at z [batch, d], as `DiffusionEncoder.log_prob`."""
        y, log_det = self.network.apply(params["encoder"], context, z, method="inverse")
        return log_prior(y) - log_det


@dataclasses.dataclass(frozen=True)
class DeterministicEncoder:
    """z = network(x), the encoder of a diffusion autoencoder (Preechakul et al., 2111.15640).

    It has no density, hence no rate.

    Attributes:
        network: x [batch, ...] -> z [batch, d].
    """

    network: MLP

    @property
    def latent_dim(self) -> int:
        """The dimension d of the latent."""
        return self.network.num_outputs

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the network, for examples like x [batch, ...]."""
        return init(self.network, key, x[:1])

    def infer(self, params, x: jax.Array) -> jax.Array:
        """Compute z of x [batch, ...]."""
        return self.network.apply(params["encoder"], x)

    def sample(self, key: jax.Array, params, context: jax.Array, num_steps: int = 0) -> jax.Array:
        """Return z [batch, d]; nothing is drawn."""
        return context


def gaussian_rate(context) -> jax.Array:
    """Compute KL(N(mean, width^2) || N(0, I)) [batch] of a `GaussianEncoder`, in nats."""
    mean, log_width = context
    return 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_width) - 1 - 2 * log_width, axis=-1)
