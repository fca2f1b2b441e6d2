"""Multi-layer perceptrons: a plain one, and a denoiser that looks at its condition once."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc.networks.convolution import ConvEmbed
from diffenc.networks.embeddings import log_snr_features, waves
from diffenc.networks.module import Module


class MLP(Module):
    """Dense layers, the last one linear: [batch, ...] -> [batch, num_outputs].

    Attributes:
        features: widths of the hidden layers.
        num_outputs: width of the last layer.
        activation: of the hidden layers.
        embed_channels: widths of the convolutions that images x [batch, h, w, c] pass before the
            dense layers, see `ConvEmbed`; () for none, and then x may have any shape.
    """

    features: Sequence[int]
    num_outputs: int
    activation: Callable[[jax.Array], jax.Array] = nn.silu
    embed_channels: Sequence[int] = ()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Flatten x [batch, ...] and map it to [batch, num_outputs]."""
        if self.embed_channels:
            x = ConvEmbed(tuple(self.embed_channels))(x)
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = self.activation(nn.Dense(width)(x))
        return nn.Dense(self.num_outputs)(x)


class LevelMLP(Module):
    """Dense layers of (u, features of the noise level, condition), the last one zero at first.

    Attributes:
        features: widths of the hidden layers.
    """

    features: Sequence[int]

    @nn.compact
    def __call__(
        self, u: jax.Array, level: jax.Array, condition: jax.Array | None = None
    ) -> jax.Array:
        """Map u to an array of its shape.

        Args:
            u: [batch, ...].
            level: log signal-to-noise ratio [batch], zero where signal and noise are of one size.
            condition: a vector for each example [batch, c], or None.
        """
        parts = [u.reshape(u.shape[0], -1), log_snr_features(level)]
        h = jnp.concatenate(parts if condition is None else [*parts, condition], axis=-1)
        for width in self.features:
            h = nn.silu(nn.Dense(width)(h))
        out = nn.Dense(u.size // u.shape[0], kernel_init=nn.initializers.zeros)(h)
        return out.reshape(u.shape)


class Context(flax.struct.PyTreeNode):
    """What a denoiser needs of its condition, computed once and used at every noise level.

    Attributes:
        x: the condition itself, as it was passed, [batch, ...].
        known: False where the null token stands for x, [batch].
        mean: the mean of the Gaussian N(mean, factor factor^T) it starts from, [batch, d].
        factor: its lower triangular factor, [batch, d, d].
        scales: one [batch, features_i] for each hidden layer.
        shifts: likewise.
        log_weight: posterior weights [batch, M] of the encoder's landmarks, where it has some.
        log_density: of the posterior at the mean [batch], up to a constant, where Newton steps have
            asked for it.
        slope: its gradient there, factor^T grad [batch, d], likewise.
    """

    x: jax.Array
    known: jax.Array
    mean: jax.Array
    factor: jax.Array
    scales: tuple[jax.Array, ...]
    shifts: tuple[jax.Array, ...]
    log_weight: jax.Array | None = None
    log_density: jax.Array | None = None
    slope: jax.Array | None = None


class ConditionalDenoiser(Module):
    """Network of a conditional diffusion model in a latent of dimension d.

    `embed` turns x into a `Context`; `__call__` gives the residual r [batch, d] and the gate
    [batch] of the decoder's pressure (see diffenc.latent.encoder) at latent u [batch, d] and log
    signal-to-noise ratio [batch]. Everything that depends on x alone happens in `embed`, so that a
    sampler of many steps pays for it once. The output layers start at zero: mean 0, factor I,
    residual 0, gate 1. |r_i| < residual_bound, since a sampler feeds r its own results: an
    unbounded one can run away before it has learned anything.

    Attributes:
        latent_dim: d.
        embed_features: widths of the layers that embed x.
        features: widths of the layers that see the latent.
        residual_bound: the bound of |r_i|.
        octaves: number of octaves of Fourier features of the latent that the network sees too;
            they help where a posterior has more structure than a smooth network learns quickly.
        embed_channels: widths of the convolutions that images x [batch, h, w, c] pass before the
            layers that embed them, see `ConvEmbed`; () for none, and then x may have any shape.
    """

    latent_dim: int
    embed_features: Sequence[int] = (512, 512)
    features: Sequence[int] = (256, 256)
    residual_bound: float = 5.0
    octaves: int = 0
    embed_channels: Sequence[int] = ()

    def setup(self):
        """Define the layers."""
        if self.embed_channels:
            self.convolutions = ConvEmbed(tuple(self.embed_channels))
        self.embed_layers = [nn.Dense(width) for width in self.embed_features]
        self.null_token = self.param(
            "null_token", nn.initializers.zeros, (self.embed_features[-1],)
        )
        zeros = nn.initializers.zeros
        self.mean_head = nn.Dense(self.latent_dim, kernel_init=zeros)
        self.width_head = nn.Dense(self.latent_dim, kernel_init=zeros)
        if self.latent_dim > 1:
            self.shear_head = nn.Dense(
                self.latent_dim * (self.latent_dim - 1) // 2, kernel_init=zeros
            )
        self.modulation = [nn.Dense(2 * width) for width in self.features]
        self.layers = [nn.Dense(width) for width in self.features]
        self.output = nn.Dense(self.latent_dim, kernel_init=zeros)
        self.gate = nn.Dense(1, kernel_init=zeros)

    def embed(self, x: jax.Array, is_null: jax.Array, answers: jax.Array | None = None) -> Context:
        """Compute the context of x [batch, ...].

        Args:
            x: data, flattened here, or images [batch, h, w, c] for the convolutions.
            is_null: [batch], where the context is that of 'x unknown' (mean 0, factor I).
            answers: [batch, M], seen beside x; None for nothing.

        Returns:
            The context, computed once for all noise levels.
        """
        h = self.convolutions(x) if self.embed_channels else x.reshape(x.shape[0], -1)
        h = h if answers is None else jnp.concatenate([h, answers], axis=-1)
        for layer in self.embed_layers:
            h = nn.silu(layer(h))
        dim = self.latent_dim
        log_width = self.width_head(h)  # a posterior is seldom wider than its prior
        width = jnp.exp(jnp.where(log_width > 0, bounded(log_width, 0.5), bounded(log_width, 7.0)))
        factor = jnp.broadcast_to(jnp.eye(dim), (h.shape[0], dim, dim))
        if dim > 1:  # 3 is a correlation of 0.95; a larger one makes W singular
            factor = factor.at[:, *np.tril_indices(dim, -1)].set(bounded(self.shear_head(h), 3.0))
        factor = width[:, :, None] * factor
        factor = jnp.where(is_null[:, None, None], jnp.eye(dim)[None], factor)
        # The prior N(0, I) holds no mean beyond 6: the bound keeps an untrained encoder from
        # leaving it for good.
        mean = jnp.where(is_null[:, None], 0.0, bounded(self.mean_head(h), 6.0))
        # The null token is one row for all: what is made of h is the same with and without it.
        null = self.null_token[None, :]
        pairs = [
            jnp.split(jnp.where(is_null[:, None], layer(null), layer(h)), 2, axis=-1)
            for layer in self.modulation
        ]
        scales = tuple(scale for scale, _ in pairs)
        shifts = tuple(shift for _, shift in pairs)
        return Context(x=x, known=~is_null, mean=mean, factor=factor, scales=scales, shifts=shifts)

    def __call__(
        self, context: Context, u: jax.Array, log_snr: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Evaluate the residual and the gate.

        Args:
            context: the context of x.
            u: noised latents [batch, d].
            log_snr: lambda [batch].

        Returns:
            The residual r [batch, d] and the gate [batch].
        """
        y = jnp.concatenate([u, waves(u, self.octaves), log_snr_features(log_snr)], axis=-1)
        for layer, scale, shift in zip(self.layers, context.scales, context.shifts, strict=True):
            y = nn.silu(layer(y) * (1.0 + scale) + shift)
        return bounded(self.output(y), self.residual_bound), 1.0 + bounded(self.gate(y)[:, 0], 1.0)

    def initialize(self, x: jax.Array, u: jax.Array, log_snr: jax.Array, answers=None):
        """Touch every layer once, so that `init(..., method='initialize')` makes all parameters."""
        return self(self.embed(x, jnp.zeros(x.shape[0], bool), answers), u, log_snr)


def bounded(a: jax.Array, bound: float) -> jax.Array:
    """Squeeze a into (-bound, bound); the identity near 0.

    The slope falls slowly, so that no gradient vanishes far out.
    """
    return a / jnp.sqrt(1.0 + (a / bound) ** 2)
