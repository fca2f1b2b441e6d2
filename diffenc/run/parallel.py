"""Devices, in the only file that names one: start-up, the mesh, replication, sharding of batches.

Everything is one program over a one-dimensional mesh: states are replicated, batches are split
along their batch axis, and `jax.jit` inserts the sums. The result is therefore that of a single
device, up to the order of the additions.
"""

import itertools
import os

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from diffenc.errors import InputError

AXIS = "data"
LONGEST_WAIT = 3600  # seconds, for the slowest process
_waits = itertools.count()  # the name of a barrier can be used once


def start() -> None:
    """Join the other processes of a run over many hosts.

    On one host, or the second time, nothing happens. Many hosts are asked for by
    JAX_COORDINATOR_ADDRESS (with JAX_NUM_PROCESSES and JAX_PROCESS_ID), by a Slurm or Open MPI job
    of more than one task, or by a list of more than one TPU worker.
    """
    if not _wants_many_hosts(os.environ) or jax.distributed.is_initialized():
        return
    settings = {}
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        for argument, variable in (
            ("num_processes", "JAX_NUM_PROCESSES"),
            ("process_id", "JAX_PROCESS_ID"),
        ):
            value = os.environ.get(variable, "")
            if not value.isdigit():
                raise InputError(
                    f"JAX_COORDINATOR_ADDRESS is set but {variable} is {value!r}: "
                    "set it to a whole number"
                )
            settings[argument] = int(value)
        settings["coordinator_address"] = os.environ["JAX_COORDINATOR_ADDRESS"]
    jax.distributed.initialize(**settings)
    if jax.default_backend() == "cpu":
        # There only the first process ever finds its programs in the persistent cache: the others
        # would still compile when the first, after 30 seconds, gives up waiting for their devices.
        jax.config.update("jax_enable_compilation_cache", False)


def _wants_many_hosts(environment) -> bool:
    tasks = [
        environment.get(name, "1") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    ]
    many_tasks = any(value.isdigit() and int(value) > 1 for value in tasks)
    return (
        "JAX_COORDINATOR_ADDRESS" in environment
        or many_tasks
        or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
    )


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
    placed = jax.device_put(jax.tree.map(_plain, tree), NamedSharding(mesh, PartitionSpec()))
    return jax.tree.map(_like, tree, placed)


def _is_key(leaf) -> bool:
    return jax.dtypes.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def _plain(leaf):
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


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


def first_says(is_so: bool) -> bool:
    """Return in every process what the first one says, once all have come here."""
    if jax.process_count() == 1:
        return is_so
    from jax.experimental import multihost_utils

    wait_for_all("the first process")
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(is_so)))


def wait_for_all(what: str) -> None:
    """Return once every process of the run has come here.

    `what` names the place in the error of one that does not. This is to be called between work that
    takes processes unequal times, such as compiling an evaluation, and computations that they
    share: on CPUs, devices that meet for the first time wait 30 seconds for each other and then
    fail.
    """
    from orbax.checkpoint import multihost

    everyone = set(range(jax.process_count()))
    multihost.sync_global_processes(
        f"{what} {next(_waits)}", timeout=LONGEST_WAIT, processes=everyone
    )
