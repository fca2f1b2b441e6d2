"""Columns of few values as a condition: equal values have equal scores."""

import numpy as np
import pytest

import diffenc
from diffenc.information.coordinates import gaussian
from diffenc.information.regressions import additive, atoms, halved_pair, regression
from diffenc.information.regressions.halved_pair import Pair

N = 1000


def pair_of(x, y, seed=0):
    """The pair of one column x that is diffused, and columns y of few values."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(N).reshape(2, -1)
    scores = [gaussian.by_rank(one.reshape(N, -1), rng)[rows] for one in (x, y)]
    plain = Pair(*scores)
    return plain, atoms.with_atoms(plain, y, rows)


def test_a_sum_of_bits_is_a_linear_function_of_them():
    """Of scores with ties at random a regression finds less than half."""
    rng = np.random.default_rng(3)
    bits = (rng.random((N, 7)) < 0.4).astype(float)
    y = bits.sum(axis=1) + 0.7 * rng.normal(size=N)
    plain, with_atoms = pair_of(y, bits)
    assert with_atoms.has_atoms and not plain.has_atoms
    without, found = (
        halved_pair.information(one, regression.linear) for one in (plain, with_atoms)
    )
    z = 0.5 * np.log(1 + 7 * 0.24 / 0.49)  # of normal sums of this variance
    assert found.mean == pytest.approx(z, abs=0.08) and without.mean < 0.6 * z
    assert halved_pair.better(plain, with_atoms, 2.0) is with_atoms


def test_a_block_with_atoms_is_not_diffused():
    rng = np.random.default_rng(4)
    counts = rng.poisson(2, (N, 3)).astype(float)
    y = np.log1p(counts.sum(axis=1)) + 0.2 * rng.normal(size=N)
    _, pair = pair_of(y, counts)
    assert halved_pair.orient(pair) is pair
    with pytest.raises(AssertionError, match="no density to be diffused"):
        pair.exchange()
    chosen, _ = additive.choose(pair, pair, regression.polar, 2.0)
    assert chosen.is_exchanged == pair.is_exchanged and chosen.has_atoms
    # Cosines of few values are linear functions of each other.
    counts = additive.select(pair, regression.polar, 0.0)
    for column, terms in counts.items():
        assert terms <= len(np.unique(pair.y[..., column])) / 2


def test_values_that_leave_no_length_keep_their_ties_at_random():
    rng = np.random.default_rng(5)
    bit = np.tile([0.0, 1.0], N // 2)
    other = np.repeat([0.0, 1.0], N // 2)
    plain, pair = pair_of(bit + rng.normal(size=N), np.stack([bit, other], axis=1))
    assert pair is plain, "white bits are all of one length"
    numbers = rng.normal(size=(N, 2))
    plain, pair = pair_of(rng.normal(size=N), numbers)
    assert pair is plain, "there are no ties"


def test_a_limit_of_detection_stays_the_condition(without_networks):
    """Two single columns, of which the one at its limit would be diffused for its information."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=1500)
    y = 0.8 * x + 0.6 * rng.normal(size=1500)
    limited = np.maximum(x, -0.5)
    estimate = diffenc.mutual_information(limited, y)
    assert estimate.mean < -0.5 * np.log(1 - 0.8**2), "it cannot tell more than x itself"
