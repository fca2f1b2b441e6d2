"""Starts of any noise for discrete data: the noise as a layer of its own, before the diffusion.

With x~ = alpha_0 (c_x + s u), u ~ Psi of any family of `noise_families`, any density p of x~ and
any law P(x|x~) over the values,

    -log P(x) <= E[log q(x~|x)]           start: -h(Psi_s), minus the entropy of the noise
               + E[-log p(x~)]            density: by the terms of a diffusion of x~, say
               + E[-log P(x|x~)]          reconstruction

    P(x_i = l|x~) ~ pi_l psi((x~_i / alpha_0 - c_l) / s)

with weights pi that are 1 (uninformed) or come from a network that sees all of x~. The bound is
exact where p is the density of x~ and P the posterior of x. With Gaussian noise the start is a
point on the path of a diffusion of x itself, and the sum agrees with `likelihood.discrete_terms`.
Uniform noise of one bin from end to end leaves nothing to reconstruct: it is uniform
dequantization. See `warmth` for s in bins.

`start` is drawn with the same noise as the rest, which varies less with it than with -h(Psi_s)
itself: of an exact model the draws of the bound do not vary at all.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from diffenc.diffusion.alphabet import Alphabet, values_of
from diffenc.diffusion.likelihood import Terms
from diffenc.diffusion.warmth import alpha_sigma_of_bins

UNIFORM_BIN = 1 / math.sqrt(12)  # standard deviation of uniform noise on one bin, in bins
ROUNDING = 1e-5  # relative: x~ in float32 may lie outside of the reach of uniform noise by less


class NoisyStart(struct.PyTreeNode):
    """The layer between values and x~; make it by `of_bins`.

    Attributes:
        alpha: alpha_0.
        sigma: alpha_0 s, the standard deviation of x~ given x.
        alphabet: the values and their codes.
        noise: Psi, of `noise_families`.
    """

    alpha: float | jax.Array
    sigma: float | jax.Array
    alphabet: Alphabet = struct.field(pytree_node=False)
    noise: Any = struct.field(pytree_node=False)

    @classmethod
    def of_bins(cls, bins: float, alphabet: Alphabet, noise, schedule: str = "vp") -> "NoisyStart":
        """Make the start whose noise has a standard deviation of so many bins.

        Args:
            bins: s, in distances of neighbouring codes.
            alphabet: the values and their codes.
            noise: Psi, of `noise_families`.
            schedule: that gives alpha_0, one of `warmth.SCHEDULES`.

        Returns:
            The start.

        Raises:
            InputError: unless bins > 0, and for an unknown schedule.
        """
        return cls(*alpha_sigma_of_bins(bins, alphabet.spacing, schedule), alphabet, noise)

    def entropy(self, shape: tuple[int, ...]) -> jax.Array:
        """Compute h(Psi_s), the entropy of x~ given x for codes of this shape, in nats."""
        return self.noise.entropy(shape) + math.prod(shape) * jnp.log(self.sigma)

    def draw(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Add noise to values.

        Args:
            key: of the noise.
            x: values [batch, ..., c].

        Returns:
            x~ and the standardized noise u, each [batch, ..., c k] like the codes.
        """
        codes = self.alphabet.encode(x)
        u = self.noise.sample(key, codes.shape)
        return self.alpha * codes + self.sigma * u, u

    def log_prob_of_noise(self, u: jax.Array) -> jax.Array:
        """Evaluate log q(x~|x) [batch] at standardized noise u [batch, ...], in nats."""
        return self.noise.log_prob(u) - u[0].size * jnp.log(self.sigma)

    def log_likelihood(self, x_tilde: jax.Array) -> jax.Array:
        """Evaluate log q(x~_i|x_i = l) of all values of each number by itself.

        Correlated noise has here the law of one number's codes alone.

        Args:
            x_tilde: x~ [batch, ..., c k].

        Returns:
            [batch, ..., c, K], in nats.
        """
        codes = self.alpha * jnp.asarray(self.alphabet.codes)
        away = (self._by_number(x_tilde) - codes[None, None]) / self.sigma
        log_psi = self._log_psi((1 - ROUNDING) * away)
        log_psi = log_psi - self.alphabet.code_dim * jnp.log(self.sigma)
        return log_psi.reshape(*self._shape_of(x_tilde), self.alphabet.size)

    def reconstruction(
        self, x: jax.Array, u: jax.Array, log_weights: jax.Array | None = None
    ) -> jax.Array:
        """Evaluate -log P(x|x~).

        Args:
            x: values [batch, ..., c].
            u: the standardized noise of x~ [batch, ..., c k].
            log_weights: log pi [batch, ..., c, K], or [1, ...] if they are those of all examples;
                None weighs all values alike.

        Returns:
            [batch], in nats.
        """
        # By u and not by x~, so that the value itself is never out of reach by rounding.
        codes = jnp.asarray(self.alphabet.codes)
        shift = self._by_number(self.alphabet.encode(x)) - codes[None, None]
        away = self._by_number(u) + (self.alpha / self.sigma) * shift
        log_prob = self._log_psi(away).reshape(*x.shape, self.alphabet.size)
        if log_weights is not None:
            log_prob = log_prob + log_weights
        log_prob = values_of(jax.nn.log_softmax(log_prob, axis=-1), x)
        return -log_prob.reshape(len(x), -1).sum(axis=1)

    def _by_number(self, codes):
        """Codes [batch, ..., c k] as [batch, numbers, 1, k]."""
        return codes.reshape(len(codes), -1, 1, self.alphabet.code_dim)

    def _log_psi(self, away):
        """Give log psi of noise [batch, numbers, K, k], of the numbers one by one."""
        flat = away.reshape(-1, self.alphabet.code_dim)
        return self.noise.log_prob(flat).reshape(away.shape[:-1])

    def _shape_of(self, codes):
        """The shape of the values of these codes."""
        return (*codes.shape[:-1], codes.shape[-1] // self.alphabet.code_dim)


class StartTerms(NamedTuple):
    """The parts of a bound on -log P(x).

    Attributes:
        start: log q(x~|x), [batch] in nats: its mean is -h(Psi_s).
        density: the bound on -log p(x~) by its own terms.
        reconstruction: -log P(x|x~), [batch] in nats.
    """

    start: jax.Array
    density: Terms
    reconstruction: jax.Array

    @property
    def total(self) -> jax.Array:
        """The bound."""
        return self.start + self.density.total + self.reconstruction


def start_terms(
    key: jax.Array,
    start: NoisyStart,
    density_terms: Callable,
    x: jax.Array,
    draws: int,
    log_weights: Callable | None = None,
) -> StartTerms:
    """Bound -log P(x) of whole numbers.

    Args:
        key: of all draws.
        start: the layer of noise.
        density_terms: (key, x~ [batch, ..., c k]) -> Terms: `likelihood.continuous_terms` of a
            denoiser of x~ (a diffusion with noise levels of its own, up to any lambda_1), or
            `dequantization.known_density`.
        x: values [batch, ..., c].
        draws: of the noise for each example.
        log_weights: x~ -> log pi [batch, ..., c, K] of the reconstruction; None weighs all values
            alike.
    """

    def draw(key):
        key_noise, key_density = jax.random.split(key)
        x_tilde, u = start.draw(key_noise, x)
        weights = None if log_weights is None else log_weights(x_tilde)
        return StartTerms(
            start.log_prob_of_noise(u),
            density_terms(key_density, x_tilde),
            start.reconstruction(x, u, weights),
        )

    return jax.tree.map(
        lambda values: values.mean(axis=0), jax.lax.map(draw, jax.random.split(key, draws))
    )
