"""Information of numbers about a block that holds codes beside numbers."""

import jax
import numpy as np

from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import pair_information
from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.measures import effective_examples
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.samples.checks import check
from diffenc.information.settings import DEFAULTS, Settings, Show, silent
from diffenc.information.training.halves import check_halves, split
from diffenc.keys import generator, split_key


def mixed_information(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    indicators: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Information:
    """Estimate I(X;(Y,C)) of samples, where C are codes.

    It is D[X|Y,C] - D[X] beside a regression on the scores of y, on the indicators of C and, where
    there are enough examples, on their products. X is diffused, and the indicators are a condition
    as they stand.

    Args:
        key: a key.
        x: [N, dim_x], or [N] for one coordinate.
        y: [N, dim_y], or [N] for one coordinate.
        indicators: [N, k] of the codes, as by `columns.indicators`.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information with its other forms and parts.

    Raises:
        InputError: for samples that `checks` refuses.
    """
    x, y = check(x, y)
    key_ties, key_split, key_fit = split_key(key, 3)
    rng = generator(key_ties)
    scores_x = gaussian.block_scores(rng, x)
    scores_y = gaussian.block_scores(rng, y)
    rows = split(key_split, len(x), clusters)
    both = np.concatenate([scores_y, indicators], axis=1)
    pair = Pair(scores_x[rows], both[rows], clusters=clusters and clusters.at(rows))
    check_halves({"x": pair.x, "y": scores_y[rows], "y's codes": pair.y})
    in_half = settings.for_examples(effective_examples(rows, clusters))
    features = regression.beside_codes(y.shape[1])
    result = pair_information.estimate(key_fit, pair, rows, in_half, show, features)
    linear_part = halved_pair.information(pair, regression.linear).estimate
    return result._replace(gaussian=linear_part)
