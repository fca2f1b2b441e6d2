"""Angles of x that follow those of y are told as by the exact law."""

import jax
import numpy as np
import pytest

from diffenc.estimate import Estimate
from diffenc.information.benchmark import pairs
from diffenc.information.benchmark.laws import VonMises
from diffenc.information.benchmark.pairs import GaussianPair, Mapped, Product, sparse
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import angles, pair_information
from diffenc.information.quantities import measures
from diffenc.information.regressions import halved_pair
from diffenc.information.training.halves import split

ERRORS = 3.0
N = 2000


def torus(x):
    tube = np.exp(0.1 * x[:, 2])
    length = 3 + tube * np.cos(x[:, 1])
    ring = length * np.cos(x[:, 0]), length * np.sin(x[:, 0])
    return np.stack([*ring, tube * np.sin(x[:, 1])], axis=1)


def circle_beside(x):
    length = np.exp(0.2 * x[:, 1])
    ring = length * np.cos(x[:, 0]), length * np.sin(x[:, 0])
    return np.stack([*ring, x[:, 2]], axis=1)


def tori(first, second):
    free = GaussianPair(np.eye(2), 1)
    return Mapped(Product((VonMises(first), VonMises(second), free)), torus, torus)


TORI = tori(2.5, 1.5)
BESIDE = Mapped(
    Product((VonMises(3.0), GaussianPair(np.eye(2), 1), sparse(1, 1, 0.7, 1))),
    circle_beside,
    circle_beside,
)


def plain_pair(x, y):
    rows = split(jax.random.key(0), len(x))
    rng = np.random.default_rng(0)
    blocks = [gaussian.block_scores(rng, block)[rows] for block in (x, y)]
    return halved_pair.orient(halved_pair.Pair(*blocks))


def candidates(x, y):
    rows = split(jax.random.key(0), len(x))
    return angles.candidates(x, y, plain_pair(x, y), rows, None)


def chosen(x, y):
    return angles.choose(plain_pair(x, y), candidates(x, y), ERRORS)


@pytest.mark.parametrize("law", [pytest.param(TORI, marks=pytest.mark.slow), BESIDE])
def test_angles_are_told_as_by_the_exact_law(law):
    gaps = []
    for seed in range(6):
        key = jax.random.key(seed)
        pair, features = chosen(*law.sample(key, N))
        part, _, _ = pair_information.choose_features(pair, features, ERRORS)
        gaps.append(part.mean - pairs.oracle(law, key, N).mean())
        assert pair.turned and not pair.can_be_exchanged
    gap = Estimate.of(np.array(gaps))
    # What is added for the directions of the other half is right to first order.
    tolerance = np.hypot(ERRORS * gap.stderr, pair.optimism / 2)
    assert abs(gap.mean) < tolerance and gap.stderr < 0.01


def test_independent_blocks_are_not_turned():
    x, y = TORI.sample(jax.random.key(0), N)
    pair, features = chosen(x, np.random.default_rng(0).permutation(y))
    assert pair.turned is None
    part, _, _ = pair_information.choose_features(pair, features, ERRORS)
    assert abs(part.mean) < ERRORS * part.estimate.stderr


def test_a_linear_relation_of_blocks_with_a_hollow_stays_in_scores():
    rng = np.random.default_rng(0)
    signs = rng.choice([-2.0, 2.0], (N, 2))
    x = signs + rng.standard_normal((N, 2))
    y = x + 2.0 * rng.standard_normal((N, 2))
    assert candidates(x, y) and chosen(x, y) is None


def test_directions_are_those_of_the_other_half():
    """A half is evaluated as if its own relation to y were not known."""
    x, y = TORI.sample(jax.random.key(0), N)
    rows = split(jax.random.key(0), N)
    shuffled = y.copy()
    shuffled[rows[1]] = np.random.default_rng(0).permutation(y[rows[1]])
    for other, is_gained in ((y, True), (shuffled, False)):
        for pair in candidates(x, other):
            if pair.turned:
                assert np.all((pair.turned.gain.mean(axis=1) > 0.3) == is_gained)


def test_a_cosine_and_a_sine_are_one_coordinate():
    """As many coordinates can be determined as the blocks have, whichever has the angle."""
    rng = np.random.default_rng(0)
    x, y = BESIDE.sample(jax.random.key(0), N)
    angle = np.arctan2(x[:, 1], x[:, 0]) + 1e-3 * rng.standard_normal(N)
    length = np.exp(0.1 * rng.standard_normal(N))
    ring = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edges = np.linspace(3.5, 8.0, 10)
    for blocks in ((x, ring), (ring, x)):
        pairs_of_both = candidates(*blocks)
        assert len(pairs_of_both) == 6
        assert all(pair.least_dim == 2 for pair in pairs_of_both)
        assert not any(pair.can_be_exchanged for pair in pairs_of_both if pair.surplus)
        pair, features = chosen(*blocks)
        # Spread over three coordinates it would be below the limit of `still_grows`.
        assert pair_information.density(pair, edges, features).mean() > 0.2 * pair.least_dim


@pytest.mark.slow
def test_tori_are_estimated_surely():
    x, y = TORI.sample(jax.random.key(1), N)
    estimate = measures.mutual_information(jax.random.key(2), x, y).estimate
    assert abs(estimate.mean - TORI.information) < ERRORS * estimate.stderr
    assert estimate.stderr < 0.06
