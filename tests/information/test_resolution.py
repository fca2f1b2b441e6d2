"""Where nearest neighbours contradict an estimate: it is doubted, made again of fewer columns, or
theirs; and polynomials of many columns are refused."""

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import functions, resolution
from diffenc.information.assembly import assemble
from diffenc.information.divergence import Divergence
from diffenc.information.gaussian import GaussianPart

N = 2000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 30))
NOISE = 0.3 * RNG.normal(size=(N, 1))
Y = np.sin(2 * X[:, :1]) + NOISE  # about .8 nats


def estimate_of(mean, stderr):
    """An estimate in which networks found nothing."""
    share = mean + stderr * np.sqrt(N) * np.resize([-1.0, 1.0], N)
    zeros = np.zeros(N)
    edges = np.array([-7.0, 0.0, 10.0])
    nothing = Divergence(0.0, 0.0, *[zeros] * 4, *[np.zeros(2)] * 2, edges, 0.0, 0.0, 0)
    return assemble(GaussianPart(mean, share), np.arange(N).reshape(2, -1), 1, nothing, None)


def never(columns_x, columns_y):
    raise AssertionError("it was estimated again")


def assert_errors_add_up(result):
    squares = np.sum(np.square(list(result.errors.values())))
    assert squares == pytest.approx(result.estimate.stderr**2, rel=1e-6)


def test_an_estimate_that_neighbours_do_not_contradict_stays():
    before = estimate_of(0.82, 0.02)
    result = resolution.resolve(RNG, before, X[:, :1], Y, never)
    assert result.estimate == before.estimate and not result.unresolved
    assert abs(result.neighbours.mean - 0.82) < 0.1
    assert_errors_add_up(result)


def test_independent_columns_contradict_nothing():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        before = estimate_of(0.0, 0.01)
        x = rng.normal(size=(N, 5))
        result = resolution.resolve(RNG, before, x, rng.normal(size=(N, 2)), never)
        assert not result.is_by_neighbours and result.estimate.mean == 0.0


def test_columns_that_tell_are_estimated_alone():
    asked = []

    def again(columns_x, columns_y):
        asked.append((list(columns_x), list(columns_y)))
        return estimate_of(0.83, 0.02)

    result = resolution.resolve(RNG, estimate_of(0.1, 0.05), X, Y, again)
    assert asked == [([0], [0])] and result.columns == ((0,), (0,))
    assert result.estimate.mean == pytest.approx(0.83) and not result.is_by_neighbours
    assert_errors_add_up(result)


def test_an_estimate_that_does_not_gain_by_it_is_theirs():
    result = resolution.resolve(
        RNG, estimate_of(0.1, 0.05), X, Y, lambda of_x, of_y: estimate_of(0.12, 0.05)
    )
    assert result.is_by_neighbours and result.columns is None
    assert result.estimate.mean == result.nearest.estimate.mean
    assert result.pointwise.mean() == pytest.approx(result.estimate.mean)
    assert result.unresolved == max(result.nearest.growth, 0.0)
    assert_errors_add_up(result)


def test_a_doubt_goes_into_the_error():
    """The difference is of three standard errors."""
    whole = resolution.resolve(RNG, estimate_of(0.82, 0.02), X[:, :1], Y, never).neighbours
    stderr = 0.04
    mean = whole.mean - 3.0 * np.hypot(whole.stderr, stderr)
    result = resolution.resolve(RNG, estimate_of(mean, stderr), X[:, :1], Y, never)
    assert result.unresolved == pytest.approx(whole.mean - mean)
    stderr = np.hypot(stderr, whole.mean - mean)
    np.testing.assert_allclose(result.estimate, Estimate(mean, stderr), rtol=1e-3)
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
