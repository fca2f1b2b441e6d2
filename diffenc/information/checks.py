"""What an estimate of information requires of its samples, each with an error of one line."""

import numpy as np
from scipy.spatial import cKDTree

from diffenc.errors import InputError
from diffenc.information import gaussian

LEAST_ROWS = 100
LEAST_EXAMPLES = 10  # of a label
WITHIN = "their information is infinite, their entropy minus infinity"


def check(*blocks: np.ndarray, names: tuple[str, ...] = ("x", "y", "z")) -> tuple[np.ndarray, ...]:
    """Return the blocks x, y and z, as many as there are, as float64 [N, dim].

    Args:
        *blocks: arrays [N] or [N, dim].
        names: what errors call them.

    Returns:
        The blocks.

    Raises:
        InputError: for samples that have no finite information or no error bar: different numbers
            of rows, fewer than 100 or no more than four for each column, values that are not finite
            or too large to be squared, and columns that are constant, repeated, or a linear
            function of the others.
    """
    names = names[: len(blocks)]
    arrays = [_as_block(name, block) for name, block in zip(names, blocks, strict=True)]
    lengths = {len(block) for block in arrays}
    if len(lengths) > 1:
        counts = ", ".join(
            f"{name} has {len(block)}" for name, block in zip(names, arrays, strict=True)
        )
        raise InputError(f"rows differ in number ({counts}): give one y for each x")
    rows = min(lengths)
    if rows < LEAST_ROWS:
        raise InputError(
            f"{rows} rows are too few: an estimate with an error needs {LEAST_ROWS} or more"
        )
    columns = sum(block.shape[1] for block in arrays)
    if columns >= rows / 4:
        raise InputError(
            f"{columns} columns are too many for {rows} rows: give fewer, or more than four rows "
            "a column"
        )
    for name, block in zip(names, arrays, strict=True):
        _check_values(name, block)
    _check_repeats(arrays, names)
    return tuple(arrays)


def _as_block(name, block):
    """Return numbers [N] or [N, dim] as float64 [N, dim]."""
    block = np.asarray(block)
    is_real = block.dtype.kind in "biuf"  # to numpy a span of time is an integer, too
    if not is_real or block.ndim not in (1, 2) or not block.size:
        raise InputError(
            f"{name} has type {block.dtype} and shape {block.shape}: give numbers [N] or [N, dim]"
        )
    return block.reshape(len(block), -1).astype(np.float64)


def _check_values(name, block) -> None:
    """Raise InputError for columns that are not finite, constant, or not to be squared."""
    bad = np.flatnonzero(~np.isfinite(block).all(axis=0))
    if bad.size:
        row = np.flatnonzero(~np.isfinite(block[:, bad[0]]))[0]
        raise InputError(
            f"{name} column {bad[0]} is not finite in row {row}: drop or repair such rows"
        )
    constant = np.flatnonzero(block.max(axis=0) == block.min(axis=0))
    if constant.size:
        raise InputError(
            f"{name} column {constant[0]} is constant: leave it out, it has no information"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        size = block.std(axis=0)
    extreme = np.flatnonzero(~((size > 1e-100) & (size < 1e100)))
    if extreme.size:
        raise InputError(
            f"{name} column {extreme[0]} has values too large or too small to square: rescale it"
        )


def _check_repeats(arrays, names) -> None:
    """Raise InputError for a column that is a linear or an increasing function of others.

    Columns with ties are compared within their block alone, because the information of a few
    values is finite.
    """
    for name, block in zip(names, arrays, strict=True):
        for column, before in _repeats(block):
            twin = "the columns before it" if before is None else f"{name} column {before}"
            raise InputError(f"{name} column {column} repeats {twin}: leave one of them out")
    owners = [
        (name, column)
        for name, block in zip(names, arrays, strict=True)
        for column in range(block.shape[1])
    ]
    together = np.concatenate(arrays, axis=1)
    untied = np.flatnonzero(~gaussian.has_ties(together))
    for index, before in _repeats(together[:, untied]):
        name, column = owners[untied[index]]
        twin = "the columns before it"
        if before is not None:
            twin = "{} column {}".format(*owners[untied[before]])
        raise InputError(
            f"{name} column {column} is a function of {twin}: "
            "their information is infinite; leave one of them out"
        )


def _repeats(columns):
    """Yield (index, twin) of columns [N, D] that are a linear function of the columns before.

    twin is the single column of which it is one, or None. First the values are compared, then their
    ranks.
    """
    for scores in (columns, gaussian.by_rank(columns)):
        scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
        rest = np.abs(np.diagonal(np.linalg.qr(scores, mode="r"))) / len(scores) ** 0.5
        for index in np.flatnonzero(rest < 1e-6):
            correlation = np.abs(scores[:, :index].T @ scores[:, index]) / len(scores)
            twins = np.flatnonzero(correlation > 1 - 1e-9)
            yield index, (twins[0] if twins.size else None)


def check_labels(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check samples x [N, dim] and integer labels [N].

    Returns:
        x as float64 [N, dim], and the index [N] of every example's label among the different ones.

    Raises:
        InputError: for labels that are not integers, or of which one has fewer than ten examples.
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != np.shape(x)[:1]:
        raise InputError(
            f"labels are {labels.dtype} of shape {labels.shape}: give one integer for each row of x"
        )
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(values) < 2:
        raise InputError(f"all labels are {values[0]}: give two or more different ones")
    if counts.min() < LEAST_EXAMPLES:
        raise InputError(
            f"label {values[counts.argmin()]} has {counts.min()} examples: "
            f"{LEAST_EXAMPLES} or more of each are needed; give coarser labels, or numbers"
        )
    (x,) = check(x)
    return x, index


def check_no_function(x: np.ndarray, y: np.ndarray) -> None:
    """Check that no column is a function of the other block, if that has one or two columns.

    As far as the samples can tell, the information is then infinite or larger than they show. A
    column is predicted from the nearest neighbours of every example by a plane through them. For a
    smooth function the error of the prediction shrinks like N^(-2/dim); with noise it stays. A
    column is rejected if its prediction error shrinks with the number of rows at least half as fast
    as for a noiseless function and is below 2 % of the interquartile range, or is already zero.
    Columns with ties are not tested, because the information of a few values is finite.

    Raises:
        InputError: for a column that is a function.
    """
    x, y = _thin(x, y)
    _check_one_way("x", x, "y", y)
    _check_one_way("y", y, "x", x)


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


def _thin(*blocks):
    """Return 20,000 rows at most, the same of every block."""
    every = -(-len(blocks[0]) // 20_000)
    return [block[::every] for block in blocks]


def _check_one_way(
    name, block, other, values, first=0, consequence="their information is infinite"
) -> None:
    """Raise InputError if a column of values, counted from `first`, is a function of the block."""
    dim = block.shape[1]
    columns = np.flatnonzero(~gaussian.has_ties(values))
    if dim > 2 or not columns.size or gaussian.has_ties(block).any():
        return
    block = block / _spread(block)
    values = values[:, columns] / _spread(values[:, columns])

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
    is_function = (by_all < 1e-9) | ((by_all < 0.02) & shrinks)
    if is_function.any():
        column = first + columns[np.argmax(is_function)]
        raise InputError(
            f"{other} column {column} is a function of {name}, or nearly: {consequence}, or the "
            "relation sharper than the samples show; leave the column out, or give it its noise"
        )


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
