"""A committee that predicts one column from many: what it gains, and where it is not asked."""

import dataclasses

import jax
import numpy as np
import pytest

from diffenc.information.coordinates.gaussian import by_rank
from diffenc.information.regressions import halved_pair
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.settings import CommitteeSettings, Settings
from diffenc.information.training import committee

N = 1500
COLUMNS = 4
SETTINGS = Settings(
    committee=CommitteeSettings(members=4, width=32, updates=100, rounds=8),
)


def make_pair(x, y):
    rng = np.random.default_rng(0)
    halves = rng.permutation(len(x)).reshape(2, -1)
    return Pair(by_rank(x, rng)[halves], by_rank(y, rng)[halves])


def product_pair(noise=0.4):
    """Draw x, a product of two columns of y with normal noise."""
    rng = np.random.default_rng(1)
    y = rng.standard_normal((N, COLUMNS))
    product = np.tanh(2 * y[:, 0] * y[:, 1])
    x = product + noise * rng.standard_normal(N)
    return make_pair(x[:, None], y), product


@pytest.fixture(scope="module")
def learned():
    pair, _ = product_pair()
    return pair, committee.learn(jax.random.key(0), pair, SETTINGS)


def test_prediction_is_a_column_that_tells(learned):
    pair, extended = learned
    assert extended.y.shape == (2, N // 2, COLUMNS + 1)
    np.testing.assert_array_equal(extended.y[..., :COLUMNS], pair.y)
    gain = (
        halved_pair.information(extended._replace(optimism=0.0), halved_pair.MEAN).pointwise
        - halved_pair.information(pair, halved_pair.MEAN).pointwise
    )
    assert gain.mean() > 0.2 > 3 * gain.std() / N**0.5


def test_a_half_is_predicted_better_by_its_own_committee(learned):
    """Which is why it is evaluated by the other one."""
    _, extended = learned
    own = Pair(*extended.own, own=extended.own)
    own_mean = halved_pair.information(own, halved_pair.MEAN).mean
    crossed = halved_pair.information(extended._replace(optimism=0.0), halved_pair.MEAN).mean
    assert extended.optimism == pytest.approx(own_mean - crossed)
    assert extended.optimism > 0


def test_independent_columns_are_left_as_they_are():
    rng = np.random.default_rng(2)
    pair = make_pair(rng.standard_normal((N, 1)), rng.standard_normal((N, COLUMNS)))
    assert committee.learn(jax.random.key(1), pair, SETTINGS) is pair


@pytest.mark.parametrize("dim_x, dim_y, rounds", [(2, 4, 8), (1, 2, 8), (1, 4, 0)])
def test_is_not_asked(dim_x, dim_y, rounds):
    rng = np.random.default_rng(3)
    pair = make_pair(rng.standard_normal((N, dim_x)), rng.standard_normal((N, dim_y)))
    settings = dataclasses.replace(
        SETTINGS, committee=dataclasses.replace(SETTINGS.committee, rounds=rounds)
    )
    assert committee.learn(jax.random.key(2), pair, settings) is pair
