"""Controls of the comparison that every test of faults ends with: a restore that loses one part of
a run gives another end, and the comparison sees it."""

import jax
import pytest
import small_run
from processes import FOLDER

from diffenc.run import advance, checkpoints
from experiments.arguments import load_config


def without_optimizer(state, fresh):
    return state.replace(opt_state=fresh.opt_state)


def without_step(state, fresh):
    return state.replace(step=fresh.step)


def without_averages(state, fresh):
    return state.replace(averages=jax.tree.map(lambda leaf: leaf + 0, state.params))


def lose_of_state(monkeypatch, lose) -> None:
    """Let every restore lose a part of the state."""
    restore = checkpoints.Checkpoints.restore

    def restore_and_lose(self, example):
        step, states = restore(self, example)
        name = small_run.NAME
        return step, states | {name: lose(states[name], example[name])}

    monkeypatch.setattr(checkpoints.Checkpoints, "restore", restore_and_lose)


def lose_position(monkeypatch) -> None:
    """Let the order of the data begin anew with every process."""
    batch_indices = advance.batch_indices
    firsts = []

    def from_the_start(seed, step, *arguments):
        firsts.append(step)
        return batch_indices(seed, step - firsts[0], *arguments)

    monkeypatch.setattr(advance, "batch_indices", from_the_start)


LOSSES = {
    "nothing": lambda monkeypatch: None,
    "optimizer": lambda monkeypatch: lose_of_state(monkeypatch, without_optimizer),
    "step": lambda monkeypatch: lose_of_state(monkeypatch, without_step),
    "averages": lambda monkeypatch: lose_of_state(monkeypatch, without_averages),
    "data position": lose_position,
}


@pytest.mark.parametrize("lost", LOSSES)
def test_a_restore_that_loses_a_part_is_noticed(workdir, undisturbed, check_end, monkeypatch, lost):
    config = load_config(str(FOLDER / "small_config.py"))
    config.data.path = undisturbed.data
    with monkeypatch.context() as patched:
        LOSSES[lost](patched)
        small_run.run(config, workdir)
    if lost == "nothing":
        check_end(workdir)
        return
    with pytest.raises(AssertionError):
        check_end(workdir)
    print(f"a restore without {lost}: noticed")
