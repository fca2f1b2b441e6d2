"""How the processes of a run find each other at its start, and leave together at its end.

Each process is one `python -m experiments.NAME ...`. On a pod of TPUs there is one for each host,
on GPUs one for each GPU or one for each host. jax recognizes Cloud TPU virtual machines by their
metadata, Slurm, Open MPI and Kubernetes by theirs; elsewhere three variables say it:

    JAX_COORDINATOR_ADDRESS   address and port of the first process
    JAX_NUM_PROCESSES         how many there are
    JAX_PROCESS_ID            0, 1, ...
"""

import contextlib
import dataclasses
import os
import re
import socket
import sys
import threading
import time
import traceback
import warnings
from typing import Any

import jax

from diffenc.errors import InputError, check_choice, describe
from diffenc.run import checkpoints, parallel, stops

CHOICES = ("auto", "yes", "no")
START_WAIT = 300.0  # seconds, for the others to come at the start
MARGIN = 60  # seconds by which jax waits longer than we do: when it gives up, it aborts the process


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What a process has to know to join the others.

    Attributes:
        address: of the first process, with a port.
        count: how many processes there are.
        index: which of them this is.
    """

    address: str
    count: int
    index: int


@contextlib.contextmanager
def joined(choice: str = "auto", seconds: float = START_WAIT):
    """Join the other processes of the run, and leave together with them.

    Where this process ends by an error, the others are told, and it waits for them for some
    seconds: jax by itself would let all wait for minutes.

    Args:
        choice: "auto" joins others if jax recognizes a cluster of more than one process, "yes"
            insists on a cluster, "no" runs alone whatever the environment says.
        seconds: for all processes to come.

    Raises:
        InputError: the environment says too little, or nothing where a cluster is insisted on.
    """
    start(choice, seconds)
    try:
        yield
    except BaseException as error:
        _leave_after(error)  # of several processes it does not return
        raise
    parallel.wait_for_all("end of the run")


def start(choice: str = "auto", seconds: float = START_WAIT) -> None:
    """Join the other processes of the run, see `joined`; a second time, nothing happens."""
    check_choice("distributed", choice, CHOICES)
    if choice == "no" or jax.distributed.is_initialized():
        return
    cluster = recognize(os.environ, seconds)
    if cluster is None and choice == "yes":
        raise InputError(
            "distributed is yes, and jax recognizes no cluster here: set JAX_COORDINATOR_ADDRESS, "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID, or give --distributed=no"
        )
    if cluster is None or (cluster.count == 1 and choice == "auto"):
        return
    if cluster.index == 0:
        _check_port(cluster.address)
    # The loop handles SIGTERM itself and all agree on it: jax's own handler would never be called.
    jax.config.update("jax_enable_preemption_service", False)
    patience = threading.Timer(seconds, _give_up, (cluster, seconds))
    patience.daemon = True
    patience.start()
    try:
        jax.distributed.initialize(
            cluster.address,
            cluster.count,
            cluster.index,
            initialization_timeout=int(seconds) + MARGIN,
            shutdown_timeout_seconds=60,
        )
    finally:
        patience.cancel()
    parallel.introduce(f"{socket.gethostname()}, pid {os.getpid()}")
    if jax.default_backend() == "cpu":
        # There only the first process ever finds its programs in the persistent cache: the others
        # would still compile when the first, after 30 seconds, gives up waiting for their devices.
        jax.config.update("jax_enable_compilation_cache", False)


def recognize(environment, seconds: float = START_WAIT) -> Cluster | None:
    """Say what cluster this process belongs to; None where it stands alone.

    What the variables JAX_... leave open, jax's cluster detection fills in.

    Args:
        environment: the variables, those of this process.
        seconds: for the name of the first host to be known to the network.

    Raises:
        InputError: something is missing, or is no whole number.
    """
    from jax._src.clusters import ClusterEnv  # there is no public name for asking without joining

    address = environment.get("JAX_COORDINATOR_ADDRESS")
    if address is None and environment.get("SLURM_STEP_NUM_TASKS") == "1":
        return None  # such as a shell inside of a larger job, which the job's own count misleads
    count = _whole(environment, "JAX_NUM_PROCESSES", "OMPI_COMM_WORLD_SIZE")
    index = _whole(environment, "JAX_PROCESS_ID", "OMPI_COMM_WORLD_RANK")
    if None in (address, count, index):
        try:
            with warnings.catch_warnings(action="ignore"):  # of what a lone process does not need
                address, count, index, _ = ClusterEnv.auto_detect_unset_distributed_params(
                    address, count, index, None, None, int(seconds)
                )
        except Exception as error:
            raise InputError(
                f"jax cannot tell what cluster this process is in ({describe(error)}): set "
                "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, or give "
                "--distributed=no for a process alone"
            ) from error
    if address is None and count is None and "JAX_PROCESS_ID" in environment:
        _known("JAX_COORDINATOR_ADDRESS", None)
    if address is None and count in (None, 1):
        return None
    address = _known("JAX_COORDINATOR_ADDRESS", address)
    count = _known("JAX_NUM_PROCESSES", count)
    index = _known("JAX_PROCESS_ID", index)
    if not 0 <= index < count:
        raise InputError(f"JAX_PROCESS_ID is {index}: give 0 to {count - 1}")
    if not re.fullmatch(r".+:\d+", address):
        raise InputError(
            f"JAX_COORDINATOR_ADDRESS is {address!r}: give an address with a port, "
            f"as in {address}:8476"
        )
    return Cluster(address, count, index)


def _check_port(address: str) -> None:
    """Raise InputError where another has the port of the first process: there jax would crash."""
    port = int(address.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} of JAX_COORDINATOR_ADDRESS cannot be opened here ({describe(error)}): "
            "give all processes another one, that no other run has"
        ) from error


def _known(name: str, value: Any) -> Any:
    """Return the value of a variable; raise InputError where it is None."""
    if value is None:
        raise InputError(
            f"this process is one of several, but {name} is not set, and jax cannot tell it "
            "from this environment: set it, or give --distributed=no"
        )
    return value


def _whole(environment, *names: str) -> int | None:
    """Return the first variable that is set, a whole number."""
    for name in names:
        value = environment.get(name)
        if value is not None:
            if not value.isdigit():
                raise InputError(f"{name} is {value!r}: set it to a whole number")
            return int(value)
    return None


def _give_up(cluster: Cluster, seconds: float) -> None:
    """End this process, in which jax waits for the others, with one line."""
    print(
        f"error: of the {cluster.count} processes of this run some did not come to "
        f"{cluster.address} within {seconds:.0f} s (this is process {cluster.index}, on host "
        f"{socket.gethostname()}): start the same command on every host, see that each reaches "
        "that address, or give --distributed=no for a run of this process alone",
        file=sys.stderr,
        flush=True,
    )
    os._exit(parallel.TRY_AGAIN)


def _leave_after(error: BaseException) -> None:
    """Say what ended this process, tell the others, and end together with them where they come."""
    if jax.process_count() == 1:
        return
    if stops.ending.is_set():  # what broke off here is said already
        time.sleep(2 * stops.LEAVING)
    status = status_of(error)
    if _is_broken_connection(error):
        status = parallel.TRY_AGAIN
        print(
            f"error: another process of this run is gone ({describe(error)}): give the same "
            "commands again",
            file=sys.stderr,
        )
    elif isinstance(error, InputError | parallel.Missing):
        print(f"error: {error}", file=sys.stderr)
    elif not isinstance(error, SystemExit | KeyboardInterrupt):
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    parallel.tell("end", f"{status} {describe(error)}")
    # With the first process the connection of the others ends, which would abort them: it stays
    # until they have ended. To return without them would be to wait in jax's own end.
    seconds = stops.LEAVING * (2 if parallel.is_main_process() else 1)
    try:
        parallel.wait_for_all("end after an error", seconds)
    except parallel.Missing:
        os._exit(status)
    if isinstance(error, checkpoints.NotSaved):  # threads of orbax would hold the process
        time.sleep(parallel.is_main_process())
        os._exit(status)
    raise SystemExit(status) from None


def _is_broken_connection(error: BaseException) -> bool:
    """Return whether devices lost those of another process, as far as the words of jax tell."""
    words = r"Connection (reset|closed|refused)|Socket closed|remote process (has )?exited"
    return isinstance(error, jax.errors.JaxRuntimeError) and bool(re.search(words, str(error)))


def status_of(error: BaseException) -> int:
    """Return the exit status of a process that an error ends."""
    if isinstance(error, InputError):
        return 2
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1
