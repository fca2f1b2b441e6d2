"""Columns in their own units: noise of one law is told as by the exact law."""

import jax
import numpy as np
import pytest
from scipy import stats

from diffenc.estimate import Estimate
from diffenc.information.benchmark.laws import channel
from diffenc.information.coordinates import gaussian, smooth_scores
from diffenc.information.estimation import own_scale, pair_information
from diffenc.information.regressions import additive, halved_pair, regression
from diffenc.information.training.halves import split

ERRORS = 3.0
N = 2000
VOLATILE = channel(
    3, lambda x: x.sum(axis=1) / 3**0.5, lambda t: t, lambda t: 0.6 * np.exp(0.6 * t)
)


def plain_pair(x, y, rows):
    rng = np.random.default_rng(0)
    blocks = [gaussian.block_scores(rng, block)[rows] for block in (x, y)]
    return halved_pair.orient(halved_pair.Pair(*blocks))


def chosen_pair(x, y):
    rows = split(jax.random.key(0), len(x))
    plain = plain_pair(x, y, rows)
    return own_scale.choose(plain, own_scale.candidates(x, y, plain, rows, None), ERRORS)


def part_of(pair):
    features = regression.polar_signed if pair.log_ratios else regression.polar
    return pair_information.choose_features(pair, features, ERRORS)[0]


@pytest.mark.slow
def test_noise_of_uneven_size_is_told_as_by_the_exact_law():
    gaps = []
    for seed in range(6):
        x, y = VOLATILE.sample(jax.random.key(seed), N)
        pair = chosen_pair(x, y)
        assert pair.log_ratios and pair.is_exchanged
        gaps.append(part_of(pair).mean - VOLATILE.pointwise(x, y).mean())
    gap = Estimate.of(np.array(gaps))
    assert abs(gap.mean) < ERRORS * gap.stderr + 0.01 and gap.stderr < 0.01
    by_rank = part_of(plain_pair(x, y, split(jax.random.key(0), N)))
    assert by_rank.mean < part_of(pair).mean - 0.03
    other = chosen_pair(y, x)  # the same, whichever of both is called x
    assert other.log_ratios and not other.is_exchanged
    assert part_of(other).mean == pytest.approx(part_of(pair).mean, abs=1e-3)


def test_a_gaussian_copula_keeps_its_ranks():
    rng = np.random.default_rng(1)
    x, noise = rng.standard_normal((2, N, 1))
    y = np.exp(1.5 * (0.8 * x + 0.6 * noise))
    assert not chosen_pair(x, y).log_ratios


def test_a_block_of_columns_cannot_be_diffused_in_their_place():
    x, y = VOLATILE.sample(jax.random.key(0), N)
    pair = chosen_pair(x, y)
    assert not pair.can_be_exchanged and halved_pair.orient(pair) is pair


@pytest.mark.parametrize("spoil", [np.round, lambda y: np.round(y) + 1e-4 * np.sin(1e4 * y)])
def test_ties_and_clumps_have_no_units(spoil):
    x, y = VOLATILE.sample(jax.random.key(0), N)
    rows = split(jax.random.key(0), N)
    y = spoil(y)
    assert own_scale.candidates(x, y, plain_pair(x, y, rows), rows, None) == []


@pytest.mark.parametrize(
    "law", [stats.t(3), stats.lognorm(1.0), stats.expon(), stats.uniform(), stats.laplace()]
)
def test_spacings_tell_the_divergence_of_long_tails_and_edges(law):
    errors = []
    for seed in range(20):
        x = law.rvs(1000, random_state=seed)
        z = (x - x.mean()) / x.std()
        exact = law.logpdf(x) + np.log(x.std()) - stats.norm.logpdf(z)
        errors.append(np.mean(smooth_scores.log_ratio(z) - exact))
    error = Estimate.of(np.array(errors))
    assert abs(error.mean) < 4 * error.stderr and error.stderr < 0.003


def test_what_follows_the_condition_is_not_exhausted():
    rng = np.random.default_rng(3)
    x, noise = rng.standard_normal((2, N, 1))
    rows = split(jax.random.key(0), N)
    y = x**2 + 0.5 * noise
    (pair,) = own_scale.candidates(x, y, plain_pair(x, y, rows), rows, None)
    assert not own_scale.is_exhausted(pair, regression.linear, ERRORS)
    features = additive.features_of(pair, regression.polar_signed, ERRORS)
    assert own_scale.is_exhausted(pair, features, ERRORS)


def test_of_both_columns_that_which_tells_more_is_diffused():
    """A step: the noise is around it, while x given y is uniform on either side."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(N, 1))
    y = (x > 0.37) + 0.1 * rng.standard_normal((N, 1))
    rows = split(jax.random.key(0), N)
    plain = plain_pair(x, y, rows)
    others = own_scale.candidates(x, y, plain, rows, None)
    chosen = own_scale.choose(plain, others, ERRORS)
    features = [additive.features_of(one, regression.polar_signed, ERRORS) for one in others]
    told = [
        halved_pair.information(one, of_one).mean
        for one, of_one in zip(others, features, strict=True)
    ]
    assert chosen is others[int(np.argmax(told))]
