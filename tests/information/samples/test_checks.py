"""Contracts of the checks of samples: what they take besides arrays, and what they refuse."""

import jax
import numpy as np
import pandas as pd
import pytest

import diffenc
from diffenc.errors import InputError
from diffenc.information.quantities import measures
from diffenc.information.samples import checks, functions, inputs


def test_frames_and_series_of_pandas_are_taken_as_arrays():
    generator = np.random.default_rng(0)
    x = pd.DataFrame(generator.normal(size=(300, 2)), columns=["a", "b"], index=range(5, 305))
    y = pd.Series(generator.normal(size=300), name="c")
    blocks = checks.check(x, y)
    np.testing.assert_array_equal(blocks[0], x.to_numpy())
    np.testing.assert_array_equal(blocks[1], y.to_numpy()[:, None])
    x.iloc[5, 1] = np.nan
    with pytest.raises(InputError, match="x column 1 is not finite in row 5"):
        checks.check(x, y)


@pytest.mark.parametrize("labels", [None, False, True])
def test_spans_of_time_are_no_numbers(labels):
    spans = np.arange(300).astype("timedelta64[s]")  # a gap among them would be a huge number
    x = np.random.default_rng(0).normal(size=300)
    with pytest.raises(InputError, match="y has type timedelta64.s."):
        diffenc.mutual_information(x, spans, labels=labels)


X = np.random.default_rng(3).normal(size=(200, 2))


def changed(row, column, value):
    x = X.copy()
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    "x, y, words",
    [
        (X, X[:150, 0] + 1, "rows differ in number .x has 200, y has 150."),
        (X[:99], X[:99, 0], "99 rows are too few"),
        (changed(7, 1, np.nan), X[:, 0], "x column 1 is not finite in row 7"),
        (X, changed(3, 0, np.inf), "y column 0 is not finite in row 3"),
        (X, np.ones(200), "y column 0 is constant"),
        (
            np.stack([X[:, 0] * 0, X[:, 0], X[:, 1] * 0 + 3], axis=1),
            X[:, 0],
            "x column 0, x column 2 are constant: leave them out",
        ),
        (np.stack([X[:, 0], X[:, 0]], axis=1), X[:, 1], "x column 1 repeats x column 0"),
        (np.stack([X[:, 0], np.exp(X[:, 0])], axis=1), X[:, 1], "x column 1 repeats x column 0"),
        (
            np.stack([*X.T, X.sum(axis=1)], axis=1),
            X[::-1, 0],
            "x column 2 repeats the columns before it",
        ),
        (X, X[:, 1] ** 3, "y column 0 is a function of x column 1: their information is infinite"),
        (
            X,
            X.sum(axis=1),
            "y column 0 is a function of the columns before it: their information is infinite",
        ),
        (X, np.array(["a"] * 200), "give numbers"),
        (X, X[:, 0] * 1j, "y has type complex128"),
        (X, np.float64(1.0), "y has type float64 and shape ..: give numbers"),
        (X, 1e200 * X[:, 0], "y column 0 has values too large"),
        (
            X[:, 0],
            np.stack([*X.T, X.sum(axis=1)], axis=1)[::-1],
            "y column 2 repeats the columns before it",
        ),
        (
            np.random.default_rng(5).normal(size=(200, 49)),
            X[:, 0],
            "50 columns are too many for 200 rows",
        ),
    ],
)
def test_bad_samples_are_named(x, y, words):
    with pytest.raises(InputError, match=words):
        checks.check(x, y)


def refusals(draw, n, repeats=100):
    """The share of draws (x, y) that are taken for functions."""
    count = 0
    for seed in range(repeats):
        try:
            functions.check_no_function(*checks.check(*draw(np.random.default_rng(seed), n)))
        except InputError as error:
            count += "information is infinite" in str(error)
    return count / repeats


def waves(rng, n):
    x = rng.normal(size=(n, 2))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=n)


def narrow(rng, n):
    x = rng.normal(size=n)
    return x, 0.9999 * x + (1 - 0.9999**2) ** 0.5 * rng.normal(size=n)


def limited(rng, n):
    """Both are seen from 0 on; 1 and 3 beyond it differ by noise."""
    x = rng.normal(size=n)
    return np.maximum(x, 0), np.maximum(x + 0.1 * rng.normal(size=n), 0)


def doubled(rng, n):
    """A grid whose tail of single values is the same in both; information is that of the grid."""
    x = np.round(5 * rng.exponential(size=n))
    return x, 2 * x


def close(rng, n):
    """Two readings of four digits, of which some are equal."""
    x = rng.normal(size=n)
    return np.round(x, 4), np.round(x + 1e-3 * rng.normal(size=n), 4)


FINITE = {
    "limited": limited,
    "doubled": doubled,
    "independent 0/1": lambda rng, n: (rng.normal(size=n), rng.integers(0, 2, size=n)),
    "equal 0/1": lambda rng, n: (rng.integers(0, 2, size=n),) * 2,
    "sign": lambda rng, n: (lambda x: (x, np.sign(x)))(rng.normal(size=n)),
    "waves": waves,
    "narrow": narrow,
    "wave": lambda rng, n: (lambda x: (x, np.sin(3 * x) + 0.03 * rng.normal(size=n)))(
        rng.normal(size=n)
    ),
}
TAKE_LONG = ("limited", "waves", "narrow", "wave")
FUNCTIONS = {
    "linear": lambda rng, n: (lambda x: (x, 3 * x + 1))(rng.normal(size=n)),
    "linear in 2": lambda rng, n: (lambda x: (x, x @ np.array([1.0, 2.0])))(
        rng.normal(size=(n, 2))
    ),
    "sine": lambda rng, n: (lambda x: (x, np.sin(3 * x)))(rng.normal(size=n)),
    "integers": lambda rng, n: (lambda x: (x, 3 * x**2 + x))(rng.permutation(n) - n // 2),
    "corner": lambda rng, n: (lambda x: (x, np.abs(x)))(rng.normal(size=n)),
}


def test_readings_that_are_equal_by_chance_are_no_copies():
    assert refusals(close, 1000, 30) == 0


PARTLY = {
    "limit": (lambda x, noise, some: np.maximum(x, 0), "y column 0 is a function of x in 5.. of"),
    "two limits": (lambda x, noise, some: np.clip(np.exp(x), 0.4, 2), "y column 0 is a function"),
    "atoms of noise": (
        lambda x, noise, some: np.where(noise > 0, np.sin(x), 9),
        "y column 0 is a function of x in 5.% of the rows, or nearly: their information",
    ),
    "copies": (
        lambda x, noise, some: np.where(some, x, noise),
        "y column 0 is equal to x column 0 in 2.% of the rows: their information is infinite",
    ),
}


@pytest.mark.parametrize("name", PARTLY)
def test_what_is_partly_a_function_is_refused(name):
    rng = np.random.default_rng(6)
    function, words = PARTLY[name]
    x, noise = rng.normal(size=(2, 1000))
    x = x + 0.05  # a few more than half are above 0
    noise = noise + 0.05
    x, y = checks.check(x, function(x, noise, rng.random(1000) < 0.25))
    with pytest.raises(InputError, match=words):
        functions.check_no_function(x, y)
    with pytest.raises(InputError, match="column 0 is .*% of the rows"):
        functions.check_no_function(y, x)
    with pytest.raises(InputError, match="their entropy minus infinity"):
        functions.check_no_function_within(np.concatenate([x, y], axis=1))


def test_few_copies_are_seen_among_many_columns():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(2, 2000, 30))
    functions.check_no_function(x, y)
    y[:60, 7] = x[:60, 11]
    with pytest.raises(InputError, match="y column 7 is equal to x column 11 in 3% of the rows"):
        functions.check_no_function(x, y)


LARGE = 100 * X[:, 0].round(2).astype(int)


@pytest.mark.parametrize(
    "values, first",
    [
        (2**62 + LARGE, 0),
        (LARGE.astype(np.uint64) + np.uint64(2**63 + 9), 0),
        ([2**70 + int(value) for value in LARGE], 0),
        (np.stack([X[:, 1] > 0, 2**62 + LARGE], axis=1), 1),
        (pd.Series(2**62 + LARGE), 0),
        (pd.DataFrame({"a": X[:, 1], "b": [2**70 + int(value) for value in LARGE]}), 1),
    ],
)
def test_large_whole_numbers_keep_their_digits(values, first):
    block = inputs.read("x", values, may_be_names=True).values
    column = block.reshape(200, -1)[:, first].astype(float)
    np.testing.assert_array_equal(column - column.min(), LARGE - LARGE.min())


def test_other_whole_numbers_stay_what_they_are():
    ids = np.random.default_rng(8).integers(-(2**63), 2**63 - 1, size=200)
    assert inputs.read("x", ids).values is ids
    assert inputs.read("x", LARGE).values is LARGE
    with pytest.raises(InputError, match="array of objects: save numbers"):
        inputs.read("x", LARGE.astype(object))


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *((name, 100) for name in FINITE),
        *(
            pytest.param(name, 400, marks=pytest.mark.slow if name in TAKE_LONG else ())
            for name in FINITE
        ),
    ],
)
def test_finite_information_is_not_refused(name, n):
    assert refusals(FINITE[name], n) <= 0.01


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_refused(name):
    """Of 200 rows; of more it is easier."""
    assert refusals(FUNCTIONS[name], 200, 30) >= 0.7
    exchanged = refusals(lambda rng, n: FUNCTIONS[name](rng, n)[::-1], 200, 30)
    assert exchanged >= 0.7  # whichever is given first


def test_functions_of_two_columns_are_refused():
    assert (
        refusals(
            lambda rng, n: (lambda x: (x, x[:, 0] * x[:, 1]))(rng.normal(size=(n, 2))), 1000, 10
        )
        >= 0.9
    )


def test_what_the_condition_determines_is_not_called_infinite():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 400, 1))
    words = "y column 0 is a function of given, or nearly: the condition leaves nothing of it"
    with pytest.raises(InputError, match=words):
        diffenc.conditional_information(x, np.sin(3 * z), z)


def test_labels_are_asked_to_be_labels():
    for labels, words in (
        (X[:, 0], "one integer for each row"),
        (np.r_[[1] * 195, [0] * 5], "label 0 has 5 of the 10 examples"),
    ):
        with pytest.raises(InputError, match=words):
            measures.label_information(jax.random.key(9), X, labels)
