"""Smooth functions of single columns in the regression: what is taken, and what it tells."""

import numpy as np
import pytest

from diffenc.information.coordinates.gaussian import by_rank
from diffenc.information.estimation import pair_information
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair

N = 2000
ERRORS = 3.0


def pair_of(x, y, seed=0):
    """Make a pair of halves of scores."""
    rng = np.random.default_rng(seed)
    halves = rng.permutation(len(x)).reshape(2, -1)
    return Pair(by_rank(x, rng)[halves], by_rank(y, rng)[halves])


def wave(rng, columns, periods, noise=0.3):
    """Draw columns [N, columns] and a wave of the first, with normal noise [N, 1]."""
    y = rng.standard_normal((N, columns))
    u = np.argsort(np.argsort(y[:, 0])) / N
    x = np.sin(2 * np.pi * periods * u) + noise * rng.standard_normal(N)
    return x[:, None], y


def test_cosines_are_orthogonal_over_the_scores():
    score = by_rank(np.random.default_rng(0).standard_normal((N, 1)), np.random.default_rng(1))
    values = additive.cosines(score[:, 0], 16)
    np.testing.assert_allclose(values.T @ values / N, 0.5 * np.eye(16), atol=1e-9)
    np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("columns, periods", [(1, 3), (1, 12), (20, 1), (20, 6)])
def test_a_wave_of_one_column_is_found(columns, periods):
    pair = pair_of(*wave(np.random.default_rng(2), columns, periods))
    counts = additive.select(pair, regression.polar, ERRORS)
    assert list(counts) == [0]
    assert counts[0] >= 2 * periods
    # The oracle: the information of the residual's variance, as if the wave were known.
    features = regression.without_shape(additive.with_terms(regression.polar, counts))
    part = halved_pair.information(pair, features)
    x = pair.x.reshape(-1)
    u = np.argsort(np.argsort(pair.y.reshape(-1, columns)[:, 0])) / N
    known = np.sin(2 * np.pi * periods * u)
    line = np.polynomial.Polynomial.fit(known, x, 3)
    oracle = -0.5 * np.log(np.var(x - line(known)) / np.var(x))
    assert part.mean > oracle - 4 * part.estimate.stderr
    assert part.estimate.stderr < 0.05


def test_blocks_are_exchanged_where_x_explains_y():
    x, y = wave(np.random.default_rng(3), 3, 2)
    pair = pair_of(y[:, :1], x)
    chosen, features = additive.choose(pair, pair, regression.polar, ERRORS)
    assert chosen.is_exchanged
    part, _, _ = pair_information.choose_features(chosen, features, ERRORS)
    before, _, _ = pair_information.choose_features(pair, regression.polar, ERRORS)
    assert part.mean > before.mean + 0.2


def test_independent_and_linear_blocks_have_none():
    """At three standard errors, divided by the trials, 60 pairs have 0.2 false ones of chance."""
    taken = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        columns = (1, 2, 10)[seed % 3]
        y = rng.standard_normal((N // 2, columns))
        x = (seed % 2) * 0.8 * y[:, :1] + rng.standard_normal((N // 2, 1))
        taken += bool(additive.select(pair_of(x, y, seed), regression.polar, ERRORS))
    assert taken <= 2


def test_flows_are_preferred_where_they_tell_more():
    rng = np.random.default_rng(4)
    x, y = wave(rng, 2, 1, noise=1.0)
    pair = pair_of(x, y)
    sharper = pair_of(*wave(np.random.default_rng(4), 2, 1, noise=0.1))
    mapped = Pair(pair.x, sharper.y, own=(pair.x, sharper.y))
    chosen, features = additive.choose(pair, mapped, regression.polar, ERRORS)
    assert chosen is pair and features is not regression.polar
    exact = np.concatenate([pair.x, pair.y[..., 1:]], axis=-1)
    mapped = Pair(pair.x, exact + 0.1 * pair.y, own=(pair.x, exact + 0.1 * pair.y))
    chosen, features = additive.choose(pair, mapped, regression.polar, ERRORS)
    assert chosen is mapped and features is regression.polar


def test_few_rows_try_fewer_terms():
    rng = np.random.default_rng(5)
    y = rng.standard_normal((120, 2))
    pair = pair_of(y[:, :1] ** 2 + 0.1 * rng.standard_normal((120, 1)), y)
    for terms in additive.select(pair, regression.polar, ERRORS).values():
        assert terms * regression.EXAMPLES <= 120


def test_lengths_see_the_terms_where_rows_are_enough():
    y = np.random.default_rng(6).standard_normal((N, 1))
    features = additive.with_terms(regression.polar, {0: 16})
    base = regression.polar(y).shape.shape[1]
    assert features(y).shape.shape[1] == base + additive.SHAPE_TERMS
    assert features(y[:400]).shape.shape[1] == regression.polar(y[:400]).shape.shape[1]


def test_a_wave_of_twenty_periods_has_all_its_terms():
    """Its series of cosines falls off slowly beyond the terms that predict best from half the rows.
    A regression of all its terms finds log(deviation of x / deviation of the noise); without the
    finer ones .035 is missing, with those that are significant less than half of it. What the last
    doubling told is a doubt of that size."""
    missing, doubts = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        u = rng.uniform(size=3000)
        noise = rng.normal(size=3000)
        x = np.sin(40 * np.pi * u) + 0.3 * noise
        pair = Pair(
            ((x - x.mean()) / x.std()).reshape(2, 1500, 1), by_rank(u[:, None]).reshape(2, 1500, 1)
        )
        features = additive.features_of(pair, regression.linear, 3.0)
        found = halved_pair.information(pair, features)
        missing.append(np.log(x.std() / (0.3 * noise.std())) - found.mean)
        doubts.append(additive.unfinished(pair, features))
    assert abs(np.mean(missing)) < 0.035 / 2
    assert np.mean(doubts) > np.mean(missing) / 2
    assert additive.unfinished(pair, regression.linear) == 0
