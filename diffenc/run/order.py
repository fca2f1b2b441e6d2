"""The order of training: which examples each update uses.

It is a pure function of (seed, step), so a resumed run has no iterator to restore.
"""

import functools

import numpy as np

from diffenc.errors import InputError
from diffenc.keys import rng_of


def batch_indices(
    seed: int,
    step: int,
    num_steps: int,
    batch_size: int,
    num_examples: int,
    names: tuple[str | int, ...] = (),
) -> np.ndarray:
    """Say which examples the updates step, ..., step + num_steps - 1 use.

    Update s takes positions s * batch_size, ... of the endless sequence of epochs; epoch e is the
    permutation drawn by the name ("order", *names, e) of the seed, so that several systems of a run
    have orders of their own. An update may straddle two epochs: every example is used exactly once
    in each.

    Args:
        seed: of the order.
        step: the first update.
        num_steps: the number of updates.
        batch_size: examples of an update.
        num_examples: examples there are.
        names: of the order, beside the epoch.

    Returns:
        Indices [num_steps, batch_size] int32.

    Raises:
        InputError: a count is not positive, or the seed or the step is negative.
    """
    for label, value in (
        ("num_steps", num_steps),
        ("batch_size", batch_size),
        ("num_examples", num_examples),
    ):
        if value < 1:
            raise InputError(f"{label} is {value}: give at least 1")
    for label, value in (("seed", seed), ("step", step)):
        if value < 0:
            raise InputError(f"{label} is {value}: give 0 or more")
    first = int(step) * batch_size
    last = first + num_steps * batch_size
    parts = []
    for epoch in range(first // num_examples, (last - 1) // num_examples + 1):
        order = _permutation(int(seed), names, epoch, num_examples)
        begin = epoch * num_examples  # its first position in the sequence
        parts.append(order[max(first - begin, 0) : last - begin])
    return np.concatenate(parts).reshape(num_steps, batch_size)


@functools.lru_cache(maxsize=2)
def _permutation(seed, names, epoch, num_examples):
    order = rng_of(seed, "order", *names, epoch).permutation(num_examples).astype(np.int32)
    order.setflags(write=False)
    return order
