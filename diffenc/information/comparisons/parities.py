"""Parities of several columns, such as bits, of which none tells anything without the others.

    t = c prod_(j in S) b_j + rest,      b_j = 1 where column j is above its middle, else -1

All 2^dim sets S are tried at once on one half of the rows, by a Walsh-Hadamard transform of the
sums of t over the patterns of bits. The best one is judged on the other half.
"""

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information.codes.count_table import table_information
from diffenc.keys import rng_of

# Blocks of more columns have too many patterns: 2^16 sums for each target.
MOST_COLUMNS = 16
# Targets at most, the first ones: of labels these are the classes, each of which costs a transform.
MOST_TARGETS = 10
# Share of the correlation of a parity that one of its columns alone may have.
MOST_ALONE = 0.5
# Chance that a set is chosen of columns that tell nothing; it still has to pass the other half.
CHANCE = 0.01


def of_target(
    x: np.ndarray, targets: np.ndarray, fewest: int
) -> tuple[tuple[int, ...], int, Estimate] | None:
    """Find the parity of columns of x that tells most of a target.

    Args:
        x: numbers [N, dim]; rows in random order.
        targets: normal scores [N, k].
        fewest: columns of a parity at least.

    Returns:
        The columns, the target, and -1/2 log(E rest^2 / E t^2) on the other half of the rows, a
        lower limit of the information up to its error; None if no parity is beyond chance.
    """
    parity = _search(x, targets, fewest)
    if parity is None:
        return None
    columns, target = parity
    half = len(x) // 2
    product = np.prod(_signs(x[:, columns]), axis=1)
    values = targets[:, target]
    slope = np.mean(values[:half] * product[:half])
    squares = [np.square(values[half:]), np.square(values - slope * product)[half:]]
    parts = [0.5 * (one / one.mean() + np.log(one.mean())) for one in squares]
    return columns, target, Estimate.of(parts[0] - parts[1])


def of_labels(x: np.ndarray, labels: np.ndarray) -> tuple[tuple[int, ...], Estimate] | None:
    """Find the parity of two columns of x or more that tells most of labels.

    Args:
        x: numbers [N, dim]; rows in random order.
        labels: integers [N] from 0.

    Returns:
        The columns, and the information of their parity and the labels on the other half of the
        rows; None if no parity is beyond chance.
    """
    indicators = np.eye(labels.max() + 1)[labels]
    parity = _search(x, indicators - indicators.mean(axis=0), 2)
    if parity is None:
        return None
    columns, _ = parity
    half = len(x) // 2
    product = np.prod(_signs(x[:, columns])[half:], axis=1)
    rng = rng_of(0, "parity")
    return columns, table_information(rng, product > 0, labels[half:]).estimate


def _signs(x) -> np.ndarray:
    """Return 1 where a value is above the middle of its column, else -1 [N, dim].

    The middle is the median. Where that is the largest value, as of a bit that is mostly 1, it is
    halfway between the least and the largest.
    """
    middle = np.median(x, axis=0)
    middle = np.where(middle == x.max(axis=0), (middle + x.min(axis=0)) / 2, middle)
    return np.where(x > middle, 1.0, -1.0)


def _search(x, targets, fewest) -> tuple[tuple[int, ...], int] | None:
    """Return the columns of the largest parity on the first half of the rows, and its target."""
    dim = x.shape[1]
    if not fewest <= dim <= MOST_COLUMNS:
        return None
    half = len(x) // 2
    pattern = (_signs(x[:half]) < 0) @ (1 << np.arange(dim))
    count = np.array([place.bit_count() for place in range(1 << dim)])
    best = None
    largest = np.sqrt(2 * np.log(count.size / CHANCE) / half)
    for target in range(min(targets.shape[1], MOST_TARGETS)):
        values = targets[:half, target]
        if np.ptp(values) == 0:  # a label without rows in this half
            continue
        sums = np.bincount(pattern, weights=values, minlength=count.size)
        size = np.abs(_walsh(sums)) / half / values.std()
        size_of_one = size[1 << np.arange(dim)]
        size[count < fewest] = 0.0
        place = int(size.argmax())
        if size[place] <= largest:  # of 0, as of two columns with balanced labels, there is no set
            continue
        columns = tuple(bit for bit in range(dim) if place >> bit & 1)
        alone = max(size_of_one[bit] for bit in columns)
        if alone < MOST_ALONE * size[place]:
            largest = size[place]
            best = columns, target
    return best


def _walsh(sums) -> np.ndarray:
    """Return sum_p (-1)^(bits that p and q share) sums_p for every q [2^dim]."""
    width = 1
    while width < len(sums):
        pairs = sums.reshape(-1, 2, width)
        sums = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        width *= 2
    return sums
