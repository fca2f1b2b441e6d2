"""Regression of one column on many by networks and trees, whose prediction is a new column.

    I(X;Y) = I(X; (Y, f(Y)))          for any function f

Flows find coordinates of y in which x is linear, but they have to carry all columns of y with them.
Where x is one column and y many, networks that predict x alone learn more from the same examples,
and the mean of several of them more than each (bagging, Breiman 1996a). Each quarter of the rows is
predicted by networks that were trained on the other three (`folds`), and by boosted trees as well
(`trees`), which see edges that networks round off.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from diffenc.compilation import jit_sooner
from diffenc.information import clusters as clustering
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import halved_pair
from diffenc.information.regressions.halved_pair import MEAN, Pair
from diffenc.information.settings import CommitteeSettings, Settings
from diffenc.information.training import fitting, trees
from diffenc.information.training.divergence import ignore
from diffenc.information.training.flows import ROWS
from diffenc.information.training.halves import pad, standard_size
from diffenc.keys import generator, split_key
from diffenc.networks import MLP

# Columns that predict, at least.
LEAST_PREDICTORS = 3
# Parts of the rows: two of each half.
FOLDS = 4
# A third of what rows are predicted better by a fit that has seen them is added to the information,
# and enters its error: so much more the true function tells than the prediction of other rows, give
# or take as much (docs/notebook/information.md). Half is added of what counts as optimism.
SHARE = 2 / 3
# Members of a smaller share in the prediction do not enter its error.
LEAST_SHARE = 0.1


def learn(
    key: jax.Array,
    pair: Pair,
    settings: Settings,
    show: Callable[[int, float], None] = ignore,
) -> Pair:
    """Add to y its prediction of x, if that increases the information by regression.

    The prediction is the sum of that by trees and that by networks, with the shares of 0 or more
    that predict best (Breiman 1996b). Its gain must exceed `settings.map_errors` standard errors.
    The error holds the largest optimism of those that take part: where one has hardly learned, and
    knows its own rows no better than others, the other one has.

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
    part = folds(pair)
    white = [
        gaussian.whiten(block.reshape(2 * n, -1)).reshape(block.shape) for block in (pair.x, pair.y)
    ]
    key_networks, key_trees = split_key(key)
    seed = int(generator(key_trees).integers(2**31))
    members = [trees.predict(white[0], pair.y, part, FOLDS, seed)]
    of_networks, drift = _networks(key_networks, pair, white, part, settings, show)
    if of_networks is not None:
        members.append(of_networks)
    held = np.stack([_of(one, part).ravel() for one in members], axis=1)
    shares = nnls(held, white[0].ravel())[0]
    if not shares.any():
        return pair
    mean = np.tensordot(shares, members, axes=1)
    extended = _extended(pair, mean, part)
    if not gaussian.is_sound(extended.x, extended.y):
        return pair
    optimism = SHARE * _optimism(pair, mean, part)
    taking_part = zip(members, shares > LEAST_SHARE * shares.sum(), strict=True)
    largest = SHARE * max(_optimism(pair, one, part) for one, takes in taking_part if takes)
    doubts = (
        drift * shares[1:].sum() / shares.sum(),
        0.5 * max(0.0, largest**2 - optimism**2) ** 0.5,
    )
    extended = extended._replace(
        has_prediction=True, optimism=optimism, drift=float(np.linalg.norm((pair.drift, *doubts)))
    )
    return halved_pair.better(pair, extended, settings.map_errors)


def _networks(key, pair: Pair, white, part, settings: Settings, show):
    """Predict x by the networks of every fold: [FOLDS, 2, n], and the drift of the information.

    Rounds of training go on until the information stops growing, and the best one is used. The
    predictions are None where the networks tell nothing.
    """
    training = settings.committee
    blocks = jax.device_put(pad(tuple(block.astype(np.float32) for block in white), ROWS))
    rows = _rows_of(part)
    key_init, key_train = split_key(key)
    state = _initialize(key_init, pair.y.shape[-1], training.shape)
    best = None
    best_index = -1
    path = [halved_pair.information(pair, MEAN).mean]
    highest = path[0]
    drift = 0.0
    for index in range(training.rounds):
        if index - best_index > training.patience:
            break
        key_round = jax.random.fold_in(key_train, index)
        state = _advance(state, key_round, blocks, rows, training.updates, training.shape)
        by_fold = np.asarray(_predict(state.averages, blocks[1], training.shape), np.float64)
        by_fold = by_fold[:, :, : part.shape[1]]
        with_prediction = _extended(pair, by_fold, part)
        if not gaussian.is_sound(with_prediction.x, with_prediction.y):
            break
        value = halved_pair.information(with_prediction, MEAN).mean
        show((index + 1) * training.updates, value)
        path.append(value)
        if value > highest + settings.least_gain:
            highest = value
            best = by_fold
            best_index = index
            drift = value - path[(len(path) - 1) // 2]
    return best, drift


def folds(pair: Pair) -> np.ndarray:
    """Return the fold [2, n] of every row, of `FOLDS`; clusters are whole."""
    half = np.arange(2)[:, None]
    return 2 * half + clustering.is_odd(pair.x.shape[:2], pair.clusters)


def _rows_of(part):
    """Return the rows [FOLDS, size] outside each fold, by their place among padded ones."""
    half, place = np.indices(part.shape)
    places = half * standard_size(part.shape[1], ROWS) + place
    rows = [places[part != fold] for fold in range(FOLDS)]
    counts = np.array([len(some) for some in rows])
    size = 2 * standard_size(part.shape[1], ROWS)
    return np.stack([np.resize(some, size) for some in rows]), counts


@jit_sooner(runs="once", static_argnames=("predictors", "settings"))
def _initialize(key, predictors, settings: CommitteeSettings) -> fitting.State:
    """Initialize the members of all folds, stacked on two leading axes."""
    network = _network(settings)
    keys = jax.random.split(key, (FOLDS, settings.members))
    init = functools.partial(network.init, x=jnp.zeros((1, predictors)))
    return fitting.restart(jax.vmap(jax.vmap(init))(keys), settings.learning_rate)


def _network(settings: CommitteeSettings) -> MLP:
    return MLP((settings.width,) * 2, 1)


@jit_sooner(runs="short", static_argnames="settings", donate_argnums=0)
def _advance(state, key, blocks, training_rows, updates, settings: CommitteeSettings):
    network = _network(settings)
    x, y = [block.reshape(-1, block.shape[-1]) for block in blocks]

    def fold_loss(params, key, fold):
        rows, count = fold

        def member_loss(params, key):
            batch = rows[jax.random.randint(key, (settings.batch_size,), 0, count)]
            return 0.5 * jnp.mean(jnp.square(network.apply(params, y[batch]) - x[batch]))

        keys = jax.random.split(key, settings.members)
        return jnp.sum(jax.vmap(member_loss)(params, keys))

    return fitting.descend(
        state, key, fold_loss, training_rows, updates, settings.learning_rate, settings.average
    )


@jit_sooner(runs="short", static_argnames="settings")
def _predict(params, y, settings):
    """Predict x from the rows of y [2, n, dim] by the committee of every fold: [FOLDS, 2, n]."""
    network = _network(settings)
    by_member = jax.vmap(jax.vmap(network.apply, (0, None)), (0, None))
    flat = y.reshape(-1, y.shape[-1])
    return by_member(params, flat).mean(axis=1).reshape(-1, *y.shape[:2])


def _of(by_fold, part):
    """Return the prediction [2, n] of every row by its fold [2, n] of predictions [FOLDS, 2, n]."""
    return np.take_along_axis(by_fold, part[None], axis=0)[0]


def _optimism(pair: Pair, by_fold, part) -> float:
    """Return by how much the information is higher by predictions of fits that have seen a row."""
    held, own = [
        halved_pair.information(_extended(pair, by_fold, one), MEAN).mean
        for one in (part, (part + 1) % FOLDS)
    ]
    return max(0.0, own - held)


def _extended(pair: Pair, by_fold, part) -> Pair:
    """Add to y the prediction of every row by its fold."""
    return pair._replace(y=np.concatenate([pair.y, _of(by_fold, part)[..., None]], axis=-1))
