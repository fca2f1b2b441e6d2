"""Laws of a few whole numbers, given as tables: the truth for bounds of discrete data.

Whatever is seen of each number by itself, through noise of any kind, enters as its log likelihood
[n, D, K]: the log density L_i(l) of what is seen of number i if it is l. All else is a sum over the
K^D states x = (x_1, ..., x_D),

    log p(seen)                   log sum_x P(x) prod_i L_i(x_i)
    pi_i(l|seen of the others)    sum over x with x_i = l of P(x) prod_{j != i} L_j(x_j)

and P(x_i = l|seen) ~ pi_i(l) L_i(l): pi is what an ideal network gives to `grid_denoiser` and
`noisy_start`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


class TableLaw(struct.PyTreeNode):
    """A law of D numbers of K values each.

    Attributes:
        log_prob: log P of every state [K, ..., K], with D axes.
    """

    log_prob: jax.Array

    @classmethod
    def of(cls, heights: np.ndarray) -> "TableLaw":
        """Make the law with probabilities proportional to positive heights [K, ..., K]."""
        heights = np.asarray(heights, np.float64)
        return cls(jnp.asarray(np.log(heights / heights.sum()), jnp.float32))

    def entropy(self) -> float:
        """Compute -sum_x P(x) log P(x), in nats."""
        log_prob = np.asarray(self.log_prob, np.float64)
        return -float(np.sum(np.exp(log_prob) * log_prob))

    def log_prob_of(self, x: jax.Array) -> jax.Array:
        """Look up log P of states [n, D]: [n], in nats."""
        return self.log_prob[tuple(jnp.asarray(x, jnp.int32).T)]

    def log_marginals(self) -> jax.Array:
        """Compute log P(x_i = l) of every number by itself, [D, K]."""
        num_dims = self.log_prob.ndim
        size = self.log_prob.shape[0]
        return self.log_weights(jnp.zeros((1, num_dims, size)))[0]

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """Draw n independent states [n, D]."""
        index = jax.random.categorical(key, self.log_prob.ravel(), shape=(n,))
        return jnp.stack(jnp.unravel_index(index, self.log_prob.shape), axis=-1)

    def log_density(self, log_likelihood: jax.Array) -> jax.Array:
        """Evaluate log p of what is seen, [n], from the log likelihood [n, D, K] of each number."""
        joint = self._joint(log_likelihood, range(self.log_prob.ndim))
        return jax.nn.logsumexp(joint.reshape(len(joint), -1), axis=1)

    def log_weights(self, log_likelihood: jax.Array) -> jax.Array:
        """Evaluate log pi [n, D, K], what the other numbers say of each, see the module."""
        dims = range(self.log_prob.ndim)
        weights = []
        for dim in dims:
            joint = self._joint(log_likelihood, [other for other in dims if other != dim])
            away = [other + 1 for other in dims if other != dim]
            weights.append(jax.nn.logsumexp(joint, axis=away))
        return jnp.stack(weights, axis=1)

    def _joint(self, log_likelihood, dims):
        """Give log P(x) and the log likelihood of these numbers together, [n, K, ..., K]."""
        joint = self.log_prob[None]
        for dim in dims:
            shape = [len(log_likelihood)] + [1] * self.log_prob.ndim
            shape[dim + 1] = -1
            joint = joint + log_likelihood[:, dim].reshape(shape)
        return jnp.broadcast_to(joint, (len(log_likelihood), *self.log_prob.shape))


def neighbours(size: int) -> TableLaw:
    """Make a law like that of two neighbouring pixels of `size` levels.

    Either is often black (level 0), else they are of nearly one brightness; every state has some
    probability.
    """
    levels = np.arange(size) / size
    near = np.exp(-0.5 * np.square((levels[:, None] - levels[None]) / 0.1))
    bright = np.exp(-0.5 * np.square((levels - 0.7) / 0.2))
    black = (np.arange(size) == 0).astype(float)
    heights = near * np.sqrt(bright[:, None] * bright[None])
    heights = heights / heights.sum()
    pairs = 0.3 * black[:, None] * black[None] + 0.1 * black[:, None] * bright[None] / bright.sum()
    return TableLaw.of(pairs + 0.55 * heights + 0.05 / size**2)
