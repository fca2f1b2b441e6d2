"""Likelihood of a diffusion model, term by term, in nats; and in bits a dimension.

For any noise levels lambda from low to high, and any x_hat (arXiv 2107.00630),

    -log p(x) <= KL(q(x_low|x) || N(0, I))                                prior
               + 1/2 int e^lambda E|x - x_hat(x_lambda)|^2 d(lambda)      diffusion
               + E[-log p(x|x_high)]                                      reconstruction

For discrete data p(x|x_high) is any law over the values, and the bound L(x) is a code length:
sum_x exp(-L(x)) <= 1, which `kraft` tests. As low falls it becomes -log p(x) itself, for every x,
where x_hat and p(x|x_high) are those of the law p. A *warm start* is a low `high`: the diffusion
has less to do, and the reconstruction pays for it.

The *information-theoretic quantity* of arXiv 2510.20903 has no reconstruction term. It is

    it_nll = D/2 log(2 pi e) + 1/2 int alpha^2 E|eps - eps_hat|^2 d(lambda)

and is no code length of discrete data: as the start gets warmer it falls to D/2 log(2 pi e),
whatever the entropy. We report it under its own name.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.alphabet import values_of
from diffenc.diffusion.noise_levels import Levels, stratified_uniform
from diffenc.diffusion.parameterization import alpha_sigma

LOG_2PI_E = float(np.log(2 * np.pi * np.e))


class Terms(NamedTuple):
    """The parts of a bound on -log p(x), each [batch] in nats.

    Attributes:
        prior: KL(q(x_low|x) || N(0, I)), closed.
        diffusion: the integral over noise.
        reconstruction: E[-log p(x|x_high)].
        weighted: the integral with weight alpha^2 in addition, of which `it_nll` is made; no part
            of the bound.
    """

    prior: jax.Array
    diffusion: jax.Array
    reconstruction: jax.Array
    weighted: jax.Array

    @property
    def total(self) -> jax.Array:
        """The bound."""
        return self.prior + self.diffusion + self.reconstruction


class Integrals(NamedTuple):
    """Draws of the two integrals over noise, each [batch] in nats.

    Attributes:
        diffusion: 1/2 int e^lambda E|x - x_hat|^2, the likelihood's.
        weighted: the same with weight alpha^2 in addition, that of `it_nll`.
    """

    diffusion: jax.Array
    weighted: jax.Array


def prior(x: jax.Array, low: float) -> jax.Array:
    """Compute KL(q(x_low|x) || N(0, I)) [batch], in nats.

    Args:
        x: data [batch, ...].
        low: the smallest lambda.
    """
    signal = jax.nn.sigmoid(low)  # alpha^2, and sigma^2 = 1 - alpha^2
    flat = x.reshape(len(x), -1)
    square = jnp.sum(jnp.square(flat), axis=-1)
    return 0.5 * (signal * square - flat.shape[1] * (signal + jnp.log1p(-signal)))


def draw_errors(
    key: jax.Array, denoise: Callable, x: jax.Array, levels: Levels
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw 1/2 e^lambda |x - x_hat|^2 at one noise level for each example.

    Args:
        key: of levels, stratified over the batch, and of noise.
        denoise: (x_t [batch, ...], log_snr [batch]) -> x_hat, like x_t.
        x: data [batch, ...].
        levels: the density of lambda.

    Returns:
        (errors, log_snr, density), each [batch]. The mean of errors / density is the integral.
    """
    key_level, key_eps = jax.random.split(key)
    log_snr, density = levels.draw(stratified_uniform(key_level, (len(x),)))
    x_t = noised(key_eps, x, log_snr)
    square = jnp.sum(jnp.square(x - denoise(x_t, log_snr)).reshape(len(x), -1), axis=-1)
    return 0.5 * jnp.exp(log_snr) * square, log_snr, density


def noised(key: jax.Array, x: jax.Array, log_snr: jax.Array) -> jax.Array:
    """Draw x_t = alpha x + sigma eps of x [batch, ...] at lambda [batch]."""
    alpha, sigma = alpha_sigma(log_snr.reshape((-1,) + (1,) * (x.ndim - 1)))
    return alpha * x + sigma * jax.random.normal(key, x.shape, x.dtype)


def integrals(
    key: jax.Array, denoise: Callable, x: jax.Array, levels: Levels, draws: int
) -> Integrals:
    """Estimate the integrals over noise, by draws that are stratified for each example.

    Args:
        key: of levels and noise.
        denoise: (x_t [draws, ...], log_snr [draws]) -> x_hat.
        x: data [batch, ...].
        levels: the density of lambda.
        draws: noise levels for each example.

    Returns:
        Their estimates, [batch] each.
    """

    def of_example(key, x):
        x = jnp.broadcast_to(x[None], (draws, *x.shape))
        error, log_snr, density = draw_errors(key, denoise, x, levels)
        ratio = error / density
        return Integrals(ratio.mean(), (jax.nn.sigmoid(log_snr) * ratio).mean())

    def body(pair):
        return of_example(*pair)

    return jax.lax.map(body, (jax.random.split(key, len(x)), x))


def continuous_terms(
    key: jax.Array, denoise: Callable, x: jax.Array, levels: Levels, draws: int
) -> Terms:
    """Bound -log p(x), a density, of real-valued x [batch, ...].

    x is read off x_high by N(x; x_high / alpha, (sigma / alpha)^2), whose expected negative
    logarithm is closed.

    Args:
        key: of levels and noise.
        denoise: (x_t [draws, ...], log_snr [draws]) -> x_hat.
        x: data [batch, ...].
        levels: the density of lambda; its `low` and `high` are those of the model.
        draws: noise levels for each example.
    """
    diffusion, weighted = integrals(key, denoise, x, levels, draws)
    reconstruction = jnp.full(len(x), 0.5 * x[0].size * (LOG_2PI_E - levels.high))
    return Terms(prior(x, levels.low), diffusion, reconstruction, weighted)


def discrete_terms(
    key: jax.Array, denoiser, params, marginals, x: jax.Array, levels: Levels, draws: int
) -> Terms:
    """Bound -log P(x) of whole numbers x [batch, ..., c].

    Args:
        key: of levels and noise.
        denoiser: a `grid_denoiser.GridDenoiser`.
        params: of its network.
        marginals: of its data.
        x: values.
        levels: the density of lambda; its `low` and `high` are those of the model.
        draws: noise levels for each example, and draws of x_high.
    """
    key_noise, key_start = jax.random.split(key)
    codes = denoiser.alphabet.encode(x)

    def denoise(x_t, log_snr):
        return denoiser.denoise(params, marginals, x_t, log_snr)

    diffusion, weighted = integrals(key_noise, denoise, codes, levels, draws)

    def reconstruction(key):
        log_snr = jnp.full(len(x), levels.high)
        x_high = noised(key, codes, log_snr)
        log_prob = values_of(denoiser.log_prob(params, marginals, x_high, log_snr), x)
        return -log_prob.reshape(len(x), -1).sum(axis=-1)

    reconstructions = jax.lax.map(reconstruction, jax.random.split(key_start, draws))
    return Terms(prior(codes, levels.low), diffusion, reconstructions.mean(axis=0), weighted)


def it_nll(weighted: jax.Array, dim: int) -> jax.Array:
    """Compute the information-theoretic quantity of arXiv 2510.20903, in nats.

    Args:
        weighted: see `Integrals`.
        dim: D, of one example.
    """
    return 0.5 * dim * LOG_2PI_E + weighted


def bits_per_dim(nats, dim: int):
    """Turn nats of an example of `dim` numbers, such as a `Terms.total`, into bits a number."""
    return nats / (dim * np.log(2))
