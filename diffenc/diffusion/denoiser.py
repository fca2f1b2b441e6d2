"""A score model: the closed-form score of a Gaussian plus a network for the rest.

The inputs and the targets of the network have unit variance.

The reference N(m, U diag(c) U^T) diffuses in closed form. Along its axes, z = U^T (x - m), with s^2
= alpha^2 c + sigma^2, a = alpha sqrt(c) / s and b = sigma / s (a^2 + b^2 = 1, one pair for each
axis), the input and the model are

    u = z_t / s                          unit variance at every noise level
    eps_theta = b u + a F                score = -eps_theta / sigma, rotated back

F = 0 is the reference exactly. Its regression target (eps - b u) / a = a eps - b z / sqrt(c) has
unit size and no linear part in u: the v of `diffenc.diffusion.parameterization`, axis by axis, as
in the preconditioning of arXiv 2206.00364. Two forms of F:

    v           F = network              for data near a lower-dimensional set (images)
    residual    F = -b network           for smooth densities

The mean of the target of a residual network at u is bounded at all levels: e - e_reference = alpha
U diag(sqrt(c)/s^2) network, as in `diffenc.latent.encoder`.

With the reference N(0, kappa^2 I) a process of fixed width has u = x_t/kappa and a = alpha: the
residual form is then the entropy-matching network of arXiv 2409.03817, and its 'v' form plain
v-prediction; nothing is known beforehand.

The loss is the entropy-matching one (likelihood weighted), 1/2 int d(lambda) E|eps_theta - eps|^2,
by importance sampling of lambda: with a density shaped like a^2 (v) or a^2 b^2 (residual) it is a
plain squared error of the network.
"""

from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import init
from diffenc.diffusion import noise_levels
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.noise_levels import Levels, Piecewise
from diffenc.diffusion.parameterization import to_score
from diffenc.errors import InputError

OUTPUTS = ("v", "residual")
PART = 2**24  # numbers whose squares are in memory together


class Reference(flax.struct.PyTreeNode):
    """A Gaussian N(U mean, U diag(variance) U^T) by its axes.

    Attributes:
        mean: U^T m, a number or of an example's shape.
        variance: the variances along the axes, likewise.
        axes: U [D, D], or None for the identity.
    """

    mean: jax.Array
    variance: jax.Array
    axes: jax.Array | None = None

    @classmethod
    def equilibrium(cls, process: Process) -> "Reference":
        """Make N(0, kappa^2 I), the equilibrium of a process of fixed width.

        This reference uses nothing of the data.
        """
        return cls(jnp.zeros(()), jnp.full((), process.scale**2))

    @classmethod
    def isotropic(cls, x: np.ndarray) -> "Reference":
        """Take one mean and one variance, those of all numbers in x, as for image models."""
        x = np.asarray(x)
        mean = x.mean(dtype=np.float64)
        # In parts: all of many images in float64 would take gigabytes.
        parts = np.array_split(x.ravel(), 1 + x.size // PART)
        squares = [np.sum(np.square(part.astype(np.float64) - mean)) for part in parts]
        variance = np.sum(squares) / x.size
        return cls(jnp.asarray(mean, jnp.float32), jnp.asarray(variance, jnp.float32))

    @classmethod
    def moments(cls, x: np.ndarray) -> "Reference":
        """Take the mean and the covariance of x [n, D].

        Raises InputError where x is no matrix or its covariance is singular.
        """
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or len(x) <= x.shape[1]:
            raise InputError(
                f"x has shape {x.shape}: a full covariance needs [n, D] with n above D; "
                "use the isotropic reference"
            )
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
        if not variances[0] > 1e-9 * variances[-1]:
            raise InputError(
                "the data's covariance is singular: "
                "use the isotropic reference, or fewer dimensions"
            )
        mean = jnp.asarray(x.mean(axis=0) @ axes, jnp.float32)
        return cls(mean, jnp.asarray(variances, jnp.float32), jnp.asarray(axes, jnp.float32))

    def gaussian(self, dim: int) -> Gaussian:
        """Give the same as a `gaussians.Gaussian` of dimension `dim`."""
        mean = jnp.broadcast_to(self.mean, (dim,))
        variance = jnp.broadcast_to(self.variance, (dim,))
        if self.axes is None:
            return Gaussian(mean, jnp.diag(variance))
        with jax.default_matmul_precision("highest"):
            return Gaussian(self.axes @ mean, (self.axes * variance[None]) @ self.axes.T)

    def along(self, x: jax.Array) -> jax.Array:
        """Compute U^T x."""
        return x if self.axes is None else x @ self.axes

    def back(self, z: jax.Array) -> jax.Array:
        """Compute U z."""
        return z if self.axes is None else z @ self.axes.T


@dataclass(frozen=True)
class Denoiser:
    """A score model as pure functions of (params, reference).

    Raises InputError for an unknown output.

    Attributes:
        network: network.apply(params, u, level [batch]) -> the shape of u, where level = lambda +
            log of the mean variance. A condition [batch, ...], where there is one, is its third
            argument: a `UNet` takes labels.
        process: the forward process.
        output: what F is, "v" or "residual"; see the module.
    """

    network: Any
    process: Process
    output: str = "residual"

    def __post_init__(self):
        if self.output not in OUTPUTS:
            raise InputError(f"unknown output {self.output!r}: use one of {', '.join(OUTPUTS)}")

    def init(self, key: jax.Array, x: jax.Array):
        """Make the parameters, for examples like x [1, ...]."""
        return init(self.network, key, x, np.zeros(1, np.float32))

    def _eps(
        self,
        params,
        reference: Reference,
        z_t: jax.Array,
        t: jax.Array,
        with_network=True,
        condition=None,
    ):
        """Evaluate eps_theta along the axes, for z_t = alpha U^T x_0 + sigma eps."""
        alpha = expand(self.process.alpha(t), z_t)
        sigma = expand(self.process.sigma(t), z_t)

        def in_front(values):  # axes of length one, for the batch and for what a number stands for
            return values.reshape((1,) * (z_t.ndim - values.ndim) + values.shape)

        mean = in_front(reference.mean)
        variance = in_front(reference.variance)
        width = jnp.sqrt(jnp.square(alpha) * variance + jnp.square(sigma))
        a = alpha * jnp.sqrt(variance) / width
        b = sigma / width
        u = (z_t - alpha * mean) / width
        if not with_network:
            return b * u
        level = self.process.log_snr(t) + jnp.log(jnp.mean(reference.variance))
        out = self.network.apply(params, u, level, *(() if condition is None else (condition,)))
        return b * u + a * (out if self.output == "v" else -b * out)

    def score_fn(self, params, reference: Reference, with_network: bool = True, condition=None):
        """Make the score of the model.

        Args:
            params: the network's; they may be None without it.
            reference: the Gaussian.
            with_network: False for the score of the reference alone.
            condition: the condition of each x [batch, ...], or None.

        Returns:
            score(x [batch, ...], t [batch]) -> [batch, ...].
        """

        def score(x, t):
            eps = self._eps(params, reference, reference.along(x), t, with_network, condition)
            return reference.back(to_score(self.process, "eps", eps, x, t))

        return score

    def loss(
        self,
        key,
        params,
        reference: Reference,
        x: jax.Array,
        levels: Levels,
        draws: int = 1,
        condition=None,
    ):
        """Draw the loss 1/2 |eps_theta - eps|^2 / q(lambda) at stratified lambda ~ q, unbiased.

        Args:
            key: the key of levels and noise.
            params: the network's.
            reference: the Gaussian.
            x: data [batch, ...].
            levels: the density q.
            draws: noise levels an example.
            condition: the condition of each x [batch, ...], or None.

        Returns:
            [draws * batch], in nats.
        """
        key_level, key_eps = jax.random.split(key)
        z = jnp.tile(reference.along(x), (draws,) + (1,) * (x.ndim - 1))
        log_snr, density = levels.draw(noise_levels.stratified_uniform(key_level, z.shape[:1]))
        t = self.process.time(log_snr)
        eps = jax.random.normal(key_eps, z.shape, z.dtype)
        if condition is not None:
            condition = jnp.tile(condition, (draws,) + (1,) * (condition.ndim - 1))
        z_t = self.process.perturb(z, eps, t)
        error = self._eps(params, reference, z_t, t, condition=condition) - eps
        return 0.5 * jnp.sum(jnp.square(error).reshape(len(z), -1), axis=1) / density

    def levels(self, reference: Reference, low: float, high: float) -> Piecewise:
        """Fit the density over lambda under which the loss is a plain squared error of the network.

        Args:
            reference: the Gaussian.
            low: the lower end of lambda.
            high: the upper end.

        Returns:
            The density on [low, high].
        """
        edges = np.linspace(low, high, 97)
        centres = 0.5 * (edges[1:] + edges[:-1])
        snr = np.exp(centres)[:, None] * np.asarray(reference.variance, np.float64).reshape(1, -1)
        weight = snr / (1 + snr) if self.output == "v" else snr / np.square(1 + snr)
        return Piecewise.fit(edges, weight.mean(axis=1), floor=0.05)
