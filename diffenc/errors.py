"""The one error a person can cause: a bad value, file or setting, named with its remedy."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A bad input; its message is one line that names the culprit and says what to do instead."""


def describe(error: BaseException) -> str:
    """Put an error in at most 120 characters of one line, to be part of a message of one line."""
    text = " ".join(str(error).split()) or "no details"
    return f"{type(error).__name__}: {text[:120]}"


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise an InputError unless the setting called `name` has one of the values in `choices`."""
    choices = sorted(choices)
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f" (nearest: {near[0]})" if near else ""
        raise InputError(f"{name} is {value!r}: choose one of {', '.join(choices)}{hint}")


def check_least(name: str, value: float, least: float) -> None:
    """Raise an InputError unless the setting called `name` is a number of at least `least`."""
    if not value >= least:
        raise InputError(f"{name} is {value}: give {least} or more")


def check_positive(name: str, value: float) -> None:
    """Raise an InputError unless the setting called `name` is a number above 0."""
    if not value > 0:
        raise InputError(f"{name} is {value}: give a number above 0")


def check_fraction(name: str, value: float) -> None:
    """Raise an InputError unless the setting called `name` is a number in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError(f"{name} is {value}: give a number in [0, 1)")
