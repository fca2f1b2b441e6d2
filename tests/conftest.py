"""Four virtual CPU devices, the strict flags and the compilation cache, set before jax is imported;
the prepared MNIST where there is one."""

import ctypes
import gc
import importlib.metadata
import os
import sys
from pathlib import Path

# Compiling is four fifths of the time of the tests. Programs are kept between runs and shared by
# the workers, and, through the environment, by the processes that tests start. `make clean` removes
# them.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Few optimizations: programs take half as long to compile, and those of most tests run for less
# than a second.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Programs do not note the lines that they came from: a tenth of the time of lowering them.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

# The threads of BLAS wait for each other by spinning, which costs several workers on few cores four
# times the time of one thread each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# So do those of scikit-learn: where another worker has the second core, two threads that grow trees
# take many times the processor time of one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Four virtual devices. One piece of code for each program, by one thread: workers share the cores,
# and threads that wait for work take it from them. What LLVM does beyond its first level costs half
# of the time of compiling and saves none of computing.
FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_backend_optimization_level=1",
]
# Without its MLIR emitters XLA compiles in two thirds of the time. Later releases have no choice,
# and refuse the flag.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
# Workers inherit the flags. A flag twice would be another key to the same program.
flags = os.environ.get("XLA_FLAGS", "").split()
names = [flag.split("=")[0] for flag in flags]
flags += [flag for flag in FLAGS if flag.split("=")[0] not in names]
os.environ["XLA_FLAGS"] = " ".join(flags)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["MPLBACKEND"] = "Agg"

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    """Run first what computes for long, or waits for several processes, so that no worker is left
    with it at the end."""

    def takes_long(item):
        several = item.path.parent.name == "pods" or item.path.stem == "test_one_of_two"
        return several or item.get_closest_marker("optimized") is not None

    items.sort(key=lambda item: not takes_long(item))


@pytest.fixture(autouse=True)
def _optimized(request, monkeypatch):
    """Compile the programs of tests marked `optimized`, and of the processes they start, with most
    optimizations."""
    if not request.node.get_closest_marker("optimized"):
        yield
        return
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def _results_are_in_the_glossary(monkeypatch):
    """Hold every results.json that an experiment writes to the glossary of its names."""
    from diffenc.run import tables
    from experiments import glossary

    write = tables.write_results

    def write_explained(workdir, results):
        results = list(results)
        module = sys._getframe(1).f_globals["__name__"]
        if module.startswith("experiments."):
            experiment = module.removeprefix("experiments.").removesuffix(".__main__")
            assert not glossary.unexplained(experiment, results), "see experiments/glossary.py"
        write(workdir, results)

    monkeypatch.setattr(tables, "write_results", write_explained)


STATES: dict = {}  # of the generators of modules, after these were imported


@pytest.fixture(autouse=True)
def _numbers_do_not_depend_on_other_tests(request):
    """Give every test that draws from its module's generator the same numbers, whatever ran before
    it on this worker."""
    for name in ("GENERATOR", "RNG"):
        generator = getattr(request.module, name, None)
        if hasattr(generator, "bit_generator"):
            state = STATES.setdefault(
                (request.module.__name__, name), generator.bit_generator.state
            )
            generator.bit_generator.state = state


# Collecting garbage walks through all that lives, hundreds of thousands of objects of JAX and of
# its programs: it is done seldom.
gc.freeze()
gc.set_threshold(100_000, 50, 50)

# A worker keeps 4 GB, or its share of half of the machine.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
MACHINE_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MOST_BYTES = min(4e9, MACHINE_BYTES / 2 / WORKERS)


def _resident_bytes() -> float:
    """Give the memory of this process, or infinity where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE")


def _release_memory() -> None:
    """Forget what was compiled, and give the memory back: glibc would keep two thirds of it for the
    next allocation."""
    jax.clear_caches()
    gc.unfreeze()
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


@pytest.fixture(autouse=True, scope="module")
def _after_a_file():
    """Release what files of tests compiled once it is much. Until then a program that another file
    needs too is found in memory, and what lives is not walked through."""
    yield
    if _resident_bytes() > MOST_BYTES:
        _release_memory()
    gc.freeze()


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The directory of TFDS data sets that holds MNIST prepared; skips the test where there is
    none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "tfds"
    directory = Path(os.environ.get("DIFFENC_TFDS", beside))
    if not (directory / "mnist").is_dir():
        pytest.skip(
            f"no prepared MNIST in {directory}: set DIFFENC_TFDS to a directory of TFDS data sets"
        )
    return directory


@pytest.fixture
def without_networks(monkeypatch):
    """Let networks find nothing beyond the regression, at no cost: it alone is looked at."""
    import numpy as np

    from diffenc.information.estimation import pair_information
    from diffenc.information.training.divergence import Divergence

    def nothing(key, halves, *arguments):
        zeros = np.zeros(halves.r.shape[:2]).ravel()
        strata = [np.zeros(1)] * 2
        return Divergence(0.0, 0.0, *[zeros] * 4, *strata, np.array([-7.0, 10.0]), 0.0, 0.0, 0)

    monkeypatch.setattr(pair_information, "divergence", nothing)


# Of the command line, which defines them once for each process.
OWN_FLAGS = ("config", "workdir", "distributed", "start_wait", "longest_wait")


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line in this process: command(arguments) -> (exit status, stdout,
    stderr)."""
    import logging

    from absl import flags

    from experiments import command_line
    from experiments.diffusion_encoder import __main__ as diffusion_encoder

    root = logging.getLogger()
    handlers = list(root.handlers)

    def run(given):
        flag_values = flags.FLAGS
        for name in [
            name for name in flag_values if name in OWN_FLAGS or name.startswith("config.")
        ]:
            delattr(flag_values, name)
        flag_values.unparse_flags()
        monkeypatch.delitem(
            sys.modules, "config_config", raising=False
        )  # the config of the command before
        monkeypatch.setattr(sys, "argv", ["diffusion_encoder", *given])
        monkeypatch.setattr(sys.modules["__main__"], "__doc__", "usage")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main(diffusion_encoder.run)
        return (end.value.code or 0, *capsys.readouterr())

    yield run
    root.handlers[:] = handlers
