"""Contracts of results: valid JSON, sensible digits, tables that are plain text in a log."""

import io
import json
import math

import jax.numpy as jnp
import pytest

from diffenc.errors import InputError
from diffenc.run import parallel, tables
from diffenc.run.tables import Result

RESULTS = [
    Result("test NLL", jnp.float32(99.5), 0.25, truth=99.0),
    Result("accuracy [kNN]", 0.5, unit="fraction"),
    Result("diverged", math.nan, math.inf, "bits"),
]


def test_results_follow_their_contract(tmp_path):
    tables.write_results(tmp_path, RESULTS)
    assert json.loads((tmp_path / "results.json").read_text()) == [
        {"name": "test NLL", "value": 99.5, "stderr": 0.25, "unit": "nats", "truth": 99.0},
        {"name": "accuracy [kNN]", "value": 0.5, "stderr": None, "unit": "fraction", "truth": None},
        {"name": "diverged", "value": None, "stderr": None, "unit": "bits", "truth": None},
    ]
    read = tables.read_results(tmp_path)
    assert read[0] == Result("test NLL", 99.5, 0.25, "nats", 99.0) and math.isnan(read[2].value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        tables.read_results(tmp_path)
    for content in ("[{", '[{"name": "a"}]', '[{"nom": 1}]', "3"):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(InputError, match="is damaged"):
            tables.read_results(tmp_path)


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
    assert tables.format_value(value, stderr) == text


def test_the_table_is_plain_text_in_a_log():
    out = io.StringIO()
    tables.print_table(RESULTS, title="demo", file=out)
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
    tables.print_table(RESULTS[1:], file=out)
    assert "truth" not in out.getvalue()


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    tables.write_results(tmp_path, RESULTS)
    assert list(tmp_path.iterdir()) == []
