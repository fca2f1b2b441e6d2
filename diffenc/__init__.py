"""Diffusion encoders and the information theory of diffusion models, in JAX.

The names below are imported when they are asked for: `import diffenc` loads no JAX and computes
nothing.
"""

import gc
import importlib
import sys
from typing import TYPE_CHECKING

from diffenc.xla_flags import avoid_wrong_numbers

if TYPE_CHECKING:  # for editors and checkers of types, which do not run `__getattr__`
    from diffenc.errors import InputError
    from diffenc.information.conditional_estimates import conditional_information
    from diffenc.information.estimates import entropy, mutual_information, total_correlation
    from diffenc.information.matrix import mutual_information_matrix
    from diffenc.models import load

avoid_wrong_numbers()
__version__ = "0.1.0"
__all__ = [
    "InputError",
    "conditional_information",
    "entropy",
    "load",
    "mutual_information",
    "mutual_information_matrix",
    "total_correlation",
]
# Where each name is: its module, and what it is called there.
_PLACES = {
    "InputError": ("diffenc.errors", "InputError"),
    "conditional_information": (
        "diffenc.information.conditional_estimates",
        "conditional_information",
    ),
    "entropy": ("diffenc.information.estimates", "entropy"),
    "load": ("diffenc.models", "load"),
    "mutual_information": ("diffenc.information.estimates", "mutual_information"),
    "mutual_information_matrix": ("diffenc.information.matrix", "mutual_information_matrix"),
    "total_correlation": ("diffenc.information.estimates", "total_correlation"),
}


def __getattr__(name):
    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        # With the module, Python says which name of it is near.
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    module, attribute = _PLACES[name]
    was_on = gc.isenabled()
    gc.disable()  # nothing of what is imported is garbage, and looking for it takes a sixth longer
    try:
        return getattr(importlib.import_module(module), attribute)
    finally:
        if was_on:
            gc.enable()


def __dir__():
    return sorted({*globals(), *__all__})
