"""The loop: bitwise resume from anywhere, signals, losses that blow up, and schedules that cannot
be."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import checkpoints, loop, records

PER_DISPATCH = 5


def make_state():
    return {"w": jnp.linspace(0.1, 0.9, 4), "step": jnp.int32(0)}


@jax.jit
def one_update(state):
    noise = jax.random.normal(jax.random.fold_in(jax.random.key(0), state["step"]), (4,))
    w = 3.9 * state["w"] * (1 - state["w"]) + 1e-3 * jnp.tanh(
        noise
    )  # chaotic: a lost bit would show
    return {"w": jnp.clip(w, 0.01, 0.99), "step": state["step"] + 1}, jnp.sum(w)


def advance(state, step, n):
    assert state["step"] == step
    losses = []
    for _ in range(n):
        state, loss = one_update(state)
        losses.append(loss)
    return state, {"toy.loss": jnp.stack(losses)}


def interrupted(at, act):
    """advance, which does `act` in the dispatch that begins with update `at`."""

    def advance_and_act(state, step, n):
        state, metrics = advance(state, step, n)
        return (act(state, metrics) or (state, metrics)) if step == at else (state, metrics)

    return advance_and_act


def train(workdir, advance_fn=advance, num_updates=60, save_every=10, **settings):
    return loop.train(
        workdir, make_state(), advance_fn, num_updates, PER_DISPATCH, save_every, **settings
    )


def send(number):
    return lambda state, metrics: os.kill(os.getpid(), number)


def crash(state, metrics):
    raise RuntimeError("power cut")


def logged(workdir):
    return [
        (line["step"], line["toy.loss"])
        for line in records.read_metrics(workdir)
        if "toy.loss" in line
    ]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The final state and the log of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("straight")
    return jax.device_get(train(workdir)), logged(workdir)


def assert_continues(workdir, straight):
    state = train(workdir)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), straight[0])
    assert logged(workdir) == straight[1]


@pytest.mark.parametrize("at", [0, 25, 30, 55])
def test_a_crash_and_then_the_same_call_repeat_an_uninterrupted_run_bit_for_bit(
    tmp_path, straight, at
):
    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path, interrupted(at, crash))
    assert_continues(tmp_path, straight)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_and_exits_with_its_number(tmp_path, straight, capsys, number):
    handler = signal.getsignal(number)
    with pytest.raises(loop.Stopped) as stopped:
        train(tmp_path, interrupted(25, send(number)))
    assert stopped.value.code == 128 + number
    assert (
        f"stopped by signal {int(number)} at update 30, saved; the same command continues"
        in capsys.readouterr().out
    )
    assert signal.getsignal(number) is handler
    assert max(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == 30
    assert_continues(tmp_path, straight)
    assert "continuing from update 30 of 60" in capsys.readouterr().out


def test_a_stop_between_saves_is_saved_too(tmp_path, straight):
    with pytest.raises(loop.Stopped):
        train(tmp_path, interrupted(20, send(signal.SIGTERM)), save_every=20)
    with checkpoints.open(tmp_path / "checkpoints") as kept:
        assert kept.restore(make_state())[0] == 25
    jax.tree.map(
        np.testing.assert_array_equal, jax.device_get(train(tmp_path, save_every=20)), straight[0]
    )


def test_a_finished_run_returns_its_state_without_an_update(tmp_path, straight):
    train(tmp_path)

    def never(state, step, n):
        raise AssertionError("there is nothing left to do")

    jax.tree.map(np.testing.assert_array_equal, jax.device_get(train(tmp_path, never)), straight[0])


@pytest.mark.parametrize(
    "at, kept", [(0, "no checkpoint exists yet"), (25, "the checkpoint of update 20 is kept")]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    tmp_path, at, kept, value
):
    def spoil(state, metrics):
        return state, {"toy.loss": metrics["toy.loss"].at[2].set(value)}

    with pytest.raises(
        loop.NonFiniteLoss, match=f"toy.loss is {value} at update {at + 3} .{kept} in"
    ) as error:
        train(tmp_path, interrupted(at, spoil), save_every=20)
    assert isinstance(error.value, InputError) and "\n" not in str(error.value)
    with checkpoints.open(tmp_path / "checkpoints") as saved:
        found = saved.restore(make_state())
    assert found is None if at == 0 else found[0] == 20


def test_other_metrics_may_be_anything(tmp_path):
    def with_a_hole(state, step, n):
        state, metrics = advance(state, step, n)
        return state, metrics | {"acceptance": np.full(n, np.nan)}

    train(tmp_path, with_a_hole, num_updates=10)
    assert records.read_metrics(tmp_path)[-1]["acceptance"] is None


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            dict(num_updates=62),
            "num_updates is 62, not a multiple of updates_per_dispatch 5: give 60, say",
        ),
        (
            dict(num_updates=2),
            "num_updates is 2, not a multiple of updates_per_dispatch 5: give 5, say",
        ),
        (
            dict(save_every=7),
            "save_every is 7, not a multiple of updates_per_dispatch 5: give 5, say",
        ),
        (
            dict(evaluate_every=8),
            "evaluate_every is 8, not a multiple of updates_per_dispatch 5: give 10, say",
        ),
        (dict(save_every=0), "every is 0: give at least 1"),
    ],
)
def test_an_impossible_schedule_names_a_possible_one(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        train(tmp_path, **settings)


@pytest.mark.parametrize(
    "every, steps", [(20, [0, 20, 40, 60]), (25, [0, 25, 50, 60]), (100, [0, 60])]
)
def test_evaluations_are_logged_at_the_start_every_so_often_and_at_the_end(tmp_path, every, steps):
    def evaluate(state, step):
        assert state["step"] == step
        return {"held_out": float(step)}

    settings = dict(
        evaluate=evaluate,
        evaluate_every=every,
        headline=lambda metrics: f"{metrics['toy.loss']:.1f}",
    )
    with pytest.raises(RuntimeError):
        train(tmp_path, interrupted(5, crash), **settings)  # before the first checkpoint
    train(tmp_path, **settings)
    lines = records.read_metrics(tmp_path)
    assert [line["step"] for line in lines if "held_out" in line] == steps
    assert [line["step"] for line in lines if "toy.loss" in line] == list(range(5, 61, 5))
