"""The differential entropy of a single column by the spacings of its values (Vasicek 1976).

A window of m spacings about a value has the density m / (N width). Of independent values with a
smooth density its logarithm has a known bias, so that no network and no choice of a scale is
needed; also of heavy tails, and of edges.
"""

import numpy as np
from scipy.special import digamma, polygamma

from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart

# Spacings to either side of a value, in its window. More of them miss the edges of a density.
HALF = 4
# Standard errors by which single spacings may tell a larger log p than windows: more are of clumps.
FINER = 3.0


def entropy(x: np.ndarray, clusters: Clusters | None = None) -> tuple[GaussianPart, float] | None:
    """Estimate h(X) = -E log p(x).

    Args:
        x: [N].
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The entropy, pointwise -log p(x) [N], and by how much single spacings change it (nats); None
        for a column with ties, or whose values clump in heaps narrower than a window.
    """
    if gaussian.has_ties(x[:, None])[0]:
        return None
    by_windows = log_density(x)
    by_spacings = log_density(x, half=1)
    if by_windows is None or by_spacings is None:
        return None
    finer = clustering.estimate(by_spacings - by_windows, clusters)
    if finer.mean > FINER * finer.stderr:
        return None
    part = GaussianPart(-float(by_windows.mean()), -by_windows, clusters)
    return part, abs(finer.mean)


def log_density(x: np.ndarray, half: int = HALF) -> np.ndarray | None:
    """Estimate log p(x) at every row, without the bias of a logarithm.

    Windows of the first and the last rows are cut, so that an edge of the density is told.

    Args:
        x: [N].
        half: spacings to either side of a row, in its window.

    Returns:
        The logarithms [N], or None where many values are equal.
    """
    n = len(x)
    order = np.argsort(x)
    ordered = x[order]
    first = np.maximum(np.arange(n) - half, 0)
    last = np.minimum(np.arange(n) + half, n - 1)
    width = ordered[last] - ordered[first]
    if not np.all(width > 0):
        return None
    logarithms = np.empty(n)
    logarithms[order] = digamma(last - first) - digamma(n + 1) - np.log(width)
    return logarithms


def scatter(n: int, half: int = HALF) -> float:
    """Return the standard deviation of the mean of `log_density` about that of log p.

    Of windows of m spacings it is (((2 m^2 - 2 m + 1) psi'(m) - 2 m + 1) / n)^1/2, the asymptotic
    one of numbers with a uniform density, which is about that of any other.
    """
    m = 2 * half
    return float(np.sqrt(((2 * m**2 - 2 * m + 1) * polygamma(1, m) - 2 * m + 1) / n))
