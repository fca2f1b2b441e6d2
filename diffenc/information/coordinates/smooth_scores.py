"""Nearly normal scores of single columns by smooth maps, for relations that ranks would blur.

Scores by rank carry the noise of the sample, most in the tails. Of two columns that follow each
other closely it is what is seen in place of the relation: of Gaussian pairs with 3 nats a linear
regression of scores by rank finds 2.77 at 200 rows and 2.93 at 1,000, and a regression of lengths
takes the noise of the tails for a law. A smooth increasing map has no such noise. The coordinate is
then not quite normal, and its divergence

    D[X] = E log p(x) / N(x; 0, 1)

is estimated by the spacings of the sample (Vasicek 1976).
"""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from diffenc.estimate import Estimate
from diffenc.information.coordinates import gaussian, spacings
from diffenc.information.coordinates.spacings import FINER, HALF

# Rows for each knot of the map, and the fewest and the most knots.
ROWS = 50
FEWEST_KNOTS = 10
MOST_KNOTS = 24
# The largest divergence of scores that are nearly normal (nats).
MOST_DIVERGENCE = 0.2


def candidates(x: np.ndarray) -> list[np.ndarray]:
    """Make nearly normal scores of a column by smooth increasing maps; float64.

    The first draws in heavy tails; the second, if it is another, is straightest against the normal
    scores by rank.

    Args:
        x: [N].

    Returns:
        Scores [N], one or two; none for a column with ties, or whose values clump.
    """
    if gaussian.has_ties(x[:, None])[0]:
        return []
    images = _images(np.asarray(x, np.float64))
    normal = ndtri((np.arange(len(x)) + 0.5) / len(x))
    order = np.argsort(x)
    straight = [np.corrcoef(image[order], normal)[0, 1] for image in images]
    best = int(np.argmax(straight))
    chosen = images[:1] if best == 0 else [images[0], images[best]]
    scores = [_smooth(image, normal) for image in chosen]
    return [one for one in scores if one is not None and _is_nearly_normal(one)]


def _is_nearly_normal(scores: np.ndarray) -> bool:
    resolved = resolved_ratio(scores)
    return resolved is not None and bool(resolved[0].mean() < MOST_DIVERGENCE)


def _images(x: np.ndarray) -> list[np.ndarray]:
    """Return x [N] by increasing maps that make common laws nearly normal.

    Heavy tails, normal, Cauchy's, uniform, and long to one side, such as exponential and lognormal.
    """
    centred = x - np.median(x)
    centred = centred / max(np.median(np.abs(centred)), 1e-9 * np.abs(centred).max())
    width = x.max() - x.min()
    edge = width / len(x)
    share = (x - x.min() + edge) / (width + 2 * edge)
    images = [np.arcsinh(centred), centred, ndtri(0.5 + np.arctan(centred) / np.pi), ndtri(share)]
    for power in (1 / 2, 1 / 3):
        images += [share**power, -((1 - share) ** power)]
    return [*images, np.log(share), -np.log1p(-share)]


def _smooth(x: np.ndarray, normal: np.ndarray) -> np.ndarray | None:
    """Map x [N] smoothly to the normal scores of its ranks, which are `normal` in ascending order.

    The rows are divided by rank into groups; through their means leads a monotone cubic, beyond the
    last ones a line. None where groups are equal.
    """
    count = int(np.clip(len(x) / ROWS, FEWEST_KNOTS, MOST_KNOTS))
    places = np.array([group.mean() for group in np.array_split(np.sort(x), count)])
    values = np.array([group.mean() for group in np.array_split(normal, count)])
    if not np.all(np.diff(places) > 0):
        return None
    scores = PchipInterpolator(places, values)(np.clip(x, places[0], places[-1]))
    first, *_, last = np.diff(values) / np.diff(places)
    return scores + first * np.minimum(x - places[0], 0) + last * np.maximum(x - places[-1], 0)


def resolved_ratio(scores: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Compute `log_ratio` where spacings resolve the density of scores.

    Where values clump in narrower heaps than a window is wide, single spacings tell more than
    windows do, and both too little: the divergence would be too small.

    Args:
        scores: [N].

    Returns:
        The logarithms [N], and by how much single spacings change their mean (nats); None where
        spacings do not resolve the density.
    """
    by_windows = log_ratio(scores)
    by_spacings = log_ratio(scores, half=1)
    if by_windows is None or by_spacings is None:
        return None
    finer = Estimate.of(by_spacings - by_windows)
    return None if finer.mean > FINER * finer.stderr else (by_windows, abs(float(finer.mean)))


def log_ratio(scores: np.ndarray, half: int = HALF) -> np.ndarray | None:
    """Estimate log p(z) / N(z; 0, 1) of standardized scores at every row, by spacings.

    Args:
        scores: [N].
        half: spacings to either side of a row, in its window.

    Returns:
        The logarithms [N], or None where many scores are equal.
    """
    z = (scores - scores.mean()) / scores.std()
    log_density = spacings.log_density(z, half)
    if log_density is None:
        return None
    return log_density + 0.5 * np.square(z) + 0.5 * np.log(2 * np.pi)
