"""The linear forward processes of the papers, by name; their interface is `linear_process`."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from diffenc.diffusion.linear_process import FixedWidth, Process, as_float, float_type
from diffenc.errors import check, check_least, check_positive


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
        _check_betas(self)
        check_positive(self, "kappa")

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
        check_positive(self, "kappa")

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
        return (math.pi / 2) * as_float(t)

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
        check_positive(self, "sigma0")

    @property
    def scale(self):
        """sigma0, the width of the equilibrium."""
        return self.sigma0

    def alpha(self, t):
        """1 - t."""
        return 1.0 - as_float(t)

    def sigma(self, t):
        """sigma0 sqrt(1 - (1-t)^2)."""
        alpha2 = jnp.square(self.alpha(t))
        return self.sigma0 * jnp.sqrt(jnp.where(alpha2 < 0.25, 1 - alpha2, t * (2.0 - t)))

    def decay(self, t):
        """-2 log(1 - t)."""
        return -2 * jnp.log1p(-as_float(t))

    def rate(self, t):
        """2 / (1 - t)."""
        return 2 / self.alpha(t)

    def time_at_decay(self, decay):
        """1 - exp(-decay/2)."""
        return -jnp.expm1(-0.5 * decay)


@dataclass(frozen=True)
class RectifiedFlow(Process):
    """Flow matching along straight lines (arXiv 2209.03003, 2210.02747): alpha = 1 - t, sigma = t.

    The velocity of its probability flow is E[eps - x_0 | x_t]. p_eq = N(0, t I) moves with t. f and
    g are infinite at t = 1, where alpha vanishes; the velocity is not. (`StraightLine` has the same
    signal, and the noise of a fixed width.)
    """

    def alpha(self, t):
        """1 - t."""
        return 1.0 - as_float(t)

    def sigma(self, t):
        """The time itself."""
        return as_float(t)

    def drift(self, t):
        """-1 / (1 - t)."""
        return -1 / self.alpha(t)

    def diffusion(self, t):
        """sqrt(2 t / (1 - t))."""
        return jnp.sqrt(2 * self.sigma(t) / self.alpha(t))

    def log_snr(self, t):
        """2 log((1 - t) / t)."""
        return 2 * (jnp.log1p(-as_float(t)) - jnp.log(self.sigma(t)))

    def time(self, log_snr):
        """The inverse of `log_snr`."""
        return jax.nn.sigmoid(-0.5 * log_snr)

    def equilibrium_std(self, t):
        """sqrt(t)."""
        return jnp.sqrt(self.sigma(t))


@dataclass(frozen=True)
class SubVP(Process):
    """Sub-VP (arXiv 2011.13456): alpha as `VPLinear`, sigma = 1 - alpha^2.

    p_eq = N(0, (1 - alpha^4) I). The equilibrium moves with t and is a point at t = 0, so use
    t > 0. Raises InputError unless 0 < beta_min <= beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 16.0

    def __post_init__(self):
        _check_betas(self)

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
        check_positive(self, "sigma_min", "sigma_max")
        remedy = f"give less than sigma_max, {self.sigma_max}"
        check(self.sigma_min < self.sigma_max, "sigma_min", self.sigma_min, remedy)

    @property
    def log_ratio(self) -> float:
        """log(sigma_max / sigma_min), the growth rate of sigma."""
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t):
        """One, at every time."""
        return jnp.ones(jnp.shape(t), float_type(t))

    def sigma(self, t):
        """sigma_min (sigma_max/sigma_min)^t."""
        # From its largest value, where x_0 = x_t - sigma eps needs every digit.
        return self.sigma_max * jnp.exp(self.log_ratio * (as_float(t) - 1))

    def drift(self, t):
        """Zero, at every time."""
        return jnp.zeros(jnp.shape(t), float_type(t))

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
        return jnp.full(jnp.shape(t), jnp.inf, float_type(t))


@dataclass(frozen=True)
class EDM(VE):
    """The variance exploding process in the clock of arXiv 2206.00364.

    alpha = 1, sigma^(1/rho) is linear in t: uniform steps of t are that paper's steps, and as rho
    grows it becomes `VE`. The network F of that paper at sigma_data = 1 is -v of
    `parameterization`. Raises InputError unless 0 < sigma_min < sigma_max and rho >= 1: for less,
    sigma near t = 0 is lost to rounding.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "rho")
        check_least(self, 1, "rho")

    @property
    def fall(self) -> float:
        """1 - (sigma_min/sigma_max)^(1/rho)."""
        return -math.expm1(-self.log_ratio / self.rho)

    def sigma(self, t):
        """sigma_max (1 - fall (1 - t))^rho."""
        return self.sigma_max * jnp.exp(self.rho * self._log_base(t))

    def diffusion(self, t):
        """The coefficient sqrt(2 sigma d(sigma)/dt)."""
        return self.sigma(t) * jnp.sqrt(2 * self.rho * self.fall * jnp.exp(-self._log_base(t)))

    def log_snr(self, t):
        """-2 log(sigma)."""
        return -2 * (math.log(self.sigma_max) + self.rho * self._log_base(t))

    def time(self, log_snr):
        """The inverse of `log_snr`."""
        log_base = (-0.5 * log_snr - math.log(self.sigma_max)) / self.rho
        return 1 + jnp.expm1(log_base) / self.fall

    def _log_base(self, t):
        return jnp.log1p(-self.fall * (1 - as_float(t)))


def _linear_decay(t, beta_min, beta_max):
    """int_0^t beta for linear beta."""
    return t * (beta_min + 0.5 * (beta_max - beta_min) * t)


def _linear_time(decay, beta_min, beta_max):
    """Positive root of `_linear_decay` = decay, in the form without cancellation."""
    return 2 * decay / (beta_min + jnp.sqrt(beta_min**2 + 2 * (beta_max - beta_min) * decay))


def _check_betas(process):
    check_positive(process, "beta_min", "beta_max")
    holds = process.beta_min <= process.beta_max
    remedy = f"give no more than beta_max, {process.beta_max}"
    check(holds, "beta_min", process.beta_min, remedy)
