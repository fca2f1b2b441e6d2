"""Contracts of the mesh: placement, divisibility, and results that do not depend on the number of
devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from diffenc.errors import InputError
from diffenc.run import parallel


def test_the_mesh_is_one_dimensional_and_over_all_devices_by_default():
    mesh = parallel.data_mesh()
    assert mesh.axis_names == ("data",) and mesh.size == jax.device_count() == 4
    assert parallel.data_mesh(2).size == 2 and parallel.data_mesh(0).size == 4


def test_several_processes_use_all_their_devices(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert parallel.data_mesh(4).size == 4
    with pytest.raises(
        InputError,
        match="num_devices is 3, and the 2 processes of this run have 4 together: give 0",
    ):
        parallel.data_mesh(3)


@pytest.mark.parametrize("count", [-1, 5])
def test_too_many_or_too_few_devices(count):
    with pytest.raises(
        InputError, match=f"num_devices is {count}, and this run has 4: give a number from 1 to 4"
    ):
        parallel.data_mesh(count)


def test_replicate_puts_the_whole_tree_on_each_device():
    tree = parallel.replicate(
        parallel.data_mesh(), {"w": jnp.arange(6.0).reshape(2, 3), "step": jnp.int32(7)}
    )
    assert all(
        leaf.sharding.is_fully_replicated and len(leaf.devices()) == 4
        for leaf in jax.tree.leaves(tree)
    )
    chex.assert_trees_all_equal(
        tree, {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3), "step": np.int32(7)}
    )


def test_typed_keys_are_replicated_and_seen_by_one_device():
    keys = {"one": jax.random.key(3), "several": jax.random.split(jax.random.key(4, impl="rbg"), 3)}
    tree = parallel.replicate(parallel.data_mesh(), keys)
    assert all(
        leaf.sharding.is_fully_replicated and len(leaf.devices()) == 4
        for leaf in jax.tree.leaves(tree)
    )
    local = parallel.local(tree)
    assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(local))
    for name, key in keys.items():
        assert tree[name].dtype == local[name].dtype == key.dtype
        np.testing.assert_array_equal(jax.random.key_data(local[name]), jax.random.key_data(key))


@pytest.mark.parametrize("axis", [0, 1])
def test_shard_batch_splits_the_batch_axis(axis):
    batch = np.arange(8 * 8 * 3, dtype=np.float32).reshape(8, 8, 3)
    sharded = parallel.shard_batch(parallel.data_mesh(), batch, axis=axis)
    assert sharded.sharding.spec == PartitionSpec(*[None] * axis, "data")
    assert {shard.data.shape for shard in sharded.addressable_shards} == {
        (2, 8, 3) if axis == 0 else (8, 2, 3)
    }
    np.testing.assert_array_equal(sharded, batch)


def test_a_batch_that_does_not_divide_names_both_numbers():
    mesh = parallel.data_mesh()
    parallel.check_batch(8, mesh)
    for batch_size in (0, 6, -4):
        with pytest.raises(
            InputError,
            match=f"batch size {batch_size} does not divide over 4 devices: give a multiple of 4",
        ):
            parallel.check_batch(batch_size, mesh)
    with pytest.raises(InputError, match="batch size 6"):
        parallel.shard_batch(mesh, np.zeros((6, 2)))


def test_one_process_holds_every_row_and_is_the_main_one():
    assert parallel.is_main_process()
    assert parallel.local_rows(12) == slice(0, 12)


def test_the_gradient_does_not_depend_on_the_number_of_devices():
    x = jax.random.normal(jax.random.key(0), (16, 5))

    def gradient(num_devices):
        mesh = parallel.data_mesh(num_devices)

        def loss(w, x):
            return jnp.mean(jnp.sum(jnp.tanh(x * w[None]) ** 2, axis=-1))

        return jax.jit(jax.grad(loss))(
            parallel.replicate(mesh, jnp.ones(5)), parallel.shard_batch(mesh, x)
        )

    np.testing.assert_allclose(gradient(1), gradient(4), rtol=1e-5)
