"""Bounds of log p(x) from both sides, by annealing from a Gaussian to the decoder's posterior.

In the coordinates y = W^-1 (z - m) of the Gaussian N(m(x), W(x) W(x)^T), a path of unnormalized
densities leads from N(0, I), which is sampled exactly, to the posterior, whose constant is p(x):

    log f_beta(y) = log N(y; 0, I) + beta u(y)
    u(y) = log p(x, m + W y) + log det W - log N(y; 0, I)
    log w = sum_t (beta_t - beta_(t-1)) u(y_(t-1)),   0 = beta_0 < ... < beta_T = 1

`forward` draws y_0 and moves y_(t-1) to y_t by a Markov chain that leaves f_(beta_t) invariant.
Then E[w] = p(x) at any T, however badly the chain mixes (annealed importance sampling, Neal 2001,
physics/9803008), and `lower` is a lower bound in expectation. `reverse` goes the same way back from
an exact sample of the posterior, which is at hand for data simulated from the model itself: x ~
p(x|z*), z* ~ p(z). There E[1/w] = 1/p(x), `upper` is an upper bound in expectation and the truth
lies between the two (bidirectional Monte Carlo, Grosse, Ghahramani and Adams 2015, 1511.02543).
Both are exact for a Gaussian that is the posterior, where u is constant; too wide a Gaussian is a
better start than too narrow.

The chain is Hamiltonian Monte Carlo. u and its gradient travel with it, so a temperature costs
`leapfrog_steps` gradients of log p(x, z) per chain and nothing else. Steps adapted by the weighted
chains themselves would bias the weights: `tune` finds one size per temperature in a pilot run, with
a key of its own, and both directions use it.

Shapes: x [batch, ...], z and mean [batch, d], factor [batch, d, d]; frame = (mean, factor) is the
Gaussian; log_joint_fn(x [n, ...], z [n, d]) = log p(x, z) [n], with every constant, see
`make_log_joint`; all information is in nats. For jit, close over log_joint_fn and settings; for
bounded memory, call through `estimate.map_examples`. All products are in full float32 precision.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.errors import check_least
from diffenc.latent import whitening
from diffenc.latent.decoders import check_exact, log_joint, log_prior
from diffenc.latent.whitening import Frame

# Temperatures crowd at both ends: they follow the logistic function on [-SHARPNESS, SHARPNESS], as
# in 1511.02543.
SHARPNESS = 4.0
ACCEPTANCE = 0.8  # the chain's step is adapted to it
# Each move shortens its step by a factor uniform in [JITTER, 1], so that no trajectory closes on
# its own start.
JITTER = 0.5


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of an annealing run. Raises InputError for a number below 1.

    The bounds close as num_temperatures grows, about as its inverse, and as num_chains does, more
    slowly.

    Attributes:
        num_temperatures: T; there is one move at each.
        num_chains: K chains for each example and direction.
        leapfrog_steps: gradients of each move.
        tuning_steps: moves at each temperature of the pilot run.
    """

    num_temperatures: int = 200
    num_chains: int = 16
    leapfrog_steps: int = 3
    tuning_steps: int = 5

    def __post_init__(self):
        check_least(self, 1, *vars(self))


class Point(NamedTuple):
    """Where a chain is; a state of blackjax for the density exp(u).

    Attributes:
        y: [d].
        u: u(y) [].
        gradient: of u at y [d].
    """

    y: jax.Array
    u: jax.Array
    gradient: jax.Array


def make_log_joint(decoder, params) -> Callable:
    """Make log_joint_fn(x, z) = log p(x, z) of a decoder.

    Raises:
        InputError: for a decoder that is not exact.
    """
    check_exact(decoder, "annealed importance sampling")

    def log_joint_fn(x, z):
        return log_joint(decoder, params, decoder.observe(None, x), z)

    return log_joint_fn


def temperatures(num_temperatures: int) -> jax.Array:
    """Make beta_0 = 0 < ... < beta_T = 1 [T + 1]."""
    beta = jax.nn.sigmoid(SHARPNESS * jnp.linspace(-1.0, 1.0, num_temperatures + 1))
    return (beta - beta[0]) / (beta[-1] - beta[0])


def _make_u(log_joint_fn, x, mean, factor):
    """u(y) [] of one example, y [d]."""
    log_volume = jnp.log(jnp.diagonal(factor)).sum()
    return lambda y: log_joint_fn(x[None], (mean + factor @ y)[None])[0] + log_volume - log_prior(y)


def _over_chains(fn, examples, *arguments):
    """fn(*example, *arguments) for every example [batch, ...] and chain.

    The arguments are [K, batch, ...].
    """
    over_batch = jax.vmap(lambda example, *arguments: fn(*example, *arguments))
    return jax.vmap(over_batch, (None, *(0 for _ in arguments)))(examples, *arguments)


def _hamiltonian():
    """The module of blackjax, imported on demand because importing it computes with jax."""
    with jax.ensure_compile_time_eval():  # this may be called while jax traces
        from blackjax.mcmc import hmc
    return hmc


def _start(log_joint_fn, examples, y) -> Point:
    hmc = _hamiltonian()

    def start(x, mean, factor, y):
        return Point(*hmc.init(y, _make_u(log_joint_fn, x, mean, factor)))

    return _over_chains(start, examples, y)


def _start_at_random(key, log_joint_fn, examples, settings) -> Point:
    mean = examples[1]
    y = jax.random.normal(key, (settings.num_chains, *mean.shape), mean.dtype)
    return _start(log_joint_fn, examples, y)


def _move(key, log_joint_fn, examples, points, beta, log_step, settings):
    """One Hamiltonian step of every chain, f_beta invariant: new points and the mean acceptance."""
    hmc = _hamiltonian()
    hmc_step = hmc.build_kernel()

    def move(x, mean, factor, key, point, size):
        u = _make_u(log_joint_fn, x, mean, factor)
        y, inverse_mass = point.y, jnp.ones_like(point.y)
        state = hmc.HMCState(y, log_prior(y) + beta * point.u, beta * point.gradient - y)
        (y, log_f, gradient), info = hmc_step(
            key,
            state,
            lambda y: log_prior(y) + beta * u(y),
            size,
            inverse_mass,
            settings.leapfrog_steps,
        )
        return Point(y, (log_f - log_prior(y)) / beta, (gradient + y) / beta), info.acceptance_rate

    key_size, key_step = jax.random.split(key)
    size = jnp.exp(log_step) * jax.random.uniform(
        key_size, points.u.shape, points.u.dtype, JITTER, 1.0
    )
    points, acceptance = _over_chains(
        move, examples, jax.random.split(key_step, points.u.shape), points, size
    )
    return points, acceptance.mean()


def _anneal(key, log_joint_fn, examples, points, log_steps, settings, backward: bool):
    """The walk up the temperatures, or back down: log_weights [K, batch], acceptance [T]."""
    beta = temperatures(settings.num_temperatures)

    def body(carry, inputs):
        before, log_weights = carry
        key, beta, increment, log_step = inputs
        after, acceptance = _move(key, log_joint_fn, examples, before, beta, log_step, settings)
        log_weights = log_weights + increment * (after if backward else before).u
        return (after, log_weights), acceptance

    inputs = (jax.random.split(key, settings.num_temperatures), beta[1:], jnp.diff(beta), log_steps)
    (_, log_weights), acceptance = jax.lax.scan(
        body, (points, jnp.zeros_like(points.u)), inputs, reverse=backward
    )
    return log_weights, acceptance


def tune(
    key: jax.Array, log_joint_fn: Callable, x: jax.Array, frame: Frame, settings: Settings
) -> jax.Array:
    """Find the step size at each temperature, by chains that are thrown away.

    One size serves all examples: a small representative batch is enough, and any other batch may
    use the result. The cost is tuning_steps times that of `forward`.

    Args:
        key: a random key, of no other use.
        log_joint_fn: (x, z) -> log p(x, z).
        x: data [batch, ...].
        frame: the Gaussian of each x.
        settings: see `Settings`.

    Returns:
        Logs of the step sizes [T].
    """
    key_start, key_moves = jax.random.split(key)
    examples = (x, *frame)

    def of_temperature(carry, inputs):
        key, beta = inputs

        def adapt(carry, key):
            points, log_step = carry
            points, acceptance = _move(
                key, log_joint_fn, examples, points, beta, log_step, settings
            )
            return (points, jnp.clip(log_step + 0.5 * (acceptance - ACCEPTANCE), -12.0, 2.0)), None

        carry, _ = jax.lax.scan(adapt, carry, jax.random.split(key, settings.tuning_steps))
        return carry, carry[1]

    with jax.default_matmul_precision("highest"):
        points = _start_at_random(key_start, log_joint_fn, examples, settings)
        keys = jax.random.split(key_moves, settings.num_temperatures)
        inputs = (keys, temperatures(settings.num_temperatures)[1:])
        start = (points, jnp.zeros_like(points.u[0, 0]))
        return jax.lax.scan(of_temperature, start, inputs)[1]


def forward(
    key: jax.Array,
    log_joint_fn: Callable,
    x: jax.Array,
    frame: Frame,
    log_steps: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
    """Anneal from the Gaussian to the posterior.

    Args:
        key: a random key.
        log_joint_fn: (x, z) -> log p(x, z).
        x: data [batch, ...].
        frame: the Gaussian of each x.
        log_steps: of `tune`.
        settings: see `Settings`.

    Returns:
        log w [K, batch] of K independent chains for each example, where E[w] = p(x), and the mean
        acceptance [T].
    """
    key_start, key_moves = jax.random.split(key)
    examples = (x, *frame)
    with jax.default_matmul_precision("highest"):
        points = _start_at_random(key_start, log_joint_fn, examples, settings)
        return _anneal(
            key_moves, log_joint_fn, examples, points, log_steps, settings, backward=False
        )


def reverse(
    key: jax.Array,
    log_joint_fn: Callable,
    x: jax.Array,
    z_exact: jax.Array,
    frame: Frame,
    log_steps: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
    """Anneal from the posterior back to the Gaussian, for simulated x.

    All K chains of an example start at its z_exact, so they are independent given z_exact only;
    each of them alone is a reverse chain.

    Args:
        key: a random key.
        log_joint_fn: (x, z) -> log p(x, z).
        x: data [batch, ...].
        z_exact: the very latents that x was simulated from [batch, d].
        frame: the Gaussian of each x; like log_steps, it may depend on x but not on z_exact.
        log_steps: of `tune`.
        settings: see `Settings`.

    Returns:
        log w [K, batch], where E[1/w] = 1/p(x), and the mean acceptance [T].
    """
    mean, factor = frame
    examples = (x, mean, factor)
    with jax.default_matmul_precision("highest"):
        y = whitening.solve(factor, z_exact - mean)
        y = jnp.broadcast_to(y, (settings.num_chains, *y.shape))
        points = _start(log_joint_fn, examples, y)
        return _anneal(key, log_joint_fn, examples, points, log_steps, settings, backward=True)


def lower(log_weights: jax.Array) -> jax.Array:
    """Compute log (1/K) sum_k w_k [batch] of forward weights [K, batch].

    It is at most log p(x) in expectation (Jensen's inequality).
    """
    return jax.nn.logsumexp(log_weights, axis=0) - jnp.log(len(log_weights))


def upper(reverse_log_weights: jax.Array, log_weights: jax.Array | None = None) -> jax.Array:
    """Compute an upper bound of log p(x) in expectation, from reverse weights v.

        without forward weights:  -log (1/K) sum_j 1/v_j
        with forward weights w:   mean over j of log (v_j + sum_k w_k) / (K + 1)

    The first is Jensen's inequality for E[(1/K) sum_j 1/v_j] = 1/p(x), a mean of means. The common
    start of the reverse chains does not harm it, but its noise stays, however large K is.

    The second holds for each j alone. K forward chains and one reverse chain, in random order, have
    the density (sum of their weights) / ((K + 1) p(x)) relative to K + 1 forward chains, and the
    mean of a log density under itself is a divergence, never negative (Brekelmans et al. 2022,
    2303.06992).

    The first is tighter where the Gaussian is too narrow and T small. The second is tighter where
    the Gaussian is wide, and its distance to `lower` has several times less noise.

    Args:
        reverse_log_weights: log v [K, batch].
        log_weights: log w of the same x [K, batch], if used.

    Returns:
        [batch], in nats.
    """
    if log_weights is None:
        return -lower(-reverse_log_weights)
    total = jax.nn.logsumexp(log_weights, axis=0)
    return jnp.logaddexp(reverse_log_weights, total[None]).mean(axis=0) - jnp.log(
        len(log_weights) + 1
    )


def effective_sample_size(log_weights: jax.Array) -> jax.Array:
    """Compute (sum w)^2 / sum w^2 [batch] of forward weights [K, batch], between 1 and K."""
    total = jax.nn.logsumexp(log_weights, axis=0)
    total_of_squares = jax.nn.logsumexp(2 * log_weights, axis=0)
    return jnp.exp(2 * total - total_of_squares)
