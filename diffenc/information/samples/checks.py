"""What an estimate of information requires of its samples, each with an error of one line."""

import numpy as np

from diffenc.errors import InputError
from diffenc.information.codes.labels import LEAST_EXAMPLES
from diffenc.information.coordinates import gaussian

LEAST_ROWS = 100


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
        raise InputError(f"rows differ in number ({counts}): give the same rows of each")
    rows = min(lengths)
    if rows < LEAST_ROWS:
        raise InputError(
            f"{rows} row{' is' if rows == 1 else 's are'} too few: "
            f"an estimate with an error needs {LEAST_ROWS} or more"
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
    if constant.size == 1:
        raise InputError(
            f"{name} column {constant[0]} is constant: leave it out, it has no information"
        )
    if constant.size:
        listed = ", ".join(f"{name} column {column}" for column in constant)
        raise InputError(f"{listed} are constant: leave them out, they have no information")
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
        repeats = list(_repeats(block))
        sums = sorted({column for column, before in repeats if before is None})
        if len(sums) > 1:
            listed = ", ".join(f"{name} column {column}" for column in sums)
            raise InputError(f"{listed} repeat the columns before them: leave them out")
        for column, before in repeats:
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
    if np.min(counts) < LEAST_EXAMPLES:
        raise InputError(
            f"label {values[np.argmin(counts)]} has {np.min(counts)} of the "
            f"{LEAST_EXAMPLES} examples that each label needs: give coarser labels, or numbers "
            "(of dates the days since the first)"
        )
    (x,) = check(x)
    return x, index
