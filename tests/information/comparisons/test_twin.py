"""A mixture and its twin: laws of known information, and estimates that are weighed with it."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from diffenc.estimate import Estimate
from diffenc.information.benchmark.laws import gaussian_mixture
from diffenc.information.comparisons import twin
from diffenc.information.comparisons.twin import Twin
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation import twin_weight
from diffenc.information.estimation.assembly import assemble
from diffenc.information.results import remarks
from diffenc.information.training.divergence import Divergence

N = 2_000


def signs():
    """Two columns of x follow those of y up to a common sign, which nothing tells."""
    covs = np.eye(4)[None].repeat(2, axis=0)
    for one, sign in zip(covs, (0.9, -0.9), strict=True):
        one[0, 2] = one[2, 0] = sign
        one[1, 3] = one[3, 1] = -sign
    return gaussian_mixture([0.5, 0.5], np.zeros((2, 4)), covs, 2)


def draw(law, seed, n=N):
    return law.transform(np.random.default_rng(seed).uniform(size=(n, law.uniforms)))


@pytest.fixture(scope="module")
def of_signs():
    x, y = draw(signs(), 0)
    return x, y, twin.estimate(np.random.default_rng(0), x, y)


def test_a_mixture_has_its_information(of_signs):
    """Against the exact pointwise information of the same rows."""
    x, y, result = of_signs
    oracle = signs().pointwise(x, y).mean()
    assert abs(result.mean - oracle) < 2 * result.systematic
    assert result.components == 2 and abs(result.by_mixture - oracle) < 0.02
    assert abs(result.misfit.mean) < 3 * result.misfit.stderr
    assert twin.threshold(N) < result.systematic < 0.12
    assert abs(result.by_neighbours - oracle) < 0.06  # neighbours alone miss 0.1


def test_independent_blocks_have_none():
    for seed, (dim_x, dim_y) in enumerate([(1, 1), (2, 2), (3, 2)]):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((1_000, dim_x))
        result = twin.estimate(rng, x, np.exp(rng.standard_normal((1_000, dim_y))))
        assert abs(result.mean) < 0.02 and abs(result.mean) < 2 * result.systematic


def test_what_a_mixture_does_not_fit_is_in_the_error():
    """Edges in several columns, which neither mixtures nor neighbours of so many rows see."""
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(N, 2))
    y = x + rng.uniform(-0.1, 0.1, size=(N, 2))
    # y = x + noise of width w has the information w / 4 - log w for w = 0.2.
    truth = 2 * (0.1 - np.log(0.2))
    result = twin.estimate(rng, x, y)
    assert truth - result.mean > 0.1  # it is missed
    assert truth - result.mean < 2.5 * result.systematic


def test_rows_of_equal_values_leave_the_error_a_number():
    """28 of 3,000 pairs were filled in with 0: no mixture has such a law."""
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, 3_000, 1))
    y = 0.8 * x + 0.6 * noise
    x[:28] = 0
    y[:28] = 0
    order = rng.permutation(len(x))
    result = twin.estimate(rng, x[order], y[order])
    assert 0.1 < result.systematic < 10 and np.isfinite(result.mean)


def test_neighbours_of_more_rows_are_as_far_away():
    rows = np.random.default_rng(0).standard_normal((10_000, 2))

    def distance(count):
        near = cKDTree(rows[:count]).query(rows[:count], k=twin.num_neighbours(count) + 1)[0]
        return np.median(near[:, -1])

    assert distance(10_000) == pytest.approx(distance(5_000), rel=0.02)
    assert twin.num_neighbours(500) == twin.num_neighbours(5_000) < twin.num_neighbours(7_000)
    assert twin.num_neighbours(2 * twin.ROWS) == twin.num_neighbours(twin.ROWS)


def estimate_of(mean, systematic, examples=0.01):
    """An estimate by networks with this systematic error."""
    share = mean + examples * np.sqrt(N) * np.resize([-1.0, 1.0], N)
    zeros = np.zeros(N)
    edges = np.array([-7.0, 0.0, 10.0])
    found = Divergence(0.0, systematic, *[zeros] * 4, *[np.zeros(2)] * 2, edges, 0.0, 0.0, 150)
    return assemble(GaussianPart(mean, share), np.arange(N).reshape(2, -1), 1, found, None)


def test_estimates_are_weighed_by_systematic_errors(of_signs, monkeypatch):
    x, y, _ = of_signs
    other = Twin(1.0, 0.06, 1.0, 1.0, Estimate(0.0, 0.01), 2)
    monkeypatch.setattr(twin, "estimate", lambda *_: other)
    before = estimate_of(1.1, 0.12)
    after = twin_weight.weigh(before, x, y, np.random.default_rng(0))
    assert after.twin_weight == pytest.approx(0.8)
    assert after.estimate.mean == pytest.approx(1.1 - 0.8 * 0.1)
    assert after.pointwise.mean() == pytest.approx(after.estimate.mean)
    expected = np.hypot(0.2 * 0.12, 0.8 * 0.06)
    assert after.systematic == pytest.approx(expected, rel=1e-3)
    assert after.estimate.stderr == pytest.approx(np.hypot(expected, 0.01), rel=1e-3)
    squares = np.sum(np.square(list(after.errors.values())))
    assert squares == pytest.approx(after.estimate.stderr**2, rel=1e-6)
    (note,) = remarks.of_resolution(after, [["a", "b"], ["c", "d"]])
    assert "weighs 0.8 of the estimate" in note


def test_estimates_stay_where_a_twin_cannot_help(of_signs, monkeypatch):
    x, y, _ = of_signs
    rng = np.random.default_rng(0)
    contradicted = estimate_of(1.5, 0.12)
    surer = estimate_of(1.1, 0.1)
    other = Twin(1.0, 0.11, 1.0, 1.0, Estimate(0.0, 0.01), 2)
    monkeypatch.setattr(twin, "estimate", lambda *_: other)
    for before in (contradicted, surer):
        assert twin_weight.weigh(before, x, y, rng) is before

    def never(*_):
        raise AssertionError("a twin was made")

    monkeypatch.setattr(twin, "estimate", never)
    sure = estimate_of(1.1, 0.9 * twin.threshold(N))
    assert twin_weight.weigh(sure, x, y, rng) is sure
    many = np.random.default_rng(1).standard_normal((N, 8))
    assert twin_weight.weigh(contradicted, many, y, rng) is contradicted
