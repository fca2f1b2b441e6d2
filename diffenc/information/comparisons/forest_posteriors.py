"""Posteriors q(l|x) by a forest of decision trees (Breiman 2001).

Where labels are a function of a few columns with many steps, such as whole numbers of one column or
the fields of a table of two, the posterior is 0 or 1 but for the rows at a step. A logistic
regression and networks blur steps by more than that. Trees that part the rows at steps do not, and
a mean over bootstraps knows how unsure the places of these are:

    q(l|x) = (1 - s) (mean share of label l in the leaves of x) + s p(l)

Trees part columns one at a time. So there is a forest of the columns, and one of the directions
along which the logits of a regression differ most.
"""

from collections.abc import Sequence

import numpy as np

TREES = 50
# Rows of a leaf at least.
LEAF = 5
# Shares of labels by chance, beside one row of all.
SHARES = (0.003, 0.01, 0.03, 0.1, 0.3)
# Columns that trees may part, and directions of logits.
COLUMNS = 8
DIRECTIONS = 2
# Rows at most that grow one forest.
MOST_ROWS = 5_000


def estimate(
    blocks: Sequence[tuple[np.ndarray, ...]],
    labels: np.ndarray,
    fold: np.ndarray,
    known: np.ndarray,
) -> np.ndarray | None:
    """Compute log q(l|x) / p(l) of rows by forests of the rows of other folds.

    The block of columns and the share by chance of a fold are those that predict the other folds
    best. Trees are grown for the first fold alone if they tell it no better than what is known.

    Args:
        blocks: of each fold in order as many blocks [N, count], which its own rows did not choose.
        labels: integers [N] from 0.
        fold: [N] of every row.
        known: log q(l|x) / p(l) [N] that has to be exceeded.

    Returns:
        [N], or None.
    """
    n = len(labels)
    prior = (np.bincount(labels) / n)[labels]
    numbers = np.unique(fold)
    ratios = np.empty((len(blocks[0]), 1 + len(SHARES), n))
    by_chance = np.array([1 / n, *SHARES])[:, None]
    for number, of_fold in zip(numbers, blocks, strict=True):
        rows = fold == number
        others = np.flatnonzero(~rows)[:MOST_ROWS]
        for index, block in enumerate(of_fold):
            forest = _grow(block[others], labels[others])
            of_labels = np.zeros((rows.sum(), labels.max() + 1))
            of_labels[:, forest.classes_] = forest.predict_proba(block[rows])
            share = of_labels[np.arange(len(of_labels)), labels[rows]] / prior[rows]
            ratios[index, :, rows] = np.log((1 - by_chance) * share + by_chance).T
        if number == numbers[0] and ratios[..., rows].mean(axis=2).max() <= known[rows].mean():
            return None
    ratios = ratios.reshape(-1, n)
    values = np.empty(n)
    for number in numbers:
        rows = fold == number
        values[rows] = ratios[np.argmax(ratios[:, ~rows].mean(axis=1)), rows]
    return values


def _grow(columns, labels):
    """Grow trees that may part any column at any step: the same ones for the same rows."""
    # Its import takes as long as JAX's.
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, max_features=None, min_samples_leaf=LEAF, random_state=0)
    return forest.fit(columns, labels)


def directions(weights: np.ndarray) -> np.ndarray:
    """Return the directions [features, DIRECTIONS] along which logits of classes differ most.

    Args:
        weights: of a logistic regression [features, classes].
    """
    differences = weights - weights.mean(axis=1, keepdims=True)
    return np.linalg.svd(differences, full_matrices=False)[0][:, :DIRECTIONS]
