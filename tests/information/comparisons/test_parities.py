"""Parities of bits and of signs: found where they tell, limits that hold, and none by chance."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.information.comparisons import parities
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import resolution

N = 2500
PLACES = (1, 4, 7, 10)


def bits(rng, n=N, dim=12, share=0.5):
    return (rng.random((n, dim)) < share).astype(float)


@pytest.mark.parametrize("share", [0.5, 0.35])
def test_the_parity_of_four_of_twelve_bits(share):
    """Also where the bits are not balanced, so that a median by rank would divide one value."""
    truth = np.log(2) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = bits(rng, share=share)
        label = (x[:, PLACES].sum(axis=1) % 2).astype(int) ^ (rng.random(N) < 0.1)
        columns, limit = parities.of_labels(x, label)
        assert columns == PLACES
        assert abs(limit.mean - truth) < NUM_SIGMAS * limit.stderr < 0.1
        compared = resolution.of_labels(gaussian.by_rank(x, rng), label, x)
        assert compared.sets[0].columns == (PLACES, (0,))


def test_the_signs_of_five_columns_tell_of_numbers():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 9))
    y = np.prod(np.sign(x[:, :5]), axis=1) + rng.normal(size=N)
    scores = gaussian.by_rank(y[:, None])
    columns, target, limit = parities.of_target(x, scores, 4)
    assert columns == tuple(range(5)) and target == 0
    z = np.linspace(-9, 9, 4001)
    density = np.mean(np.exp(-((z - [[1], [-1]]) ** 2) / 2), axis=0) / np.sqrt(2 * np.pi)
    truth = -np.trapezoid(density * np.log(density), z) - 0.5 * np.log(2 * np.pi * np.e)
    assert 0.8 * truth < limit.mean < truth + NUM_SIGMAS * limit.stderr
    sets = resolution.sets_of(gaussian.by_rank(x), scores)
    assert ((0, 1, 2, 3, 4), (0,)) in [one.columns for one in sets]


def test_where_single_columns_tell_there_is_no_parity():
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, N)
    x = rng.normal(size=(N, 6)) + 1.5 * label[:, None]
    assert parities.of_labels(x, label) is None


def test_two_columns_of_which_balanced_labels_show_exactly_nothing():
    x = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (100, 1))
    assert parities.of_labels(x, np.arange(400) // 4 % 2) is None


def test_a_label_without_rows_in_the_first_half_hides_no_parity():
    rng = np.random.default_rng(4)
    x = bits(rng)
    label = (1 + x[:, PLACES].sum(axis=1) % 2).astype(int)
    label[-10:] = 0
    columns, limit = parities.of_labels(x, label)
    assert columns == PLACES and limit.mean > 0.5


def test_few_parities_are_found_by_chance():
    counts = [0, 0]
    for seed in range(100):
        rng = np.random.default_rng((3, seed))
        x = bits(rng, 400, 10) if seed % 2 else rng.normal(size=(400, 10))
        label = rng.integers(0, 3, 400)
        y = gaussian.by_rank(rng.normal(size=(400, 2)))
        limits = [found and found[-1] for found in (parities.of_labels(x, label),)]
        limits.append((found := parities.of_target(x, y, 4)) and found[-1])
        for place, limit in enumerate(limits):
            counts[place] += bool(limit and limit.mean > resolution.GAINED * limit.stderr)
    assert max(counts) <= 2, "of 100"
