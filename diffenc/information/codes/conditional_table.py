"""The information of two discrete variables given a third one, from tables of counts.

    I(X;Y|Z) = sum_z p(z) I(X;Y|Z=z)

Each table is estimated by itself (count_table.py), so that its bias is measured on pairs that are
permuted within the rows of a code of Z.
"""

import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.codes.count_table import CountTable, plug_in_entropy, table_information

# Largest share of the rows whose tables are too sparse to tell anything.
MOST_UNKNOWN = 0.5
# Rows of a table at least.
FEWEST_ROWS = 4


def conditional_table_information(
    rng: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    clusters: Clusters | None = None,
) -> CountTable:
    """Estimate I(X;Y|Z) of codes.

    Where x or y does not vary among the rows of a code of Z, it tells nothing there. Of a table
    that is too sparse, the information is taken as half of its limit, with that as error. The limit
    is the smaller entropy of x and y among these rows, or among all if these are fewer than
    `FEWEST_ROWS`, which show too little of it. Systematic errors of the tables add up, since they
    may have one sign.

    Args:
        rng: draws the permutations.
        x: integers [N].
        y: integers [N].
        z: integers [N].
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information; its `counts` are those of (x, z) and of (y, z) [2, cells].

    Raises:
        InputError: too many tables are too sparse.
    """
    n = len(z)
    most = _limit(x, y)
    pointwise = np.zeros(n)
    plug_in = null = systematic = variance = unknown = 0.0
    for code in np.unique(z):
        rows = np.flatnonzero(z == code)
        share = len(rows) / n
        is_small = len(rows) < FEWEST_ROWS
        limit = most if is_small else _limit(x[rows], y[rows])
        if limit == 0.0:
            continue
        try:
            if is_small:
                raise InputError("too few rows for a table")
            of_rows = None if clusters is None else clusters.at(rows)
            table = table_information(rng, x[rows], y[rows], of_rows)
        except InputError:
            unknown += share
            pointwise[rows] = limit / 2
            systematic += share * limit / 2
            continue
        pointwise[rows] = table.pointwise
        plug_in += share * table.plug_in
        null += share * table.null
        systematic += share * table.systematic
        variance += (share * table.sampling) ** 2
    if unknown > MOST_UNKNOWN:
        raise InputError(
            f"given has {len(np.unique(z))} codes, and most have too few rows for a table of x and "
            "y: give more rows, or put rare codes together"
        )
    sampling = max(clustering.estimate(pointwise, clusters).stderr, variance**0.5)
    return CountTable(
        estimate=Estimate(float(pointwise.mean()), float(np.hypot(sampling, systematic))),
        plug_in=float(plug_in),
        null=float(null),
        pointwise=pointwise,
        sampling=float(sampling),
        systematic=float(systematic),
        counts=_counts_of_both(x, y, z),
    )


def _limit(x, y) -> float:
    """Return the smaller entropy of the values of x and of y, exactly 0 if one of them is constant.

    The formula of an entropy would leave rounding of it.
    """
    counts = [np.unique(one, return_counts=True)[1] for one in (x, y)]
    return 0.0 if min(map(len, counts)) < 2 else min(map(plug_in_entropy, counts))


def _counts_of_both(x, y, z) -> np.ndarray:
    """Return the counts of (x, z) and of (y, z), the shorter ones followed by zeros."""
    counts = [np.unique(np.stack([one, z]), axis=1, return_counts=True)[1] for one in (x, y)]
    return np.stack([np.pad(one, (0, max(map(len, counts)) - len(one))) for one in counts])
