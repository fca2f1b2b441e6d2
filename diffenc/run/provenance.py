"""What a run was made with: its config, compared field by field, and the digest of its data."""

import hashlib
import importlib
import json

from etils import epath

from diffenc.errors import InputError, describe
from diffenc.run import files, parallel

DIGEST = "data.path_sha256"  # the field of a config that tells two data files of one name apart
# What a run writes before it makes anything, besides its config; hidden files are temporary.
BESIDE = ("config.json", "run.json", "model.json", "run.lock")
BLOCK = 1 << 20  # bytes of a data file that are read at once


def version() -> str:
    """Return the version of diffenc."""
    return importlib.import_module("diffenc").__version__


def digest(path) -> str:
    """Compute the SHA-256 of a data file; InputError where there is none that can be read."""
    path = epath.Path(path)
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                total.update(block)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})" if path.exists() else "does not exist"
        raise InputError(
            f"data file {path} {problem}: put it there, or give the path of another"
        ) from error
    return total.hexdigest()


def check_config(workdir, config: dict, allowed=(), reasons: dict[str, str] | None = None) -> None:
    """Keep a run's config in workdir/config.json, or compare it with the one kept there.

    If the workdir contains only that file and others of `BESIDE`, nothing was made with it, and the
    new config replaces it. `DIGEST` may be absent, in a workdir made without it, or where the data
    file is no longer there.

    Args:
        workdir: the directory of the run.
        config: nested dicts of plain values.
        allowed: dotted names of fields, or of whole sections, that may differ. A run that goes on
            then keeps the new values in its file; the file of a finished run stays what its
            results were made with.
        reasons: for dotted names of fields, why they may not differ, where that is not plain.

    Raises:
        InputError: another field differs, or the file is damaged.
    """
    path = epath.Path(workdir) / "config.json"
    config = json.loads(json.dumps(config, default=str))
    if path.exists() and any(_is_made(other.name) for other in path.parent.iterdir()):
        old = _flatten(_read(path))
        new = _flatten(config)
        if DIGEST not in old:
            allowed = (*allowed, DIGEST)
        elif DIGEST not in new:
            old.pop(DIGEST)
        names = sorted(old.keys() | new.keys())
        differing = [name for name in names if old.get(name) != new.get(name)]
        forbidden = [name for name in differing if not _is_in(name, allowed)]
        if forbidden:
            raise InputError(_explain(workdir, forbidden, old, new, reasons or {}))
        if not differing or (path.parent / "results.json").exists():
            return
    parallel.wait_for_all("config compared")  # no process writes while another still reads
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    files.write_once(path, lambda temporary: temporary.write_text(text))


def check_same(config: dict, allowed=()) -> None:
    """Raise an InputError in all processes of a run unless they were given one config.

    Each compiles its own settings into its programs: with others it would train something else,
    and nothing would fail.
    """
    own = _flatten(json.loads(json.dumps(config, default=str)))
    first, *others = [json.loads(text) for text in parallel.all_say(json.dumps(own))]
    for process, other in enumerate(others, 1):
        names = sorted(first.keys() | other.keys())
        differing = [n for n in names if first.get(n) != other.get(n) and not _is_in(n, allowed)]
        if differing:
            name = differing[0]
            raise InputError(
                f"the processes of this run were given different settings ({name}: "
                f"{first.get(name, 'absent')} in process 0, {other.get(name, 'absent')} in process "
                f"{process}): start the same command on every host"
            )


def _is_made(name: str) -> bool:
    """Return whether a file of that name was made with the config, as all but a few are."""
    return name not in BESIDE and not name.startswith(".")


def _read(path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({describe(error)}): give another workdir, or delete that file"
        ) from error


def _is_in(name, allowed) -> bool:
    """Return whether a field, or a section that it stands in, is allowed to differ."""
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


def _explain(workdir, forbidden, old, new, reasons) -> str:
    """Say which fields differ, and why they may not, in one line."""
    if forbidden == [DIGEST]:
        return (
            f"the data file is not the one that the run in {workdir} began with: "
            "put that back, or give another workdir"
        )
    differences = [
        f"{name}: {old.get(name, 'absent')} in the workdir, {new.get(name, 'absent')} given"
        for name in forbidden
    ]
    differences += [reasons[name] for name in forbidden if name in reasons]
    return (
        f"{workdir} was made with another config ({'; '.join(differences)}): "
        "give another workdir, or that config"
    )


def _flatten(tree, prefix="") -> dict[str, str]:
    """Return the dotted names of a nested dict's leaves, each with its value as JSON."""
    if not isinstance(tree, dict) or not tree:
        return {prefix.removesuffix("."): json.dumps(tree)}
    leaves: dict[str, str] = {}
    for name, branch in tree.items():
        leaves |= _flatten(branch, f"{prefix}{name}.")
    return leaves
