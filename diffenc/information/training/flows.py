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

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import jit_sooner
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import halved_pair
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.settings import FlowSettings, Settings
from diffenc.information.training import fitting
from diffenc.information.training.divergence import ignore
from diffenc.information.training.halves import pad
from diffenc.keys import split_key
from diffenc.networks import Velocity

# Rows of a half are padded to a standard number of these, so that programs are compiled once.
ROWS = 512


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
    pair = halved_pair.orient(pair)
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
    before = halved_pair.information(pair, halved_pair.MEAN)
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
        images = pair._replace(x=images.x, y=images.y, own=images.own)
        images = halved_pair.orient(images)
        gaussian_part = halved_pair.information(images, halved_pair.MEAN)
        show((index + 1) * flow_settings.updates, gaussian_part.mean)
        path.append(gaussian_part.mean)
        if gaussian_part.mean > best.mean + settings.least_gain:
            assert images.own is not None, "images have it"
            own = images._replace(x=images.own[0], y=images.own[1])
            own = halved_pair.information(own, halved_pair.MEAN)
            best = gaussian_part
            best_pair = images._replace(
                optimism=max(0.0, own.mean - gaussian_part.mean),
                drift=float(np.hypot(pair.drift, gaussian_part.mean - path[(len(path) - 1) // 2])),
            )
            best_index = index
            best_averages = jax.device_get(state.averages)
    return halved_pair.better(pair, best_pair, settings.map_errors)


@jit_sooner(runs="once", static_argnames=("dims", "settings"))
def _initialize(key, dims, settings: FlowSettings) -> fitting.State:
    """Initialize the flows of x and of y, those of both halves alike, so that they learn alike."""
    params = []
    for block_key, dim in zip(jax.random.split(key), dims, strict=True):
        network = make_network(dim, settings)
        params.append(network.init(block_key, jnp.zeros((1, dim))) if dim > 1 else {})
    params = jax.tree.map(lambda a: jnp.stack([a, a]), params)
    return fitting.restart(params, settings.learning_rate)


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
