"""Bounds of log p(x) from both sides, by annealing from an encoder's Gaussian to the posterior of
the decoder.

In the coordinates y = W^-1 (z - m) of the Gaussian N(m(x), W(x) W(x)^T), a path of unnormalized
densities leads from N(0, I), which is sampled exactly, to the posterior, whose constant is p(x):

    log f_beta(y) = log N(y; 0, I) + beta u(y),   u(y) = log p(x, m + W y) + log det W - log N(y; 0, I)
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

Shapes: x [batch, D], z and mean [batch, d], factor [batch, d, d] lower triangular with positive
diagonal; gaussian = (mean, factor); log_joint_fn(x [n, D], z [n, d]) = log p(x, z) [n], with every
constant; all information is in nats. For jit, close over log_joint_fn and settings; for bounded
memory, call through `estimate.map_examples`.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffenc.errors import check_least
from diffenc.latent import whitening
from diffenc.latent.decoders import log_prior

SHARPNESS = 4.0  # temperatures crowd at both ends: the logistic function on [-SHARPNESS, SHARPNESS], as in 1511.02543
ACCEPTANCE = 0.8  # the chain's step is adapted to it
JITTER = 0.5  # each move shortens its step by a factor uniform in [JITTER, 1]: no trajectory closes on its own start


@dataclasses.dataclass(frozen=True)
class Settings:
    """T = num_temperatures, one move of leapfrog_steps at each; K = num_chains per example and
    direction.

    The bounds close as T grows, about as 1/T, and as K does, more slowly. The pilot run makes
    tuning_steps moves per temperature. Raises InputError for a number below 1.
    """

    num_temperatures: int = 200
    num_chains: int = 16
    leapfrog_steps: int = 3
    tuning_steps: int = 5

    def __post_init__(self):
        for name, number in dataclasses.asdict(self).items():
            check_least(f"annealing.{name}", number, 1)


class Point(NamedTuple):
    """Where a chain is: y [d], u(y) [] and its gradient [d]; a state of blackjax for the density
    exp(u)."""

    y: jax.Array
    u: jax.Array
    gradient: jax.Array


def temperatures(num_temperatures: int) -> jax.Array:
    """beta_0 = 0 < ... < beta_T = 1 [T + 1]."""
    beta = jax.nn.sigmoid(SHARPNESS * jnp.linspace(-1.0, 1.0, num_temperatures + 1))
    return (beta - beta[0]) / (beta[-1] - beta[0])


def _make_u(log_joint_fn, x, mean, factor):
    """u(y) [] of one example, y [d]."""
    log_volume = jnp.log(jnp.diagonal(factor)).sum()
    return lambda y: log_joint_fn(x[None], (mean + factor @ y)[None])[0] + log_volume - log_prior(y)


def _over_chains(fn, examples, *arguments):
    """fn(*example, *arguments) for every example [batch, ...] and chain: the arguments are [K,
    batch, ...]."""
    over_batch = jax.vmap(lambda example, *arguments: fn(*example, *arguments))
    return jax.vmap(over_batch, (None, *(0 for _ in arguments)))(examples, *arguments)


def _hamiltonian():
    """blackjax's module of Hamiltonian Monte Carlo, imported on demand, because importing it
    computes with jax."""
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
    """The walk up the temperatures, or down in the reversed order: log_weights [K, batch],
    acceptance [T]."""
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


def tune(key: jax.Array, log_joint_fn, x: jax.Array, gaussian, settings: Settings) -> jax.Array:
    """Log of the step size at each temperature [T], from chains that are thrown away.

    One size for all examples: a small representative batch is enough, and any other batch may use
    the result. Costs tuning_steps times what `forward` does.
    """
    key_start, key_moves = jax.random.split(key)
    examples = (x, *gaussian)

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

    points = _start_at_random(key_start, log_joint_fn, examples, settings)
    inputs = (
        jax.random.split(key_moves, settings.num_temperatures),
        temperatures(settings.num_temperatures)[1:],
    )
    return jax.lax.scan(of_temperature, (points, jnp.zeros_like(points.u[0, 0])), inputs)[1]


def forward(
    key: jax.Array, log_joint_fn, x: jax.Array, gaussian, log_steps: jax.Array, settings: Settings
):
    """log w [K, batch] of K independent chains per example, E[w] = p(x), and the mean acceptance
    [T]."""
    key_start, key_moves = jax.random.split(key)
    points = _start_at_random(key_start, log_joint_fn, (x, *gaussian), settings)
    return _anneal(
        key_moves, log_joint_fn, (x, *gaussian), points, log_steps, settings, backward=False
    )


def reverse(
    key,
    log_joint_fn,
    x: jax.Array,
    z_exact: jax.Array,
    gaussian,
    log_steps: jax.Array,
    settings: Settings,
):
    """log w [K, batch] of K chains per example, E[1/w] = 1/p(x), and the mean acceptance [T].

    z_exact [batch, d] must be the very latents that x was simulated from. All K chains of an
    example start there, so they are independent given it only; each of them alone is a reverse
    chain. gaussian and log_steps may depend on x, not on z_exact.
    """
    mean, factor = gaussian
    y = whitening.solve(factor, z_exact - mean)
    points = _start(
        log_joint_fn, (x, *gaussian), jnp.broadcast_to(y, (settings.num_chains, *y.shape))
    )
    return _anneal(key, log_joint_fn, (x, *gaussian), points, log_steps, settings, backward=True)


def lower(log_weights: jax.Array) -> jax.Array:
    """log (1/K) sum_k w_k [batch] of forward weights [K, batch]: at most log p(x) in expectation
    (Jensen)."""
    return jax.nn.logsumexp(log_weights, axis=0) - jnp.log(len(log_weights))


def upper(reverse_log_weights: jax.Array, log_weights: jax.Array | None = None) -> jax.Array:
    """At least log p(x) in expectation, from reverse weights v and, if given, the forward weights w
    of the same x.

        without:  -log (1/K) sum_j 1/v_j                          [batch]
        with:     mean over j of log (v_j + sum_k w_k) / (K + 1)  [batch]

    The first is Jensen's inequality for E[(1/K) sum_j 1/v_j] = 1/p(x), a mean of means: the common
    start of the reverse chains does no harm to it, but its noise stays, however large K is. The
    second holds for each j alone: K forward chains and one reverse chain, in random order, have the
    density (sum of their weights) / ((K + 1) p(x)) relative to K + 1 forward chains, and the mean
    of a log density under itself is a divergence, never negative (Brekelmans et al. 2022,
    2303.06992). The first is tighter where the Gaussian is too narrow and T small; the second where
    it is wide, and its distance to `lower` has several times less noise.
    """
    if log_weights is None:
        return -lower(-reverse_log_weights)
    total = jax.nn.logsumexp(log_weights, axis=0)
    return jnp.logaddexp(reverse_log_weights, total[None]).mean(axis=0) - jnp.log(
        len(log_weights) + 1
    )


def effective_sample_size(log_weights: jax.Array) -> jax.Array:
    """(sum w)^2 / sum w^2 of the forward weights [K, batch], between 1 and K [batch]."""
    total, total_of_squares = (
        jax.nn.logsumexp(log_weights, axis=0),
        jax.nn.logsumexp(2 * log_weights, axis=0),
    )
    return jnp.exp(2 * total - total_of_squares)
