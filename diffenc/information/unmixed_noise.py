"""Blocks of a few columns, one of which is linear in the other but for independent noises.

    I(X;Y) >= h(Y) - h(E),    E = Y - B X

with equality where E does not depend on X. A linear map of E makes its columns e_j independent, or
less dependent, and the sum of their entropies is never below that of all; so it may take the place
of h(E). The columns of Y are unmixed in the same way, and have to be independent then, or the limit
is too high. Entropies of single columns are by spacings, which see edges that networks and
neighbours in several columns blur. B and both maps minimize them, as in Learned-Miller & Fisher
(2003, JMLR 4, 1271).
"""

import itertools

import numpy as np
from scipy.special import chdtrc

from diffenc.information import gaussian, neighbours, spacings
from diffenc.information.additive_noise import Limit

# Columns of a block, at most.
MOST_COLUMNS = 4
# Spacings of the entropies that are minimized.
SMOOTH = 8
# How far rotations are searched (radians), one sweep after the other, and by how many steps.
REACHES = (np.pi / 4, np.pi / 4)
STEPS = 41
# Standard errors of a coefficient of regression within which a sharper one is searched, and by how
# much this reach, and that of small rotations, shrinks from sweep to sweep.
COEFFICIENTS = 4.0
SHRINKS = (1, 3, 9)
# Cosines of each of so many columns by which a dependence of unmixed columns is told.
COSINES = {2: 8, 3: 4, 4: 3}
# Chance that columns which are independent are taken as dependent.
CHANCE = 0.01
# Standard errors by which neighbours may show a dependence of unmixed columns.
DEPENDENT = 2.5


def limit(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Limit | None:
    """Compute the limit, with the noise in x or in y, whichever tells more.

    Args:
        x: [N, dim_x], independent rows.
        y: [N, dim_y].
        rows: [2, n] of both halves.

    Returns:
        The limit; None for blocks of too many columns, columns with ties, noise that looks
        Gaussian, and where the columns of the block with the noise depend on each other although
        they are unmixed. Its doubt holds the dependence that would not be seen.
    """
    if max(x.shape[1], y.shape[1]) > MOST_COLUMNS:
        return None
    if gaussian.has_ties(x).any() or gaussian.has_ties(y).any():
        return None
    x, y = [gaussian.whiten(one[rows.ravel()]) for one in (x, y)]
    limits = [_with_noise_in_y(*both) for both in ((x, y), (y, x))]
    return max((one for one in limits if one is not None), key=lambda one: one.mean, default=None)


def _with_noise_in_y(x, y) -> Limit | None:
    """Compute the limit of white x [n, dim_x] and y [n, dim_y]."""
    n, dim = y.shape
    noise = y - x @ (x.T @ y) / n
    values = np.linalg.eigvalsh(noise.T @ noise / n)
    noise = gaussian.whiten(noise)
    if looks_gaussian(noise):
        return None
    sources = sharpen(rotate(y, REACHES), y[:, :0])
    unseen = dependence(sources)
    if unseen is None:
        return None
    noise = sharpen(rotate(noise, REACHES), x)
    # Both maps have as many coefficients, whose optimism cancels; that of B does not.
    shift = -0.5 * np.sum(np.log(values)) - 0.5 * dim * x.shape[1] / n
    logs = [_log_density(noise, half, sources) for half in (spacings.HALF, 2 * spacings.HALF)]
    if logs[0] is None or logs[1] is None:
        return None
    finer = float(logs[1].mean() - logs[0].mean())
    mean = float(logs[0].mean() + shift)
    return Limit(mean, logs[0] + shift, float(np.hypot(finer, unseen)))


def looks_gaussian(x):
    return gaussian._looks_gaussian(x)


def _log_density(noise, half, sources):
    """Return the sum [n] over columns of log p(e_j) less log p(s_j); None where values repeat."""
    of_noise, of_sources = [
        [spacings.log_density(column, half) for column in block.T] for block in (noise, sources)
    ]
    if any(one is None for one in of_noise + of_sources):
        return None
    return np.sum(of_noise, axis=0) - np.sum(of_sources, axis=0)


def dependence(z: np.ndarray) -> float | None:
    """Return what the total correlation of unmixed columns z [n, dim] may be; None if it is seen.

    c_k = E prod_j 2^1/2 cos(pi k_j u_j) of the ranks u are the Fourier coefficients of their joint
    density. n times the sum of their squares is chi squared if the columns are independent, less a
    degree of freedom for each coefficient of the unmixing; half of the sum is the total
    correlation where that is small. Neighbours see what is finer than these waves.
    """
    n, dim = z.shape
    if dim == 1:
        return 0.0
    count = COSINES[dim]
    ranks = (np.argsort(np.argsort(z, axis=0), axis=0) + 0.5) / n
    product = np.ones((n, 1))
    for column in ranks.T:
        waves = np.cos(np.pi * np.arange(count + 1) * column[:, None])
        waves[:, 1:] *= 2**0.5
        product = (product[:, :, None] * waves[:, None]).reshape(n, -1)
    squares = np.square(product.mean(axis=0))
    orders = np.count_nonzero(np.indices((count + 1,) * dim).reshape(dim, -1), axis=0)
    squares = squares[orders > 1]
    freedom = len(squares) - dim * (dim - 1)
    total = n * float(squares.sum())
    if chdtrc(freedom, total) < CHANCE:
        return None
    for column in range(1, dim):
        near = neighbours.largest(z[:, :column], z[:, column : column + 1])
        if near.mean > DEPENDENT * near.stderr:
            return None
    return float(max(0.0, total - freedom) + (2 * freedom) ** 0.5) / (2 * n)


def _entropies(columns):
    """Return the entropies [k] of columns [k, n] by spacings, up to a constant."""
    ordered = np.sort(columns, axis=1)
    widths = ordered[:, SMOOTH:] - ordered[:, :-SMOOTH]
    return np.log(np.maximum(widths, 1e-300)).mean(axis=1)


def rotate(z: np.ndarray, reaches) -> np.ndarray:
    """Rotate white z [n, dim] to the least sum of entropies, plane by plane."""
    z = z.copy()
    for reach in reaches:
        angles = np.linspace(-reach, reach, STEPS)[:, None]
        for i, j in itertools.combinations(range(z.shape[1]), 2):
            first = np.cos(angles) * z[:, i] - np.sin(angles) * z[:, j]
            second = np.sin(angles) * z[:, i] + np.cos(angles) * z[:, j]
            best = int(np.argmin(_entropies(first) + _entropies(second)))
            z[:, i], z[:, j] = first[best], second[best]
    return z


def sharpen(z: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Add to every column of z multiples of other columns that make its entropy least.

    No such step changes the volume.

    Args:
        z: [n, dim], of unit variance.
        others: [n, k] further columns, of unit variance.

    Returns:
        [n, dim].
    """
    n, dim = z.shape
    both = np.concatenate([z, others], axis=1)
    for shrink in SHRINKS:
        reach = COEFFICIENTS / n**0.5 / shrink
        both[:, :dim] = rotate(both[:, :dim], [reach])
        steps = np.linspace(-reach, reach, STEPS)[:, None]
        for column in range(dim):
            for other in range(both.shape[1]):
                if other == column:
                    continue
                trials = both[:, column] + steps * both[:, other]
                both[:, column] = trials[int(np.argmin(_entropies(trials)))]
    return both[:, :dim]
