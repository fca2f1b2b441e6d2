"""What a network's output may mean, and how each meaning is turned into the score and back.

With x_t = alpha x0 + sigma eps, kappa = process.scale, r = sqrt(alpha^2 + (sigma/kappa)^2),
phi = atan2(sigma/kappa, alpha):

    eps       the noise
              score = -eps / sigma
    x0        the data
              score = -(x_t - alpha x0) / sigma^2
    v         kappa cos(phi) eps - sin(phi) x0            (arXiv 2202.00512 for kappa = 1)
              score = -x_t / (kappa r)^2 - (alpha / (kappa r sigma)) v
    entropy   score - equilibrium score                                          (arXiv 2409.03817)
    velocity  alpha' x0 + sigma' eps, the derivative in t: flow matching          (arXiv 2210.02747)
              = f x_t - (g^2/2) score = -(g^2/2) entropy, the probability flow
    score     grad log p_t

v is d(x_t/r)/d(phi) at fixed x0 and eps. With a fixed width r = 1, so there entropy =
-(alpha/(kappa sigma)) v and a v-network is an entropy-matching network with a well-conditioned
output. kappa = 1 gives the usual v = alpha eps - sigma x0 and x0 = alpha x_t - sigma v; the network
F of EDM (arXiv 2206.00364, sigma_data = 1) is -v of alpha = 1. All six are affine in one another
where alpha and sigma are positive; at sigma = 0 no score comes from eps, x0 or v, and at alpha = 0
the score determines neither x0, v nor the velocity.

An output at x_t stands for a pair (x0, eps) with alpha x0 + sigma eps = x_t. The pair knows of no
process, so `convert` goes through it: an error of rounding then grows only where the new kind
itself depends that strongly on x_t and on the old one, as eps on x0 at low noise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.linear_process import Process, as_float, expand
from diffenc.errors import InputError

KINDS = ("eps", "x0", "v", "entropy", "velocity", "score")


def alpha_sigma(log_snr: jax.Array | float) -> tuple[jax.Array, jax.Array]:
    """Give alpha and sigma of the variance-preserving process of width one at a log_snr.

    alpha^2 = sigmoid(lambda) and sigma^2 = sigmoid(-lambda), so that alpha^2 + sigma^2 = 1.

    Args:
        log_snr: lambda = log(alpha^2 / sigma^2), of any shape; infinite values are allowed.

    Returns:
        (alpha, sigma), each of the shape of log_snr.
    """
    return jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr))


def to_score(
    process: Process, kind: str, out: jax.Array, x_t: jax.Array, t: jax.Array
) -> jax.Array:
    """Compute the score that an output of this kind stands for; the equations are the module's.

    Args:
        process: the forward process.
        kind: one of KINDS.
        out: the output [batch, ...].
        x_t: where, [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        [batch, ...].

    Raises:
        InputError: for an unknown kind or unequal shapes.
    """
    alpha, sigma, width = _coefficients(process, kind, out, x_t, t)
    if kind == "eps":
        return -out / sigma
    if kind == "x0":
        return -(x_t - alpha * out) / jnp.square(sigma)
    if kind == "v":
        return -x_t / jnp.square(width) - alpha / (width * sigma) * out
    if kind == "entropy":
        return out + process.equilibrium_score(x_t, t)
    if kind == "velocity":
        return -to_pair(process, kind, out, x_t, t)[1] / sigma
    return out


def from_score(
    process: Process, kind: str, score: jax.Array, x_t: jax.Array, t: jax.Array
) -> jax.Array:
    """Compute the output of this kind that stands for a score: the inverse of `to_score`.

    Args:
        process: the forward process.
        kind: the kind of the output.
        score: the score [batch, ...].
        x_t: where, [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        [batch, ...].

    Raises:
        InputError: as in `to_score`.
    """
    alpha, sigma, width = _coefficients(process, kind, score, x_t, t)
    if kind == "eps":
        return -sigma * score
    if kind == "x0":
        return (x_t + jnp.square(sigma) * score) / alpha
    if kind == "v":
        return -(width * sigma / alpha) * (score + x_t / jnp.square(width))
    if kind == "entropy":
        return score - process.equilibrium_score(x_t, t)
    if kind == "velocity":
        half_rate = 0.5 * jnp.square(process.diffusion(t))
        return -expand(half_rate, x_t) * (score - process.equilibrium_score(x_t, t))
    return score


def to_pair(
    process: Process, kind: str, out: jax.Array, x_t: jax.Array, t: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute the data and the noise that an output of this kind stands for.

    Args:
        process: the forward process.
        kind: one of KINDS.
        out: the output [batch, ...].
        x_t: where, [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        (x0, eps), each [batch, ...]: alpha x0 + sigma eps = x_t.

    Raises:
        InputError: for an unknown kind or unequal shapes.
    """
    alpha, sigma, width = _coefficients(process, kind, out, x_t, t)
    if kind == "x0":
        return out, (x_t - alpha * out) / sigma
    if kind == "v":
        y = process.scale * x_t / width
        cos = process.scale * alpha / width
        sin = sigma / width
        return cos * y - sin * out, (sin * y + cos * out) / process.scale
    if kind == "entropy":
        # x_t + sigma^2 score = (1 - q) x_t + sigma^2 e, and 1 - q = 2 sigma sigma' / g^2.
        inverse_eq = expand(1 / jnp.square(process.equilibrium_std(t)), x_t)
        q = jnp.square(sigma) * inverse_eq
        _, sigma_rate = _rates(process, x_t, t)
        of_large_q = 2 * sigma * sigma_rate / expand(jnp.square(process.diffusion(t)), x_t)
        rest = jnp.where(q < 0.5, 1 - q, of_large_q) * x_t
        return (rest + jnp.square(sigma) * out) / alpha, sigma * (inverse_eq * x_t - out)
    if kind == "velocity":
        # x_t = alpha x0 + sigma eps and out = alpha' x0 + sigma' eps are solved for the two.
        alpha_rate, sigma_rate = _rates(process, x_t, t)
        area = alpha * sigma_rate - sigma * alpha_rate
        return (sigma_rate * x_t - sigma * out) / area, (alpha * out - alpha_rate * x_t) / area
    eps = out if kind == "eps" else -sigma * out
    return (x_t - sigma * eps) / alpha, eps


def from_pair(
    process: Process, kind: str, x0: jax.Array, eps: jax.Array, t: jax.Array
) -> jax.Array:
    """Compute the output of this kind at x_t = alpha x0 + sigma eps: the inverse of `to_pair`.

    Every kind is linear in the pair.

    Args:
        process: the forward process.
        kind: the kind of the output.
        x0: data [batch, ...].
        eps: noise [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        [batch, ...].

    Raises:
        InputError: as in `to_pair`.
    """
    alpha, sigma, width = _coefficients(process, kind, x0, eps, t)
    if kind == "x0":
        return x0
    if kind == "eps":
        return eps
    if kind == "score":
        return -eps / sigma
    if kind == "v":
        return (process.scale * process.scale * alpha * eps - sigma * x0) / width
    alpha_rate, sigma_rate = _rates(process, x0, t)
    velocity = alpha_rate * x0 + sigma_rate * eps
    if kind == "velocity":
        return velocity
    return -2 * velocity / expand(jnp.square(process.diffusion(t)), x0)


def convert(
    process: Process, kind: str, new_kind: str, out: jax.Array, x_t: jax.Array, t: jax.Array
) -> jax.Array:
    """Convert an output of one kind to that of another that stands for the same score.

    Args:
        process: the forward process.
        kind: one of KINDS.
        new_kind: another one.
        out: the output [batch, ...].
        x_t: where, [batch, ...].
        t: when, a scalar or [batch].

    Returns:
        [batch, ...].

    Raises:
        InputError: for an unknown kind or unequal shapes.
    """
    _check_kind(new_kind)
    if new_kind == "score":
        return to_score(process, kind, out, x_t, t)
    if kind in ("eps", "score") and new_kind == "entropy":  # determined where alpha = 0, too
        return from_score(process, new_kind, to_score(process, kind, out, x_t, t), x_t, t)
    x0, eps = to_pair(process, kind, out, x_t, t)
    return out if kind == new_kind else from_pair(process, new_kind, x0, eps, t)


def score_fn(process: Process, kind: str, network_fn: Callable) -> Callable:
    """Make the function score(x, t) of a network whose output is of this kind.

    Args:
        process: the forward process.
        kind: one of KINDS.
        network_fn: (x [batch, ...], t [batch]) -> [batch, ...]; a condition is closed over in it.

    Returns:
        A function of the same signature.

    Raises:
        InputError: for an unknown kind.
    """
    _check_kind(kind)

    def score(x, t):
        return to_score(process, kind, network_fn(x, t), x, t)

    return score


def _coefficients(process, kind, out, x_t, t):
    """Check an output or a score; give alpha, sigma and the width kappa r, to multiply x_t."""
    _check_kind(kind)
    if out.shape != x_t.shape:
        raise InputError(
            f"the {kind} has shape {out.shape} but x_t has {x_t.shape}: make them one shape"
        )
    width = process.scale * expand(process.radius(t), x_t)
    return expand(process.alpha(t), x_t), expand(process.sigma(t), x_t), width


def _rates(process, x, t):
    """Give the derivatives of alpha and sigma in t, to multiply x."""
    t = as_float(t)
    one = jnp.ones_like(t)
    _, alpha_rate = jax.jvp(process.alpha, (t,), (one,))
    _, sigma_rate = jax.jvp(process.sigma, (t,), (one,))
    return expand(alpha_rate, x), expand(sigma_rate, x)


def _check_kind(kind):
    if kind not in KINDS:
        raise InputError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
