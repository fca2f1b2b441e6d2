"""Blocks of a few columns that are linear in the other block but for noise with edges."""

import numpy as np
import pytest

from diffenc.estimate import Estimate
from diffenc.information.benchmark.pairs import Product, UniformNoise
from diffenc.information.coordinates import gaussian
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation import unmixed_noise
from diffenc.information.estimation.additive_noise import Limit
from diffenc.information.estimation.assembly import assemble
from diffenc.information.training.divergence import Divergence

N = 1_000
TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])


def estimate_of(mean, systematic, n=N):
    """An estimate by networks with this systematic error."""
    share = mean + np.resize([-0.3, 0.3], n)
    zeros = np.zeros(n)
    edges = np.array([-7.0, 0.0, 10.0])
    found = Divergence(0.0, systematic, *[zeros] * 4, *[np.zeros(2)] * 2, edges, 0.0, 0.0, 150)
    return assemble(GaussianPart(mean, share), np.arange(n).reshape(2, -1), 2, found, None)


def limit_of(x, y):
    return unmixed_noise.limit(x, y, estimate_of(0.0, 0.1, len(x)))


def edges(seed, n=N):
    """y = x + uniform noise in two columns, turned."""
    rng = np.random.default_rng(seed)
    widths = np.array([0.15, 0.4])
    x = rng.random((n, 2))
    y = x + rng.uniform(-1, 1, (n, 2)) * widths
    law = Product(tuple(UniformNoise(width) for width in widths))
    return x @ TURN, y @ TURN.T, law.pointwise(x, y)


def test_edges_in_turned_columns_are_told():
    """Against the exact pointwise information of the same rows, whose edges networks blur."""
    gaps = []
    for seed in range(8):
        x, y, pointwise = edges(seed)
        limit = limit_of(x, y)
        gaps.append(limit.mean - pointwise.mean())
        assert limit.doubt < 0.06
    error = np.std(gaps, ddof=1) / 8**0.5
    # Coefficients that are not exact blur edges: a lower limit, by less than .05 nats.
    assert -0.05 < np.mean(gaps) < 2 * error
    assert error < 0.02


def test_noise_is_found_in_either_block_and_behind_a_linear_map():
    x, y, _ = edges(3)
    one = limit_of(x, y)
    other = limit_of(y, 3 * x @ np.array([[1.0, 2.0], [0.0, 1.0]]) + 1)
    assert other.mean == pytest.approx(one.mean, abs=0.03)


SIZE = 0.35


def of_waves(seed, n):
    """Draw columns of the density 1 + 2 a cos(pi u) cos(pi v) on the unit square."""
    rng = np.random.default_rng(seed)
    u = rng.random((3 * n, 2))
    heights = 1 + 2 * SIZE * np.prod(np.cos(np.pi * u), axis=1)
    return u[rng.random(len(u)) < heights / (1 + 2 * SIZE)][:n]


def test_a_dependence_is_told_with_its_size():
    wave = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    density = 1 + 2 * SIZE * wave * wave[:, None]
    truth = np.mean(density * np.log(density))
    total = unmixed_noise.dependence(of_waves(6, 4 * N))
    assert abs(total.mean - truth) < 0.25 * truth
    assert truth / 2 < total.stderr < truth


def test_what_unmixed_columns_share_is_taken_off():
    """y = x + noise, where p(y) is what the density of x has in a square about y."""
    width = 0.1
    gaps = []
    for seed in range(4):
        x = of_waves(seed, 3 * N)
        noise = np.random.default_rng([seed, 1]).uniform(-width, width, x.shape)
        y = x + noise
        high = np.minimum(y + width, 1)
        low = np.maximum(y - width, 0)
        waves = (np.sin(np.pi * high) - np.sin(np.pi * low)) / np.pi
        share = np.prod(high - low, axis=1) + 2 * SIZE * np.prod(waves, axis=1)
        limit = limit_of(x, y)
        gaps.append(limit.mean + np.mean(np.log(share)))
        assert 0.01 < limit.doubt < 0.06
    error = np.std(gaps, ddof=1) / 2
    assert abs(np.mean(gaps)) < 3 * error and error < 0.01  # .04 too high with what they share
    triangle = np.sort(x, axis=1)  # where they share more there is none
    assert limit_of(triangle, triangle + noise) is None


@pytest.mark.parametrize("dim", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_independent_columns_share_nothing(dim):
    totals = []
    for seed in range(20):
        z = np.random.default_rng([dim, seed]).random((N, dim))
        totals.append(unmixed_noise.dependence(z))
    mean = np.mean([one.mean for one in totals])
    assert mean < np.mean([one.stderr for one in totals])
    assert all(one.mean < 3 * one.stderr for one in totals) and totals[0].stderr < 0.06


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (1, 3)])
def test_independent_blocks_are_not_raised(shape):
    """Of other laws too: long tails, and columns of y that depend on each other."""
    for seed in range(6):
        rng = np.random.default_rng([*shape, seed])
        x = rng.random((N, shape[0]))
        y = [rng.random, rng.standard_exponential, rng.standard_cauchy][seed % 3]((N, shape[1]))
        if seed > 2:
            y *= np.exp(rng.standard_normal((N, 1)) / 2)
        limit = limit_of(x, y)
        assert limit is None or limit.mean < 2 * np.hypot(limit.doubt, 1.5 / N**0.5)


def test_what_has_no_limit():
    rng = np.random.default_rng(7)
    x, y, _ = edges(7)
    assert limit_of(np.round(x, 1), y) is None  # ties
    assert limit_of(rng.random((N, 5)), y) is None  # columns
    normal = rng.standard_normal((N, 4))
    assert limit_of(normal[:, :2], normal[:, :2] + normal[:, 2:]) is None
    heaps = np.repeat(x[: N // 8], 8, axis=0) + 1e-5 * rng.random((N, 2))
    assert limit_of(heaps, np.repeat(y[: N // 8], 8, axis=0) + 1e-5 * rng.random((N, 2))) is None


def test_steps_change_neither_volume_nor_mean():
    x, y, _ = edges(8)
    white = gaussian.whiten(y)
    noise = unmixed_noise.sharpen(unmixed_noise.rotate(white, [0.3]), gaussian.whiten(x))
    basis = np.concatenate([white, gaussian.whiten(x)], axis=1)
    coefficients = np.linalg.lstsq(basis, noise)[0]
    np.testing.assert_allclose(basis @ coefficients, noise, atol=1e-9)
    assert np.linalg.det(coefficients[:2]) == pytest.approx(1.0, abs=1e-9)


def test_an_estimate_is_raised_to_a_limit_that_is_larger_and_surer():
    scatter = 0.3 + 3 * np.random.default_rng(9).standard_normal(N)
    least = Limit(0.5, scatter, 0.02)
    before = estimate_of(0.3, 0.1)._replace(twin_weight=0.4, unresolved=0.01)
    after = unmixed_noise.raise_to(before, least)
    assert after.is_by_noise and after.estimate.mean == 0.5
    examples = np.std(scatter, ddof=1) / N**0.5
    assert after.estimate.stderr == pytest.approx(np.linalg.norm([examples, 0.02, 0.1]))
    squares = np.sum(np.square(list(after.errors.values())))
    assert squares == pytest.approx(after.estimate.stderr**2)
    for stays in (estimate_of(0.47, 0.1), estimate_of(0.6, 0.1), estimate_of(0.4, 0.015)):
        assert unmixed_noise.raise_to(stays, least) is stays
    assert unmixed_noise.raise_to(before, None) is before
    # A network that is too sure of itself is contradicted by examples, too.
    assert unmixed_noise.raise_to(estimate_of(0.2, 0.015), least).is_by_noise


def test_what_a_regression_of_all_columns_shows_more_stays_in_the_error():
    scatter = 0.3 + 3 * np.random.default_rng(9).standard_normal(N)
    least = Limit(0.5, scatter, 0.02)
    plain = unmixed_noise.raise_to(estimate_of(0.3, 0.1), least).estimate.stderr
    for of_all, rest in ((0.7, 0.2), (0.45, 0.0)):
        some = estimate_of(0.3, 0.1)._replace(
            columns=((0, 1), (0, 1)), by_all=Estimate(of_all, 0.01), unresolved=0.4
        )
        raised = unmixed_noise.raise_to(some, least)
        assert raised.unresolved == pytest.approx(rest)
        assert raised.estimate.stderr == pytest.approx(np.hypot(plain, rest))
        assert (raised.by_all is None) == (rest == 0)
