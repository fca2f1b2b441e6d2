"""An example and the noise by which a diffusion decoder looks at it."""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from diffenc.diffusion import noise_levels
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Levels
from diffenc.diffusion.parameterization import alpha_sigma


class Noise(flax.struct.PyTreeNode):
    """Noise levels and the noise there, m for each example.

    Attributes:
        log_snr: lambda [batch, m].
        density: of lambda there [batch, m], divided by the weight that a decoder gives the level.
        eps: the noise [batch, m, ...].
    """

    log_snr: jax.Array
    density: jax.Array
    eps: jax.Array


def draw_noise(key: jax.Array, x: jax.Array, levels: Levels, draws: int) -> Noise:
    """Draw noise for examples, at levels that are stratified over the batch.

    Args:
        key: a random key.
        x: examples [batch, ...].
        levels: the density of lambda.
        draws: m, noise levels for each example.
    """
    key_level, key_eps = jax.random.split(key)
    shape = (len(x), draws)
    log_snr, density = levels.draw(noise_levels.stratified_uniform(key_level, shape))
    return Noise(log_snr, density, jax.random.normal(key_eps, (*shape, *x.shape[1:])))


class Observation(flax.struct.PyTreeNode):
    """An example and the noise by which it is looked at.

    Attributes:
        x: [batch, ...].
        below: noise below the split.
        above: noise above it; None where only what has a gradient in z is asked.
    """

    x: jax.Array
    below: Noise
    above: Noise | None

    def sides(self) -> list[tuple[Noise, bool]]:
        """List the noise of each side of the split that there is, and whether it is below it."""
        sides = [(self.below, True), (self.above, False)]
        return [(noise, is_below) for noise, is_below in sides if noise is not None]


class Rows(NamedTuple):
    """Examples and their noise, with one row for each noise: n = m batch of them.

    Attributes:
        x: [n, ...].
        eps: [n, ...].
        log_snr: lambda [n].
        alpha: [n].
        sigma: [n].
    """

    x: jax.Array
    eps: jax.Array
    log_snr: jax.Array
    alpha: jax.Array
    sigma: jax.Array

    @property
    def x_t(self) -> jax.Array:
        """The noised x, alpha x + sigma eps [n, ...]."""
        return expand(self.alpha, self.x) * self.x + expand(self.sigma, self.x) * self.eps

    @property
    def v(self) -> jax.Array:
        """The velocity, alpha eps - sigma x [n, ...]."""
        return expand(self.alpha, self.x) * self.eps - expand(self.sigma, self.x) * self.x


def rows_of(x: jax.Array, noise: Noise) -> Rows:
    """Give every noise of examples x [batch, ...] a row of its own."""
    eps = noise.eps.reshape(-1, *x.shape[1:])
    log_snr = noise.log_snr.reshape(-1)
    return Rows(jnp.repeat(x, noise.eps.shape[1], axis=0), eps, log_snr, *alpha_sigma(log_snr))
