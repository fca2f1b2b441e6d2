"""Training examples: whole on every device, or, where they are too many, on the host and fed ahead.

Which of the two is a matter of memory alone: the batches of every update are the same, in the same
order, so the result is too. Arrays of numpy as a `Trainee`'s examples are on the host.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.run import parallel

SHARE = 0.25  # of a device's memory, which examples may take: the rest is for training


class Batches(NamedTuple):
    """What the updates of a dispatch read, as `training.scan_updates` takes it.

    Attributes:
        data: tree of arrays, all examples [n, ...], or the rows of each update [updates, batch,
            ...].
        indices: of the rows of each update [updates, batch]; None where `data` are the rows.
    """

    data: Any
    indices: jax.Array | None


def place(mesh, examples):
    """Copy training examples to each device, or leave them on the host and say so in one line.

    Args:
        mesh: the devices.
        examples: tree of arrays [n, ...].

    Returns:
        A tree of arrays of jax, replicated over the mesh, or of numpy.
    """
    on_host = jax.tree.map(_as_devices_have_it, examples)
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(on_host))
    room = memory(mesh)
    if parallel.first_says(room is None or num_bytes <= SHARE * room):
        return parallel.replicate(mesh, on_host)
    print(
        f"the training examples take {num_bytes:,} bytes, more than {SHARE:.0%} of the "
        f"{room:,} of a device: they stay on the host and are fed ahead of use",
        flush=True,
    )
    return on_host


def memory(mesh) -> int | None:
    """Return the bytes of a device's memory; None where it is the host's, or is not told."""
    device = next(iter(mesh.local_devices))
    return (device.memory_stats() or {}).get("bytes_limit")


def is_fed(examples) -> bool:
    """Return whether examples lie on the host."""
    return any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(examples))


def updates_at_once(examples, updates: int, batch_size: int, mesh) -> int:
    """Return how many updates are fed at once, a divisor of `updates`.

    Two such lots, that in use and that fed ahead, take no more of a device than examples may.
    """
    room = memory(mesh)
    if room is None or not is_fed(examples):
        return updates
    row_bytes = sum(math.prod(a.shape[1:]) * a.dtype.itemsize for a in jax.tree.leaves(examples))
    most = SHARE * room / 2 / (row_bytes * batch_size / mesh.size)
    divisors = [count for count in range(1, updates + 1) if updates % count == 0]
    return max(count for count in divisors if count <= max(1, most))


def batches_of(examples, rows: np.ndarray, mesh) -> Batches:
    """Place what the updates of a dispatch read.

    Args:
        examples: as `place` gives them.
        rows: of the examples that each update uses [updates, batch], of the whole run.
        mesh: over which the batches are split.

    Returns:
        The batches, whose rows may still be on their way.
    """
    rows = rows[:, parallel.local_rows(rows.shape[1])]
    if not is_fed(examples):
        return Batches(examples, parallel.shard_batch(mesh, rows, axis=1))
    fed = jax.tree.map(lambda a: parallel.shard_batch(mesh, np.asarray(a)[rows], axis=1), examples)
    return Batches(fed, None)


def _as_devices_have_it(array) -> np.ndarray:
    array = np.asarray(array)
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)
