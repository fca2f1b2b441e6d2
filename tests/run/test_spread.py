"""Evaluation over several devices: each example once, in order, with the result of one device."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import count_compilations

from diffenc.estimate import map_examples
from diffenc.run import division, parallel

X = np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32)


@jax.jit
def program(params, key, x):
    """A bound by draws of noise and some steps of a sampler, of each example alone."""

    def step(z, eps):
        return jnp.tanh(z @ params["w"]) + 0.1 * eps, jnp.sum(jnp.square(z), axis=-1)

    noise = jax.random.normal(key, (5, *x.shape))
    z, squares = jax.lax.scan(step, x, noise)
    return {"z": z, "mean": jnp.mean(squares, axis=0), "index": jnp.argmax(x, axis=-1)}


def measure(num_devices, batch_size=4):
    """The results of a program of draws, of one that draws nothing, and of one of numpy."""
    mesh = parallel.data_mesh(num_devices)
    params = parallel.local(parallel.replicate(mesh, {"w": jnp.eye(3) * 0.9}))

    def drawn(key, x):
        return program(params, key, x)

    def plain(_, x):
        return jnp.sum(x @ params["w"], axis=-1)

    def of_numpy(_, x):
        return np.asarray(x)[:, 0]

    with division.spread_over(mesh):
        return (
            map_examples(drawn, jax.random.key(3), X, batch_size),
            map_examples(plain, None, jnp.asarray(X), batch_size),
            map_examples(of_numpy, None, X, batch_size),
        )


def check(num_devices):
    one = measure(1)
    several = measure(num_devices)
    assert jax.tree.structure(one) == jax.tree.structure(several)
    for values, expected in zip(jax.tree.leaves(several), jax.tree.leaves(one), strict=True):
        assert len(values) == 13
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(several[2], X[:, 0])


@pytest.mark.parametrize("num_devices", [2, 4])
def test_the_results_are_those_of_one_device(num_devices):
    check(num_devices)


def test_each_device_has_a_part_and_a_program_is_compiled_once():
    mesh = parallel.data_mesh(4)
    keys = jax.random.split(jax.random.key(0), 8)
    inner = jax.jit(lambda w, key, x: jnp.sum(x * w + jax.random.normal(key, x.shape)))
    other = jax.jit(lambda w, key, x: jnp.sum(x + w * jax.random.normal(key, x.shape)))
    shapes = []

    def run(program, w):
        w = parallel.local(parallel.replicate(mesh, jnp.full(3, w)))

        def fn(key, x):
            shapes.append(x.shape)
            return program(w, key, x)

        with jax.debug_key_reuse(False):
            return division.apply(mesh, jax.vmap(fn), keys, X[:8])

    one = run(inner, 1.0)
    assert [shard.data.shape for shard in one.addressable_shards] == [(2,)] * 4
    assert shapes == [(3,)], "traced once"
    assert count_compilations(lambda: run(inner, 2.0)) == 0
    two = run(inner, 2.0)
    np.testing.assert_allclose(two - one, X[:8].sum(axis=1), rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(run(other, 2.0)) - np.asarray(two)).min() > 1e-3


def test_constants_that_print_alike_are_told_apart():
    mesh = parallel.data_mesh(2)

    def run(scale):
        return division.apply(mesh, lambda x: x * scale, jnp.ones(2))[0]

    for scale in (1.23454e-4, 1.23456e-4, 1.2345e-4):
        assert run(scale) == np.float32(scale)
    assert count_compilations(lambda: run(1.2345e-4)) == 0


def test_without_the_context_nothing_is_divided():
    before = map_examples(
        lambda _, x: {"is_numpy": np.full(len(x), isinstance(x, np.ndarray))}, None, X, 4
    )
    assert before["is_numpy"].all()


@pytest.mark.slow
def test_eight_devices_in_a_process_of_their_own():
    code = (
        "import os, sys; "
        "os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=8'; "
        "sys.path[:0] = ['tests', 'tests/run']; "
        "import test_spread; test_spread.check(4); test_spread.check(8)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
