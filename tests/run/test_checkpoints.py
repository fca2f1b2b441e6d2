"""Contracts of checkpoints: bitwise round trips, retention, every kind of damage, kills at any
moment."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from diffenc.errors import InputError
from diffenc.run import checkpoints


class State(flax.struct.PyTreeNode):
    params: dict
    opt_state: tuple
    chains: jax.Array
    flags: jax.Array
    half: jax.Array
    step: jax.Array


def make_state(value, num_devices=4):
    params = {
        "dense": {
            "kernel": np.full((30, 40), value) + np.arange(40, dtype=np.float32)[None],
            "bias": np.zeros(3, np.float32),
        }
    }
    opt_state = optax.chain(optax.clip(1.0), optax.adamw(1e-3)).init(params)
    state = State(
        params,
        opt_state,
        jnp.ones((8, 2)) * value,
        jnp.arange(5) < 2,
        jnp.arange(3, dtype=jnp.bfloat16),
        jnp.int32(value),
    )
    mesh = jax.make_mesh(
        (num_devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:num_devices]
    )
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    return state.replace(
        chains=jax.device_put(state.chains, NamedSharding(mesh, PartitionSpec("data")))
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with the checkpoints 10, 20 and 30."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    with checkpoints.open(directory, keep=3) as kept:
        for step in (10, 20, 30):
            kept.save(step, make_state(step))
    return directory


@pytest.fixture
def directory(saved, tmp_path):
    """A copy to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "checkpoints"))


def restore(directory, example=None):
    with checkpoints.open(directory, keep=3) as kept:
        return kept.restore(make_state(0) if example is None else example)


def test_nothing_saved(tmp_path):
    assert restore(tmp_path / "new") is None


@pytest.mark.parametrize("num_devices", [1, 2, 4])
def test_a_state_comes_back_bit_for_bit_on_any_number_of_devices(saved, num_devices):
    example = make_state(0, num_devices)
    step, state = restore(saved, example)
    assert step == 30
    chex.assert_trees_all_equal(state, make_state(30))
    chex.assert_trees_all_equal_dtypes(state, make_state(30))
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == jax.tree.map(
        lambda leaf: leaf.sharding, example
    )


def test_an_abstract_example_will_do(saved):
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
        make_state(0),
    )
    chex.assert_trees_all_equal(restore(saved, abstract)[1], make_state(30))


def test_the_newest_are_kept_and_a_step_is_saved_once(tmp_path):
    with checkpoints.open(tmp_path, keep=2, every=20) as kept:
        for step in (10, 20, 30, 40, 45):
            assert kept.maybe_save(step, make_state(step)) is (step % 20 == 0)
        kept.save(45, make_state(45))
        kept.save(45, make_state(99))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["40", "45"]
    chex.assert_trees_all_equal(restore(tmp_path)[1], make_state(45))


@pytest.mark.parametrize("num_devices", [1, 4])
def test_a_donated_state_is_saved_as_it_was(tmp_path, num_devices):
    erase = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0 - 1, tree), donate_argnums=0)
    mesh = jax.make_mesh(
        (num_devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:num_devices]
    )
    values = jax.jit(
        lambda: {"w": jnp.arange(500_000.0)}, out_shardings=NamedSharding(mesh, PartitionSpec())
    )
    with checkpoints.open(tmp_path, keep=5) as kept:
        for step in range(3):
            state = values()
            kept.save(step, state)
            jax.block_until_ready(erase(erase(state)))
            chex.assert_trees_all_equal(
                kept.restore(values())[1], {"w": np.arange(500_000, dtype=np.float32)}
            )


def take_away(path):
    shutil.rmtree(path)


def take_the_list_away(path):
    (path / "state" / "_METADATA").unlink()


@pytest.mark.parametrize(
    "lose, problem", [(take_away, "it is absent"), (take_the_list_away, "[A-Za-z]+")]
)
@pytest.mark.parametrize("is_last", [True, False])
def test_a_save_that_left_not_all_is_noticed_at_the_next_or_at_the_end(
    tmp_path, lose, problem, is_last
):
    """(The files go before the next look at them, as when a write was lost.)"""
    place = re.escape(str(tmp_path))
    words = rf"checkpoint 20 in {place} was not saved whole \({problem}.*; [\d,]+ bytes are free\)"
    with pytest.raises(InputError, match=words), checkpoints.open(tmp_path) as kept:
        for step in (10, 20):
            kept.save(step, make_state(step))
        kept._checkpointer.wait()
        lose(tmp_path / "20")
        if not is_last:
            kept.save(30, make_state(30))
            raise AssertionError("noticed too late")
    assert restore(tmp_path)[0] == 10


def largest_file(checkpoint):
    return max(
        (path for path in checkpoint.rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )


def files(checkpoint, name):
    return [
        path
        for path in checkpoint.rglob("*")
        if path.is_file() and name in str(path.relative_to(checkpoint))
    ]


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def fill(path):
    path.write_bytes(b"garbage!" * (path.stat().st_size // 8 + 1))


def on_files(damage, name):
    return lambda checkpoint: [damage(path) for path in files(checkpoint, name)]


def as_a_file(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.write_text("garbage")


DAMAGES = {
    "data truncated": on_files(truncate, "/d/"),
    "data deleted": on_files(os.remove, "/d/"),
    "data garbage": on_files(fill, "/d/"),
    "manifest truncated": on_files(truncate, "state/manifest"),
    "manifest deleted": on_files(os.remove, "state/manifest"),
    "manifest garbage": on_files(fill, "state/manifest"),
    "metadata truncated": on_files(truncate, "state/_METADATA"),
    "metadata deleted": on_files(os.remove, "state/_METADATA"),
    "metadata garbage": on_files(fill, "state/_METADATA"),
    "everything truncated": on_files(truncate, ""),
    "everything garbage": on_files(fill, ""),
    "everything deleted": on_files(os.remove, ""),
    "a file in its place": as_a_file,
}


QUICK = (
    "data truncated",
    "data garbage",
    "metadata deleted",
    "everything deleted",
    "a file in its place",
)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, damage in DAMAGES.items()
    ],
)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(directory, damage, caplog, capfd):
    damage(directory / "30")
    with checkpoints.open(directory, keep=3) as kept:
        caplog.clear()
        step, state = kept.restore(make_state(0))
        assert step == 20
        chex.assert_trees_all_equal(state, make_state(20))
        assert len(caplog.records) == 1 and caplog.records[0].levelno == logging.WARNING
        assert (
            "checkpoint 30 (" in caplog.text
            and f"in {directory} is damaged: continuing from 20" in caplog.text
        )
        kept.save(30, make_state(31))
    assert (directory / "damaged-30").exists()
    chex.assert_trees_all_equal(restore(directory)[1], make_state(31))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_is_never_loaded(directory, place):
    path = largest_file(directory / "30")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x10
    path.write_bytes(content)
    step, state = restore(directory)
    assert step in (20, 30)
    chex.assert_trees_all_equal(state, make_state(step))


def test_values_that_differ_from_those_saved_are_noticed(directory, caplog):
    with checkpoints.open(directory, keep=3) as kept:
        load = kept._checkpointer.load

        def load_with_an_error(step, abstract):
            tree = load(step, abstract)
            chains = tree["state"].chains
            return {
                **tree,
                "state": tree["state"].replace(
                    chains=chains.at[7, 1].add(1e-5 if step == 30 else 0.0)
                ),
            }

        kept._checkpointer.load = load_with_an_error
        assert kept.restore(make_state(0))[0] == 20
    assert "checkpoint 30 (its bits differ from those saved)" in caplog.text


def test_two_damaged_checkpoints(directory, caplog):
    DAMAGES["data garbage"](directory / "30")
    DAMAGES["everything deleted"](directory / "20")
    assert restore(directory)[0] == 10
    assert (
        "checkpoint 30 (" in caplog.text
        and "; 20 (" in caplog.text
        and "continuing from 10" in caplog.text
    )


def test_what_another_process_cannot_read_gives_way_in_all(directory, monkeypatch, caplog):
    answers = [1, 0]  # of all processes: one has lost the newest
    monkeypatch.setattr(checkpoints.parallel, "agree", lambda number: answers.pop(0))
    with checkpoints.open(directory, keep=3) as kept:
        assert kept.restore(make_state(0))[0] == 20
    assert "checkpoint 30 (another process cannot read it)" in caplog.text
    assert (directory / "damaged-30").exists()


def test_all_checkpoints_damaged(directory):
    for step in (10, 20, 30):
        DAMAGES["data garbage"](directory / str(step))
    with pytest.raises(
        InputError,
        match="no checkpoint in .* can be restored: 30 .*; 20 .*; 10 .*: "
        "give another workdir, .* or delete",
    ) as caught:
        restore(directory)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in directory.iterdir()) == ["10", "20", "30"], (
        "nothing is moved when nothing can be read"
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"chains": np.ones((9, 2), np.float32)},
            r"state.chains is float32\[8, 2\] there, float32\[9, 2\] here",
        ),
        ({"step": np.zeros((), np.float32)}, r"state.step is int32\[\] there, float32\[\] here"),
        (
            {"params": {"dense": {"kernel": np.ones((30, 40), np.float32)}}},
            r"state.params.dense.bias is float32\[3\] there, absent here",
        ),
        (
            {"params": {"conv": {"kernel": np.ones(2, np.float32)}}},
            r"state.params.conv.kernel is absent there, float32\[2\] here \(and 2 more\)",
        ),
    ],
)
def test_a_state_of_another_form_is_no_damage(saved, changes, message):
    with pytest.raises(
        InputError,
        match=f"no checkpoint in .*: 30 .it holds another state: {message}.; 20 .*: "
        "give another workdir",
    ):
        restore(saved, make_state(0).replace(**changes))


def test_a_state_holds_arrays_only(tmp_path):
    with (
        checkpoints.open(tmp_path) as kept,
        pytest.raises(InputError, match=r"state\['rate'\] is a float: make it an array"),
    ):
        kept.save(1, {"rate": 0.1})


@pytest.mark.parametrize("settings", [{"keep": 0}, {"every": 0}, {"every": -5}])
def test_bad_settings(tmp_path, settings):
    with pytest.raises(InputError, match="give at least 1"):
        checkpoints.open(tmp_path, **settings)


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep checkpoints in"):
        checkpoints.open(tmp_path / "file" / "checkpoints")


def test_the_crc32_sees_every_bit_and_no_device():
    state = make_state(3)
    crc32 = checkpoints._crc32(jax.tree.leaves(state))
    assert crc32 == checkpoints._crc32(jax.tree.leaves(make_state(3, num_devices=1)))
    others = [
        state.replace(flags=state.flags.at[4].set(True)),
        state.replace(half=state.half.at[1].set(-1)),
        state.replace(chains=state.chains.at[7, 1].set(jnp.nextafter(state.chains[7, 1], 9.0))),
        state.replace(chains=-state.chains),
        state.replace(step=state.step + 1),
    ]
    assert all(checkpoints._crc32(jax.tree.leaves(other)) != crc32 for other in others)


WRITER = """
import sys, jax.numpy as jnp
from diffenc.run import checkpoints
with checkpoints.open(sys.argv[1], keep=2) as kept:
    found = kept.restore({"w": jnp.zeros(20_000), "step": jnp.int32(0)})
    start = 0 if found is None else found[0]
    if found is not None:
        assert int(found[1]["step"]) == start and bool((found[1]["w"] == start).all())
    print("from", start, flush=True)
    for step in range(start + 1, start + 1000):
        kept.save(step, {"w": jnp.full(20_000, step, jnp.float32), "step": jnp.int32(step)})
        print(step, flush=True)
"""


@pytest.mark.slow  # tests/faults/test_kills.py kills around a save, at instants that it names
def test_a_run_killed_while_it_saves_continues(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    reached = 0
    for delay in (0.02, 0.11, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert int(process.stdout.readline().split()[1]) >= max(0, reached - 1), (
            "at most the save under way is lost"
        )
        for _ in range(3):
            process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        lines = process.communicate()[0].split()
        reached = int(lines[-1]) if lines else reached
    with checkpoints.open(tmp_path, keep=2) as kept:
        step, state = kept.restore({"w": jnp.zeros(20_000), "step": jnp.int32(0)})
    assert step >= reached - 1 and bool((state["w"] == step).all())
    assert all(path.name.isdigit() for path in tmp_path.iterdir()), (
        "what the kill left half-written is cleaned away"
    )


def test_orbax_is_silent_at_info_level(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="absl"), checkpoints.open(tmp_path) as kept:
        kept.save(1, {"w": jnp.ones(3)})
        kept.restore({"w": jnp.ones(3)})
    assert not caplog.records
