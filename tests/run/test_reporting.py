"""Contracts of what a run writes: metrics that survive kills, results that are valid JSON, plain
logs, and figures."""

import builtins
import io
import json
import math
import sys
import types

import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import checkpoints, parallel, reporting
from diffenc.run.reporting import Result


def test_metrics_are_lines_of_json(tmp_path):
    with reporting.MetricsWriter(tmp_path) as writer:
        writer.write(1, loss=jnp.float32(1.5), rate=np.float64(2))
        assert reporting.read_metrics(tmp_path) == [{"step": 1, "loss": 1.5, "rate": 2.0}], (
            "each line is flushed"
        )
        writer.write(np.int64(2), loss=math.nan, rate=-math.inf)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"step": 2, "loss": None, "rate": None}


@pytest.mark.parametrize("torn", ["", '{"step": 4, "lo', "\x00\x00", "7\n[1]\n"])
@pytest.mark.parametrize("resume_step", [0, 2, 3])
def test_a_resumed_run_drops_what_it_will_write_again(tmp_path, torn, resume_step):
    with reporting.MetricsWriter(tmp_path) as writer:
        for step in (1, 2, 3):
            writer.write(step, loss=step / 2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    with reporting.MetricsWriter(tmp_path, resume_step) as writer:
        for step in range(resume_step + 1, 6):
            writer.write(step, loss=step / 2)
    assert reporting.read_metrics(tmp_path) == [
        {"step": step, "loss": step / 2} for step in range(1, 6)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    with reporting.MetricsWriter(tmp_path, extras=("tensorboard",)) as writer:
        writer.write(1, loss=1.5)
    reporting.write_results(tmp_path, [Result("loss", 1.5)])
    figure, _ = reporting.figure()
    reporting.save(figure, tmp_path, "loss")
    checkpoints.check_config(tmp_path, {"seed": 0})
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_are_not_there(tmp_path):
    assert reporting.read_metrics(tmp_path) == []


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
        reporting.MetricsWriter(tmp_path, extras=(name,))


def test_an_unknown_extra(tmp_path):
    with pytest.raises(InputError, match="not to 'print'"):
        reporting.MetricsWriter(tmp_path, extras=("print",))


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
        with reporting.MetricsWriter(tmp_path, 4, extras=("tensorboard", "wandb")) as writer:
            writer.write(5, loss=1.0, bad=math.nan)
    assert seen[:4] == [("loss", 1.0, 5), ({"loss": 1.0}, 5), "closed", "finished"]
    assert made[0] == (str(tmp_path / "tensorboard"), 5) and made[1] == made[3], (
        "a resumed run keeps its identity"
    )


def test_tensorboard_for_real(tmp_path):
    pytest.importorskip("tensorboardX")
    with reporting.MetricsWriter(tmp_path, extras=("tensorboard",)) as writer:
        writer.write(1, loss=1.0)
    assert list((tmp_path / "tensorboard").iterdir())


RESULTS = [
    Result("test NLL", jnp.float32(99.5), 0.25, truth=99.0),
    Result("accuracy [kNN]", 0.5, unit="fraction"),
    Result("diverged", math.nan, math.inf, "bits"),
]


def test_results_follow_their_contract(tmp_path):
    reporting.write_results(tmp_path, RESULTS)
    assert json.loads((tmp_path / "results.json").read_text()) == [
        {"name": "test NLL", "value": 99.5, "stderr": 0.25, "unit": "nats", "truth": 99.0},
        {"name": "accuracy [kNN]", "value": 0.5, "stderr": None, "unit": "fraction", "truth": None},
        {"name": "diverged", "value": None, "stderr": None, "unit": "bits", "truth": None},
    ]
    read = reporting.read_results(tmp_path)
    assert read[0] == Result("test NLL", 99.5, 0.25, "nats", 99.0) and math.isnan(read[2].value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        reporting.read_results(tmp_path)
    for content in ("[{", '[{"name": "a"}]', '[{"nom": 1}]', "3"):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(InputError, match="is damaged"):
            reporting.read_results(tmp_path)


@pytest.mark.parametrize(
    "value, stderr, text",
    [
        (99.4567, 0.0312, "99.457 ± 0.031"),
        (1234.5, 123.4, "1234 ± 123"),
        (0.5, None, "0.5"),
        (0.123456789, None, "0.12346"),
        (2.0, 0.0, "2 ± 0"),
        (1e-12, 3e-13, "1e-12 ± 3e-13"),
        (math.nan, 0.1, "not finite"),
        (-3.14159, 0.5, "-3.14 ± 0.50"),
    ],
)
def test_sensible_digits(value, stderr, text):
    assert reporting.format_value(value, stderr) == text


def test_the_table_is_plain_text_in_a_log():
    out = io.StringIO()
    reporting.print_table(RESULTS, title="demo", file=out)
    text = out.getvalue()
    for part in (
        "demo",
        "test NLL",
        "99.50 ± 0.25",
        "99",
        "nats",
        "accuracy [kNN]",
        "fraction",
        "not finite",
        "truth",
    ):
        assert part in text
    assert "\x1b" not in text and "\r" not in text
    out = io.StringIO()
    reporting.print_table(RESULTS[1:], file=out)
    assert "truth" not in out.getvalue()


def test_progress_in_a_log_is_a_few_plain_lines(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    with reporting.progress(1000, start=100, description="updates") as update:
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
    with reporting.progress(1000, at_most=True) as update:
        update(30)
    assert capsys.readouterr().out == "updates 30 of at most 1000  elapsed 0:00:00\n"


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen)
    with reporting.progress(10, start=4) as update:
        update(10, "loss [1.5]")
    assert (
        "10/10" in screen.getvalue()
        and "loss [1.5]" in screen.getvalue()
        and "\x1b" in screen.getvalue()
    )


def test_a_figure_of_every_kind(tmp_path):
    fig, axes = reporting.figure(1, 2)
    assert axes.shape == (1, 2)
    x = np.arange(5)
    line = reporting.band(axes[0, 0], x, x**2, 0.1 * x, label="estimate")
    reporting.truth_line(axes[0, 0], 4.0)
    reporting.label(axes[0, 0], "time", "entropy (nats)", title="growth", legend=True)
    reporting.image_grid(
        axes[0, 1], np.random.default_rng(0).integers(0, 17, (7, 8, 8, 1)), columns=3, max_value=16
    )
    assert line.get_color() == reporting.PALETTE[0]
    path = reporting.save(fig, tmp_path, "all")
    assert path == tmp_path / "figures" / "all.png" and [
        one.name for one in path.parent.iterdir()
    ] == ["all.png"]
    assert matplotlib.image.imread(path).shape[:2] == (420, 1020)


def test_the_grid_places_images_row_by_row():
    fig, axes = reporting.figure()
    images = np.arange(1.0, 4.0)[:, None, None] * np.ones((3, 2, 2))
    reporting.image_grid(axes[0, 0], images, columns=2)
    shown = np.asarray(axes[0, 0].images[0].get_array())
    assert shown.shape == (5, 5)
    np.testing.assert_allclose(
        [shown[0, 0], shown[0, 3], shown[3, 0], shown[3, 3], shown[0, 2]], [1 / 3, 2 / 3, 1, 1, 1]
    )


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 8), (3, 8, 8, 2)])
def test_images_of_another_shape(shape):
    fig, axes = reporting.figure()
    with pytest.raises(InputError, match="images have shape"):
        reporting.image_grid(axes[0, 0], np.zeros(shape), columns=2)
