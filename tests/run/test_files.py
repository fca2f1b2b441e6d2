"""Files appear whole or not at all, and once in a run of several processes."""

import pytest

from diffenc.run import files, parallel


def test_a_file_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "numbers.txt"
    files.write(path, lambda temporary: temporary.write_text("old"))

    def write_half(temporary):
        temporary.write_text("ha")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        files.write(path, write_half)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_of_one_file_with_the_same_process_id(tmp_path):
    """As in two containers that share a disk: each has its own temporary file, and the last to end
    is kept."""
    path = tmp_path / "numbers.txt"

    def write_and_be_overtaken(temporary):
        temporary.write_text("slow")
        files.write(path, lambda other: other.write_text("fast"))
        assert path.read_text() == "fast"

    files.write(path, write_and_be_overtaken)
    assert path.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_first_process_writes_once(tmp_path, monkeypatch):
    path = tmp_path / "numbers.txt"
    files.write_once(path, lambda temporary: temporary.write_text("first"))
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    files.write_once(path, lambda temporary: temporary.write_text("second"))
    assert path.read_text() == "first"


def test_a_path_of_a_bucket_stays_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(files.absolute("gs://bucket/run/checkpoints")) == "gs://bucket/run/checkpoints"
    assert files.absolute("run") == tmp_path / "run"
