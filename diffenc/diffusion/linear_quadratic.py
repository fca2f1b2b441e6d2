"""The linear-quadratic problem of `control`: its value is the quadratic of Riccati's equation.

In y = x/alpha with the clock w = (sigma/alpha)^2 the problem has no drift and g = 1. With a cost of
the state 1/2 (y-m)^T Q (y-m) for each unit of w, and at w = 0 the end cost 1/2 (y-m)^T F (y-m),

    V = 1/2 (y-m)^T P (y-m) + 1/2 int_0^w tr P + D log(alpha),    dP/dw = Q - P^2,   P(0) = F

(the Riccati equation). With S = Q^(1/2), T = tanh(w S) and K = sech(w S) its solution is

    P = S T + K F (1 + S^-1 T F)^-1 K,    int_0^w tr P = log det cosh(w S) + log det(1 + S^-1 T F)

which for one dimension is s tanh(w s + artanh(F/s)) where F < s. Without Q, P = (F^-1 + w)^-1: V is
-log p_t of N(m, F^-1) up to a constant, and the best control is g^2 times its score.
"""

import jax
import jax.numpy as jnp
from flax import struct

from diffenc.diffusion.gaussians import LOG_2PI, exact
from diffenc.diffusion.linear_process import Process, expand
from diffenc.errors import InputError


@struct.dataclass
class LinearQuadratic:
    """A problem of quadratic costs; its methods raise InputError where shapes do not fit.

    Attributes:
        centre: m [D], where both costs are 0.
        end_cost: F [D, D], symmetric and positive semidefinite.
        state_cost: Q [D, D], the same.
    """

    centre: jax.Array
    end_cost: jax.Array
    state_cost: jax.Array

    def _check(self):
        shape = (*jnp.shape(self.centre), *jnp.shape(self.centre))
        for name in ("end_cost", "state_cost"):
            if len(shape) != 2 or jnp.shape(getattr(self, name)) != shape:
                shapes = f"{jnp.shape(getattr(self, name))} but centre {jnp.shape(self.centre)}"
                raise InputError(f"{name} has shape {shapes}: give [D, D] for a centre [D]")

    @exact
    def riccati(self, clock: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Solve Riccati's equation at one time.

        Args:
            clock: w, a scalar of 0 or more.

        Returns:
            P [D, D], and 1/2 int_0^w tr P in nats.
        """
        self._check()
        square, axes = jnp.linalg.eigh(self.state_cost)
        end_cost = axes.T @ self.end_cost @ axes
        rate = jnp.sqrt(jnp.maximum(square, 0.0))
        # Where a rate is 0 the length tanh(w s) / s is w, and that of so small a rate is too.
        rate = jnp.maximum(rate, jnp.finfo(rate.dtype).tiny ** 0.25)
        phase = clock * rate
        tanh = jnp.tanh(phase)
        sech = 1 / jnp.cosh(jnp.minimum(phase, 40.0))
        length = tanh / rate
        middle = jnp.eye(len(rate), dtype=rate.dtype) + length[:, None] * end_cost
        inner = end_cost @ jnp.linalg.inv(middle)
        matrix = jnp.diag(rate * tanh) + sech[:, None] * inner * sech[None]
        log_cosh = phase + jnp.log1p(jnp.exp(-2 * phase)) - jnp.log(2.0)
        half_trace = 0.5 * (jnp.sum(log_cosh) + jnp.linalg.slogdet(middle)[1])
        matrix = axes @ (0.5 * (matrix + matrix.T)) @ axes.T
        return matrix, half_trace

    @exact
    def value(self, process: Process, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute V.

        Args:
            process: the forward process.
            x: points [batch, D].
            t: times [batch], or one of all points: Riccati's equation is then solved once.

        Returns:
            [batch], in nats.
        """

        def at_time(x, t):
            alpha, y, slope, half_trace = self._along(process, x, t)
            square = jnp.sum(y * slope, axis=1)
            return 0.5 * square + half_trace + x.shape[1] * jnp.log(alpha)

        return _at_times(at_time, x, t)

    @exact
    def score(self, process: Process, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute -grad V = -P (y - m) / alpha; g^2 times it is the best control.

        Args:
            process: the forward process.
            x: points [batch, D].
            t: times, as in `value`.

        Returns:
            [batch, D].
        """

        def at_time(x, t):
            alpha, _, slope, _ = self._along(process, x, t)
            return -slope / alpha

        return _at_times(at_time, x, t)

    def _along(self, process, x, t):
        """Give alpha, y - m [batch, D], P (y - m) and 1/2 int tr P, at one time t of all x."""
        alpha = process.alpha(t)
        matrix, half_trace = self.riccati(jnp.square(process.sigma(t) / alpha))
        y = x / alpha - self.centre[None]
        return alpha, y, y @ matrix, half_trace

    @exact
    def potential(self, process: Process, x: jax.Array, t: jax.Array) -> jax.Array:
        """Compute q = 1/2 (y-m)^T Q (y-m) dw/dt, with dw/dt = g^2 / alpha^2.

        Args:
            process: the forward process.
            x: points [batch, D].
            t: times, as in `value`.

        Returns:
            [batch], in nats for each unit of t.
        """
        alpha = process.alpha(t)
        y = x / expand(alpha, x) - self.centre[None]
        cost = 0.5 * jnp.sum(y * (y @ self.state_cost.T), axis=1)
        return cost * jnp.square(process.diffusion(t) / alpha)

    def log_normalizer(self) -> jax.Array:
        """Compute log int exp(-1/2 (y-m)^T F (y-m)) dy: V plus it is -log p_t where Q = 0."""
        size = self.centre.size
        return 0.5 * (size * LOG_2PI - jnp.linalg.slogdet(self.end_cost)[1])


def _at_times(at_time, x, t):
    """Apply at_time(x [n, D], t) to x at one time t, or to every x at a time of its own."""
    if jnp.ndim(t) == 0:
        return at_time(x, t)
    return jax.vmap(lambda x, t: at_time(x[None], t)[0])(x, t)
