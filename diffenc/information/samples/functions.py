"""Columns that are a function of others: their information is infinite."""

import math
from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from diffenc.errors import InputError
from diffenc.information.codes.labels import LEAST_EXAMPLES
from diffenc.information.coordinates import gaussian

# Polynomials of more than the second degree have so many coefficients at most.
MOST_TERMS = 300
MOST_DEGREE = 6
# Of a rounded column: its interquartile range in steps at least, the rows of each coefficient, and
# how many steps the values of this share of the rows differ from the polynomial at most.
LEAST_STEPS = 2.0
ROWS_OF_TERM = 10
WITHIN_STEP = 0.99
HALF_STEP = 0.55
# A value in more of the rows, and in more than five, is an atom: a limit, a zero. Beside it the
# column may have a density.
ATOM = 0.01
# A function is looked for in so many rows or more.
LEAST_ROWS = 100
# Values of two columns that are equal in so many rows, and this share of them, are copies.
LEAST_COPIES = 20
LEAST_COPIED = 0.02
INFINITE = "their information is infinite"
WITHIN = "their information is infinite, their entropy minus infinity"


def check_no_function(x: np.ndarray, y: np.ndarray) -> None:
    """Check that no column is a function of the other block, if that has one or two columns.

    As far as the samples can tell, the information is then infinite or larger than they show. A
    column is predicted from the nearest neighbours of every example by a plane through them. For a
    smooth function the error of the prediction shrinks like N^(-2/dim); with noise it stays. A
    column is rejected if its prediction error shrinks with the number of rows at least half as fast
    as for a noiseless function and is below 2 % of the interquartile range, or is already zero.
    Columns with ties are not tested, because the information of a few values is finite; where all
    ties are of a few values, such as the limit of censored values, the other rows are tested. With
    two columns or more in the other block, a polynomial is tried as well: of the second degree, or
    of a higher one, up to six, where that has few coefficients. Last, values are looked for that
    were copied from a column to one of the other block in some of the rows.

    Raises:
        InputError: for a column that is a function.
    """
    x, y = _thin(x, y)
    _check_one_way("x", x, "y", y)
    _check_one_way("y", y, "x", x)
    _check_polynomial("x", x, "y", y)
    _check_polynomial("y", y, "x", x)
    _check_rounded("x", x, "y", y)
    _check_rounded("y", y, "x", x)
    _check_copies("x", x, "y", y)


def check_no_function_given(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
    """Check that no column is a function of the other block, of the condition z, or of both.

    Each column is tried as `check_no_function` does.
    """
    check_no_function(x, y)
    x, y, z = _thin(x, y, z)
    for name, values in (("x", x), ("y", y)):
        _check_one_way("z", z, name, values, consequence="the condition leaves nothing of it")
    _check_one_way("x, z", np.concatenate([x, z], axis=1), "y", y)
    _check_one_way("y, z", np.concatenate([y, z], axis=1), "x", x)


def check_no_function_within(x: np.ndarray) -> None:
    """Check that no column is a function of the one or two others; as `check_no_function` does."""
    if x.shape[1] == 1:
        return
    (x,) = _thin(x)
    for column in range(x.shape[1]):
        others = np.delete(x, column, axis=1)
        _check_one_way("the other columns", others, "x", x[:, [column]], column, WITHIN)
    _check_copies("x", x, "x", x, WITHIN)


def _thin(*blocks):
    """Return 20,000 rows at most, the same of every block."""
    every = -(-len(blocks[0]) // 20_000)
    return [block[::every] for block in blocks]


def _check_one_way(name, block, other, values, first=0, consequence=INFINITE) -> None:
    """Raise InputError if a column of values, counted from `first`, is a function of the block.

    It is looked at in the rows in which neither it nor the block has an atom.
    """
    if block.shape[1] > 2:
        return
    n = len(block)
    is_atom = _are_atoms(values) | _are_atoms(block).any(axis=1, keepdims=True)
    kinds, kind_of_column = np.unique(is_atom, axis=1, return_inverse=True)
    for kind, is_left_out in enumerate(kinds.T):
        columns = np.flatnonzero(kind_of_column == kind)
        rows = np.flatnonzero(~is_left_out)
        if len(rows) < LEAST_ROWS or gaussian.has_ties(block[rows]).any():
            continue
        columns = columns[~gaussian.has_ties(values[np.ix_(rows, columns)])]
        if not columns.size:
            continue
        is_function = _are_functions(block[rows], values[np.ix_(rows, columns)])
        if is_function.any():
            column = first + columns[np.argmax(is_function)]
            where = "" if len(rows) == n else f" in {len(rows) / n:.0%} of the rows"
            raise InputError(
                f"{other} column {column} is a function of {name}{where}, or nearly: "
                f"{consequence}, or the relation sharper than the samples show; leave the column "
                "out, or give it its noise"
            )


def _are_atoms(columns) -> np.ndarray:
    """Return which values [N, D] are shared by so many rows that they are atoms."""
    is_atom = np.zeros(columns.shape, bool)
    for place, column in enumerate(columns.T):
        _, index, counts = np.unique(column, return_inverse=True, return_counts=True)
        is_atom[:, place] = (counts > max(5, ATOM * len(column)))[index]
    return is_atom


def _are_functions(block, values) -> np.ndarray:
    """Return which columns of values, without ties, are functions of the block [columns]."""
    dim = block.shape[1]
    block = block / _spread(block)
    values = values / _spread(values)

    def error(parts):
        """The prediction error with a number of rows that is smaller by this factor."""
        starts = range(parts)
        errors = [_prediction_error(block[k::parts], values[k::parts]) for k in starts]
        return np.mean(errors, axis=0)

    by_all = error(1)
    from_half = np.log(np.maximum(error(2), 1e-12) / np.maximum(by_all, 1e-12))
    from_quarter = np.log(np.maximum(error(4), 1e-12) / np.maximum(by_all, 1e-12))
    rate = 2 / dim * np.log(2)
    shrinks = (from_half > 0.5 * rate) & (from_quarter > 0.7 * 2 * rate)
    return (by_all < 1e-9) | ((by_all < 0.02) & shrinks)


def _check_copies(name, block, other, values, consequence=INFINITE) -> None:
    """Raise InputError if values of a column are copies of those of a column of the block.

    Only values that are once in either column are looked at. Those of a grid are equal by chance,
    too, but then up to 16 times as many differ by 1 to 8 of its steps. So the equal ones must be
    more than three times those that differ by eight times the least difference or less. Of values
    that are the block itself, columns are compared with those before them.
    """
    n = len(block)
    some = slice(None, None, -(-n // 2000))  # rows that show which columns to compare whole
    of_block = _singles(block)
    of_values = of_block if values is block else _singles(values)
    for at, column in enumerate(of_values.T):
        before = of_block[:, :at] if values is block else of_block
        for place in np.flatnonzero((before[some] == column[some, None]).any(axis=0)):
            count = np.sum(before[:, place] == column)
            size = np.abs(values[:, at] - block[:, place])
            size = size[size > 0]
            by_grid = 3 * np.sum(size <= 8 * size.min()) if size.size else 0
            if count > max(by_grid, LEAST_COPIES, LEAST_COPIED * n):
                if np.array_equal(values[:, at], np.round(values[:, at])):
                    consequence += ", or these whole numbers are too many for the rows to show it"
                raise InputError(
                    f"{other} column {at} is equal to {name} column {place} in {count / n:.0%} of "
                    f"the rows: {consequence}; leave one of them out, or the rows if they were "
                    "filled in"
                )


def _singles(columns) -> np.ndarray:
    """Return columns [N, D] with NaN in place of values that are more than once in their column."""
    singles = np.array(columns)
    for column in singles.T:
        _, index, counts = np.unique(column, return_inverse=True, return_counts=True)
        column[counts[index] > 1] = np.nan
    return singles


def _check_polynomial(name, block, other, values) -> None:
    """Raise InputError if a column of values is a polynomial of the block's columns.

    Its degree is two, or more of few columns, see `_degree`. Every other row determines its
    coefficients, and the rest must obey it within 1e-6 of the column's deviation.
    """
    columns = np.flatnonzero(~gaussian.has_ties(values))
    degree = _degree(*block.shape)
    if block.shape[1] < 2 or not columns.size or not degree:
        return
    if degree > 2:  # with as many rows as its coefficients need
        rows = 4 * math.comb(block.shape[1] + degree, degree)
        spread = np.linspace(0, len(block) - 1, rows).astype(int)
        block = block[spread]
        values = values[spread]
    if not (np.ptp(block, axis=0).all() and np.ptp(values[:, columns], axis=0).all()):
        return  # a column that hardly varies has too few values here
    block = (block - block.mean(axis=0)) / block.std(axis=0)
    values = values[:, columns]
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    terms = np.stack([np.ones(len(block)), *_monomials(block, degree)], axis=1)
    terms = terms / np.linalg.norm(terms, axis=0)
    coefficients = np.linalg.lstsq(terms[::2], values[::2])[0]
    rest = values[1::2] - terms[1::2] @ coefficients
    is_function = np.sqrt(np.mean(np.square(rest), axis=0)) < 1e-6
    if is_function.any():
        column = columns[np.argmax(is_function)]
        raise InputError(
            f"{other} column {column} is a polynomial of the columns of {name}: their information "
            "is infinite; leave the column out, or give it its noise"
        )


def _check_rounded(name, block, other, values) -> None:
    """Raise InputError if a column of values is a polynomial of the block's columns, rounded.

    So are an index of two columns and a price of a number and a piece. The polynomial is of the
    columns, or of the logarithms of positive ones. Every other row determines its coefficients, and
    `WITHIN_STEP` of the others differ from it by half a step of their grid at most, or little more.
    """
    if block.shape[1] < 2:
        return
    steps = np.array([np.diff(np.unique(column)).min(initial=np.inf) for column in values.T])
    quartiles = np.subtract(*np.percentile(values, (75, 25), axis=0))
    places = np.flatnonzero((steps > 0) & (steps < quartiles / LEAST_STEPS))
    trials: list[tuple[np.ndarray, np.ndarray, Callable, Callable]] = [
        (block, places, np.asarray, np.asarray)
    ]
    if block.min() > 0:
        positive = places[values[:, places].min(axis=0) > 0]
        trials.append((np.log(block), positive, np.log, _power))
    for of_block, columns, of_values, back in trials:
        targets = values[:, columns]
        for predicted in _predicted(of_block, of_values(targets)) if columns.size else ():
            rest = np.quantile(np.abs(targets[1::2] - back(predicted)), WITHIN_STEP, axis=0)
            is_rounded = rest < HALF_STEP * steps[columns]
            if is_rounded.any():
                column = columns[np.argmax(is_rounded)]
                raise InputError(_rounded(name, other, column, steps[column], values[:, column]))


def _rounded(name, other, column, step, values) -> str:
    """Say that a column is a polynomial of others, rounded, and what to do about it."""
    line = (
        f"{other} column {column} is a function of the columns of {name}, rounded to steps of "
        f"{step:.3g}: their information is the entropy of these values"
    )
    if LEAST_EXAMPLES * len(np.unique(values)) <= len(values):
        return f"{line}; say that they are codes (labels=True, or codes=...), or leave them out"
    return f"{line}, which the samples do not show; leave the column out, or give it its noise"


def _power(exponent) -> np.ndarray:
    return np.exp(np.minimum(exponent, 700.0))


def _predicted(block, targets) -> list[np.ndarray]:
    """Return polynomials of a block [N, dim] by its even rows, at the odd ones.

    They are of the second degree, and of the highest that there are rows for; one for each column
    of the targets [N, k].
    """
    n, dim = block.shape
    most = min(MOST_TERMS, n // 2 // ROWS_OF_TERM)
    degrees = [one for one in range(2, MOST_DEGREE + 1) if math.comb(dim + one, one) <= most]
    size = block.std(axis=0)
    if not np.all(size > 0):
        return []
    block = (block - block.mean(axis=0)) / size
    predicted = []
    for degree in sorted({*degrees[:1], *degrees[-1:]}):
        terms = np.stack([np.ones(n), *_monomials(block, degree)], axis=1)
        predicted.append(terms[1::2] @ np.linalg.lstsq(terms[::2], targets[::2])[0])
    return predicted


def _degree(n, dim) -> int:
    """Return the degree of the polynomials that n rows of dim columns are tried for, 0 for none."""
    degree = 0 if 2 * math.comb(dim + 2, 2) > n // 2 else 2
    while 2 <= degree < MOST_DEGREE:
        terms = math.comb(dim + degree + 1, dim)
        if terms > MOST_TERMS or 2 * terms > n // 2:
            break
        degree += 1
    return degree


def _monomials(block, degree) -> list[np.ndarray]:
    """Return all products of up to so many columns of a block [N, dim], each [N]."""
    products: list[np.ndarray] = []
    last = {(place,): column for place, column in enumerate(block.T)}
    for _ in range(degree):
        products += last.values()
        last = {
            (*places, more): product * block[:, more]
            for places, product in last.items()
            for more in range(places[-1], block.shape[1])
        }
    return products


def _spread(values):
    """Return the interquartile range of every column, or its deviation if that is 0."""
    quartiles = np.subtract(*np.percentile(values, (75, 25), axis=0))
    return np.where(quartiles > 0, quartiles, values.std(axis=0))


def _prediction_error(block, values):
    """Return the median error of a prediction of every column of values from its neighbours.

    The prediction is a plane through 3 dim + 1 neighbours in the block. The error is divided by
    that which noise of unit deviation would have.
    """
    n, dim = block.shape
    count = 3 * dim + 1
    nearest = cKDTree(block).query(block, k=count + 1)[1]
    others = nearest != np.arange(n)[:, None]
    others[others.all(axis=1), -1] = False  # twins in the block hid the example itself
    near = nearest[others].reshape(n, count)
    weights = _weights_at_zero(block[near] - block[:, None])
    error = values - np.einsum("nk,nkc->nc", weights, values[near])
    return np.median(np.abs(error) / np.sqrt(1 + np.sum(weights**2, axis=1))[:, None], axis=0)


def _weights_at_zero(offset):
    """Return the weights [n, k] of k points in the value at 0 of the plane through them.

    Least squares: they are what is left of a column of ones once the offsets [n, k, dim] have been
    projected out of it, divided by its squared length. An offset that is a multiple of the one
    before it is left out. Points that all lie at one other place have equal weights.
    """
    count = offset.shape[1]
    basis = []
    for column in (*np.moveaxis(offset, 2, 0), np.ones(offset.shape[:2])):
        whole = np.linalg.norm(column, axis=1, keepdims=True)
        for direction in basis:
            column = column - np.sum(direction * column, axis=1, keepdims=True) * direction
        length = np.linalg.norm(column, axis=1, keepdims=True)
        inverse = np.where(length > 1e-12 * whole, 1 / np.maximum(length, 1e-300), 0.0)
        basis.append(column * inverse)
    return np.where(inverse > 0, basis[-1] * inverse, 1 / count)
