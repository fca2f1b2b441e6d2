"""The density of what a score function samples by the probability flow.

For any linear process y = x_t / r, r = sqrt(alpha^2 + (sigma/kappa)^2), moves by dy/dphi = v in the
angle phi = atan2(sigma/kappa, alpha), with v of the score by `parameterization` (arXiv 2011.13456,
2202.00512). So `angle_flow` follows it and the change of volume, for every process, and

    log p(x_t) = log p_1(x_1) + log|det dy_1/dy_t| + D log(r_1 / r_t)

The change of volume is known in one of two ways, and the result says which:

    exact        the determinant of every step: a density that integrates to one at any number of
                 steps, unless they fold the space (`angle_flow.angle_flow_folds`). D tangents a
                 step.
    hutchinson   int div v dphi by random signs, averaged over probes. Unbiased but for the steps,
                 with an error that the probes show; NO bound, and no density of any sampler.

log p is the density of x at t_min, noise of standard deviation sigma(t_min) included. Its steps are
even in asinh(phi / finest): where data have structure of standard deviation kappa finest, v varies
over angles of size `finest` and steps have to be shorter; above it they grow with phi.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from diffenc.diffusion.angle_flow import (
    HALF_PI,
    angle_flow_with_hutchinson,
    angle_flow_with_log_det,
    check_num_steps,
)
from diffenc.diffusion.gaussians import LOG_2PI
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.parameterization import from_score
from diffenc.errors import InputError, check, check_positive, check_whole


class FlowDensity(struct.PyTreeNode):
    """Points at both ends of the flow and the log density there.

    Attributes:
        log_prob: log p of the points at t_min, [batch] in nats.
        stderr: its standard error over the probes, [batch] in nats; 0 if it is exact.
        x: the points at the end of the way, [batch, ...]: at t = 1 from `Flow.log_prob`, at t_min
            from `Flow.sample`.
        divergence: "exact" or "hutchinson": how the change of volume is known.
    """

    log_prob: jax.Array
    stderr: jax.Array
    x: jax.Array
    divergence: str = struct.field(pytree_node=False)


@dataclasses.dataclass(frozen=True)
class Flow:
    """A probability flow, its steps and its ends.

    Raises InputError for a bad num_steps, t_min or finest.

    Attributes:
        process: the forward process.
        num_steps: number of Heun steps; the error is of second order in the step.
        t_min: the time at which densities are evaluated, above 0 where sigma(0) = 0.
        finest: the standard deviation of the finest structure of the data, in units of kappa, the
            process's `scale`.
        log_prior: log density at t = 1, x [batch, ...] -> [batch]; None for N(0, (kappa r)^2 I),
            that of data of mean 0 and variance kappa^2.
    """

    process: Process
    num_steps: int
    t_min: float = 1e-3
    finest: float = 1.0
    log_prior: Callable | None = None

    def __post_init__(self):
        check_num_steps(self.num_steps)
        check_positive(self, "finest")
        check(0 <= self.t_min < 1, "t_min", self.t_min, "give a small time such as 1e-3")

    def log_prob(
        self,
        score_fn: Callable,
        x: jax.Array,
        key: jax.Array | None = None,
        num_probes: int = 0,
    ) -> FlowDensity:
        """Evaluate the log density of x at t_min.

        Args:
            score_fn: the score, (x [batch, ...], t [batch]) -> [batch, ...]; each example's score
                must depend on that example alone.
            x: points at t_min, [batch, ...]. Refuse padded data before, by `check_dimensions`.
            key: of random signs; None for the exact determinant.
            num_probes: random signs for each example, 2 or more with a key.

        Returns:
            The density, and the points at t = 1.

        Raises:
            InputError: unless key and probes go together, and for t_min = 0 where sigma(0) = 0.
        """
        end, log_det, stderr = self._follow(score_fn, x, key, num_probes, (self.t_min, 1.0))
        return FlowDensity(self._at_one(end) + log_det, stderr, end, _name(key))

    def sample(
        self,
        score_fn: Callable,
        x: jax.Array,
        key: jax.Array | None = None,
        num_probes: int = 0,
    ) -> FlowDensity:
        """Sample at t_min from points at t = 1, each with its log density: `log_prob` backwards.

        Both ways take the same steps, and there and back errs by the third order.

        Args:
            score_fn: the score, as in `log_prob`.
            x: points at t = 1, [batch, ...].
            key: as in `log_prob`.
            num_probes: as in `log_prob`.

        Returns:
            The density, and the points at t_min.

        Raises:
            InputError: as in `log_prob`.
        """
        end, log_det, stderr = self._follow(score_fn, x, key, num_probes, (1.0, self.t_min))
        return FlowDensity(self._at_one(x) - log_det, stderr, end, _name(key))

    def _follow(self, score_fn, x, key, num_probes, times):
        """Follow x between two times; give log|det| of the way and its error too."""
        remedy = "give a key and 2 or more, or neither"
        check((key is None) == (num_probes == 0), "num_probes", num_probes, remedy)
        start = self._clock(times[0], x.dtype)
        stop = self._clock(times[1], x.dtype)
        width_start = self.process.radius(jnp.full((), times[0], x.dtype))
        width_stop = self.process.radius(jnp.full((), times[1], x.dtype))
        y = x.reshape(len(x), -1) / width_start
        v_fn = self._velocity(score_fn, x.shape)
        stderr = jnp.zeros_like(y[:, 0])
        if key is None:
            y, log_det = angle_flow_with_log_det(v_fn, y, self.num_steps, start, stop)
        else:
            check_whole("num_probes", num_probes, 2)
            keys = jax.random.split(key, num_probes)

            def probe(key):
                return angle_flow_with_hutchinson(key, v_fn, y, self.num_steps, start, stop)

            ends, integrals = jax.vmap(probe)(keys)
            y = ends[0]  # the probes leave the points where they are
            log_det = integrals.mean(axis=0)
            stderr = integrals.std(axis=0, ddof=1) / math.sqrt(num_probes)
        log_det = log_det + y.shape[1] * jnp.log(width_stop / width_start)
        return (width_stop * y).reshape(x.shape), log_det, stderr

    def _velocity(self, score_fn, shape):
        """Make dy/ds = v dphi/ds of flat y [batch, D], where s = asinh(phi / finest)."""
        process = self.process

        def v_fn(y, s):
            phi = self.finest * jnp.sinh(s)
            # At alpha = 0 a score cannot tell v, see `samplers`.
            phi = jnp.minimum(phi, HALF_PI - math.sqrt(jnp.finfo(y.dtype).eps))
            t = process.time_at_angle(phi)
            x = (process.radius(t)[:, None] * y).reshape(shape)
            v = from_score(process, "v", score_fn(x, t), x, t)
            return (self.finest * jnp.cosh(s))[:, None] * v.reshape(y.shape)

        return v_fn

    def _clock(self, t, dtype):
        """The clock s at a time."""
        with jax.ensure_compile_time_eval():
            phi = float(self.process.angle(jnp.full((), t, dtype)))
        if not phi > 0:
            name = type(self.process).__name__
            raise InputError(f"t_min={t} is where {name} has sigma = 0: give a time such as 1e-3")
        return math.asinh(phi / self.finest)

    def _at_one(self, x):
        """The log density at t = 1."""
        if self.log_prior is not None:
            return self.log_prior(x)
        width = self.process.scale * self.process.radius(jnp.ones((), x.dtype))
        flat = x.reshape(len(x), -1) / width
        log_norm = flat.shape[1] * (0.5 * LOG_2PI + jnp.log(width))
        return -0.5 * jnp.sum(jnp.square(flat), axis=1) - log_norm


def check_dimensions(x, name: str = "x") -> None:
    """Raise an InputError where a coordinate of continuous data is constant, such as padding.

    It has an infinite density, and would count as a number of bits_per_dim. Discrete data may be
    constant somewhere: there a number that is known costs 0 bits.

    Args:
        x: data [n, ...], n >= 2.
        name: what the message calls it.
    """
    flat = np.asarray(x).reshape(len(x), -1)
    constant = int(np.sum(flat.min(axis=0) == flat.max(axis=0)))
    remedy = "leave them out, for padding has no density"
    check(constant == 0, f"number of constant coordinates of {name}", constant, remedy)


def _name(key):
    return "exact" if key is None else "hutchinson"
