"""Twenty kinds of samples as people bring them, with their information in nats.

Five kinds of four: rows that repeat, rows that depend on their neighbours, codes, relations finer
than networks resolve, and few columns of many that tell something.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import gammaln

NODES = 600  # of quadratures
REACH = 9.0  # of a standard normal law


class Situation(NamedTuple):
    """Samples of a kind.

    Attributes:
        kind: which of the five.
        draw: makes (x, y) with a generator of numpy.
        truth: the information, infinite where y is a function of x, None where the samples have
            none that an error could cover.
    """

    kind: str
    draw: Callable
    truth: Callable[[], float | None]


def of_noisy_levels(
    levels: np.ndarray,
    weights: np.ndarray,
    stds: np.ndarray | float,
    y: np.ndarray | None = None,
) -> float:
    """Compute I(L;Y) of Y = L + std(L) noise, by quadrature of the entropy of Y.

    Args:
        levels: values [K] of L.
        weights: their chances [K].
        stds: the deviations [K] of normal noise, or one for all.
        y: ascending points of the quadrature. By default their distances are even, a twentieth of
            the least deviation, which are too many where deviations differ by powers of ten.

    Returns:
        The information (nats).
    """
    stds = np.broadcast_to(stds, levels.shape)
    if y is None:
        ends = (levels - REACH * stds).min(), (levels + REACH * stds).max()
        y = np.arange(*ends, stds.min() / 20)
    density = np.zeros(len(y))
    for level, weight, std in zip(levels, weights, stds, strict=True):
        reach = slice(*np.searchsorted(y, (level - REACH * std, level + REACH * std)))
        density[reach] += weight * _normal_density((y[reach] - level) / std) / std
    entropy = -np.trapezoid(density * np.log(np.maximum(density, 1e-300)), y)
    entropy /= np.trapezoid(density, y)  # 1, but for the widths of uneven points
    return float(entropy - np.sum(weights * np.log(stds)) - 0.5 * np.log(2 * np.pi * np.e))


def _normal_density(z):
    return np.exp(-0.5 * np.square(z)) / np.sqrt(2 * np.pi)


def normal_nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return points and weights of a normal law."""
    z = np.linspace(-REACH, REACH, NODES)
    weights = _normal_density(z)
    return z, weights / weights.sum()


def _uniform_nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return points in [0, 1) and weights of a uniform law."""
    return (np.arange(NODES) + 0.5) / NODES, np.full(NODES, 1 / NODES)


def _gaussian(correlation) -> float:
    return float(-0.5 * np.log(1 - correlation**2))


# Rows that repeat.


def _written_thrice(rng):
    order = rng.permutation(np.repeat(np.arange(700), 3))
    return rng.standard_normal((700, 6))[order], rng.standard_normal((700, 3))[order]


def _saved_twice(rng):
    """A file, and the same file after a program that kept seven digits."""
    x = rng.uniform(0, 2 * np.pi, 1200)
    y = np.sin(x) + 0.4 * rng.standard_normal(1200)
    return [np.concatenate([values, np.round(values, 6)]) for values in (x, y)]


def _saved_twice_truth():
    u, weights = _uniform_nodes()
    return of_noisy_levels(np.sin(2 * np.pi * u), weights, 0.4)


RARE = 0.08
TIMES = 6


def _oversampled_class(rng):
    labels = (rng.uniform(size=1500) < RARE).astype(int)
    x = 1.5 * labels + rng.standard_normal(1500)
    times = np.where(labels == 1, TIMES, 1)
    order = rng.permutation(np.repeat(np.arange(1500), times))
    return x[order], labels[order]


def _oversampled_class_truth():
    share = RARE * TIMES / (RARE * TIMES + 1 - RARE)
    return of_noisy_levels(np.array([0.0, 1.5]), np.array([1 - share, share]), 1.0)


def _subjects(rng):
    """Ten measurements of each of 200 subjects in any order; what is known of a subject is x."""
    subject = rng.permutation(np.repeat(np.arange(200), 10))
    effect = rng.standard_normal(200)
    x = rng.standard_normal((200, 3))[subject]
    return x, effect[subject] + 0.5 * rng.standard_normal(2000)


# Rows that depend on their neighbours.


def _autoregressions(rng):
    x, y = lfilter([1.0], [1.0, -0.95], rng.standard_normal((2, 4000)))[:, 1000:]
    return x, y


def _smoothed(rng):
    """Means of 15 rows of two noises of correlation 0.7."""
    noise = rng.standard_normal((2, 4014))
    noise[1] = 0.7 * noise[0] + np.sqrt(1 - 0.7**2) * noise[1]
    x, y = [np.convolve(one, np.full(15, 1 / 15), "valid") for one in noise]
    return x, y


def _prices(rng):
    return tuple(np.cumsum(0.02 + rng.standard_normal((2, 1200)), axis=1))


def _volatile(rng):
    """Returns of two independent markets, whose sizes come in clusters."""
    size = np.exp(lfilter([1.0], [1.0, -0.97], 0.25 * rng.standard_normal((2, 3500))))
    x, y = (size * rng.standard_normal((2, 3500)))[:, 500:]
    return x, y


# Codes.

PLACES = 0.5 * np.random.default_rng(45).permutation(45)


def _stations(rng):
    """45 numbers of stations are x, and y a place that their order does not tell."""
    station = rng.integers(0, 45, 3000)
    return 1000 + 7 * station, PLACES[station] + 0.3 * rng.standard_normal(3000)


def _visits(rng):
    x = rng.standard_normal(1500)
    return x, rng.poisson(np.exp(0.7 * x + 0.5))


def _visits_truth():
    z, weights = normal_nodes()
    rate = np.exp(0.7 * z + 0.5)[:, None]
    count = np.arange(1500)
    chances = np.exp(count * np.log(rate) - rate - gammaln(count + 1))
    marginal = weights @ chances
    of_x = -np.sum(chances * np.log(np.maximum(chances, 1e-300)), axis=1)
    return float(-np.sum(marginal * np.log(np.maximum(marginal, 1e-300))) - weights @ of_x)


def _answers_table():
    """Make the chances of 12 answers to one question and 9 to another."""
    table = np.random.default_rng(12).gamma(0.3, size=(12, 9))
    return table / table.sum()


def _answers(rng):
    cell = rng.choice(12 * 9, size=2500, p=_answers_table().ravel())
    names = np.array([f"answer {index}" for index in range(12)])
    return names[cell // 9], cell % 9


def _answers_truth():
    table = _answers_table()
    margins = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
    return float(np.sum(table * np.log(np.maximum(table, 1e-300) / margins)))


TOWNS = np.random.default_rng(8).permutation(8) * 0.6


def _towns(rng):
    """A table of age and town, both of which y depends on."""
    age = rng.standard_normal(2500)
    town = rng.integers(0, 8, 2500)
    y = 0.6 * age + TOWNS[town] + 0.4 * rng.standard_normal(2500)
    names = np.array(list("hbdagfce"))[town]
    return pd.DataFrame({"age": age, "town": names}), y


def _towns_truth():
    z, weights = normal_nodes()
    levels = (0.6 * z[:, None] + TOWNS).ravel()
    return of_noisy_levels(levels, np.repeat(weights, 8) / 8, 0.4)


# Relations finer than networks resolve.

DAYS = 50


def _unix_times(rng):
    """Seconds of fifty days, and what rises and falls with the hour."""
    seconds = np.sort(1.7e9 + rng.uniform(0, 86_400 * DAYS, 5000))
    y = np.cos(2 * np.pi * seconds / 86_400) + 0.35 * rng.standard_normal(5000)
    return seconds, y


def _unix_times_truth():
    u, weights = _uniform_nodes()
    return of_noisy_levels(np.cos(2 * np.pi * u), weights, 0.35)


def _board(rng):
    """A checkerboard of 12 x 12 fields."""
    column = rng.integers(0, 12, 4000)
    row = 2 * rng.integers(0, 6, 4000) + column % 2
    return column + rng.uniform(size=4000), row + rng.uniform(size=4000)


def _product_of_four(rng):
    x = rng.standard_normal((2000, 4))
    return x, np.prod(x, axis=1)


def _square_wave(rng):
    """A sign that changes 16 times, beside a column that tells nothing."""
    x = rng.uniform(0, 1, (3000, 2))
    return x, np.sign(np.sin(16 * np.pi * x[:, 0])) + 0.5 * rng.standard_normal(3000)


SIGNS = np.array([-1.0, 1.0]), np.array([0.5, 0.5])

# Few columns of many.


def _one_of_forty(rng):
    x = rng.standard_normal((1500, 40))
    return x, np.cos(2.2 * x[:, 7]) + 0.35 * rng.standard_normal(1500)


def _one_of_forty_truth():
    z, weights = normal_nodes()
    return of_noisy_levels(np.cos(2.2 * z), weights, 0.35)


def _two_of_twenty(rng):
    x = rng.standard_normal((3000, 20))
    return x, x[:, 3] * x[:, 11] + 0.5 * rng.standard_normal(3000)


def _two_of_twenty_truth():
    """Given one factor y is normal, which makes its law that of a scatter without a mean."""
    z, weights = normal_nodes()
    stds = np.sqrt(np.square(z) + 0.25)
    return of_noisy_levels(np.zeros(NODES), weights, stds) + weights @ np.log(stds / 0.5)


def _three_of_thirty(rng):
    x = rng.standard_normal((4000, 30))
    return x, np.sign(x[:, 2] * x[:, 17] * x[:, 25]) + 0.5 * rng.standard_normal(4000)


def _spread_of_25(rng):
    """One of 25 columns tells how far y scatters."""
    x = rng.standard_normal((2500, 25))
    return x, np.exp(0.8 * x[:, 4]) * rng.standard_normal(2500)


def _spread_of_25_truth():
    z = np.linspace(-6, 6, NODES)
    weights = _normal_density(z)
    return of_noisy_levels(np.zeros(NODES), weights / weights.sum(), np.exp(0.8 * z))


def _nothing():
    return 0.0


REPEATS = "rows that repeat"
SERIES = "series"
CODES = "codes"
FINE = "finer than resolved"
FEW = "few columns of many"
SITUATIONS = {
    "written_thrice": Situation(REPEATS, _written_thrice, _nothing),
    "saved_twice": Situation(REPEATS, _saved_twice, _saved_twice_truth),
    "oversampled_class": Situation(REPEATS, _oversampled_class, _oversampled_class_truth),
    "subjects": Situation(REPEATS, _subjects, _nothing),
    "autoregressions": Situation(SERIES, _autoregressions, _nothing),
    "smoothed": Situation(SERIES, _smoothed, lambda: _gaussian(0.7)),
    "prices": Situation(SERIES, _prices, lambda: None),
    "volatile": Situation(SERIES, _volatile, _nothing),
    "stations": Situation(
        CODES, _stations, lambda: of_noisy_levels(PLACES, np.full(45, 1 / 45), 0.3)
    ),
    "visits": Situation(CODES, _visits, _visits_truth),
    "answers": Situation(CODES, _answers, _answers_truth),
    "towns": Situation(CODES, _towns, _towns_truth),
    "unix_times": Situation(FINE, _unix_times, _unix_times_truth),
    "board": Situation(FINE, _board, lambda: float(np.log(2))),
    "product_of_four": Situation(FINE, _product_of_four, lambda: np.inf),
    "square_wave": Situation(FINE, _square_wave, lambda: of_noisy_levels(*SIGNS, 0.5)),
    "one_of_forty": Situation(FEW, _one_of_forty, _one_of_forty_truth),
    "two_of_twenty": Situation(FEW, _two_of_twenty, _two_of_twenty_truth),
    "three_of_thirty": Situation(FEW, _three_of_thirty, lambda: of_noisy_levels(*SIGNS, 0.5)),
    "spread_of_25": Situation(FEW, _spread_of_25, _spread_of_25_truth),
}
