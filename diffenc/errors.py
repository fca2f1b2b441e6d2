"""The one error a person can cause: a bad value, file or setting, named with its remedy."""


class InputError(ValueError):
    """A bad input; its message is one line that names the culprit and says what to do instead."""
