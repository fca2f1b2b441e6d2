"""Work by the compiler's analysis: products whose number is known, in loops and branches."""

import jax
import jax.numpy as jnp
import pytest

from diffenc.run import costs
from diffenc.run.compiled_costs import ProgramWork, work_of

SIDE = 128
A = jax.ShapeDtypeStruct((SIDE, SIDE), jnp.float32)
FLOPS = 2 * SIDE**3
NUM_BYTES = 3 * 4 * SIDE**2  # two matrices are read, one is written


def measure(function, is_loop=False):
    traced = jax.jit(function).trace(A, A)
    return work_of(traced, traced.lower().compile(), is_loop)


def chain(a, b, length=10):
    return jax.lax.scan(lambda a, _: (a @ b, None), a, length=length)[0]


def test_one_product():
    work = measure(lambda a, b: a @ b)
    assert work == ProgramWork(FLOPS, NUM_BYTES)


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (chain, 10),
        (lambda a, b: chain(a, b, 1), 1),
        (lambda a, b: chain(a, b, 2), 2),
        (lambda a, b: jax.jit(chain)(a, b) @ b, 11),
        (lambda a, b: jax.lax.fori_loop(0, 7, lambda _, a: a @ b, a), 7),
        (lambda a, b: jax.lax.map(lambda _: chain(a, b), jnp.arange(3)), 30),
        (lambda a, b: jax.lax.cond(a[0, 0] > 0, chain, lambda a, b: a @ b, a, b), 10),
        # Backward each turn is two products, but the first, of whose a no gradient is asked.
        (lambda a, b: jax.grad(lambda b: jnp.sum(chain(a, b)))(b), 30),
    ],
)
def test_a_loop_counts_as_often_as_it_turns(function, products):
    """Beside the products a turn has sums, copies and counters: less than a product by far."""
    work = measure(function)
    assert products * FLOPS <= work.flops < (products + 0.5) * FLOPS
    assert work.num_bytes >= products * NUM_BYTES
    assert costs.count_flops(jax.make_jaxpr(function)(A, A)) == products * FLOPS


def test_a_turn_of_a_loop():
    """The outermost loop counts once, and what is in it as often as it turns."""

    def nested(a, b):
        return jax.lax.scan(lambda a, _: (chain(a, b, 4), None), a, length=5)[0]

    assert measure(nested).flops == pytest.approx(20 * FLOPS, rel=1e-3)
    assert measure(nested, is_loop=True).flops == pytest.approx(4 * FLOPS, rel=1e-3)


def test_turns_that_are_written_out_count_once():
    work = measure(lambda a, b: jax.lax.scan(lambda a, _: (a @ b, None), a, length=10, unroll=5)[0])
    assert work.flops == pytest.approx(10 * FLOPS, rel=1e-3)
