"""Checkpoints over orbax: saved in the background, and the newest whole one restored.

A checkpoint appears under its final name only once complete, so a process killed at any moment
leaves the ones before it untouched. Beside the state each holds the crc32 of its bits, since the
stored arrays carry no checksum of their own: a damaged file is noticed, not loaded. A save that
left nothing, or not all, is noticed at the next one or at the end: the list of arrays is read back.
"""

import contextlib
import gc
import logging
import zlib

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp
from orbax.checkpoint.path import step as orbax_steps

from diffenc.errors import InputError, describe
from diffenc.run import files, parallel

_LOG = logging.getLogger("diffenc")


class NotSaved(InputError):
    """A checkpoint could not be written, as on a full disk; those before it are kept.

    Threads of orbax may still wait for it: a process that ends by this error ends by `os._exit`,
    or it would stay for up to ten minutes.
    """


def open(directory, keep: int = 2, every: int | None = None) -> "Checkpoints":
    """Open the checkpoints in a directory, which is made if it is absent.

    Args:
        directory: holds a directory for each checkpoint, named by its step.
        keep: how many are kept, the newest.
        every: `maybe_save` saves each multiple of it; None is none.

    Returns:
        The checkpoints, a context manager that waits for the last save.

    Raises:
        InputError: a setting is below 1, or the directory cannot be made.
    """
    return Checkpoints(directory, keep=keep, every=every)


def read(directory, example):
    """Restore the newest whole checkpoint of a run, which may be training meanwhile.

    Nothing in the directory is changed: neither a damaged checkpoint nor one that is being written.

    Args:
        directory: where a run keeps its checkpoints; it exists.
        example: as of `Checkpoints.restore`.

    Returns:
        As `Checkpoints.restore`.

    Raises:
        InputError: as `Checkpoints.restore`.
    """
    with Checkpoints(directory, is_read_only=True) as checkpoints:
        return checkpoints.restore(example)


class _ReadableSteps:
    """Orbax's list of checkpoints, less those of which it cannot read when they were saved.

    One such would keep it from opening the directory, and all the whole ones with it.
    """

    def __init__(self):
        self._format = orbax_steps.standard_name_format()
        self.build_name = self._format.build_name
        self.find_step = self._format.find_step

    def find_all(self, directory):
        return iter([step for step in self._format.find_all(directory) if _has_time(step)])


def _has_time(step) -> bool:
    try:  # a damaged file can fail in any of the layers below
        return step.commit_timestamp is not None
    except Exception:
        return False


class Checkpoints:
    """A directory of checkpoints, `directory/<step>`, see `open`. States are trees of arrays."""

    def __init__(
        self, directory, keep: int = 2, every: int | None = None, is_read_only: bool = False
    ):
        self._is_read_only = is_read_only
        # the step of the save under way, and the arrays it is to hold
        self._begun: tuple[int, dict[str, str]] | None = None
        for name, value in (("keep", keep), ("every", every)):
            if value is not None and value < 1:
                raise InputError(f"checkpoint setting {name} is {value}: give at least 1")
        self.directory = files.absolute(directory)
        policies = ocp.training.save_decision_policies
        when = [] if every is None else [policies.FixedIntervalPolicy(every)]
        _hide_orbax_chatter()
        try:
            self._checkpointer = ocp.training.Checkpointer(
                self.directory,
                save_decision_policy=policies.AnySavePolicy(when),
                preservation_policy=ocp.training.preservation_policies.LatestN(keep),
                step_name_format=_ReadableSteps(),
                cleanup_tmp_directories=not is_read_only,
            )
        except OSError as error:
            raise InputError(
                f"cannot keep checkpoints in {self.directory} ({describe(error)}): "
                "give a workdir that can be written"
            ) from error

    def save(self, step: int, state) -> None:
        """Save a state as checkpoint `step`, in the background, unless that step is saved."""
        self._save(step, state, force=True)

    def maybe_save(self, step: int, state) -> bool:
        """Save a state if `step` is a multiple of `every`; return whether it was saved."""
        return self._checkpointer.should_save(step) and self._save(step, state, force=False)

    def _save(self, step, state, force) -> bool:
        if any(checkpoint.step == step for checkpoint in self._checkpointer.checkpoints):
            return False
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            if not isinstance(leaf, jax.Array | np.ndarray):
                raise InputError(
                    f"state{jax.tree_util.keystr(path)} is a {type(leaf).__name__}: "
                    "make it an array, as all of a state"
                )
        tree = {"crc32": _crc32(jax.tree.leaves(state)), "state": state}
        self.wait()
        with self._explaining():
            if self._checkpointer.save_async(step, tree, force=force) is None:
                return False
        self._begun = (step, _describe(tree))
        return True

    @contextlib.contextmanager
    def _explaining(self):
        """Make one line of whatever keeps a checkpoint from being written."""
        try:
            yield
        except Exception as error:  # of the disk, of tensorstore, or of orbax about either
            free = files.free_bytes(self.directory)
            raise NotSaved(
                f"cannot save a checkpoint in {self.directory} ({describe(error)}; {free}): free "
                "some space there; the same command then continues from the last one"
            ) from error

    def restore(self, example):
        """Restore the newest whole checkpoint.

        A damaged checkpoint is passed over with one line of warning in the log, and set aside as
        `damaged-<step>` once an older one has been read, unless this only reads.

        Args:
            example: a state, or its `jax.ShapeDtypeStruct`s with shardings; it gives structure,
                shapes, dtypes and placement.

        Returns:
            `(step, state)`, or None where none was ever saved.

        Raises:
            InputError: none can be read, or all hold another structure than `example`.
        """
        self._checkpointer.wait()
        steps = sorted(
            (int(path.name) for path in self.directory.iterdir() if path.name.isdigit()),
            reverse=True,
        )
        damaged = {}
        for step in steps:
            with _quiet():
                state, reason = self._load(step, example)
                if state is None:
                    gc.collect()  # what the failure left behind complains here, where it is quiet
            if self._is_lost(state):
                damaged[step] = reason or "another process cannot read it"
                continue
            if damaged:
                if not self._is_read_only:
                    self._set_aside(damaged)
                _LOG.warning(
                    "checkpoint %s in %s is damaged: continuing from %d",
                    _list(damaged),
                    self.directory,
                    step,
                )
            return step, state
        if not damaged:
            return None
        if self._is_read_only:
            remedy = "give another workdir, or use the code it was made with"
        else:
            remedy = (
                "give another workdir, the settings and code it was made with, or delete that "
                "directory to start again"
            )
        raise InputError(
            f"no checkpoint in {self.directory} can be restored: {_list(damaged)}: {remedy}"
        )

    def _is_lost(self, state) -> bool:
        """Return whether a process of the run could not load this, so that none goes on from it.

        Who only reads may be one process alone, and asks nobody.
        """
        if self._is_read_only:
            return state is None
        return bool(parallel.agree(int(state is None)))

    def _load(self, step, example):
        """Load a checkpoint: `(state, None)`, or `(None, reason)` where it cannot be used."""
        tree = {"crc32": np.zeros((), np.uint32), "state": jax.tree.map(_abstract, example)}
        try:  # a damaged file can fail in any of the layers below
            if all(checkpoint.step != step for checkpoint in self._checkpointer.checkpoints):
                return None, "orbax does not list it, as where its time is damaged"
            leaves = _describe(self._checkpointer.metadata(step).metadata)
            if not any(name.startswith("state") for name in leaves):
                return None, "its list of arrays cannot be read"
            difference = _first_difference(leaves, _describe(tree))
            if difference:
                return None, f"it holds another state: {difference}"
            tree = self._checkpointer.load(step, tree)
        except Exception as error:
            return None, describe(error)
        if int(tree["crc32"]) != int(_crc32(jax.tree.leaves(tree["state"]))):
            return None, "its bits differ from those saved"
        return tree["state"], None

    def _set_aside(self, steps):
        if parallel.is_main_process():
            for step in steps:
                aside = self.directory / f"damaged-{step}"
                aside.rmtree(missing_ok=True)
                (self.directory / str(step)).rename(aside)
        parallel.wait_for_all("checkpoints set aside")
        self._checkpointer.reload()

    def wait(self) -> None:
        """Return once every save that was begun is complete; NotSaved where one left not all."""
        with self._explaining():
            self._checkpointer.wait()
        begun, self._begun = self._begun, None
        if begun is not None:
            self._check(*begun)

    def _check(self, step: int, arrays: dict[str, str]) -> None:
        """Raise NotSaved unless a checkpoint is on the disk with these arrays."""
        problem = "it is absent"
        if str(step) in [path.name for path in self.directory.iterdir()]:
            try:
                problem = _first_difference(
                    _describe(self._checkpointer.metadata(step).metadata), arrays
                )
            except Exception as error:  # whatever reads what is damaged
                problem = describe(error)
        if problem:
            raise NotSaved(
                f"checkpoint {step} in {self.directory} was not saved whole ({problem}; "
                f"{files.free_bytes(self.directory)}): make room, or see what takes files away "
                "there; the same command continues from the one before"
            )

    def close(self) -> None:
        """Wait for the last save, as `wait`, and release the directory."""
        self.wait()
        with self._explaining():
            self._checkpointer.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        if kind is not NotSaved:  # then the reason is told, and closing would only tell it again
            self.close()


def _list(damaged) -> str:
    """Steps with the reason why each is damaged, in words."""
    return "; ".join(f"{step} ({reason})" for step, reason in damaged.items())


def _crc32(leaves) -> np.ndarray:
    """The crc32 of the bits of all leaves, one after another, as an array of one number.

    It is taken of copies on the host, so it does not depend on how the arrays lie on devices and
    nothing is compiled for it.
    """
    total = 0
    for leaf in leaves:
        total = zlib.crc32(_host_copy(leaf).view(np.uint8).data, total)
    return np.asarray(total, np.uint32)


def _host_copy(leaf) -> np.ndarray:
    """The values of a leaf as one contiguous vector on this host."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        if leaf.is_fully_replicated:
            leaf = leaf.addressable_data(0)
        else:
            leaf = multihost_utils.process_allgather(leaf, tiled=True)
    return np.ascontiguousarray(leaf).reshape(-1)


def _abstract(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))


def _describe(tree) -> dict[str, str]:
    """Return each leaf's dotted name with its dtype and shape, in words."""
    words = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        words[name] = f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"
    return words


def _first_difference(there: dict, here: dict) -> str | None:
    """Return the first leaf of which two descriptions differ, in words; None where none does."""
    names = sorted(there.keys() | here.keys())
    differing = [name for name in names if there.get(name) != here.get(name)]
    if not differing:
        return None
    name = differing[0]
    more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
    return f"{name} is {there.get(name, 'absent')} there, {here.get(name, 'absent')} here{more}"


def _hide_orbax_chatter():
    """Keep orbax's notes out of the log that it shares with the application.

    Its records below a warning are notes, and so is the warning that a save took a second. What it
    logs as an error, with tracebacks of all its threads, it raises as well.
    """
    logger = logging.getLogger("absl")
    if not any(isinstance(one, _NoChatter) for one in logger.filters):
        logger.addFilter(_NoChatter())


class _NoChatter(logging.Filter):
    def filter(self, record):
        is_note = record.levelno < logging.WARNING or "Waiting for previous save" in str(record.msg)
        is_raised = record.levelno >= logging.ERROR
        return not (is_note or is_raised) or "orbax" not in record.pathname


@contextlib.contextmanager
def _quiet():
    """Hide what orbax and its event loop log of a damage, of which `restore` writes one line."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio", None)]
    for logger in loggers:
        logger.addFilter(_is_of_others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_of_others)


def _is_of_others(record) -> bool:
    return "orbax" not in record.pathname and record.name != "asyncio"
