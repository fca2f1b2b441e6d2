"""A density over noise levels that training itself learns: a monotone map of time to lambda.

    lambda = F^-1(time),   time uniform on [0, 1],   density q = dF/d(lambda), constant in bins

The loss is E[f(lambda) / q(lambda)], whatever q is; two choices of q are of use (arXiv 2107.00630):

    variance      q ~ sqrt(E[f^2])     the least variance of the loss, and of its gradient by and
                                       large
    entropy       q ~ E[f]             information is lost linearly in time: the entropy rate of the
                                       schedule is constant

Both moments of f are running means over the draws that training makes anyhow.
"""

import flax.struct
import jax
import jax.numpy as jnp

RULES = ("variance", "entropy")
FLOOR = 0.1  # share of the draws that stays uniform: weights are at most 1 / FLOOR times as large
DECAY = 0.99  # of the running means, per update


class AdaptiveLevels(flax.struct.PyTreeNode):
    """The density and what it is learned from; a `Levels` that is a pytree.

    Attributes:
        first: running mean of f in each bin [K].
        second: running mean of f^2 in each bin [K].
        low: the smallest lambda.
        high: the largest.
        rule: how q follows, a name of `RULES`; "uniform" for not at all.
    """

    first: jax.Array
    second: jax.Array
    low: float = flax.struct.field(pytree_node=False)
    high: float = flax.struct.field(pytree_node=False)
    rule: str = flax.struct.field(pytree_node=False, default="variance")

    @classmethod
    def create(
        cls, low: float, high: float, rule: str = "variance", bins: int = 32
    ) -> "AdaptiveLevels":
        """Make the uniform density on [low, high], before anything is learned.

        Args:
            low: the smallest lambda.
            high: the largest.
            rule: see the class.
            bins: K.
        """
        ones = jnp.ones(bins)
        return cls(ones, ones, low, high, rule)

    @property
    def masses(self) -> jax.Array:
        """The share of the draws in each bin [K]."""
        num_bins = len(self.first)
        uniform = jnp.full(num_bins, 1 / num_bins)
        if self.rule == "uniform":
            return uniform
        heights = self.first if self.rule == "entropy" else jnp.sqrt(self.second)
        return (1 - FLOOR) * heights / heights.sum() + FLOOR * uniform

    def draw(self, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map uniform numbers to noise levels, as `noise_levels.Levels.draw`."""
        masses = self.masses
        after = jnp.cumsum(masses)
        index = jnp.searchsorted(after[:-1], uniform, side="right")
        before = jnp.concatenate([jnp.zeros(1), after[:-1]])
        within = jnp.clip((uniform - before[index]) / masses[index], 0.0, 1.0)
        width = (self.high - self.low) / len(masses)
        return self.low + width * (index + within), masses[index] / width

    def learn(self, log_snr: jax.Array, values: jax.Array) -> "AdaptiveLevels":
        """Take the values f of an update into the means.

        A bin that saw no draw keeps its means. A mean moves by its share of the draws, so that a
        bin that is seen often does not remember less.

        Args:
            log_snr: where, [batch].
            values: f there, without 1 / q, [batch].

        Returns:
            The density after it.
        """
        num_bins = len(self.first)
        place = (log_snr - self.low) / (self.high - self.low) * num_bins
        index = jnp.clip(place.astype(jnp.int32), 0, num_bins - 1)
        is_in = jax.nn.one_hot(index, num_bins)
        count = is_in.sum(axis=0)
        keep = jnp.power(DECAY, count / jnp.maximum(len(log_snr) * self.masses, 1e-6))
        seen = jnp.maximum(count, 1)
        first = (values @ is_in) / seen
        second = (jnp.square(values) @ is_in) / seen
        return self.replace(
            first=keep * self.first + (1 - keep) * first,
            second=keep * self.second + (1 - keep) * second,
        )
