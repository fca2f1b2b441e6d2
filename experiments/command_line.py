"""The command line of every experiment: --config, --workdir, overrides; a line for each error.

Settings check themselves and name their own field in an error, as the library names its parameter;
`naming` makes that the field of the config, with its section.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import signal
import sys
import typing
from collections.abc import Callable, Mapping

import jax
from absl import app, flags
from absl import logging as absl_logging
from etils import epath
from ml_collections import ConfigDict

from diffenc import compilation
from diffenc.errors import InputError, describe
from diffenc.run import (
    checkpoints,
    cluster,
    files,
    locks,
    loop,
    parallel,
    provenance,
    sessions,
    stops,
    tables,
)
from experiments.arguments import define_flags, parse
from experiments.field_types import check_type

# Fields that change no result of a run that goes on, or only the order in which numbers are added.
MAY_DIFFER = (
    "num_devices",
    "systems_at_once",
    "save_every",
    "evaluate_every",
    "metrics_extras",
    "eval.batch_size",
    "data.dir",
    "data.cache_dir",
    "posterior.save_every",
    "posterior.evaluate_every",
)
ON_EACH_HOST = ("data.dir", "data.cache_dir")  # places that may have another name on each host
_SCHEDULE = (
    "the learning rate falls to zero at the last update, "
    "so a run of another length differs from its first update on"
)
REASONS = {"num_updates": _SCHEDULE, "posterior.num_updates": _SCHEDULE}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk answers
_session: sessions.Session | None = None  # of this process; `is_complete` begins it


def main(experiment: Callable[[ConfigDict, epath.Path], None], is_divided: bool = True) -> None:
    """Parse the command line and call experiment(config, workdir).

    An experiment that is not divided over devices (`is_divided`) is refused by each of several
    processes.

    Before that, the process joins the others of the run. Only the first one prints: tables,
    progress and notes of the others go nowhere, their errors to stderr. Compiled programs are kept
    for later runs, see `diffenc.compilation`. Runs are of single precision, whatever JAX_ENABLE_X64
    says. Bad input ends in one line and exit status 2. So does a run of several processes of which
    some do not come, with status 75.
    """
    # `app.run` takes the handlers of others away, so the one that absl puts there has the format.
    absl_logging.get_absl_handler().setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    config_flag, workdir_flag = define_flags(flags.FLAGS)

    def run(arguments):
        absl_logging.set_verbosity(absl_logging.WARNING)
        if len(arguments) > 1:
            raise InputError(
                f"unknown argument {arguments[1]!r}: settings are given as --config.field=value"
            )
        if config_flag.value is None or not workdir_flag.value:
            raise InputError(
                "give both --config=configs/EXPERIMENT/CASE.py and --workdir=DIRECTORY"
            )
        workdir = epath.Path(workdir_flag.value)
        _make(workdir)
        parallel.LONGEST_WAIT = flags.FLAGS.longest_wait
        with (
            cluster.joined(flags.FLAGS.distributed, flags.FLAGS.start_wait),
            _only_the_first_prints(),
            _full_in_one_line(workdir),
            _without_closed_loops(),
            compilation.cache(),
            jax.enable_x64(False),
            _recorded(config_flag.value, workdir),
        ):
            if not is_divided:
                parallel.check_alone(_this_module())
            experiment(config_flag.value, workdir)

    try:
        app.run(run, flags_parser=parse)
    except checkpoints.NotSaved as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(2)
    except (InputError, parallel.Missing) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(cluster.status_of(error))


def _make(workdir: epath.Path) -> None:
    """Make the directory of a run, and see that a file can be written there."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"workdir {workdir} cannot be made ({error.strerror}): give another --workdir"
        ) from error
    try:
        files.check_writable(workdir)
    except OSError as error:
        raise InputError(
            f"workdir {workdir} cannot be written to ({error.strerror}): give another --workdir"
        ) from error


@contextlib.contextmanager
def _recorded(config: ConfigDict, workdir: epath.Path):
    """Hold the lock of a workdir, and write in its run.json how the run ends.

    A finished run is only printed, or refused: its workdir stays as it is.
    """
    global _session
    if (workdir / "results.json").exists():
        yield
        return
    command = ["python", "-m", _this_module(), *sys.argv[1:]]
    session = sessions.Session(workdir, _this_experiment(), config.to_dict(), command)
    with _terminated_as_interrupted(), stops.watched(session.end), locks.hold(workdir):
        _session = session
        try:
            yield
            parallel.wait_for_all("end of the work")  # who is done hears of errors of the others
        except (loop.Stopped, KeyboardInterrupt) as error:
            session.end("stopped", describe(error))
            raise
        except BaseException as error:
            session.end("failed", describe(error))
            raise
        else:
            session.end("complete")
        finally:
            _session = None


@contextlib.contextmanager
def _terminated_as_interrupted():
    """Turn SIGTERM into an exception: the lock is freed, and run.json says how the run ended.

    `loop.train` catches the signal itself while it trains, and saves first.
    """

    def stop(number, frame):
        raise loop.Stopped(128 + number)

    before = None
    with contextlib.suppress(ValueError):  # signals belong to the main thread
        before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _full_in_one_line(workdir: epath.Path):
    """Make an InputError of what a full disk answers."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        place = error.filename or f"below {workdir}"
        raise InputError(
            f"cannot write {place} ({error.strerror}): free some space there; the same command "
            "then continues"
        ) from error


@contextlib.contextmanager
def _only_the_first_prints():
    """Send what the other processes of a run print to nowhere."""
    if parallel.is_main_process():
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


@contextlib.contextmanager
def _without_closed_loops():
    """Hide that tensorstore found an event loop of orbax closed, beside the error that closed it.

    Of a save that fails, what is still under way answers to a loop that has ended.
    """
    before = sys.unraisablehook

    def tell(unraisable):
        is_of_loop = str(unraisable.exc_value) == "Event loop is closed"
        if not (is_of_loop and unraisable.object is None):
            before(unraisable)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before


def is_complete(config: ConfigDict, workdir: epath.Path) -> bool:
    """Print the results of a finished run, and say whether there are any.

    Where there are none, the run is accepted: this is where run.json says that it goes on.
    A workdir of another config (`MAY_DIFFER` aside), or of another data file by the same name, is
    refused by an InputError.
    """
    values = config.to_dict()
    has_results = (workdir / "results.json").exists()
    path = values.get("data", {}).get("path")
    if path and (epath.Path(path).exists() or not has_results):  # results can be shown without
        values["data"]["path_sha256"] = provenance.digest(path)
    provenance.check_same(values | {"workdir": str(files.absolute(workdir))}, ON_EACH_HOST)
    provenance.check_config(workdir, values, MAY_DIFFER, REASONS)
    if not has_results:
        if _session is not None:
            _session.begin()
        return False
    print(f"the run in {workdir} is complete; its results:")
    tables.print_table(tables.read_results(workdir))
    return True


@contextlib.contextmanager
def naming(**fields: str):
    """Say of what config field an error of the library is, which begins with its own parameter.

    Args:
        **fields: for parameters of the library the fields, as in count="data.validation".
    """
    try:
        yield
    except InputError as error:
        name, _, rest = str(error).partition(" ")
        if name not in fields:
            raise
        raise InputError(f"config field {fields[name]} {rest}") from error


def read_field(config: ConfigDict, field: str, kind=None):
    """Read a field such as "eval.batch_size".

    Args:
        config: the whole config.
        field: its dotted name.
        kind: the type that it has to have, see `field_types.check_type`; None for any.

    Raises InputError where the config has no such field, or where its type is another.
    """
    for name in field.split("."):
        if not isinstance(config, ConfigDict) or name not in config:
            raise InputError(
                f"config field {field} is missing: this config belongs to another experiment; "
                f"use one from configs/{_this_experiment()}/"
            )
        config = config[name]
    if kind is not None:
        check_type(f"config field {field}", config, kind)
    return config


def _this_module() -> str:
    """Return experiments.NAME as it was called by `python -m experiments.NAME`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec else ""
    return name if name.startswith("experiments.") else "experiments.<this experiment>"


def _this_experiment() -> str:
    """Return the folder in configs/ of the experiment that was called."""
    return _this_module().split(".")[1]


def read(
    kind: type,
    config: ConfigDict,
    section: str = "",
    places: Mapping[str, str] | None = None,
    **values,
):
    """Make a frozen dataclass of the config's fields of the same names.

    Args:
        kind: the dataclass; a field that has a default may be absent from the config.
        config: the whole config.
        section: of the config, such as "eval", that holds the fields; "": its top level.
        places: where in the config a field of the dataclass is, if not in the section under its
            own name, as in {"channels": "model.channels"}.
        **values: fields that are made already.

    Returns:
        The dataclass.

    Raises:
        InputError: a field is absent, or the dataclass refuses its value.
    """
    holder = config
    for name in section.split(".") if section else ():
        holder = holder.get(name, {})
        if not isinstance(holder, ConfigDict | Mapping):
            raise InputError(
                f"config field {section} is {holder!r}: give it the fields of a section"
            )
    paths = {}
    wanted = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = field.name
        paths[name] = (places or {}).get(name, f"{section}.{name}".lstrip("."))
        is_optional = field.default is not dataclasses.MISSING and name not in (places or {})
        if name in values or (is_optional and name not in holder):
            continue
        value = read_field(config, paths[name], wanted[name])
        values[name] = tuple(value) if isinstance(value, list) else value
    with naming(**paths):
        return kind(**values)
