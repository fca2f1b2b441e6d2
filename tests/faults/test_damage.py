"""Bytes of the newest checkpoint that changed, are missing, or were cut off: the run goes on from
the checkpoint before, or from this one where the damage touches nothing that is read."""

import os
import random
import re
import shutil

import jax
import numpy as np
import pytest
import small_run
from processes import Run

from diffenc.run import checkpoints
from experiments.arguments import load_config

# orbax reads a damaged checkpoint in tasks, some of which end after its event loop is closed
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)
CONFIG = load_config(str(small_run.CONFIG))
NEWEST = 60
BEFORE = 50


def files_of(checkpoint):
    return sorted(path for path in checkpoint.rglob("*") if path.is_file())


def restore(directory):
    """The update and the bits that a run would go on from."""
    step, states = checkpoints.read(directory, small_run.make_states(CONFIG))
    return step, [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(states)]


@pytest.fixture
def saved(workdir):
    """The directory of checkpoints, with what it holds as {update: bits}."""
    directory = workdir / "checkpoints"
    bits = dict([restore(directory)])
    shutil.move(directory / str(NEWEST), workdir / "aside")
    bits |= [restore(directory)]
    shutil.move(workdir / "aside", directory / str(NEWEST))
    assert set(bits) == {BEFORE, NEWEST} and bits[BEFORE] != bits[NEWEST]
    return directory, bits


def places_of(checkpoint):
    """(file, place) of every byte."""
    return [(path, place) for path in files_of(checkpoint) for place in range(path.stat().st_size)]


def count_ends(saved, damages) -> dict[int, int]:
    """Damage the newest checkpoint in each of these ways by itself; count what is restored.

    Args:
        saved: the fixture.
        damages: (path, content) of a file, or None for no file.
    """
    directory, bits = saved
    ends = {NEWEST: 0, BEFORE: 0}
    for path, content in damages:
        original = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        step, restored = restore(directory)
        assert restored == bits[step], f"{path}: wrong bits were restored"
        ends[step] += 1
        path.write_bytes(original)
    return ends


def flipped(rng, path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= rng.randrange(1, 256)
    return path, bytes(content)


@pytest.mark.parametrize("count", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_a_changed_byte_anywhere_is_never_loaded(saved, count):
    directory, _ = saved
    rng = random.Random(count)
    places = rng.sample(places_of(directory / str(NEWEST)), count)
    ends = count_ends(saved, (flipped(rng, *place) for place in places))
    print(
        f"a changed byte: {count} tried, {ends[NEWEST]} touched nothing that is read, "
        f"{ends[BEFORE]} went back one checkpoint, 0 loaded"
    )
    assert min(ends.values()) > 0, "some bytes count, and some do not"


@pytest.mark.parametrize("name", [b"init_timestamp_nsecs", b"commit_timestamp_nsecs"])
@pytest.mark.parametrize("time", [b"1e999", b"1.5", b"[]", b"9" * 30])
def test_a_time_that_orbax_cannot_read(saved, name, time):
    """One byte of a number's digits can make it infinite, or no integer."""
    directory, bits = saved
    spoil_time(directory / str(NEWEST), time, name)
    step, restored = restore(directory)
    assert restored == bits[step]


@pytest.mark.slow
def test_every_file_deleted_and_cut_off_anywhere(saved):
    directory, _ = saved
    files = files_of(directory / str(NEWEST))
    sizes = {path: path.stat().st_size for path in files}
    cuts = [(path, size * part // 4) for path, size in sizes.items() for part in range(4)]
    cuts = {(path, min(length, sizes[path] - 1)) for path, length in cuts}
    ends = count_ends(saved, ((path, path.read_bytes()[:length]) for path, length in sorted(cuts)))
    print(
        f"truncation: {len(cuts)} tried, {ends[NEWEST]} kept the newest, {ends[BEFORE]} went back"
    )
    assert ends[BEFORE] > 0
    ends = count_ends(saved, ((path, None) for path in files))
    print(
        f"a deleted file: {len(files)} tried, {ends[NEWEST]} kept the newest, "
        f"{ends[BEFORE]} went back"
    )
    assert ends[BEFORE] > 0


def data_of(checkpoint):
    return max((checkpoint / "state" / "d").iterdir(), key=lambda path: path.stat().st_size)


def flip(checkpoint):
    path = data_of(checkpoint)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(checkpoint):
    os.truncate(data_of(checkpoint), 100)


def spoil_time(checkpoint, time=b"1e999", name=b"commit_timestamp_nsecs"):
    path = checkpoint / "_CHECKPOINT_METADATA"
    content, count = re.subn(rb'("%s": *)\d+' % name, rb"\g<1>" + time, path.read_bytes())
    assert count == 1
    path.write_bytes(content)


def delete_metadata(checkpoint):
    (checkpoint / "state" / "_METADATA").unlink()
    (checkpoint / "_CHECKPOINT_METADATA").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, truncate, spoil_time, delete_metadata])
def test_the_command_goes_on_from_the_checkpoint_before(workdir, undisturbed, check_end, damage):
    damage(workdir / "checkpoints" / str(NEWEST))
    run = Run(workdir, undisturbed.data).wait()
    assert run.status == 0 and f"continuing from update {BEFORE} of 120" in run.text, run.text
    assert run.text.count("is damaged: continuing from 50") == 1 and not run.errors
    assert (workdir / "checkpoints" / f"damaged-{NEWEST}").is_dir(), "what was damaged is kept"
    check_end(workdir)
    print(f"whole runs after damage ({damage.__name__}): 1 tried, 1 survived")
