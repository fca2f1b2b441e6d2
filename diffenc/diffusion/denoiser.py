"""A score model whose network holds only what a Gaussian reference does not, in unit-size numbers.

The reference N(m, U diag(c) U^T) diffuses in closed form. Along its axes, z = U^T (x - m), with s^2
= alpha^2 c + sigma^2, a = alpha sqrt(c) / s and b = sigma / s (a^2 + b^2 = 1, one pair for each
axis), the input and the model are

    u = z_t / s                          unit variance at every noise level
    eps_theta = b u + a F                score = -eps_theta / sigma, rotated back

F = 0 is the reference exactly. Its regression target (eps - b u) / a = a eps - b z / sqrt(c) has
unit size and no linear part in u: the v of `diffenc.diffusion.parameterization`, axis by axis, as
in the preconditioning of arXiv 2206.00364. Two forms of F:

    v           F = network              for data near a lower-dimensional set (images)
    residual    F = -b network           for smooth densities: the mean of its target at u is bounded at all levels,
                                         e - e_reference = alpha U diag(sqrt(c)/s^2) network, as in `diffenc.latent.encoder`

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

from diffenc.diffusion import noise_levels
from diffenc.diffusion.analytic import Gaussian
from diffenc.diffusion.noise_levels import Levels, Piecewise
from diffenc.diffusion.processes import Process, expand
from diffenc.errors import InputError

OUTPUTS = ("v", "residual")


class Reference(flax.struct.PyTreeNode):
    """N(U mean, U diag(variance) U^T): mean and variance along the axes, mean = U^T m.

    mean, variance: a number or of an example's shape; axes U [D, D] or None, the identity."""

    mean: jax.Array
    variance: jax.Array
    axes: jax.Array | None = None

    @classmethod
    def equilibrium(cls, process: Process) -> "Reference":
        """N(0, kappa^2 I), the equilibrium of a process of fixed width: nothing is known of the
        data."""
        return cls(jnp.zeros(()), jnp.full((), process.scale**2))

    @classmethod
    def isotropic(cls, x: np.ndarray) -> "Reference":
        """One mean and one variance, those of all numbers in x: what an image model starts from."""
        x = np.asarray(x, np.float64)
        return cls(jnp.asarray(x.mean(), jnp.float32), jnp.asarray(x.var(), jnp.float32))

    @classmethod
    def moments(cls, x: np.ndarray) -> "Reference":
        """Mean and covariance of x [n, D]. Raises InputError where x is no matrix or its covariance
        is singular."""
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or len(x) <= x.shape[1]:
            raise InputError(
                f"x has shape {x.shape}: a full covariance needs [n, D] with n above D; use isotropic"
            )
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
        if not variances[0] > 1e-9 * variances[-1]:
            raise InputError(
                "the data's covariance is singular: use the isotropic reference, or fewer dimensions"
            )
        mean, variance, axes = (
            jnp.asarray(a, jnp.float32) for a in (x.mean(axis=0), variances, axes)
        )
        return cls(mean @ axes, variance, axes)

    def gaussian(self, dim: int) -> Gaussian:
        """The same as an `analytic.Gaussian` of that dimension."""
        variance, mean = (
            jnp.broadcast_to(self.variance, (dim,)),
            jnp.broadcast_to(self.mean, (dim,)),
        )
        if self.axes is None:
            return Gaussian(mean, jnp.diag(variance))
        return Gaussian(self.axes @ mean, (self.axes * variance[None]) @ self.axes.T)

    def along(self, x: jax.Array) -> jax.Array:
        """U^T x."""
        return x if self.axes is None else x @ self.axes

    def back(self, z: jax.Array) -> jax.Array:
        """U z."""
        return z if self.axes is None else z @ self.axes.T


@dataclass(frozen=True)
class Denoiser:
    """Pure functions of (params, reference). network.apply(params, u, level [batch]) -> the shape
    of u, where level = lambda + log of the mean variance. A condition [batch, ...], where there is
    one, is the network's third argument: a `UNet` takes labels, and None for 'not given'. Raises
    InputError for an unknown output."""

    network: Any
    process: Process
    output: str = "residual"

    def __post_init__(self):
        if self.output not in OUTPUTS:
            raise InputError(f"unknown output {self.output!r}: use one of {', '.join(OUTPUTS)}")

    def init(self, key: jax.Array, x: jax.Array):
        """The parameters, for examples like x [1, ...]."""
        return self.network.init(key, x, jnp.zeros(1))

    def _eps(
        self,
        params,
        reference: Reference,
        z_t: jax.Array,
        t: jax.Array,
        with_network=True,
        condition=None,
    ):
        """eps_theta along the axes, for z_t = alpha U^T x_0 + sigma eps."""
        alpha, sigma = expand(self.process.alpha(t), z_t), expand(self.process.sigma(t), z_t)
        mean, variance = (
            a.reshape((1,) * (z_t.ndim - a.ndim) + a.shape)
            for a in (reference.mean, reference.variance)
        )
        width = jnp.sqrt(jnp.square(alpha) * variance + jnp.square(sigma))
        a, b, u = alpha * jnp.sqrt(variance) / width, sigma / width, (z_t - alpha * mean) / width
        if not with_network:
            return b * u
        level = self.process.log_snr(t) + jnp.log(jnp.mean(reference.variance))
        out = self.network.apply(params, u, level, *(() if condition is None else (condition,)))
        return b * u + a * (out if self.output == "v" else -b * out)

    def score_fn(self, params, reference: Reference, with_network: bool = True, condition=None):
        """score(x, t) of the model, given the condition of each x if there is one, or of the
        reference alone (params may then be None). x: [batch, ...], t [batch]."""

        def score(x, t):
            eps = self._eps(params, reference, reference.along(x), t, with_network, condition)
            return reference.back(-eps / expand(self.process.sigma(t), x))

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
        """1/2 |eps_theta - eps|^2 / q(lambda) [draws * batch] at stratified lambda ~ q: unbiased
        draws of the loss."""
        key_level, key_eps = jax.random.split(key)
        z = jnp.tile(reference.along(x), (draws,) + (1,) * (x.ndim - 1))
        log_snr, density = levels.draw(noise_levels.stratified_uniform(key_level, z.shape[:1]))
        t = self.process.time(log_snr)
        eps = jax.random.normal(key_eps, z.shape, z.dtype)
        condition = (
            None
            if condition is None
            else jnp.tile(condition, (draws,) + (1,) * (condition.ndim - 1))
        )
        error = (
            self._eps(params, reference, self.process.perturb(z, eps, t), t, condition=condition)
            - eps
        )
        return 0.5 * jnp.sum(jnp.square(error).reshape(len(z), -1), axis=1) / density

    def levels(self, reference: Reference, low: float, high: float) -> Piecewise:
        """The density over lambda in [low, high] that makes the loss a plain squared error of the
        network."""
        edges = np.linspace(low, high, 97)
        centres = 0.5 * (edges[1:] + edges[:-1])
        snr = np.exp(centres)[:, None] * np.asarray(reference.variance, np.float64).reshape(1, -1)
        weight = snr / (1 + snr) if self.output == "v" else snr / np.square(1 + snr)
        return Piecewise.fit(edges, weight.mean(axis=1), floor=0.05)
