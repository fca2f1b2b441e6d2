"""experiments.kelly: wealth grows by the information, the tower by its rates; the promised names;
bad input."""

import json

import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_every_field_is_read, record_reads

from diffenc.errors import InputError
from diffenc.run import records
from experiments import command_line, kelly
from experiments.arguments import load_config


def make_config(name, **changes):
    config = load_config(f"configs/kelly/{name}.py")
    config.update(changes)
    return config


def values_of(workdir):
    return {row["name"]: row for row in json.loads((workdir / "results.json").read_text())}


def test_wealth_grows_faster_by_the_information(tmp_path, capsys, monkeypatch):
    config = make_config("race", num_races=5000, num_past_races=200_000)
    reads = record_reads(monkeypatch, config)
    kelly.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = values_of(tmp_path)
    assert {row.split(".")[0] for row in rows} == {"horses", "channel"}
    for row in rows.values():
        assert abs(row["value"] - row["truth"]) < NUM_SIGMAS * row["stderr"]
        assert row["stderr"] < 0.06 * max(row["truth"], 0.3)
    assert rows["channel.growth_difference"]["truth"] == pytest.approx(0.5 * np.log(1 + 0.3 / 0.25))
    assert (tmp_path / "figures" / "wealth.png").exists()
    assert set(records.read_metrics(tmp_path)[0]) == {"step", *rows}
    capsys.readouterr()
    kelly.run(config, tmp_path)
    assert "is complete" in capsys.readouterr().out


def test_bets_learned_from_few_races_grow_less():
    means = []
    for past in (30, 100_000):
        settings = command_line.read(kelly.Race, make_config("race", num_past_races=past))
        means.append(np.mean(kelly.horses(np.random.default_rng(0), settings).with_tip))
    assert means[0] < means[1] - 0.05


def test_the_tower_converges_like_one_over_n(tmp_path, monkeypatch):
    config = make_config("tower")
    reads = record_reads(monkeypatch, config)
    kelly.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = values_of(tmp_path)
    assert rows["tower.limit"]["value"] == pytest.approx(rows["tower.limit"]["truth"], rel=1e-6)
    sums = [
        rows[f"tower.{count}.sum"]["value"] for count in (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    ]
    assert (
        np.all(np.diff(sums) < 0) and sums[-1] > rows["tower.limit"]["value"]
    )  # every tower is a bound
    assert abs(rows["tower.order"]["value"] - 1) < 0.02


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("race", dict(case="rade"), "case is 'rade'"),
        ("race", dict(error=0.9), "right more often than chance"),
        ("race", dict(num_races=1), "num_races is 1"),
        ("tower", dict(levels=(4,)), "two numbers of levels"),
        ("tower", dict(levels=()), "two numbers of levels"),
        ("tower", dict(levels=(0, 4)), "two numbers of levels"),
        ("tower", dict(variances=(0.0, 1.0)), "all above 0"),
        ("tower", dict(variances=()), "all above 0"),
        ("tower", dict(start=1.5), "start is 1.5"),
        ("tower", dict(start=0.0), "start is 0.0"),
    ],
)
def test_bad_settings_are_named(tmp_path, name, changes, words):
    with pytest.raises(InputError, match=words):
        kelly.run(make_config(name, **changes), tmp_path)
    assert not (tmp_path / "results.json").exists()
