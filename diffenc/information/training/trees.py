"""Regression of one column on many by boosted trees (Friedman 2001).

Trees cut single columns, and so find steps, thresholds and largest values among many columns from
fewer examples than networks do, which find smooth functions better (`committee`).
"""

import numpy as np

# Trees at most; they end where a tenth of the rows no longer gains.
MOST_TREES = 300
# Leaves of a tree at most.
LEAVES = 63
# Share of the columns that a cut is chosen from, anew for every cut.
SHARE = 0.5


def predict(
    x: np.ndarray, y: np.ndarray, part: np.ndarray, num_folds: int, seed: int
) -> np.ndarray:
    """Predict x from y by the trees of every fold, which are fitted to all other folds.

    Args:
        x: [2, n, 1].
        y: [2, n, dim].
        part: the fold [2, n] of every row.
        num_folds: number of folds.
        seed: of the columns that a cut is chosen from.

    Returns:
        The predictions [num_folds, 2, n].
    """
    # Its import takes as long as JAX's.
    from sklearn.ensemble import HistGradientBoostingRegressor

    predictions = []
    for fold in range(num_folds):
        trees = HistGradientBoostingRegressor(
            max_iter=MOST_TREES,
            max_leaf_nodes=LEAVES,
            max_features=SHARE,
            early_stopping=True,
            random_state=seed,
        )
        trees.fit(y[part != fold], x[part != fold, 0])
        predictions.append(trees.predict(y.reshape(-1, y.shape[-1])).reshape(part.shape))
    return np.stack(predictions)
