"""Contracts of the data: shapes, splits, order, cache; and the error of every bad input."""

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import data

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.normal(size=(200, 3))


def save(tmp_path, array=None, /, **arrays):
    """The path of x.npy with one array, or of x.npz with named ones."""
    if array is None:
        np.savez(tmp_path / "x.npz", **arrays)
        return tmp_path / "x.npz"
    np.save(tmp_path / "x.npy", array)
    return tmp_path / "x.npy"


def test_digits():
    digits = data.load("digits")
    assert (
        digits.train.dtype == np.uint8
        and digits.example_shape == (8, 8, 1)
        and digits.max_value == 16
    )
    assert len(digits.train) + len(digits.test) == 1797 and 290 <= len(digits.test) <= 305
    assert len(digits.train_labels) == len(digits.train) and len(digits.test_labels) == len(
        digits.test
    )
    counts = np.bincount(digits.test_labels) / np.bincount(
        np.concatenate([digits.train_labels, digits.test_labels])
    )
    assert np.all(np.abs(counts - 0.1667) < 0.005), "each class gives the same share"


def test_the_split_is_a_function_of_the_seed():
    assert np.array_equal(data.load("digits", seed=1).test, data.load("digits", seed=1).test)
    assert not np.array_equal(data.load("digits", seed=1).test, data.load("digits", seed=2).test)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1e-9])
def test_a_bad_test_fraction(fraction, tmp_path):
    with pytest.raises(InputError, match="test_fraction"):
        data.load("file", path=save(tmp_path, VECTORS), test_fraction=fraction)


def test_vectors_of_a_user(tmp_path):
    loaded = data.load("file", path=save(tmp_path, VECTORS))
    assert loaded.name == "x" and loaded.max_value is None and loaded.train.dtype == np.float32
    assert (
        loaded.train.shape == (167, 3)
        and loaded.test.shape == (33, 3)
        and loaded.train_labels is None
    )
    both = np.concatenate([loaded.train, loaded.test])
    np.testing.assert_array_equal(
        np.sort(both, axis=0), np.sort(VECTORS.astype(np.float32), axis=0)
    )


def test_a_black_test_set_has_the_scale_of_its_training_images(tmp_path):
    images = GENERATOR.integers(0, 256, (120, 5, 4)).astype(np.uint8)
    for test, max_value in ((np.zeros((1, 5, 4), np.uint8), 255.0), (images[:3] % 2, 255.0)):
        np.savez(tmp_path / "both.npz", train=images, test=test)
        loaded = data.load("file", path=tmp_path / "both.npz")
        assert loaded.max_value == max_value and loaded.test.max() <= 1
    np.savez(tmp_path / "both.npz", train=images % 2, test=images[:3] % 2)
    assert data.load("file", path=tmp_path / "both.npz").max_value == 1.0


@pytest.mark.parametrize(
    "images, dtype, max_value",
    [
        (GENERATOR.integers(0, 256, (120, 5, 4)), np.uint8, 255.0),
        (GENERATOR.integers(0, 17, (120, 5, 4, 3)).astype(np.uint8), np.uint8, 255.0),
        (GENERATOR.uniform(size=(120, 5, 4)), np.float32, 1.0),
        (GENERATOR.normal(size=(120, 5, 4)), np.float32, None),
        (GENERATOR.integers(-5, 300, (120, 6)), np.float32, None),
        (GENERATOR.uniform(size=(120, 5, 4)) < 0.5, np.uint8, 1.0),
        (GENERATOR.integers(0, 2, (120, 5, 4)), np.uint8, 1.0),
        (GENERATOR.integers(0, 2, (120, 6)), np.uint8, 1.0),
        (GENERATOR.integers(0, 2, (120, 6)).astype(np.uint8), np.uint8, 1.0),
    ],
)
def test_the_scale_of_a_users_arrays(tmp_path, images, dtype, max_value):
    loaded = data.load("file", path=save(tmp_path, images))
    assert loaded.train.dtype == dtype and loaded.max_value == max_value
    assert loaded.example_shape == images.shape[1:] + ((1,) if images.ndim == 3 else ())


def test_labels_and_a_given_split(tmp_path):
    labels = np.arange(200) % 4
    loaded = data.load("file", path=save(tmp_path, x=VECTORS, labels=labels))
    assert (
        sorted(np.bincount(loaded.test_labels)) == [8, 8, 8, 9]
        and loaded.test_labels.dtype == np.int32
    )
    given = data.load(
        "file",
        path=save(
            tmp_path, train=VECTORS, test=VECTORS[:7], train_labels=labels, test_labels=labels[:7]
        ),
    )
    assert given.train.shape == (200, 3) and given.test.shape == (7, 3)
    for x, label in zip(given.test, given.test_labels, strict=True):
        (place,) = np.flatnonzero((x == VECTORS[:7].astype(np.float32)).all(axis=1))
        assert label == labels[place]
    assert (
        data.load("file", path=save(tmp_path, train=VECTORS, train_labels=labels)).train_labels
        is not None
    )


def test_the_first_examples_of_a_sorted_file_are_of_all_classes(tmp_path):
    labels = np.repeat(np.arange(10), 200)
    path = save(tmp_path, x=np.random.default_rng(0).normal(size=(2000, 3)), labels=labels)
    loaded = data.load("file", path=path)
    held = data.hold_out(loaded, 300)
    for some in (loaded.train_labels, loaded.test_labels, held.test_labels):
        counts = np.bincount(some[:100], minlength=10)
        assert abs(counts - 10).max() < 5 * 9**0.5


@pytest.mark.parametrize(
    "column", [1.7e9 + 10 * VECTORS[:, 0], 2460000 + VECTORS[:, 0], 10**12 + np.arange(200)]
)
def test_a_dimension_that_float32_would_blur_is_refused(tmp_path, column):
    x = np.stack([VECTORS[:, 1], column], axis=1)
    with pytest.raises(InputError, match="dimension 1 from .* rounds by .*: subtract .* from it"):
        data.load("file", path=save(tmp_path, x=x))
    data.load("file", path=save(tmp_path, x=x - x.min(axis=0) + [[-1, 0]]))


def test_arrays_that_would_not_be_read_and_labels_that_would_wrap_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds x and test: name the first of them train"):
        data.load("file", path=save(tmp_path, x=VECTORS, test=VECTORS[:50]))
    labels = np.where(np.arange(200) % 2, 1, 2**32 + 1)
    with pytest.raises(InputError, match="labels has values beyond int32"):
        data.load("file", path=save(tmp_path, x=VECTORS, labels=labels))


def test_a_table_of_a_user(tmp_path):
    lines = [
        ";".join([*(repr(float(value)).replace(".", ",") for value in row), str(i % 4)])
        for i, row in enumerate(VECTORS)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["breite;höhe;länge;labels", *lines]), "cp1252")
    table = data.load("file", path=tmp_path / "x.csv")
    assert table.columns == ("breite", "höhe", "länge")
    labels = np.arange(200) % 4
    array = data.load("file", path=save(tmp_path, x=VECTORS, labels=labels))
    np.testing.assert_array_equal(table.train, array.train)
    np.testing.assert_array_equal(table.test_labels, array.test_labels)
    assert table.test_labels.dtype == np.int32
    (tmp_path / "x.csv").write_text("a,labels\n" + "1.5,0\n2.5,0.5\n" * 60)
    with pytest.raises(InputError, match="labels has dtype float64: give integers"):
        data.load("file", path=tmp_path / "x.csv")


def test_held_out_examples_leave_training():
    digits = data.load("digits")
    parts = data.hold_out(digits, 200)
    assert len(parts.test) == len(parts.test_labels) == 200
    assert len(parts.train) == len(digits.train) - 200
    assert np.sum(parts.train) + np.sum(parts.test) == np.sum(digits.train)
    with pytest.raises(InputError, match="count is 1 of 14.. training examples: give 2 to 13"):
        data.hold_out(digits, 1)


def with_value(value, index=(3, 1)):
    x = VECTORS.copy()
    x[index] = value
    return x


@pytest.mark.parametrize(
    "x, message",
    [
        (np.array(["a"] * 200)[:, None], "dtype <U1: give real numbers"),
        (VECTORS + 1j, "dtype complex128: give real numbers"),
        (np.array([[1], [1, 2]] * 100, dtype=object), "save numbers, not objects: x.astype"),
        (
            with_value(np.nan),
            r"has 1 values that are NaN, infinite or beyond float32, the first at \(3, 1\)",
        ),
        (
            with_value(np.inf, slice(5, 7)),
            r"has 6 values that are NaN, infinite or beyond float32, the first at \(5, 0\)",
        ),
        (with_value(1e300), r"has 1 values .* the first at \(3, 1\)"),
        (np.full((200, 3), 2.5), "is 2.5 everywhere: give data that vary"),
        (VECTORS[:, 0], r"has shape \(200,\): give \[n, d\] vectors"),
        (VECTORS[:, :, None, None, None], r"has shape \(200, 3, 1, 1, 1\): give"),
        (np.float64(3.0), r"has shape \(\): give"),
        (VECTORS[:99], "has 99 examples: give at least 100"),
        (np.zeros((200, 0)), r"shape \(200, 0\), no numbers at all"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, x, message):
    with pytest.raises(InputError, match=message) as caught:
        data.load("file", path=save(tmp_path, x))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "arrays, message",
    [
        (
            {"images": VECTORS},
            r"holds \['images'\]: name its array x, or its two arrays train and test",
        ),
        ({}, r"holds \[\]: name its array x"),
        (
            {"x": VECTORS, "labels": np.zeros(199, int)},
            r"labels has shape \(199,\) beside 200 examples",
        ),
        (
            {"x": VECTORS, "labels": np.zeros((200, 1), int)},
            r"labels has shape \(200, 1\) beside 200 examples",
        ),
        ({"x": VECTORS, "labels": np.zeros(200)}, "labels has dtype float64: give integers"),
        (
            {"train": VECTORS, "test": VECTORS, "test_labels": np.zeros(3, int)},
            r"test_labels has shape \(3,\) beside 200",
        ),
        (
            {"train": VECTORS, "test": VECTORS[:, :2]},
            r"train holds float32\[3\] examples .* test float32\[2\]",
        ),
        ({"train": VECTORS, "test": VECTORS[:0]}, "test has 0 examples"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        data.load("file", path=save(tmp_path, **arrays))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="needs a path"):
        data.load("file")
    with pytest.raises(InputError, match="does not exist"):
        data.load("file", path=tmp_path / "none.npy")
    with pytest.raises(InputError, match="x.txt.gz is not .npy, .npz or .csv, .tsv,"):
        data.load("file", path=tmp_path / "x.txt.gz")
    (tmp_path / "d.npy").mkdir()
    with pytest.raises(InputError, match="does not exist"):
        data.load("file", path=tmp_path / "d.npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_damaged_files(tmp_path, suffix, damage):
    path = save(tmp_path, VECTORS) if suffix == ".npy" else save(tmp_path, x=VECTORS)
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "garbage": b"\x00garbage" * 50, "empty": b""}[
            damage
        ]
    )
    with pytest.raises(InputError, match=r"is damaged \(.*\): save it again"):
        data.load("file", path=path)


def test_an_archive_with_a_flipped_byte(tmp_path):
    path = save(tmp_path, x=VECTORS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        data.load("file", path=path)


def test_a_small_maximum_of_bytes_is_warned_of(tmp_path, caplog):
    images = GENERATOR.integers(0, 17, (120, 5, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", images)
    assert data.load("file", path=tmp_path / "x.npy").max_value == 255.0
    assert "up to 16, which are taken as intensities of 255" in caplog.text


def test_test_examples_that_are_in_the_training_part_are_counted(tmp_path, caplog):
    train, test = VECTORS[:150], VECTORS[140:]
    assert data.count_copies(train, test) == 10
    data.load("file", path=save(tmp_path, train=train, test=test))
    assert "10 of 60 test examples are equal to a training example" in caplog.text
    caplog.clear()
    held_out = data.hold_out(data.load("file", path=save(tmp_path, VECTORS)), 20)
    assert not caplog.text and data.count_copies(held_out.train, held_out.test) == 0
    twice = np.concatenate([VECTORS, VECTORS])
    data.hold_out(data.load("file", path=save(tmp_path, twice)), 50)
    assert caplog.text.count("are equal to a training example") == 2
    bits = GENERATOR.integers(0, 2, size=(200, 3)).astype(bool)
    assert data.count_copies(bits[:150], bits[150:]) == 0, "equal by chance"
