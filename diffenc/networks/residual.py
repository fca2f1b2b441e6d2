"""A denoiser of residuals: a mixture of Gaussians in closed form plus a network for the rest.

It is zero before training, hence exact for Gaussian data.
"""

from collections.abc import Sequence

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.networks.embeddings import log_snr_features
from diffenc.networks.mlp import bounded


class Mixture(flax.struct.PyTreeNode):
    """A mixture sum_k w_k N(mean_k, diag std_k^2) for each of n conditions.

    Attributes:
        log_weight: [n, K].
        mean: [n, K, dim].
        std: [n, K, dim].
    """

    log_weight: jax.Array
    mean: jax.Array
    std: jax.Array

    def log_prob(self, r: jax.Array) -> jax.Array:
        """Evaluate the log density [n] at r [n, dim], without its constant -dim/2 log 2 pi."""
        white = (r[:, None] - self.mean) / self.std
        exponent = self.log_weight - jnp.sum(0.5 * jnp.square(white) + jnp.log(self.std), axis=-1)
        return jax.nn.logsumexp(exponent, axis=-1)


class Shape(flax.struct.PyTreeNode):
    """What a `ResidualDenoiser` needs of its condition.

    Attributes:
        mixture: the mixture of r.
        linear: the linear prediction of what is diffused, [n, dim].
        scales: one [n, width] for each hidden layer.
        shifts: likewise.
    """

    mixture: Mixture
    linear: jax.Array
    scales: tuple[jax.Array, ...]
    shifts: tuple[jax.Array, ...]


class ResidualDenoiser(nn.Module):
    """Predicts v = alpha eps - sigma r from r_l = alpha r + sigma eps, for r about N(0, I).

    This is the v of `parameterization`. v of N(0, I) has conditional mean 0 and so has the
    untrained network. `mixture` turns a condition y [n, dim_y] into a mixture of Gaussians N(m_k,
    diag s_k^2) for r, whose v is known,

        o = -sigma (sum_k w_k (m_k + alpha (s_k^2 - 1) / tau_k^2 (r_l - alpha m_k)) + u / tau),
        tau_k^2 = alpha^2 s_k^2 + sigma^2,    1/tau = sum_k w_k/tau_k,
        w_k the probability of k given r_l and y,

    and u, the rest, is a network of y, the noise level, r_l and x_l = alpha linear + factor r_l,
    the noisy x of which r is the residual: x = linear + factor r. All components are N(0, I) at
    first: move them apart before they are fitted.

    Attributes:
        dim: the dimension of r.
        embed_features: widths of the layers that embed y.
        features: widths of the layers that see r_l.
        components: number of Gaussians in the mixture.
    """

    dim: int
    embed_features: Sequence[int] = (128, 128)
    features: Sequence[int] = (128, 128)
    components: int = 8

    def setup(self):
        """Define the layers."""
        zeros = nn.initializers.zeros
        self.embed_layers = [nn.Dense(width) for width in self.embed_features]
        self.mixture_layers = [nn.Dense(width) for width in self.embed_features]
        self.weight_head = nn.Dense(self.components)
        self.mean_head = nn.Dense(self.components * self.dim, kernel_init=zeros)
        self.std_head = nn.Dense(self.components * self.dim, kernel_init=zeros)
        self.modulation = [nn.Dense(2 * width) for width in self.features]
        self.noise_modulation = [nn.Dense(2 * width, use_bias=False) for width in self.features]
        self.layers = [nn.Dense(width) for width in self.features]
        self.output = nn.Dense(self.dim, kernel_init=zeros)

    def mixture(self, y: jax.Array) -> Mixture:
        """Compute the mixture that r is of, given y [n, dim_y]."""
        h = polar(y)
        for layer in self.mixture_layers:
            h = nn.silu(layer(h))
        shape = (*h.shape[:-1], self.components, self.dim)
        std = jnp.exp(bounded(self.std_head(h), 4.0)).reshape(shape)
        return Mixture(
            jax.nn.log_softmax(self.weight_head(h)), self.mean_head(h).reshape(shape), std
        )

    def embed(self, y: jax.Array, linear: jax.Array) -> Shape:
        """Compute what depends on y [n, dim_y] and linear [n, dim], once for all noise levels."""
        h = polar(y)
        for layer in self.embed_layers:
            h = nn.silu(layer(h))
        pairs = [jnp.split(layer(h), 2, axis=-1) for layer in self.modulation]
        scales = tuple(scale for scale, _ in pairs)
        shifts = tuple(shift for _, shift in pairs)
        return Shape(self.mixture(y), linear, scales, shifts)

    def __call__(
        self, shape: Shape, factor: jax.Array, r: jax.Array, log_snr: jax.Array
    ) -> jax.Array:
        """Predict v at k noisy residuals for each condition.

        Args:
            shape: from `embed`.
            factor: x = linear + factor r, [dim, dim].
            r: noisy residuals r_l [n, k, dim].
            log_snr: lambda [n, k].

        Returns:
            o [n, k, dim].
        """
        alpha, sigma = alpha_sigma(log_snr[:, :, None])
        mixture = shape.mixture
        mean = mixture.mean[:, None]  # [n, 1, K, dim]
        variance = jnp.square(mixture.std)[:, None]
        a = alpha[..., None]
        s = sigma[..., None]
        tau = jnp.sqrt(jnp.square(a) * variance + jnp.square(s))  # [n, k, K, dim]
        whites = (r[:, :, None] - a * mean) / tau
        log_p = mixture.log_weight[:, None] - jnp.sum(
            0.5 * jnp.square(whites) + jnp.log(tau), axis=-1
        )
        share = jax.nn.softmax(log_p, axis=-1)[..., None]
        in_closed_form = jnp.sum(share * (mean + a * (variance - 1.0) * whites / tau), axis=-2)
        white = jnp.sum(share * whites, axis=-2)
        tau = 1 / jnp.sum(share / tau, axis=-2)
        x = alpha * shape.linear[:, None] + r @ factor.T
        return -sigma * (in_closed_form + self.rest(shape, x, white, log_snr) / tau)

    def rest(self, shape: Shape, x: jax.Array, white: jax.Array, log_snr: jax.Array) -> jax.Array:
        """Compute u, what the mixture misses.

        Args:
            shape: from `embed`.
            x: noisy x_l [n, k, dim].
            white: r_l in units of the mixture's widths [n, k, dim].
            log_snr: lambda [n, k].

        Returns:
            u [n, k, dim].
        """
        noise = log_snr_features(log_snr)
        h = jnp.concatenate([polar(x), white, log_length(white), noise], axis=-1)
        layers = zip(self.layers, self.noise_modulation, shape.scales, shape.shifts, strict=True)
        for layer, modulate, scale, shift in layers:  # details grow sharper as the noise falls
            noise_scale, noise_shift = jnp.split(modulate(noise), 2, axis=-1)
            h = nn.silu(
                layer(h) * (1.0 + scale[:, None] + noise_scale) + shift[:, None] + noise_shift
            )
        return self.output(h)

    def initialize(self, y: jax.Array, linear: jax.Array, r: jax.Array, log_snr: jax.Array):
        """Touch every layer once, so that `init(..., method='initialize')` makes all parameters.

        Args:
            y: a condition [n, dim_y].
            linear: its linear prediction [n, dim].
            r: noisy residuals [n, k, dim].
            log_snr: lambda [n, k].
        """
        return self.rest(self.embed(y, linear), r, r, log_snr)


def log_length(x: jax.Array) -> jax.Array:
    """Compute the log of the mean square over the last axis, which stays, of length one.

    Its unit is its standard deviation for x ~ N(0, I).
    """
    return jnp.log(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 0.1) * (x.shape[-1] / 2) ** 0.5


def polar(x: jax.Array, bound: float = 3.0) -> jax.Array:
    """Join x, its length and the product of the two, each squeezed into the bound.

    A common scale is the dependence that correlations do not see, and dense layers alone are slow
    to find it.
    """
    length = log_length(x)
    return jnp.concatenate([bounded(a, bound) for a in (x, length, x * length)], axis=-1)
