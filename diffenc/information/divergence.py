"""D = E KL(p(r|y) || N(0, I)) with its error: when to stop, what to make of the products, what they
may miss."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.errors import InputError
from diffenc.information import gaussian, growth, regression
from diffenc.information.growth import Halves, Products, Settings
from diffenc.information.regression import Features

LARGEST_STAKE = 1.15  # a P / X beyond that says more of X, see `rescaled`, than of the networks


class Divergence(NamedTuple):
    """D in nats: mean, and systematic, the part of its standard error that more examples to judge
    on would not mend.

    pointwise, kelly_growth, s_nn [2n]: per example, in the order of the rows given: the shares of
    D; the growth 2P - O, whose mean is a lower bound of D; and the neural entropy O of the
    networks. score_gap [2n]: X + 2 <v - o, g>, which is 1/2 int alpha^2 E|o - g|^2 less what that
    is where o = 0, for g the prediction of v by a Gaussian that knows no y, since <v, g> is 0 on
    average: D where the networks are right. density [draws]: dD / d(lambda) over the strata `edges`
    [draws + 1] of lambda, density_stderr: sampling alone. value, earlier: D of networks that saw
    all of a half, and half of it. updates: the training behind it, 0 where nothing was found.
    """

    mean: float
    systematic: float
    pointwise: np.ndarray
    kelly_growth: np.ndarray
    s_nn: np.ndarray
    score_gap: np.ndarray
    density: np.ndarray
    density_stderr: np.ndarray
    edges: np.ndarray
    value: float
    earlier: float
    updates: int


def split(key: jax.Array, n: int) -> np.ndarray:
    """Two halves of range(n) at random, [2, n // 2]; of an odd n one is left out."""
    return np.asarray(jax.random.permutation(key, n))[: n // 2 * 2].reshape(2, -1)


def make_halves(x: np.ndarray, y: np.ndarray | None, features: Features | None = None) -> Halves:
    """Each half in coordinates of its own moments: with those of the whole, the halves' residuals
    would mirror each other and the held-out products be biased. Without y the residual is x itself.
    x: [2, n, dim], y: [2, n, dim_y]; features [2, n, ...]: of y, for the regression; without any, y
    itself."""
    parts = []
    for half, of_x in enumerate(x):
        white_x = gaussian.whiten(of_x)
        if y is None:
            dim = white_x.shape[1]
            parts.append((white_x, np.zeros((len(of_x), 1)), np.zeros_like(white_x), np.eye(dim)))
        else:
            white_y = gaussian.whiten(y[half])
            of_half = (
                regression.linear(white_y)
                if features is None
                else Features(*(f[half] for f in features))
            )
            fitted = regression.fit(white_x, of_half)
            parts.append((fitted.r, white_y, fitted.linear, fitted.factor))
    return Halves(*(jnp.asarray(np.stack(part), jnp.float32) for part in zip(*parts, strict=True)))


def check_halves(blocks: dict[str, np.ndarray]) -> None:
    """Every column of the named blocks [2, n, dim] has a part of its own, of 1e-5 of its deviation
    or more, in either half; raises InputError, with the name of the block, for one that does
    not."""
    for name, block in blocks.items():
        scale = block.std(axis=(0, 1))
        for half in block:
            part = (half - half.mean(axis=0)) / scale
            rest = np.abs(np.diagonal(np.linalg.qr(part, mode="r"))) / len(half) ** 0.5
            bad = np.flatnonzero(rest < 1e-5)
            if len(rest) < part.shape[1] or bad.size:
                column = bad[0] if bad.size else len(rest)
                raise InputError(
                    f"{name} column {column} differs from a constant or the columns before it in so few rows that half "
                    "of the rows show no difference: leave it out, or give more rows"
                )


def divergence(
    key: jax.Array,
    halves: Halves,
    settings: Settings,
    show: Callable[[int, float], None] = lambda updates, value: None,
    learned_from: Halves | None = None,
) -> Divergence:
    """D of data whose halves are given, by networks that saw one half and by networks that saw half
    of that.

    learned_from: the halves in the coordinates that networks learn them in, where these are not
    those in which the half itself is judged (`flows`).

    What a network of n examples misses of D falls with n, so the two make an extrapolation, D_n +
    (D_n - D_(n/2)) / 2, for a fall like n^-1.6: the n^-1 of a fixed number of coefficients, and
    more where half of the examples do not suffice to learn what all of them teach. A negative step
    is chance, and left out of it (which adds some 0.2 of the step's own error where there is
    nothing to gain), but not of the error. The systematic error has three parts: that step, what
    the second half of the training added, and what the two halves of the data disagree by. D is 0,
    give or take P and its standard error, where the first networks find nothing: see `fit`.
    show(updates, D) is told of every round.
    """
    n = halves.r.shape[1]
    key_all, key_part, key_judge = jax.random.split(key, 3)
    learned_from = halves if learned_from is None else learned_from
    all_of_half = fit(key_all, halves, n, settings, show, learned_from=learned_from)
    if not all_of_half.found:
        return _nothing(n, settings, all_of_half.doubt)
    products, value, stake = judge(key_judge, all_of_half, halves, settings)
    part_of_half = fit(key_part, halves, n // 2, settings, show, all_of_half.rounds, learned_from)
    earlier = judge(key_judge, part_of_half, halves, settings)[1]
    step = value - earlier
    mean = value + settings.extrapolation * max(0.0, step)
    folds = [
        rescaled(products.held[h].sum(axis=-1), products.cross[h].sum(axis=-1))[0] for h in (0, 1)
    ]
    doubts = (settings.step_error * step, all_of_half.drift, (folds[0] - folds[1]) / 2)
    bound = stake == LARGEST_STAKE
    shares = np.where(
        bound, stake * products.held, 2 * stake * products.held - np.square(stake) * products.cross
    )
    pointwise, edges = shares.sum(axis=-1), growth.edges(shares.shape[-1])
    return Divergence(
        mean=mean,
        systematic=float(np.linalg.norm(doubts)),
        pointwise=(pointwise + mean - pointwise.mean()).ravel(),
        kelly_growth=(2 * products.held - products.own).sum(axis=-1).ravel(),
        s_nn=products.own.sum(axis=-1).ravel(),
        score_gap=(products.cross + 2 * products.tilt).sum(axis=-1).ravel(),
        density=shares.mean(axis=(0, 1)) / np.diff(edges),
        density_stderr=shares.std(axis=(0, 1), ddof=1) / (2 * n) ** 0.5 / np.diff(edges),
        edges=edges,
        value=value,
        earlier=earlier,
        updates=all_of_half.updates,
    )


class Fit(NamedTuple):
    """Networks as they were after some rounds of training, and which to judge either part of the
    examples by; rounds: how many of mixtures and of denoising led there, in so many updates;
    whether they found anything, and what may be there where they did not; drift: what the second
    half of these updates added to D."""

    snapshots: dict
    chosen: tuple[int, int]
    rounds: tuple[int, int]
    updates: int
    found: bool
    doubt: float
    drift: float


def fit(
    key: jax.Array,
    halves: Halves,
    count: int,
    settings: Settings,
    show,
    rounds: tuple | None = None,
    learned_from: Halves | None = None,
) -> Fit:
    """Train both networks on count examples of their half, in the coordinates of learned_from:
    their mixtures by maximum likelihood until their `score` stops growing, then, from the best of
    these, what mixtures miss by denoising, until it stops again; or for given rounds.

    The examples of either half fall into two parts, the even and the odd: the round of training is
    chosen by the one and judged on the other, and conversely, so that the largest of several noisy
    values does not flatter; the round that denoising starts from is chosen by both. Nothing is
    found where after null_rounds rounds of denoising P is below null_errors of its standard errors;
    with rounds given that is not asked, for a value set to 0 by a test would make the extrapolation
    add half of the other.
    """
    _, n, dim = halves.r.shape
    learned_from = halves if learned_from is None else learned_from
    key_init, key_spread, key_train, key_monitor = jax.random.split(key, 4)
    state = growth.initialize(key_init, settings, dim, halves.y.shape[-1])
    state = growth.restarted(growth.spread(state.params, key_spread, dim), settings)
    sums, snapshots, values, made, found, best = [], [], [], [], [], 0
    stages = (
        (
            growth.advance_mixture,
            settings.mixture_rounds,
            settings.mixture_updates,
            settings.mixture_patience,
        ),
        (growth.advance, settings.max_rounds, settings.updates, settings.patience),
    )
    for stage, (advance, limit, updates, patience) in enumerate(stages):
        first = len(values)
        if stage:
            state, reached = growth.restarted(snapshots[best], settings), best + 1
        for _ in range(rounds[stage] if rounds else limit):
            state = advance(
                state, jax.random.fold_in(key_train, len(values)), learned_from, count, settings
            )
            products = growth.judge(state.averages, jax.random.clone(key_monitor), halves, settings)
            sums.append(Products(*(array.sum(axis=-1, dtype=np.float64) for array in products)))
            snapshots.append(jax.device_get(state.averages))
            values.append(score(sums[-1], settings))
            found.append(rescaled(sums[-1].held, sums[-1].cross)[0])
            made.append(updates)
            show(sum(made), found[-1])
            if values[-1] > values[best] + settings.least_gain:
                best = len(values) - 1
            if rounds:
                continue
            held = sums[-1].held
            null = stage and len(values) - first == settings.null_rounds
            if null and held.mean() < settings.null_errors * _stderr(held):
                return Fit(
                    {},
                    (0, 0),
                    (0, 0),
                    0,
                    False,
                    float(np.hypot(_stderr(held), max(0.0, held.mean()))),
                    0.0,
                )
            if len(values) - 1 - max(best, first) >= patience:
                break
    chosen = tuple(_best(sums, np.arange(n) % 2 != part, settings) for part in (0, 1))
    last = max(chosen)
    path = list(range(last + 1)) if last < first else [*range(reached), *range(first, last + 1)]
    updates = np.cumsum([made[index] for index in path])
    middle = path[int(np.argmax(2 * updates >= updates[-1]))]
    rounds = tuple(sum((index >= first) == stage for index in path) for stage in (False, True))
    snapshots = {index: snapshots[index] for index in chosen}
    drift = found[last] - found[middle]
    return Fit(snapshots, chosen, rounds, int(updates[-1]), True, _stderr(sums[-1].held), drift)


def judge(
    key: jax.Array, fitted: Fit, halves: Halves, settings: Settings
) -> tuple[Products, float, np.ndarray]:
    """The products of all examples, D, and the stake [1, n, 1] of either part, with fresh noise and
    more of it."""
    n = halves.r.shape[1]
    parts, values, stakes = np.arange(n) % 2, [], []
    judged = {
        index: growth.judge(
            params, jax.random.clone(key), halves, settings, settings.judge_parts, tilted=True
        )
        for index, params in fitted.snapshots.items()
    }
    products = Products(
        *(np.empty((2, n, settings.strata * settings.judge_parts)) for _ in Products._fields)
    )
    for part, index in enumerate(fitted.chosen):
        rows = parts == part
        for whole, piece in zip(products, judged[index], strict=True):
            whole[:, rows] = piece[:, rows]
        value, stake = rescaled(
            *(array[:, rows].sum(axis=-1) for array in (products.held, products.cross))
        )
        values.append(value)
        stakes.append(stake)
    return products, float(np.mean(values)), np.where(parts == 0, *stakes)[None, :, None]


def rescaled(held: np.ndarray, cross: np.ndarray) -> tuple[float, float]:
    """c P and the stake c = P / X, of which max_c (2 c P - c^2 X) = P^2 / X comes, but no more than
    LARGEST_STAKE.

    The square of P's standard error, which P^2 has too much on average, is taken off; at the bound
    c P is linear. X is judged where one of the two networks has learned, and falls short of |f|^2
    the more they know by heart: what is fitted on the very examples has nothing left along what
    overfitting has on average. P does not suffer from it.
    """
    p, x = held.mean(), cross.mean()
    if p <= 0:
        return 0.0, 0.0
    if p >= LARGEST_STAKE * x:
        return LARGEST_STAKE * p, LARGEST_STAKE
    return max(0.0, p**2 / x - _stderr(held) ** 2 / x), p / x


def _stderr(values):
    return values.std(ddof=1) / values.size**0.5


def score(sums: Products, settings: Settings, rows=slice(None)) -> float:
    """What a round of training is chosen by: D less a price on the noise O - X of the networks,
    which biases X."""
    held, cross, own = (array[:, rows] for array in sums[:3])
    return rescaled(held, cross)[0] - settings.noise_price * max(0.0, own.mean() - cross.mean())


def _best(sums, rows, settings):
    return int(np.argmax([score(s, settings, rows) for s in sums]))


def _nothing(n, settings, doubt) -> Divergence:
    zeros = np.zeros(2 * n)
    count = settings.strata * settings.judge_parts
    flat = np.zeros(count)
    return Divergence(
        0.0, float(doubt), zeros, zeros, zeros, zeros, flat, flat, growth.edges(count), 0.0, 0.0, 0
    )
