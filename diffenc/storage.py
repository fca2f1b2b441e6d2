"""The file model.json of a run, from which its systems can be made again, and their parameters."""

import dataclasses
import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
from etils import epath

from diffenc import grid_runs
from diffenc.errors import InputError, describe
from diffenc.grid_runs import GridBlueprint, Outline
from diffenc.latent import blueprints
from diffenc.latent.blueprints import Blueprint
from diffenc.latent.systems import System
from diffenc.run import checkpoints, files, provenance

FORMAT = 5  # of model.json; a field of a system's settings that is added or renamed makes it 6
FILE = "model.json"
# How the systems of a run are read: latent-variable models, which formats 1 and 2 have alone, or
# models of discrete data.
KINDS: dict[str, Callable[..., Any]] = {
    "latent": blueprints.from_json,
    "grid": grid_runs.from_json,
}
KEEPERS = (
    "diffusion_encoder",
    "diffusion_decoder",
    "posteriors",
    "warm_start",
)  # the experiments whose runs have a model.json
REMEDY = (
    "give the workdir of experiments.diffusion_encoder, experiments.diffusion_decoder, "
    "experiments.posteriors or experiments.warm_start"
)


class Run(NamedTuple):
    """What model.json says of a run.

    Attributes:
        num_updates: of the whole training.
        systems: all that it trains.
        columns: the names of the dimensions of its data; none where they have no names.
    """

    num_updates: int
    systems: tuple[Blueprint, ...] | tuple[GridBlueprint, ...]
    columns: tuple[str, ...]


def write(
    workdir,
    experiment: str,
    num_updates: int,
    systems: Sequence[Blueprint] | Sequence[GridBlueprint],
    columns: Sequence[str] = (),
) -> None:
    """Write workdir/model.json, from which `models.load` makes the systems of a run again.

    Args:
        workdir: the directory of the run.
        experiment: its name, as in experiments.NAME.
        num_updates: of the whole training.
        systems: one or more; `models.load` gives the first unless it is asked for another.
        columns: the names of the dimensions of the data, if they have any.
    """
    content = {
        "format": FORMAT,
        "experiment": experiment,
        "diffenc": provenance.version(),
        "num_updates": num_updates,
        "kind": "grid" if isinstance(systems[0], GridBlueprint) else "latent",
        "columns": list(columns),
        "systems": [dataclasses.asdict(blueprint) for blueprint in systems],
    }
    text = json.dumps(content, indent=2) + "\n"
    path = files.absolute(workdir) / FILE
    files.write_once(path, lambda temporary: temporary.write_text(text))


def read(directory: epath.Path) -> Run:
    """Read model.json; raise an InputError that says what the directory is instead of a run."""
    path = directory / FILE
    if not path.exists():
        raise InputError(_absence(directory))
    try:
        content = json.loads(path.read_text())
        writer = (content["format"], content["diffenc"])
        if content["format"] <= FORMAT:
            from_json = KINDS[content.get("kind", "latent")]
            systems = tuple(from_json(values) for values in content["systems"])
            if not systems:
                raise ValueError("it has no systems")
            columns = tuple(content.get("columns", ()))  # earlier versions kept none
            return Run(content["num_updates"], systems, columns)
    except OSError as error:
        remedy = "give a workdir that may be read"
        raise InputError(f"{path} cannot be read ({describe(error)}): {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({describe(error)}): put a copy back, or train the run anew"
        ) from error
    raise InputError(
        f"{path} is of format {writer[0]}, written by diffenc {writer[1]}, and diffenc "
        f"{provenance.version()} reads {FORMAT}: use that version, or a newer one"
    )


def _absence(directory: epath.Path) -> str:
    """Say what a directory without model.json is."""
    if not directory.is_dir():
        problem = "is a file" if directory.exists() else "does not exist"
        return f"workdir {directory} {problem}: {REMEDY}"
    if not (directory / "config.json").exists():
        return f"{directory} is no workdir, it has no {FILE}: {REMEDY}"
    try:
        experiment = json.loads((directory / "run.json").read_text())["experiment"]
        if experiment in KEEPERS:
            return (
                f"{directory} is a run of experiments.{experiment} without {FILE}, which it gets "
                "once its data are read: let it go on until then, or train it anew"
            )
        return f"{directory} is a run of experiments.{experiment}, which keeps no {FILE}: {REMEDY}"
    except (OSError, ValueError, KeyError, TypeError):
        return (
            f"{directory} is a run of another experiment, or of a version that kept no {FILE}: "
            f"{REMEDY}, or train it anew"
        )


def restore(
    directory: epath.Path, outlines: dict[Hashable, System] | dict[Hashable, Outline]
) -> tuple[int, dict]:
    """Restore the newest whole states onto one device of this machine, whatever the run had.

    Args:
        directory: the workdir.
        outlines: all systems of the run by name, with the shapes of their states.

    Returns:
        The update that the states are of, and the states by name.

    Raises:
        InputError: there is no checkpoint, or none that can be read.
    """
    if not (directory / "checkpoints").is_dir():
        raise InputError(f"{directory} has no checkpoint yet: let it train until it saves one")
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    example = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        {name: outline.state for name, outline in outlines.items()},
    )
    newest = checkpoints.read(directory / "checkpoints", example)
    if newest is None:
        raise InputError(f"{directory} has no checkpoint yet: let it train until it saves one")
    return newest
