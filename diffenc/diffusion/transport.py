"""Squared Wasserstein distance of samples, by exact optimal transport (POT, Flamary et al.
2021)."""

import numpy as np

from diffenc.errors import InputError


def sample_w2_squared(x, y) -> float:
    """W_2^2 of two empirical laws, x [n, D] and y [m, D]: the least mean squared distance of a
    coupling.

    Exact for the samples, whose laws differ from those they came from: the distance of two samples
    of one law is positive, and falls with n slowly in high dimension. Raises InputError where the
    shapes do not fit, RuntimeError where the solver gives up.
    """
    import ot

    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"x has shape {x.shape} and y {y.shape}: give [n, D] and [m, D]")
    cost, log = ot.emd2([], [], ot.dist(x, y), numItermax=10_000_000, log=True)
    if log.get("warning"):
        raise RuntimeError(f"optimal transport of {len(x)} and {len(y)} points: {log['warning']}")
    return float(cost)
