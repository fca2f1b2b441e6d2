"""Linear forward processes, frozen sets of pure functions of time.

    x_t = alpha_t x_0 + sigma_t eps,   t in [0, 1], data at t = 0
    dx = f x dt + g dB,                f = d log(alpha)/dt,   g^2 = d(sigma^2)/dt - 2 f sigma^2
    log_snr = log(alpha^2 / sigma^2),  g^2 dt = -sigma^2 d(log_snr)

(arXiv 2011.13456; the last line, arXiv 2107.00630.)

Every function of time takes a scalar or [batch] and returns that shape. sigma is a standard
deviation. The closed forms keep float32's digits at both ends; what is truly infinite there
(log_snr at sigma = 0) is returned as infinite.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

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
        length = jnp.maximum(jnp.where(is_flat, growth, decay), 0.0)
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
        return jnp.full(jnp.shape(t), self.scale, _float_type(t))

    def radius(self, t):
        """One, at every time."""
        return jnp.ones(jnp.shape(t), _float_type(t))

    def clock_steps(self, t, phi):
        """Steps of the angle."""
        return jnp.diff(phi)  # the arc is one of a circle

    def flow_weight(self, t):
        """The weight kappa sigma / alpha."""
        return self.scale * self.sigma(t) / self.alpha(t)


@dataclass(frozen=True)
class VPLinear(FixedWidth):
    """Variance preserving with linear beta(t) = beta_min + t (beta_max - beta_min), of width kappa.

    From arXiv 2011.13456. alpha = exp(-1/2 int beta), sigma = kappa sqrt(1 - alpha^2). Raises
    InputError unless 0 < beta_min <= beta_max and kappa > 0.
    """

    beta_min: float = 0.1
    beta_max: float = 16.0
    kappa: float = 1.0

    def __post_init__(self):
        _check_betas(self.beta_min, self.beta_max)
        _check_positive("kappa", self.kappa)

    @property
    def scale(self):
        """The width kappa of the equilibrium."""
        return self.kappa

    def decay(self, t):
        """int_0^t beta."""
        return _linear_decay(t, self.beta_min, self.beta_max)

    def rate(self, t):
        """beta(t)."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def time_at_decay(self, decay):
        """The inverse of `decay`."""
        return _linear_time(decay, self.beta_min, self.beta_max)


@dataclass(frozen=True)
class VPx(VPLinear):
    """The narrow process of arXiv 2409.03817: `VPLinear` of width kappa = 0.1."""

    kappa: float = 0.1


@dataclass(frozen=True)
class VPCosine(FixedWidth):
    """The cosine schedule of arXiv 2202.00512, of width kappa.

    alpha = cos(pi t / 2), sigma = kappa sin(pi t / 2), angle = pi t / 2. alpha vanishes at t = 1,
    where drift and diffusion are infinite. Raises InputError unless kappa > 0.
    """

    kappa: float = 1.0

    def __post_init__(self):
        _check_positive("kappa", self.kappa)

    @property
    def scale(self):
        """The width kappa of the equilibrium."""
        return self.kappa

    # The cosine as a sine of 1 - t: exactly zero at t = 1, where cos(pi/2) in floating point is
    # negative.
    def alpha(self, t):
        """cos(pi t / 2)."""
        return jnp.sin((math.pi / 2) * (1 - t))

    def sigma(self, t):
        """The noise kappa sin(pi t / 2)."""
        return self.kappa * jnp.sin((math.pi / 2) * t)

    def decay(self, t):
        """-2 log(alpha)."""
        return -2 * jnp.log(self.alpha(t))

    def rate(self, t):
        """The rate pi tan(pi t / 2)."""
        return math.pi * jnp.sin((math.pi / 2) * t) / self.alpha(t)

    def log_snr(self, t):
        """2 log(alpha / sigma)."""
        return 2 * (jnp.log(self.alpha(t)) - jnp.log(self.sigma(t)))

    def time(self, log_snr):
        """The inverse of `log_snr`."""
        return (2 / math.pi) * jnp.arctan(jnp.exp(-0.5 * log_snr - math.log(self.kappa)))

    def angle(self, t):
        """The angle pi t / 2."""
        return (math.pi / 2) * _as_float(t)

    def time_at_angle(self, phi):
        """2 phi / pi, held within [0, 1]."""
        return jnp.clip((2 / math.pi) * phi, 0.0, 1.0)


@dataclass(frozen=True)
class StraightLine(FixedWidth):
    """A straight signal alpha = 1 - t, of width sigma0 (arXiv 2409.03817).

    sigma = sigma0 sqrt(1 - (1-t)^2). g = sigma0 sqrt(2 / (1-t)) is infinite at t = 1, where alpha
    vanishes. Raises InputError unless sigma0 > 0.
    """

    sigma0: float = 0.1

    def __post_init__(self):
        _check_positive("sigma0", self.sigma0)

    @property
    def scale(self):
        """sigma0, the width of the equilibrium."""
        return self.sigma0

    def alpha(self, t):
        """1 - t."""
        return 1.0 - _as_float(t)

    def sigma(self, t):
        """sigma0 sqrt(1 - (1-t)^2)."""
        return self.sigma0 * jnp.sqrt(t * (2.0 - t))

    def decay(self, t):
        """-2 log(1 - t)."""
        return -2 * jnp.log1p(-_as_float(t))

    def rate(self, t):
        """2 / (1 - t)."""
        return 2 / self.alpha(t)

    def time_at_decay(self, decay):
        """1 - exp(-decay/2)."""
        return -jnp.expm1(-0.5 * decay)


@dataclass(frozen=True)
class SubVP(Process):
    """Sub-VP (arXiv 2011.13456): alpha as `VPLinear`, sigma = 1 - alpha^2.

    p_eq = N(0, (1 - alpha^4) I). The equilibrium moves with t and is a point at t = 0, so use
    t > 0. Raises InputError unless 0 < beta_min <= beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 16.0

    def __post_init__(self):
        _check_betas(self.beta_min, self.beta_max)

    def alpha(self, t):
        """exp(-decay/2), as `VPLinear` of width one."""
        return jnp.exp(-0.5 * _linear_decay(t, self.beta_min, self.beta_max))

    def sigma(self, t):
        """1 - alpha^2."""
        return -jnp.expm1(-_linear_decay(t, self.beta_min, self.beta_max))

    def drift(self, t):
        """-beta(t)/2."""
        return -0.5 * (self.beta_min + t * (self.beta_max - self.beta_min))

    def diffusion(self, t):
        """sqrt(beta (1 - alpha^4))."""
        return jnp.sqrt(-2 * self.drift(t)) * self.equilibrium_std(t)

    def log_snr(self, t):
        """2 log(alpha / (1 - alpha^2))."""
        decay = _linear_decay(t, self.beta_min, self.beta_max)
        return -decay - 2 * jnp.log(-jnp.expm1(-decay))

    def time(self, log_snr):
        """The inverse of `log_snr`."""
        # sigma/alpha = 1/alpha - alpha = 2 sinh(decay/2)
        return _linear_time(
            2 * jnp.arcsinh(0.5 * jnp.exp(-0.5 * log_snr)), self.beta_min, self.beta_max
        )

    def equilibrium_std(self, t):
        """sqrt(1 - alpha^4)."""
        # 1 - alpha^4 in terms of sigma = 1 - alpha^2: a second expm1 beside sigma's, fused over a
        # batch of 20,000, came out as NaN from XLA's CPU compiler of jaxlib 0.10.2.
        sigma = self.sigma(t)
        return jnp.sqrt(sigma * (2 - sigma))


@dataclass(frozen=True)
class VE(Process):
    """Variance exploding (arXiv 2011.13456): alpha = 1, sigma = sigma_min (sigma_max/sigma_min)^t.

    p_eq is flat. sigma(0) = sigma_min, not zero. Raises InputError unless
    0 < sigma_min < sigma_max.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self):
        _check_positive("sigma_min", self.sigma_min)
        _check_positive("sigma_max", self.sigma_max)
        if not self.sigma_min < self.sigma_max:
            raise InputError(
                f"sigma_min={self.sigma_min} is not below sigma_max={self.sigma_max}: exchange them"
            )

    @property
    def log_ratio(self) -> float:
        """log(sigma_max / sigma_min), the growth rate of sigma."""
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t):
        """One, at every time."""
        return jnp.ones(jnp.shape(t), _float_type(t))

    def sigma(self, t):
        """sigma_min (sigma_max/sigma_min)^t."""
        return self.sigma_min * jnp.exp(self.log_ratio * t)

    def drift(self, t):
        """Zero, at every time."""
        return jnp.zeros(jnp.shape(t), _float_type(t))

    def diffusion(self, t):
        """The coefficient sigma sqrt(2 log(sigma_max/sigma_min))."""
        return math.sqrt(2 * self.log_ratio) * self.sigma(t)

    def log_snr(self, t):
        """-2 log(sigma)."""
        return -2 * (math.log(self.sigma_min) + self.log_ratio * t)

    def time(self, log_snr):
        """The inverse of `log_snr`."""
        return (-0.5 * log_snr - math.log(self.sigma_min)) / self.log_ratio

    def equilibrium_std(self, t):
        """Infinite, at every time."""
        return jnp.full(jnp.shape(t), jnp.inf, _float_type(t))


def _linear_decay(t, beta_min, beta_max):
    """int_0^t beta for linear beta."""
    return t * (beta_min + 0.5 * (beta_max - beta_min) * t)


def _linear_time(decay, beta_min, beta_max):
    """Positive root of `_linear_decay` = decay, in the form without cancellation."""
    return 2 * decay / (beta_min + jnp.sqrt(beta_min**2 + 2 * (beta_max - beta_min) * decay))


def _float_type(t):
    return jnp.result_type(t, float)


def _as_float(t):
    return jnp.asarray(t, _float_type(t))


def _check_positive(name, value):
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name}={value}: give a positive finite number")


def _check_betas(beta_min, beta_max):
    _check_positive("beta_min", beta_min)
    _check_positive("beta_max", beta_max)
    if beta_min > beta_max:
        raise InputError(f"beta_min={beta_min} is above beta_max={beta_max}: exchange them")
