"""A denoiser that knows which values its data can take, and the decoder that is made of it.

The network does not say what x is, but how probable each value is *before* a look at x_lambda at
its own place: weights pi_l for every number of x, which it computes from all of x_lambda. With what
x_lambda says there, by itself,

    P(x_i = l|x_lambda) = pi_l N(x_lambda,i; alpha c_l, sigma^2) / sum        the decoder
    x_hat_i = sum_l c_l P(x_i = l|x_lambda)                                 the denoiser

Both are exact where noise is small against the distance of codes, whatever the network says: the
integrand of the diffusion falls off exponentially there. Before training, pi are the frequencies of
the values at each place, so the first bound is that of independent numbers, but for their noise.

pi comes from the network as

    logits       K numbers for each number of x, added to the log frequencies
    logistics    M logistic densities, cut into the cells of the grid, and a point mass at either
                 end: 3 M + 2 numbers (arXiv 1701.05517). For many levels of intensity.
    v            no weights: the network gives v, and the decoder weighs all values alike. What is
                 usual, and what the others are compared with.

Shapes: x values [batch, ..., c], x_lambda [batch, ..., c k] in the coordinates of the
variance-preserving process of width one; log_snr [batch].
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.diffusion import samplers
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.parameterization import alpha_sigma, to_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError, check_choice

PROCESS = VPCosine()
HEADS = ("logits", "logistics", "v")
COMPONENTS = 2  # logistic densities of each number
FLOOR = 1e-6  # of a probability, so that its logarithm is finite


class Marginals(flax.struct.PyTreeNode):
    """What is known of each number by itself, from the training examples.

    Attributes:
        mean: of all codes.
        variance: of all codes about it.
        log_frequency: of every value at every place [..., c, K].
    """

    mean: jax.Array
    variance: jax.Array
    log_frequency: jax.Array

    @classmethod
    def of(cls, x: np.ndarray, alphabet: Alphabet, pseudo_count: float = 1.0) -> "Marginals":
        """Count the values of x [n, ..., c].

        Args:
            x: whole numbers.
            alphabet: the values they can take.
            pseudo_count: examples of the frequencies of all places together, which are added to
                those of each; of these in turn, one example is spread over all values.
        """
        alphabet.check(x)
        n = len(x)
        flat = np.asarray(x, np.int64).reshape(n, -1)
        places = np.arange(flat.shape[1])
        counts = np.zeros((flat.shape[1], alphabet.size))
        for row in flat:
            counts[places, row] += 1
        everywhere = counts.sum(axis=0) + 1 / alphabet.size
        everywhere /= everywhere.sum()
        frequency = (counts + pseudo_count * everywhere[None]) / (n + pseudo_count)
        codes = alphabet.codes.astype(np.float64)
        mean = (everywhere @ codes).mean()
        variance = (everywhere @ np.square(codes - mean)).mean()
        log_frequency = np.log(frequency).reshape(*x.shape[1:], alphabet.size)
        return cls(*(jnp.asarray(a, jnp.float32) for a in (mean, variance, log_frequency)))


@dataclasses.dataclass(frozen=True)
class GridDenoiser:
    """The model of discrete data, as pure functions of (params, marginals).

    Raises InputError for an unknown head, and for logistics of values that are on no line.

    Attributes:
        network: network.apply(params, u [batch, ..., c k], level [batch]) -> [batch, ..., c
            num_outputs], where num_outputs is that of the model.
        alphabet: the values.
        head: what the network's output is, a name of `HEADS`.
    """

    network: Any
    alphabet: Alphabet
    head: str = "logits"

    def __post_init__(self):
        check_choice("head", self.head, HEADS)
        if self.head == "logistics" and self.alphabet.kind != "grid":
            raise InputError(
                f"head=logistics needs values on a line, not {self.alphabet.kind}: give logits"
            )

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the network, for examples like x [1, ..., c]."""
        return init(self.network, key, self.alphabet.encode(x), np.zeros(1, np.float32))

    def output(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Apply the network to x_t, brought to mean 0 and variance 1 at every level.

        Args:
            params: of the network.
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
            rngs: keys of what the network draws, {"dropout": key}; None draws nothing.

        Returns:
            [batch, ..., c num_outputs].
        """
        alpha, sigma = _alpha_sigma(log_snr, x_t)
        width = jnp.sqrt(jnp.square(alpha) * marginals.variance + jnp.square(sigma))
        u = (x_t - alpha * marginals.mean) / width
        level = log_snr + jnp.log(marginals.variance)
        return self.network.apply(params, u, level, rngs=rngs)

    def log_weights(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Evaluate log pi, not normalized, [batch, ..., c, K], or [1, ...] if it is 0 for all.

        Args:
            params: of the network.
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
            rngs: see `output`.
        """
        if self.head == "v":
            return jnp.zeros_like(marginals.log_frequency)[None]
        out = self.output(params, marginals, x_t, log_snr, rngs)
        places = marginals.log_frequency.shape[:-1]
        out = out.reshape(len(out), *places, -1)
        if self.head == "logits":
            return marginals.log_frequency[None] + out
        return self._log_logistics(marginals, out)

    def _log_logistics(self, marginals: Marginals, out: jax.Array) -> jax.Array:
        """Give log pi of the parameters of logistic densities and point masses [..., 3 M + 2]."""
        frequency = jnp.exp(marginals.log_frequency)
        ends = frequency[..., jnp.asarray((0, -1))]
        between = jnp.maximum(1 - ends.sum(axis=-1, keepdims=True), FLOOR) / COMPONENTS
        start = jnp.log(jnp.concatenate([ends, *[between] * COMPONENTS], axis=-1))
        weight = jax.nn.softmax(out[..., : COMPONENTS + 2] + start[None], axis=-1)
        location, width = jnp.split(out[..., COMPONENTS + 2 :], 2, axis=-1)
        first = np.linspace(-1, 1, COMPONENTS + 2, dtype=np.float32)[1:-1]
        location = location + first.reshape((1,) * (out.ndim - 1) + (-1,))
        edges = np.linspace(-1, 1, self.alphabet.size + 1, dtype=np.float32)[1:-1]
        edges = edges.reshape((1,) * out.ndim + (-1,))
        below = jax.nn.sigmoid((edges - location[..., None]) * jnp.exp(1 - width)[..., None])
        below = jnp.sum(weight[..., 2:, None] * below, axis=-2)
        total = weight[..., 2:].sum(axis=-1, keepdims=True)
        inner = jnp.concatenate([jnp.zeros_like(total), below, total], axis=-1)
        is_end = np.eye(self.alphabet.size, dtype=np.float32)[[0, -1]]
        cells = jnp.diff(inner, axis=-1) + weight[..., :2] @ is_end
        return jnp.log(cells + FLOOR / self.alphabet.size)

    def log_prob(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Evaluate log P(x = l|x_t) of all values, the decoder, [batch, ..., c, K].

        Args:
            params: of the network.
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
            rngs: see `output`.
        """
        log_weights = self.log_weights(params, marginals, x_t, log_snr, rngs)
        return jax.nn.log_softmax(log_weights + self.alphabet.log_likelihood(x_t, log_snr), axis=-1)

    def denoise(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Evaluate x_hat [batch, ..., c k], the codes that are expected given x_t.

        Args:
            params: of the network.
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
            rngs: see `output`.
        """
        if self.head == "v":
            alpha, sigma = _alpha_sigma(log_snr, x_t)
            v = self.output(params, marginals, x_t, log_snr, rngs)
            return alpha * x_t - sigma * v
        log_prob = self.log_prob(params, marginals, x_t, log_snr, rngs)
        return self.alphabet.mean(jnp.exp(log_prob))

    def score_fn(self, params, marginals: Marginals) -> Callable:
        """Make the score of x_t, for samplers, on the clock of `PROCESS`.

        Args:
            params: of the network.
            marginals: of the data.

        Returns:
            score(x_t [batch, ..., c k], t [batch]) -> like x_t.
        """

        def score(x_t, t):
            x_hat = self.denoise(params, marginals, x_t, PROCESS.log_snr(t))
            return to_score(PROCESS, "x0", x_hat, x_t, t)

        return score

    def sample(
        self, key: jax.Array, params, marginals: Marginals, x_1: jax.Array, high: float, steps: int
    ) -> jax.Array:
        """Draw values by the reverse process from noise, and by the decoder where it ends.

        Args:
            key: of the process and of the decoder.
            params: of the network.
            marginals: of the data.
            x_1: standard normal [batch, ..., c k].
            high: the largest lambda.
            steps: of the process.

        Returns:
            [batch, ..., c], int32.
        """
        key_process, key_values = jax.random.split(key)
        score = self.score_fn(params, marginals)
        end = float(np.arctan(np.exp(-0.5 * high)) * 2 / np.pi)  # PROCESS.time, not traced
        x = samplers.reverse_sde(key_process, score, PROCESS, x_1, steps, t_min=end)
        log_prob = self.log_prob(params, marginals, x, jnp.full(len(x), high))
        return jax.random.categorical(key_values, log_prob, axis=-1)


def num_outputs(head: str, alphabet: Alphabet) -> int:
    """Say how many numbers of output a head takes for each number of x."""
    check_choice("head", head, HEADS)
    return {
        "logits": alphabet.size,
        "logistics": 3 * COMPONENTS + 2,
        "v": alphabet.code_dim,
    }[head]


def _alpha_sigma(log_snr, x_t):
    """Give alpha and sigma with axes of length one, to multiply x_t."""
    log_snr = log_snr.reshape((-1,) + (1,) * (x_t.ndim - 1))
    return alpha_sigma(log_snr)
