"""Devices, in the only file that names one: the mesh, replication, batches; and meeting points.

Everything is one program over a one-dimensional mesh: states are replicated, batches are split
along their batch axis, and `jax.jit` inserts the sums. The result is therefore that of a single
device, up to the order of the additions.
"""

import contextlib
import itertools
import re
import time
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from diffenc.errors import InputError

AXIS = "data"
LONGEST_WAIT = 1800.0  # seconds, for the slowest process
TRY_AGAIN = 75  # exit status where others are missing (of sysexits.h): a later try may succeed
_rounds = itertools.count()  # of `agree`
_work: tuple[str, float] | None = None  # of `together`, and when it began


class Missing(SystemExit):
    """Raised where other processes of the run did not come in time; `str` of it names them."""

    def __init__(self, message: str):
        super().__init__(TRY_AGAIN)
        self.message = message

    def __str__(self):
        return self.message


class News(NamedTuple):
    """What a process has told the others.

    Attributes:
        process: which one.
        kind: "stop" or "end".
        text: the number of the signal; the exit status and the reason.
    """

    process: int
    kind: str
    text: str


def data_mesh(num_devices: int = 0) -> Mesh:
    """Make the one-dimensional mesh `data` over the first `num_devices` devices, or over all.

    Args:
        num_devices: how many; 0 stands for all, which several processes must use.

    Returns:
        The mesh.

    Raises:
        InputError: there are fewer devices, or another process would be left without one.
    """
    devices = jax.devices()
    count = len(devices) if num_devices == 0 else num_devices
    if not 1 <= count <= len(devices):
        raise InputError(
            f"num_devices is {count}, and this run has {len(devices)}: "
            f"give a number from 1 to {len(devices)}, or 0 for all"
        )
    if jax.process_count() > 1 and count < len(devices):
        raise InputError(
            f"num_devices is {count}, and the {jax.process_count()} processes of this run have "
            f"{len(devices)} together: give 0, for all"
        )
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count])


def replicate(mesh: Mesh, tree):
    """Copy every leaf of a tree whole to each device of the mesh.

    Each process gives the same values. Typed keys travel as the integers that they hold, because
    jax does not place them on devices of other processes.
    """
    wait_for_all("replicate")
    values = jax.tree.map(_plain if jax.process_count() == 1 else _on_host, tree)
    placed = jax.device_put(values, NamedSharding(mesh, PartitionSpec()))
    return jax.tree.map(_like, tree, placed)


def _is_key(leaf) -> bool:
    return jax.dtypes.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def _plain(leaf):
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _on_host(leaf):
    """Return a leaf as an array of numpy, which every process can place."""
    return np.asarray(_plain(leaf))


def _like(leaf, placed):
    return (
        jax.random.wrap_key_data(placed, impl=jax.random.key_impl(leaf))
        if _is_key(leaf)
        else placed
    )


def local(tree):
    """Return a replicated tree, typed keys included, as this process's first device holds it.

    What is computed from it waits for no other process.
    """
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def mesh_of(tree) -> Mesh:
    """Return the mesh of a tree that `replicate` has placed; that of one device for any other."""
    for leaf in jax.tree.leaves(tree):
        if isinstance(getattr(leaf, "sharding", None), NamedSharding):
            return leaf.sharding.mesh
    return Mesh(np.array(jax.local_devices()[:1]), (AXIS,), axis_types=(AxisType.Auto,))


def shard_batch(mesh: Mesh, array, axis: int = 0) -> jax.Array:
    """Split a global array along its batch over the devices of the mesh.

    Args:
        mesh: the devices.
        array: [..., local batch, ...], the rows that this process holds, see `local_rows`.
        axis: that of the batch.

    Returns:
        The global array [..., batch, ...].

    Raises:
        InputError: the batch does not divide over the devices.
    """
    array = np.asarray(array)
    check_batch(array.shape[axis] * jax.process_count(), mesh)
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))
    return jax.make_array_from_process_local_data(sharding, array)


def local_rows(batch_size: int) -> slice:
    """Say which rows of a global batch this process feeds to `shard_batch`."""
    rows = batch_size // jax.process_count()
    return slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)


def check_batch(batch_size: int, mesh: Mesh) -> None:
    """Raise InputError unless a batch is positive and divides evenly over the devices."""
    count = mesh.size
    if batch_size < 1 or batch_size % count:
        near = max(count, batch_size // count * count)
        raise InputError(
            f"batch size {batch_size} does not divide over {count} devices: "
            f"give a multiple of {count}, such as {near}"
        )


def is_main_process() -> bool:
    """Return whether this process writes the files and prints: the first of the run does."""
    return jax.process_index() == 0


def check_alone(what: str) -> None:
    """Raise an InputError where this process is one of several, for what is not divided."""
    count = jax.process_count()
    if count > 1:
        raise InputError(
            f"{what} runs on one process, and this is one of {count}: start it on one host alone, "
            "with --distributed=no where the environment says that there are others"
        )


def first_says(is_so: bool) -> bool:
    """Return in every process what the first one says, once all have come here."""
    if jax.process_count() == 1:
        return is_so
    from jax.experimental import multihost_utils

    wait_for_all("the first process")
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(is_so)))


def wait_for_all(what: str, seconds: float | None = None) -> None:
    """Return once every process of the run has come here.

    This is to be called between work that takes processes unequal times, such as compiling an
    evaluation, and computations that they share: on CPUs, devices that meet for the first time
    wait 30 seconds for each other and then fail; elsewhere they wait for ever.

    Args:
        what: names the place.
        seconds: to wait; None: `LONGEST_WAIT`.

    Raises:
        Missing: not all have come in time.
    """
    if jax.process_count() == 1:
        return
    seconds = LONGEST_WAIT if seconds is None else seconds
    try:
        _client().wait_at_barrier(what, int(1000 * seconds))
    except jax.errors.JaxRuntimeError as error:
        raise Missing(_explain(what, seconds, str(error))) from error


def _explain(what: str, seconds: float, words: str) -> str:
    """Say which processes are missing, from the error of a barrier."""
    names = re.search(r"timed out task names:\s*([\d\s]+)", words)
    if not names:
        return f"the processes of this run cannot meet at {what!r}: {' '.join(words.split())[:200]}"
    return _name_absent(sorted(map(int, names.group(1).split())), what, seconds)


def _name_absent(absent: list[int], what: str, seconds: float) -> str:
    who = "; ".join(name_of(process) for process in absent)
    return (
        f"{who} did not come to {what!r} within {seconds:.0f} s, and the rest of the "
        f"{jax.process_count()} processes ends without it: see there what it does, end it, and "
        "give the same commands again"
    )


def agree(number: int) -> int:
    """Return in every process the largest number that any of them gives, once all have come here.

    0 is nothing to say. It passes through the first process on the network, not through devices.
    """
    if jax.process_count() == 1:
        return number
    folder = f"diffenc/asked/{next(_rounds)}/"
    if number:
        _client().key_value_set(f"{folder}{jax.process_index()}", str(number))
    wait_for_all("update")
    return max([int(value) for _, value in _client().key_value_dir_get(folder)], default=0)


def all_say(text: str) -> list[str]:
    """Return what each process of the run says, in their order, once all have come here."""
    if jax.process_count() == 1:
        return [text]
    folder = f"diffenc/said/{next(_rounds)}/"
    _client().key_value_set(f"{folder}{jax.process_index()}", text)
    wait_for_all("settings")
    said = dict(_client().key_value_dir_get(folder))
    return [said[f"{folder}{process}"] for process in range(jax.process_count())]


@contextlib.contextmanager
def together(what: str):
    """Mark work in which the devices of all processes wait for each other, for `overdue`.

    What a process does alone, such as reading a file, stays outside: it may be stuck there.
    """
    global _work
    if jax.process_count() > 1:
        _client().key_value_set(f"diffenc/at/{jax.process_index()}", what, allow_overwrite=True)
        _work = (what, time.monotonic())
    try:
        yield
    finally:
        _work = None


def overdue() -> str | None:
    """Say which processes have not begun the work of `together` within `LONGEST_WAIT`, if any.

    To be called by another thread than the one that waits. Where all have begun it, they compute.
    """
    work = _work
    if work is None or time.monotonic() < work[1] + LONGEST_WAIT:
        return None
    places = dict(_client().key_value_dir_get("diffenc/at/"))
    absent = [
        process
        for process in range(jax.process_count())
        if places.get(f"diffenc/at/{process}") != work[0]
    ]
    return _name_absent(absent, work[0], LONGEST_WAIT) if absent and _work == work else None


def introduce(name: str) -> None:
    """Tell the others the host of this process, for `name_of`."""
    _client().key_value_set(f"diffenc/name/{jax.process_index()}", name)


def name_of(process: int) -> str:
    """Name a process of the run and its host."""
    try:
        return f"process {process} ({_client().key_value_try_get(f'diffenc/name/{process}')})"
    except jax.errors.JaxRuntimeError:
        return f"process {process}"


def tell(kind: str, text: str) -> None:
    """Tell the other processes of the run something, see `told`."""
    if jax.process_count() == 1:
        return
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        place = _client().key_value_increment("diffenc/news", 1)
        _client().key_value_set(f"diffenc/news/{place}", f"{jax.process_index()} {kind} {text}")


def told(place: int, seconds: float) -> News | None:
    """Return what was told as number `place` (1, 2, ...); None if nothing is in these seconds."""
    try:
        words = _client().blocking_key_value_get(f"diffenc/news/{place}", int(1000 * seconds))
    except jax.errors.JaxRuntimeError:
        return None
    process, kind, text = words.split(" ", 2)
    return News(int(process), kind, text)


def _client():
    """Return jax's connection to the first process, for which there is no public name."""
    from jax._src import distributed

    return distributed.global_state.client
