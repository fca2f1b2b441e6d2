"""A function of a column, fitted so that the noise about it has the least entropy.

    I(X;Y) >= h(X) - h(X - f(Y))

holds for every function f that knows nothing of the rows at which it is evaluated. Least squares
miss the f of noise with edges by N^-1/2, which blurs these edges; the f of least entropy misses it
by less. f is a natural cubic spline, linear beyond its last knots, in nearly normal scores of
Y, and linear in Y itself. Each tenth of the rows is evaluated by the function of the others.
"""

import functools

import numpy as np
from scipy.optimize import minimize

from diffenc.information.coordinates import gaussian, smooth_scores

# Numbers of knots that are tried, and rows for each.
KNOTS = (2, 8, 16, 24)
ROWS = 20
# Extreme rows beyond the knots at either end.
BEYOND = 2
# Parts of the rows, each evaluated by the others, of which so many are fitted at most.
FOLDS = 10
MOST_ROWS = 20_000
# Updates of the coefficients, at most.
UPDATES = 200
# Spacings to either side of a row that are minimized, for each square root of a row; fewer near
# either end, where an edge is: half of those to the end, but so many at least.
SMOOTH = 1.0
LEAST_SPACINGS = 8


def noises(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return X - f(Y) at all rows, for functions f of several numbers of knots.

    Args:
        x: [N], without ties, in random order.
        y: [N], without ties.

    Returns:
        Noises [N], up to a constant each.
    """
    sizes = [knots for knots in KNOTS if knots * ROWS <= len(x)]
    return [held_out_noise(x, features(y, knots)) for knots in sizes]


def features(y: np.ndarray, knots: int) -> np.ndarray:
    """Compute a basis of the functions of y [N]: y itself, and natural cubic splines [N, knots].

    In scores s, with knots at evenly spaced k_j, the splines are s and, for j < K - 1,
    d_j - d_(K-1), where d_j = (max(s - k_j, 0)^3 - max(s - k_K, 0)^3) / (k_K - k_j).
    """
    own = (y - y.mean()) / y.std()
    scores = own
    if not gaussian.normal_enough(own[:, None])[0]:
        scores = next(iter(smooth_scores.candidates(y)), own)
    ordered = np.sort(scores)
    places = np.linspace(ordered[BEYOND], ordered[-1 - BEYOND], knots)
    cubes = np.maximum(scores[:, None] - places, 0) ** 3
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (places[-1] - places[:-1])
    columns = [own[:, None], slopes[:, :-1] - slopes[:, -1:]]
    if scores is not own:
        columns.append(scores[:, None])
    return np.concatenate(columns, axis=1)


def held_out_noise(x: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Compute x - f [N], where f of a row is fitted on other rows; basis [N, k]."""
    fold = np.arange(len(x)) % FOLDS
    noise = np.empty(len(x))
    for index in range(FOLDS):
        others = np.flatnonzero(fold != index)[:MOST_ROWS]
        function = basis @ coefficients(x[others], basis[others])
        # Entropy tells no constant: that of every function is 0 over all rows.
        rest = x - function + function.mean()
        noise[fold == index] = rest[fold == index]
    return noise


def coefficients(x: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Find the c [k] for which x - basis c has the least entropy, from least squares; see `noises`.

    Args:
        x: [n].
        basis: [n, k].

    Returns:
        c [k].
    """
    centred = basis - basis.mean(axis=0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    is_sound = values > 1e-9 * values[0]
    white = left[:, is_sound]
    of_white = right[is_sound].T / values[is_sound]
    x = x - x.mean()
    start = white.T @ x
    rest = x - white @ start
    scale = rest.std()
    rest = rest / scale
    n = len(x)

    def cost(step):
        entropy, slopes = smooth_entropy(rest - white @ step)
        return n * entropy, -n * (white.T @ slopes)

    options = {"maxiter": UPDATES}
    step = minimize(cost, np.zeros_like(start), jac=True, method="L-BFGS-B", options=options).x
    return of_white @ (start + scale * step)


def smooth_entropy(noise: np.ndarray) -> tuple[float, np.ndarray]:
    """Compute the entropy of noise [n] by wide windows of spacings, and its derivatives [n]."""
    n = len(noise)
    first, last, constant = _windows(n)
    order = np.argsort(noise)
    ordered = noise[order]
    widths = np.maximum(ordered[last] - ordered[first], 1e-300)
    each = 1 / (n * widths)
    slopes = np.empty(n)
    slopes[order] = np.bincount(last, each, n) - np.bincount(first, each, n)
    return float(np.log(widths).mean()) + constant, slopes


@functools.lru_cache(maxsize=2)
def _windows(n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the first and last row of every window in order of rank, and -E log of its share."""
    ranks = np.arange(n)
    to_end = np.minimum(ranks, n - 1 - ranks)
    most = max(round(SMOOTH * n**0.5), LEAST_SPACINGS)
    half = np.clip(to_end // 2, LEAST_SPACINGS, most)
    first = np.maximum(ranks - half, 0)
    last = np.minimum(ranks + half, n - 1)
    return first, last, -float(np.log((last - first) / n).mean())
