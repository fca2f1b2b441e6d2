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
    score     grad log p_t

v is d(x_t/r)/d(phi) at fixed x0 and eps. With a fixed width r = 1, so there entropy =
-(alpha/(kappa sigma)) v and a v-network is an entropy-matching network with a well-conditioned
output. kappa = 1 gives the usual v = alpha eps - sigma x0 and x0 = alpha x_t - sigma v. All five
are affine in one another where alpha and sigma are positive; at sigma = 0 no score comes from eps,
x0 or v, and at alpha = 0 the score determines neither x0 nor v.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.linear_process import Process, expand
from diffenc.errors import InputError

KINDS = ("eps", "x0", "v", "entropy", "score")


def alpha_sigma(log_snr: jax.Array) -> tuple[jax.Array, jax.Array]:
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
    return score


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
    score = to_score(process, kind, out, x_t, t)
    new_out = from_score(process, new_kind, score, x_t, t)
    return out if kind == new_kind else new_out


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


def _check_kind(kind):
    if kind not in KINDS:
        raise InputError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
