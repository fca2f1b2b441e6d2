"""Nearest neighbours: no information where there is none, no more than there is, and fine relations
that need a scale of their own."""

import numpy as np
import pytest
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from diffenc.estimate import Estimate
from diffenc.information.comparisons import neighbours


def scores(values):
    return ndtri((rankdata(values) - 0.5) / len(values))[:, None]


def gaussians(rng, n, rho):
    x = rng.normal(size=n)
    return scores(x), scores(rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n))


def checkerboard(rng, n, fields):
    """y lies in the fields whose number is as even as that of x: log 2 nats."""
    field_x = rng.integers(0, fields, n)
    field_y = 2 * rng.integers(0, fields // 2, n) + field_x % 2
    return scores(field_x + rng.uniform(size=n)), scores(field_y + rng.uniform(size=n))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_gaussians_have_their_information(rho):
    """Up to a bias of about a standard error, which is never upwards beyond it."""
    truth = -0.5 * np.log(1 - rho**2)
    estimates = [
        neighbours.largest(*gaussians(np.random.default_rng(seed), 1000, rho)) for seed in range(24)
    ]
    means = np.array([one.mean for one in estimates])
    stderr = np.mean([one.stderr for one in estimates])
    of_mean = means.std(ddof=1) / np.sqrt(len(means))
    assert -2 * stderr - 3 * of_mean < means.mean() - truth < 0.5 * stderr + 3 * of_mean
    assert 0.5 < means.std(ddof=1) / stderr < 1.6


@pytest.mark.parametrize("dims", [(1, 1), (2, 1)])
def test_neighbours_are_counted_as_kraskov_does(dims):
    """The k-th neighbour is not counted, though a sum with its distance is rounded up to it."""
    rng = np.random.default_rng(5)
    x, y = [rng.normal(size=(200, dim)) for dim in dims]
    x[:, 0] += y[:, 0]
    apart = [np.abs(block[:, None] - block).max(axis=-1) for block in (x, y)]
    farthest = np.sort(np.maximum(*apart), axis=1)[:, neighbours.NEIGHBOURS, None]
    counts = [np.sum(distance < farthest, axis=1) for distance in apart]
    expected = digamma(neighbours.NEIGHBOURS) + digamma(200) - digamma(counts).sum(axis=0).mean()
    assert neighbours.ksg(x, y).mean == pytest.approx(expected, abs=1e-12)


def test_a_fine_wave_is_seen_where_x_counts_for_more():
    rng = np.random.default_rng(0)
    x = rng.uniform(-np.pi, np.pi, 10_000)
    y = scores(np.sin(20 * x) + 0.3 * rng.normal(size=10_000))
    even = neighbours.ksg(scores(x), y)
    best = neighbours.largest(scores(x), y)
    assert abs(best.mean - 0.8616) < 4 * best.stderr < 0.05
    assert even.mean < 0.8616 - 10 * even.stderr


def test_what_parts_of_the_rows_lack_is_told():
    rng = np.random.default_rng(2)
    found = neighbours.strongest(*checkerboard(rng, 2000, 8))
    missing = np.log(2) - found.estimate.mean
    assert missing > 0.05
    assert abs(missing - found.missing.mean) < 3 * found.missing.stderr


@pytest.mark.parametrize(("power", "dim"), [(1, 2), (1 / 2, 2), (1 / 4, 4)])
def test_what_is_missed_by_the_growth_of_powers(power, dim):
    """Of N^-1 and N^-1/dim it is an end of the interval; and nothing is missed without growth."""
    n = 64

    def shown(part):
        return 1 - 0.1 * (len(range(n)[part]) / n) ** -power

    found = neighbours.missing(shown, Estimate(shown(slice(None)), 0.0), dim)
    sign = 1 if power < 1 else -1
    assert found.mean + sign * found.stderr == pytest.approx(0.1)
    falling = Estimate(-shown(slice(None)), 0.01)
    found = neighbours.missing(lambda part: -shown(part), falling, dim)
    scatter = neighbours.GROWTH_SCATTER * 0.01 / (4 ** (1 / dim) - 1)
    before = neighbours.missing(shown, Estimate(shown(slice(None)), 0.0), dim)
    assert found == pytest.approx((-before.mean, np.hypot(before.stderr, scatter)))


@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (2, 2)])
def test_what_is_missed_is_nought_on_average_without_a_relation(dims):
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        near = neighbours.strongest(*[rng.normal(size=(300, dim)) for dim in dims])
        found.append(near.estimate.mean + near.missing.mean)
    assert abs(np.mean(found)) < 4 * np.std(found) / len(found) ** 0.5


def test_one_telling_pair_of_many_is_found():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 30))
    y = rng.normal(size=(2000, 3))
    y[:, 1] = np.cos(3 * x[:, 17]) + 0.3 * y[:, 1]
    found = neighbours.strongest(x, y)
    assert found.columns == ((17,), (1,)) and found.estimate.mean > 0.5


def test_three_columns_are_compared_whole():
    """y tells about a product of two columns, and about neither alone."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 2))
    y = np.sign(x[:, :1] * x[:, 1:]) + 0.3 * rng.normal(size=(2000, 1))
    found = neighbours.strongest(x, y)
    assert found.columns == ((0, 1), (0,)) and 0.4 < found.estimate.mean < np.log(2)


def test_the_screening_is_nought_of_independent_columns():
    rng = np.random.default_rng(5)
    strength = neighbours.screen(rng.normal(size=(2000, 40)), rng.normal(size=(2000, 5)))
    assert strength.shape == (40, 5) and strength.max() < 5 / np.sqrt(2000)
