"""Angles of a block whose rows lie about a hollow: on a ring, a tube or a torus.

Two columns are mapped to an angle about a centre and a length,

    (a, b)  ->  (angle, length),    (a, b) = centre + length (cos angle, sin angle)

which is invertible, so that information stays as it is. In the length another hollow may show: that
of the tube of a torus.
"""

import itertools
from typing import NamedTuple

import numpy as np

from diffenc.information.coordinates import gaussian

# Rows lie about a hollow if their distances from its centre have a smaller standard deviation, in
# units of their mean, than those of an even disc.
DISC = 0.125**0.5
# The angle goes all round: so many equal sectors have so much of an even share of the rows each.
SECTORS = 12
LEAST_SHARE = 0.1
# Blocks of more columns are not searched.
MOST_COLUMNS = 20


class Rings(NamedTuple):
    """A block in other coordinates, some of which are angles.

    Attributes:
        angles: [N, k], from -pi to pi; they jump where rows are rare.
        rest: [N, dim - k] lengths, and columns that take part in no angle.
    """

    angles: np.ndarray
    rest: np.ndarray


def find(x: np.ndarray) -> Rings | None:
    """Find the angles of a block, in its columns or along its principal axes.

    Args:
        x: [N, dim].

    Returns:
        Its rings; None where there is no hollow, where columns have ties, or of too many columns.
    """
    dim = x.shape[1]
    if not 2 <= dim <= MOST_COLUMNS or gaussian.has_ties(x).any():
        return None
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=0)
    axes = np.linalg.svd(x, full_matrices=False)[2]
    found = [_find(columns) for columns in (x, x @ axes.T)]
    unevenness, rings = min(found, key=lambda one: one[0])
    return rings if np.isfinite(unevenness) else None


def _find(x) -> tuple[float, Rings]:
    """Return the unevenness of the first hollow, infinite if there is none, and the rings."""
    columns = list(x.T)
    angles: list[np.ndarray] = []
    first = np.inf
    while len(columns) > 1:
        pairs = itertools.combinations(range(len(columns)), 2)
        trials = [(*_polar(columns[i], columns[j]), i, j) for i, j in pairs]
        unevenness, angle, length, i, j = min(trials, key=lambda one: one[0])
        if unevenness > DISC:
            break
        first = min(first, unevenness)
        angles.append(angle)
        columns = [one for place, one in enumerate(columns) if place not in (i, j)]
        columns.append(length)
    return first, Rings(np.array(angles).T.reshape(len(x), -1), np.stack(columns, axis=1))


def _polar(a, b) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the unevenness of the length about the circle of least squares, angle and length.

    The unevenness is infinite where the angle does not go all round. The circle is that of Kasa
    (1976): |z|^2 = 2 centre' z + constant.
    """
    z = np.stack([a, b], axis=1)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    design = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    centre = np.linalg.lstsq(design, np.sum(np.square(z), axis=1))[0][:2] / 2
    z = z - centre
    length = np.linalg.norm(z, axis=1)
    angle = np.arctan2(z[:, 1], z[:, 0])
    sector = np.minimum(((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int), SECTORS - 1)
    counts = np.bincount(sector, minlength=SECTORS)
    if counts.min() < LEAST_SHARE * len(z) / SECTORS:
        return np.inf, angle, length
    cut = (counts.argmin() + 0.5) / SECTORS * 2 * np.pi - np.pi
    return float(length.std() / length.mean()), wrap(angle - cut - np.pi), length


def wrap(angle: np.ndarray) -> np.ndarray:
    """Return angles in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
