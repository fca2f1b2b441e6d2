"""Types of the fields of a config, by the annotations of the settings that they become.

The command line takes the type of every value from the config file; a file that a person has edited
may hold anything.
"""

import numbers
import types
import typing

from diffenc.errors import InputError

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text in quotes",
    types.NoneType: "None",
}
PLURALS = {
    int: "whole numbers, as in (1, 2)",
    float: "numbers, as in (0.5, 1.0)",
    str: "texts, as in ('a', 'b')",
}
LONGEST = 60  # letters of a value that are shown


def check_type(name: str, value, wanted) -> None:
    """Raise an InputError unless a value has the type that an annotation wants.

    Args:
        name: of the field.
        value: of it.
        wanted: int, float, bool, str, None, tuples of these, and any choice of them. What is
            annotated by anything else has its own checks, and passes.
    """
    if not _holds(value, wanted):
        shown = " ".join(repr(value).split())
        if len(shown) > LONGEST:
            shown = f"{shown[:LONGEST]}..."
        raise InputError(f"{name} is {shown}: give {_describe(wanted)}")


def _holds(value, wanted) -> bool:
    if wanted is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if wanted is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    if wanted in (bool, str, types.NoneType):
        return isinstance(value, wanted)
    parts = typing.get_args(wanted)
    if _is_choice(wanted):
        return any(_holds(value, part) for part in parts)
    if typing.get_origin(wanted) is not tuple:
        return True
    if not isinstance(value, tuple | list):
        return False
    if parts[-1] is Ellipsis:
        return all(_holds(one, parts[0]) for one in value)
    return len(value) == len(parts) and all(map(_holds, value, parts))


def _describe(wanted) -> str:
    parts = typing.get_args(wanted)
    if _is_choice(wanted):
        return " or ".join(_describe(part) for part in parts)
    if typing.get_origin(wanted) is tuple:
        return PLURALS.get(parts[0], "tuples of numbers, as in ((0.5, 1.0), (2.0, 3.0))")
    return WORDS[wanted]


def _is_choice(wanted) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)
