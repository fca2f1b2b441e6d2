"""A denoiser that knows which values its data can take, and the decoder that is made of it.

The network does not say what x is, but how probable each value is *before* a look at x_lambda at
its own place: weights pi_l for every number of x, which it computes from all of x_lambda. The
likelihood of what stands at that place, which is known, is multiplied to them:

    P(x_i = l|x_lambda) = pi_l N(x_lambda,i; alpha c_l, sigma^2) / sum        the decoder
    x_hat_i = sum_l c_l P(x_i = l|x_lambda)                                 the denoiser

Both are exact where noise is small against the distance of codes, whatever the network says: the
integrand of the diffusion falls off exponentially there. With the head `logits`, pi are the
frequencies of the values at each place before training, and the bound is then exactly the code
length of independent numbers.

The decoder takes the numbers of x for independent once x_lambda is known. A warm start therefore
costs KL(P(x|x_lambda) || prod_i P(x_i|x_lambda)), which the best network cannot save: what the
numbers still say of each other there. From a cold start that is nothing.

pi comes from the network as

    logits       K numbers for each number of x, added to the log frequencies.
    logistics    M logistic densities, cut into the cells of the grid, and a point mass at either
                 end: 3 M + 2 numbers (arXiv 1701.05517). For many levels of intensity.
    v            no weights: the network gives v = alpha eps - sigma x, and the decoder weighs all
                 values alike. This is usual, and what the others are compared with.

The network sees x_lambda itself, or what each of its numbers says of x (`sees`): the code that is
expected given that number alone, by the frequencies of the values. It then need not learn, for
every level of noise anew, what the grid makes of a noisy number.

Shapes: x values [batch, ..., c], x_lambda [batch, ..., c k] in the coordinates of the
variance-preserving process of width one; log_snr [batch].
"""

import dataclasses
import functools
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
from diffenc.errors import InputError, check, check_choice, check_whole

PROCESS = VPCosine()
HEADS = ("logits", "logistics", "v")
SEES = ("noisy", "expected")
COMPONENTS = 2  # logistic densities of each number
FLOOR = 1e-6  # of a probability, so that its logarithm is finite
STEEPEST = 12.0  # log slope of a logistic density; one so steep lies in one cell of 10,000


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
            pseudo_count: so many examples, above 0, with the frequencies of all places together are
                added to the examples of each place, so that no frequency is 0. To the counts of all
                places together, in turn, one number is added that is spread over all values.

        Raises:
            InputError: if a value is not one of the alphabet.
        """
        check(pseudo_count > 0, "pseudo_count", pseudo_count, "give a number above 0")
        alphabet.check(x)
        n = len(x)
        flat = np.asarray(x).reshape(n, -1)
        places = np.arange(flat.shape[1])
        counts = np.zeros((flat.shape[1], alphabet.size))
        for row in flat:
            counts[places, row.astype(np.int64)] += 1
        everywhere = counts.sum(axis=0) + 1 / alphabet.size
        everywhere /= everywhere.sum()
        frequency = (counts + pseudo_count * everywhere[None]) / (n + pseudo_count)
        codes = alphabet.codes.astype(np.float64)
        mean = (everywhere @ codes).mean()
        variance = (everywhere @ np.square(codes - mean)).mean()
        log_frequency = np.log(frequency).reshape(*x.shape[1:], alphabet.size)
        return cls(
            jnp.asarray(mean, jnp.float32),
            jnp.asarray(variance, jnp.float32),
            jnp.asarray(log_frequency, jnp.float32),
        )


@dataclasses.dataclass(frozen=True)
class GridDenoiser:
    """The model of discrete data, as pure functions of (params, marginals).

    Raises InputError for an unknown head, and for logistics or waves of values that are on no line.

    Attributes:
        network: network.apply(params, u [batch, ..., c k], level [batch], rngs=None) -> [batch,
            ..., num_outputs], where `num_outputs` below says how many the head takes. Waves come
            as further channels of u.
        alphabet: the values.
        head: what the network's output is, a name of `HEADS`.
        sees: what the network's input is, a name of `SEES`.
        fourier: exponents n of the waves sin and cos of 2^n pi x_t that the network sees beside u
            (arXiv 2107.00630): a wave is 2^(1-n) long on the line of the codes, from -1 to 1.
    """

    network: Any
    alphabet: Alphabet
    head: str = "logits"
    sees: str = "noisy"
    fourier: tuple[int, ...] = ()

    def __post_init__(self):
        check_choice("head", self.head, HEADS)
        check_choice("sees", self.sees, SEES)
        if self.head == "logistics" and self.alphabet.kind != "grid":
            raise InputError(
                f"head=logistics needs values on a line, not {self.alphabet.kind}: give logits"
            )
        for exponent in self.fourier:
            check_whole("fourier", exponent, 0)
        remedy = f"it needs values on a line, not {self.alphabet.kind}: give ()"
        check(not self.fourier or self.alphabet.kind == "grid", "fourier", self.fourier, remedy)

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters of the network, for examples like x [1, ..., c]."""
        codes = self.alphabet.encode(x)
        return init(self.network, key, self._beside(codes, codes), np.zeros(1, np.float32))

    def output(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Apply the network to what it sees of x_t.

        Args:
            params: of the network.
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
            rngs: keys of what the network draws, {"dropout": key}; None draws nothing.

        Returns:
            [batch, ..., num_outputs].

        Raises:
            InputError: if the output has another shape than this.
        """
        u = self.look(marginals, x_t, log_snr)
        level = log_snr + jnp.log(marginals.variance)
        out = self.network.apply(params, self._beside(u, x_t), level, rngs=rngs)
        *sides, num_channels = marginals.log_frequency.shape[:-1]
        size = num_outputs(self.head, self.alphabet, num_channels)
        shape = (len(x_t), *sides, size)
        remedy = f"head={self.head} takes {shape}, give the network num_outputs={size}"
        check(out.shape == shape, "the shape of the network's output", out.shape, remedy)
        return out

    def look(self, marginals: Marginals, x_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """Give what the network sees of x_t, [batch, ..., c k].

        noisy      x_t, brought to mean 0 and variance 1 at every level.
        expected   E[x_i|x_t,i] of each number by itself, by the frequencies of its place, brought
                   to the same units: if codes were normally distributed, it would be the same.

        Args:
            marginals: of the data.
            x_t: [batch, ..., c k].
            log_snr: [batch].
        """
        alpha, sigma = _alpha_sigma(log_snr, x_t)
        width = jnp.sqrt(jnp.square(alpha) * marginals.variance + jnp.square(sigma))
        if self.sees == "noisy":
            return (x_t - alpha * marginals.mean) / width
        log_frequency = marginals.log_frequency[None]
        log_prob = log_frequency + self.alphabet.log_likelihood(x_t, log_snr)
        expected = self.alphabet.mean(jax.nn.softmax(log_prob, axis=-1))
        of_place = self.alphabet.mean(jnp.exp(log_frequency))
        # A normal law of variance v has E[x|x_t] - E[x] = gain^2 (x_t / alpha - E[x]).
        gain = alpha * jnp.sqrt(marginals.variance) / width
        moved = (expected - of_place) / gain + (of_place - marginals.mean) * gain
        return moved / jnp.sqrt(marginals.variance)

    def _beside(self, u: jax.Array, x_t: jax.Array) -> jax.Array:
        """Put the waves of x_t beside u, both [batch, ..., c]: [batch, ..., c (1 + 2 waves)]."""
        angles = [2.0**exponent * jnp.pi * x_t for exponent in self.fourier]
        waves = [wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos)]
        return jnp.concatenate([u, *waves], axis=-1)

    def log_weights(self, params, marginals: Marginals, x_t, log_snr, rngs=None) -> jax.Array:
        """Evaluate log pi, which is not normalized, [batch, ..., c, K]; [1, ..., c, K] for v.

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
        """Give log pi of the parameters of logistic densities and point masses [..., 3 M + 2].

        With s the logistic function, a cell from a to b has the mass s(b) - s(a), which is
        s(b) s(-a) (1 - exp(a - b)): a difference would be rounded to 0, or below it, in the tail.
        """
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
        slope = jnp.exp(jnp.clip(1 - width, -STEEPEST, STEEPEST))[..., None]
        z = (edges - location[..., None]) * slope
        below = jax.nn.sigmoid(z)
        above = jax.nn.sigmoid(-z)
        inner = below[..., 1:] * above[..., :-1] * -jnp.expm1(-slope * self.alphabet.spacing)
        densities = jnp.concatenate([below[..., :1], inner, above[..., -1:]], axis=-1)
        cells = jnp.sum(weight[..., 2:, None] * densities, axis=-2)
        is_end = np.eye(self.alphabet.size, dtype=np.float32)[[0, -1]]
        cells += jnp.matmul(weight[..., :2], is_end, precision=jax.lax.Precision.HIGHEST)
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
        self,
        key: jax.Array,
        params,
        marginals: Marginals,
        x_1: jax.Array,
        ends: tuple[float, float],
        steps: int,
    ) -> jax.Array:
        """Draw values by the reverse process from noise, and by the decoder where it ends.

        Steps are even in lambda, see `samplers.ancestral`.

        Args:
            key: of the process and of the decoder.
            params: of the network.
            marginals: of the data.
            x_1: standard normal [batch, ..., c k].
            ends: the smallest and the largest lambda.
            steps: of the process, each with one evaluation of the network.

        Returns:
            [batch, ..., c], int32.
        """
        key_process, key_values = jax.random.split(key)
        denoise = functools.partial(self.denoise, params, marginals)
        x = samplers.ancestral(key_process, denoise, x_1, jnp.linspace(*ends, steps + 1))
        log_prob = self.log_prob(params, marginals, x, jnp.full(len(x), ends[1]))
        return jax.random.categorical(key_values, log_prob, axis=-1)


def num_outputs(head: str, alphabet: Alphabet, num_channels: int = 1) -> int:
    """Say how long the last axis of a network's output has to be.

    Args:
        head: a name of `HEADS`.
        alphabet: the values.
        num_channels: c, the length of the last axis of x.
    """
    check_choice("head", head, HEADS)
    of_each = {
        "logits": alphabet.size,
        "logistics": 3 * COMPONENTS + 2,
        "v": alphabet.code_dim,
    }
    return num_channels * of_each[head]


def _alpha_sigma(log_snr, x_t):
    """Give alpha and sigma with axes of length one, to multiply x_t."""
    log_snr = log_snr.reshape((-1,) + (1,) * (x_t.ndim - 1))
    return alpha_sigma(log_snr)
