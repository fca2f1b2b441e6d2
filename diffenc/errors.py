"""The one error a person can cause: a bad value, file or setting, named with its remedy."""


class InputError(ValueError):
    """A bad input; its message is one line that names the culprit and says what to do instead."""


def describe(error: BaseException) -> str:
    """Put an error in at most 120 characters of one line, to be part of a message of one line."""
    text = " ".join(str(error).split()) or "no details"
    return f"{type(error).__name__}: {text[:120]}"
