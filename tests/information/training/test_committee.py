"""A committee that predicts one column from many: what it gains, and where it is not asked."""

import dataclasses

import jax
import numpy as np
import pytest

from diffenc.information.clusters import Clusters
from diffenc.information.coordinates.gaussian import by_rank
from diffenc.information.regressions import halved_pair
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.settings import CommitteeSettings, Settings
from diffenc.information.training import committee, trees

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


def test_optimism_enters_the_information_by_half(learned):
    """What a fit gains on its own rows it loses on others, to first order."""
    _, extended = learned
    assert extended.has_prediction and extended.own is None
    assert extended.optimism > 0
    crossed = halved_pair.information(extended._replace(optimism=0.0), halved_pair.MEAN).mean
    both = halved_pair.information(extended, halved_pair.MEAN).mean
    assert both == pytest.approx(crossed + extended.optimism / 2)


def test_no_row_is_predicted_by_a_fit_that_has_seen_it(learned):
    pair, _ = learned
    part = committee.folds(pair)
    rows, counts = committee._rows_of(part)
    size = rows.shape[1] // 2
    for fold in range(committee.FOLDS):
        half, place = np.nonzero(part != fold)
        places = set((half * size + place).tolist())
        assert set(rows[fold, : counts[fold]].tolist()) == places
    others = pair.x + np.where(part == 0, 5.0, 0.0)[..., None]
    first, second = [trees.predict(x, pair.y, part, committee.FOLDS, 0) for x in (pair.x, others)]
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[1] - second[1]).max() > 1


def test_clusters_are_whole_in_a_fold():
    rng = np.random.default_rng(5)
    index = np.sort(rng.integers(0, 60, (2, N // 2))) + 100 * np.arange(2)[:, None]
    pair = make_pair(rng.standard_normal((N, 1)), rng.standard_normal((N, 3)))
    part = committee.folds(pair._replace(clusters=Clusters(index)))
    for cluster in np.unique(index):
        assert len(np.unique(part[index == cluster])) == 1
    assert np.bincount(part.ravel()).min() > N / 8


def test_trees_find_the_step_that_networks_round_off():
    """The sign of a product of two of four columns; the mean given y is told but for an error."""
    rng = np.random.default_rng(6)
    y = rng.standard_normal((N, COLUMNS))
    x = np.sign(y[:, 0] * y[:, 1]) + 0.4 * rng.standard_normal(N)
    pair = make_pair(x[:, None], y)
    part = committee.folds(pair)
    by_fold = trees.predict(pair.x, pair.y, part, committee.FOLDS, 0)
    rest = np.mean(np.square(pair.x[..., 0] - committee._of(by_fold, part)))
    is_equal = pair.y[..., 0] * pair.y[..., 1] > 0
    least = 0.5 * (pair.x[is_equal].var() + pair.x[~is_equal].var())
    assert pair.x.var() - rest > 0.85 * (pair.x.var() - least)


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
