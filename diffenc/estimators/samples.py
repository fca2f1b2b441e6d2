"""What an estimate of information asks of its samples, each demand with a line that names the culprit."""

import numpy as np
from scipy.spatial import cKDTree

from diffenc.errors import InputError
from diffenc.estimators import reference


def check(*blocks: np.ndarray) -> tuple[np.ndarray, ...]:
    """The blocks as float64 [N, dim]; raises InputError, naming the culprit, for what has no finite information or
    no error bar: different lengths, fewer than 100 rows, values that are not finite, and columns that are constant,
    repeated, or a linear function of the others."""
    names, arrays = ("x", "y", "z"), []
    for name, block in zip(names, blocks, strict=False):
        block = np.asarray(block)
        if not np.issubdtype(block.dtype, np.number) or block.ndim not in (1, 2) or not block.size:
            raise InputError(f"{name} has type {block.dtype} and shape {block.shape}: give numbers [N] or [N, dim]")
        arrays.append(block.reshape(len(block), -1).astype(np.float64))
    lengths = {len(block) for block in arrays}
    if len(lengths) > 1:
        counts = ", ".join(f"{name} has {len(block)}" for name, block in zip(names, arrays, strict=False))
        raise InputError(f"rows differ in number ({counts}): give one y for each x")
    if min(lengths) < 100:
        raise InputError(f"{min(lengths)} rows are too few: an estimate with an error wants 100 or more")
    for name, block in zip(names, arrays, strict=False):
        bad = np.flatnonzero(~np.isfinite(block).all(axis=0))
        if bad.size:
            row = np.flatnonzero(~np.isfinite(block[:, bad[0]]))[0]
            raise InputError(f"{name} column {bad[0]} is not finite in row {row}: drop or repair such rows")
        constant = np.flatnonzero(block.max(axis=0) == block.min(axis=0))
        if constant.size:
            raise InputError(f"{name} column {constant[0]} is constant: leave it out, it tells nothing")
    _check_columns(arrays, names)
    return tuple(arrays)


def _check_columns(arrays, names) -> None:
    """No column a linear function of those before it, nor an increasing function of one."""
    owners = [(name, column) for name, block in zip(names, arrays, strict=False) for column in range(block.shape[1])]
    together = np.concatenate(arrays, axis=1)
    for scores in (together, reference.by_rank(together)):
        scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
        rest = np.abs(np.diagonal(np.linalg.qr(scores, mode="r"))) / len(scores) ** 0.5
        for index in np.flatnonzero(rest < 1e-6):
            (name, column), before = owners[index], "the columns before it"
            twins = np.flatnonzero(np.abs(scores[:, :index].T @ scores[:, index]) / len(scores) > 1 - 1e-9)
            if twins.size:
                other, twin = owners[twins[0]]
                before = f"{other} column {twin}"
            else:
                other = name if index < arrays[0].shape[1] else None
            if other == name:
                raise InputError(f"{name} column {column} repeats {before}: leave one of them out")
            raise InputError(f"{name} column {column} is a function of {before}: their information is infinite")


def check_no_function(x: np.ndarray, y: np.ndarray) -> None:
    """Raises InputError where a column of one block is a function of the other block, of one or two columns, as far as
    the samples can tell: then the information is infinite.

    The gap between the values of nearest neighbours shrinks with N like their distance, N^(-1/dim), where there is a
    function, and stays where there is noise; both it and its ratio to that in a quarter of the sample are asked.
    """
    for (name, block), (other, values) in ((("x", x), ("y", y)), (("y", y), ("x", x))):
        dim = block.shape[1]
        if dim > 2:
            continue
        block, scaled = (a / _spread(a) for a in (block, values))
        gap = _neighbour_gap(block, scaled)
        quarter = np.mean([_neighbour_gap(block[start::4], scaled[start::4]) for start in range(4)], axis=0)
        sharp = (gap * len(x) ** (1 / dim) < 30 ** (1 / dim)) & (gap < 1.2 * 4 ** (-1 / dim) * quarter)
        if sharp.any():
            column = int(np.argmax(sharp))
            raise InputError(f"{other} column {column} is a function of {name}: their information is infinite")


def _spread(values):
    """The interquartile range of every column, or its deviation where half of it is one value."""
    quartiles = np.subtract(*np.percentile(values, (75, 25), axis=0))
    return np.where(quartiles > 0, quartiles, values.std(axis=0))


def _neighbour_gap(block, values):
    """The median distance of every column of values between nearest neighbours in the block."""
    neighbour = cKDTree(block).query(block, k=2)[1][:, 1]
    return np.median(np.abs(values - values[neighbour]), axis=0)
