"""Posteriors q(l|x) by the labels of the rows next to x in the order of one coordinate.

Where labels are a function of a column with many steps, such as its whole numbers, the posterior
is 0 or 1 but for the rows at a step. A logistic regression and networks blur the steps by more than
that. The rows on either side of x in the order of a coordinate know them as well as samples can
(Fix & Hodges 1951):

    q(l|x) = (1 - s) (share of label l among k rows on each side) + s p(l)

Coordinates are the columns, and the directions along which the logits of a regression differ.
"""

import numpy as np

# Rows on each side.
WIDTHS = (1, 2, 4, 8, 16, 32)
# Shares of labels by chance, beside one row of all.
SHARES = (0.003, 0.01, 0.03, 0.1, 0.3)
# Columns of which the best one is taken.
COLUMNS = 3
# Directions of logits.
DIRECTIONS = 2


def estimate(coordinates: list[np.ndarray], labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Compute log q(l|x) / p(l) of rows by the rows of other folds.

    The coordinate, the number of rows and the share by chance of a fold are those that predict the
    other folds best.

    Args:
        coordinates: of each fold in order [N, count], which its own rows did not choose.
        labels: integers [N] from 0.
        fold: [N] of every row.

    Returns:
        [N].
    """
    n = len(labels)
    prior = (np.bincount(labels) / n)[labels]
    values = np.empty(n)
    for number, of_fold in zip(np.unique(fold), coordinates, strict=True):
        rows = fold == number
        most = -np.inf
        for column in of_fold.T:
            shares = _shares(column, labels, fold)
            for by_chance in (1 / n, *SHARES):
                ratios = np.log((1 - by_chance) * shares / prior + by_chance)
                means = ratios[:, ~rows].mean(axis=1)
                if means.max() > most:
                    most = means.max()
                    values[rows] = ratios[np.argmax(means), rows]
    return values


def _shares(column, labels, fold) -> np.ndarray:
    """Return the share [widths, N] of the label of each row among the next rows of other folds."""
    shares = np.empty((len(WIDTHS), len(labels)))
    indicators = np.eye(labels.max() + 1)[labels]
    for number in np.unique(fold):
        rows = fold == number
        others = np.flatnonzero(~rows)
        others = others[np.argsort(column[others], kind="stable")]
        # The middle of equal values.
        sides = [np.searchsorted(column[others], column[rows], side) for side in ("left", "right")]
        place = (sides[0] + sides[1]) // 2
        total = np.cumsum(np.insert(indicators[others], 0, 0.0, axis=0), axis=0)
        for index, width in enumerate(WIDTHS):
            first = np.maximum(place - width, 0)
            last = np.minimum(place + width, len(others))
            of_label = (total[last] - total[first])[np.arange(len(place)), labels[rows]]
            shares[index, rows] = of_label / (last - first)
    return shares


def directions(weights: np.ndarray) -> np.ndarray:
    """Return the directions [features, DIRECTIONS] along which logits of classes differ most.

    Args:
        weights: of a logistic regression [features, classes].
    """
    differences = weights - weights.mean(axis=1, keepdims=True)
    return np.linalg.svd(differences, full_matrices=False)[0][:, :DIRECTIONS]
