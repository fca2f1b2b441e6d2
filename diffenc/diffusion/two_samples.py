"""Whether two samples are of one law: the energy distance, judged by permutations.

    E(p, q) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,      X, X' ~ p, Y, Y' ~ q

is 0 where p = q, and above 0 elsewhere (Szekely and Rizzo 2004). Under one law all assignments of
the values to the two samples are alike, so that the share of those with as large a distance is a
p-value at any number of samples and in any dimension.
"""

from typing import NamedTuple

import numpy as np

from diffenc.errors import check, check_whole


class EnergyTest(NamedTuple):
    """Two samples compared.

    Attributes:
        distance: the energy distance E of the two samples, each pair of a value with itself
            included, so that it is above 0 for samples of one law too.
        p_value: share of assignments with a distance of at least that, the actual one included.
    """

    distance: float
    p_value: float


def energy_test(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, num_permutations: int = 999
) -> EnergyTest:
    """Test whether x and y are of one law.

    Args:
        rng: of the permutations.
        x: independent values [n, ...], n >= 2.
        y: independent values [m, ...], m >= 2.
        num_permutations: the smallest p-value is 1 / (num_permutations + 1).

    Returns:
        The distance and its p-value.

    Raises:
        InputError: for shapes that do not fit, fewer than two values, values that are not finite
            or a bad num_permutations.
    """
    check_whole("num_permutations", num_permutations, 1)
    fits = np.shape(x)[1:] == np.shape(y)[1:] and min(len(x), len(y)) >= 2
    check(fits, "y", f"of shape {np.shape(y)}", f"give two values or more like x, {np.shape(x)}")
    both = np.concatenate([x, y]).reshape(len(x) + len(y), -1).astype(np.float64)
    bad = int(np.sum(~np.isfinite(both)))
    check(bad == 0, "number of values that are not finite", bad, "give finite ones")
    squares = np.sum(np.square(both), axis=1)
    squared = squares[:, None] + squares[None] - 2 * both @ both.T
    distances = np.sqrt(np.maximum(squared, 0.0))
    np.fill_diagonal(distances, 0.0)
    weights = np.repeat([1 / len(x), -1 / len(y)], [len(x), len(y)])
    orders = rng.permuted(np.tile(weights, (num_permutations, 1)), axis=1)
    rows = np.concatenate([weights[None], orders])
    values = -np.sum(rows @ distances * rows, axis=1)
    is_as_far = values >= values[0] * (1 - 1e-12)  # the same sum in another order is as far
    return EnergyTest(float(values[0]), float(is_as_far.mean()))
