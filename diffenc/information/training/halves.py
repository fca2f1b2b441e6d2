"""The two halves of the data, each in coordinates of its own moments."""

from typing import NamedTuple

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import regression
from diffenc.information.regressions.regression import Features


class Halves(NamedTuple):
    """Both halves of the data as the networks see them, in float32.

    x = linear + factor r with white x, where r is the white residual of x given the white y. Where
    `regression` maps the length of the residual, r is the mapped one.

    Attributes:
        r: the residual [2, n, dim].
        y: the condition [2, n, dim_y].
        linear: the prediction of x by the regression [2, n, dim].
        factor: [2, dim, dim].
    """

    r: jax.Array
    y: jax.Array
    linear: jax.Array
    factor: jax.Array

    def pad(self, unit: int) -> "Halves":
        """Lengthen the rows by zeros to a standard number, see `pad`."""
        r, y, linear = pad((self.r, self.y, self.linear), unit)
        return Halves(r, y, linear, self.factor)


def standard_size(n: int, unit: int) -> int:
    """Give the smallest of unit * (1, 2, 3, 4, 6, 8, 12, 16, ...) that is n or more."""
    power = 1
    while power * unit < n:
        power *= 2
    return 3 * power // 4 * unit if power > 2 and 3 * power // 4 * unit >= n else power * unit


def pad(tree, unit: int):
    """Lengthen the second axis of arrays [2, n, ...] by zeros to a standard size.

    Data of other numbers of rows then share compiled programs.

    Args:
        tree: of the arrays.
        unit: see `standard_size`.

    Returns:
        The tree.
    """

    def one(array):
        n = array.shape[1]
        widths = [(0, 0)] * array.ndim
        widths[1] = (0, standard_size(n, unit) - n)
        return jax.device_put(np.pad(array, widths))

    return jax.tree.map(one, tree)


def split(key: jax.Array, n: int, clusters: Clusters | None = None) -> np.ndarray:
    """Draw two disjoint halves [2, n // 2] of range(n); of an odd n one number is left out.

    With clusters of the rows [n], numbered from 0, every cluster is in one half, see
    `clusters.divide`; the halves may then be a little smaller.
    """
    if clusters is not None:
        order = jax.random.permutation(key, int(clusters.index.max()) + 1)
        return clustering.divide(np.asarray(order), clusters)
    return np.asarray(jax.random.permutation(key, n))[: n // 2 * 2].reshape(2, -1)


def make_halves(x: np.ndarray, y: np.ndarray | None, features: Features | None = None) -> Halves:
    """Make the halves of a regression of x on features of y, each fitted by itself.

    A fit to both halves together would make their residuals depend on each other, and the products
    on held-out data would be biased.

    Args:
        x: [2, n, dim].
        y: [2, n, dim_y], or None: then the residual is x itself and the condition is zero.
        features: the functions [2, n, ...] of y that the regression uses; None is y itself.

    Returns:
        The halves.
    """
    parts = []
    for half, x_half in enumerate(x):
        white_x = gaussian.whiten(x_half)
        if y is None:
            dim = white_x.shape[1]
            parts.append((white_x, np.zeros((len(x_half), 1)), np.zeros_like(white_x), np.eye(dim)))
            continue
        white_y = gaussian.whiten(y[half])
        if features is None:
            half_features = regression.linear(white_y)
        else:
            half_features = Features(features.mean[half], features.shape[half])
        fit = regression.fit(white_x, half_features)
        parts.append((fit.r, white_y, fit.linear, fit.factor))
    arrays = [np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)]
    return Halves(*jax.device_put(arrays))


def check_halves(blocks: dict[str, np.ndarray]) -> None:
    """Check that every column of the blocks [2, n, dim] varies by itself in either half.

    The part of a column that is no linear function of the columns before it must be at least 1e-5
    of its standard deviation. Raises InputError, with the name of the block, for a column whose
    part is smaller.
    """
    for name, block in blocks.items():
        scale = block.std(axis=(0, 1))
        for half in block:
            white = (half - half.mean(axis=0)) / scale
            rest = np.abs(np.diagonal(np.linalg.qr(white, mode="r"))) / len(half) ** 0.5
            bad = np.flatnonzero(rest < 1e-5)
            if len(rest) < white.shape[1] or bad.size:
                column = bad[0] if bad.size else len(rest)
                raise InputError(
                    f"{name} column {column} differs from a constant or the columns before it in "
                    "so few rows that half of the rows show no difference: leave it out, or give "
                    "more rows"
                )
