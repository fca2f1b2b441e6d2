"""Smooth scores: nearly normal, exact in their divergence, and no blur of sharp relations."""

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

import diffenc
from diffenc.information.coordinates import gaussian, smooth_scores
from diffenc.information.estimation import additive_noise, pair_information, smooth_pairs
from diffenc.information.regressions import halved_pair
from diffenc.information.training.halves import split

ERRORS = 3.0
MARGINS = {
    "normal": lambda z: z,
    "lognormal": np.exp,
    "uniform": ndtr,
    "exponential": lambda z: -np.log(ndtr(-z)),
    "cubes": lambda z: z**3,
    "Cauchy": lambda z: np.tan(np.pi * (ndtr(z) - 0.5)),
}


def pair_of(seed, n, nats):
    """Normal columns that share so many nats."""
    rng = np.random.default_rng(seed)
    x, noise = rng.standard_normal((2, n))
    return x, np.sqrt(-np.expm1(-2 * nats)) * x + np.exp(-nats) * noise


@pytest.mark.parametrize("name", MARGINS)
def test_maps_increase_and_are_nearly_normal(name):
    x = MARGINS[name](np.random.default_rng(1).standard_normal(2000))
    found = smooth_scores.candidates(x)
    assert 1 <= len(found) <= 2
    order = np.argsort(x)
    for scores in found:
        assert np.all(np.diff(scores[order]) > 0)
        by_rank = gaussian.by_rank(x[:, None])[:, 0]
        assert np.corrcoef(scores, by_rank)[0, 1] > 0.98


def test_columns_with_ties_have_none():
    assert smooth_scores.candidates(np.arange(1000.0) // 2) == []
    assert smooth_scores.candidates(np.ones(1000)) == []


@pytest.mark.parametrize(
    "law", [stats.norm(), stats.logistic(), stats.t(5)], ids=["normal", "logistic", "t"]
)
def test_the_divergence_from_a_normal_law_is_that_of_a_known_one(law):
    """D = (1 + log 2 pi) / 2 - h of a standardized law; of one with heavy tails it finds half."""
    truth = 0.5 * np.log(2 * np.pi * np.e) - float(law.entropy()) + np.log(law.std())
    found = [smooth_scores.log_ratio(law.rvs(3000, random_state=seed)).mean() for seed in range(40)]
    error = 3 * np.std(found) / 40**0.5
    assert truth / 2 - error < np.mean(found) < truth + error


def test_equal_scores_have_no_spacings():
    scores = np.concatenate([np.zeros(100), np.random.default_rng(0).standard_normal(900)])
    assert smooth_scores.log_ratio(scores) is None


@pytest.mark.parametrize(
    ("margins", "seeds"),
    [
        (("uniform", "uniform"), 1),
        pytest.param(("uniform", "uniform"), 3, marks=pytest.mark.slow),
        pytest.param(("normal", "lognormal"), 3, marks=pytest.mark.slow),
    ],
)
def test_sharp_relations_are_not_blurred(margins, seeds):
    """4.5 nats at 1,000 rows, of which ranks lose a quarter of a nat and more."""
    errors = []
    for seed in range(seeds):
        x, y = pair_of(seed, 1000, 4.5)
        exact = -0.5 * np.log1p(-(np.corrcoef(x, y)[0, 1] ** 2))
        x, y = [MARGINS[name](one)[:, None] for name, one in zip(margins, (x, y), strict=True)]
        rows = split(jax.random.key(seed), 1000)
        pairs = smooth_pairs.make(x, y, rows, None)
        pair, features = smooth_pairs.choose(pairs, ERRORS)
        part, _, _ = pair_information.choose_features(pair, features, 1.0)
        errors.append((part.mean - exact, part.estimate.stderr))
        ranked = gaussian.gaussian_information(gaussian.by_rank(x), gaussian.by_rank(y))
        assert ranked.mean < exact - 3 * part.estimate.stderr
    errors = np.array(errors)
    assert np.all(np.abs(errors[:, 0]) < 3 * errors[:, 1])
    assert abs(errors[:, 0].mean()) < errors[:, 1].mean()


@pytest.mark.parametrize(("count", "width"), [(100, 1e-3), (40, 0.01)])
def test_columns_that_clump_have_none(count, width):
    """Windows are wider than the heaps; of heaps as wide as their distance there are scores."""
    rng = np.random.default_rng(7)
    heaps = rng.integers(0, count, 1000)
    noise = rng.standard_normal(1000)
    assert smooth_scores.candidates(heaps + width * noise) == []
    assert smooth_scores.candidates(heaps + noise)
    rows = split(jax.random.key(0), 1000)
    x = (heaps + width * noise)[:, None]
    y = x + width * rng.standard_normal((1000, 1))
    assert additive_noise.limit(x, y, rows, ERRORS) is None


def test_relations_that_ranks_do_not_blur_keep_them():
    for nats, n, expected in ((0.0, 1000, False), (1.0, 1000, False), (2.5, 1000, True)):
        x, y = [gaussian.by_rank(one[:, None]) for one in pair_of(0, n, nats)]
        rows = split(jax.random.key(0), n)
        pair = halved_pair.Pair(x[rows], y[rows])
        assert (smooth_pairs.blur(pair, halved_pair.MEAN, ERRORS) > 0) == expected


@pytest.mark.parametrize(("n", "nats"), [(200, 1.0), (200, 3.0), (1000, 3.0), (1000, 4.5)])
def test_what_ranks_miss_is_told_to_a_third(n, nats):
    lost = []
    for seed in range(40):
        x, y = [one[:, None] for one in pair_of(seed, n, nats)]
        exact = gaussian.gaussian_information(x, y).mean
        lost.append(
            exact - gaussian.gaussian_information(gaussian.by_rank(x), gaussian.by_rank(y)).mean
        )
    told = smooth_pairs.missed(halved_pair.Pair(*np.zeros((2, 2, n // 2, 1))), nats)
    assert abs(np.mean(lost) - told) < told / 3 + 3 * np.std(lost) / 40**0.5


def test_the_ratio_of_the_diffused_column_is_subtracted():
    x, y = pair_of(0, 1000, 1.0)
    rows = split(jax.random.key(0), 1000)
    blocks = [gaussian.by_rank(one[:, None])[rows] for one in (x, y)]
    ratios = tuple(np.full((2, 500), value) for value in (0.25, 0.5))
    pair = halved_pair.Pair(*blocks, log_ratios=ratios)
    plain = halved_pair.information(halved_pair.Pair(*blocks), halved_pair.MEAN).mean
    assert halved_pair.information(pair, halved_pair.MEAN).mean == pytest.approx(plain - 0.25)
    other = halved_pair.information(halved_pair.Pair(*blocks).exchange(), halved_pair.MEAN).mean
    assert halved_pair.information(pair.exchange(), halved_pair.MEAN).mean == pytest.approx(
        other - 0.5
    )


def test_scores_of_a_uniform_column_reach_beyond_its_last_knots():
    x = np.linspace(0, 1, 1001)[1:]
    scores = smooth_scores.candidates(x)[-1]
    expected = ndtri((np.arange(1000) + 0.5) / 1000)
    assert np.abs(scores - expected)[50:-50].max() < 0.05


def test_what_ranks_of_heaps_miss_is_in_the_error_and_said(without_networks):
    rng = np.random.default_rng(9)
    heaps = rng.integers(0, 100, 1000)
    x, y = heaps + 1e-3 * rng.random((2, 1000))
    found = diffenc.mutual_information(x, y)
    assert found.details.is_blurred and any("values clump" in note for note in found.notes)
    assert found.errors["regression"] > 0.1


def test_the_error_of_several_columns_holds_what_ranks_miss(without_networks):
    """Of two columns of x one is followed closely; both are uniform, and of normal ones none."""
    x, y = pair_of(3, 500, 3.0)
    other = np.random.default_rng(4).standard_normal(500)
    blocks = np.stack([x, other], axis=1), y[:, None]
    settings = {"flow": {"rounds": 0}}
    plain = diffenc.mutual_information(*blocks, settings=settings)
    ranked = diffenc.mutual_information(*(ndtr(one) for one in blocks), settings=settings)
    missed = smooth_pairs.missed(halved_pair.Pair(*np.zeros((2, 2, 250, 1))), ranked.mean)
    assert ranked.errors["regression"] == pytest.approx(missed, rel=0.2)
    assert plain.errors["regression"] < missed / 2
    assert not ranked.details.is_blurred
