"""Data in their own units as an encoder with an exact decoder sees them, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.run.data import Dataset, binarize


@dataclasses.dataclass(frozen=True)
class Scaling:
    """The map between data in their own units and x.

    Real numbers and whole ones are standardized by the training examples: vectors column by column,
    images by one mean and one deviation. Whole numbers are dequantized first: each is a cell of
    width 1, of which a uniform draw is taken, and the density of the draws bounds the probability
    of the numbers (Theis et al., arXiv 1511.01844). Either way the log density of the data is that
    of x less `log_volume`. Bits are not standardized.

    Attributes:
        shift: what is subtracted, one number for each dimension or one for all.
        scale: what is divided by after that.
        is_binary: whether x is bits, drawn anew at every call with the probability (data - shift) /
            scale.
        is_whole: whether the data are whole numbers.
        max_value: the largest value of whole numbers, else None.
    """

    shift: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    is_binary: bool = False
    is_whole: bool = False
    max_value: float | None = None

    @classmethod
    def of_bits(cls, dataset: Dataset) -> "Scaling":
        """Make that of bits, or of the intensities that they are drawn by."""
        if dataset.has_signs:
            return cls((-1.0,), (2.0,), is_binary=True)
        return cls((0.0,), (dataset.max_value or 1.0,), is_binary=True)

    @classmethod
    def of_numbers(cls, dataset: Dataset) -> "Scaling":
        """Make that of a Gaussian decoder, by the training examples."""
        is_whole = bool(np.issubdtype(dataset.train.dtype, np.integer))
        rows = dataset.train.astype(np.float64)
        axes = tuple(range(rows.ndim)) if rows.ndim > 2 else 0
        shift = np.atleast_1d(rows.mean(axis=axes)) + 0.5 * is_whole
        # A cell has a variance of its own.
        scale = np.sqrt(np.atleast_1d(rows.var(axis=axes)) + is_whole / 12)
        scale = np.where(scale > 0, scale, 1.0)
        return cls(
            tuple(map(float, shift)),
            tuple(map(float, scale)),
            is_whole=is_whole,
            max_value=dataset.max_value if is_whole else None,
        )

    @property
    def has_signs(self) -> bool:
        """Whether the data are bits that are written as -1 and +1."""
        return self.is_binary and self.shift == (-1.0,)

    def prepare(self, key: jax.Array, rows: jax.Array) -> jax.Array:
        """Make x of rows [n, ...], with fresh draws at every call.

        Args:
            key: of the draws.
            rows: data.
        """
        if self.is_binary and self.shift == (0.0,):
            return binarize(key, rows, self.scale[0])
        rows = rows.astype("float32")
        if self.is_whole:
            rows = rows + jax.random.uniform(key, rows.shape)
        flat = rows.reshape(len(rows), -1)
        shift = jnp.asarray(self.shift, "float32")[None]
        x = (flat - shift) / jnp.asarray(self.scale, "float32")[None]
        x = x.reshape(rows.shape)
        return binarize(key, x, 1.0) if self.is_binary else x

    def restore(self, x: np.ndarray) -> np.ndarray:
        """Bring x [n, ...] back to the units of the data; of whole numbers, to their range."""
        flat = np.asarray(x).reshape(len(x), -1)
        rows = flat * np.asarray(self.scale, np.float32) + np.asarray(self.shift, np.float32)
        if self.is_whole:
            rows = np.clip(rows - np.float32(0.5), 0, self.max_value)
        return rows.reshape(np.shape(x))

    def fields(self, data_dim: int) -> dict:
        """Give the fields of a `Blueprint` that say this; none where `max_value` says it all.

        Args:
            data_dim: dimensions of the data.
        """
        if self in (Scaling(), Scaling((0.0,), self.scale, is_binary=True)):
            return {}
        return dict(
            shift=self.shift,
            scale=self.scale,
            is_whole=self.is_whole,
            log_volume=self.log_volume(data_dim),
        )

    def log_volume(self, data_dim: int) -> float:
        """Give the log of the volume of the data that is one of x; 0 for bits.

        Args:
            data_dim: dimensions of the data.
        """
        if self.is_binary:
            return 0.0
        return float(data_dim * np.mean(np.log(self.scale)))
