"""Wasserstein distance of samples, by exact optimal transport (POT, Flamary et al. 2021)."""

import numpy as np

from diffenc.errors import InputError


def sample_w2_squared(x, y) -> float:
    """Compute W_2^2 of two samples, the least mean squared distance of a coupling.

    It is exact for the two samples, not for the laws they came from: the distance of two samples of
    one law is positive, and falls with n slowly in high dimension.

    Args:
        x: [n, D].
        y: [m, D].

    Returns:
        W_2^2 of the two empirical laws.

    Raises:
        InputError: if the shapes do not fit.
        RuntimeError: if the solver gives up.
    """
    import ot

    x = np.asarray(x, np.float64)
    y = np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"x has shape {x.shape} and y {y.shape}: give [n, D] and [m, D]")
    cost, log = ot.emd2([], [], ot.dist(x, y), numItermax=10_000_000, log=True)
    if log.get("warning"):
        raise RuntimeError(f"optimal transport of {len(x)} and {len(y)} points: {log['warning']}")
    return float(cost)
