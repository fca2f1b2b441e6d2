"""Cross-fitted estimate of D = E KL(p(r|y) || N(0, I)) by two networks.

Each network is trained on one half of the data and evaluated on the other. For r with mean 0 and
covariance I, in the logarithm lambda of the signal-to-noise ratio (arXiv 2409.03817),

    D = 1/2 int d(lambda) alpha^2 E|E[v | r_l, y]|^2,
    r_l = alpha r + sigma eps,   v = alpha eps - sigma r      (the v of `parameterization`).

The outputs o_a and o_b of the two networks are f, what both learn of E[v | r_l, y], and errors that
are independent of each other. On examples that one of them was not trained on,

    P = 1/2 int alpha^2 E<v, o>         `Products.held`      estimates <E[v|r_l,y], f>
    X = 1/2 int alpha^2 E<o_a, o_b>     `Products.cross`     estimates |f|^2
    O = 1/2 int alpha^2 E|o|^2          `Products.own`       estimates |f|^2 + |errors|^2

2P - O is the growth rate of a gambler who bets by the network (Kelly), a lower bound of D. With the
best common factor for the output, and without its error, the bound is P^2 / X. O alone is the
neural entropy of the network.

A network is a mixture of Gaussians, whose v is known in closed form, plus a rest (see `fitting`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from diffenc.compilation import jit_sooner
from diffenc.diffusion.noise_levels import Logistic
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.information.settings import Settings
from diffenc.information.training.halves import Halves
from diffenc.keys import split_key
from diffenc.networks import ResidualDenoiser

# Range of lambda. Less than 0.1 % of the growth of a shift lies outside, and only details finer
# than 0.7 % of a standard deviation.
LOG_SNR = (-7.0, 10.0)
# The law from which lambda is drawn.
LEVELS = Logistic(*LOG_SNR, location=1.3, scale=1.4)
# Up to so many blocks of examples, evaluating them takes less time than compiling how.
FEW_BLOCKS = 4


def draw_log_snr(
    key: jax.Array, n: int, draws: int, part: int | jax.Array = 0, parts: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Draw lambda by strata of LEVELS.

    Args:
        key: a key.
        n: number of examples.
        draws: number of strata. Draw k lies between the quantiles k / draws and (k + 1) / draws.
        part: which part of each stratum to draw from.
        parts: number of equal parts of a stratum. All parts together are draws * parts strata.

    Returns:
        lambda [n, draws] and alpha^2 / density [n, draws].
    """
    within = (part + jax.random.uniform(key, (n, draws))) / parts
    log_snr, density = LEVELS.draw((jnp.arange(draws)[None] + within) / draws)
    return log_snr, jax.nn.sigmoid(log_snr) / density


def edges(draws: int) -> np.ndarray:
    """Compute the bounds [draws + 1] of the strata of `draw_log_snr`.

    They are quantiles of LEVELS in float64: in float32 the last one misses LOG_SNR by 3e-5.
    """
    low = 1 / (1 + np.exp((LEVELS.location - LEVELS.low) / LEVELS.scale))
    high = 1 / (1 + np.exp((LEVELS.location - LEVELS.high) / LEVELS.scale))
    u = np.linspace(low, high, draws + 1)
    return LEVELS.location + LEVELS.scale * (np.log(u) - np.log1p(-u))


def add_noise(r: jax.Array, eps: jax.Array, log_snr: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute r_l = alpha r + sigma eps and v = alpha eps - sigma r.

    Args:
        r: residuals [n, dim].
        eps: noise [n, k, dim].
        log_snr: lambda [n, k].

    Returns:
        r_l [n, k, dim] and v [n, k, dim].
    """
    alpha, sigma = alpha_sigma(log_snr[:, :, None])
    r = r[:, None]
    return alpha * r + sigma * eps, alpha * eps - sigma * r


def make_network(dim: int, settings: Settings) -> ResidualDenoiser:
    """Make the network for residuals of dim coordinates."""
    width = settings.denoiser.width
    depth = settings.denoiser.depth
    return ResidualDenoiser(dim, (width,) * 2, (width,) * depth, settings.mixture.components)


class Products(NamedTuple):
    """Products of v and outputs per example and stratum of lambda, [2, n, strata] each.

    Each is 1/2 alpha^2 times a product of vectors, integrated over the stratum.

    Attributes:
        held: <v, o>, where o is the output of the network that was not trained on the example.
        cross: <o_a, o_b>.
        own: |o|^2, for the same o as in `held`.
        tilt: <v - o, g>, where g is the prediction of v by `predict_without_y`.
    """

    held: np.ndarray
    cross: np.ndarray
    own: np.ndarray
    tilt: np.ndarray


def predict_without_y(
    linear: jax.Array, factor: jax.Array, r_l: jax.Array, log_snr: jax.Array
) -> jax.Array:
    """Compute g = E[v | x_l] for white Gaussian x, of one who knows neither y nor `linear`.

    x_l = alpha linear + factor r_l is the noisy x; g is what it says about v by itself.

    Args:
        linear: the prediction of x by the regression [n, dim].
        factor: x = linear + factor r [dim, dim].
        r_l: noisy residuals [n, k, dim].
        log_snr: lambda [n, k].

    Returns:
        g [n, k, dim].
    """
    alpha, sigma = alpha_sigma(log_snr[:, :, None])
    # x = factor (linear + r) from here on.
    linear = solve_triangular(factor, linear.T, lower=True).T[:, None]
    inverse = solve_triangular(factor, jnp.eye(len(factor)), lower=True)
    variance, axes = jnp.linalg.eigh(jnp.matmul(inverse, inverse.T, precision="highest"))
    variance = jnp.maximum(variance, 1.0)[None, None]  # x varies more than its residual
    shrunk = alpha * sigma * (variance - 1) / (jnp.square(alpha) * variance + jnp.square(sigma))
    return sigma * linear - (shrunk * ((r_l + alpha * linear) @ axes)) @ axes.T


def judge(
    params, key: jax.Array, halves: Halves, settings: Settings, parts: int = 1, tilted: bool = False
) -> Products:
    """Evaluate both networks on all examples, with eps of both signs.

    Args:
        params: of both networks.
        key: a key.
        halves: the data in the coordinates in which they are evaluated.
        settings: of the networks and of the evaluation.
        parts: lambda has parts * settings.judge.strata strata.
        tilted: whether to compute `tilt`, which is 0 otherwise.

    Returns:
        The products.
    """
    n = halves.r.shape[1]
    blocks = -(-n // settings.judge.rows)
    halves = halves.pad(settings.judge.rows)
    judge_part = _judge_few if blocks <= FEW_BLOCKS else _judge_many
    by_part = [
        judge_part(params, part_key, halves, blocks, part, parts, settings.shape, tilted)
        for part, part_key in enumerate(split_key(key, parts))
    ]
    arrays = []
    for products in zip(*by_part, strict=True):
        stacked = np.stack(products, axis=-1)[:, :n] / parts  # [2, n, strata, parts]
        arrays.append(stacked.reshape(*stacked.shape[:2], -1))
    return Products(*arrays)


def _judge_part(params, key, halves, blocks, part, parts, settings, tilted) -> Products:
    draws = settings.judge.strata
    _, size, dim = halves.r.shape
    network = make_network(dim, settings)
    rows = jnp.arange(size).reshape(-1, settings.judge.rows)

    def judge_block(half, key, rows):
        y = halves.y[half, rows]
        linear = halves.linear[half, rows]
        factor = halves.factor[half]
        key_log_snr, key_eps = jax.random.split(key)
        log_snr, weight = draw_log_snr(key_log_snr, len(rows), draws, part, parts)
        eps = jax.random.normal(key_eps, (*log_snr.shape, dim))
        log_snr = jnp.concatenate([log_snr, log_snr], axis=1)
        eps = jnp.concatenate([eps, -eps], axis=1)
        r_l, v = add_noise(halves.r[half, rows], eps, log_snr)

        def predict(params):
            shape = network.apply(params, y, linear, method="embed")
            return network.apply(params, shape, factor, r_l, log_snr)

        def integrate(a, b):
            product = jnp.sum(a * b, axis=-1)
            return weight * (product[:, :draws] + product[:, draws:]) / (4 * draws)

        outputs = jax.vmap(predict)(params)
        o = outputs[1 - half]
        g = predict_without_y(linear, factor, r_l, log_snr) if tilted else jnp.zeros_like(v)
        return Products(
            held=integrate(v, o),
            cross=integrate(outputs[0], outputs[1]),
            own=integrate(o, o),
            tilt=integrate(v - o, g),
        )

    def judge_half(arguments):
        half, key = arguments

        def judge_next(index, products):
            block = judge_block(half, jax.random.fold_in(key, index), rows[index])
            return jax.tree.map(lambda whole, one: whole.at[index].set(one), products, block)

        zeros = jnp.zeros((*rows.shape, draws))
        products = Products(zeros, zeros, zeros, zeros)
        products = jax.lax.fori_loop(0, blocks, judge_next, products)
        return jax.tree.map(lambda a: a.reshape(size, draws), products)

    # One after the other by one piece of the program, which is traced and compiled once.
    return jax.lax.map(judge_half, (jnp.arange(2), jax.random.split(key)))


_judge_few = jit_sooner(runs="short", static_argnames=("settings", "tilted"))(_judge_part)
_judge_many = jit_sooner(static_argnames=("settings", "tilted"))(_judge_part)
