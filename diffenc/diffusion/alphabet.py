"""Discrete data as points of a diffusion: the values that a number can take, and their codes.

A value l = 0, ..., K - 1 stands at a code c_l in R^k, and x_lambda = alpha c_x + sigma eps. What
x_lambda says of the value, by itself, is the Gaussian likelihood of each,

    log p(x_lambda|l) = -|x_lambda - alpha c_l|^2 / (2 sigma^2) + constant

Intensities stand on a line (`grid`), classes and characters at the corners of a simplex (`one_hot`)
or at the binary digits of their number (`bits`: analog bits, arXiv 2208.04202).

Shapes: values are whole numbers [batch, ..., c]; their codes are [batch, ..., c k], what a network
of images or sequences takes.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError, check, check_choice, check_whole

KINDS = ("grid", "one_hot", "bits")


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """K values and their codes. Raises InputError for an unknown kind or fewer than 2 values.

    Attributes:
        size: K.
        kind: where the codes stand, a name of `KINDS`: "grid", 2 (l + 1/2) / K - 1 on a line;
            "one_hot", 1 at the value's own place and 0 elsewhere; "bits", +-1 for each digit of l.
    """

    size: int
    kind: str = "grid"

    def __post_init__(self):
        check_choice("kind", self.kind, KINDS)
        check_whole("size", self.size, 2)

    @property
    def codes(self) -> np.ndarray:
        """The codes [K, k]."""
        values = np.arange(self.size)
        if self.kind == "grid":
            return (2 * (values[:, None] + 0.5) / self.size - 1).astype(np.float32)
        if self.kind == "one_hot":
            return np.eye(self.size, dtype=np.float32)
        digits = values[:, None] >> np.arange((self.size - 1).bit_length())[None]
        return (2 * (digits & 1) - 1).astype(np.float32)

    @property
    def code_dim(self) -> int:
        """k, the numbers of a code: 1 on a grid, K of one_hot, as many as K - 1 has bits."""
        return self.codes.shape[1]

    @property
    def spacing(self) -> float:
        """The distance between the nearest two codes, one *bin*."""
        return {"grid": 2 / self.size, "one_hot": math.sqrt(2), "bits": 2.0}[self.kind]

    def check(self, x: np.ndarray, name: str = "x") -> None:
        """Raise an InputError unless x holds whole numbers 0, ..., K - 1.

        Args:
            x: data.
            name: what the message calls it.
        """
        x = np.asarray(x)
        remedy = f"give whole numbers from 0 to {self.size - 1}"
        check(x.dtype.kind in "biuf", f"the type of {name}", x.dtype, remedy)
        bad = x[(x < 0) | (x >= self.size) | (x != np.round(x))]
        if bad.size:
            raise InputError(f"a value of {name} is {bad[0]}: {remedy}")

    def encode(self, x: jax.Array) -> jax.Array:
        """Give the codes [batch, ..., c k] of values [batch, ..., c]."""
        codes = jnp.asarray(self.codes)[x.astype(jnp.int32)]
        return codes.reshape(*x.shape[:-1], x.shape[-1] * self.code_dim)

    def log_likelihood(self, x_t: jax.Array, log_snr: jax.Array) -> jax.Array:
        """Evaluate log p(x_t|l) of every value by itself, without its constant.

        Args:
            x_t: [batch, ..., c k], alpha c + sigma eps with alpha^2 + sigma^2 = 1.
            log_snr: lambda [batch].

        Returns:
            [batch, ..., c, K].
        """
        alpha, sigma = alpha_sigma(log_snr)
        codes = jnp.asarray(self.codes)
        at_once = x_t.reshape(len(x_t), -1, 1, self.code_dim)
        away = at_once - alpha[:, None, None, None] * codes[None, None]
        square = jnp.sum(jnp.square(away), axis=-1) / jnp.square(sigma)[:, None, None]
        return (-0.5 * square).reshape(*self._shape_of(x_t), self.size)

    def mean(self, weights: jax.Array) -> jax.Array:
        """Average the codes: sum_l w_l c_l [batch, ..., c k] of weights [batch, ..., c, K].

        The product is exact on every device: accelerators would round the codes, and the likelihood
        multiplies the square of that error by e^lambda.
        """
        mean = jnp.matmul(weights, jnp.asarray(self.codes), precision=jax.lax.Precision.HIGHEST)
        return mean.reshape(*mean.shape[:-2], mean.shape[-2] * self.code_dim)

    def _shape_of(self, x_t: jax.Array) -> tuple[int, ...]:
        """The shape [batch, ..., c] of the values whose codes have the shape of x_t."""
        return (*x_t.shape[:-1], x_t.shape[-1] // self.code_dim)


def values_of(log_prob: jax.Array, x: jax.Array) -> jax.Array:
    """Pick log P(x) [batch, ..., c] out of log-probabilities of all values [batch, ..., c, K]."""
    return jnp.take_along_axis(log_prob, x.astype(jnp.int32)[..., None], axis=-1)[..., 0]
