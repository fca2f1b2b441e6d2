"""A column that is a function of the other and independent noise: by the entropy of the noise."""

import jax
import numpy as np
import pytest

from diffenc.estimate import Estimate
from diffenc.information.benchmark.laws import EXPONENTIAL, channel
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation import additive_noise
from diffenc.information.estimation.additive_noise import Limit
from diffenc.information.estimation.assembly import assemble
from diffenc.information.regressions import halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair
from diffenc.information.results import remarks
from diffenc.information.training.divergence import Divergence
from diffenc.information.training.halves import split

ERRORS = 3.0
N = 2000


def limit_of(seed, x, y):
    rows = split(jax.random.key(seed), len(x))
    return rows, additive_noise.limit(x[:, None], y[:, None], rows, ERRORS)


@pytest.mark.parametrize(
    ("width", "seeds"),
    [
        (0.05, 4),
        pytest.param(0.05, 12, marks=pytest.mark.slow),
        pytest.param(0.5, 12, marks=pytest.mark.slow),
    ],
)
def test_uniform_noise_is_told_with_its_edges(width, seeds):
    """x uniform on [0, 1] and y = x + uniform noise on [-w, w]: h(Y) = w and h(noise) = log 2w."""
    truth = width - np.log(2 * width)
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        x = rng.random(N)
        _, found = limit_of(seed, x, x + rng.uniform(-width, width, N))
        errors.append(found.mean - truth)
    assert abs(np.mean(errors)) < 3 * np.std(errors, ddof=1) / seeds**0.5 + 0.5 / N**0.5


def test_a_function_with_noise_is_told_with_the_noise_on_either_side():
    rng = np.random.default_rng(3)
    x = rng.random(N)
    y = np.sin(2 * x) + rng.uniform(-0.1, 0.1, N)
    _, one = limit_of(0, x, y)
    _, other = limit_of(0, y, x)
    assert one.mean == pytest.approx(other.mean, abs=0.01) and one.mean > 1.0


def test_ties_have_no_limit():
    x = np.random.default_rng(4).standard_normal(N)
    assert limit_of(0, np.round(x), x)[1] is None


@pytest.mark.slow
def test_long_tails_are_told():
    """Noise with an edge and a tail, beside the exact pointwise information; and no relation."""
    law = channel(1, lambda x: x[:, 0], lambda t: t, 1.0, EXPONENTIAL)
    errors = []
    for seed in range(6):
        u = np.random.default_rng(seed).random((N, 2))
        x, y = law.transform(u)
        _, found = limit_of(seed, x[:, 0], y[:, 0])
        errors.append(found.mean - law.pointwise(x, y).mean())
        x, y = np.random.default_rng(seed).standard_cauchy((2, N))
        assert limit_of(seed, x, y)[1].mean < 0.02
    assert -0.02 < np.mean(errors) < 2 * np.std(errors) / 6**0.5


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_gaussian_pairs_are_not_raised(correlation):
    raised = 0
    gaps = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, noise = rng.standard_normal((2, N))
        y = correlation * x + (1 - correlation**2) ** 0.5 * noise
        rows, found = limit_of(seed, x, y)
        scores = [gaussian.normal_scores(rng, one[:, None])[rows] for one in (x, y)]
        part = halved_pair.information(Pair(*scores), regression.linear)
        before = information_of(part, rows)
        raised += additive_noise.raise_to(before, found, None).is_by_noise
        gaps.append(found.mean - part.mean)
    assert raised <= 1
    # The larger of both sides is too large by about half of its scatter.
    assert 0 < np.mean(gaps) < 2 * np.std(gaps)


def information_of(part, rows):
    """An estimate in which networks found nothing, and doubt .05."""
    zeros = np.zeros(rows.size)
    edges = np.array([-7.0, 0.0, 10.0])
    nothing = Divergence(0.0, 0.05, *[zeros] * 4, *[np.zeros(2)] * 2, edges, 0.0, 0.0, 0)
    return assemble(part, rows, 1, nothing, None)


def test_the_error_of_a_raised_estimate_holds_half_of_what_it_gained():
    rng = np.random.default_rng(5)
    share = 0.5 + 0.4 * rng.standard_normal(N)
    rows = np.arange(N).reshape(2, -1)
    before = information_of(GaussianPart(0.5, share), rows)
    least = Limit(0.6, share + 0.1 * (1 + rng.standard_normal(N)), 0.01)
    after = additive_noise.raise_to(before, least, None)
    examples = np.std(least.pointwise, ddof=1) / N**0.5
    stderr = np.linalg.norm([examples, 0.01, 0.05])
    np.testing.assert_allclose(after.estimate, Estimate(0.6, stderr), rtol=1e-3)
    assert np.sum(np.square(list(after.errors.values()))) == pytest.approx(stderr**2, rel=1e-3)
    assert after.errors["networks"] == 0.0
    (note,) = remarks.of_resolution(after, [["x"], ["y"]])
    assert "the entropy of this noise" in note
    lower = additive_noise.raise_to(before, least._replace(mean=0.51), None)
    assert lower is before


def test_waves_within_two_narrow_heaps_are_no_traceback():
    """Cosines over two narrow parts of the line are linear functions of each other."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(N) < 0.5, -1, 1) + 0.003 * rng.standard_normal(N)
    place = np.argsort(np.argsort(y)) / N
    _, found = limit_of(0, np.sin(20 * place) + 0.1 * rng.standard_normal(N), y)
    assert found is None or found.mean < 3.0
