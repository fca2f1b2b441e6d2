"""Checks of arrays that a trained model is given: their shape, their numbers, their scale."""

import numpy as np

from diffenc.errors import InputError


def in_order(x, columns: tuple[str, ...]):
    """Return the columns of a table by the names that a model was trained on, in their order.

    What has no names, or a model that knows none, leaves x as it is.

    Args:
        x: a DataFrame, or anything else.
        columns: the names of the dimensions.

    Raises:
        InputError: the table lacks one of them.
    """
    given = [str(name) for name in getattr(x, "columns", ())]
    is_numbered = given == [str(index) for index in range(len(given))]
    if not columns or is_numbered:
        return x
    missing = [name for name in columns if name not in given]
    if missing:
        raise InputError(
            f"x has the columns {', '.join(given)}, and the model was trained on "
            f"{', '.join(columns)}: give {', '.join(missing)} as well, or an array without names "
            "in their order"
        )
    return x[[name for wanted in columns for name in x.columns if str(name) == wanted]]


def check_rows(x, example_shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return examples as float32 [n, *example_shape].

    Args:
        x: [n, *example_shape]; [n, h, w] where that is (h, w, 1); or flat [n, D].
        example_shape: of one.
        name: what x is called in an error.

    Raises:
        InputError: x has another shape, no examples, or a value that is no finite float32.
    """
    if np.ma.isMaskedArray(x) and np.ma.getmaskarray(x).any():
        raise InputError(f"{name} has masked entries: fill them, or leave such examples out")
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise InputError(f"{name} is no array: give numbers of one shape") from error
    if x.dtype.kind not in "biuf":  # to numpy a span of time is an integer, too
        raise InputError(f"{name} has dtype {x.dtype}: give real numbers")
    shapes = {(int(np.prod(example_shape)),), tuple(example_shape)}
    if len(example_shape) == 3 and example_shape[-1] == 1:
        shapes.add(tuple(example_shape[:2]))
    if x.shape[1:] not in shapes or x.ndim < 2:
        wanted = " or ".join(
            f"[n, {', '.join(map(str, shape))}]" for shape in sorted(shapes, key=len, reverse=True)
        )
        is_one = x.shape in shapes
        problem = "one example without an axis of examples" if is_one else "not that of its model"
        remedy = f"give {name}[None]" if is_one else f"give {wanted}"
        raise InputError(f"{name} has shape {x.shape}, {problem}: {remedy}")
    if len(x) == 0:
        raise InputError(f"{name} has shape {x.shape}, no examples: give one or more")
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    is_bad = ~np.isfinite(narrow)
    if is_bad.any():
        first = tuple(int(index) for index in np.argwhere(is_bad)[0])
        raise InputError(
            f"{name} has {is_bad.sum()} values that are NaN, infinite or beyond float32, "
            f"the first at {first}: mend them, or leave such examples out"
        )
    return narrow.reshape(len(x), *example_shape)


def check_signs(x: np.ndarray) -> None:
    """Raise an InputError where x is not in the units of bits that are written as -1 and +1."""
    if np.abs(x).max() > 1:
        raise InputError(
            f"x has values from {float(x.min()):g} to {float(x.max()):g}, and the model was "
            "trained on bits written as -1 and +1: give x in those units"
        )


def check_scale(x: np.ndarray, max_value: float | None, is_binary: bool) -> None:
    """Raise an InputError where x is not in the units of the data that a model was trained on.

    Args:
        x: finite numbers.
        max_value: the largest value of those data; None where they are real-valued.
        is_binary: whether the model draws bits with probability x / max_value.
    """
    if max_value is None:
        return
    low = float(x.min())
    high = float(x.max())
    if low < 0 or high > max_value:
        kind = "intensities" if is_binary else "values"
        raise InputError(
            f"x has values from {low:g} to {high:g}, and the model was trained on {kind} from 0 to "
            f"{max_value:g}: give x in those units"
        )
    if 0 < high <= 1 < max_value:
        raise InputError(
            f"x has no value above {high:g}, and the model was trained on values from 0 to "
            f"{max_value:g}: give x in those units, such as {max_value:g} * x"
        )
