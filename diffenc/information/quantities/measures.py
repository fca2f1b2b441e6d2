"""Information of two blocks of samples, in nats, with standard errors.

    I(X;Y) = I_reg + D[X|Y] - D[X]

I_reg is the information by a regression of mean and length (regression.py) and needs no network.
Since I(X;Y) is the same under invertible maps of X and of Y, the blocks are first mapped to where
I_reg is largest: unmixed into independent components (gaussian.py), then mapped by flows
(flows.py). Either map is used only if it increases the estimate significantly. What is left are two
neural entropies relative to the Gaussian of the same moments (divergence.py):
D[X|Y] = E KL(p(r|y) || N(0, I)) of the white residual r of x given y, and D[X] of white x itself,
which needs no network if X has one coordinate: its scores are normal, or spacings tell D[X].
Theory: arXiv 2409.03817, 2509.23937.
"""

import functools
import math

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.comparisons import class_mixture, label_neighbours
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import (
    additive_noise,
    angles,
    label_bracket,
    own_scale,
    pair_information,
    resolution,
    smooth_pairs,
    twin_weight,
    unmixed_noise,
)
from diffenc.information.estimation.assembly import Information, is_one_sided, still_grows
from diffenc.information.estimation.resolution import resolve
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.atoms import with_atoms
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.samples import clumps
from diffenc.information.samples.checks import LEAST_ROWS, check, check_labels
from diffenc.information.samples.functions import check_no_function
from diffenc.information.settings import DEFAULTS, Settings, Show, silent
from diffenc.information.training import committee, flows
from diffenc.information.training.halves import check_halves, split
from diffenc.keys import generator, rng_of, split_key


def mutual_information(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Information:
    """Estimate I(X;Y) of samples.

    The smaller block is diffused, of equal ones the one with the larger Gaussian information. If
    D[X] is detected and D[X|Y] is not, the blocks are exchanged and the estimate with the smaller
    error is returned. Increasing maps of single coordinates change nothing but which linear
    mixtures are unmixed. A block whose rows lie about a hollow is estimated in angles first, see
    `angles`; the estimate without them is made if this is not sure, and that of the smaller error
    is returned. Then it is compared with nearest neighbours and with columns alone, see
    `resolution.resolve`, weighed with a twin of few columns, see `twin_weight.weigh`, and raised to
    a limit by noise that does not depend on the other block, see `unmixed_noise`.

    Args:
        key: a key.
        x: [N, dim_x], or [N] for one coordinate.
        y: [N, dim_y], or [N] for one coordinate.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information with its other forms and parts.

    Raises:
        InputError: for samples that `checks` refuses.
    """
    x, y = check(x, y)
    _check_no_function(x, y, clusters)
    *keys, key_some, key_order, key_committee = split_key(key, 8)
    keys.append(key_committee)
    result = _of_columns(keys, x, y, settings, show, clusters)

    def estimate_again(columns_x, columns_y):
        tell = functools.partial(_tell, show, "some columns")
        keys = split_key(key_some, 6)
        return _of_columns(keys, x[:, columns_x], y[:, columns_y], settings, tell, clusters)

    rng = generator(key_order)
    order = _compared_rows(rng, len(x), clusters)
    if len(order) < LEAST_ROWS:
        return result
    scores_x = gaussian.by_rank(x, rng)[order]
    scores_y = gaussian.by_rank(y, rng)[order]
    compared = resolution.of_numbers(scores_x, scores_y, x[order], y[order])
    result = resolve(result, compared, estimate_again)
    least = unmixed_noise.limit(x, y, result)
    result = unmixed_noise.raise_to(result, least)
    if result.is_by_noise:
        return result
    result = twin_weight.weigh(result, x[order], y[order], rng)
    return unmixed_noise.raise_to(result, least)


def _check_no_function(x, y, clusters: Clusters | None) -> None:
    """Raise InputError for a column that is a function, of independent rows where these are enough.

    Noisy copies of rows look like a function, since each is predicted by the others.
    """
    try:
        check_no_function(x, y)
    except InputError as error:
        if clusters is None:
            size = clumps.clump_size(x, y)
            if size is None:
                raise
            raise InputError(f"{clumps.clumped(size)}; as they are, {error}") from error
        rows = clustering.some_rows(clusters, rng_of(0, "rows for functions"))
        if len(rows) < LEAST_ROWS:
            raise
        check_no_function(x[rows], y[rows])


def _compared_rows(rng, num_rows: int, clusters: Clusters | None) -> np.ndarray:
    """Return independent rows in random order, by which an estimate is compared."""
    rows = np.arange(num_rows) if clusters is None else clustering.some_rows(clusters, rng)
    return rng.permutation(rows)


def _of_columns(keys, x, y, settings, show, clusters) -> Information:
    """Estimate I(X;Y) of blocks [N, dim] as networks resolve it, by six keys."""
    key_ties, key_split, key_flow, key_fit, key_exchanged, key_committee = keys
    rows = split(key_split, len(x), clusters)
    plain, candidates = _pairs(generator(key_ties), x, y, rows, clusters)
    in_half = settings.for_examples(effective_examples(rows, clusters))
    linear_part = halved_pair.information(plain, regression.linear).estimate
    tell = functools.partial(_tell, show, "angles")
    in_angles = angles.estimate(key_fit, x, y, plain, rows, in_half, tell, clusters)
    if in_angles is not None:
        in_angles = in_angles._replace(gaussian=linear_part)
        if angles.is_sure(in_angles):
            return in_angles
    pair = plain
    for candidate in candidates:
        pair = halved_pair.better(pair, halved_pair.orient(candidate), settings.map_errors)
    in_own_scale = own_scale.candidates(x, y, plain, rows, clusters)
    pair = own_scale.choose(pair, in_own_scale, settings.map_errors)
    condition = y if not pair.is_exchanged else x
    pair = halved_pair.better(pair, with_atoms(pair, condition, rows), settings.map_errors)
    polar = regression.polar_signed if pair.log_ratios else regression.polar
    mapped = flows.learn(key_flow, pair, in_half, functools.partial(show, "maps"))
    tell = functools.partial(show, "committee")
    extended = committee.learn(key_committee, pair, in_half, tell)
    mapped = halved_pair.better(mapped, extended, settings.map_errors)
    pair, features = additive.choose(pair, mapped, polar, settings.map_errors)
    blur = 0.0
    are_ranked = np.concatenate([gaussian.are_ranked(x), gaussian.are_ranked(y)])
    if pair.has_ranks and are_ranked.any():
        blur = smooth_pairs.blur(pair, features, settings.map_errors, bool(are_ranked.all()))
    smooth = smooth_pairs.make(x, y, rows, clusters) if blur else []
    if smooth:
        pair, features = smooth_pairs.choose(smooth, settings.map_errors)
        plain = pair
        blur = 0.0
    result = pair_information.estimate(key_fit, pair, rows, in_half, show, features)
    if is_one_sided(result.marginal, result.conditional) and pair.can_be_exchanged:
        tell = functools.partial(_tell, show, "x and y exchanged")
        exchanged = pair.exchange()
        of_x = additive.features_of(exchanged, regression.polar, settings.map_errors)
        other = pair_information.estimate(key_exchanged, exchanged, rows, in_half, tell, of_x)
        if other.estimate.stderr < result.estimate.stderr:
            result = other
            pair = exchanged
            features = of_x
    if pair.is_learned or features is not regression.polar:
        # The regression holds what denoisers would detect at fine noise.
        before = plain if plain.is_exchanged == pair.is_exchanged else plain.exchange()
        edges = result.conditional.edges
        by_polar = pair_information.density(before, edges, regression.polar)
        added = np.maximum(result.regression_density - by_polar, 0.0)
        unbounded = still_grows(result.conditional, result.marginal, pair.least_dim, added)
        result = result._replace(unbounded=unbounded)
    are_single = x.shape[1] == y.shape[1] == 1
    if are_single:
        least = additive_noise.limit(x, y, rows, settings.map_errors, pair.clusters)
        if least is not None:
            result = additive_noise.raise_to(result, least, pair.clusters)
    if blur:
        stderr = float(np.hypot(result.estimate.stderr, blur))
        estimate = Estimate(result.estimate.mean, stderr)
        result = result._replace(estimate=estimate, is_blurred=are_single)
    result = result._replace(gaussian=linear_part, diffused="y" if pair.is_exchanged else "x")
    if in_angles is not None and in_angles.estimate.stderr < result.estimate.stderr:
        return in_angles
    return result


def effective_examples(rows, clusters) -> float:
    """Return the effective number of rows in a half.

    With clusters it is rounded to a power of two: settings are compiled into programs.
    """
    n = rows.shape[1]
    if clusters is None:
        return n
    return min(n, 2.0 ** round(math.log2(n / clusters.inflation)))


def _pairs(rng, x, y, rows, clusters) -> tuple[Pair, list[Pair]]:
    """Return the pair of scores, and the pairs with x, y or both unmixed."""
    scores_x = gaussian.block_scores(rng, x)[rows]
    scores_y = gaussian.block_scores(rng, y)[rows]
    check_halves({"x": scores_x, "y": scores_y})
    unmixed_x = gaussian.independent_scores(rng, x)
    unmixed_y = gaussian.independent_scores(rng, y)
    unmixed_x = scores_x if unmixed_x is None else unmixed_x[rows]
    unmixed_y = scores_y if unmixed_y is None else unmixed_y[rows]
    clusters = None if clusters is None else clusters.at(rows)
    plain, *candidates = [
        Pair(of_x, of_y, clusters=clusters)
        for of_x in (scores_x, unmixed_x)
        for of_y in (scores_y, unmixed_y)
    ]
    return halved_pair.orient(plain), candidates


def _tell(show: Show, what: str, stage: str, updates: int, value: float) -> None:
    show(f"{what}, {stage}", updates, value)


def label_information(
    key: jax.Array,
    x: np.ndarray,
    labels: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Information:
    """Estimate I(X;L) of samples and labels.

    The condition is the label's indicator. The formula is exact as it stands, with the regression
    of mean and length on the indicators. Then it is compared with nearest neighbours and with
    columns alone, see `resolution.resolve`.

    Args:
        key: a key.
        x: [N, dim], or [N] for one coordinate.
        labels: integers [N].
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information with its other forms and parts.

    Raises:
        InputError: for labels that are not integers, or of which one has fewer than ten examples.
    """
    x, index = check_labels(x, labels)
    result = label_information_of_networks(key, x, index, settings, show, clusters)
    key_some, key_order = split_key(key, 5)[3:]

    def estimate_again(columns, _):
        tell = functools.partial(_tell, show, "some columns")
        return label_information_of_networks(
            key_some, x[:, columns], index, settings, tell, clusters
        )

    rng = generator(key_order)
    order = _compared_rows(rng, len(x), clusters)
    if len(order) < LEAST_ROWS or not label_neighbours.are_enough(index[order]):
        return result
    scores = gaussian.by_rank(x, rng)[order]
    compared = resolution.of_labels(scores, index[order], x[order])
    return resolve(result, compared, estimate_again)


def label_information_of_networks(
    key: jax.Array,
    x: np.ndarray,
    labels: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Information:
    """Estimate I(X;L) of samples and labels as networks resolve it, without nearest neighbours.

    It is weighed with what laws of the classes tell, see `label_bracket.weigh`.

    Estimates of equal keys and numbers of rows have the same halves and the same noise.

    Args:
        key: a key.
        x: [N, dim], or [N] for one coordinate.
        labels: integers [N].
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information with its other forms and parts.

    Raises:
        InputError: see `label_information`.
    """
    x, index = check_labels(x, labels)
    indicators = np.eye(index.max() + 1)[index][:, 1:]
    # The keys after these are those of `label_information`.
    key_ties, key_split, key_fit, *_, key_folds = split_key(key, 6)
    scores = gaussian.block_scores(generator(key_ties), x)
    rows = split(key_split, len(x), clusters)
    clusters_of_rows = None if clusters is None else clusters.at(rows)
    pair = Pair(scores[rows], indicators[rows], clusters=clusters_of_rows)
    check_halves({"x": pair.x, "label": pair.y})
    in_half = settings.for_examples(effective_examples(rows, clusters))
    result = pair_information.estimate(key_fit, pair, rows, in_half, show, regression.of_labels)
    linear_part = halved_pair.information(pair, regression.linear).estimate
    # The information is at most the entropy of the labels.
    result = result._replace(gaussian=linear_part, unbounded=False)
    flat = rows.ravel()
    of_flat = None if clusters is None else clusters.at(flat)
    mixture = class_mixture.estimate(
        scores[flat], x[flat], index[flat], generator(key_folds), of_flat
    )
    return label_bracket.weigh(result, mixture)
