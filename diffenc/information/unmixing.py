"""Independent component analysis: the linear sources that a block may be a mixture of; float64."""

import numpy as np

TURNS = 100
TOLERANCE = 1e-3


def unmix(x: np.ndarray) -> np.ndarray | None:
    """Find independent sources of a linear mixture by FastICA (Hyvarinen 1999).

    The sources are s = W z of white z. All rows w of W are turned together by the fixed point of
    the contrast E log cosh w'z,

        w <- E[z tanh(w'z)] - E[1 - tanh^2(w'z)] w,

    after which W is replaced by the orthogonal matrix nearest to it, until no row turns by more
    than `TOLERANCE`, or for `TURNS` turns: any rotation is an invertible map. It computes what
    scikit-learn's `FastICA` does, whose import takes as long as JAX's.

    Args:
        x: standardized columns [N, D].

    Returns:
        The sources [N, D] at unit variance, or None if x has no white image.
    """
    n, dim = x.shape
    if not np.isfinite(x).all():
        return None
    try:
        left, scales, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        signs = np.where(axes[:, 0] < 0, -1.0, 1.0)  # of the axes, which are arbitrary
        white = n**0.5 * left * signs
        rotation = _nearest_rotation(np.random.RandomState(0).normal(size=(dim, dim)))
        for _ in range(TURNS):
            slopes = np.tanh(white @ rotation.T)
            decay = np.mean(1 - np.square(slopes), axis=0)
            turned = _nearest_rotation(slopes.T @ white / n - decay[:, None] * rotation)
            turns = 1 - np.abs(np.sum(turned * rotation, axis=1))
            rotation = turned
            if np.abs(turns).max() < TOLERANCE:
                break
    except np.linalg.LinAlgError:
        return None
    sources = white @ rotation.T
    return sources / sources.std(axis=0) if scales[-1] > 0 else None


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Return (M M')^(-1/2) M of a square matrix M."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right
