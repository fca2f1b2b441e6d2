"""What an estimate of information asks of its samples, each demand with a line that names the
culprit."""

import numpy as np
from scipy.spatial import cKDTree

from diffenc.errors import InputError
from diffenc.information import gaussian


def check(*blocks: np.ndarray) -> tuple[np.ndarray, ...]:
    """The blocks as float64 [N, dim]; raises InputError, naming the culprit, for what has no finite
    information or no error bar: different lengths, fewer than 100 rows or four a column, values
    that are not finite or too large to be squared, and columns that are constant, repeated, or a
    linear function of the others."""
    names, arrays = ("x", "y", "z"), []
    for name, block in zip(names, blocks, strict=False):
        block = np.asarray(block)
        real = np.issubdtype(block.dtype, np.integer) or np.issubdtype(block.dtype, np.floating)
        if not (real or block.dtype == bool) or block.ndim not in (1, 2) or not block.size:
            names_of_labels = name == "y" and block.size and block.dtype.kind in "USO"
            text = (
                ", names of labels as np.unique(names, return_inverse=True)[1]"
                if names_of_labels
                else ""
            )
            given = f"{name} has type {block.dtype} and shape {block.shape}"
            raise InputError(f"{given}: give numbers [N] or [N, dim]{text}")
        arrays.append(block.reshape(len(block), -1).astype(np.float64))
    lengths = {len(block) for block in arrays}
    if len(lengths) > 1:
        counts = ", ".join(
            f"{name} has {len(block)}" for name, block in zip(names, arrays, strict=False)
        )
        raise InputError(f"rows differ in number ({counts}): give one y for each x")
    if min(lengths) < 100:
        raise InputError(
            f"{min(lengths)} rows are too few: an estimate with an error wants 100 or more"
        )
    columns = sum(block.shape[1] for block in arrays)
    if columns >= min(lengths) / 4:
        raise InputError(
            f"{columns} columns are too many for {min(lengths)} rows: give fewer, or four rows a column"
        )
    for name, block in zip(names, arrays, strict=False):
        bad = np.flatnonzero(~np.isfinite(block).all(axis=0))
        if bad.size:
            row = np.flatnonzero(~np.isfinite(block[:, bad[0]]))[0]
            raise InputError(
                f"{name} column {bad[0]} is not finite in row {row}: drop or repair such rows"
            )
        constant = np.flatnonzero(block.max(axis=0) == block.min(axis=0))
        if constant.size:
            raise InputError(
                f"{name} column {constant[0]} is constant: leave it out, it tells nothing"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            size = block.std(axis=0)
        extreme = np.flatnonzero(~((size > 1e-100) & (size < 1e100)))
        if extreme.size:
            raise InputError(
                f"{name} column {extreme[0]} has values too large or too small to square: rescale it"
            )
    _check_columns(arrays, names)
    return tuple(arrays)


def _check_columns(arrays, names) -> None:
    """No column of a block a linear function of those before it, nor an increasing function of one;
    and none of one block so of the others, unless it has ties: what a few values tell is finite."""
    names = [name for name, _ in zip(names, arrays, strict=False)]
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
    free = np.flatnonzero(~gaussian.has_ties(together))
    for index, before in _repeats(together[:, free]):
        name, column = owners[free[index]]
        twin = (
            "the columns before it"
            if before is None
            else "{} column {}".format(*owners[free[before]])
        )
        raise InputError(
            f"{name} column {column} is a function of {twin}: their information is infinite; leave one of them out"
        )


def _repeats(columns):
    """(index, twin) of columns [N, D] that are a linear function of those before, the twin being
    the one where it is one, or None; of the values, then of their ranks."""
    for scores in (columns, gaussian.by_rank(columns)):
        scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
        rest = np.abs(np.diagonal(np.linalg.qr(scores, mode="r"))) / len(scores) ** 0.5
        for index in np.flatnonzero(rest < 1e-6):
            twins = np.flatnonzero(
                np.abs(scores[:, :index].T @ scores[:, index]) / len(scores) > 1 - 1e-9
            )
            yield index, (twins[0] if twins.size else None)


def check_labels(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x as float64 [N, dim] and the number [N] of every example's label among the different ones.

    Raises InputError for labels that are not integers, or of which one has fewer than ten examples.
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != np.shape(x)[:1]:
        raise InputError(
            f"labels are {labels.dtype} of shape {labels.shape}: give one integer for each row of x"
        )
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(values) < 2:
        raise InputError(f"all labels are {values[0]}: give two or more different ones")
    if counts.min() < 10:
        value = values[counts.argmin()]
        raise InputError(
            f"label {value} has {counts.min()} examples: ten or more of each are wanted, drop rarer ones"
        )
    (x,) = check(x)
    return x, index


def check_no_function(x: np.ndarray, y: np.ndarray) -> None:
    """Raises InputError where a column of one block is a function of the other block, of one or two
    columns, as far as the samples can tell: then the information is infinite, or more than they
    show.

    What nearest neighbours miss of an example, by a plane through them, shrinks like N^(-2/dim)
    where there is a smooth function, and stays where there is noise. Refused is only what
    extrapolates to nothing: from a quarter of the rows to half and to all it shrinks at half of
    that rate or more, to less than 2% of the interquartile range; or it is nothing already. Columns
    with ties are left out: what a few values tell is finite.
    """
    every = max(1, len(x) // 20_000)
    x, y = x[::every], y[::every]
    for (name, block), (other, values) in ((("x", x), ("y", y)), (("y", y), ("x", x))):
        dim = block.shape[1]
        columns = np.flatnonzero(~gaussian.has_ties(values))
        if dim > 2 or not columns.size or gaussian.has_ties(block).any():
            continue
        block, scaled = (a / _spread(a) for a in (block, values[:, columns]))
        quarter, half, all_rows = (
            np.mean(
                [_missed(block[start::parts], scaled[start::parts]) for start in range(parts)],
                axis=0,
            )
            for parts in (4, 2, 1)
        )
        last, whole = (
            np.log(np.maximum(a, 1e-12) / np.maximum(all_rows, 1e-12)) for a in (half, quarter)
        )
        rate = 2 / dim * np.log(2)
        sharp = (all_rows < 1e-9) | (
            (all_rows < 0.02) & (last > 0.5 * rate) & (whole > 0.7 * 2 * rate)
        )
        if sharp.any():
            column = columns[np.argmax(sharp)]
            raise InputError(
                f"{other} column {column} is a function of {name}, or nearly: their information is infinite, or the "
                "relation sharper than the samples show; leave the column out, or give it its noise"
            )


def _spread(values):
    """The interquartile range of every column, or its deviation where half of it is one value."""
    quartiles = np.subtract(*np.percentile(values, (75, 25), axis=0))
    return np.where(quartiles > 0, quartiles, values.std(axis=0))


def _missed(block, values):
    """The median of |value - its prediction by a plane through 3 dim + 1 neighbours|, in every
    column of values, as it would be of noise of one deviation."""
    n, dim = block.shape
    count = 3 * dim + 1
    found = cKDTree(block).query(block, k=count + 1)[1]
    others = found != np.arange(n)[:, None]
    others[others.all(axis=1), -1] = False  # twins in the block hid the example itself
    near = found[others].reshape(n, count)
    offset = block[near] - block[:, None]
    reach = np.abs(offset).max(axis=(1, 2), keepdims=True)
    plane = np.concatenate([np.ones((n, count, 1)), offset / np.where(reach > 0, reach, 1)], axis=2)
    weights = np.linalg.pinv(plane)[:, 0]  # of the neighbours in the prediction
    error = values - np.einsum("nk,nkc->nc", weights, values[near])
    return np.median(np.abs(error) / np.sqrt(1 + np.sum(weights**2, axis=1))[:, None], axis=0)
