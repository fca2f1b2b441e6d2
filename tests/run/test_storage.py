"""The files of a run in a bucket, of which a file system in memory takes the place."""

import json
import os
import time

import fsspec
import numpy as np
import pytest
from etils import epath
from etils.epath import backend

from diffenc.errors import InputError
from diffenc.run import figures, locks, provenance, records, tables
from diffenc.run.tables import Result


@pytest.fixture
def workdir(monkeypatch):
    """A path gs://... whose files lie in memory. As there, nothing can be appended to a file."""
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    open_any = memory.open

    def open_whole(path, mode="rb", **settings):
        assert "a" not in mode, "a bucket would overwrite the file"
        return open_any(path, mode, **settings)

    monkeypatch.setattr(memory, "open", open_whole)
    monkeypatch.setattr(type(memory), "store", {})
    monkeypatch.setattr(type(memory), "pseudo_dirs", [""])
    monkeypatch.setattr(backend.fsspec_backend, "fs", lambda path: memory)
    path = epath.Path("gs://bucket/run")
    path.mkdir(parents=True)
    return path


def test_a_run_writes_and_continues_in_a_bucket(workdir):
    provenance.check_config(workdir, {"seed": 0})
    provenance.check_config(workdir, {"seed": 1})
    with records.MetricsWriter(workdir) as writer:
        writer.write(1, loss=1.5)
        writer.write(2, loss=np.nan)
    with records.MetricsWriter(workdir, resume_step=1) as writer:
        writer.write(2, loss=1.25)
    assert records.read_metrics(workdir) == [{"step": 1, "loss": 1.5}, {"step": 2, "loss": 1.25}]
    with pytest.raises(InputError, match="seed: 1 in the workdir, 0 given"):
        provenance.check_config(workdir, {"seed": 0})
    tables.write_results(workdir, [Result("loss", 1.25, 0.5)])
    assert tables.read_results(workdir) == [Result("loss", 1.25, 0.5)]
    figure, _ = figures.figure()
    path = figures.save(figure, workdir, "loss")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert json.loads((workdir / "config.json").read_text()) == {"seed": 1}
    names = sorted(path.name for path in workdir.iterdir())
    assert names == ["config.json", "figures", "metrics.jsonl", "results.json"]


def test_metrics_reach_a_bucket_before_a_checkpoint_and_seldom_otherwise(workdir, monkeypatch):
    writer = records.MetricsWriter(workdir)
    writer.write(1, loss=1.5)
    assert records.read_metrics(workdir) == []
    writer.flush()
    writer.flush()
    assert [line["step"] for line in records.read_metrics(workdir)] == [1]
    monkeypatch.setattr(records, "SECONDS_BETWEEN_COPIES", 0.0)
    writer.write(2, loss=1.25)
    assert [line["step"] for line in records.read_metrics(workdir)] == [1, 2]
    with records.MetricsWriter(workdir, resume_step=1) as writer:
        pass
    assert [line["step"] for line in records.read_metrics(workdir)] == [1]


def test_the_digest_of_a_file_in_a_bucket(workdir):
    (workdir / "x.csv").write_text("x,y\n1,2\n")
    assert len(provenance.digest(workdir / "x.csv")) == 64
    with pytest.raises(InputError, match="x.npz does not exist"):
        provenance.digest(workdir / "x.npz")


def test_a_lock_in_a_bucket(workdir, monkeypatch):
    monkeypatch.setattr(locks, "SETTLING", 0.0)
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with locks.hold(workdir):
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} on host"):
            with locks.hold(workdir):
                pass
        time.sleep(0.05)  # renewed meanwhile
        assert json.loads((workdir / locks.FILE).read_text())["pid"] == os.getpid()
    holder = locks._describe_self() | {"process_started": "1"}
    (workdir / locks.FILE).write_text(json.dumps(holder))
    with locks.hold(workdir):
        assert [path.name for path in workdir.iterdir()] == [locks.FILE]
    assert not list(workdir.iterdir())
