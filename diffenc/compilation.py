"""Compiled programs: one that makes the parameters of a network, and a cache between processes.

A second run of the same shapes finds its programs in JAX's persistent compilation cache, and
compiles nothing. They are kept in $XDG_CACHE_HOME/diffenc, by default ~/.cache/diffenc. The
variable DIFFENC_COMPILATION_CACHE names another directory, or is `off`. Who has configured JAX's
cache himself keeps what he configured.
"""

import contextlib
import functools
import gc
import logging
import os
import platform
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

VARIABLE = "DIFFENC_COMPILATION_CACHE"
OFF = ("off", "no", "false", "none", "0")
MOST_BYTES = 10**9
SECONDS_BETWEEN_PRUNINGS = 86_400
# Every program is kept, however small it is and however soon compiled. No program notes the lines
# that it came from, which nobody reads and which takes a tenth of the time to find a program again.
SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_traceback_in_locations_limit": 0,
}
# Options of XLA by how long a program runs, see `jit_sooner`: the first that this XLA takes.
QUICK_OPTIONS = {
    "long": ({"xla_backend_optimization_level": 1},),
    "short": (
        {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False},
        {"xla_backend_optimization_level": 1},
    ),
    "once": (
        {
            "xla_backend_optimization_level": 0,
            "xla_cpu_use_fusion_emitters": False,
            "xla_cpu_parallel_codegen_split_count": 1,
        },
        {"xla_backend_optimization_level": 0},
    ),
}


@functools.partial(jax.jit, static_argnums=0, static_argnames="method")
def init(network, key: jax.Array, *inputs, method: str | None = None):
    """Make the parameters of a network by one program, in place of several for each layer.

    Args:
        network: a flax module, whose fields are hashable: tuples, not lists.
        key: a key.
        *inputs: what the network is called with.
        method: of the network that is called, if it is not `__call__`.

    Returns:
        The parameters.
    """
    return network.init(key, *inputs, method=method)


def jit_sooner(runs: str = "long", **options) -> Callable:
    """Make a decorator like `jax.jit` for programs that are compiled for longer than they run.

    Options of XLA belong to whole programs: within another one, which traces it, it is `jax.jit`.

    On a CPU, a program that runs long is optimized on LLVM's first level, by which it runs as fast.
    One that runs for a short time is also compiled without XLA's MLIR emitters, in about half of
    the time, and would run up to a quarter slower. One that runs once is not optimized at all, and
    in one piece. Releases of XLA without such choices, and other devices, compile as they do.

    Args:
        runs: "long", "short" or "once": for how long it runs.
        **options: of `jax.jit`.

    Returns:
        The decorator. What it returns has the program as its attribute `program()`.
    """

    def decorate(function):
        within = jax.jit(function, **options)

        @functools.cache
        def program():
            return jax.jit(function, compiler_options=_quick_options(runs), **options)

        @functools.wraps(function)
        def call(*args, **kwargs):
            leaves = jax.tree.leaves((args, kwargs))
            is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
            with _without_collector():
                return (within if is_traced else program())(*args, **kwargs)

        call.program = program
        return call

    return decorate


@functools.cache
def _quick_options(runs: str) -> dict | None:
    """Return the options of `jit_sooner` that this XLA takes, or None."""
    if jax.default_backend() != "cpu":
        return None
    for options in QUICK_OPTIONS[runs]:
        try:
            jax.jit(lambda: 0, compiler_options=options)()
        except jax.errors.JaxRuntimeError:
            continue
        return options
    return None


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Turn Python's garbage collector off.

    Nearly all that is made while a program is traced is used until it is compiled. The collector,
    which looks for what is not, takes a tenth of the time of a first estimate.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def cache() -> Iterator[None]:
    """Find the programs of earlier processes, and keep those that are compiled within.

    Programs of this process, a caller's included, are forgotten first where they are too many, see
    `forget_many`.

    Nothing more is done if JAX's cache is configured already or turned off, or if the directory
    cannot be written to: then programs are compiled as ever. JAX's settings are put back at the
    end, so that what a caller compiles elsewhere is not kept.
    """
    forget_many()
    folder = _prepare(directory(os.environ)) if _is_free() else None
    if folder is None:
        yield
        return
    settings = {"jax_compilation_cache_dir": str(folder)} | SETTINGS
    before = {name: getattr(jax.config, name) for name in settings}
    _configure(settings)
    try:
        with warnings.catch_warnings():
            # A full disk, or an entry that another process is writing, costs a compilation.
            warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")
            yield
    finally:
        _configure(before)


def forget_many() -> None:
    """Forget all programs of this process if they take half of the maps of memory that it may have.

    Linux gives a process 65,530 maps, an estimate of samples of a new shape takes about 2,000 of
    them, and at the limit the compiler ends in a segmentation fault.
    """
    maps, limit = count_maps()
    if limit and maps > limit / 2:
        jax.clear_caches()


def count_maps() -> tuple[int, int]:
    """Return the maps of memory of this process and how many it may have; 0 and 0 if unknown."""
    try:
        limit = int(Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as lines:
            return sum(1 for _ in lines), limit
    except (OSError, ValueError):
        return 0, 0


@contextlib.contextmanager
def without_cache() -> Iterator[None]:
    """Compile all programs within anew, as a first run does, and keep none of them."""
    before = {"jax_enable_compilation_cache": jax.config.values["jax_enable_compilation_cache"]}
    _configure({"jax_enable_compilation_cache": False})
    try:
        yield
    finally:
        _configure(before)


def directory(environment: Mapping[str, str]) -> Path | None:
    """Return the directory of the programs of this machine, or None if none are to be kept."""
    choice = environment.get(VARIABLE, "")
    if choice.lower() in OFF:
        return None
    if not choice:
        choice = os.path.join(environment.get("XDG_CACHE_HOME") or "~/.cache", "diffenc")
    return Path(os.path.expanduser(choice)).absolute() / f"jax-{_machine()}"


def _machine() -> str:
    """Name the kind of processor.

    A program for a CPU uses all of its instructions, and would not run on an older one that sees
    the same home directory.
    """
    kind = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith(("flags", "Features")):
                return f"{kind}-{zlib.crc32(line.encode()):08x}"
    return kind


def _is_free() -> bool:
    """Return whether JAX's cache is for us to configure.

    It is not on CPUs of several processes, see `run.cluster`.
    """
    flags = jax.config.values
    is_configured = flags["jax_compilation_cache_dir"] is not None
    if is_configured or not flags["jax_enable_compilation_cache"]:
        return False
    return not (jax.distributed.is_initialized() and jax.default_backend() == "cpu")


def _prepare(folder: Path | None) -> Path | None:
    """Make the folder and bound its size; return None if it cannot be written to."""
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        _prune_daily(folder.parent)
    except OSError as error:
        logging.getLogger(__name__).info("%s: no programs are kept (%s)", folder, error.strerror)
        return None
    return folder


def _prune_daily(root: Path) -> None:
    """Bound the size of the directory if that was not done within a day."""
    marker = root / "pruned"
    if marker.exists() and time.time() - marker.stat().st_mtime < SECONDS_BETWEEN_PRUNINGS:
        return
    prune(root, MOST_BYTES)
    marker.touch()


def prune(root: Path, most_bytes: int) -> None:
    """Delete the programs that were not used for longest, if all together exceed `most_bytes`.

    A quarter of the bytes is then made free. JAX's own limit, `jax_compilation_cache_max_size`,
    needs another package. Where the file system notes no times of reading, the oldest are deleted.
    """
    entries = []
    for path in root.glob("jax-*/*-cache"):
        with contextlib.suppress(OSError):
            status = path.stat()
            entries.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    total = sum(size for _, size, _ in entries)
    if total <= most_bytes:
        return
    for _, size, path in sorted(entries):
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
        if total <= 0.75 * most_bytes:
            return


def _configure(settings) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX looks at the settings at the first compilation only
