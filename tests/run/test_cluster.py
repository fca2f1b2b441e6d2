"""Which environments join the processes of a run, and what is said where they tell too little.

(That two processes join for real is tested in pods/.)"""

import dataclasses
import os
import socket

import jax
import pytest
from jax._src.clusters import cloud_tpu_cluster

from diffenc.errors import InputError
from diffenc.run import cluster, parallel
from diffenc.run.cluster import Cluster

VARIABLES = ("JAX_", "SLURM_", "OMPI_", "TPU_", "MEGASCALE_", "KUBERNETES_")
EXPLICIT = {
    "JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "2",
}
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[003-004]",
    "SLURM_NTASKS": "16",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "16",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
}


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables of a cluster, which jax reads itself, and returns them."""
    for name in list(os.environ):
        if name.startswith(VARIABLES):
            monkeypatch.delenv(name)

    def make(values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return values

    return make


@pytest.mark.parametrize(
    "values, found",
    [
        ({}, None),
        (EXPLICIT, Cluster("10.0.0.1:1234", 4, 2)),
        (SLURM, Cluster("node003:61447", 16, 9)),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),  # a shell inside of the job
        (SLURM | {"JAX_COORDINATOR_ADDRESS": "10.0.0.1:1"}, Cluster("10.0.0.1:1", 16, 9)),
        (
            OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"},
            Cluster("10.96.0.1:62624", 2, 1),
        ),
        (OPEN_MPI | {"JAX_COORDINATOR_ADDRESS": "a:1"}, Cluster("a:1", 2, 1)),
    ],
)
def test_which_cluster_an_environment_is(environment, values, found):
    assert cluster.recognize(environment(values)) == found


@pytest.mark.parametrize(
    "hosts, found", [("t0,t1,t2,t3", Cluster("t0:8482", 4, 3)), ("t0", Cluster("t0:8482", 1, 3))]
)
def test_a_slice_of_tpus_is_known_by_its_metadata(environment, monkeypatch, hosts, found):
    environment({})
    metadata = {"agent-worker-number": "3" if found.count > 1 else "0", "tpu-env": ""}
    metadata["worker-network-endpoints"] = hosts
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", lambda key: (metadata[key], 200))
    monkeypatch.setattr(cloud_tpu_cluster.socket, "gethostbyname", lambda name: "10.0.0.1")
    index = int(metadata["agent-worker-number"])
    assert cluster.recognize({}) == dataclasses.replace(found, index=index)


@pytest.mark.parametrize(
    "values, message",
    [
        (EXPLICIT | {"JAX_PROCESS_ID": "x"}, "JAX_PROCESS_ID is 'x': set it to a whole number"),
        (EXPLICIT | {"JAX_PROCESS_ID": "4"}, "JAX_PROCESS_ID is 4: give 0 to 3"),
        (EXPLICIT | {"JAX_COORDINATOR_ADDRESS": "host"}, "'host': give an address with a port"),
        (EXPLICIT | {"JAX_COORDINATOR_ADDRESS": "a:port"}, "'a:port': give an address with a port"),
        ({"JAX_PROCESS_ID": "0"}, "JAX_COORDINATOR_ADDRESS is not set"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1"}, "JAX_NUM_PROCESSES is not set"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"}, "JAX_PROCESS_ID is not set"),
        # Newer jax asks mpi4py there, and says that it is missing.
        (OPEN_MPI, "JAX_COORDINATOR_ADDRESS.* give --distributed=no"),
    ],
)
def test_what_an_environment_lacks_is_named(environment, values, message):
    with pytest.raises(InputError, match=message):
        cluster.recognize(environment(values))


def test_a_detection_that_fails_is_one_line(environment, monkeypatch):
    from jax._src.clusters import ClusterEnv

    def fail(*arguments):
        raise RuntimeError("no controller")

    monkeypatch.setattr(ClusterEnv, "auto_detect_unset_distributed_params", fail)
    environment({})
    with pytest.raises(InputError, match="no controller.*give --distributed=no"):
        cluster.recognize(os.environ)


@pytest.fixture
def joins(monkeypatch):
    """The clusters that were joined."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *what, **waits: calls.append(what))
    monkeypatch.setattr(parallel, "introduce", lambda name: None)
    monkeypatch.setattr(cluster, "_check_port", lambda address: None)
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    return calls


@pytest.mark.parametrize(
    "choice, values, is_joined",
    [
        ("auto", {}, False),
        ("auto", EXPLICIT, True),
        ("auto", EXPLICIT | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}, False),
        ("yes", EXPLICIT | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}, True),
        ("no", EXPLICIT, False),
        ("no", OPEN_MPI, False),
    ],
)
def test_the_flag_forces_or_forbids(environment, joins, choice, values, is_joined):
    environment(values)
    cluster.start(choice)
    assert len(joins) == is_joined


def test_a_cluster_that_is_insisted_on_must_be_there(environment, joins):
    environment({})
    with pytest.raises(InputError, match="jax recognizes no cluster here: set JAX_COORDINATOR"):
        cluster.start("yes")
    with pytest.raises(InputError, match="distributed is 'perhaps': choose one of"):
        cluster.start("perhaps")


@pytest.mark.parametrize("port", [None, 99999])
def test_a_port_that_cannot_be_opened_is_said_before_jax_crashes_on_it(environment, port):
    with socket.create_server(("", 0)) as taken:
        port = port or taken.getsockname()[1]
        values = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_PROCESS_ID": "0"}
        environment(EXPLICIT | values)
        with pytest.raises(InputError, match=f"port {port} of .* give all processes another one"):
            cluster.start()


def test_alone_nothing_is_told_and_all_agree():
    with cluster.joined("no"):
        parallel.tell("stop", "15")
        assert parallel.agree(15) == 15 and parallel.agree(0) == 0
        parallel.wait_for_all("nobody")
        with parallel.together("alone"):
            assert parallel.overdue() is None


@pytest.mark.parametrize(
    "error, status",
    [
        (InputError("x"), 2),
        (parallel.Missing("x"), parallel.TRY_AGAIN),
        (KeyboardInterrupt(), 130),
        (SystemExit(143), 143),
        (SystemExit(None), 0),
        (SystemExit("words"), 1),
        (RuntimeError(), 1),
    ],
)
def test_the_status_of_an_end(error, status):
    assert cluster.status_of(error) == status


@pytest.mark.parametrize(
    "words, is_lost",
    [
        ("Gloo all-reduce failed: Read error [127.0.0.1]:31105: Connection reset by peer", True),
        ("Gloo all-gather failed: Connection closed by peer [127.0.0.1]:9", True),
        ("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes", False),
    ],
)
def test_a_process_that_lost_another_says_so_and_may_be_started_again(
    monkeypatch, capsys, words, is_lost
):
    told = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(parallel, "tell", lambda kind, text: told.append(text))
    monkeypatch.setattr(parallel, "wait_for_all", lambda what, seconds: None)
    error = jax.errors.JaxRuntimeError(words)
    with pytest.raises(SystemExit) as end:
        cluster._leave_after(error)
    printed = capsys.readouterr().err
    assert end.value.code == (parallel.TRY_AGAIN if is_lost else 1) and words in told[0]
    assert printed.startswith("error: another process of this run is gone") == is_lost
    assert words in printed and (not is_lost or printed.count("\n") == 1)
