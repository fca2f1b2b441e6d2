"""Clean samples: independent rows without copies, functions or codes; and two laws of them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from diffenc.information.pairs import bivariate
from diffenc.keys import generator

NUM_ROWS = (200, 500, 1000, 2000, 5000)
MOST_COLUMNS = 10
MARGINS = {
    "normal": lambda z: z,
    "heavy": lambda z: np.sinh(1.5 * z),
    "uniform": ndtr,
    "skewed": np.exp,
    "two_humps": lambda z: z + 3 * np.sign(z),
}
RELATIONS = {
    "none": lambda rng, x: rng.standard_normal(len(x)),
    "line": lambda rng, x: 0.8 * x + 0.6 * rng.standard_normal(len(x)),
    "wave": lambda rng, x: np.sin(3 * x) + 0.3 * rng.standard_normal(len(x)),
    "spread": lambda rng, x: np.exp(x) * rng.standard_normal(len(x)),
    "sharp": lambda rng, x: x + 0.05 * rng.standard_normal(len(x)),
}


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
    relations = list(RELATIONS.values())
    y[:, 0] = relations[index // len(NUM_ROWS) % len(relations)](rng, x[:, 0])
    margins = list(MARGINS.values())
    turn = index // (len(NUM_ROWS) * len(relations))
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return margins[turn % len(margins)](x), margins[(2 * turn + 1) % len(margins)](y)


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
