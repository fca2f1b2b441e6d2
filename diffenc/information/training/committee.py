"""Regression of one column on many by a committee of networks, whose prediction is a new column.

    I(X;Y) = I(X; (Y, f(Y)))          for any function f

Flows find coordinates of y in which x is linear, but they have to carry all columns of y with them.
Where x is one column and y many, networks that predict x alone learn more from the same examples,
and the mean of several of them more than each (bagging, Breiman 1996). Each half is predicted by
networks that were trained on the other, as by `flows`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.compilation import jit_sooner
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import halved_pair
from diffenc.information.regressions.halved_pair import MEAN, Pair
from diffenc.information.settings import CommitteeSettings, Settings
from diffenc.information.training import fitting
from diffenc.information.training.divergence import ignore
from diffenc.information.training.flows import ROWS
from diffenc.information.training.halves import pad
from diffenc.keys import split_key
from diffenc.networks import MLP

# Columns that predict, at least.
LEAST_PREDICTORS = 3
# Half of the optimism is added to the information, and enters its error. Committees overfit too
# much for the first order, in which that is right: with this share the error holds the whole of it.
REST = 0.75**0.5


def learn(
    key: jax.Array,
    pair: Pair,
    settings: Settings,
    show: Callable[[int, float], None] = ignore,
) -> Pair:
    """Add to y its prediction of x, if that increases the information by regression.

    Rounds of training go on until it stops growing, and the best round is used, if its gain exceeds
    `settings.map_errors` standard errors.

    Args:
        key: a key.
        pair: the scores, not mapped by flows.
        settings: of the committee and of the gain that counts.
        show: progress callback, called after every round with (updates, information).

    Returns:
        The pair with more columns of y, or as it is.
    """
    training = settings.committee
    n, predictors = pair.y.shape[1:]
    is_asked = pair.x.shape[-1] == 1 and predictors >= LEAST_PREDICTORS and n >= 4 * predictors
    if not (is_asked and training.rounds):
        return pair
    blocks = tuple(
        jax.device_put(np.array([gaussian.whiten(half) for half in block], np.float32))
        for block in (pair.x, pair.y)
    )
    key_init, key_train = split_key(key)
    state = _initialize(key_init, predictors, training.shape)
    best_pair = pair
    best = halved_pair.information(pair, MEAN).mean
    path = [best]
    best_index = -1
    for index in range(training.rounds):
        if index - best_index > training.patience:
            break
        state = _advance(
            state,
            jax.random.fold_in(key_train, index),
            pad(blocks, ROWS),
            n,
            training.updates,
            training.shape,
        )
        with_prediction, own = _with_predictions(state.averages, pair, blocks[1], training)
        if not gaussian.is_sound(with_prediction.x, with_prediction.y):
            break
        value = halved_pair.information(with_prediction, MEAN).mean
        show((index + 1) * training.updates, value)
        path.append(value)
        if value > best + settings.least_gain:
            optimism = max(0.0, halved_pair.information(own, MEAN).mean - value)
            best = value
            best_index = index
            best_pair = with_prediction._replace(
                own=(own.x, own.y),
                optimism=optimism,
                drift=float(
                    np.linalg.norm(
                        (pair.drift, value - path[(len(path) - 1) // 2], REST * optimism)
                    )
                ),
            )
    return halved_pair.better(pair, best_pair, settings.map_errors)


@jit_sooner(runs="once", static_argnames=("predictors", "settings"))
def _initialize(key, predictors, settings: CommitteeSettings) -> fitting.State:
    """Initialize the members of both halves, stacked on two leading axes."""
    network = _network(settings)
    keys = jax.random.split(key, (2, settings.members))
    init = functools.partial(network.init, x=jnp.zeros((1, predictors)))
    return fitting.restart(jax.vmap(jax.vmap(init))(keys), settings.learning_rate)


def _network(settings: CommitteeSettings) -> MLP:
    return MLP((settings.width,) * 2, 1)


@jit_sooner(runs="short", static_argnames="settings", donate_argnums=0)
def _advance(state, key, blocks, count, updates, settings: CommitteeSettings) -> fitting.State:
    network = _network(settings)

    def half_loss(params, key, half):
        x, y = half

        def member_loss(params, key):
            rows = jax.random.randint(key, (settings.batch_size,), 0, count)
            return 0.5 * jnp.mean(jnp.square(network.apply(params, y[rows]) - x[rows]))

        keys = jax.random.split(key, settings.members)
        return jnp.sum(jax.vmap(member_loss)(params, keys))

    return fitting.descend(
        state, key, half_loss, blocks, updates, settings.learning_rate, settings.average
    )


@jit_sooner(runs="short", static_argnames="settings")
def _predict(params, y, settings):
    """Predict x from the rows of y [2, n, dim] by the committee of either half: [2, 2, n, 1]."""
    network = _network(settings)
    by_member = jax.vmap(jax.vmap(network.apply, (0, None)), (0, None))
    flat = y.reshape(-1, y.shape[-1])
    return by_member(params, flat).mean(axis=1).reshape(2, *y.shape[:2], 1)


def _with_predictions(params, pair: Pair, y, settings: CommitteeSettings) -> tuple[Pair, Pair]:
    """Add to each half of y the prediction by the other half's committee, and by its own."""
    by_half = np.asarray(_predict(params, pad(y, ROWS), settings.shape), np.float64)
    first, second = by_half[:, :, : y.shape[1]]

    def extended(prediction):
        longer = np.concatenate([pair.y, prediction], axis=-1)
        return pair._replace(y=longer, own=(pair.x, longer))

    return extended(np.stack([second[0], first[1]])), extended(np.stack([first[0], second[1]]))
