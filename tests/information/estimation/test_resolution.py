"""Where nearest neighbours contradict an estimate: it is doubted, made again of fewer columns, or
theirs; and polynomials of many columns are refused."""

import numpy as np
import pytest
from plain_estimates import ROWS as N
from plain_estimates import estimate_of
from scipy.special import ndtri
from scipy.stats import rankdata

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information.comparisons.neighbours import Neighbours
from diffenc.information.estimation import resolution
from diffenc.information.estimation.resolution import of_labels, of_numbers
from diffenc.information.results import remarks
from diffenc.information.samples import functions

RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 30))
NOISE = 0.3 * RNG.normal(size=(N, 1))
Y = np.sin(2 * X[:, :1]) + NOISE  # about .8 nats


def never(columns_x, columns_y):
    raise AssertionError("it was estimated again")


def assert_errors_add_up(result):
    assert result.errors["regression"] < 1e-6, "what is left of the sum; there is none in these"
    squares = np.sum(np.square(list(result.errors.values())))
    assert squares == pytest.approx(result.estimate.stderr**2, rel=1e-6)


def test_an_estimate_that_neighbours_do_not_contradict_stays():
    before = estimate_of(0.82, 0.02)
    result = resolution.resolve(before, of_numbers(X[:, :1], Y), never)
    assert result.estimate == before.estimate and not result.unresolved
    assert abs(result.neighbours.mean - 0.82) < 0.1
    assert_errors_add_up(result)


def test_independent_columns_contradict_nothing():
    for seed, (dim_x, dim_y) in enumerate([(5, 2), (3, 3), (1, 1), (2, 1)]):
        rng = np.random.default_rng(seed)
        before = estimate_of(0.0, 0.01)
        x = rng.normal(size=(N, dim_x))
        result = resolution.resolve(before, of_numbers(x, rng.normal(size=(N, dim_y))), never)
        assert not result.is_by_neighbours and result.estimate.mean == 0.0
        labels = rng.integers(0, 3, N)
        result = resolution.resolve(before, of_labels(x, labels), never)
        assert not result.is_by_neighbours and result.estimate.mean == 0.0


def test_columns_that_tell_are_estimated_alone():
    asked = []

    def again(columns_x, columns_y):
        asked.append((list(columns_x), list(columns_y)))
        return estimate_of(0.83, 0.02)

    result = resolution.resolve(estimate_of(0.1, 0.05), of_numbers(X, Y), again)
    assert asked == [([0], [0])] and result.columns == ((0,), (0,))
    assert result.estimate.mean == pytest.approx(0.83) and not result.is_by_neighbours
    assert_errors_add_up(result)


def test_few_columns_that_tell_are_estimated_alone_without_a_contradiction():
    """Their estimate is taken if it is larger by more than its own error."""
    near = of_numbers(X, Y).nearest(None).estimate.mean
    before = estimate_of(near, 0.05)
    for gain, columns in ((0.01, ((0,), (0,))), (0.002, None), (-0.01, None)):
        some = estimate_of(near + gain, 0.05)
        of_x = some.conditional._replace(systematic=0.005)
        stderr = np.hypot(0.05, 0.005)
        some = some._replace(conditional=of_x, estimate=Estimate(near + gain, stderr))
        result = resolution.resolve(before, of_numbers(X, Y), lambda *_, some=some: some)
        assert result.columns == columns
        assert result.estimate == (some if columns else before).estimate


def test_the_error_of_some_columns_holds_what_a_regression_of_all_shows_more():
    """Many columns may tell a little each, which networks of all of them do not find."""
    before = estimate_of(0.1, 0.05)._replace(gaussian=Estimate(1.5, 0.03))
    some = estimate_of(0.83, 0.02)
    result = resolution.resolve(before, of_numbers(X, Y), lambda *_: some)
    assert result.columns == ((0,), (0,)) and result.by_all == before.gaussian
    assert result.estimate.mean == pytest.approx(0.83)
    assert result.estimate.stderr == pytest.approx(np.hypot(0.02, 1.5 - 0.83), rel=1e-3)
    assert_errors_add_up(result)
    names = [[f"x{i}" for i in range(30)], ["y"]]
    (note,) = remarks.of_resolution(result, names)
    assert "a linear regression of all shows 1.50 nats" in note
    less = resolution.resolve(estimate_of(0.1, 0.05), of_numbers(X, Y), lambda *_: some)
    assert less.by_all is None and less.estimate.stderr == pytest.approx(0.02, rel=0.01)


def test_what_some_columns_gain_is_compared_example_by_example():
    """Examples come in another order, and one of them is missing."""
    rng = np.random.default_rng(8)
    gains = 0.1 + 0.3 * rng.standard_normal(N)
    before = estimate_of(0.5, 0.2)
    order = rng.permutation(N)[1:]
    after = before._replace(
        estimate=Estimate(0.6, 0.2),
        pointwise=(before.pointwise + gains)[order],
        rows=before.rows[order],
    )
    gain = resolution.gain_of(before, after)
    assert gain.mean == pytest.approx(0.1)
    assert gain.stderr == pytest.approx(0.3 / N**0.5, rel=4 / (2 * N) ** 0.5)


def test_an_estimate_that_does_not_gain_by_it_is_theirs():
    before = estimate_of(0.1, 0.05)._replace(is_by_noise=True)
    result = resolution.resolve(before, of_numbers(X, Y), lambda of_x, of_y: before)
    assert result.is_by_neighbours and result.columns is None and not result.is_by_noise
    near = result.nearest
    assert result.estimate.mean == pytest.approx(near.estimate.mean + near.missing.mean)
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean)
    assert result.unresolved == pytest.approx(near.missing.stderr)
    assert_errors_add_up(result)


def test_a_doubt_goes_into_the_error():
    """The difference is of three standard errors; the second column tells nothing."""
    compared = of_numbers(X[:, :2], Y)
    whole = resolution.resolve(estimate_of(0.82, 0.02), compared, never).neighbours
    stderr = 0.04
    mean = whole.mean - 3.0 * np.hypot(whole.stderr, stderr)
    result = resolution.resolve(estimate_of(mean, stderr), compared, never)
    assert result.unresolved == pytest.approx(whole.mean - mean)
    stderr = np.hypot(stderr, whole.mean - mean)
    np.testing.assert_allclose(result.estimate, Estimate(mean, stderr), rtol=1e-3)
    assert_errors_add_up(result)


TOGETHER = np.sign(X[:, :1] * X[:, 7:8] * X[:, 20:21]) + NOISE  # about log 2, of which terms see .2


def test_columns_that_tell_only_together_are_estimated_alone():
    asked = []

    def again(columns_x, columns_y):
        asked.append((list(columns_x), list(columns_y)))
        return estimate_of(0.67, 0.02)

    y = np.concatenate([NOISE[::-1], TOGETHER], axis=1)
    result = resolution.resolve(estimate_of(0.0, 0.01), of_numbers(X, y), again)
    assert asked == [([0, 7, 20], [1])] and result.columns == ((0, 7, 20), (1,))
    assert result.estimate.mean == pytest.approx(0.67) and result.terms_of is None
    assert result.nearest.columns == ((0, 7, 20), (1,)), "their neighbours are counted, too"
    assert_errors_add_up(result)
    # Beside a block that neighbours compare whole nothing is searched.
    few = resolution.resolve(estimate_of(0.67, 0.02), of_numbers(X[:, [0, 7, 20]], TOGETHER), never)
    assert few.estimate.mean == pytest.approx(0.67)


def test_what_terms_show_goes_into_the_error_where_nothing_gains_by_it():
    """A sum of two products: five columns together, which neighbours do not compare whole."""
    y = X[:, :1] * X[:, 7:8] + X[:, 20:21] * X[:, 3:4] + NOISE
    before = estimate_of(0.05, 0.01)
    result = resolution.resolve(before, of_numbers(X, y), lambda of_x, of_y: before)
    assert result.terms_of == ((0, 3, 7, 20), (0,)) and not result.is_by_neighbours
    assert result.estimate.mean == before.estimate.mean and result.unresolved > 0.5
    names = [{place: f"x{place}" for place in range(30)}, ["y"]]
    (note,) = remarks.of_resolution(result, names)
    assert "on products or waves of x0, x3, x7, x20 and y shows more" in note
    assert_errors_add_up(result)


def test_polynomials_of_many_columns_are_refused():
    x = X[:, :5]
    squares = np.sum(np.square(x), axis=1, keepdims=True)
    words = "y column 0 is a polynomial of the columns of x: their information is infinite"
    with pytest.raises(InputError, match=words):
        functions.check_no_function(x, squares)
    with pytest.raises(InputError, match="x column 1 is a polynomial of the columns of y"):
        functions.check_no_function(np.concatenate([Y, squares], axis=1), x)
    functions.check_no_function(x, squares + 1e-3 * NOISE)
    with pytest.raises(InputError, match=words):
        functions.check_no_function(x[:, :4], np.prod(x[:, :4], axis=1, keepdims=True))
    functions.check_no_function(x[:, :4], np.prod(x[:, :4], axis=1, keepdims=True) + 1e-3 * NOISE)


def rounded_tables(rng):
    """Columns of a table and one that they determine up to its digits."""
    height = np.round(170 + 10 * rng.normal(size=1000))
    weight = np.round(0.9 * (height - 100) + 10 * rng.normal(size=1000), 1)
    pieces = rng.poisson(3, 1000) + 1
    price = np.round(np.exp(2 + 0.6 * rng.normal(size=1000)), 2)
    return [
        ((weight, height), weight / (height / 100) ** 2, 0.1),
        ((pieces, price, rng.normal(size=1000)), 1.19 * pieces * price, 0.01),
        (tuple(rng.poisson(8, (3, 1000))), None, 1.0),
    ]


@pytest.mark.parametrize("place", range(3))
def test_rounded_functions_of_several_columns_are_refused(place):
    rng = np.random.default_rng(60)
    columns, values, step = rounded_tables(rng)[place]
    x = np.stack(columns, axis=1).astype(float)
    values = x.sum(axis=1) if values is None else values
    noise = step * rng.normal(size=1000)
    y = np.round((values + noise) / step)[:, None] * step
    functions.check_no_function(x, y)
    y = np.round(values / step)[:, None] * step
    with pytest.raises(InputError, match="y column 0 is a function of the columns of x, rounded"):
        functions.check_no_function(x, y)


def test_a_rounded_function_of_few_values_may_be_codes():
    """A sum of dice has few values, which the samples show; an index of a thousand has not."""
    rng = np.random.default_rng(61)
    x = rng.integers(1, 7, size=(1000, 5)).astype(float)
    y = np.stack([rng.normal(size=1000), x.sum(axis=1)], axis=1)
    with pytest.raises(InputError, match=r"y column 1 .* steps of 1: .*labels=True"):
        functions.check_no_function(x, y)
    x = rng.normal(size=(1000, 5))
    with pytest.raises(InputError, match=r"y column 1 .* samples do not show"):
        functions.check_no_function(x, np.stack([y[:, 0], x.sum(axis=1).round(2)], axis=1))


@pytest.mark.parametrize("fields", [8, 12, 16])
def test_what_neighbours_miss_of_edges_is_covered(fields):
    """A checkerboard of log 2 nats, of which neighbours of 2,000 rows miss some."""
    rng = np.random.default_rng(fields)
    column = rng.integers(0, fields, N)
    row = 2 * rng.integers(0, fields // 2, N) + column % 2
    board = [rankdata(place + rng.uniform(size=N)) for place in (column, row)]
    x, y = [ndtri((ranks - 0.5) / N)[:, None] for ranks in board]
    result = resolution.resolve(estimate_of(0.0, 0.01), of_numbers(x, y), never)
    near = result.neighbours
    assert result.is_by_neighbours and result.unresolved == result.nearest.missing.stderr > 0
    assert near.mean + 5 * near.stderr < np.log(2)
    assert abs(result.estimate.mean - np.log(2)) < 2 * result.estimate.stderr
    assert_errors_add_up(result)


def test_what_hardly_shows_is_called_a_lower_limit():
    growing = Neighbours(Estimate(0.1, 0.02), Estimate(0.06, 0.03), ((0,), (0,)))
    result = estimate_of(0.0, 0.01)._replace(nearest=growing, weight=1.0)
    (note,) = remarks.of_resolution(result, [["x"], ["y"]])
    assert "take it for a lower limit" in note
    steady = result._replace(nearest=growing._replace(missing=Estimate(0.03, 0.01)))
    assert "lower limit" not in remarks.of_resolution(steady, [["x"], ["y"]])[0]


def test_a_column_that_is_constant_at_first_is_no_crash():
    """Rows that determine a polynomial are spread over the file, which may begin with zeros."""
    rng = np.random.default_rng(7)
    y = rng.standard_normal((2000, 2))
    y[:150, 1] = 0
    x = y[:, :1] + 0.5 * rng.standard_normal((2000, 1))
    functions.check_no_function(x, y)
    with pytest.raises(InputError, match="is a (function|polynomial) of"):
        functions.check_no_function(y[:, :1] ** 3 * y[:, 1:], y)


LABELS = (np.sin(4 * X[:, 7]) > 0).astype(int)  # log 2 nats


def test_labels_of_a_wave_are_estimated_of_its_column_alone():
    asked = []

    def again(columns, of_label):
        asked.append((list(columns), list(of_label)))
        return estimate_of(0.69, 0.02)

    result = resolution.resolve(estimate_of(0.0, 0.01), of_labels(X, LABELS), again)
    assert asked == [([7], [0])] and result.columns == ((7,), (0,))
    assert result.estimate.mean == pytest.approx(0.69)
    assert_errors_add_up(result)
    # Their neighbours are weighed, too.
    doubtful = again([7], [0])
    of_x = doubtful.conditional._replace(systematic=0.2)
    doubtful = doubtful._replace(conditional=of_x, estimate=Estimate(0.69, np.hypot(0.02, 0.2)))
    before = estimate_of(-0.2, 0.01)
    result = resolution.resolve(before, of_labels(X, LABELS), lambda *_: doubtful)
    assert 0.5 < result.weight < 1 and result.columns == ((7,), (0,))
    assert_errors_add_up(result)


def test_what_terms_show_more_than_neighbours_goes_into_the_error_of_theirs():
    """Products of two pairs of columns, beside a wave of one, by which neighbours contradict."""
    y = X[:, :1] * X[:, 7:8] + X[:, 20:21] * X[:, 3:4] + 3 * np.sin(4 * X[:, 11:12]) + NOISE
    before = estimate_of(-0.2, 0.01)
    result = resolution.resolve(before, of_numbers(X, y), lambda *_: before)
    assert result.is_by_neighbours
    gap = max(one.limit.mean for one in of_numbers(X, y).sets) - result.estimate.mean
    if result.terms_of is not None:
        assert result.estimate.stderr > gap > 0
    assert_errors_add_up(result)


def test_by_neighbours_labels_have_no_more_than_their_entropy():
    result = resolution.resolve(
        estimate_of(0.0, 0.01), of_labels(X, LABELS), lambda *_: estimate_of(0.0, 0.01)
    )
    shares = np.bincount(LABELS) / len(LABELS)
    most = -np.sum(shares * np.log(shares))
    assert result.is_by_neighbours and result.nearest.columns == ((7,), (0,))
    assert abs(result.estimate.mean - most) < 4 * result.estimate.stderr
    assert result.estimate.mean <= most
    assert_errors_add_up(result)


def test_neighbours_that_agree_and_are_surer_are_weighed():
    """By systematic errors: here, one that is twice that of the neighbours."""
    near = of_numbers(X[:, :1], Y).nearest(None)
    of_near = near.missing.stderr
    by_near = near.estimate.mean + near.missing.mean
    doubtful = estimate_of(by_near - 2 * of_near, 0.02)
    conditional = doubtful.conditional._replace(systematic=2 * of_near)
    stderr = np.hypot(0.02, 2 * of_near)
    doubtful = doubtful._replace(
        conditional=conditional, estimate=Estimate(doubtful.estimate.mean, stderr)
    )
    result = resolution.resolve(doubtful, of_numbers(X[:, :1], Y), never)
    assert result.weight == pytest.approx(0.8) and not result.is_by_neighbours
    assert result.estimate.mean == pytest.approx(by_near - 0.4 * of_near)
    errors = [0.02, 0.2 * 2 * of_near, 0.8 * of_near]
    assert result.estimate.stderr == pytest.approx(np.linalg.norm(errors), rel=1e-3)
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean)
    assert_errors_add_up(result)
    (note,) = remarks.of_resolution(result, [["x"], ["y"]])
    assert "weigh 0.8 of the estimate" in note
    # Where they show less, or where only some columns are compared, they have no weight.
    far = doubtful._replace(estimate=Estimate(by_near + 6 * of_near, stderr))
    assert resolution.resolve(far, of_numbers(X[:, :1], Y), never).weight == 0
    assert resolution.resolve(doubtful, of_numbers(X[:, :2], Y), never).weight == 0


def test_what_neighbours_show_more_counts_as_an_error_of_networks():
    """By three errors of sampling, where the networks claim to be sure."""
    near = of_numbers(X[:, :1], Y).nearest(None)
    of_near = near.missing.stderr
    gap = 3.0 * np.hypot(near.estimate.stderr, 0.02)
    sure = estimate_of(near.estimate.mean - gap, 0.02)
    result = resolution.resolve(sure, of_numbers(X[:, :1], Y), never)
    weight = gap**2 / (gap**2 + of_near**2)
    assert result.weight == pytest.approx(weight, rel=1e-3)
    by_near = near.estimate.mean + near.missing.mean
    expected = sure.estimate.mean + weight * (by_near - sure.estimate.mean)
    assert result.estimate.mean == pytest.approx(expected, rel=1e-3)
    unresolved = np.hypot(weight * of_near, (1 - weight) * gap)
    assert result.unresolved == pytest.approx(unresolved, rel=1e-2)
    assert_errors_add_up(result)
