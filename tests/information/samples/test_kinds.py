"""What columns are taken for, without an estimate: both blocks are treated alike."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.codes.labels import pool
from diffenc.information.results import remarks
from diffenc.information.samples import columns, inputs, kinds

N = 1000
RNG = np.random.default_rng(0)
Z = RNG.normal(size=N)
BITS = RNG.integers(0, 2, size=N)
FIVE = RNG.integers(0, 5, size=N)
MANY = RNG.integers(0, 60, size=N)
PLACES = RNG.permutation(60)[MANY] + 0.1 * Z  # by code, in another order
COUNTS = RNG.poisson(30 + 3 * Z.clip(-3, 3))
LIKERT = RNG.integers(1, 8, size=(N, 10))
NAMES = np.array(["oak", "ash", "elm", "fir", "yew"])[FIVE]
TREES = pd.DataFrame({"height": Z + 3 * (FIVE == 2), "tree": NAMES, "age": RNG.gamma(2.0, size=N)})
SEXES = pd.DataFrame({"height": Z, "sex": np.where(BITS, "f", "m")})


def decide(x, y, labels=None, codes=(), amounts=()):
    blocks = [inputs.read(name, one, may_be_names=True) for name, one in (("x", x), ("y", y))]
    return kinds.decide(*blocks, columns.read_words(labels, codes, amounts))


@pytest.mark.parametrize(
    "one, other, case",
    [
        (Z, FIVE, "labels"),
        (Z, FIVE * 1.0, "labels"),
        (Z, NAMES, "labels"),
        (Z, BITS == 1, "labels"),
        (Z, np.eye(5)[FIVE], "labels"),
        (Z, np.round(2 * Z) / 2, "labels"),  # whatever its few values are
        (PLACES, MANY, "labels"),
        (MANY + 3 * Z, MANY, "numbers"),  # its order tells more
        (Z, COUNTS, "numbers"),
        (Z, LIKERT, "numbers"),  # too many combinations
        (Z, np.arange(N), "numbers"),
        (BITS, BITS[::-1], "table"),
        (FIVE, NAMES, "table"),
        (COUNTS % 30, MANY, "numbers"),  # more cells than rows
        (np.stack([BITS, FIVE], axis=1), MANY % 7, "table"),
        (Z, TREES, "mixed"),
        (3 * BITS + Z, SEXES, "mixed"),
        (Z[::-1], SEXES, "numbers"),  # its codes tell nothing
        (BITS[::-1], SEXES, "labels"),
        (FIVE, LIKERT, "labels"),
    ],
)
def test_x_and_y_are_taken_alike(one, other, case):
    pair = decide(one, other)
    swapped = decide(other, one)
    assert pair.case == swapped.case == case
    if case in ("labels", "mixed"):
        assert pair.is_exchanged != swapped.is_exchanged
        np.testing.assert_array_equal(pair.x.values, swapped.x.values)
        np.testing.assert_array_equal(pair.y.values, swapped.y.values)
    if case == "numbers" and isinstance(one, np.ndarray):
        assert pair.x.values is one  # not even copied


def test_a_column_that_is_called_x_or_y_is_no_block():
    table = pd.DataFrame({"x": Z, "y": Z**2 + RNG.normal(size=N), "tree": NAMES})
    numbers = table[["x", "y"]]
    pair = decide(numbers, table["tree"], labels=True)
    assert pair.case == "labels" and not pair.is_exchanged
    np.testing.assert_array_equal(pair.x.values, numbers)
    swapped = decide(table["y"].round(), table["x"], codes=("x[0]",))
    assert swapped.case == "labels" and swapped.is_exchanged
    for x, y, name, place in (
        (numbers, table["tree"], "y", "x[1]"),
        (table["y"], table["x"], "x", "y[0]"),
    ):
        words = f"'{name}', which is a column of {place[0]}, too: say {place}"
        with pytest.raises(InputError, match=re.escape(words)):
            decide(x, y, codes=(name,))


def test_the_caller_can_say_otherwise_and_a_note_says_how():
    (note,) = decide(PLACES, MANY).notes
    assert "60 different whole numbers in 1000 rows are taken as codes" in note
    assert "labels=False" in note and decide(PLACES, MANY, labels=False).case == "numbers"
    assert not decide(PLACES, MANY, labels=False).notes
    (note,) = decide(MANY + 3 * Z, MANY).notes
    assert "are taken as amounts; if they are codes, say labels=True" in note
    assert decide(MANY + 3 * Z, MANY, labels=True).case == "labels"
    (note,) = decide(MANY, PLACES).notes
    assert "amounts='x'" in note and decide(MANY, PLACES, amounts="x").case == "numbers"
    table = np.stack([Z, MANY], axis=1)
    (note,) = decide(table, Z[::-1]).notes
    assert "codes='x[1]'" in note and decide(table, Z[::-1], codes=["x[1]"]).case == "mixed"
    named = pd.DataFrame(table, columns=["height", "town"])
    (note,) = decide(named, Z[::-1]).notes
    assert "codes='town'" in note and decide(named, Z[::-1], codes="town").case == "mixed"
    (note,) = decide(Z, LIKERT).notes
    assert "as in 9 more columns" in note
    assert "row numbers" in decide(Z, RNG.permutation(N)).notes[0]
    assert not decide(BITS, NAMES).notes and not decide(Z, Z[::-1]).notes


def test_mixed_blocks_are_split_by_columns():
    pair = decide(TREES, Z[::-1])
    assert pair.is_exchanged and pair.y.columns == ["x column 'height'", "x column 'age'"]
    np.testing.assert_array_equal(pair.y.values, TREES[["height", "age"]])
    assert pair.indicators.shape == (N, 4) and set(pair.indicators.sum(axis=1)) == {0.0, 1.0}
    pair = decide(TREES, FIVE)
    assert pair.case == "chain" and not pair.is_exchanged and decide(FIVE, TREES).is_exchanged
    np.testing.assert_array_equal(pair.codes, np.unique(NAMES, return_inverse=True)[1])
    np.testing.assert_array_equal(pair.x.values, TREES[["height", "age"]])
    with pytest.raises(InputError, match="x and y both hold codes of three or more values"):
        decide(TREES, TREES)
    with pytest.raises(InputError, match="the codes of x have .* combinations in 1000 rows"):
        decide(pd.DataFrame(LIKERT.astype(str)).replace("7", "x"), Z, codes="x")


def test_a_condition_leaves_numbers_or_one_block_of_codes():
    def given(x, y):
        blocks = [inputs.read(name, one, may_be_names=True) for name, one in (("x", x), ("y", y))]
        return kinds.decide_given(*blocks, columns.read_words(None, (), ()))

    assert given(Z, Z[::-1]).case == "numbers"
    assert given(Z, FIVE).case == given(NAMES, Z).case == "labels"
    assert given(NAMES, Z).is_exchanged and not given(Z, FIVE).is_exchanged
    assert given(FIVE, NAMES).case == "labels"  # one of them as numbers
    with pytest.raises(InputError, match="is of numbers and of one block of codes"):
        given(NAMES, NAMES)


def test_rare_labels_are_pooled_and_what_that_may_lose_is_in_the_error():
    counts = np.array([7, 36, 131, 820, 6, 1])
    labels = pool(np.repeat(np.arange(6), counts))
    assert labels.count == 3 and np.bincount(labels.pooled).tolist() == [14, 36, 131, 820]
    share = counts / counts.sum()
    assert labels.entropy == pytest.approx(-np.sum(share * np.log(share)))
    rare = counts[[0, 4, 5]] / 14
    assert labels.loss == pytest.approx(-14 / 1001 * np.sum(rare * np.log(rare)))
    # A function of x has all of the entropy, and an independent x none of it.
    assert labels.restore(labels.entropy - labels.loss) == pytest.approx(labels.loss)
    assert labels.restore(0.0) == labels.restore(-0.1) == 0.0
    few = np.repeat([0, 1], [5, 995])
    assert pool(few).count == 0 and pool(few).pooled is few  # refused by `checks`
    assert pool(np.repeat([0, 1, 2], [5, 12, 983])).count == 2  # five are too few for a label
    assert pool(np.arange(N) % 60).restore(1.0) == 0.0


def test_a_note_says_where_an_information_of_labels_leaves_its_limits():
    assert not remarks.limits(Estimate(0.5, 0.1), math.log(2))
    assert not remarks.limits(Estimate(-0.001, 0.006), math.log(2))
    (above,) = remarks.limits(Estimate(0.65, 0.1), math.log(2))
    assert "between 0 and their entropy, 0.6931," in above
    (below,) = remarks.limits(Estimate(-0.11, 0.05), math.log(2))
    assert remarks.BELOW in below and remarks.BEYOND not in below
    assert not remarks.limits(Estimate(-0.09, 0.05), math.log(2))


def test_a_note_of_nothing_does_not_read_like_a_finding():
    note = remarks.nothing_detected(10_000, 2, 0.01)
    assert note.endswith("10000 rows of 2 columns show what is smooth from about 0.02 nats on")
    assert "do not show that there is nothing more" in remarks.nothing_detected(2000, 51, 0.01)
