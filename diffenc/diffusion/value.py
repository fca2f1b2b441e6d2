"""The value function V = -log p_t of a diffusion, and how far any V or score is from being one.

The logarithm of the Fokker-Planck equation of dx = f x dt + g dB is

    dV/dt = f D + q - f x.grad V + g^2/2 lap V - g^2/2 |grad V|^2,      q = 0

which, in reverse time, is the Hamilton-Jacobi-Bellman equation of the problem in `control`: the
least action from (x, t) is V(x, t), and the best control is -g^2 grad V (arXiv 2310.04490, where
q = 0). Its gradient, for s = -grad V, is the equation that a score obeys (arXiv 2210.04296),

    ds/dt = grad [ g^2/2 (div s + |s|^2) - f x.s ]                      (q = 0)

Residuals are the difference of the two sides for each unit of lambda = log_snr, dt = -sigma^2/g^2
d(lambda), and so are nats (of V) or numbers in units of eps (of sigma s): the same for every
process.

In the coordinates y = x/alpha with the clock w = (sigma/alpha)^2 every linear process is Brownian
motion. There the Hamiltonian dV/dw = 1/2 lap V - 1/2 |grad V|^2, V = -log of the density of y, does
not depend on the clock, and is conserved: along optimal paths it is a martingale.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.gaussians import Gaussian, GaussianMixture, exact
from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.profiles import sum_over_data
from diffenc.errors import check_whole


def value_of(density: Gaussian | GaussianMixture, process: Process) -> Callable:
    """Make the value function of a density, V(x [batch, D], t [batch]) = -log p_t(x) [batch].

    Args:
        density: the law of the data.
        process: the forward process.

    Returns:
        V, in nats.
    """

    def at_one(x, t):
        return -density.diffused(process, t).log_prob(x[None])[0]

    return jax.vmap(at_one)


def random_signs(key: jax.Array, num_probes: int, x: jax.Array) -> jax.Array:
    """Draw probes for `divergence`: random signs [num_probes, *x.shape].

    Args:
        key: the key of the signs.
        num_probes: number of probes, 1 or more.
        x: points [batch, ...].

    Returns:
        The signs, in the type of x.

    Raises:
        InputError: for fewer than one probe.
    """
    check_whole("num_probes", num_probes, 1)
    return jax.random.rademacher(key, (num_probes, *x.shape), x.dtype)


def divergence(field: Callable, x: jax.Array, probes: jax.Array | None = None) -> jax.Array:
    """Compute the divergence of a vector field at every point.

    Args:
        field: x [batch, ...] -> [batch, ...]; each example depends on that example alone.
        x: points [batch, ...].
        probes: None for the exact divergence, by one tangent for every dimension; or random signs
            of `random_signs`, whose mean of v.(dfield v) is unbiased.

    Returns:
        [batch].
    """
    if probes is None:
        size = x[0].size
        basis = jnp.eye(size, dtype=x.dtype).reshape(size, 1, *x.shape[1:])
        tangents = jnp.broadcast_to(basis, (size, *x.shape))
        return jnp.sum(_directional(field, x, tangents), axis=0)
    return jnp.mean(_directional(field, x, probes), axis=0)


def _directional(field, x, tangents):
    """Compute v.(dfield v) for every v of tangents [K, batch, ...]: [K, batch]."""

    def along(v):
        return sum_over_data(v * jax.jvp(field, (x,), (v,))[1])

    return jax.vmap(along)(tangents)


@exact
def hjb_residual(
    value_fn: Callable,
    process: Process,
    x: jax.Array,
    t: jax.Array,
    potential: Callable | None = None,
    probes: jax.Array | None = None,
) -> jax.Array:
    """Compute the residual of the Hamilton-Jacobi-Bellman equation of any V.

    Args:
        value_fn: V(x [batch, ...], t [batch]) -> [batch] in nats; each value depends on its own
            example alone.
        process: the forward process.
        x: points [batch, ...].
        t: times [batch], where sigma > 0 and g is finite.
        potential: q, as in `control.Problem`; None for 0.
        probes: of the Laplacian, as in `divergence`; None for the exact one.

    Returns:
        [batch], in nats for each unit of lambda.
    """

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(value_fn(x, t)))(x)

    slope = gradient(x)
    drift = process.drift(t)
    half_square = 0.5 * jnp.square(process.diffusion(t))
    growth = jax.jvp(lambda t: value_fn(x, t), (t,), (jnp.ones_like(t),))[1]
    side = drift * (x[0].size - sum_over_data(x * slope))
    side += half_square * (divergence(gradient, x, probes) - sum_over_data(jnp.square(slope)))
    if potential is not None:
        side += potential(x, t)
    return (side - growth) * _time_of_lambda(process, t)


@exact
def score_residual(
    score_fn: Callable,
    process: Process,
    x: jax.Array,
    t: jax.Array,
    probes: jax.Array | None = None,
) -> jax.Array:
    """Compute the residual of the equation that a score obeys, of any score, gradient or not.

    It is linear in the probes: for the mean of its square multiply two residuals of independent
    probes, as the square of one holds the variance of its probes too.

    Args:
        score_fn: s(x [batch, ...], t [batch]) -> [batch, ...]; each example's score depends on that
            example alone.
        process: the forward process.
        x: points [batch, ...].
        t: times [batch], where sigma > 0 and g is finite.
        probes: of the divergence, as in `divergence`; None for the exact one.

    Returns:
        [batch, ...]: the residual of sigma s, for each unit of lambda.
    """
    drift = process.drift(t)
    half_square = 0.5 * jnp.square(process.diffusion(t))

    def side(x):
        score = score_fn(x, t)
        square = sum_over_data(jnp.square(score))
        spread = divergence(lambda x: score_fn(x, t), x, probes) + square
        return jnp.sum(half_square * spread - drift * sum_over_data(x * score))

    growth = jax.jvp(lambda t: score_fn(x, t), (t,), (jnp.ones_like(t),))[1]
    unit = process.sigma(t) * _time_of_lambda(process, t)
    return expand(unit, x) * (growth - jax.grad(side)(x))


@exact
def hamiltonian(
    score_fn: Callable,
    process: Process,
    x: jax.Array,
    t: jax.Array,
    probes: jax.Array | None = None,
) -> jax.Array:
    """Compute the Hamiltonian -alpha^2/2 (|s|^2 + div s), dV/dw of V = -log of the law of x/alpha.

    It is conserved: along the paths of the control g^2 s its mean over noise does not change, for
    the exact score and any start. Its mean under p_t is 0.

    Args:
        score_fn: s(x [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: points [batch, ...].
        t: times [batch].
        probes: of the divergence, as in `divergence`; None for the exact one.

    Returns:
        [batch], in nats for each unit of w = (sigma/alpha)^2.
    """
    square = sum_over_data(jnp.square(score_fn(x, t)))
    spread = divergence(lambda x: score_fn(x, t), x, probes) + square
    return -0.5 * jnp.square(process.alpha(t)) * spread


def _time_of_lambda(process, t):
    """Give |dt / d(lambda)| = sigma^2 / g^2."""
    return jnp.square(process.sigma(t) / process.diffusion(t))
