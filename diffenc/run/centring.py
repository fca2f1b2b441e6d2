"""Data about zero, as a diffusion of x sees them, and back."""

import dataclasses

import jax
import numpy as np

from diffenc.run.data import Dataset


@dataclasses.dataclass(frozen=True)
class Centring:
    """The map between data in their own units and x in [-1, 1].

    Whole numbers 0, ..., levels - 1 are dequantized: each is a cell of width 2 / levels, of which x
    is a uniform draw. -log p(x) + D log(levels / 2), averaged over such draws, bounds -log P of the
    numbers themselves (Theis et al., arXiv 1511.01844).

    Attributes:
        max_value: the largest value of the data; None for real-valued data, which stay as they are.
        levels: how many values a number takes; None where they are real numbers.
    """

    max_value: float | None = None
    levels: int | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "Centring":
        """Make that of a data set; bytes and other integers are whole numbers."""
        is_whole = np.issubdtype(dataset.train.dtype, np.integer)
        levels = int(dataset.max_value) + 1 if is_whole and dataset.max_value else None
        return cls(dataset.max_value, levels)

    def prepare(self, key: jax.Array, rows: jax.Array) -> jax.Array:
        """Make x of rows [n, ...], fresh draws at every call.

        Args:
            key: of the draws.
            rows: data.
        """
        rows = rows.astype("float32")
        if self.levels is not None:
            return 2 * (rows + jax.random.uniform(key, rows.shape)) / self.levels - 1
        return rows if self.max_value is None else 2 * rows / self.max_value - 1

    def restore(self, x):
        """Bring x back to the units of the data, cut to their range; the middle of a cell."""
        if self.max_value is None:
            return x
        if self.levels is not None:
            return np.clip((x + 1) * np.float32(self.levels / 2) - 0.5, 0, self.max_value)
        return np.clip((x + 1) * np.float32(self.max_value / 2), 0, self.max_value)

    def log_cells(self, data_dim: int) -> float:
        """Give D log(levels / 2), which makes of -log p(x) a bound of -log P; 0 for real numbers.

        Args:
            data_dim: D.
        """
        return 0.0 if self.levels is None else float(data_dim * np.log(self.levels / 2))
