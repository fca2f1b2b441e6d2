"""What XLA is told before it starts: not to use a part of it that computes wrong numbers."""

import importlib.metadata
import os
import sys
import warnings

# In jaxlib 0.10.2 its compiler for CPUs makes one piece of a product of stacked matrices that is
# used in another product and in a sum, and its numbers are wrong by as much as they are large. An
# empty list of what may be made into such pieces turns it off. 0.10.0, 0.10.1, 0.11.2 and 0.12.0.1
# compute rightly (tests/test_compilation.py).
WRONG = "0.10.2"
FLAG = "--xla_cpu_experimental_ynn_fusion_type"


def avoid_wrong_numbers() -> None:
    """Set the flag where this jaxlib needs it, unless the environment says something of it.

    Warns if JAX has compiled for a CPU before, because flags are read once.
    """
    try:
        version = importlib.metadata.version("jaxlib")
    except importlib.metadata.PackageNotFoundError:
        return
    flags = os.environ.get("XLA_FLAGS", "")
    if version != WRONG or FLAG in flags:
        return
    os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=".strip()
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is not None and bridge.backends_are_initialized():
        warnings.warn(
            f"JAX was used before diffenc was imported, and jaxlib {WRONG} may compute wrong "
            f"numbers on CPUs: import diffenc first, set XLA_FLAGS={FLAG}= or take another jaxlib",
            stacklevel=3,
        )
