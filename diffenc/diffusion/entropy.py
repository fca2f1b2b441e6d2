"""Entropy produced by a diffusion, and neural entropy, the part of it that a network holds.

With e = score - grad log p_eq, x_t = alpha x_0 + sigma eps, and g^2 dt = -sigma^2 d(lambda) for
every linear process (arXiv 2409.03817),

    S_tot = 1/2 int d(lambda) sigma^2 E|e|^2            total entropy
    S_NN  = 1/2 int d(lambda) sigma^2 E|e_theta|^2      neural entropy
    L_EM  = 1/2 int d(lambda) sigma^2 E|e_theta - e|^2  entropy-matching gap
    G     = S_tot - L_EM                                Kelly growth
    S_i                                                 S_tot of one coordinate
    i(lambda), r(t) = i |d(lambda)/dt|                  the integrand

`neural_entropy` gives S_tot of the exact score and S_NN of a network's, `path_kl` of the two gives
L_EM, `kelly_growth` gives G without the exact score, `rate` gives r. S_i and the S_tot of known
densities are in `entropy_quadrature`, draws and curves of i in `profiles`.

Each is a function of data x [batch, ...], a score_fn(x_t [batch, ...], t [batch]) and a density
over lambda (`diffenc.diffusion.noise_levels`), and returns one value per example [batch], in nats,
all independent: give them to `Estimate.of`. Matrix products are exact to float32 in all of them. An
example sees num_levels noise levels, one in each of as many equally probable cells, one at a time
in memory. score_fn gets x_t in the order of x, so a condition of shape [batch, ...] may be closed
over; for more examples than memory holds go through `estimate.map_examples`, with (x, condition) as
its data. For differences on the same draws give `profiles.profile` a dictionary of integrands.

The integrals end at the edges of the density over lambda, that is, at t_min > 0 and t_max: S_tot is
finite there even for data on a lower-dimensional set, and then depends on t_min.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.entropy_quadrature import gaussian_growth
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.noise_levels import Levels
from diffenc.diffusion.profiles import gap_integrand, growth_integrand, profile, sum_over_data


def path_kl(
    key,
    score_a: Callable,
    score_b: Callable,
    process: Process,
    x,
    levels: Levels,
    num_levels: int = 16,
):
    """Draw the relative entropy of two reverse processes (Girsanov).

    1/2 int d(lambda) sigma^2 E_a|score_a - score_b|^2. The expectation is under the first. Add the
    relative entropy at the start where it differs.

    Args:
        key: the key of levels and noise.
        score_a: the score of the diffusion of x, (x_t [batch, ...], t [batch]) -> [batch, ...].
        score_b: the other score.
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.

    Returns:
        [batch], in nats.
    """
    return profile(
        key, gap_integrand(score_a, score_b, process), process, x, levels, num_levels
    ).total()


def neural_entropy(
    key, score_fn: Callable, process: Process, x, levels: Levels, num_levels: int = 16
):
    """Draw S_NN of a network's score, or S_tot of the exact one: `path_kl` to the equilibrium.

    Args:
        key: the key of levels and noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.

    Returns:
        [batch], in nats.
    """
    return path_kl(key, score_fn, process.equilibrium_score, process, x, levels, num_levels)


def kelly_growth(
    key,
    score_fn: Callable,
    process: Process,
    x,
    levels: Levels,
    num_levels: int = 16,
    reference: Gaussian | None = None,
):
    """Draw the Kelly growth G, which needs no exact score.

    G = 1/2 int d(lambda) sigma^2 E[2 <e_theta, e_hat> - |e_theta|^2], e_hat = -eps/sigma - grad log
    p_eq. E[e_hat | x_t] = e, so on data that the network has not seen E[G] = S_tot - L_EM <= S_tot,
    whatever the network: the growth rate of a gambler who bets with the model against odds set by
    the equilibrium. sigma e_hat is bounded at low noise, and this is the v-form of it: for a fixed
    width 1/2 int d(lambda) (alpha/kappa)^2 E[2 <v_theta, v> - |v_theta|^2].

    With a Gaussian reference the growth of its own score is integrated over noise and lambda
    exactly, and only what the network adds to it is sampled: less variance, same mean.

    Args:
        key: the key of levels and noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda.
        num_levels: noise levels an example, one in each of as many equally probable cells.
        reference: a Gaussian, for x [batch, D] only; None for none.

    Returns:
        [batch], in nats.
    """
    if reference is None:
        integrand = growth_integrand(score_fn, process.equilibrium_score, process)
        return profile(key, integrand, process, x, levels, num_levels).total()

    def base(x_t, t):
        return reference.score(process, x_t, t)

    added = profile(
        key, growth_integrand(score_fn, base, process), process, x, levels, num_levels
    ).total()
    return gaussian_growth(reference, process, x, levels.low, levels.high) + added


@jax.default_matmul_precision("highest")
def rate(
    key: jax.Array, score_fn: Callable, process: Process, x: jax.Array, t: jax.Array
) -> jax.Array:
    """Draw the entropy production r(t) = 1/2 g^2 E|score - grad log p_eq|^2.

    Args:
        key: the key of the noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...].
        process: the forward process.
        x: data [batch, ...].
        t: times [T].

    Returns:
        [T, batch], in nats per unit of time.
    """

    def at_time(inputs):
        key, t = inputs
        t = jnp.full(x.shape[:1], t, x.dtype)
        x_t = process.perturb(x, jax.random.normal(key, x.shape, x.dtype), t)
        e = score_fn(x_t, t) - process.equilibrium_score(x_t, t)
        return 0.5 * jnp.square(process.diffusion(t)) * sum_over_data(jnp.square(e))

    return jax.lax.map(at_time, (jax.random.split(key, t.shape[0]), t))


def speed_limit(process: Process, t: jax.Array, rates: jax.Array) -> jax.Array:
    """Compute the bound (t - t_0) int_{t_0}^t (g^2/2) r dt >= W_2(p_{t_0}, p_t)^2.

    The probability flow moves at velocity -(g^2/2) e and carries p_{t_0} to p_t, so its action
    bounds the squared Wasserstein distance (Benamou and Brenier 2000; arXiv 2409.03817). By the
    trapezoidal rule.

    Args:
        process: the forward process.
        t: times [T].
        rates: r at these times [T, ...], from `rate`.

    Returns:
        The bound at each time [T, ...].
    """
    cost = 0.5 * jnp.square(process.diffusion(t)).reshape(-1, *(1 for _ in rates.shape[1:])) * rates
    width = jnp.diff(t).reshape(-1, *(1 for _ in rates.shape[1:]))
    action = jnp.cumsum(0.5 * width * (cost[1:] + cost[:-1]), axis=0)
    action = jnp.concatenate([jnp.zeros_like(action[:1]), action])
    return (t - t[:1]).reshape(-1, *(1 for _ in rates.shape[1:])) * action
