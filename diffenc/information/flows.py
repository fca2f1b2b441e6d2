"""Invertible maps of x and of y by themselves, learned so that the pair (x, y) becomes as Gaussian
as it can be.

    I(X;Y) = I(T_x(X); T_y(Y))          for invertible T_x, T_y

A relation that curved coordinates hide from a regression is linear in others; flows find them by
the likelihood of a joint Gaussian of the images (as in 2403.02187), free of the noise that a
denoiser is trained with. What all flows miss is left to `divergence`; what those of one half got
wrong by chance no other network can know.

Each half of the data is judged in the coordinates of flows that have seen the other half alone, and
so is the network that learned there, from the other half in these same coordinates.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.information import gaussian, growth, regression
from diffenc.information.growth import Settings
from diffenc.networks import Velocity

ROUNDING = 1e-6  # nats, by which linear maps of a Gaussian seem to gain
MEAN = regression.without_shape(regression.polar)  # what flows are judged by


class Pair(NamedTuple):
    """Two halves of the samples: x [2, n, dim_x], y [2, n, dim_y].

    own: None, or, where each half has coordinates of its own, both halves in those in which the
    other is judged. Of the pair's Gaussian information (nats), optimism: by how much it is higher
    in flows that have learned from this very half; drift: what the second half of the training
    added. swapped: whether x is the second of the blocks given.
    """

    x: np.ndarray
    y: np.ndarray
    own: tuple[np.ndarray, np.ndarray] | None = None
    optimism: float = 0.0
    drift: float = 0.0
    swapped: bool = False

    def turned(self) -> "Pair":
        """x and y exchanged; optimism and drift stay those of the way they were measured."""
        return self._replace(
            x=self.y, y=self.x, own=self.own and self.own[::-1], swapped=not self.swapped
        )


def information(pair: Pair, features) -> gaussian.GaussianPart:
    """What a regression of x on features(y) tells; pointwise [2n] in the order of the halves' rows.

    Of both halves together, or the mean of either by itself where each has coordinates of its own.
    Half of the optimism is added, a correction beyond the identity: what a fit by likelihood gains
    on the samples it has learned from, it loses on others (Akaike 1974), to first order and at its
    maximum.
    """
    parts = [regression.information(x, features(y)) for x, y in zip(*_groups(pair), strict=True)]
    mean, pointwise = (
        np.mean([part.mean for part in parts]),
        np.concatenate([part.pointwise for part in parts]),
    )
    return gaussian.GaussianPart(float(mean) + pair.optimism / 2, pointwise + pair.optimism / 2)


def regressors(pair: Pair, features) -> regression.Features:
    """features(y) as `information` takes them, [2, n, ...]."""
    _, groups = _groups(pair)
    both = zip(*(features(y) for y in groups), strict=True)
    n = pair.y.shape[:2]
    return regression.Features(
        *(np.concatenate(of_y).reshape(*n, of_y[0].shape[1]) for of_y in both)
    )


def _groups(pair: Pair):
    blocks = pair.x, pair.y
    return blocks if pair.own else tuple(block.reshape(1, -1, block.shape[-1]) for block in blocks)


def learned(
    key: jax.Array, pair: Pair, settings: Settings, show=lambda updates, value: None
) -> Pair:
    """The pair in the coordinates of learned flows, or as it is where these tell nothing more.

    Rounds of training go on until what a regression tells of the mapped halves stops growing; the
    best round counts, if it is above that of the pair as it is by flow_errors standard errors of
    the difference. x is what will be diffused: the smaller block, of equal ones that of which
    regression tells more. A block of one coordinate, whose scores are normal, stays as it is.
    show(updates, information) is told of every round.
    """
    pair = directed(pair)
    dims = pair.x.shape[-1], pair.y.shape[-1]
    if max(dims) == 1 or not settings.flow_rounds or pair.x.shape[1] < 4 * sum(dims):
        return pair
    blocks = tuple(
        jnp.asarray([gaussian.whiten(half) for half in block], jnp.float32) for block in pair[:2]
    )
    key_init, key_train = jax.random.split(key)
    params = [
        make_network(dim, settings).init(key, jnp.zeros((1, dim))) if dim > 1 else {}
        for key, dim in zip(jax.random.split(key_init), dims, strict=True)
    ]
    params = jax.tree.map(
        lambda a: jnp.stack([a, a]), params
    )  # alike at first, so that halves learn alike
    settings = dataclasses.replace(settings, learning_rate=settings.flow_rate)
    state, plain = growth.restarted(params, settings), information(pair, MEAN)
    best, kept, path, last = plain, pair, [plain.mean], -1
    for index in range(settings.flow_rounds):
        state = advance(state, jax.random.fold_in(key_train, index), blocks, settings)
        mapped = directed(_images(state.averages, blocks, settings)._replace(swapped=pair.swapped))
        found = information(mapped, MEAN)
        show((index + 1) * settings.flow_updates, found.mean)
        path.append(found.mean)
        if found.mean > best.mean + settings.least_gain:
            own = information(Pair(*mapped.own, own=mapped.own), MEAN)
            optimism, drift = (
                max(0.0, own.mean - found.mean),
                found.mean - path[(len(path) - 1) // 2],
            )
            best, kept, last = found, mapped._replace(optimism=optimism, drift=drift), index
        if index - last >= settings.flow_patience or not np.isfinite(found.mean):
            break
    return better(pair, kept, settings.flow_errors)


def better(pair: Pair, other: Pair, errors: float) -> Pair:
    """The other pair where a regression tells more of it by so many standard errors and more than
    rounding, optimism aside, else the pair."""
    both = (one._replace(optimism=0.0) for one in (other, pair))
    gain = np.subtract(*(information(one, MEAN).pointwise for one in both))
    return other if gain.mean() > errors * gain.std(ddof=1) / gain.size**0.5 + ROUNDING else pair


def directed(pair: Pair) -> Pair:
    """The pair or `turned`: x is the smaller block, of equal ones that of which a regression tells
    more."""
    if pair.x.shape[-1] != pair.y.shape[-1]:
        return min(pair, pair.turned(), key=lambda one: one.x.shape[-1])
    return max(pair, pair.turned(), key=lambda one: information(one, MEAN).mean)


def make_network(dim: int, settings: Settings) -> Velocity:
    return Velocity(dim, (settings.flow_width,) * 2)


def flow(
    velocity, x: jax.Array, probe: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where dx/ds = v(x) carries x [n, dim] from s = 0 to 1, by the midpoint rule; log|det| of the
    map [n]; roughness.

    An equation with a smooth right-hand side can be run backwards; a map that cannot only loses
    information. d log|det| / ds = div v (1806.07366), estimated by probe' (dv/dx) probe with
    independent signs probe [n, dim] (1810.01367). The rule is near the equation only where v bends
    little within a step: roughness [n] is the sum over steps of the square of what their bend, the
    root mean square of (dv/dx) probe / steps, has above 1/2. It is to be priced in training (a
    hinge on that of 2002.02798).
    """

    def step(carry, _):
        x, log_det, roughness = carry
        middle = x + 0.5 / steps * velocity(x)
        v, slope = jax.jvp(velocity, (middle,), (probe,))
        log_det += jnp.sum(slope * probe, axis=-1) / steps
        bend = jnp.sqrt(jnp.mean(jnp.square(slope), axis=-1) + 1e-12) / steps
        return (x + v / steps, log_det, roughness + jnp.square(jax.nn.relu(bend - 0.5))), None

    zeros = jnp.zeros(len(x), x.dtype)
    return jax.lax.scan(step, (x, zeros, zeros), length=steps)[0]


@functools.partial(jax.jit, static_argnames="settings", donate_argnums=0)
def advance(state: growth.State, key: jax.Array, blocks, settings: Settings) -> growth.State:
    """settings.flow_updates updates of the flows of either half of the blocks [2, n, dim], each on
    its half alone."""

    def half_loss(params, key, half):
        key_rows, key_probe = jax.random.split(key)
        batch = max(settings.flow_batch, 4 * sum(block.shape[-1] for block in half))
        rows = jax.random.randint(key_rows, (min(batch, len(half[0])),), 0, len(half[0]))
        batch = tuple(block[rows] for block in half)
        return negative_log_likelihood(params, key_probe, batch, settings)

    return growth.descend(state, key, half_loss, blocks, settings.flow_updates, settings)


def negative_log_likelihood(params, key: jax.Array, blocks, settings: Settings) -> jax.Array:
    """Of the Gaussian of the images' own covariance, per example, up to a constant, and the prices
    of roughness and of coordinates: the more there are, the more of them have nothing to tell."""
    images, loss = [], 0.0
    for params_of, key_of, block in zip(params, jax.random.split(key), blocks, strict=True):
        if params_of:
            dim = block.shape[-1]
            probe = jax.random.rademacher(key_of, block.shape, block.dtype)
            block, log_det, rough = _run(params_of, block, probe, settings)
            norms = make_network(dim, settings).coordinate_norms(params_of)
            loss += settings.flow_price * jnp.mean(rough) - jnp.mean(log_det)
            loss += settings.flow_sparsity * dim * jnp.sum(norms)
        images.append(block - block.mean(axis=0, keepdims=True))
    together = jnp.concatenate(images, axis=-1)
    covariance = jnp.matmul(together.T, together, precision="highest") / len(together)
    return loss + 0.5 * jnp.linalg.slogdet(covariance)[1]


def _run(params, x, probe, settings):
    network = make_network(x.shape[-1], settings)
    return flow(functools.partial(network.apply, params), x, probe, settings.flow_steps)


@functools.partial(jax.jit, static_argnames="settings")
def _image(params, block, settings):
    """The block [2, n, dim] by the flows of the first half and by those of the second: [2, 2, n,
    dim]."""
    flat = block.reshape(-1, block.shape[-1])
    images = jax.vmap(lambda params: _run(params, flat, jnp.zeros_like(flat), settings)[0])(params)
    return images.reshape(2, *block.shape)


def _images(params, blocks, settings: Settings) -> Pair:
    """Each half of the blocks by the flows of the other half, and by its own, in float64. The
    likelihood does not tell linear maps of an image apart, so the flows of one half are turned to
    agree with those of the other first."""
    own, crossed = [], []
    for params_of, block in zip(params, blocks, strict=True):
        images = np.asarray(
            _image(params_of, block, settings) if params_of else [block, block], np.float64
        )
        images = images - images.mean(axis=(1, 2), keepdims=True)
        first, second = (image.reshape(-1, image.shape[-1]) for image in images)
        if np.isfinite(images).all():
            first = first @ np.linalg.lstsq(first, second)[0]
        first, second = first.reshape(block.shape), second.reshape(block.shape)
        own.append(np.stack([first[0], second[1]]))
        crossed.append(np.stack([second[0], first[1]]))
    return Pair(*crossed, own=tuple(own))
