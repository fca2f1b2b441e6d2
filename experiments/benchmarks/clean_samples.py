"""Clean samples: independent rows without copies, functions or codes; and two laws of them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, ndtr

from diffenc.information.benchmark.pairs import bivariate
from diffenc.keys import generator
from experiments.benchmarks.wild_samples import normal_nodes, of_noisy_levels

NUM_ROWS = (200, 500, 1000, 2000, 5000)
MOST_COLUMNS = 10
MARGINS = {
    "normal": lambda z: z,
    "heavy": lambda z: np.sinh(1.5 * z),
    "uniform": ndtr,
    "skewed": np.exp,
    "two_humps": lambda z: z + 3 * np.sign(z),
}
# Mean and scale of the first column of y, given the first of x.
RELATIONS: dict[str, tuple[Callable, Callable]] = {
    "none": (np.zeros_like, np.ones_like),
    "line": (lambda x: 0.8 * x, lambda x: np.full_like(x, 0.6)),
    "wave": (lambda x: np.sin(3 * x), lambda x: np.full_like(x, 0.3)),
    "spread": (np.zeros_like, np.exp),
    "sharp": (lambda x: x, lambda x: np.full_like(x, 0.05)),
}
SHARES = (0.3, 0.6)  # of the rows, where one label ends and the next begins
# Points of a quadrature: close near 0, and as far as the widest relation goes.
POINTS = np.sinh(np.linspace(-12, 12, 12_001))


def draw(rng: np.random.Generator, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a clean set: 200 to 5,000 rows, one to ten columns of x and one to three of y.

    Columns of x depend on each other; the first of y depends on the first of x, or does not.

    Args:
        rng: a generator.
        index: of the set, which chooses rows, margins and relation.

    Returns:
        x [N, dim_x] and y [N, dim_y].
    """
    n = NUM_ROWS[index % len(NUM_ROWS)]
    dim_x = rng.integers(1, MOST_COLUMNS + 1)
    dim_y = rng.integers(1, 4)
    x = rng.standard_normal((n, dim_x))
    x[:, 1:] = 0.9 * x[:, 1:] + np.sqrt(1 - 0.9**2) * x[:, :1]
    y = rng.standard_normal((n, dim_y))
    mean, scale = RELATIONS[relation_of(index)]
    y[:, 0] = mean(x[:, 0]) + scale(x[:, 0]) * rng.standard_normal(n)
    margins = list(MARGINS.values())
    turn = index // (len(NUM_ROWS) * len(RELATIONS))
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return margins[turn % len(margins)](x), margins[(2 * turn + 1) % len(margins)](y)


def relation_of(index: int) -> str:
    """Return the name of the relation of a set."""
    return list(RELATIONS)[index // len(NUM_ROWS) % len(RELATIONS)]


def labels_of(y: np.ndarray) -> np.ndarray:
    """Make three labels [N] of the first column of y [N, dim_y]."""
    return np.digitize(y[:, 0], np.quantile(y[:, 0], SHARES))


@functools.cache
def information(relation: str) -> float:
    """Compute the information between x and y of a relation, by quadrature.

    Margins are strictly monotonic and no other column tells anything, so that it is I(X;Y) of the
    two first columns, h(Y) - E log scale(X) - 1/2 log(2 pi e) with a normal X.

    Args:
        relation: a name in `RELATIONS`.

    Returns:
        The information (nats).
    """
    mean, scale = RELATIONS[relation]
    z, weights = normal_nodes()
    return of_noisy_levels(mean(z), weights, scale(z), POINTS)


@functools.cache
def information_of_labels(relation: str) -> float:
    """Compute the information between x and the labels of y that `labels_of` makes.

    It is H(L) - E H(L | X), where the labels end at the quantiles of Y.

    Args:
        relation: a name in `RELATIONS`.

    Returns:
        The information (nats).
    """
    mean, scale = RELATIONS[relation]
    z, weights = normal_nodes()

    def below(y):
        return ndtr((y - mean(z)) / scale(z))

    def end_of(share):
        return brentq(lambda y: weights @ below(y) - share, POINTS[0], POINTS[-1])

    edges = [np.zeros_like(z), *(below(end_of(share)) for share in SHARES), np.ones_like(z)]
    chances = np.diff(edges, axis=0)
    return float(entr(chances @ weights).sum() - entr(chances).sum(axis=0) @ weights)


class Censored:
    """A law of a normal X and Y = max(0, c X + sqrt(1 - c^2) noise)."""

    correlation = 0.8

    def sample(self, key, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, 1] and y [n, 1]."""
        x, y = bivariate(self.correlation).sample(key, n)
        return x, np.maximum(y, 0.0)

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Compute log p(x,y) / (p(x) p(y)) [n]."""
        pair = bivariate(self.correlation)
        noise = np.sqrt(1 - self.correlation**2)
        of_zero = np.log(ndtr(-self.correlation * x[:, 0] / noise) / 0.5)
        return np.where(y[:, 0] > 0, pair.pointwise(x, y), of_zero)


@dataclass(frozen=True)
class Independent:
    """A law of X and Y that tell nothing of each other; of X the columns share a scale."""

    dim_x: int
    dim_y: int

    def sample(self, key, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n independent pairs, x [n, dim_x] and y [n, dim_y]."""
        rng = generator(key)
        scale = np.exp(0.5 * rng.standard_normal((n, 1)))
        x = scale * rng.standard_normal((n, self.dim_x))
        return x, rng.standard_normal((n, self.dim_y))

    def pointwise(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return zeros [n]."""
        return np.zeros(len(x))
