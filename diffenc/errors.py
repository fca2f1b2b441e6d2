"""The one error a person can cause: a bad value, file or setting, named with its remedy.

Settings check themselves in `__post_init__` by the checks of this file. A message begins with the
name of the field, as in "draws is 0: give 1 or more"; a command line puts the place of the field
before it.
"""

import difflib
import math
import numbers
from collections.abc import Iterable


class InputError(ValueError):
    """A bad input; its message is one line that names the culprit and says what to do instead."""

    def __init__(self, message: str = ""):
        """Take a message, and make one line of it, whatever the value that it names looks like."""
        super().__init__(" ".join(str(message).splitlines()))


def describe(error: BaseException) -> str:
    """Put an error in at most 120 characters of one line, to be part of a message of one line."""
    text = " ".join(str(error).split()) or "no details"
    return f"{type(error).__name__}: {text[:120]}"


def check(holds: bool, name: str, value, remedy: str) -> None:
    """Raise an InputError that names a value and its remedy, unless the value can be used.

    Args:
        holds: whether it can.
        name: of the field or parameter.
        value: what it is.
        remedy: what to give instead, as in "give 1 or more".
    """
    if not holds:
        raise InputError(f"{name} is {value}: {remedy}")


def check_whole(name: str, value, least: int) -> None:
    """Raise an InputError unless the value called `name` is a whole number of at least `least`."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    kind = "" if is_whole else "a whole number of "
    check(is_whole and value >= least, name, value, f"give {kind}{least} or more")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise an InputError unless the value called `name` is one of `choices`."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" (nearest: {near[0]})" if near else ""
    check(value in choices, name, repr(value), f"choose one of {', '.join(choices)}{hint}")


def check_least(settings, least: float, *names: str) -> None:
    """Raise an InputError unless these fields of the settings are numbers of at least `least`.

    One that is None was not given, and passes.
    """
    for name in names:
        value = getattr(settings, name)
        is_number = isinstance(value, numbers.Real)
        check(value is None or (is_number and value >= least), name, value, f"give {least} or more")


def check_positive(settings, *names: str) -> None:
    """Raise an InputError unless these fields of the settings are finite numbers above 0.

    One that is None was not given, and passes.
    """
    for name in names:
        value = getattr(settings, name)
        kind = "a finite number" if value == math.inf else "a number"
        is_number = isinstance(value, numbers.Real)
        holds = value is None or (is_number and 0 < value < math.inf)
        check(holds, name, value, f"give {kind} above 0")


def check_fraction(settings, *names: str) -> None:
    """Raise an InputError unless these fields of the settings are numbers in [0, 1)."""
    for name in names:
        value = getattr(settings, name)
        holds = isinstance(value, numbers.Real) and 0 <= float(value) < 1
        check(holds, name, value, "give a number in [0, 1)")


def check_widths(settings, *names: str) -> None:
    """Raise an InputError unless these fields of the settings are widths of one layer or more."""
    for name in names:
        widths = getattr(settings, name)
        is_of_numbers = isinstance(widths, tuple | list) and all(
            isinstance(width, numbers.Real) for width in widths
        )
        holds = is_of_numbers and bool(widths) and min(widths) >= 1
        check(holds, name, widths, "give widths of 1 or more, one of them or more")
