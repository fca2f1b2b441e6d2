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

from diffenc.estimate import Estimate
from diffenc.information.comparisons import neighbours
from diffenc.information.coordinates import gaussian, spacings
from diffenc.information.estimation import additive_noise
from diffenc.information.estimation.additive_noise import LARGER, Limit
from diffenc.information.estimation.assembly import Information

# Columns of a block, at most.
MOST_COLUMNS = 4
# Spacings of the entropies that are minimized, for each square root of a row.
SMOOTH = 0.5
# How far rotations are searched (radians), one sweep after the other, and by how many steps.
REACHES = (np.pi / 4, np.pi / 4)
STEPS = 41
# Standard errors of a coefficient of regression within which a sharper one is searched, and by how
# much this reach, and that of small rotations, shrinks from sweep to sweep.
COEFFICIENTS = 4.0
SHRINKS = (1, 3, 9)
# Cosines of each of so many columns by which a dependence of unmixed columns is told.
COSINES = {2: 8, 3: 4, 4: 3}
# Standard errors by which neighbours have to show a dependence of unmixed columns.
DEPENDENT = 2.5
# The largest dependence of unmixed columns (nats).
MOST_DEPENDENCE = 0.1


def limit(x: np.ndarray, y: np.ndarray, result: Information) -> Limit | None:
    """Compute the limit, with the noise in x or in y, whichever tells more.

    Args:
        x: [N, dim_x].
        y: [N, dim_y].
        result: the estimate, whose rows and columns are used.

    Returns:
        The limit; None for rows that are not independent, single columns (see `additive_noise`) and
        too many columns, columns with ties or clumps, and where the noise looks Gaussian or the
        columns of its block depend too much on each other, although they are unmixed.
    """
    if result.columns is not None:
        x = x[:, result.columns[0]]
        y = y[:, result.columns[1]]
    if result.clusters is not None or not 1 < max(x.shape[1], y.shape[1]) <= MOST_COLUMNS:
        return None
    if gaussian.has_ties(x).any() or gaussian.has_ties(y).any():
        return None
    x, y = [gaussian.whiten(one[result.rows]) for one in (x, y)]
    limits = [_with_noise_in_y(*both) for both in ((x, y), (y, x))]
    sound = [one for one in limits if one is not None]
    return max(sound, key=lambda one: one.mean - one.doubt, default=None)


def raise_to(result: Information, least: Limit | None) -> Information:
    """Return an estimate, raised to a limit that is larger and surer.

    Args:
        result: the estimate.
        least: the limit, or None.

    Returns:
        The estimate; `is_by_noise` says whether it is the limit. Half of what the limit shows more
        is in its error, and so is what a regression of all columns shows still more. Estimates that
        terms contradict stay as they are.
    """
    if least is None or result.terms_of is not None:
        return result
    gap = least.mean - result.estimate.mean
    if gap > LARGER * least.doubt and result.systematic > least.doubt:
        raised = additive_noise.by_limit(result, least, None)
    else:
        raised = additive_noise.raise_to(result, least, None)
    if raised is result:
        return result
    by_all = result.by_all
    rest = 0.0 if by_all is None else max(0.0, by_all.mean - raised.estimate.mean)
    stderr = float(np.hypot(raised.estimate.stderr, rest))
    return raised._replace(
        estimate=Estimate(raised.estimate.mean, stderr),
        weight=0.0,
        twin_weight=0.0,
        unresolved=rest,
        by_all=by_all if rest else None,
    )


def _with_noise_in_y(x, y) -> Limit | None:
    """Compute the limit of white x [n, dim_x] and y [n, dim_y]."""
    n, dim = y.shape
    noise = y - x @ (x.T @ y) / n
    values = np.linalg.eigvalsh(noise.T @ noise / n)
    noise = gaussian.whiten(noise)
    if gaussian.looks_gaussian(noise):
        return None
    sources = sharpen(rotate(y, REACHES), y[:, :0])
    total = dependence(sources)
    if total.mean > MOST_DEPENDENCE:
        return None
    noise = sharpen(rotate(noise, REACHES), x)
    more = []
    for half in (spacings.HALF, 2 * spacings.HALF):
        of_noise = _log_density(noise, half)
        of_sources = _log_density(sources, half)
        if of_noise is None or of_sources is None:
            return None
        more.append(of_noise - of_sources)
    # Both maps have as many coefficients, whose optimism cancels; that of B does not.
    shift = -0.5 * float(np.sum(np.log(values))) - 0.5 * dim * x.shape[1] / n - total.mean
    finer = float(np.mean(more[1] - more[0]))
    doubt = np.linalg.norm([finer, total.stderr, (2 * dim) ** 0.5 * spacings.scatter(n)])
    return Limit(float(more[0].mean()) + shift, more[0] + shift, float(doubt))


def _log_density(block, half) -> np.ndarray | None:
    """Return the sum [n] over columns of log p(z_j); None where values repeat or clump."""
    logs = np.zeros(len(block))
    for column in block.T:
        log = spacings.log_density(column, half)
        if log is None or spacings.entropy(column) is None:
            return None
        logs += log
    return logs


def dependence(z: np.ndarray) -> Estimate:
    """Estimate the total correlation of unmixed columns, which should be 0.

    c_k = E prod_j 2^1/2 cos(pi k_j u_j) of the ranks u are the Fourier coefficients of their joint
    density. n times the sum of their squares is chi squared if the columns are independent, with a
    degree of freedom less for each coefficient of the unmixing; half of the sum is the total
    correlation where that is small. Neighbours see what is finer than these waves.

    Args:
        z: [n, dim].

    Returns:
        The larger of both, 0 or more (nats). Its error holds half of it, and what neither sees.
    """
    n, dim = z.shape
    if dim == 1:
        return Estimate(0.0, 0.0)
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
    by_waves = 0.5 * (float(squares.sum()) - freedom / n)
    near = [neighbours.largest(z[:, :j], z[:, j : j + 1]) for j in range(1, dim)]
    by_near = sum(one.mean for one in near if one.mean > DEPENDENT * one.stderr)
    total = max(by_waves, by_near, 0.0)
    errors = [one.stderr for one in near]
    return Estimate(total, float(np.linalg.norm([(freedom / 2) ** 0.5 / n, total / 2, *errors])))


def _entropies(columns):
    """Return the entropies [k] of columns [k, n] by windows of some spacings, up to a constant."""
    spaces = max(1, round(SMOOTH * columns.shape[1] ** 0.5))
    ordered = np.sort(columns, axis=1)
    widths = ordered[:, spaces:] - ordered[:, :-spaces]
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
