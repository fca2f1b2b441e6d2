"""Rows that are copies but for noise: jittered copies, and measurements of few subjects.

They are far closer to each other than to all other rows. In d dimensions the distances of the k-th
and of the 2k-th nearest neighbour have a ratio R of which R^-d follows the law Beta(k, k), whatever
the density, as long as this is smooth over these distances. Where rows lie in clumps of k to 2k, it
is larger for most of them.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import betaincinv

from diffenc.information.coordinates import gaussian
from diffenc.keys import rng_of

# The numbers k of neighbours.
NEIGHBOURS = (1, 2, 4, 8)
# The farthest one, and how many times as many rows there must be. The dimension is measured by its
# distance and that of the one half as far.
FARTHEST = 64
TIMES = 8
LEAST_ROWS = 200
# Share of the rows of a smooth density whose ratio is called large.
TAIL = 0.02
# Largest share of such rows that is taken for chance.
MOST = 0.2
# The first rows of a long table, among which neighbours are looked for; and of how many of them.
MOST_ROWS = 20_000
MOST_QUERIES = 1000
# Of more columns random directions are taken, see `clump_size`.
MOST_COLUMNS = 10
RECOGNIZED = "the other half recognizes them rather than predicts"


def clump_size(*blocks: np.ndarray) -> int | None:
    """Return up to how many rows lie together, far closer than to others; None if they do not.

    Args:
        *blocks: numbers [N] or [N, dim]; of more than ten columns in all, ten random directions of
            their scores are looked at.

    Returns:
        The size of the clumps, up to 2, 4, 8 or 16 rows.
    """
    table = np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
    n = min(len(table), MOST_ROWS)
    if n < LEAST_ROWS:
        return None
    far = min(FARTHEST, n // TIMES)
    rng = rng_of(0, "clumps")
    scores = gaussian.by_rank(table[:n].astype(np.float64), rng)
    if scores.shape[1] > MOST_COLUMNS:
        scores = scores @ rng.normal(size=(scores.shape[1], MOST_COLUMNS))
    some = scores[:: -(-n // MOST_QUERIES)]
    distance = cKDTree(scores).query(some, far + 1)[0]
    distance = np.maximum(distance, 1e-12)
    ratio = np.mean(np.log(distance[:, far] / distance[:, far // 2]))
    dim = np.log(far / (far // 2)) / ratio
    shares = []
    for k in NEIGHBOURS:
        if 4 * k > far:
            break
        largest = betaincinv(k, k, TAIL) ** (-1 / dim)
        shares.append(np.mean(distance[:, 2 * k] / distance[:, k] > largest))
    place = int(np.argmax(shares))
    return 2 * NEIGHBOURS[place] if shares[place] > MOST else None


def clumped(size: int) -> str:
    """Say that rows lie in clumps, and what to do if a clump is of one subject.

    Args:
        size: of rows in a clump, at most.

    Returns:
        A sentence.
    """
    return (
        f"rows lie in clumps of up to {size}, far closer to each other than to the next ones: if "
        "these are noisy copies of a row, or of one subject, say so by groups=..., since else "
        f"{RECOGNIZED}"
    )
