"""Exponents of growth: straight lines through logarithms, with standard errors."""

from typing import NamedTuple

import numpy as np

from diffenc.errors import check
from diffenc.estimate import Estimate

LEAST_POINTS = 3  # a line and its error need a point more than a line


class Fit(NamedTuple):
    """A power law y = y_0 (size / size_0)^exponent through the larger sizes.

    Attributes:
        exponent: with its standard error.
        sizes: that were fitted.
        values: of the line, at these sizes.
    """

    exponent: Estimate
    sizes: np.ndarray
    values: np.ndarray


def power_law(sizes, values, num_points: int) -> Fit:
    """Fit an exponent to the largest sizes by least squares of logarithms.

    The error holds both what repeats tell and what points tell: the first is the scatter of the
    exponents of single turns over the square root of their number, times 1.25, as of a median; the
    second is that of the residuals of the line through the medians, with n - 2 degrees of freedom.
    A curved line therefore has a large error, however well each point is known.

    Args:
        sizes: [n], ascending.
        values: [turns, n]; one turn for what does not scatter.
        num_points: how many of the largest sizes are fitted.

    Raises:
        InputError: fewer than three sizes are fitted.
    """
    sizes = np.asarray(sizes, float)[-num_points:]
    values = np.asarray(values, float)[:, -num_points:]
    remedy = f"a line with an error needs {LEAST_POINTS} or more"
    check(len(sizes) >= LEAST_POINTS, "the number of fitted sizes", len(sizes), remedy)
    log_sizes = np.log(sizes / sizes[0])
    middle = np.log(np.median(values, axis=0))
    exponent, intercept = np.polyfit(log_sizes, middle, 1)
    residuals = middle - intercept - exponent * log_sizes
    spread = np.sum(np.square(log_sizes - log_sizes.mean()))
    of_points = np.sqrt(np.sum(np.square(residuals)) / (len(sizes) - 2) / spread)
    of_turns = 0.0
    if len(values) > 1:
        slopes = np.polyfit(log_sizes, np.log(values).T, 1)[0]
        of_turns = 1.25 * slopes.std(ddof=1) / np.sqrt(len(slopes))
    line = np.exp(intercept + exponent * log_sizes)
    return Fit(Estimate(float(exponent), float(np.hypot(of_points, of_turns))), sizes, line)
