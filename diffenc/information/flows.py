"""Learned invertible maps of x and of y by themselves, which make the pair as Gaussian as they can.

    I(X;Y) = I(T_x(X); T_y(Y))          for invertible T_x, T_y

A relation that curved coordinates hide from a regression is linear in others. Flows find these
coordinates by the likelihood of a joint Gaussian of the images (as in arXiv 2403.02187), which is
free of the noise of a denoiser's training. What all flows miss is left to `divergence`. Chance
errors of a flow fitted on one half cannot be corrected by a network fitted on the other.

Cross-fitting: each half is evaluated in the coordinates of flows trained on the other half. Its
network is trained on that other half, mapped by the same flows.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import jit_sooner
from diffenc.information import clusters as clustering
from diffenc.information import fitting, gaussian, regression
from diffenc.information.clusters import Clusters
from diffenc.information.divergence import ignore
from diffenc.information.halves import pad
from diffenc.information.regression import Features
from diffenc.information.settings import FlowSettings, Settings
from diffenc.keys import split_key
from diffenc.networks import Velocity

# Nats by which the Gaussian information of linear images may differ through rounding.
ROUNDING = 1e-6
# Rows of a half are padded to a standard number of these, so that programs are compiled once.
ROWS = 512
# The regression by which flows are evaluated.
MEAN = regression.without_shape(regression.polar)


class Pair(NamedTuple):
    """Two halves of the samples, in the coordinates in which each is evaluated.

    Attributes:
        x: [2, n, dim_x].
        y: [2, n, dim_y].
        own: None, or x and y in other coordinates: each half is mapped by the flows that were
            trained on it, in which the other half is evaluated.
        optimism: by how much the Gaussian information (nats) is higher in `own`.
        drift: by how much the second half of the training, or single spacings, changed the Gaussian
            information.
        is_exchanged: whether x is the second block that the caller gave.
        clusters: of the rows [2, n], or None.
        log_ratios: None, or log p / N(0, 1) of x and of y [2, n] at every row, for single columns
            that are not quite normal. The mean of that of x is subtracted from the information.
        has_atoms: whether equal values of y have equal scores, so that y cannot be diffused.
    """

    x: np.ndarray
    y: np.ndarray
    own: tuple[np.ndarray, np.ndarray] | None = None
    optimism: float = 0.0
    drift: float = 0.0
    is_exchanged: bool = False
    clusters: Clusters | None = None
    log_ratios: tuple[np.ndarray, np.ndarray] | None = None
    has_atoms: bool = False

    @property
    def least_dim(self) -> int:
        """The largest number of coordinates that the other block can determine."""
        return min(self.x.shape[-1], self.y.shape[-1])

    def exchange(self) -> "Pair":
        """Exchange x and y; optimism and drift stay as they were measured."""
        assert not self.has_atoms, "a block with atoms has no density to be diffused"
        return self._replace(
            x=self.y,
            y=self.x,
            own=self.own and self.own[::-1],
            log_ratios=self.log_ratios and self.log_ratios[::-1],
            is_exchanged=not self.is_exchanged,
        )


def information(pair: Pair, features: Callable) -> gaussian.GaussianPart:
    """Compute the information by a regression of x on features(y).

    Both halves are taken together. If each has coordinates of its own, it is the mean of both, and
    half of the optimism is added: what a fit by maximum likelihood gains on its own samples it
    loses on others, to first order (Akaike 1974).

    Args:
        pair: the samples.
        features: a function of y, such as `regression.polar`.

    Returns:
        The information, pointwise [2n] in the order of the rows of both halves.
    """
    parts = [
        regression.information(x, features(y), clusters)
        for x, y, clusters in zip(*_groups(pair), _clusters(pair), strict=True)
    ]
    more = pair.optimism / 2
    pointwise = np.concatenate([part.pointwise for part in parts]) + more
    mean = float(np.mean([part.mean for part in parts])) + more
    if pair.log_ratios:
        pointwise = pointwise - pair.log_ratios[0].ravel()
        mean -= float(pair.log_ratios[0].mean())
    return gaussian.GaussianPart(mean, pointwise, pair.clusters)


def regressors(pair: Pair, features: Callable) -> Features:
    """Compute features(y) as `information` uses them, [2, n, ...]."""
    by_group = [features(y) for y in _groups(pair)[1]]
    halves, n, _ = pair.y.shape

    def join(arrays):
        return np.concatenate(arrays).reshape(halves, n, arrays[0].shape[1])

    return Features(
        mean=join([one.mean for one in by_group]), shape=join([one.shape for one in by_group])
    )


def _groups(pair: Pair):
    """Return x and y by groups of rows that share coordinates: both halves, or all rows in one."""
    blocks = pair.x, pair.y
    return blocks if pair.own else tuple(block.reshape(1, -1, block.shape[-1]) for block in blocks)


def _clusters(pair: Pair) -> list[Clusters | None]:
    """Return the clusters of each of the groups of rows."""
    if pair.clusters is None or not pair.own:
        return [pair.clusters] * (2 if pair.own else 1)
    return [pair.clusters.at(half) for half in (0, 1)]


def learn(
    key: jax.Array,
    pair: Pair,
    settings: Settings,
    show: Callable[[int, float], None] = ignore,
) -> Pair:
    """Map the pair by learned flows if that increases its Gaussian information.

    Rounds of training go on until the information by regression of the mapped halves stops growing.
    The best round is used if its gain exceeds `settings.map_errors` standard errors. A round after
    which the images are not sound counts as one without a gain, and training goes on from the best.
    A block of one coordinate, whose scores are normal, is not mapped.

    Args:
        key: a key.
        pair: the samples.
        settings: of the flows and of the gain that counts.
        show: progress callback, called after every round with (updates, information).

    Returns:
        The mapped pair, or the pair as it is. x is what will be diffused, see `orient`.
    """
    pair = orient(pair)
    dims = pair.x.shape[-1], pair.y.shape[-1]
    flow_settings = settings.flow
    if max(dims) == 1 or not flow_settings.rounds or pair.x.shape[1] < 4 * sum(dims):
        return pair
    blocks = tuple(
        jax.device_put(np.array([gaussian.whiten(half) for half in block], np.float32))
        for block in (pair.x, pair.y)
    )
    key_init, key_train = split_key(key)
    state = _initialize(key_init, dims, flow_settings.shape)
    before = information(pair, MEAN)
    path = [before.mean]
    best = before
    best_pair = pair
    best_index = -1
    best_averages = jax.device_get(state.averages)
    for index in range(flow_settings.rounds):
        if index - best_index > flow_settings.patience:
            break
        state = advance(state, jax.random.fold_in(key_train, index), blocks, flow_settings)
        images = _images(state.averages, blocks, flow_settings)
        assert images.own is not None, "images have it"
        sound = [gaussian.is_sound(x, y) for x, y in ((images.x, images.y), images.own)]
        if not all(sound):
            state = fitting.restart(best_averages, flow_settings.learning_rate)
            continue
        images = images._replace(
            is_exchanged=pair.is_exchanged, clusters=pair.clusters, has_atoms=pair.has_atoms
        )
        images = orient(images)
        gaussian_part = information(images, MEAN)
        show((index + 1) * flow_settings.updates, gaussian_part.mean)
        path.append(gaussian_part.mean)
        if gaussian_part.mean > best.mean + settings.least_gain:
            assert images.own is not None, "images have it"
            own = Pair(*images.own, own=images.own, clusters=pair.clusters)
            own = information(own, MEAN)
            best = gaussian_part
            best_pair = images._replace(
                optimism=max(0.0, own.mean - gaussian_part.mean),
                drift=gaussian_part.mean - path[(len(path) - 1) // 2],
            )
            best_index = index
            best_averages = jax.device_get(state.averages)
    return better(pair, best_pair, settings.map_errors)


@jit_sooner(runs="once", static_argnames=("dims", "settings"))
def _initialize(key, dims, settings: FlowSettings) -> fitting.State:
    """Initialize the flows of x and of y, those of both halves alike, so that they learn alike."""
    params = []
    for block_key, dim in zip(jax.random.split(key), dims, strict=True):
        network = make_network(dim, settings)
        params.append(network.init(block_key, jnp.zeros((1, dim))) if dim > 1 else {})
    params = jax.tree.map(lambda a: jnp.stack([a, a]), params)
    return fitting.restart(params, settings.learning_rate)


def better(pair: Pair, other: Pair, errors: float) -> Pair:
    """Return the other pair if its Gaussian information is larger by so many standard errors.

    Optimism does not count, and the gain must be more than rounding.

    Args:
        pair: the pair that is returned if the gain is less.
        other: the same rows in other coordinates.
        errors: standard errors of the gain.

    Returns:
        One of the two.
    """
    gain = (
        information(other._replace(optimism=0.0), MEAN).pointwise
        - information(pair._replace(optimism=0.0), MEAN).pointwise
    )
    gain = clustering.estimate(gain, pair.clusters)
    return other if gain.mean > errors * gain.stderr + ROUNDING else pair


def orient(pair: Pair) -> Pair:
    """Make x the smaller block, or of equal blocks the one with the larger Gaussian information.

    A block with atoms stays the condition.
    """
    if pair.has_atoms:
        return pair
    if pair.x.shape[-1] != pair.y.shape[-1]:
        return min(pair, pair.exchange(), key=lambda one: one.x.shape[-1])
    return max(pair, pair.exchange(), key=lambda one: information(one, MEAN).mean)


def make_network(dim: int, settings: FlowSettings) -> Velocity:
    """Make the network of the velocity of a block of dim coordinates."""
    return Velocity(dim, (settings.width,) * 2)


def flow(
    velocity: Callable, x: jax.Array, probe: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Carry x along dx/ds = v(x) from s = 0 to 1, by the midpoint rule.

    An equation with a smooth right-hand side can be run backwards; a map that cannot only loses
    information. d log|det| / ds = div v (arXiv 1806.07366), which is estimated by
    probe' (dv/dx) probe (arXiv 1810.01367). The rule is near the equation only where v changes
    little within a step. With bend = rms((dv/dx) probe) / steps, the roughness is the sum over
    steps of max(0, bend - 1/2)^2: a hinge on the penalty of arXiv 2002.02798, to be priced in
    training.

    Args:
        velocity: v, a function of points [n, dim].
        x: points [n, dim].
        probe: independent signs [n, dim].
        steps: steps of the rule.

    Returns:
        The images [n, dim], log|det| of the map [n] and the roughness [n].
    """

    def step(carry, _):
        x, log_det, roughness = carry
        middle = x + 0.5 / steps * velocity(x)
        v, slope = jax.jvp(velocity, (middle,), (probe,))
        log_det += jnp.sum(slope * probe, axis=-1) / steps
        bend = jnp.sqrt(jnp.mean(jnp.square(slope), axis=-1) + 1e-12) / steps
        return (x + v / steps, log_det, roughness + jnp.square(jax.nn.relu(bend - 0.5))), None

    zeros = jnp.zeros(len(x), x.dtype)
    # For the gradient, products of matrices are stored and the rest is computed again: a hundred
    # arrays for each step would have to be stored, which takes longer, and to compile as well.
    policy = jax.checkpoint_policies.dots_saveable
    step = jax.checkpoint(step, prevent_cse=False, policy=policy)
    return jax.lax.scan(step, (x, zeros, zeros), length=steps)[0]


def advance(
    state: fitting.State, key: jax.Array, blocks: tuple, settings: FlowSettings
) -> fitting.State:
    """Train the flows of either half, each on its half alone, for one round.

    Args:
        state: of the flows of both halves; its memory is given away.
        key: a key.
        blocks: white x and y [2, n, dim].
        settings: of the flows.

    Returns:
        The state after `settings.updates` updates.
    """
    n = blocks[0].shape[1]
    batch = min(n, max(settings.batch_size, 4 * sum(block.shape[-1] for block in blocks)))
    padded = pad(blocks, ROWS)
    arguments = (n, settings.updates, settings.sparsity_price)
    return _advance(state, key, padded, *arguments, batch, settings.shape)


@jit_sooner(static_argnames=("batch", "settings"), donate_argnums=0)
def _advance(
    state, key, blocks, count, updates, price, batch: int, settings: FlowSettings
) -> fitting.State:
    def half_loss(params, key, half):
        key_rows, key_probe = jax.random.split(key)
        rows = jax.random.randint(key_rows, (batch,), 0, count)
        batches = tuple(block[rows] for block in half)
        return negative_log_likelihood(params, key_probe, batches, settings, price)

    return fitting.descend(
        state, key, half_loss, blocks, updates, settings.learning_rate, settings.average
    )


def negative_log_likelihood(
    params, key: jax.Array, blocks, settings: FlowSettings, sparsity_price
) -> jax.Array:
    """Compute the loss of the flows of one half.

    It is minus the log likelihood of the Gaussian with the covariance of the images, per example
    and up to a constant, plus the prices of roughness and of coordinates. The price of a coordinate
    grows with their number, because so does the number of those that are independent of the other
    block.

    Args:
        params: of the flows of x and of y, {} for a block that is not mapped.
        key: a key.
        blocks: x and y [n, dim].
        settings: of the flows.
        sparsity_price: that of these settings, which may be traced.

    Returns:
        The loss, a scalar.
    """
    images = []
    loss = 0.0
    for block_params, block_key, block in zip(params, jax.random.split(key), blocks, strict=True):
        image = block
        if block_params:
            dim = block.shape[-1]
            probe = jax.random.rademacher(block_key, block.shape, block.dtype)
            image, log_det, roughness = _run(block_params, block, probe, settings)
            norms = make_network(dim, settings).coordinate_norms(block_params)
            loss += settings.roughness_price * jnp.mean(roughness) - jnp.mean(log_det)
            loss += sparsity_price * dim * jnp.sum(norms)
        images.append(image - image.mean(axis=0, keepdims=True))
    together = jnp.concatenate(images, axis=-1)
    covariance = jnp.matmul(together.T, together, precision="highest") / len(together)
    return loss + 0.5 * jnp.linalg.slogdet(covariance)[1]


def _run(params, x, probe, settings):
    network = make_network(x.shape[-1], settings)
    return flow(functools.partial(network.apply, params), x, probe, settings.steps)


@jit_sooner(runs="short", static_argnames="settings")
def _image(params, block, settings):
    """Map the block [2, n, dim] by the flows of either half: [2 (of the flows), 2, n, dim]."""
    flat = block.reshape(-1, block.shape[-1])
    images = jax.vmap(lambda params: _run(params, flat, jnp.zeros_like(flat), settings)[0])(params)
    return images.reshape(2, *block.shape)


def _images(params, blocks, settings: FlowSettings) -> Pair:
    """Map each half of the blocks by the flows of the other half, and by its own, in float64.

    The likelihood is the same for all linear maps of an image. The images by the flows of the first
    half are therefore mapped linearly to those by the flows of the second first.
    """
    own = []
    crossed = []
    for block_params, block in zip(params, blocks, strict=True):
        by_half = [block, block]
        if block_params:
            padded = _image(block_params, pad(block, ROWS), settings.shape)
            by_half = np.asarray(padded)[:, :, : block.shape[1]]
        by_half = np.asarray(by_half, np.float64)
        by_half = by_half - by_half.mean(axis=(1, 2), keepdims=True)
        first = by_half[0].reshape(-1, block.shape[-1])
        second = by_half[1].reshape(-1, block.shape[-1])
        if np.isfinite(by_half).all():
            first = first @ np.linalg.lstsq(first, second)[0]
        first = first.reshape(block.shape)
        second = second.reshape(block.shape)
        own.append(np.stack([first[0], second[1]]))
        crossed.append(np.stack([second[0], first[1]]))
    return Pair(crossed[0], crossed[1], own=(own[0], own[1]))
