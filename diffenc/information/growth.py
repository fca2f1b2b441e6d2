"""How far a residual is from its Gaussian reference, by the growth of gamblers who bet on data they
have not seen.

For r with mean 0 and covariance I, in the logarithm lambda of the signal-to-noise ratio
(2409.03817),

    D = E KL(p(r|y) || N(0, I)) = 1/2 int d(lambda) alpha^2 E|E[v | r_l, y]|^2,      v = alpha eps - sigma r,

v being that of `parameterization`. Two networks learn v from one half of the data each, o_a =
f + noise of its own, and are judged on the other half:

    P = 1/2 int alpha^2 E<v, o>     X = 1/2 int alpha^2 E<o_a, o_b>     O = 1/2 int alpha^2 E|o|^2
    (`Products.held`)               (`Products.cross`)                  (`Products.own`)

P = <truth, f> and X = |f|^2 up to the noise that the halves do not share, which O = |f|^2 +
|noise|^2 is full of. The network's wealth grows by 2P - O (the Kelly growth, a lower bound of D on
held-out data); with the best common stake, and without that noise, by P^2 / X. O alone is the
neural entropy.

A network is a mixture of Gaussians whose v is known, fitted by maximum likelihood, and a rest,
fitted by denoising.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import solve_triangular

from diffenc.diffusion.noise_levels import Logistic
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.networks import ResidualDenoiser

# Outside of this range lie less than 0.1% of a shift's growth, and details finer than 0.7% of a
# deviation.
LOG_SNR = (-7.0, 10.0)
LEVELS = Logistic(*LOG_SNR, location=1.3, scale=1.4)


@dataclass(frozen=True)
class Settings:
    """Of networks, training and judgement; one set for every task, but for what `for_examples`
    changes."""

    width: int = 128  # of denoisers and mixtures
    depth: int = 2
    batch_size: int = 128
    draws: int = 2  # noise levels for each example of a batch, with both signs of the noise
    learning_rate: float = 3e-3
    average: float = (
        8.0  # parameters are averaged over the last 1 / (1 + average) of the updates, about
    )
    updates: int = 150  # in a round of denoising
    max_rounds: int = 16
    patience: int = 4  # rounds without gain before a stage ends
    components: int = 8  # of mixtures
    mixture_batch: int = 256
    mixture_updates: int = 125  # in a round
    mixture_rounds: int = 24  # at most
    mixture_patience: int = 4
    flow_width: int = 64
    flow_steps: int = 8  # of the midpoint rule
    flow_batch: int = 256
    flow_rate: float = 6e-3
    flow_updates: int = 50  # in a round
    flow_rounds: int = 16  # at most
    flow_patience: int = 3
    flow_price: float = 1.0  # of roughness
    flow_sparsity: float = (
        1.5e-3  # price of a coordinate's weights, for each of the block, at full_rounds examples
    )
    flow_errors: float = (
        3.0  # a gain of fewer standard errors, by flows, unmixing or lengths, is none
    )
    null_rounds: int = 2  # of denoising, after which P has to be
    null_errors: float = 2.5  # of its standard errors above 0
    least_gain: float = 1e-3  # nats; less is no gain
    noise_price: float = 0.03  # of O - X, for choosing a round
    extrapolation: float = 0.5  # share of the step from n/2 to n that is added
    step_error: float = 1.0  # share of it that is doubted
    strata: int = 2  # of lambda, when rounds are judged
    judge_parts: int = 4  # of each stratum, in the last judgement
    rows: int = 512  # judged at once
    full_rounds: int = 2500  # examples in a half, from which on rounds have their full length

    def for_examples(self, n: int) -> "Settings":
        """With shorter rounds for fewer than full_rounds examples in a half, which are learned by
        heart in fewer updates: as many passes over them, but 10 updates at least. Rounds of flows
        keep their length, and flow_sparsity goes in inverse proportion to n, as what chance gains
        by a coordinate does."""
        share, rounds = min(1.0, n / self.full_rounds), ("updates", "mixture_updates")
        full = {name: getattr(self, name) for name in rounds}
        changed = {
            name: max(min(10, updates), round(share * updates)) for name, updates in full.items()
        }
        return dataclasses.replace(
            self, **changed, flow_sparsity=self.flow_sparsity * self.full_rounds / n
        )


class Halves(NamedTuple):
    """Two halves of the data, each in coordinates of its own moments, float32: x = linear + factor
    r, x white, and r the white residual of x given the white y, its length mapped where
    `regression` maps it. r, linear: [2, n, dim]; y: [2, n, dim_y]; factor: [2, dim, dim]."""

    r: jax.Array
    y: jax.Array
    linear: jax.Array
    factor: jax.Array


class State(NamedTuple):
    """Of both networks, stacked on the leading axis: parameters, their average, the optimizer,
    updates made."""

    params: Any
    averages: Any
    opt_state: Any
    step: jax.Array


def log_snr_draws(
    key: jax.Array, n: int, draws: int, part=0, parts=1
) -> tuple[jax.Array, jax.Array]:
    """lambda [n, draws], draw k from the k-th of as many equal parts of LEVELS, and alpha^2 /
    density.

    With parts > 1, from the part-th of as many equal parts of that quantile: together they are
    finer strata.
    """
    within = (part + jax.random.uniform(key, (n, draws))) / parts
    log_snr, density = LEVELS.draw((jnp.arange(draws)[None] + within) / draws)
    return log_snr, jax.nn.sigmoid(log_snr) / density


def edges(draws: int) -> np.ndarray:
    """The bounds [draws + 1] of as many strata of `log_snr_draws`."""
    return np.asarray(LEVELS.draw(jnp.linspace(0.0, 1.0, draws + 1))[0], np.float64)


def noised(r: jax.Array, eps: jax.Array, log_snr: jax.Array) -> tuple[jax.Array, jax.Array]:
    """r_l and v, [n, k, dim], of r [n, dim]."""
    alpha, sigma = alpha_sigma(log_snr[:, :, None])
    r = r[:, None]
    return alpha * r + sigma * eps, alpha * eps - sigma * r


def make_network(dim: int, settings: Settings) -> ResidualDenoiser:
    widths = (settings.width,) * 2, (settings.width,) * settings.depth
    return ResidualDenoiser(dim, *widths, settings.components)


def make_optimizer(settings: Settings) -> optax.GradientTransformation:
    return optax.adam(optax.linear_schedule(0.0, settings.learning_rate, 50), b2=0.99)


def initialize(key: jax.Array, settings: Settings, dim: int, dim_y: int) -> State:
    """Two networks of their own initial values."""
    network, zeros = make_network(dim, settings), jnp.zeros
    arguments = zeros((2, dim_y)), zeros((2, dim)), jnp.eye(dim), zeros((2, 1, dim)), zeros((2, 1))
    init = jax.vmap(lambda key: network.init(key, *arguments, method="initialize"))
    params = init(jax.random.split(key))
    return restarted(params, settings)


@functools.partial(jax.jit, static_argnames="settings", donate_argnums=0)
def advance(
    state: State, key: jax.Array, halves: Halves, count: jax.Array, settings: Settings
) -> State:
    """settings.updates updates of both networks by denoising, each on the first count examples of
    its half. Their mixtures stay as they are: the network learns what these miss. The noise comes
    with both signs, so that most of what it adds to the gradient where it is small cancels."""
    dim = halves.r.shape[-1]
    network = make_network(dim, settings)
    batch = min(settings.batch_size, halves.r.shape[1])

    def half_loss(params, key, half):
        key_rows, key_log_snr, key_eps = jax.random.split(key, 3)
        rows = jax.random.randint(key_rows, (batch,), 0, count)
        r, y, linear = half.r[rows], half.y[rows], half.linear[rows]
        log_snr, weight = log_snr_draws(key_log_snr, batch, settings.draws)
        eps = jax.random.normal(key_eps, (*log_snr.shape, dim))
        log_snr, weight = (jnp.tile(array, (1, 2)) for array in (log_snr, weight))
        r_noised, v = noised(r, jnp.concatenate([eps, -eps], axis=1), log_snr)
        shape = network.apply(params, y, linear, method="embed")
        shape = shape.replace(mixture=jax.lax.stop_gradient(shape.mixture))
        o = network.apply(params, shape, half.factor, r_noised, log_snr)
        return 0.5 * jnp.mean(weight * jnp.sum(jnp.square(o) - 2 * o * v, axis=-1))

    return descend(state, key, half_loss, halves, settings.updates, settings)


@functools.partial(jax.jit, static_argnames="settings", donate_argnums=0)
def advance_mixture(
    state: State, key: jax.Array, halves: Halves, count: jax.Array, settings: Settings
) -> State:
    """settings.mixture_updates updates of the networks' mixtures by maximum likelihood, free of the
    noise of lambda and eps."""
    network = make_network(halves.r.shape[-1], settings)

    def half_loss(params, key, half):
        rows = jax.random.randint(key, (min(settings.mixture_batch, len(half.r)),), 0, count)
        return -jnp.mean(
            network.apply(params, half.y[rows], method="mixture").log_prob(half.r[rows])
        )

    return descend(state, key, half_loss, halves, settings.mixture_updates, settings)


def descend(
    state: State, key, half_loss, halves: Halves, updates: int, settings: Settings
) -> State:
    optimizer = make_optimizer(settings)

    def update(state, key):
        def loss(params):
            return jnp.sum(jax.vmap(half_loss)(params, jax.random.split(key), halves))

        updates, opt_state = optimizer.update(
            jax.grad(loss)(state.params), state.opt_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        share = (1 + settings.average) / (state.step + 1 + settings.average)
        averages = optax.incremental_update(params, state.averages, share)
        return State(params, averages, opt_state, state.step + 1), None

    return jax.lax.scan(update, state, jax.random.split(key, updates))[0]


def spread(params, key: jax.Array, dim: int, length: float = 0.5):
    """The parameters of both networks with the components of their mixtures moved apart, by normal
    vectors of about this length: while all are alike, and no condition tells them apart, likelihood
    treats them alike."""
    bias = params["params"]["mean_head"]["bias"]
    bias = bias + length / dim**0.5 * jax.random.normal(key, bias.shape)
    return {
        "params": params["params"] | {"mean_head": params["params"]["mean_head"] | {"bias": bias}}
    }


def restarted(averages, settings: Settings) -> State:
    """The state of networks that go on from an average, with a new optimizer."""
    params, averages = (jax.tree.map(jnp.array, averages) for _ in range(2))
    return State(params, averages, make_optimizer(settings).init(params), jnp.zeros((), jnp.int32))


class Products(NamedTuple):
    """1/2 alpha^2 times the products, per example and lambda stratum, integrated over the stratum:
    [2, n, draws].

    held: <v, o> with the network that has not seen the example; cross: <o_a, o_b>; own: |o|^2 of
    the former; tilt: <v - o, g>, g the prediction of v by a Gaussian that knows no y
    (`unconditional`)."""

    held: np.ndarray
    cross: np.ndarray
    own: np.ndarray
    tilt: np.ndarray


def unconditional(
    linear: jax.Array, factor: jax.Array, r_noised: jax.Array, log_snr: jax.Array
) -> jax.Array:
    """E[v | r_l] [n, k, dim] of one who knows r_l but neither y nor the residual's origin, for
    white Gaussian x = linear + factor r: what the noisy x, in the coordinates of r, says about
    itself."""
    alpha, sigma = alpha_sigma(log_snr[:, :, None])
    linear = solve_triangular(factor, linear.T, lower=True).T[
        :, None
    ]  # x = factor (linear + r) from here on
    inverse = solve_triangular(factor, jnp.eye(len(factor)), lower=True)
    variance, axes = jnp.linalg.eigh(jnp.matmul(inverse, inverse.T, precision="highest"))
    variance = jnp.maximum(variance, 1.0)[None, None]  # x varies more than its residual
    shrunk = alpha * sigma * (variance - 1) / (jnp.square(alpha) * variance + jnp.square(sigma))
    return sigma * linear - (shrunk * ((r_noised + alpha * linear) @ axes)) @ axes.T


def judge(
    params, key: jax.Array, halves: Halves, settings: Settings, parts: int = 1, tilted: bool = False
) -> Products:
    """The products of all examples, in parts * settings.strata strata of lambda, with eps of both
    signs; tilt is worked out if asked for, else 0."""
    keys = jax.random.split(key, parts)
    judged = [
        _judge(params, keys[part], halves, part, parts, settings, tilted) for part in range(parts)
    ]
    stacked = (
        np.stack(arrays, axis=-1) / parts for arrays in zip(*judged, strict=True)
    )  # [2, n, strata, parts]
    return Products(*(array.reshape(*array.shape[:2], -1) for array in stacked))


@functools.partial(jax.jit, static_argnames=("settings", "tilted"))
def _judge(params, key, halves, part, parts, settings, tilted) -> Products:
    draws = settings.strata
    _, n, dim = halves.r.shape
    network = make_network(dim, settings)
    blocks = -(-n // settings.rows)
    rows = jnp.minimum(jnp.arange(blocks * settings.rows), n - 1).reshape(blocks, -1)

    def block(half, arguments):
        key, rows = arguments
        r, y, linear = (array[half, rows] for array in halves[:3])
        key_log_snr, key_eps = jax.random.split(key)
        log_snr, weight = log_snr_draws(key_log_snr, len(rows), draws, part, parts)
        eps = jax.random.normal(key_eps, (*log_snr.shape, dim))
        log_snr = jnp.concatenate([log_snr, log_snr], axis=1)
        r_noised, v = noised(r, jnp.concatenate([eps, -eps], axis=1), log_snr)

        def predict(params):
            shape = network.apply(params, y, linear, method="embed")
            return network.apply(params, shape, halves.factor[half], r_noised, log_snr)

        outputs = jax.vmap(predict)(params)
        other = outputs[1 - half]
        g = (
            unconditional(linear, halves.factor[half], r_noised, log_snr)
            if tilted
            else jnp.zeros_like(v)
        )
        pairs = (v, other), (outputs[0], outputs[1]), (other, other), (v - other, g)
        sums = (jnp.sum(a * b, axis=-1) for a, b in pairs)
        return Products(*(weight * (s[:, :draws] + s[:, draws:]) / (4 * draws) for s in sums))

    def judge_half(half, key):
        parts = jax.lax.map(functools.partial(block, half), (jax.random.split(key, blocks), rows))
        return jax.tree.map(lambda a: a.reshape(-1, draws)[:n], parts)

    halves = [judge_half(half, half_key) for half, half_key in enumerate(jax.random.split(key))]
    return jax.tree.map(lambda *a: jnp.stack(a), *halves)
