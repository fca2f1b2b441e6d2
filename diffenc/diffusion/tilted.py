"""A law of the data tilted by exp(r) with a quadratic r, and guidance, which does not sample it.

    p~(x) = p(x) exp(r(x)) / Z,      r(x) = b.x - 1/2 x^T R x

For a mixture of Gaussians p~ is one again. To sample it by a control u added to the reverse process
of p is to minimize E[int |u|^2/(2 g^2) d(tau) - r(X_0)], whose value is -log h and whose best
control is g^2 times the difference of the two scores (Doob's h-transform):

    h(x, t) = E[exp(r(X_0)) | X_t = x] = Z p~_t(x) / p_t(x),     u* = g^2 grad log h = g^2 (s~ - s)

Where exp(r) = p(y|x), p~ is p(x|y) and Z is p(y). Guidance of weight w (`guidance`) means p(x)
p(y|x)^(1+w), the law tilted by (1+w) r, but its control is (1+w) times that of r: grad log
E[exp(r)|x_t]^(1+w) in place of grad log E[exp((1+w) r)|x_t]. The two agree at t = 0, and at all
t where r is linear and p one Gaussian. By how much they differ elsewhere `control.control_gap`
tells, along guided paths, and `entropy.path_kl`, along those of the tilted law.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from diffenc.diffusion.gaussians import GaussianMixture, exact
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.value import value_of
from diffenc.errors import InputError, check


@struct.dataclass
class Tilt:
    """The quadratic r(x) = b.x - 1/2 x^T R x, in nats.

    Attributes:
        linear: b [D].
        precision: R [D, D], symmetric, of any sign.
    """

    linear: jax.Array
    precision: jax.Array

    @exact
    def log_factor(self, x: jax.Array) -> jax.Array:
        """Compute r at x [batch, D]: [batch]."""
        return x @ self.linear - 0.5 * jnp.sum(x * (x @ self.precision), axis=1)

    def scaled(self, weight: float) -> "Tilt":
        """Make the tilt weight r."""
        return Tilt(weight * self.linear, weight * self.precision)

    @exact
    def apply(self, mixture: GaussianMixture) -> tuple[GaussianMixture, jax.Array]:
        """Tilt a mixture of Gaussians.

        Args:
            mixture: p.

        Returns:
            p~, and log Z in nats.

        Raises:
            InputError: where shapes do not fit; and where p exp(r) cannot be normalized, since R is
                too negative, but inside of compiled code the result is not a number instead.
        """
        dim = jnp.shape(mixture.means)[1]
        for name, shape in (("linear", (dim,)), ("precision", (dim, dim))):
            own = jnp.shape(getattr(self, name))
            check(own == shape, f"shape of {name}", own, f"give {shape}, as the mixture has")

        def of_component(mean, cov):
            precision = jnp.linalg.inv(cov) + self.precision
            pull = jnp.linalg.solve(cov, mean) + self.linear
            new_cov = jnp.linalg.inv(precision)
            new_mean = new_cov @ pull
            # slogdet would not see two negative axes.
            spread = -2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(precision))))
            log_ratio = 0.5 * (spread - jnp.linalg.slogdet(cov)[1])
            log_ratio += 0.5 * (new_mean @ pull - mean @ jnp.linalg.solve(cov, mean))
            return log_ratio, new_mean, 0.5 * (new_cov + new_cov.T)

        log_ratios, means, covs = jax.vmap(of_component)(mixture.means, mixture.covs)
        is_traced = isinstance(log_ratios, jax.core.Tracer)
        if not is_traced and not bool(jnp.all(jnp.isfinite(log_ratios))):
            raise InputError("precision is too negative for this mixture: give a larger one")
        log_weights = jax.nn.log_softmax(mixture.log_weights) + log_ratios
        log_normalizer = jax.nn.logsumexp(log_weights)
        return GaussianMixture(log_weights - log_normalizer, means, covs), log_normalizer


def log_desirability(
    mixture: GaussianMixture, tilt: Tilt, process: Process, x: jax.Array, t: jax.Array
) -> jax.Array:
    """Compute log h = log E[exp(r(X_0)) | X_t = x]; the value of the tilted problem is -log h.

    Args:
        mixture: p.
        tilt: r.
        process: the forward process.
        x: points [batch, D].
        t: times [batch].

    Returns:
        [batch], in nats.
    """
    tilted, log_normalizer = tilt.apply(mixture)
    return log_normalizer + value_of(mixture, process)(x, t) - value_of(tilted, process)(x, t)


def guided_score(score_fn: Callable, conditional_score: Callable, weight: float) -> Callable:
    """Make the score of guidance, s(x|y) + w (s(x|y) - s(x)) (arXiv 2207.12598).

    Args:
        score_fn: s(x), the score without a condition, (x [batch, ...], t [batch]) -> [batch, ...].
        conditional_score: s(x|y), like it.
        weight: w; 0 gives the conditional score.

    Returns:
        A function like score_fn.
    """

    def score(x, t):
        conditional = conditional_score(x, t)
        return conditional + weight * (conditional - score_fn(x, t))

    return score
