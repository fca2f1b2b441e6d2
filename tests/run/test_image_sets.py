"""Contracts of image data sets: read without TensorFlow, cached, the error of what is missing."""

import shutil
import zipfile

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import data, image_sets


def test_data_sets_that_are_not_there(tmp_path):
    with pytest.raises(
        InputError,
        match=r"none does not exist: pip install -e '.\[prepare\]', "
        r"then python -c .*tfds.builder\('mnist', ",
    ):
        data.load("mnist", data_dir=tmp_path / "none")
    with pytest.raises(InputError, match="'mnist' is not prepared in .*download_and_prepare"):
        data.load("mnist", data_dir=tmp_path)
    with pytest.raises(InputError, match="no data set is called 'nosuch': give 'digits', 'file'"):
        data.load("nosuch", data_dir=tmp_path)


def test_a_name_that_is_nearly_right(mnist_dir):
    with pytest.raises(InputError, match=r"called 'mnst': .* \(nearest in .*: mnist\)"):
        data.load("mnst", data_dir=mnist_dir)


def test_a_version_that_is_not_there(mnist_dir):
    with pytest.raises(InputError, match="'mnist:9.9.9' cannot be opened"):
        data.load("mnist:9.9.9", data_dir=mnist_dir)


@pytest.fixture
def small_mnist(mnist_dir, tmp_path, monkeypatch):
    """MNIST of 300 + 100 images: the same files, the splits cut short."""

    def read(builder, split, data_dir, original=image_sets._read_split):
        images, labels = original(
            builder, {"train": "train[:300]", "test": "test[:100]"}[split], data_dir
        )
        calls.append(split)
        return images, labels

    calls = []
    monkeypatch.setattr(image_sets, "_read_split", read)
    monkeypatch.setattr(
        image_sets,
        "_read_cache",
        lambda path, shape, splits, test, original=image_sets._read_cache: original(
            path, shape, SIZES, test
        ),
    )
    return (
        lambda: data.load("mnist", data_dir=mnist_dir, cache_dir=tmp_path / "cache"),
        calls,
        tmp_path / "cache" / "mnist-3.0.1.npz",
    )


class Size:
    def __init__(self, num_examples):
        self.num_examples = num_examples


SIZES = {"train": Size(300), "test": Size(100)}


def test_mnist_without_tensorflow_and_its_cache(small_mnist, caplog):
    load, calls, cache = small_mnist
    first = load()
    assert (
        first.train.shape == (300, 28, 28, 1)
        and first.train.dtype == np.uint8
        and first.max_value == 255
    )
    assert first.train_labels[:5].tolist() == [4, 1, 0, 7, 8] and len(first.test) == 100
    assert calls == ["train", "test"] and [path.name for path in cache.parent.iterdir()] == [
        cache.name
    ]
    again = load()
    assert (
        calls == ["train", "test"]
        and np.array_equal(again.train, first.train)
        and np.array_equal(again.test_labels, first.test_labels)
    )
    assert not caplog.records
    for damage in (
        lambda: cache.write_bytes(cache.read_bytes()[:5000]),
        lambda: cache.write_bytes(b"garbage"),
        lambda: other_arrays(cache),
    ):
        damage()
        calls.clear()
        caplog.clear()
        assert np.array_equal(load().train, first.train) and calls == ["train", "test"]
        assert (
            len(caplog.records) == 1 and "is damaged" in caplog.text and zipfile.is_zipfile(cache)
        )


def other_arrays(cache):
    np.savez(
        cache,
        train=np.zeros((3, 2)),
        test=np.zeros((3, 2)),
        train_labels=np.zeros(3),
        test_labels=np.zeros(3),
    )


def test_damaged_records(mnist_dir, tmp_path):
    shutil.copytree(mnist_dir / "mnist", tmp_path / "mnist", copy_function=shutil.copyfile)
    for path in (tmp_path / "mnist").rglob("*train*"):
        path.write_bytes(b"garbage" * 1000)
    with pytest.raises(
        InputError, match="'mnist' in .* is damaged .*delete that directory, then pip install"
    ):
        data.load("mnist", data_dir=tmp_path)
