"""Rows that lie in clumps: noisy copies, and not sharp, discrete or many-dimensional laws."""

import jax
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.information.benchmark import beyond, tasks
from diffenc.information.clusters import Clusters
from diffenc.information.quantities import measures
from diffenc.information.samples.clumps import clump_size


def copies(rng, rows, times, dim, noise):
    """Rows and noisy copies of them, in random order."""
    place = rng.permutation(np.repeat(np.arange(rows), times))
    return rng.normal(size=(rows, dim))[place] + noise * rng.normal(size=(rows * times, dim))


@pytest.mark.parametrize(
    "rows, times, dim, noise",
    [
        (50, 5, 3, 0.02),
        (150, 8, 3, 0.02),
        (300, 4, 4, 0.1),
        (600, 2, 5, 0.1),
        (100, 12, 6, 0.1),
        (400, 3, 25, 0.2),
    ],
)
def test_noisy_copies_are_seen(rows, times, dim, noise):
    for seed in range(5):
        table = copies(np.random.default_rng(seed), rows, times, dim, noise)
        size = clump_size(table[:, :-1], np.exp(table[:, -1]))
        assert size is not None and times / 2 <= size <= 2 * times


def test_jittered_copies_of_a_rare_class_are_seen():
    rng = np.random.default_rng(0)
    table = np.concatenate([rng.normal(size=(1500, 4)), copies(rng, 80, 12, 4, 0.05)])
    assert clump_size(rng.permutation(table)) is not None


def test_noisy_copies_are_no_function():
    rng = np.random.default_rng(1)
    place = rng.permutation(np.repeat(np.arange(150), 8))
    rows = rng.normal(size=(150, 3))[place] + 0.02 * rng.normal(size=(1200, 3))
    with pytest.raises(InputError, match="rows lie in clumps of up to 8, .*groups=.*; as they are"):
        measures._check_no_function(rows[:, :2], rows[:, 2:], None)
    measures._check_no_function(rows[:, :2], rows[:, 2:], Clusters(place, 8.0))
    rows[:, 2] = rows[:, 0] ** 2
    for clusters in (None, Clusters(place, 8.0)):
        with pytest.raises(InputError, match="column 0 is a"):
            measures._check_no_function(rows[:, :2], rows[:, 2:], clusters)


def laws(rng, n):
    x = rng.normal(size=(n, 3))
    is_zero = rng.random(n) < 0.4
    return {
        "independent": x,
        "many": rng.standard_cauchy(size=(n, 30)),
        "sharp": (x[:, 0], x[:, 0] + 1e-3 * x[:, 1]),
        "wave": (x[:, 0], np.sin(60 * x[:, 0]) + 0.05 * x[:, 1]),
        "zeros": (np.where(is_zero, 0, x[:, 0]), x[:, 0] + x[:, 1]),
        "rounded": x.round(1),
        "answers": rng.integers(0, 5, (n, 6)),
        "part": (x, np.where(is_zero, x[:, 0] + 1e-3 * x[:, 1], x[:, 2])),
        "low rank": x[:, :2] @ rng.normal(size=(2, 20)) + 0.01 * rng.normal(size=(n, 20)),
        "pieces": rng.integers(0, 12, (n, 1)) + 0.02 * x,
    }


@pytest.mark.parametrize("n", [250, 600, 2000])
def test_other_laws_have_no_clumps(n):
    for seed in range(3):
        for name, blocks in laws(np.random.default_rng((seed, n)), n).items():
            blocks = blocks if isinstance(blocks, tuple) else (blocks,)
            assert clump_size(*blocks) is None, name


def test_laws_with_a_known_information_have_no_clumps():
    every = tasks.benchmark() | beyond.beyond()
    for name in ("pieces_12_2x2", "board_10_1x1", "spiral_3x3", "student_3x3_dof2", "dense_25x25"):
        assert clump_size(*every[name].sample(jax.random.key(0), 2000)) is None
