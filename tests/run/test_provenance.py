"""Contracts of what a run was made with: another config is refused, and another data file too."""

import hashlib
import json

import pytest

from diffenc.errors import InputError
from diffenc.run import parallel, provenance

CONFIG = {
    "seed": 0,
    "em": {"langevin_steps": 4, "rates": (0.1, 0.2)},
    "data": {"name": "digits", "path": None},
}


def test_a_config_is_kept_the_first_time_and_compared_afterwards(tmp_path):
    provenance.check_config(tmp_path / "run", CONFIG)
    kept = (tmp_path / "run" / "config.json").read_text()
    assert json.loads(kept)["em"]["rates"] == [0.1, 0.2] and kept.index('"data"') < kept.index(
        '"em"'
    ) < kept.index('"seed"')
    provenance.check_config(tmp_path / "run", CONFIG)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    "config, message",
    [
        (
            {**CONFIG, "em": {**CONFIG["em"], "langevin_steps": 8}},
            r"\(em.langevin_steps: 4 in the workdir, 8 given\)",
        ),
        (
            {**CONFIG, "seed": 1, "new": True},
            r"\(new: absent in the workdir, true given; seed: 0 in the workdir, 1 given\)",
        ),
        (
            {"seed": 0, "em": CONFIG["em"]},
            r"\(data.name: \"digits\" in the workdir, absent given; "
            r"data.path: null in the workdir, absent given\)",
        ),
    ],
)
def test_another_config_names_each_differing_field(tmp_path, config, message):
    provenance.check_config(tmp_path, CONFIG)
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(
        InputError, match=f"was made with another config {message}: give another workdir"
    ):
        provenance.check_config(tmp_path, config)


def test_a_workdir_in_which_nothing_was_made_takes_another_config(tmp_path):
    provenance.check_config(tmp_path, CONFIG)
    provenance.check_config(tmp_path, {**CONFIG, "seed": 1})
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1


def test_what_stands_beside_a_config_before_anything_is_made_does_not_count(tmp_path):
    provenance.check_config(tmp_path, CONFIG)
    for name in ("run.json", "model.json", "run.lock", ".run.json.0123"):
        (tmp_path / name).touch()
    provenance.check_config(tmp_path, {**CONFIG, "seed": 1})
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="seed: 1 in the workdir, 0 given"):
        provenance.check_config(tmp_path, CONFIG)


def test_fields_that_may_differ(tmp_path):
    provenance.check_config(tmp_path, CONFIG)
    (tmp_path / "metrics.jsonl").touch()
    changed = {**CONFIG, "seed": 5, "data": {"name": "mnist", "path": "x"}}
    with pytest.raises(InputError, match=r"\(data.name"):
        provenance.check_config(tmp_path, changed, allowed=("seed",))
    provenance.check_config(tmp_path, changed, allowed=("seed", "data"))
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 5
    with pytest.raises(
        InputError, match=r"seed: 5 in the workdir, 0 given; for a reason\): give another"
    ):
        provenance.check_config(
            tmp_path, {**changed, "seed": 0}, reasons={"seed": "for a reason", "em": "for none"}
        )
    (tmp_path / "results.json").touch()  # those of seed 5
    provenance.check_config(tmp_path, {**changed, "seed": 7}, allowed=("seed",))
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 5


def test_a_damaged_config(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": ')
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(InputError, match="config.json is damaged"):
        provenance.check_config(tmp_path, CONFIG)


def test_of_several_processes_only_the_first_keeps_its_config(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    provenance.check_config(tmp_path, CONFIG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other, words",
    [
        ({**CONFIG, "seed": 1}, "seed: 0 in process 0, 1 in process 2"),
        ({"seed": 0, "em": CONFIG["em"]}, 'data.name: "digits" in process 0, absent in process 2'),
        ({**CONFIG, "data": {"name": "digits", "path": "there"}}, None),
    ],
)
def test_processes_must_be_given_one_config(monkeypatch, other, words):
    def all_say(text):
        texts = []
        monkeypatch.setattr(parallel, "all_say", lambda text: texts.append(text) or [text])
        provenance.check_same(other)
        return [text, text, *texts]

    monkeypatch.setattr(parallel, "all_say", all_say)
    if words is None:
        return provenance.check_same(CONFIG, allowed=("data.path",))
    with pytest.raises(InputError, match=f"{words}.: start the same command on every host"):
        provenance.check_same(CONFIG, allowed=("data.path",))


def test_the_digest_is_that_of_the_whole_file(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)) * 5)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(provenance, "BLOCK", 100)
    assert provenance.digest(path) == provenance.digest(str(path)) == expected
    with pytest.raises(InputError, match="none.bin does not exist: put it there"):
        provenance.digest(tmp_path / "none.bin")
    with pytest.raises(InputError, match="cannot be read"):
        provenance.digest(tmp_path)
