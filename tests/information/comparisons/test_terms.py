"""Terms of a block: those that tell are found, what they show is a lower limit, and of columns that
tell nothing none passes the rows that did not choose it."""

import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.special import ndtri
from scipy.stats import rankdata

from diffenc.information.comparisons import terms
from diffenc.information.comparisons.terms import Product, Wave
from diffenc.information.estimation.resolution import GAINED

N = 2000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 20))


def scores(values):
    return ndtri((rankdata(values, axis=0) - 0.5) / len(values))


def target(mean, noise, seed=1):
    return scores(mean[:, None] + noise * np.random.default_rng(seed).normal(size=(N, 1)))


def gains(found):
    return found is not None and found.gain.mean > GAINED * found.gain.stderr


def test_a_product_of_three_columns_is_found_and_is_a_lower_limit():
    """log 2 less the entropy of two normal pieces that overlap little: .6327 nats."""
    y = target(np.sign(X[:, 3] * X[:, 8] * X[:, 15]), 0.5)
    found = terms.search(X, np.concatenate([RNG.normal(size=(N, 1)), y], axis=1))
    assert found.terms == (Product((3, 8, 15)),) and found.target == 1 and gains(found)
    assert 0.1 < found.information.mean < 0.6327 - NUM_SIGMAS * found.information.stderr


def test_the_limit_of_a_gaussian_product_is_nearly_its_information():
    """Given one factor y is normal: h(y) by a mean over it; .7332 nats by quadrature."""
    found = terms.search(X, target(X[:, 3] * X[:, 11], 0.5))
    assert found.columns == (3, 11) and gains(found)
    assert 0.5 < found.information.mean < 0.7332 + NUM_SIGMAS * found.information.stderr


def test_a_wave_of_one_column_is_found_beside_a_line_of_another():
    x = scores(X)
    u = rankdata(X[:, 4]) / (N + 1)
    found = terms.search(x, target(np.sin(2 * np.pi * 6 * u) + x[:, 9], 0.5))
    assert found.terms[0] == Wave(4, 6, True) and gains(found)
    assert np.corrcoef(found.terms[0].of(x), np.sin(2 * np.pi * 6 * u))[0, 1] > 0.999


@pytest.mark.parametrize("kind", ["independent", "gaussian", "parabola"])
def test_nothing_is_gained_where_nothing_is_to_be_found(kind):
    """A gain of three errors has a chance of 0.13 %, on rows that did not choose."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(400, 12))
        x[:, 1:] = 0.8 * x[:, 1:] + 0.6 * x[:, :1]
        y = rng.normal(size=(400, 2))
        if kind == "gaussian":
            y[:, 0] += x.sum(axis=1)
        if kind == "parabola":
            y[:, 0] += x[:, 2] ** 2
        alarms += gains(terms.search(scores(x), scores(y)))
    assert alarms <= 1, "of 40; two or more of them once in 740 times"


def test_of_many_columns_there_are_neither_triples_nor_pairs():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, terms.MOST_FOR_PAIRS + 1))
    y = scores((x[:, 0] * x[:, 1])[:, None])
    assert not gains(terms.search(x, y))
    found = terms.search(x[:, : terms.MOST_FOR_TRIPLES + 1], y)
    assert found.columns == (0, 1) and gains(found)
