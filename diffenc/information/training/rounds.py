"""Rounds of training: when to stop, and which round to use.

The examples of either half fall into two parts, the even and the odd rows. The round of training is
chosen by one part and evaluated on the other, and conversely, because the largest of several noisy
values is biased high.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.settings import DenoiserSettings, MixtureSettings, Settings
from diffenc.information.training import fitting, growth
from diffenc.information.training.growth import Products
from diffenc.information.training.halves import Halves
from diffenc.keys import split_key

# Upper limit of P / X. Larger ratios occur when X is underestimated (see `rescale`), so they are
# clipped.
LARGEST_STAKE = 1.15


class Round(NamedTuple):
    """Both networks after a round of training, and their evaluation.

    Attributes:
        stage: 0 for a round of mixtures, 1 for one of denoising.
        updates: updates in this round.
        averages: averaged parameters of both networks, on the host.
        sums: the products of every example [2, n], summed over lambda.
        score: see `score`.
        value: P^2 / X, see `rescale`.
    """

    stage: int
    updates: int
    averages: Any
    sums: Products
    score: float
    value: float


class Fit(NamedTuple):
    """The result of a training.

    Attributes:
        snapshots: parameters of both networks, by the index of their round.
        choices: the round whose networks evaluate the even rows, and the one for the odd rows.
        rounds: how many rounds of mixtures and of denoising led to the later of the two.
        updates: the updates in these rounds.
        is_significant: whether P exceeded the limit of the null test.
        doubt: the standard error of P; if P is not significant, P is added in quadrature.
        drift: by how much the second half of the updates changed D.
    """

    snapshots: dict
    choices: tuple[int, int]
    rounds: tuple[int, int]
    updates: int
    is_significant: bool
    doubt: float
    drift: float


def fit(
    key: jax.Array,
    halves: Halves,
    count: int,
    settings: Settings,
    show: Callable[[int, float], None],
    rounds: tuple[int, int] | None = None,
    training: Halves | None = None,
    clusters: Clusters | None = None,
) -> Fit:
    """Train both networks: first their mixtures, then by denoising what mixtures miss.

    Either stage ends when its `score` stops growing. A round after which an evaluation is not
    finite counts as one without a gain and is dropped: training goes on from the best. Denoising
    starts from the best round of mixtures, chosen by all rows. After `settings.null.rounds` rounds
    of denoising the null test is made: unless P exceeds `settings.null.errors` of its standard
    errors, training ends without a result.

    Args:
        key: a key.
        halves: the data in the coordinates in which they are evaluated.
        count: each network is trained on the first count examples of its half.
        settings: of the networks, the training and the evaluation.
        show: progress callback, called after every round with (updates, D).
        rounds: numbers of rounds of mixtures and of denoising. With these, neither the end nor the
            null test is left to the data: the extrapolation from n / 2 to n examples would add half
            of D if the value at n / 2 were set to 0 by a test.
        training: the data in the coordinates in which the networks are trained; None is halves.
        clusters: of the rows [2, n], or None.

    Returns:
        The networks of the chosen rounds.

    Raises:
        InputError: every round of mixtures has diverged.
    """
    _, n, dim = halves.r.shape
    training = halves if training is None else training
    key_init, key_spread, key_train, key_monitor = split_key(key, 4)
    rate = settings.denoiser.learning_rate
    state = fitting.initialize(key_init, settings.shape, dim, halves.y.shape[-1], key_spread)
    advances = (fitting.advance_mixture, fitting.advance)
    sections: tuple[MixtureSettings | DenoiserSettings, ...] = (settings.mixture, settings.denoiser)
    best_averages = jax.device_get(state.averages)
    history: list[Round] = []
    best = 0
    num_rounds = 0
    for stage, (advance, section) in enumerate(zip(advances, sections, strict=True)):
        first = len(history)
        if stage:
            if not history:
                raise InputError(
                    "every round of mixtures has diverged: "
                    "give a smaller denoiser.learning_rate among the settings"
                )
            start = best
            state = fitting.restart(best_averages, rate)
        wasted = 0  # rounds of this stage since its first or the best
        for index in range(rounds[stage] if rounds else section.rounds):
            key_round = jax.random.fold_in(key_train, num_rounds)
            num_rounds += 1
            state = advance(state, key_round, training, count, settings)
            one = _evaluate(key_monitor, state.averages, halves, settings, stage, clusters)
            wasted += index > 0
            if one is None:
                state = fitting.restart(best_averages, rate)
            else:
                history.append(one)
                show(sum(one.updates for one in history), one.value)
                if len(history) == 1 or one.score > history[best].score + settings.least_gain:
                    best = len(history) - 1
                    best_averages = one.averages
                    wasted = 0
            if rounds:
                continue
            if stage and index + 1 == settings.null.rounds:
                mean, stderr = clustering.estimate(history[-1].sums.held, clusters)
                if mean < settings.null.errors * stderr:
                    doubt = float(np.hypot(stderr, max(0.0, mean)))
                    return Fit({}, (0, 0), (0, 0), 0, False, doubt, 0.0)
            if wasted >= section.patience:
                break
    return _choose(history, start, first, settings.judge.noise_price, clusters)


def _evaluate(
    key, averages, halves: Halves, settings: Settings, stage: int, clusters: Clusters | None
) -> Round | None:
    """Evaluate both networks after a round of a stage; None if this is not finite."""
    products = growth.judge(averages, jax.random.clone(key), halves, settings)
    sums = Products(*(array.sum(axis=-1, dtype=np.float64) for array in products))
    if not np.isfinite(sums).all():
        return None
    return Round(
        stage=stage,
        updates=(settings.mixture, settings.denoiser)[stage].updates,
        averages=jax.device_get(averages),
        sums=sums,
        score=score(sums, settings.judge.noise_price, clusters),
        value=rescale(sums.held, sums.cross, clusters)[0],
    )


def _choose(
    history: list[Round], start: int, first: int, noise_price: float, clusters: Clusters | None
) -> Fit:
    """Choose a round for either part of the rows.

    start is the round of mixtures that denoising started from, first the first round of denoising.
    """
    is_odd = clustering.is_odd(history[0].sums.held.shape, clusters)
    choices = tuple(_best(history, is_odd != part, noise_price, clusters) for part in (0, 1))
    last = max(choices)
    if last < first:
        path = history[: last + 1]
    else:
        path = history[: start + 1] + history[first : last + 1]
    updates = np.cumsum([one.updates for one in path])
    middle = path[int(np.argmax(2 * updates >= updates[-1]))]
    return Fit(
        snapshots={index: history[index].averages for index in choices},
        choices=choices,
        rounds=(sum(one.stage == 0 for one in path), sum(one.stage == 1 for one in path)),
        updates=int(updates[-1]),
        is_significant=True,
        doubt=clustering.estimate(history[-1].sums.held, clusters).stderr,
        drift=history[last].value - middle.value,
    )


def _best(history, rows, noise_price, clusters):
    return int(np.argmax([score(one.sums, noise_price, clusters, rows) for one in history]))


def score(
    sums: Products, noise_price: float, clusters: Clusters | None = None, rows=slice(None)
) -> float:
    """Compute D less a price on O - X, the squared error of the networks, which biases X.

    Args:
        sums: products [2, n], summed over lambda.
        noise_price: weight of O - X.
        clusters: of the rows [2, n], or None.
        rows: which of [2, n] count.

    Returns:
        The number by which a round of training is chosen.
    """
    held = sums.held[rows]
    cross = sums.cross[rows]
    own = sums.own[rows]
    clusters = None if clusters is None else clusters.at(rows)
    return rescale(held, cross, clusters)[0] - noise_price * max(0.0, own.mean() - cross.mean())


def rescale(
    held: np.ndarray, cross: np.ndarray, clusters: Clusters | None = None
) -> tuple[float, float]:
    """Compute max_c (2 c P - c^2 X) = P^2 / X, and the stake c = P / X.

    The square of P's standard error, by which P^2 is high on average, is subtracted from P^2. X is
    evaluated on data that one of the two networks was trained on. When networks overfit, X is
    therefore biased low; P is not. The stake is clipped at LARGEST_STAKE, and the value is then
    c P.

    Args:
        held: <v, o> of every example.
        cross: <o_a, o_b> of every example.
        clusters: of the examples, or None.

    Returns:
        The value (nats) and the stake.
    """
    p = held.mean()
    x = cross.mean()
    if p <= 0:
        return 0.0, 0.0
    if p >= LARGEST_STAKE * x:
        return LARGEST_STAKE * p, LARGEST_STAKE
    stderr = clustering.estimate(held, clusters).stderr
    return max(0.0, p**2 / x - stderr**2 / x), p / x
