"""D = E KL(p(r|y) || N(0, I)) with its error: training, evaluation and extrapolation."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.settings import Settings
from diffenc.information.training import growth
from diffenc.information.training.growth import Products
from diffenc.information.training.halves import Halves
from diffenc.information.training.rounds import LARGEST_STAKE, Fit, fit, rescale
from diffenc.keys import split_key


class Divergence(NamedTuple):
    """An estimate of D and its several forms, in nats.

    Arrays [2n] have one value per example, in the order of the rows of both halves.

    Attributes:
        mean: the estimate.
        systematic: the part of its standard error that more examples to evaluate on would not
            reduce.
        pointwise: shares [2n] of the examples in D.
        kelly_growth: the growth 2P - O [2n], whose mean is a lower bound of D.
        s_nn: the neural entropy O of the networks [2n].
        score_gap: X + 2 <v - o, g> [2n], where g is the prediction of v by a Gaussian that knows no
            y. Since <v, g> is 0 on average, it estimates 1/2 int alpha^2 E(|o - g|^2 - |g|^2), and
            D if the networks are right.
        density: dD / d(lambda) [strata], averaged over each stratum of lambda.
        density_stderr: its standard error [strata] by sampling alone.
        edges: bounds [strata + 1] of the strata.
        value: D by networks trained on all of a half.
        earlier: D by networks trained on half of a half.
        updates: updates that led to the networks, 0 if D is not significant.
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


def ignore(updates: int, value: float) -> None:
    """Ignore the progress of a training."""


def divergence(
    key: jax.Array,
    halves: Halves,
    settings: Settings,
    show: Callable[[int, float], None] = ignore,
    training: Halves | None = None,
    clusters: Clusters | None = None,
) -> Divergence:
    """Estimate D, extrapolated from n / 2 and n examples in a half.

    What a network trained on n examples misses of D falls with n. The estimate is
    D_n + (D_n - D_(n/2)) / 2, which is right if it falls like n^-1.6: a fixed number of
    coefficients gives n^-1, and the fall is steeper where half of the examples are too few to learn
    what all of them teach. If D_n < D_(n/2) the difference is sampling noise: it is not
    extrapolated, but it still enters the error. (This makes the estimate high by about 0.2 standard
    errors of the step when there is nothing to gain.)

    P^2 / X is a lower bound of D: what both networks miss alike is in neither P nor X, and no
    comparison of the two shows it. On tasks of known truth it is about the sampling error of D,
    which falls like N^-1/2 and grows with D, give or take twice as much. So much is added to the
    estimate and to its error, see `JudgeSettings`.

    The systematic error has four parts: the step, the change by the second half of the training,
    half of the difference between the two halves of the data, and what both networks may miss. If
    the networks detect nothing, D is 0 and the systematic error is P and its standard error, see
    `rounds.fit`.

    Args:
        key: a key.
        halves: the data in the coordinates in which they are evaluated.
        settings: of the networks, the training and the evaluation.
        show: progress callback, called after every round with (updates, D).
        training: the data in the coordinates in which the networks are trained, if these are
            others (see `flows`).
        clusters: of the rows [2, n], or None.

    Returns:
        The estimate.
    """
    n = halves.r.shape[1]
    key_all, key_part, key_judge = split_key(key, 3)
    training = halves if training is None else training
    whole = fit(key_all, halves, n, settings, show, training=training, clusters=clusters)
    if not whole.is_significant:
        return _zero(n, settings, whole.doubt)
    products, value, stake = judge(key_judge, whole, halves, settings, clusters)
    part = fit(key_part, halves, n // 2, settings, show, whole.rounds, training, clusters)
    earlier = judge(key_judge, part, halves, settings, clusters)[1]
    step = value - earlier
    shares = np.where(
        stake == LARGEST_STAKE,
        stake * products.held,
        2 * stake * products.held - np.square(stake) * products.cross,
    )
    pointwise = shares.sum(axis=-1)
    sampling = clustering.estimate(pointwise, clusters).stderr
    mean = value + settings.judge.extrapolation * max(0.0, step)
    mean = mean + settings.judge.shortfall * sampling
    folds = [
        rescale(
            products.held[half].sum(axis=-1),
            products.cross[half].sum(axis=-1),
            None if clusters is None else clusters.at(half),
        )[0]
        for half in (0, 1)
    ]
    doubts = (
        settings.judge.step_error * step,
        whole.drift,
        (folds[0] - folds[1]) / 2,
        settings.judge.shortfall_error * sampling,
    )
    edges = growth.edges(shares.shape[-1])
    return Divergence(
        mean=mean,
        systematic=float(np.linalg.norm(doubts)),
        pointwise=(pointwise + mean - pointwise.mean()).ravel(),
        kelly_growth=(2 * products.held - products.own).sum(axis=-1).ravel(),
        s_nn=products.own.sum(axis=-1).ravel(),
        score_gap=(products.cross + 2 * products.tilt).sum(axis=-1).ravel(),
        density=shares.mean(axis=(0, 1)) / np.diff(edges),
        density_stderr=_errors(shares, clusters) / np.diff(edges),
        edges=edges,
        value=value,
        earlier=earlier,
        updates=whole.updates,
    )


def _errors(shares, clusters):
    """Return the standard errors of the means of shares [2, n, strata]."""
    columns = np.moveaxis(shares, -1, 0)
    return np.array([clustering.estimate(column, clusters).stderr for column in columns])


def judge(
    key: jax.Array,
    networks: Fit,
    halves: Halves,
    settings: Settings,
    clusters: Clusters | None = None,
) -> tuple[Products, float, np.ndarray]:
    """Evaluate the networks of a fit on all examples, with fresh noise and in finer strata.

    Args:
        key: a key. The same one gives the same noise for other networks.
        networks: the result of a training.
        halves: the data.
        settings: of the networks and of the evaluation.
        clusters: of the rows [2, n], or None.

    Returns:
        The products of all examples, D (nats), and the stake [2, n, 1] of every row.
    """
    n = halves.r.shape[1]
    parts = settings.judge.parts
    by_round = {
        index: growth.judge(params, jax.random.clone(key), halves, settings, parts, tilted=True)
        for index, params in networks.snapshots.items()
    }
    strata = settings.judge.strata * parts
    products = Products(*(np.empty((2, n, strata)) for _ in Products._fields))
    is_odd = clustering.is_odd((2, n), clusters)
    values = []
    stakes = []
    for part, index in enumerate(networks.choices):
        rows = is_odd == part
        for whole, piece in zip(products, by_round[index], strict=True):
            whole[rows] = piece[rows]
        held = products.held[rows].sum(axis=-1)
        cross = products.cross[rows].sum(axis=-1)
        value, stake = rescale(held, cross, None if clusters is None else clusters.at(rows))
        values.append(value)
        stakes.append(stake)
    return products, float(np.mean(values)), np.where(is_odd, *stakes[::-1])[:, :, None]


def _zero(n, settings, doubt) -> Divergence:
    """Return the estimate 0 with this systematic error."""
    zeros = np.zeros(2 * n)
    strata = settings.judge.strata * settings.judge.parts
    return Divergence(
        mean=0.0,
        systematic=float(doubt),
        pointwise=zeros,
        kelly_growth=zeros,
        s_nn=zeros,
        score_gap=zeros,
        density=np.zeros(strata),
        density_stderr=np.zeros(strata),
        edges=growth.edges(strata),
        value=0.0,
        earlier=0.0,
        updates=0,
    )
