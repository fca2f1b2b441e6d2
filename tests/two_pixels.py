"""A law of two pixels of 17 levels whose probabilities are all known, and its exact denoiser."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import kraft, likelihood
from diffenc.diffusion.alphabet import Alphabet
from diffenc.estimate import Estimate

SIZE = 17
STATES = kraft.states(SIZE, 2)


def _law() -> np.ndarray:
    """P [17, 17]: both pixels near the middle, and near each other."""
    level = np.arange(SIZE)
    apart = (level[:, None] - level[None]) / 2.0
    away = (level[:, None] - 8) / 5.0
    weights = np.exp(-0.5 * np.square(apart) - 0.5 * np.square(away))
    return weights / weights.sum()


LAW = _law()
CODE_LENGTHS = -np.log(LAW).reshape(-1)  # [289], of the states in their order
ENTROPY = float(LAW.reshape(-1) @ CODE_LENGTHS)


class Range(NamedTuple):
    """A density that rises from the low end, where nothing is lost, as a pytree: one program serves
    all starts."""

    low: jax.Array | float
    high: jax.Array | float

    def draw(self, uniform):
        width = self.high - self.low
        share = jnp.cbrt(jnp.maximum(uniform, 1e-6))
        return self.low + width * share, 3 * jnp.square(share) / width


@dataclasses.dataclass(frozen=True)
class Exact:
    """Stands for a `GridDenoiser` that has learned the law. Its decoder gives the exact law of each
    pixel given both; with `informed` off, it weighs all values alike."""

    alphabet: Alphabet = Alphabet(SIZE)
    informed: bool = True

    def posterior(self, x_t, log_snr):
        """log P(x = l|x_t) of each pixel [batch, 2, 17], from what both say."""
        log_likelihood = self.alphabet.log_likelihood(x_t, log_snr)
        likelihood = jnp.exp(log_likelihood - log_likelihood.max(axis=-1, keepdims=True))
        law = jnp.asarray(LAW, jnp.float32)
        first = likelihood[:, 1] @ law.T
        second = likelihood[:, 0] @ law
        log_weights = jnp.log(jnp.stack([first, second], axis=1))
        return jax.nn.log_softmax(log_weights + log_likelihood, axis=-1)

    def log_prob(self, params, marginals, x_t, log_snr, rngs=None):
        if self.informed:
            return self.posterior(x_t, log_snr)
        return jax.nn.log_softmax(self.alphabet.log_likelihood(x_t, log_snr), axis=-1)

    def denoise(self, params, marginals, x_t, log_snr, rngs=None):
        return self.alphabet.mean(jnp.exp(self.posterior(x_t, log_snr)))


def price(log_snr: float, informed: bool) -> np.ndarray:
    """What the decoder of `Exact` costs each state [289], by Gauss-Hermite quadrature: the mean of
    log P(x|x_t) minus what the decoder gives, for which the pixels are independent given x_t."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    noise = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(1, -1, 2, 1)
    codes = Alphabet(SIZE).codes[:, 0].astype(np.float64)
    spread = np.exp(-0.5 * log_snr)
    x_t = codes[STATES][:, None, :, None] + spread * noise  # [states, nodes, 2, 1]
    likelihood = np.exp(-0.5 * np.square((x_t - codes) / spread))
    weights_of_first = likelihood[..., 1, :] @ LAW.T
    total = np.sum(weights_of_first * likelihood[..., 0, :], axis=-1)  # p(x_t), times a constant

    def of_state(values, pixel):
        return values[np.arange(len(STATES)), :, STATES[:, pixel]]

    first, second = of_state(likelihood[..., 0, :], 0), of_state(likelihood[..., 1, :], 1)
    joint = LAW.reshape(-1, 1) * first * second / total
    if informed:
        first = first * of_state(weights_of_first, 0) / total
        second = second * of_state(likelihood[..., 0, :] @ LAW, 1) / total
    else:
        first = first / likelihood[..., 0, :].sum(axis=-1)
        second = second / likelihood[..., 1, :].sum(axis=-1)
    weights = np.outer(weights, weights).reshape(-1) / (2 * np.pi)
    return np.log(joint / (first * second)) @ weights


def draw_terms(keys, denoiser, params, marginals, states, levels, draws):
    """The terms of all states, once for each key: arrays [keys, states]."""

    def at(key):
        return likelihood.discrete_terms(key, denoiser, params, marginals, states, levels, draws)

    return jax.lax.map(at, keys)


def mean_length(lengths, law) -> Estimate:
    """The mean of independent draws of lengths [draws, states] over a law [states], with the error
    of the draws."""
    lengths = np.asarray(lengths, np.float64)
    variance = lengths.var(axis=0, ddof=1) / len(lengths)
    return Estimate(law @ lengths.mean(axis=0), float(np.sqrt(np.square(law) @ variance)))
