"""The interface of linear forward processes, frozen sets of pure functions of time.

    x_t = alpha_t x_0 + sigma_t eps,   t in [0, 1], data at t = 0
    dx = f x dt + g dB,                f = d log(alpha)/dt,   g^2 = d(sigma^2)/dt - 2 f sigma^2
    log_snr = log(alpha^2 / sigma^2),  g^2 dt = -sigma^2 d(log_snr)

(arXiv 2011.13456; the last line, arXiv 2107.00630.) Those of the papers are in `processes`.

Every function of time takes a scalar or [batch] and returns that shape. sigma is a standard
deviation. The closed forms keep float32's digits at both ends; what is truly infinite there
(log_snr at sigma = 0) is returned as infinite.
"""

import math
from abc import ABC, abstractmethod

import jax
import jax.numpy as jnp

from diffenc.errors import InputError


def expand(t: jax.Array, x: jax.Array) -> jax.Array:
    """Give t, a scalar or [batch], trailing axes of length one: it then multiplies x [batch, ...].

    Raises InputError where t is neither a scalar nor one number per example.
    """
    t = jnp.asarray(t)
    if t.ndim == 0:
        return t
    if t.ndim != 1 or x.ndim == 0 or t.shape[0] != x.shape[0]:
        raise InputError(
            f"t has shape {t.shape} but x has {x.shape}: give t as a scalar or [batch]"
        )
    return t.reshape(t.shape + (1,) * (x.ndim - 1))


def float_type(t):
    """Give the type of a function of time t, floating where t is a whole number."""
    return jnp.result_type(t, float)


def as_float(t):
    """Make t an array of floats."""
    return jnp.asarray(t, float_type(t))


class Process(ABC):
    """A linear process.

    A subclass gives alpha, which must not grow, sigma, drift, diffusion, log_snr, time and
    equilibrium_std. The rest follows from these seven, the steps of the samplers included.
    """

    @property
    def scale(self) -> float:
        """The unit kappa of sigma against alpha.

        It is the width of the equilibrium where that is fixed, else one.
        """
        return 1.0

    @abstractmethod
    def alpha(self, t):
        """Signal coefficient alpha_t."""

    @abstractmethod
    def sigma(self, t):
        """Noise standard deviation sigma_t."""

    @abstractmethod
    def drift(self, t):
        """The coefficient of x, f(t) = d log(alpha)/dt."""

    @abstractmethod
    def diffusion(self, t):
        """The coefficient of the noise g(t), g^2 = d(sigma^2)/dt - 2 f sigma^2."""

    @abstractmethod
    def log_snr(self, t):
        """The log signal-to-noise ratio log(alpha^2 / sigma^2), which falls with t."""

    @abstractmethod
    def time(self, log_snr):
        """The time of a log signal-to-noise ratio: the inverse of `log_snr`, in closed form."""

    @abstractmethod
    def equilibrium_std(self, t):
        """Standard deviation of the quasi-invariant density p_eq = N(0, std^2 I).

        std^2 = -g^2 / (2 f), infinite where f = 0: there the density is flat.
        """

    def equilibrium_score(self, x, t):
        """The score of the equilibrium, 2 f x / g^2 = -x / std^2, at x [batch, ...] and t."""
        return -x / expand(jnp.square(self.equilibrium_std(t)), x)

    def radius(self, t):
        """The width r = sqrt(alpha^2 + (sigma/kappa)^2), one for a fixed width.

        x_t / r is the variance-preserving variable.
        """
        return jnp.hypot(self.alpha(t), self.sigma(t) / self.scale)

    def angle(self, t):
        """The angle phi = atan2(sigma/kappa, alpha), in [0, pi/2]."""
        return jnp.arctan2(self.sigma(t) / self.scale, self.alpha(t))

    def time_at_angle(self, phi):
        """The time of an angle: the inverse of `angle`, held within [0, 1]."""
        cosine = jnp.maximum(jnp.sin(math.pi / 2 - phi), 0.0)
        log_snr = 2 * (jnp.log(cosine) - jnp.log(jnp.sin(phi)) - math.log(self.scale))
        return jnp.clip(
            self.time(jnp.clip(log_snr, self.log_snr(1.0), self.log_snr(0.0))), 0.0, 1.0
        )

    def clock_steps(self, t, phi):
        """Steps of the clock in which `samplers` integrate the flow, between neighbours of a grid.

        The clock is the arc length of the curve (kappa alpha_t, sigma_t): in it the points
        alpha_t x_0 + sigma_t eps, and with them the flow, move at a bounded rate. A step is the
        chord; its relative error is of second order in the step.

        Args:
            t: times [n + 1], falling towards the data.
            phi: the angles at these times [n + 1].

        Returns:
            Steps [n], negative.
        """
        return -jnp.hypot(self.scale * jnp.diff(self.alpha(t)), jnp.diff(self.sigma(t)))

    def flow_weight(self, t):
        """The weight (g^2/2) dt/d(clock) of the flow.

        Its velocity is -weight (score - equilibrium score).

        In units of sigma/alpha, d(sigma)/d(log(sigma/alpha)) = sigma (1 - q) and
        d(alpha)/d(log(sigma/alpha)) = -alpha q, with q = sigma^2/std^2. As g^2 dt =
        -sigma^2 d(log_snr), the weight is sigma^2 over the length of these two.
        """
        sigma = self.sigma(t)
        q = jnp.square(sigma / self.equilibrium_std(t))
        return sigma / jnp.hypot(1 - q, q * self.scale * self.alpha(t) / sigma)

    def langevin_step(self, t, t_next, eta):
        """Width m and length -log(rho) of the Langevin step by which `reverse_sde` adds noise.

        Every m and rho leave p at t_next invariant. m is the width of the equilibrium, which then
        is invariant too, and rho = (alpha/alpha_next)^(eta^2), as in the process itself. Where the
        equilibrium is flat, or so wide that alpha in float32 does not change enough to tell rho,
        m is sigma and -log(rho) is half the growth of (sigma/alpha)^2, in units of its value at
        t_next.

        Args:
            t: time at which the step begins, a scalar.
            t_next: time at which it ends, nearer to the data.
            eta: strength of the noise, 1 for that of the process.

        Returns:
            m and -log(rho): x <- rho x + m sqrt(1 - rho^2) xi is the exact part of the step.
        """
        alpha = self.alpha(t)
        sigma = self.sigma(t)
        alpha_next = self.alpha(t_next)
        sigma_next = self.sigma(t_next)
        std = self.equilibrium_std(t_next)
        is_flat = std > sigma_next / math.sqrt(jnp.finfo(jnp.float32).eps)
        growth = 0.5 * eta**2 * (jnp.square(sigma / alpha / (sigma_next / alpha_next)) - 1)
        decay = eta**2 * (jnp.log(alpha_next) - jnp.log(alpha))
        # Without noise the step has no length, also from t = 1 where alpha vanishes.
        length = jnp.where(eta == 0, 0.0, jnp.maximum(jnp.where(is_flat, growth, decay), 0.0))
        return jnp.where(is_flat, sigma_next, std), length

    def perturb(self, x0, eps, t):
        """Compute x_t = alpha_t x_0 + sigma_t eps.

        Args:
            x0: data [batch, ...].
            eps: noise [batch, ...].
            t: a scalar or [batch].

        Returns:
            [batch, ...].
        """
        return expand(self.alpha(t), x0) * x0 + expand(self.sigma(t), eps) * eps


class FixedWidth(Process):
    """Processes with alpha^2 + (sigma/kappa)^2 = 1: the equilibrium N(0, kappa^2 I) does not move.

    A subclass gives decay, rate and, unless it gives `time`, time_at_decay; then f = -rate/2 and
    g^2 = kappa^2 rate.
    """

    @abstractmethod
    def decay(self, t):
        """The integral of beta, -2 log(alpha_t).

        `rate` is its derivative beta(t), `time_at_decay` its inverse.
        """

    def alpha(self, t):
        """exp(-decay/2)."""
        return jnp.exp(-0.5 * self.decay(t))

    def sigma(self, t):
        """The noise kappa sqrt(1 - exp(-decay))."""
        return self.scale * jnp.sqrt(-jnp.expm1(-self.decay(t)))

    def drift(self, t):
        """-rate/2."""
        return -0.5 * self.rate(t)

    def diffusion(self, t):
        """The coefficient kappa sqrt(rate)."""
        return self.scale * jnp.sqrt(self.rate(t))

    def log_snr(self, t):
        """log(alpha^2 / sigma^2), from decay without cancellation."""
        decay = self.decay(t)
        return -decay - jnp.log(-jnp.expm1(-decay)) - 2 * math.log(self.scale)

    def time(self, log_snr):
        """The inverse of `log_snr`, by `time_at_decay`."""
        return self.time_at_decay(jax.nn.softplus(-(log_snr + 2 * math.log(self.scale))))

    def equilibrium_std(self, t):
        """The width kappa, at every time."""
        return jnp.full(jnp.shape(t), self.scale, float_type(t))

    def radius(self, t):
        """One, at every time."""
        return jnp.ones(jnp.shape(t), float_type(t))

    def clock_steps(self, t, phi):
        """Steps of the angle."""
        return jnp.diff(phi)  # the arc is one of a circle

    def flow_weight(self, t):
        """The weight kappa sigma / alpha."""
        return self.scale * self.sigma(t) / self.alpha(t)
