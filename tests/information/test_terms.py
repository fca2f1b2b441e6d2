"""Terms of a block: those that tell are found, what they show is a lower limit, and of columns that
tell nothing none passes the rows that did not choose it."""

import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.special import ndtri
from scipy.stats import rankdata

from diffenc.information import flows, pair_information, regression, terms
from diffenc.information.clusters import Clusters
from diffenc.information.flows import Pair
from diffenc.information.resolution import GAINED
from diffenc.information.terms import Product, Wave

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


def test_waves_alone_are_searched_of_a_column_and_of_several():
    x = scores(X)
    y = target(np.sin(2 * np.pi * 6 * rankdata(X[:, 4]) / (N + 1)), 0.5)
    for columns in ([4], [3, 4]):
        found = terms.search(x[:, columns], y, with_products=False)
        assert found.terms[0] == Wave(len(columns) - 1, 6, True) and gains(found)
    product = target(X[:, 3] * X[:, 4], 0.5)
    assert not gains(terms.search(x[:, [3, 4]], product, with_products=False))


def halves(*blocks, **fields):
    return Pair(*(block.reshape(2, N // 2, -1) for block in blocks), **fields)


def test_waves_that_gain_are_in_the_regression():
    """y of six periods in one of four columns: .6 nats, of which polynomials see nothing."""
    x = scores(X[:, :4])
    y = target(np.sin(2 * np.pi * 6 * rankdata(X[:, 1]) / (N + 1)), 0.4)
    pair = halves(y, x)
    part, features, _ = pair_information.choose_features(pair, regression.polar, 3.0)
    smooth = flows.information(pair, flows.MEAN)
    assert smooth.mean < 0.02 and 0.3 < part.mean < 0.7 + NUM_SIGMAS * part.estimate.stderr
    more = features(x).mean.shape[1] - regression.polar(x).mean.shape[1]
    assert more >= 1 and part.pointwise.mean() == pytest.approx(part.mean)
    for other in (
        halves(y, x, own=(pair.x, pair.y)),
        halves(y, x, clusters=Clusters(np.arange(N).reshape(2, -1))),
    ):
        assert pair_information.choose_features(other, regression.polar, 3.0)[0].mean < 0.05
    part, features, _ = pair_information.choose_features(pair, regression.of_labels, 3.0)
    assert features(x).mean.shape[1] == 4, "codes have no waves"


def test_without_waves_no_digit_changes():
    x = scores(X[:, :4])
    pair = halves(target(X[:, 0] + X[:, 1], 0.5), x)
    part, features, shape = pair_information.choose_features(pair, regression.polar, 3.0)
    plain = pair_information._choose_lengths(pair, regression.polar, 3.0)
    np.testing.assert_array_equal(part.pointwise, plain[0].pointwise)
    np.testing.assert_array_equal(features(x).mean, plain[1](x).mean)
    assert (part.mean, shape) == (plain[0].mean, plain[2])
