"""The information of a table of counts, against closed forms."""

import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.stats import poisson

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.codes.count_table import plug_in_entropy, table_information


def information(law):
    """I of a table of probabilities."""
    apart = np.outer(law.sum(axis=1), law.sum(axis=0))
    return np.sum(law * np.log(np.where(law > 0, law, 1.0) / np.where(law > 0, apart, 1.0)))


def poisson_law():
    """Eight rates, and a count of each."""
    law = poisson.pmf(np.arange(25), np.linspace(1, 9, 8)[:, None])
    return law / law.sum()


def channel(count, share):
    """A code, and the same or with some probability another."""
    return (share * np.eye(count) + (1 - share) / count) / count


LAWS = {
    "two independent bits": np.full((2, 2), 1 / 4),
    "twenty independent codes each": np.full((20, 20), 1 / 400),
    "a channel of two": channel(2, 0.7),
    "a channel of twenty": channel(20, 0.7),
    "counts of eight rates": poisson_law(),
}


def draw(rng, law, n):
    return np.divmod(rng.choice(law.size, p=law.ravel(), size=n), law.shape[1])


@pytest.mark.parametrize("name", LAWS)
def test_the_mean_of_many_tables_is_the_truth(name):
    """Thirty samples of 1,000: their errors cover the truth, and no bias is left beyond them."""
    rng = np.random.default_rng(0)
    truth = information(LAWS[name])
    results = [table_information(rng, *draw(rng, LAWS[name], 1000)) for _ in range(30)]
    off = np.array([result.estimate.mean - truth for result in results])
    stderr = np.array([result.estimate.stderr for result in results])
    assert np.all(np.abs(off) < NUM_SIGMAS * stderr)
    assert abs(off.mean()) < NUM_SIGMAS * Estimate.of(off).stderr + stderr.mean()
    assert stderr.mean() < 0.06
    if not truth:
        assert abs(off.mean()) < NUM_SIGMAS * Estimate.of(off).stderr
        # The plug-in is high by the degrees of freedom over 2N, and by more in the sparse table.
        plug_in = Estimate.of([result.plug_in for result in results])
        assert plug_in.mean > (len(LAWS[name]) - 1) ** 2 / 2000 - NUM_SIGMAS * plug_in.stderr


def test_a_function_has_the_entropy_of_its_values():
    rng = np.random.default_rng(1)
    share = 1 / np.arange(1, 13)
    share = share / share.sum()
    x = rng.choice(12, p=share, size=1000)
    result = table_information(rng, x, x // 2)
    pairs = share.reshape(6, 2).sum(axis=1)
    truth = -np.sum(pairs * np.log(pairs))
    assert abs(result.estimate.mean - truth) < NUM_SIGMAS * result.estimate.stderr
    assert result.estimate.stderr < 0.05
    assert result.plug_in == pytest.approx(plug_in_entropy(np.bincount(x // 2)))


def test_it_is_symmetric_and_knows_no_names_of_codes():
    rng = np.random.default_rng(2)
    x, y = draw(rng, LAWS["a channel of twenty"], 1000)
    one = table_information(np.random.default_rng(0), x, y)
    other = table_information(np.random.default_rng(0), y, x)
    renamed = table_information(np.random.default_rng(0), 7 * x - 3, y)
    assert renamed.estimate == one.estimate
    assert other.plug_in == pytest.approx(one.plug_in)
    assert abs(other.estimate.mean - one.estimate.mean) < 0.1 * one.estimate.stderr
    assert one.pointwise.mean() == pytest.approx(one.estimate.mean)
    assert sum(error**2 for error in one.errors.values()) ** 0.5 == pytest.approx(
        one.estimate.stderr
    )


def test_a_table_of_one_code_is_refused():
    codes = np.arange(200) % 3
    with pytest.raises(InputError, match="y is constant"):
        table_information(np.random.default_rng(0), codes, 0 * codes)


def test_a_table_of_more_codes_than_examples_is_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(InputError, match="codes in 200 rows: give more rows, or put rare codes"):
        table_information(rng, np.arange(200) % 150, rng.integers(0, 150, size=200))
