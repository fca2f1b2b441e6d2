"""Information of codes given codes, from tables: closed forms, sparse tables, dependent rows."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.errors import InputError
from diffenc.information.clusters import Clusters
from diffenc.information.codes.conditional_table import conditional_table_information

SETS = 40


def chain(rng, n):
    """X and Y by one Z each, and nothing else."""
    z = rng.integers(0, 6, n)
    x = (z + rng.integers(0, 3, n)) % 5
    y = (2 * z + rng.integers(0, 4, n)) % 7
    return x, y, z


def half(rng, n):
    """Where z is below 3, y is x with probability 0.7."""
    x, z = rng.integers(0, 6, (2, n))
    y = np.where((z < 3) & (rng.random(n) < 0.7), x, rng.integers(0, 6, n))
    return x, y, z


SAME = 0.7 + 0.3 / 6
HALF = 0.5 * (np.log(6) + SAME * np.log(SAME) + 0.25 * np.log(0.05))


@pytest.mark.parametrize(
    "law, truth, n",
    [
        (chain, 0.0, 300),
        pytest.param(chain, 0.0, 2000, marks=pytest.mark.slow),
        pytest.param(half, HALF, 300, marks=pytest.mark.slow),
        (half, HALF, 2000),
    ],
)
def test_closed_forms(law, truth, n):
    errors = []
    stderrs = []
    for seed in range(SETS):
        rng = np.random.default_rng((seed, n))
        estimate = conditional_table_information(rng, *law(rng, n)).estimate
        errors.append(estimate.mean - truth)
        stderrs.append(estimate.stderr)
    errors = np.array(errors)
    assert np.mean(np.abs(errors) < 2 * np.array(stderrs)) >= 0.85, "of 40; 0.95 is expected"
    assert np.mean(stderrs) < 3 * errors.std(ddof=1)
    bias = abs(errors.mean()) - NUM_SIGMAS * errors.std(ddof=1) / SETS**0.5
    assert bias < np.mean(stderrs), "what is left of the bias is in the error"


def test_tables_that_tell_nothing_are_doubted_or_refused():
    rng = np.random.default_rng(1)
    z = np.concatenate([np.zeros(500, int), np.repeat(np.arange(1, 51), 4)])
    x, y = rng.integers(0, 3, (2, 700))
    sparse = conditional_table_information(rng, x, y, z)
    assert abs(sparse.estimate.mean) < 2 * sparse.estimate.stderr
    of_500 = conditional_table_information(rng, x[:500], y[:500], z[:500])
    assert sparse.systematic > 5 * of_500.systematic
    with pytest.raises(InputError, match="given has 350 codes, and most have too few rows"):
        conditional_table_information(rng, x, y, np.arange(700) // 2)
    same = conditional_table_information(rng, np.where(z > 0, 1, x), y, z)
    assert same.estimate.stderr < 0.02, "a constant x tells nothing, for certain"


@pytest.mark.parametrize("size", range(4, 40))
def test_what_is_constant_given_any_code_tells_nothing(size):
    """Whatever the rounding of the entropy of so many equal values, no table is too sparse."""
    z = np.repeat(np.arange(10), size)
    x = z % 3
    y = np.arange(len(z)) % 2
    table = conditional_table_information(np.random.default_rng(0), x, y, z)
    assert table.estimate == (0.0, 0.0)


def test_rows_that_depend_on_each_other_have_a_larger_error():
    rng = np.random.default_rng(2)
    x, y, z = (np.repeat(one, 10) for one in half(rng, 200))
    clusters = Clusters(np.repeat(np.arange(200), 10), 10.0)
    alone = conditional_table_information(rng, x, y, z).estimate
    estimate = conditional_table_information(rng, x, y, z, clusters).estimate
    assert abs(estimate.mean - HALF) < NUM_SIGMAS * estimate.stderr
    assert estimate.stderr > 2 * alone.stderr
