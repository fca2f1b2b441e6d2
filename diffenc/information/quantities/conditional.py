"""Conditional information of blocks of numbers, in nats, with standard errors.

    I(X;Y|Z) = I(X;(Y,Z)) - I(X;Z)

Theory: see measures.py.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation import pair_information, smooth_pairs
from diffenc.information.estimation.assembly import Information, assemble
from diffenc.information.quantities.measures import effective_examples
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.regressions.atoms import are_regular, with_atoms
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.samples.checks import check
from diffenc.information.samples.functions import check_no_function, check_no_function_given
from diffenc.information.settings import DEFAULTS, Settings, Show, silent
from diffenc.information.training.divergence import divergence
from diffenc.information.training.halves import check_halves, make_halves, split
from diffenc.keys import generator, split_key


def conditional_information(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
    indicators: np.ndarray | None = None,
) -> Information:
    """Estimate I(X;Y|Z) = I(X;(Y,Z)) - I(X;Z) of samples.

    D[X] cancels. Both conditional divergences are estimated with the same halves and the same
    noise, each with a regression of its own. What ranks may blur is in the error, see
    `smooth_pairs`.

    Args:
        key: a key.
        x: [N, dim_x], or [N] for one coordinate.
        y: [N, dim_y], or [N] for one coordinate.
        z: [N, dim_z], or [N] for one coordinate; dim_z may be 0 beside indicators.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.
        indicators: [N, k] of codes that are given beside z, or None.

    Returns:
        The information; `conditional` and `marginal` are D[X|Y,Z] and D[X|Z].

    Raises:
        InputError: for samples that `checks` refuses.
    """
    key_ties, key_split, key_fit = split_key(key, 3)
    rng = generator(key_ties)
    if z.size:
        x, y, z = check(x, y, z)
        check_no_function_given(x, y, z)
    else:
        x, y = check(x, y)
        check_no_function(x, y)
    condition = np.concatenate([y, z], axis=1)
    width = y.shape[1]
    x = gaussian.block_scores(rng, x)
    y = gaussian.block_scores(rng, y)
    z = gaussian.block_scores(rng, z) if z.size else z
    of_both = regression.polar_blocks(width) if z.size else regression.polar
    of_z: Callable = regression.polar
    if indicators is not None:
        of_both = regression.beside_codes(condition.shape[1], of_both)
        of_z = regression.beside_codes(z.shape[1]) if z.size else regression.of_labels
    rows = split(key_split, len(x), clusters)
    clusters_of_rows = None if clusters is None else clusters.at(rows)
    plain = Pair(x[rows], np.concatenate([y, z], axis=1)[rows], clusters=clusters_of_rows)
    scores = halved_pair.better(plain, with_atoms(plain, condition, rows), settings.map_errors).y
    blocks = (scores[..., :width], scores[..., width:]) if z.size else ()
    if not all(are_regular(block) for block in blocks):
        scores = plain.y
    if indicators is not None:
        scores = np.concatenate([scores, indicators[rows]], axis=2)
    with_y = plain._replace(y=scores)
    without_y = plain._replace(y=scores[..., width:])
    check_halves({"x": x[rows], "y, z": with_y.y, "z": without_y.y})
    in_half = settings.for_examples(effective_examples(rows, clusters))

    def estimate(pair, candidate, name):
        part, features, shape = pair_information.choose_features(
            pair, candidate, settings.map_errors
        )
        halves = make_halves(pair.x, pair.y, halved_pair.regressors(pair, features))
        tell = functools.partial(show, f"x given {name}")
        beyond = divergence(
            jax.random.clone(key_fit), halves, in_half, tell, clusters=pair.clusters
        )
        return part, shape, beyond, pair_information.correction(pair, features)

    part, shape, beyond, correction = estimate(with_y, of_both, "y, z")
    part_z, shape_z, beyond_z, correction_z = estimate(without_y, of_z, "z")
    blur = smooth_pairs.missed(with_y, part.mean) - smooth_pairs.missed(without_y, part_z.mean)
    doubt = float(np.linalg.norm((correction, correction_z, blur)))
    result = assemble(_subtract(part, part_z), rows, x.shape[1], beyond, beyond_z, doubt=doubt)
    linear_part = _subtract(
        halved_pair.information(with_y, regression.linear),
        halved_pair.information(without_y, regression.linear),
    )
    return result._replace(shape=shape - shape_z, gaussian=linear_part.estimate)


def _subtract(part: GaussianPart, other: GaussianPart) -> GaussianPart:
    pointwise = part.pointwise - other.pointwise
    return GaussianPart(part.mean - other.mean, pointwise, part.clusters)
