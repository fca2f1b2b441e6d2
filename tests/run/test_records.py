"""Contracts of metrics that survive kills, and of progress that is plain in a log."""

import builtins
import io
import json
import math
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import parallel, records


def test_metrics_are_lines_of_json(tmp_path):
    with records.MetricsWriter(tmp_path) as writer:
        writer.write(1, loss=jnp.float32(1.5), rate=np.float64(2))
        assert records.read_metrics(tmp_path) == [{"step": 1, "loss": 1.5, "rate": 2.0}], (
            "each line is flushed"
        )
        writer.write(np.int64(2), loss=math.nan, rate=-math.inf)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"step": 2, "loss": None, "rate": None}


@pytest.mark.parametrize("torn", ["", '{"step": 4, "lo', "\x00\x00", "7\n[1]\n"])
@pytest.mark.parametrize("resume_step", [0, 2, 3])
def test_a_resumed_run_drops_what_it_will_write_again(tmp_path, torn, resume_step):
    with records.MetricsWriter(tmp_path) as writer:
        for step in (1, 2, 3):
            writer.write(step, loss=step / 2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    with records.MetricsWriter(tmp_path, resume_step) as writer:
        for step in range(resume_step + 1, 6):
            writer.write(step, loss=step / 2)
    assert records.read_metrics(tmp_path) == [
        {"step": step, "loss": step / 2} for step in range(1, 6)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    with records.MetricsWriter(tmp_path, extras=("tensorboard",)) as writer:
        writer.write(1, loss=1.5)
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_are_not_there(tmp_path):
    assert records.read_metrics(tmp_path) == []


@pytest.mark.parametrize("name, package", [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_an_extra_that_is_not_installed(tmp_path, monkeypatch, name, package):
    original = builtins.__import__

    def no_package(module, *args, **kwargs):
        if module == package:
            raise ImportError(module)
        return original(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_package)
    with pytest.raises(
        InputError, match=rf"metrics for {name} need .*: pip install -e '.\[{name}\]'"
    ):
        records.MetricsWriter(tmp_path, extras=(name,))


def test_an_unknown_extra(tmp_path):
    with pytest.raises(InputError, match="not to 'print'"):
        records.MetricsWriter(tmp_path, extras=("print",))


def test_the_extras_receive_the_same_numbers(tmp_path, monkeypatch):
    seen = []
    board = types.SimpleNamespace(
        add_scalar=lambda key, value, step: seen.append((key, value, step)),
        close=lambda: seen.append("closed"),
    )
    run = types.SimpleNamespace(
        log=lambda numbers, step: seen.append((numbers, step)),
        finish=lambda: seen.append("finished"),
    )
    made = []
    fake_board = types.SimpleNamespace(
        SummaryWriter=lambda where, purge_step: made.append((where, purge_step)) or board
    )
    monkeypatch.setitem(sys.modules, "tensorboardX", fake_board)
    monkeypatch.setitem(
        sys.modules,
        "wandb",
        types.SimpleNamespace(init=lambda **settings: made.append(settings["id"]) or run),
    )
    for _ in range(2):
        with records.MetricsWriter(tmp_path, 4, extras=("tensorboard", "wandb")) as writer:
            writer.write(5, loss=1.0, bad=math.nan)
    assert seen[:4] == [("loss", 1.0, 5), ({"loss": 1.0}, 5), "closed", "finished"]
    assert made[0] == (str(tmp_path / "tensorboard"), 5) and made[1] == made[3], (
        "a resumed run keeps its identity"
    )


def test_tensorboard_for_real(tmp_path):
    pytest.importorskip("tensorboardX")
    with records.MetricsWriter(tmp_path, extras=("tensorboard",)) as writer:
        writer.write(1, loss=1.0)
    assert list((tmp_path / "tensorboard").iterdir())


def test_progress_in_a_log_is_a_few_plain_lines(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(records.time, "monotonic", lambda: now[0])
    with records.progress(1000, start=100, description="updates") as update:
        for completed in range(200, 1001, 100):
            now[0] += 4.0
            update(completed, f"loss {completed / 100:.1f}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "updates 200/1000  loss 2.0  elapsed 0:00:04  remaining 0:00:32"
    assert (
        lines[-1] == "updates 1000/1000  loss 10.0  elapsed 0:00:36  remaining 0:00:00"
        and len(lines) == 4
    )
    assert all(line.isprintable() for line in lines)
    with records.progress(1000, at_most=True) as update:
        update(30)
        update(1000)
    shown = "updates 30 of at most 1000  elapsed 0:00:00\nupdates done  elapsed 0:00:00\n"
    assert capsys.readouterr().out == shown


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen)
    with records.progress(10, start=4) as update:
        update(10, "loss [1.5]")
    assert (
        "10/10" in screen.getvalue()
        and "loss [1.5]" in screen.getvalue()
        and "\x1b" in screen.getvalue()
    )
