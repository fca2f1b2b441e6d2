"""A block with angles, which are turned by those that the other block predicts.

    r = wrap(angle - direction(y)),    direction(y) the angle of (E[cos|y], E[sin|y])

is an invertible map of x for every y, as the residual of a regression is, so that with normal
scores z of the angles and the rest of x, and x' of r and the rest,

    I(X;Y) = I_reg(x'; y) + E log |dx'/dz| + h(N_z) - h(N_x') + D[X'|Y] - D[Z]      (exact)

where N are the Gaussians of the same moments. No regression of an angle jumps, and no network has
to learn the surface on which x lies, which it would have to in space, twice. The direction is a
regression on the features of y and on cosines and sines of angles of y (Fisher & Lee 1992).

Cross-fitting: each half is evaluated with the directions of the other half, as in `flows`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian, rings, spacings
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.coordinates.rings import Rings
from diffenc.information.estimation import pair_information
from diffenc.information.estimation.assembly import Information, still_grows
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair, Turned
from diffenc.information.settings import Settings, Show

# An information has an error of sampling of about so much in the square root of the rows.
SAMPLING = 0.7


def is_sure(result: Information) -> bool:
    """Return whether the systematic error of an estimate is below that of sampling.

    Where nothing is detected the rows do not show that of sampling.
    """
    rows = len(result.rows) / clustering.inflation_of(result.clusters)
    return result.systematic < max(result.errors["examples"], SAMPLING / rows**0.5)


def estimate(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    plain: Pair,
    rows: np.ndarray,
    settings: Settings,
    show: Show,
    clusters: Clusters | None,
) -> Information | None:
    """Estimate I(X;Y) of blocks of which one has angles.

    Args:
        key: a key.
        x: [N, dim_x].
        y: [N, dim_y].
        plain: both in scores.
        rows: [2, n] of both halves.
        settings: for as many examples in a half.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None.

    Returns:
        The information; None where neither block has angles, or where scores tell more.
    """
    chosen = choose(plain, candidates(x, y, plain, rows, clusters), settings.map_errors)
    if chosen is None:
        return None
    pair, features = chosen
    result = pair_information.estimate(key, pair, rows, settings, show, features)
    density = result.regression_density
    added = 0.0 if pair.turned is None or density is None else density
    unbounded = still_grows(result.conditional, result.marginal, pair.least_dim, added)
    return result._replace(unbounded=unbounded, diffused="y" if pair.is_exchanged else "x")


def candidates(
    x: np.ndarray, y: np.ndarray, plain: Pair, rows: np.ndarray, clusters: Clusters | None
) -> list[Pair]:
    """Make the pairs in which a block with angles is turned by the other one, or is as it is.

    The other one is in angles of its own, or as it is in `plain`.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        plain: both in scores.
        rows: [2, n] of both halves.
        clusters: of the rows [N], or None.

    Returns:
        The pairs; none where neither block has angles.
    """
    found = [rings.find(block) for block in (x, y)]
    scores = (plain.y, plain.x) if plain.is_exchanged else (plain.x, plain.y)
    clusters = None if clusters is None else clusters.at(rows)
    pairs = []
    for index in (0, 1):
        block = found[index]
        other = found[1 - index]
        if block is None:
            continue
        conditions = [(scores[1 - index], 0)]
        if other is not None:
            conditions = [(_as_condition(other)[rows], other.angles.shape[1]), *conditions]
        unturned = Pair(_as_scores(block)[rows], conditions[0][0], clusters=clusters)
        pairs.append(unturned._replace(is_exchanged=bool(index), surplus=conditions[0][1]))
        for condition, surplus in conditions:
            turned = _turn(block, condition, rows, clusters)
            if turned is not None:
                pairs.append(turned._replace(is_exchanged=bool(index), surplus=surplus))
    return pairs


def _as_condition(block: Rings) -> np.ndarray:
    """Return cosines and sines of angles, and scores of the rest [N, dim + k]."""
    rest = gaussian.by_rank(block.rest)
    return np.concatenate([np.cos(block.angles), np.sin(block.angles), rest], axis=1)


def _as_scores(block: Rings) -> np.ndarray:
    """Return the scores of angles and of the rest [N, dim]."""
    return gaussian.by_rank(np.concatenate([block.angles, block.rest], axis=1))


def _turn(block: Rings, y, rows, clusters) -> Pair | None:
    """Make the pair of a block [N] and a condition [2, n, dim_y].

    What directions gain on the rows of their fit they lose on others, to first order half of a nat
    in n for each coefficient (Akaike 1974). None where spacings do not resolve an angle.
    """
    num = block.angles.shape[1]
    angles = block.angles[rows]
    rest = gaussian.by_rank(block.rest)[rows]
    before = _scores(angles, rest, clusters)
    if before is None:
        return None
    design = _design(y)
    by_half = []
    for half in (0, 1):
        residual = rings.wrap(angles - _directions(angles[half], design[half], design))
        scores = _scores(residual, rest, clusters)
        if scores is None:
            return None
        by_half.append(scores)
    first, second = by_half
    own = np.stack([first.z[0], second.z[1]])
    crossed = np.stack([second.z[0], first.z[1]])
    gain = np.stack([second.log_slope[0], first.log_slope[1]]) - before.log_slope
    doubts = (before.doubt, 0.5 * (first.doubt + second.doubt))
    examples = rows.shape[1] / clustering.inflation_of(clusters)
    return Pair(
        crossed,
        y,
        own=(own, y),
        optimism=num * design.shape[-1] / examples,
        drift=float(np.linalg.norm(doubts)),
        clusters=clusters,
        turned=Turned(before.z, gain),
    )


def _design(y):
    """Return the regressors of the directions [2, n, k]."""
    flat = regression.polar(y.reshape(-1, y.shape[-1])).mean
    flat = np.concatenate([np.ones((len(flat), 1)), flat], axis=1)
    return flat.reshape(*y.shape[:2], -1)


def _directions(angles, design, of_all):
    """Fit the directions of angles [n, k] and return those of all rows [2, n, k]."""
    parts = [np.linalg.lstsq(design, wave(angles))[0] for wave in (np.cos, np.sin)]
    return np.arctan2(of_all @ parts[1], of_all @ parts[0])


class _Scores(NamedTuple):
    """Normal scores z [2, n, dim] of angles and of the rest.

    log |dz/dangle| - h(N_z) [2, n] is `log_slope`, and `doubt` its error by single spacings.
    """

    z: np.ndarray
    log_slope: np.ndarray
    doubt: float


def _scores(angles, rest, clusters) -> _Scores | None:
    """Map angles [2, n, k] to normal scores by the ranks of all rows, beside the rest."""
    flat = angles.reshape(-1, angles.shape[-1])
    z = gaussian.by_rank(flat)
    log_slope = 0.5 * np.sum(np.square(z) + np.log(2 * np.pi), axis=1)
    doubts = []
    for column in flat.T:
        entropy = spacings.entropy(column, clusters)
        if entropy is None:
            return None
        part, doubt = entropy
        log_slope = log_slope - part.pointwise
        doubts.append(doubt)
    z = np.concatenate([z.reshape(angles.shape), rest], axis=-1)
    of_all = gaussian.gaussian_entropy(z.reshape(len(flat), -1), clusters).pointwise
    return _Scores(z, (log_slope - of_all).reshape(z.shape[:2]), float(np.linalg.norm(doubts)))


def choose(plain: Pair, others: list[Pair], errors: float) -> tuple[Pair, Callable] | None:
    """Choose a pair with angles: the first, or another that tells significantly more.

    Regressions are compared, lengths included, without what counts as optimism. Only the mean is of
    scores in which a block lies about a hollow: a regression of lengths finds the hollow, too.

    Args:
        plain: both blocks in scores.
        others: of `candidates`.
        errors: standard errors of a gain that counts.

    Returns:
        The pair and its features; None where there are none, or where scores tell significantly
        more.
    """
    if not others:
        return None
    trials = [_regression(pair, errors) for pair in others]
    best = trials[0]
    for trial in trials[1:]:
        if _tells_more(trial.part, best.part, errors):
            best = trial
    of_plain = halved_pair.information(plain, halved_pair.MEAN)
    return None if _tells_more(of_plain, best.part, errors) else (best.pair, best.features)


class _Trial(NamedTuple):
    """A pair with the features of its regression and what this tells."""

    pair: Pair
    features: Callable
    part: GaussianPart


def _regression(pair: Pair, errors) -> _Trial:
    features = additive.features_of(pair, regression.polar, errors)
    part, _, _ = pair_information.choose_features(pair._replace(optimism=0.0), features, errors)
    return _Trial(pair, features, part)


def _tells_more(other: GaussianPart, part: GaussianPart, errors) -> bool:
    gain = clustering.estimate(other.pointwise - part.pointwise, part.clusters)
    return gain.mean > errors * gain.stderr
