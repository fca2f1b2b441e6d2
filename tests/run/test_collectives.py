"""What programs send between devices: counted in programs whose exchange is known."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from diffenc.run import collectives, parallel
from diffenc.run.collectives import Collective

WEIGHT = jnp.ones((8, 16))


def exchanged(function, num_devices=4):
    """What function(weight, x) exchanges, where x [32, 8] is divided over the devices."""
    mesh = parallel.data_mesh(num_devices)
    x = parallel.shard_batch(mesh, jnp.ones((32, 8)))
    compiled = jax.jit(function).lower(parallel.replicate(mesh, WEIGHT), x).compile()
    return collectives.of_program(compiled.as_text())


def loss(weight, x):
    return jnp.mean(jnp.tanh(x @ weight))


@pytest.mark.parametrize("num_devices", [2, 4])
def test_a_gradient_is_summed_once(num_devices):
    assert exchanged(jax.grad(loss), num_devices) == [Collective("all-reduce", 1, 4 * 8 * 16)]


def test_one_device_exchanges_nothing():
    assert exchanged(jax.grad(loss), 1) == []


def test_a_loop_counts_as_often_as_it_turns():
    def descend(weight, x):
        def turn(weight, _):
            return weight - jax.grad(loss)(weight, x), None

        return jax.lax.scan(turn, weight, None, length=5)[0]

    assert exchanged(descend) == [Collective("all-reduce", 5, 5 * 4 * 8 * 16)]


def test_two_sizes_in_one_sum():
    """XLA may join sums; their bytes are those of both."""
    found = exchanged(jax.value_and_grad(loss))
    assert [one.kind for one in found] == ["all-reduce"]
    assert found[0].num_bytes == 4 * 8 * 16 + 4


def test_a_result_on_every_device_is_gathered():
    def gather(weight, x):
        whole = NamedSharding(parallel.data_mesh(4), PartitionSpec())
        return jax.lax.with_sharding_constraint(x * 2, whole)

    assert exchanged(gather) == [Collective("all-gather", 1, 4 * 32 * 8)]


def test_asynchronous_exchanges_and_bytes_of_other_types():
    text = """ENTRY %main (x: bf16[8]) -> bf16[8] {
  %a = bf16[8]{0} all-reduce-start(%x), to_apply=%add
  %b = (f32[4]{0}, f32[16]{0}) all-gather-start(%y), dimensions={0}
  %c = (pred[3]{0}, u8[5]{0}) all-reduce(%p, %q), to_apply=%add
  %d = bf16[8]{0} all-reduce-done(%a)
  %e = (f32[1024]{0}, f32[1024]{0}, u32[], u32[]) collective-permute-start(%z)
}
"""
    assert collectives.of_program(text) == [
        Collective("all-reduce", 2, 16 + 8),
        Collective("all-gather", 1, 64),
        Collective("collective-permute", 1, 4096),
    ]


def test_a_ring_sends_what_theory_says():
    """Of n bytes, P devices each send (P - 1) / P to be summed and as many to be gathered."""
    total = [Collective("all-reduce", 1, 1000)]
    parts = [Collective("reduce-scatter", 1, 125), Collective("all-gather", 1, 1000)]
    assert collectives.ring_bytes(total, 8) == collectives.ring_bytes(parts, 8) == 1750
    assert collectives.ring_bytes(total, 1) == 0
