"""A density over noise levels that training itself learns: a monotone map of time to lambda.

    lambda = F^-1(time),   time uniform on [0, 1],   density q = dF/d(lambda), constant in bins

The loss is E[f(lambda) / q(lambda)], an integral over lambda that is the same for every q; two
choices of q are of use (arXiv 2107.00630):

    variance      q ~ sqrt(E[f^2])     the least variance of the loss, and of its gradient by and
                                       large
    entropy       q ~ E[f]             information is lost linearly in time: the entropy rate of the
                                       schedule is constant

Both moments of f are running means over the draws that training makes anyhow. After n updates they
remember about the last n / POWER, and never more than MEMORY: f falls fastest at first, and what it
was then is soon forgotten. A share FLOOR of the draws stays uniform, so that no level is forgotten
and no weight is above (high - low) / FLOOR; with the rule "entropy" time and the share of the
information that is lost differ by at most FLOOR.
"""

import flax.struct
import jax
import jax.numpy as jnp

from diffenc.diffusion.noise_levels import check_range
from diffenc.errors import check_choice, check_whole

RULES = ("variance", "entropy")
FLOOR = 0.1  # share of the draws that stays uniform
POWER = 4  # after n updates the running means remember n / POWER of them,
MEMORY = 100  # but no more than so many
PRIOR = 4  # updates in which a bin's mean comes from that of all bins to its own


class AdaptiveLevels(flax.struct.PyTreeNode):
    """The density and what it is learned from; a `noise_levels.Levels` that is a pytree.

    Attributes:
        first: running mean of f in each bin [K].
        second: running mean of f^2 in each bin [K].
        seen: how many updates each bin has taken in [K].
        low: the smallest lambda.
        high: the largest.
        rule: how q follows, a name of `RULES`.
    """

    first: jax.Array
    second: jax.Array
    seen: jax.Array
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

        Raises:
            InputError: for an unknown rule, no bins, or a range that is none.
        """
        check_range(low, high)
        check_choice("rule", rule, RULES)
        check_whole("bins", bins, 1)
        return cls(jnp.zeros(bins), jnp.zeros(bins), jnp.zeros(bins), low, high, rule)

    @property
    def mean(self) -> jax.Array:
        """E[f] in each bin [K], as far as it is known."""
        return self._with_prior(self.first)

    @property
    def masses(self) -> jax.Array:
        """The share of the draws in each bin [K]."""
        num_bins = len(self.first)
        uniform = jnp.full(num_bins, 1 / num_bins)
        heights = self.mean if self.rule == "entropy" else jnp.sqrt(self._with_prior(self.second))
        total = heights.sum()
        share = jnp.where(total > 0, heights / jnp.where(total > 0, total, 1.0), uniform)
        return (1 - FLOOR) * share + FLOOR * uniform

    def draw(self, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map uniform numbers to noise levels, as `noise_levels.Levels.draw`."""
        masses = self.masses
        after = jnp.cumsum(masses)
        index = jnp.searchsorted(after[:-1], uniform, side="right")
        before = jnp.concatenate([jnp.zeros(1), after[:-1]])
        within = jnp.clip((uniform - before[index]) / masses[index], 0.0, 1.0)
        width = (self.high - self.low) / len(masses)
        return self.low + width * (index + within), masses[index] / width

    def learn(self, log_snr: jax.Array, density: jax.Array, values: jax.Array) -> "AdaptiveLevels":
        """Take the values f of an update into the means.

        A draw counts by 1 / density, so that each bin counts one update for every update on
        average, by whatever density its levels were drawn: all bins remember equally many updates.
        A bin that saw no draw keeps its means.

        Args:
            log_snr: where, [batch].
            density: by which these levels were drawn, this one or another, [batch].
            values: f there, without 1 / density, [batch].

        Returns:
            The density after it.
        """
        num_bins = len(self.first)
        place = (log_snr - self.low) / (self.high - self.low) * num_bins
        index = jnp.clip(place.astype(jnp.int32), 0, num_bins - 1)
        is_in = jax.nn.one_hot(index, num_bins)
        width = (self.high - self.low) / num_bins
        counts = 1 / (len(log_snr) * width * density)  # updates that each draw stands for

        def of_bins(of_draws):
            return jnp.matmul(of_draws, is_in, precision=jax.lax.Precision.HIGHEST)

        count = of_bins(counts)
        seen = self.seen + count
        kept = jnp.power(self.seen / jnp.where(seen > 0, seen, 1.0), POWER)
        keep = jnp.where(count > 0, jnp.minimum(kept, jnp.exp(-count / MEMORY)), 1.0)
        share = (1 - keep) / jnp.where(count > 0, count, 1.0)
        return self.replace(
            first=keep * self.first + share * of_bins(counts * values),
            second=keep * self.second + share * of_bins(counts * jnp.square(values)),
            seen=seen,
        )

    def _with_prior(self, means: jax.Array) -> jax.Array:
        """Give the mean of each bin, which is that of all bins before it has taken in anything.

        So the density is uniform at first, and does not depend on the unit of f.
        """
        of_all = jnp.sum(self.seen * means) / jnp.maximum(self.seen.sum(), 1e-6)
        return means + jnp.exp(-self.seen / PRIOR) * (of_all - means)
