"""The Schroedinger bridge of two Gaussians: a diffusion whose start need not be noise, closed.

Among all processes with p_0 and p_1 at their ends, the bridge has the least relative entropy to a
linear process dx = f x dt + g dB, whose transition from 0 to 1 is N(a x_0, s^2 I) (Schroedinger
1931; arXiv 2202.05722). In terms of the ends it is static: their coupling is that of the entropic
optimal transport between a x_0 and x_1,

    min over couplings   E|a x_0 - x_1|^2 / (2 s^2)  -  entropy of the coupling

which for Gaussians is a Gaussian (arXiv 2006.02572), with S = cov of a x_0, T = cov of x_1,

    Cov(a x_0, x_1) = S^(1/2) 2 [(4 M + s^4)^(1/2) + s^2]^-1 S^(1/2) T,      M = S^(1/2) T S^(1/2)

Between the ends it is the process, held at both. With p_t = psi psi_hat,

    forward     dx = (f x + g^2 grad log psi) dt + g dB
    reverse     dx = (-f x + g^2 grad log psi_hat) d(tau) + g dB,      tau = 1 - t

Limits: where p_1 is the law that the process itself makes of p_0, psi = 1, grad log psi_hat is the
score, and the bridge is the diffusion; where s -> 0, the coupling is optimal transport (Bures).
"""

import jax
import jax.numpy as jnp
from flax import struct

from diffenc.diffusion.gaussians import Gaussian, exact, gaussian_kl
from diffenc.diffusion.linear_process import Process
from diffenc.errors import InputError, check


@struct.dataclass
class Bridge:
    """The Schroedinger bridge from `start` at t = 0 to `end` at t = 1.

    The process is its reference; with alpha(1) > 0, and noise between any two times. Its methods
    raise InputError where shapes do not fit, or alpha(1) is 0.

    Attributes:
        process: the forward process.
        start: the law p_0, [D].
        end: the law p_1, [D].
    """

    process: Process = struct.field(pytree_node=False)
    start: Gaussian
    end: Gaussian

    def _check(self):
        self.start._check()
        self.end._check()
        if self.start.mean.shape != self.end.mean.shape:
            shapes = f"{self.start.mean.shape} but end has {self.end.mean.shape}"
            raise InputError(f"start has shape {shapes}: make them one shape")
        with jax.ensure_compile_time_eval():
            signal = float(self.process.alpha(jnp.ones(())))
        name = f"alpha(1) of {type(self.process).__name__}"
        check(signal > 0, name, signal, "x_1 would not depend on x_0, take another process")

    @jax.jit
    @exact
    def coupling(self) -> Gaussian:
        """Give the joint law of (x_0, x_1), [2 D]."""
        self._check()
        signal, variance = _transition(self.process, 0.0, 1.0)
        cross = (
            _cross_covariance(jnp.square(signal) * self.start.cov, self.end.cov, variance) / signal
        )
        return Gaussian(
            jnp.concatenate([self.start.mean, self.end.mean]),
            jnp.block([[self.start.cov, cross], [cross.T, self.end.cov]]),
        )

    @jax.jit
    @exact
    def cost(self) -> jax.Array:
        """Compute KL(bridge || process from p_0), in nats.

        It is the least action E int |u|^2/(2 g^2) dt of a control u of the process that brings p_0
        to p_1 (Dai Pra 1991). Times 2 s^2 it is, as s -> 0, the squared Wasserstein distance of a
        x_0 and x_1.
        """
        signal, variance = _transition(self.process, 0.0, 1.0)
        joint = self.coupling()
        cross = signal * self.start.cov
        noise = variance * jnp.eye(self.end.mean.size, dtype=cross.dtype)
        mean = jnp.concatenate([self.start.mean, signal * self.start.mean])
        cov = jnp.block([[self.start.cov, cross], [cross, signal * cross + noise]])
        return gaussian_kl(joint.mean, joint.cov, mean, cov)

    @jax.jit
    @exact
    def marginal(self, t: jax.Array) -> Gaussian:
        """Give the law of x_t at a scalar t, N(mean [D], cov [D, D])."""
        joint = self.coupling()
        weights, variance = self._between(t)
        both = _side_by_side(weights, self.start.mean.size, joint.mean.dtype)
        noise = variance * jnp.eye(self.start.mean.size, dtype=joint.cov.dtype)
        return Gaussian(both @ joint.mean, both @ joint.cov @ both.T + noise)

    @jax.jit
    @exact
    def ends_given(self, x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Compute the mean of x_0 and of x_1 given x_t, what a network of the bridge would learn.

        Args:
            x: points [batch, D].
            t: a scalar.

        Returns:
            (E[x_0 | x_t = x], E[x_1 | x_t = x]), each [batch, D].
        """
        joint = self.coupling()
        weights, _ = self._between(t)
        both = _side_by_side(weights, x.shape[1], x.dtype)
        marginal = self.marginal(t)
        gain = jnp.linalg.solve(marginal.cov, both @ joint.cov)  # [D, 2 D]
        ends = (x - marginal.mean[None]) @ gain + joint.mean[None]
        return ends[:, : x.shape[1]], ends[:, x.shape[1] :]

    @jax.jit
    @exact
    def forward_force(self, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute grad log psi: the control of the forward process is g^2 times it.

        Args:
            x: points [batch, D].
            t: a scalar below 1.

        Returns:
            [batch, D].
        """
        signal, variance = _transition(self.process, t, 1.0)
        return signal * (self.ends_given(x, t)[1] - signal * x) / variance

    @jax.jit
    @exact
    def reverse_force(self, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute grad log psi_hat: the control of the reverse process is g^2 times it.

        Args:
            x: points [batch, D].
            t: a scalar above 0.

        Returns:
            [batch, D].
        """
        signal, variance = _transition(self.process, 0.0, t)
        return (signal * self.ends_given(x, t)[0] - x) / variance

    @jax.jit
    @exact
    def velocity(self, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute the velocity of the flow with the bridge's marginals, the forward drift's mean.

        f x + (g^2/2) (grad log psi - grad log psi_hat).

        Args:
            x: points [batch, D].
            t: a scalar between 0 and 1.

        Returns:
            [batch, D].
        """
        force = self.forward_force(x, t) - self.reverse_force(x, t)
        half_rate = 0.5 * jnp.square(self.process.diffusion(t))
        return self.process.drift(t) * x + half_rate * force

    def _between(self, t):
        """Give the weights of x_0 and x_1 in the mean of x_t held at both, and its variance."""
        early, early_variance = _transition(self.process, 0.0, t)
        late, late_variance = _transition(self.process, t, 1.0)
        whole = jnp.square(late) * early_variance + late_variance
        weights = early * late_variance / whole, late * early_variance / whole
        return weights, early_variance * late_variance / whole


def _transition(process, t, t_next):
    """Give the signal a and the variance s^2 of x at t_next, N(a x, s^2 I), for x at t."""
    signal = process.alpha(t_next) / process.alpha(t)
    # sigma_next^2 - a^2 sigma^2 = sigma_next^2 (1 - exp(lambda_next - lambda))
    fall = -jnp.expm1(process.log_snr(t_next) - process.log_snr(t))
    return signal, jnp.square(process.sigma(t_next)) * fall


def _cross_covariance(cov0, cov1, variance):
    """Compute the covariance of the entropic transport between two Gaussians at s^2 = variance."""
    variances, axes = jnp.linalg.eigh(cov0)
    # Of a nearly singular matrix rounding makes eigenvalues below 0.
    root = (axes * jnp.sqrt(jnp.maximum(variances, 0.0))[None]) @ axes.T
    middle, axes = jnp.linalg.eigh(root @ cov1 @ root)
    spread = jnp.sqrt(4 * jnp.maximum(middle, 0.0) + jnp.square(variance))
    weight = 2 / (spread + variance)
    return root @ ((axes * weight[None]) @ axes.T) @ root @ cov1


def _side_by_side(weights, size, dtype):
    """Make the matrix [D, 2 D] of (x_0, x_1) -> weights[0] x_0 + weights[1] x_1."""
    eye = jnp.eye(size, dtype=dtype)
    return jnp.concatenate([weights[0] * eye, weights[1] * eye], axis=1)
