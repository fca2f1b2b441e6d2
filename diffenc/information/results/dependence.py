"""Statistics of the dependence of x and y, each quick to compute anew when rows of y are permuted.

Most are functions of C = F(x)^T G(y) / N, where F and G are features that no permutation changes:
ranks, squares, waves, and the coordinates of a kernel. What is left for each permutation is one
product of small matrices. A statistic may have any law and any bias where x and y are independent,
because it is compared with itself (independence.py); it only has to be large where they are not.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import ndtr

from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression

# Multiplications for each permutation, about, in one statistic. Where all rows would take more, it
# is computed of some of the rows of x.
WORK = 2_000_000
# As many multiplications take the time of one difference of neighbours.
WORK_OF_NEIGHBOUR = 20
# Frequencies of the waves of a column, and pairs of waves of all columns that are compared.
MOST_WAVES = 8
MOST_PAIRS_OF_WAVES = 1_000
# Products of the second degree of x and of y that are compared, and rows for each of them.
MOST_PAIRS_OF_SQUARES = 2_000
ROWS_OF_SQUARES = 10
# Codes that are told apart.
MOST_CODES = 50
# Coordinates of the kernel of distances.
MOST_COORDINATES = 20
# Neighbours of a row in a block of several columns.
NEIGHBOURS = 3
# Pairs of single columns at most of which neighbours are compared.
MOST_PAIRS_OF_COLUMNS = 400


class Side(NamedTuple):
    """One block, as statistics see it.

    Attributes:
        scores: normal scores [N, dim] of columns of numbers; equal values have equal ones. Of codes
            they are the indicators [N, codes - 1].
        codes: [N] whole numbers from 0 whose order tells nothing, or None for numbers.
    """

    scores: np.ndarray
    codes: np.ndarray | None


class Product(NamedTuple):
    """A statistic of C = F^T G / n.

    Attributes:
        x: F [n, p] of some rows.
        y: G [N, q] of all rows.
        rows: these rows [n] of x.
        reduce: the statistic [count] of C [count, p, q].
    """

    x: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    reduce: Callable[[np.ndarray], np.ndarray]

    def values(self, order: np.ndarray) -> np.ndarray:
        """Compute the statistic [count, 1] of x and of y in these orders [count, N]."""
        y = self.y[order[:, self.rows]]
        return self.reduce(self.x.T @ y / len(self.rows))[:, None]


class Closeness(NamedTuple):
    """How close values of y are in rows whose x are neighbours, and the other way.

    Attributes:
        of_x: the pairs of neighbours.
        of_y: likewise.
    """

    of_x: "Graph"
    of_y: "Graph"

    def values(self, order: np.ndarray) -> np.ndarray:
        """Compute all means of distances, [count, means], of y in these orders [count, N]."""
        place = np.empty_like(order)  # of every row of y
        np.put_along_axis(place, order, np.arange(order.shape[1], dtype=order.dtype)[None], axis=1)
        means = [*self.of_x.values(order), *self.of_y.values(place)]
        return np.stack(means, axis=1)


class Graph(NamedTuple):
    """Pairs of neighbours in one block, and values of the other block.

    Attributes:
        rows: rows [n] of the block.
        edges: pairs of neighbours [2, m], by their place among these rows; several sets of them.
        others: values [N] of all rows of the other block, one array for each of its columns.
        are_codes: whether they are codes, of which only equality is asked.
    """

    rows: np.ndarray
    edges: list[np.ndarray]
    others: list[np.ndarray]
    are_codes: bool

    def values(self, order: np.ndarray) -> list[np.ndarray]:
        """Compute minus the mean distances [count] of the other block in these orders."""
        of_rows = order[:, self.rows]
        means = []
        for other in self.others if self.edges else ():
            values = other[of_rows]
            for first, second in self.edges:
                a = np.take(values, first, axis=1)
                b = np.take(values, second, axis=1)
                distance = a != b if self.are_codes else np.abs(a - b)
                means.append(-distance.mean(axis=1))
        return means


def read_side(values: np.ndarray, are_codes: bool) -> Side:
    """Read a block.

    Args:
        values: [N] or [N, dim] numbers, or [N] codes; columns that are constant are left out.
        are_codes: whether it is codes. Of many, the rarest are taken together.

    Returns:
        The block.
    """
    values = np.asarray(values).reshape(len(values), -1)
    if are_codes:
        codes, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
        place = np.argsort(np.argsort(-counts, kind="stable"))
        codes = np.minimum(place, MOST_CODES - 1)[codes.ravel()]
        return Side(np.eye(int(np.max(codes)) + 1)[codes][:, 1:], codes)
    values = values.astype(np.float64)
    return Side(gaussian.by_rank(values[:, np.ptp(values, axis=0) > 0]), None)


def make_statistics(rng: np.random.Generator, x: Side, y: Side) -> dict[str, Product | Closeness]:
    """Make the statistics of two blocks, by name.

    * `gaussian`: the information of the Gaussian of the same canonical correlations of the scores.
    * `squares`: the same of scores and their products of the second degree; of blocks of many
      columns in place of products the length of the block.
    * `waves`: the largest correlation of a wave of a column of x and a wave of a column of y, the
      waves being cosines of the ranks: Fourier coefficients of the joint density.
    * `distances`: the squared distance covariance (arXiv 0803.4101), up to a scale.
    * `neighbours`: whether rows of near x have near y, and the other way, as in Chatterjee's
      coefficient (arXiv 1909.10140) and, for blocks, Azadkia & Chatterjee's (arXiv 1910.12327).
    """
    statistics: dict[str, Product | Closeness] = {
        "gaussian": _product(rng, _white(x.scores), _white(y.scores), _information),
        "squares": _product(rng, *_squares(x, y), _information),
    }
    if x.codes is None or y.codes is None:
        statistics["waves"] = _product(rng, *_waves(x, y), _largest)
        statistics["distances"] = _product(rng, _coordinates(x), _coordinates(y), _sum_of_squares)
        statistics["neighbours"] = _closeness(rng, x, y)
    return statistics


def _product(rng, x, y, reduce) -> Product:
    n = len(x)
    count = min(n, max(WORK // (x.shape[1] * y.shape[1]), 100))
    rows = np.arange(n) if count == n else np.sort(rng.choice(n, count, replace=False))
    chosen = x[rows]
    return Product(np.ascontiguousarray(chosen - chosen.mean(axis=0)), y, rows, reduce)


def _information(c):
    """Return -1/2 sum log(1 - rho^2) [count], rho being the singular values of c."""
    if c.shape[1] > c.shape[2]:
        c = np.swapaxes(c, 1, 2)
    squares = np.linalg.eigvalsh(c @ np.swapaxes(c, 1, 2))
    return -0.5 * np.sum(np.log1p(-np.clip(squares, 0.0, 1 - 1e-9)), axis=1)


def _largest(c):
    return np.abs(c).max(axis=(1, 2))


def _sum_of_squares(c):
    return np.square(c).sum(axis=(1, 2))


def _white(features) -> np.ndarray:
    """Return white features [N, rank] that span the same functions."""
    features = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(features.T @ features / len(features))
    is_kept = values > 1e-10 * values[-1]
    return features @ (vectors[:, is_kept] / np.sqrt(values[is_kept]))


def _squares(x: Side, y: Side) -> tuple[np.ndarray, np.ndarray]:
    """Return white features of the second degree; of many columns those of their length."""
    sizes = [_count_squares(x), _count_squares(y)]
    are_few = sizes[0] * sizes[1] <= MOST_PAIRS_OF_SQUARES
    are_few = are_few and sum(sizes) * ROWS_OF_SQUARES <= len(x.scores)
    features = []
    for side in (x, y):
        white = _white(side.scores)
        if side.codes is None:
            white = _white(_products(side.scores) if are_few else regression.polar(white).mean)
        features.append(white)
    return features[0], features[1]


def _count_squares(side: Side) -> int:
    dim = side.scores.shape[1]
    return dim if side.codes is not None else dim * (dim + 3) // 2


def _products(scores):
    first, second = np.triu_indices(scores.shape[1])
    return np.concatenate([scores, scores[:, first] * scores[:, second]], axis=1)


def _waves(x: Side, y: Side) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines of the ranks of numbers, indicators of codes, of unit variance."""
    pairs = x.scores.shape[1] * y.scores.shape[1]
    frequencies = int(np.clip((MOST_PAIRS_OF_WAVES / pairs) ** 0.5, 1, MOST_WAVES))
    features = []
    for side in (x, y):
        block = side.scores
        if side.codes is None:
            block = np.concatenate(
                [np.cos(np.pi * k * _uniform(block)) for k in range(1, frequencies + 1)], axis=1
            )
        block = block - block.mean(axis=0)
        size = block.std(axis=0)
        features.append(block[:, size > 1e-9] / size[size > 1e-9])
    return features[0], features[1]


def _uniform(scores):
    return ndtr(scores)


def _coordinates(side: Side) -> np.ndarray:
    """Return coordinates [N, rank] whose products are about the centred kernel of distances.

    The kernel is |a| + |b| - |a - b|, of codes 1 where they are equal. Coordinates are those of a
    Cholesky decomposition with pivots (Fine & Scheinberg 2001), which stops after a few.
    """
    if side.codes is not None:
        indicators = np.eye(side.codes.max() + 1)[side.codes]
        return indicators - indicators.mean(axis=0)
    points = side.scores / side.scores.std(axis=0)
    length = np.linalg.norm(points, axis=1)
    rest = 2 * length  # the diagonal that the coordinates so far leave
    least = 1e-6 * rest.sum()
    coordinates = np.zeros((len(points), MOST_COORDINATES))
    for place in range(MOST_COORDINATES):
        pivot = int(np.argmax(rest))
        if rest.sum() <= least:
            break
        kernel = length + length[pivot] - np.linalg.norm(points - points[pivot], axis=1)
        kernel = kernel - coordinates @ coordinates[pivot]
        coordinates[:, place] = kernel / np.sqrt(rest[pivot])
        rest = np.maximum(rest - np.square(coordinates[:, place]), 0.0)
    return coordinates - coordinates.mean(axis=0)


def _closeness(rng, x: Side, y: Side) -> Closeness:
    dim_x = x.scores.shape[1]
    dim_y = y.scores.shape[1]
    by_column = dim_x * dim_y <= MOST_PAIRS_OF_COLUMNS
    return Closeness(_graph(rng, x, y, by_column), _graph(rng, y, x, by_column))


def _graph(rng, side: Side, other: Side, by_column: bool) -> Graph:
    """Make the pairs of neighbours of a block: along every column, and of all columns together."""
    n, dim = side.scores.shape
    others = list(_uniform(other.scores).T) if other.codes is None else [other.codes]
    if side.codes is not None:
        return Graph(np.arange(0), [], others, other.codes is not None)
    sets = (dim if by_column else 0) + (NEIGHBOURS if dim > 1 else 0)
    count = min(n, max(WORK // (WORK_OF_NEIGHBOUR * max(sets, 1) * len(others)), 100))
    rows = np.sort(rng.choice(n, count, replace=False))
    points = side.scores[rows]
    edges = []
    if by_column:
        for column in points.T:  # equal values are in random order
            chain = np.lexsort((rng.permutation(count), column))
            edges.append(np.stack([chain[:-1], chain[1:]]))
    if dim > 1:
        # Equal points are moved apart, so that a point is not the only neighbour of others.
        moved = points + 1e-6 * rng.standard_normal(points.shape)
        near = cKDTree(moved).query(moved, k=NEIGHBOURS + 1)[1][:, 1:]
        edges.append(np.stack([np.repeat(np.arange(count), NEIGHBOURS), near.ravel()]))
    return Graph(rows, edges, others, other.codes is not None)
