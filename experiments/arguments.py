"""Arguments of the command line, parsed by absl; a complaint is one line that names the field."""

import difflib
from typing import Any

from absl import flags
from etils import epath
from ml_collections import ConfigDict, config_flags

from diffenc.errors import InputError
from diffenc.run import cluster, parallel


def define_flags(values: flags.FlagValues, arguments: list[str] | None = None):
    """Define the flags that every experiment has.

    Args:
        values: where they are defined.
        arguments: the command line, if it is not that of this process.

    Returns:
        The flags of the config and of the workdir; those of `define_waits` are found by name.
    """
    define_waits(values)
    config_flag = config_flags.DEFINE_config_file(
        "config",
        None,
        "File with get_config().",
        flag_values=values,
        lock_config=True,
        sys_argv=arguments,
    )
    workdir_flag = flags.DEFINE_string(
        "workdir", None, "Directory for everything the run writes.", flag_values=values
    )
    return config_flag, workdir_flag


def define_waits(values: flags.FlagValues) -> None:
    """Define the flags of runs of several processes, see docs/pods.md."""
    flags.DEFINE_enum(
        "distributed",
        "auto",
        cluster.CHOICES,
        "Whether this process joins others: auto, if jax recognizes a cluster of several; yes or "
        "no, whatever it recognizes.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "start_wait",
        cluster.START_WAIT,
        "Seconds for all processes to come at the start.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "longest_wait",
        parallel.LONGEST_WAIT,
        "Seconds for all processes to come to each later meeting point.",
        lower_bound=1,
        flag_values=values,
    )


def parse(arguments: list[str]) -> list[str]:
    """Parse by absl, whose complaints become InputErrors of one line."""
    path = _config_path(arguments)
    if path and not epath.Path(path).is_file():
        # Installed without a checkout, the configs lie beside the experiments.
        installed = epath.Path(__file__).parent.parent / path
        if not installed.is_file():  # absl would tell only once a field is read
            raise InputError(f"config file {path} does not exist: give one of configs/*/*.py")
        arguments = [argument.replace(path, str(installed), 1) for argument in arguments]
    try:
        return flags.FLAGS(arguments)
    except (
        flags.Error,
        AttributeError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
        ImportError,
        SyntaxError,
    ) as error:
        raise InputError(_explain(arguments, error)) from error


def _config_path(arguments) -> str | None:
    """Return the file of --config=FILE or --config FILE."""
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        if argument.startswith("--config="):
            return argument.split("=", 1)[1]
        if argument == "--config":
            return following
    return None


def _explain(arguments, error) -> str:
    """Name the field of an override that does not exist, or whose value has the wrong type."""
    path = _config_path(arguments)
    overrides = [a[len("--config.") :] for a in arguments if a.startswith("--config.")]
    if path is None and overrides:
        return (
            f"--config.{overrides[0]} changes a config, and none is given: "
            "give --config=configs/EXPERIMENT/CASE.py, too"
        )
    if path is None:
        return " ".join(str(error).split())
    try:
        known = fields_of(load_config(path))
    except Exception:  # the config file itself is at fault
        return f"{path}: {' '.join(str(error).split())}"
    for override in overrides:
        name, _, value = override.partition("=")
        if any(field.startswith(f"{name}.") for field in known):
            return f"config field {name!r} is a section: give --config.{name}.FIELD=value"
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or ["none near; see the config file"]
            return (
                f"unknown config field {name!r} (nearest: {near[0]}): correct --config.{override}"
            )
        wanted = type(known[name]).__name__
        if f"config.{name}" in str(error):
            return (
                f"config field {name!r} takes {wanted}, not {value!r}: correct --config.{override}"
            )
    for argument in arguments[1:]:
        name = argument.lstrip("-").split("=", 1)[0]
        if argument.startswith("-") and name in known:
            return f"unknown flag {argument!r}: settings are given as --config.{name}=value"
    return " ".join(str(error).split())


def load_config(path: str) -> ConfigDict:
    """Make the config of a file, which is run as absl runs it."""
    scope: dict[str, Any] = {"__name__": "config"}
    exec(compile(epath.Path(path).read_text(), path, "exec"), scope)
    return scope["get_config"]()


def fields_of(config: ConfigDict, prefix: str = "") -> dict:
    """Return the fields of a config by their dotted names, which begin with the prefix."""
    fields: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            fields |= fields_of(value, f"{prefix}{name}.")
        else:
            fields[f"{prefix}{name}"] = value
    return fields
