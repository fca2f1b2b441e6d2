"""Examples that stay on the host are fed in the same order, with the same result."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffenc import training
from diffenc.run import advance, feeding, order, parallel

BATCH = 8
X = np.random.default_rng(0).normal(size=(50, 3))
Y = np.arange(50)
OPTIMIZER = optax.adam(0.1)


def update(state, key, rows):
    x, y = rows
    x = x + 0.1 * jax.random.normal(key, x.shape)

    def loss(params):
        return jnp.mean(jnp.square(x @ params - y / 50))

    value, grads = jax.value_and_grad(loss)(state.params)
    return state.apply_gradients(grads, OPTIMIZER, 0.9), {"loss": value, "examples": y}


RUN = training.scan_updates(update, lambda key, rows: rows)


def train(mesh, examples, dispatches=2, n=6):
    """The states of two systems, one of which ends early, and the metrics of every update."""
    trainees = {
        "one": advance.Trainee(RUN, examples, jax.random.key(0), 0),
        "other": advance.Trainee(RUN, examples, jax.random.key(1), 0, 8, order=("other",)),
    }
    go = advance.make_advance(trainees, mesh, BATCH)
    start = training.TrainState.create(jnp.zeros(3), OPTIMIZER)
    states = parallel.replicate(mesh, dict.fromkeys(trainees, start))
    states = {name: jax.tree.map(jnp.copy, state) for name, state in states.items()}
    parts = []
    for dispatch in range(dispatches):
        states, metrics = go(states, dispatch * n, n)
        parts.append({name: np.asarray(a) for name, a in metrics.items() if "ms_" not in name})
    names = ("one.loss", "one.examples", "other.loss", "other.examples")
    return states, {name: np.concatenate([part[name] for part in parts]) for name in names}


@pytest.fixture
def small_devices(monkeypatch):
    """Devices of so little memory that the examples, and six updates of them, are too many."""
    num_bytes = X.size * 4 + Y.size * 4
    monkeypatch.setattr(feeding, "memory", lambda mesh: int(num_bytes / feeding.SHARE) - 1)


def test_what_fits_is_on_every_device(capsys, monkeypatch):
    mesh = parallel.data_mesh()
    num_bytes = X.size * 4 + Y.size * 4
    for room in (None, int(num_bytes / feeding.SHARE)):
        monkeypatch.setattr(feeding, "memory", lambda mesh, room=room: room)
        examples = feeding.place(mesh, (X, Y))
        assert not feeding.is_fed(examples)
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(examples))
        assert [leaf.dtype for leaf in examples] == [np.float32, np.int32]
    assert capsys.readouterr().out == ""


def test_what_does_not_fit_stays_on_the_host_and_is_said_in_one_line(small_devices, capsys):
    examples = feeding.place(parallel.data_mesh(), (X, Y))
    assert feeding.is_fed(examples) and [leaf.dtype for leaf in examples] == [np.float32, np.int32]
    assert capsys.readouterr().out == (
        "the training examples take 800 bytes, more than 25% of the 3,199 of a device: they stay "
        "on the host and are fed ahead of use\n"
    )


@pytest.mark.parametrize("num_devices", [1, 4])
def test_the_result_is_that_of_examples_on_the_devices(small_devices, num_devices):
    mesh = parallel.data_mesh(num_devices)
    on_devices = parallel.replicate(mesh, (np.float32(X), np.int32(Y)))
    states, metrics = train(mesh, on_devices)
    expected = order.batch_indices(0, 0, 12, BATCH, 50)
    np.testing.assert_array_equal(metrics["one.examples"], expected)
    fed_states, fed = train(mesh, feeding.place(mesh, (X, Y)))
    chex.assert_trees_all_equal(fed["one.examples"], expected)
    chex.assert_trees_all_equal(fed["other.examples"], metrics["other.examples"])
    chex.assert_trees_all_close(fed, metrics, rtol=1e-6)
    chex.assert_trees_all_close(fed_states, states, rtol=1e-6)


def test_lots_are_as_large_as_memory_allows(small_devices, monkeypatch):
    examples = (np.float32(X), np.int32(Y))
    one = parallel.data_mesh(1)
    assert feeding.updates_at_once(examples, 6, BATCH, one) == 3  # 128 bytes each, of 800 / 2
    assert feeding.updates_at_once(examples, 7, BATCH, one) == 1
    assert feeding.updates_at_once(examples, 6, BATCH, parallel.data_mesh(4)) == 6
    monkeypatch.setattr(feeding, "memory", lambda mesh: 1)
    assert feeding.updates_at_once(examples, 6, BATCH, one) == 1
    assert feeding.updates_at_once(parallel.replicate(one, examples), 6, BATCH, one) == 6


def test_a_lot_is_read_once_and_before_the_one_in_use_has_ended(small_devices, monkeypatch):
    mesh = parallel.data_mesh(1)
    events = []
    batches_of = feeding.batches_of
    block = jax.block_until_ready

    def read(examples, rows, mesh):
        events.append("read")
        return batches_of(examples, rows, mesh)

    def wait(values):
        events.append("end")
        return block(values)

    monkeypatch.setattr(feeding, "batches_of", read)
    monkeypatch.setattr(jax, "block_until_ready", wait)
    go = advance.make_advance(
        {"one": advance.Trainee(RUN, feeding.place(mesh, (X, Y)), jax.random.key(0), 0)},
        mesh,
        BATCH,
    )
    start = training.TrainState.create(jnp.zeros(3), OPTIMIZER)
    states = parallel.replicate(mesh, {"one": start})
    states, _ = go(states, 0, 6)
    assert events == ["read", "read", "end", "read", "end"]
    go(states, 6, 6)
    assert events[5:] == ["read", "end", "read", "end"]
