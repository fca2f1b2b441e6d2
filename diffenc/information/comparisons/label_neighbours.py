"""Nearest neighbours of samples and labels: what few columns tell of a label.

The estimator of Ross (PLOS ONE 9(2), e87357, 2014),

    psi(N) + psi(k) - <psi(N_label) + psi(m)>

counts the m rows within the distance to the k-th neighbour of the same label, of which there are
N_label. As in neighbours.py it is too low where a relation is finer than these distances.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import chdtrc, digamma, ndtr

from diffenc.estimate import Estimate
from diffenc.information.comparisons.neighbours import (
    CANDIDATES,
    CHANCE,
    CHOOSING_ROWS,
    COUNTED_ROWS,
    NEIGHBOURS,
    Neighbours,
    missing,
)

# Blocks of so many columns are compared whole, too.
FEW_COLUMNS = 3
# Rows near each other share neighbours: estimates of independent samples of 200 to 5,000 rows and 2
# to 10 labels scatter by 1.05 to 1.37 times the error of independent terms.
SHARED = 1.4
# Rows of a label without which it is not compared.
LEAST = 20
# Rows that follow one of their own label, without which these are not counted.
PAIRS = 5


def ross(x: np.ndarray, labels: np.ndarray, neighbours: int = NEIGHBOURS) -> Estimate:
    """Compute the estimator of x [N, dim] and labels [N].

    Labels of one row are left out. The error is that of the mean of independent terms, times
    SHARED.

    Args:
        x: [N, dim].
        labels: integers from 0.
        neighbours: k, at most; of the rows of a label less one.

    Returns:
        The information in nats.
    """
    counts = np.bincount(labels)
    kept = counts[labels] > 1
    x = x[kept]
    labels = labels[kept]
    radius = np.empty(len(x))
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        place = min(neighbours, len(of_label) - 1)
        distances = cKDTree(x[of_label]).query(x[of_label], k=[place + 1], p=np.inf)[0]
        radius[of_label] = np.nextafter(distances[:, 0], 0)
    within = cKDTree(x).query_ball_point(x, radius, p=np.inf, return_length=True)
    of_label = counts[labels]
    taken = np.minimum(neighbours, of_label - 1)
    terms = digamma(len(x)) + digamma(taken) - digamma(of_label) - digamma(within)
    mean, stderr = Estimate.of(terms)
    return Estimate(mean, SHARED * stderr)


def strongest(x: np.ndarray, labels: np.ndarray) -> Neighbours:
    """Find the columns that tell the most of the label by nearest neighbours.

    Columns are chosen by half of the rows at most, and measured by all.

    Args:
        x: scores [N, dim]; their rows in random order.
        labels: integers [N] from 0.

    Returns:
        The largest information by neighbours; of `columns` the second is (0,).
    """
    x = x[:COUNTED_ROWS]
    labels = labels[:COUNTED_ROWS]
    chosen_by = min(len(x) // 2, CHOOSING_ROWS)
    columns = _choose(x[:chosen_by], labels[:chosen_by])
    x = x[:, columns]

    def of_part(part):
        return ross(x[part], labels[part]).mean

    by_all = ross(x, labels)
    lacking = missing(of_part, by_all, len(columns) + 1)  # as if the label had a distance, too
    return Neighbours(by_all, lacking, (tuple(columns), (0,)))


def _choose(x, labels) -> list[int]:
    """Return the columns with the largest information by neighbours."""
    candidates = [[int(place)] for place in np.argsort(chances(x, labels))[:CANDIDATES]]
    if 1 < x.shape[1] <= FEW_COLUMNS:
        candidates.append(list(range(x.shape[1])))
    return max(candidates, key=lambda columns: ross(x[:, columns], labels).mean)


def telling(x: np.ndarray, labels: np.ndarray) -> list[int]:
    """Return the columns that by themselves depend on the label.

    Args:
        x: scores [N, dim].
        labels: integers [N] from 0.

    Returns:
        Places of columns; independent ones by CHANCE.
    """
    values = chances(x[:CHOOSING_ROWS], labels[:CHOOSING_ROWS])
    return np.flatnonzero(values < CHANCE / x.shape[1]).tolist()


def are_enough(labels: np.ndarray) -> bool:
    """Return whether every label [N] from 0 has LEAST rows among those whose neighbours count."""
    return bool(np.bincount(labels[:COUNTED_ROWS], minlength=labels.max() + 1).min() >= LEAST)


def chances(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a p-value [dim] of independence of each column and the label.

    The least of three, times three: of how many rows that follow each other in the order of the
    column have equal labels, and of how much labels explain of the column and of its size. Labels
    of fewer than LEAST rows are left out, and the first is where fewer than PAIRS such rows are to
    be expected of all labels but the commonest, since the limits are those of many.

    Args:
        x: [N, dim]; rows in random order where columns have ties.
        labels: integers [N] from 0.

    Returns:
        [dim].
    """
    kept = np.bincount(labels)[labels] >= LEAST
    x = x[kept]
    labels = np.unique(labels[kept], return_inverse=True)[1]
    counts = np.bincount(labels)
    if len(counts) < 2:
        return np.ones(x.shape[1])
    n = len(x)
    shares = counts / n
    second = np.sum(shares**2)
    third = np.sum(shares**3)
    follows = labels[np.argsort(x, axis=0)]
    equal = np.mean(follows[1:] == follows[:-1], axis=0)
    variance = (second + second**2 - 2 * third) / n
    pvalues = []
    if np.sort(counts)[:-1] @ np.sort(counts)[:-1] >= PAIRS * n:
        pvalues.append(ndtr((second - equal) / np.sqrt(variance)))
    indicators = np.eye(len(counts))[labels]
    for values in (x, np.abs(x)):
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        explained = np.sum((indicators.T @ values) ** 2 / counts[:, None], axis=0)
        pvalues.append(chdtrc(len(counts) - 1, explained))
    return np.minimum(1.0, 3 * np.min(pvalues, axis=0))
