"""Systems of one program that are trained together have the numbers that each has alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import count_compilations

from diffenc import training
from diffenc.run import advance, feeding, groups, loop, parallel

BATCH = 8
X = np.random.default_rng(0).normal(size=(3, 50, 3)).astype(np.float32)
Y = np.arange(50, dtype=np.int32)
OPTIMIZER = training.make_optimizer(0.1, 12, warmup=2, clip_norm=1.0, accumulate=2)
NAMES = ("one", "two", "early")


def update(state, key, rows):
    x, y = rows
    noise = jax.random.normal(key, x.shape)

    def loss(params):
        return jnp.mean(jnp.square((x + 0.1 * noise) @ params - y / 50))

    value, grads = jax.value_and_grad(loss)(state.params)
    state = state.apply_gradients(grads, OPTIMIZER, 0.9)
    return state, {"loss": value, "examples": y, "noise": noise}


RUN = training.scan_updates(update, lambda key, rows: rows)


def make_trainees(mesh, is_shared):
    """Three systems, the last of which ends after eight updates; one or three sets of examples."""
    placed = [feeding.place(mesh, (x, Y)) for x in X]
    return {
        name: advance.Trainee(
            RUN,
            placed[0 if is_shared else i],
            jax.random.key(i),
            seed=0,
            num_updates=8 if name == "early" else None,
            order=() if is_shared else (name,),
        )
        for i, name in enumerate(NAMES)
    }


def make_states(mesh):
    starts = {
        name: training.TrainState.create(jnp.full(3, 0.1 * i, jnp.float32), OPTIMIZER)
        for i, name in enumerate(NAMES)
    }
    return parallel.replicate(mesh, starts)


def train(mesh, is_shared, systems_at_once, dispatches=2, n=6):
    """The states after all updates, and the metrics of each dispatch."""
    trainees = make_trainees(mesh, is_shared)
    go = advance.make_advance(trainees, mesh, BATCH, systems_at_once)
    states = make_states(mesh)
    parts = []
    for dispatch in range(dispatches):
        states, metrics = go(states, dispatch * n, n)
        times = [metric for metric in metrics if metric.endswith(".ms_per_update")]
        assert len(times) == len(metrics) / 4 and all(metrics[time].min() > 0 for time in times)
        parts.append({name: np.asarray(a) for name, a in metrics.items() if "ms_" not in name})
    return states, parts


def assert_same(found, expected):
    for name, values in expected[1][0].items():
        if name.endswith((".noise", ".examples")):
            np.testing.assert_array_equal(found[1][0][name], values, name)
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def sizes(monkeypatch):
    """How many systems each call of `groups.run` was given."""
    calls = []
    run = groups.run

    def record(run_updates, states, keys, batches):
        calls.append(len(states))
        return run(run_updates, states, keys, batches)

    monkeypatch.setattr(groups, "run", record)
    return calls


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_group_is_its_systems_one_after_another(sizes, num_devices, is_shared):
    mesh = parallel.data_mesh(num_devices)
    alone = train(mesh, is_shared, 1)
    assert sizes == [1] * 6
    together = train(mesh, is_shared, 3)
    # The system that ends within the second dispatch has fewer updates left, and a lot of its own.
    assert sizes[6:] == [3, 2, 1]
    assert_same(together, alone)
    for state in together[0].values():
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    assert [int(together[0][name].step) for name in NAMES] == [12, 12, 8]


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_group_fed_from_the_host_reads_what_its_systems_read(sizes, monkeypatch, is_shared):
    mesh = parallel.data_mesh(2)
    alone = train(mesh, is_shared, 1)
    num_bytes = X[0].nbytes + Y.nbytes
    monkeypatch.setattr(feeding, "memory", lambda mesh: int(num_bytes / feeding.SHARE) - 1)
    sizes.clear()
    together = train(mesh, is_shared, 3)
    # Two lots of a batch of 8 on two devices, of 16 bytes a row, fit into 800 bytes six times; of
    # three systems with examples of their own, two times.
    assert sizes == ([3, 2, 1] if is_shared else [3] * 3 + [2] * 2 + [1])
    assert_same(together, alone)


def test_a_stopped_group_continues_bit_for_bit(tmp_path):
    mesh = parallel.data_mesh(2)
    whole, _ = train(mesh, False, 3, dispatches=4, n=3)

    def go_on(num_updates):
        trainees = make_trainees(mesh, False)
        return loop.train(
            tmp_path,
            make_states(mesh),
            advance.make_advance(trainees, mesh, BATCH, 3),
            num_updates=num_updates,
            updates_per_dispatch=3,
            save_every=3,
        )

    go_on(6)
    chex.assert_trees_all_equal(go_on(12), whole)


def test_a_program_is_compiled_once_and_its_costs_are_those_of_one_system():
    mesh = parallel.data_mesh(2)
    trainees = {name: make_trainees(mesh, False)[name]._replace(num_updates=None) for name in NAMES}
    states = make_states(mesh)
    arguments = (trainees, states, "two", mesh, BATCH, 5)
    of_one = advance.costs_of(*arguments)
    of_group = advance.costs_of(*arguments, 3)
    assert of_one.flops > 0
    assert of_group._replace(temporary_bytes=0) == of_one._replace(temporary_bytes=0)
    go = advance.make_advance(trainees, mesh, BATCH, 3)
    keep = {}

    def train_on():
        keep["states"], _ = go(keep.get("states", states), 0, 5)

    assert count_compilations(train_on) == 0, "costs_of has compiled it"
    assert count_compilations(train_on) == 0, "what it returns is what it takes"


def test_groups_are_of_one_kind_and_no_larger_than_asked():
    kinds = dict(zip("abcdefg", (1, 2, 1, 1, 2, 1, 1), strict=True))
    assert groups.split(kinds, None) == [tuple("acdfg"), tuple("be")]
    assert groups.split(kinds, 2) == [tuple("ac"), tuple("df"), ("g",), tuple("be")]
    assert groups.split(kinds, 1) == [(name,) for name in "acdfgbe"]


def test_systems_of_other_shapes_or_programs_are_not_grouped(sizes):
    mesh = parallel.data_mesh(1)
    other_program = training.scan_updates(update, lambda key, rows: rows)
    short = jax.tree.map(lambda a: a[:40], feeding.place(mesh, (X[0], Y)))
    base = make_trainees(mesh, True)["one"]
    trainees = {
        "one": base,
        "short": base._replace(examples=short),
        "other": base._replace(run_updates=other_program),
    }
    start = training.TrainState.create(jnp.zeros(3), OPTIMIZER)
    states = parallel.replicate(mesh, {name: jax.tree.map(jnp.copy, start) for name in trainees})
    advance.make_advance(trainees, mesh, BATCH, 8)(states, 0, 6)
    assert sizes == [1, 1, 1]


def test_by_default_systems_are_grouped_on_accelerators_alone(monkeypatch):
    mesh = parallel.data_mesh(1)
    assert groups.largest(0, mesh) == 1 and groups.largest(5, mesh) == 5

    class Device:
        platform = "gpu"

    class Mesh:
        devices = np.array([Device()])

    assert groups.largest(0, Mesh()) is None and groups.largest(1, Mesh()) == 1
