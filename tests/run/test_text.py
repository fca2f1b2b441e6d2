"""Texts as data: windows, alphabets, both directions; and the error of every bad input."""

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import sentences, text


def save(tmp_path, content, encoding="utf-8"):
    path = tmp_path / "novel.txt"
    path.write_bytes(content.encode(encoding))
    return path


def test_sentences_are_the_default():
    loaded = text.load(length=16, num_characters=40_000)
    dataset = loaded.dataset
    assert loaded.is_generated and loaded.characters == sentences.CHARACTERS
    assert dataset.name == "sentences" and dataset.example_shape == (16, 1)
    assert dataset.train.dtype == np.uint8 and dataset.max_value == len(loaded.characters) - 1
    assert len(dataset.train) + len(dataset.test) == 2500
    assert abs(len(dataset.test) - 2500 * 0.1667) < 10
    windows = text.decode(dataset.test, loaded.characters)
    assert np.all(np.isfinite(sentences.log_prob(windows)))
    np.testing.assert_array_equal(text.encode(windows, loaded.characters), dataset.test)


def test_windows_are_each_in_one_part(tmp_path):
    """Every window of the text is in one part, and the held-out ones come in ten runs; these are
    mixed, since runs may measure the first ones."""
    numbers = "".join(f"{i:04d}" for i in range(1000))
    loaded = text.load(save(tmp_path, numbers + "7"), length=4, test_fraction=0.25)
    train = np.array(text.decode(loaded.dataset.train, loaded.characters), int)
    test = np.array(text.decode(loaded.dataset.test, loaded.characters), int)
    assert sorted([*train, *test]) == list(range(1000)) and len(test) == 250
    assert np.all(np.diff(train) > 0) and np.sum(np.diff(np.sort(test)) > 1) == 9
    error = np.std(np.arange(1000)) / 50**0.5
    assert abs(np.mean(test[:50]) - np.mean(test)) < 4 * error
    assert not loaded.is_generated and loaded.dataset.name == "novel"
    assert len(text.load(save(tmp_path, numbers), 4, 0.2, 2000).dataset.train) == 400


def test_a_file_of_many_characters_and_any_line_ends(tmp_path):
    letters = "".join(chr(1000 + i) for i in range(300))
    content = "\ufeff" + (letters + "\r\n\r") * 20
    loaded = text.load(save(tmp_path, content), length=10)
    assert loaded.characters == "\n" + letters and loaded.dataset.train.dtype == np.uint16
    first = text.decode(loaded.dataset.train[:1], loaded.characters)
    assert first == [letters[:10]]


def test_bad_input(tmp_path):
    good = "abcd" * 1000
    with pytest.raises(InputError, match="does not exist"):
        text.load(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"UTF-8 \(byte 2\)"):
        text.load(save(tmp_path, "na\u00efve" * 1000, "latin-1"))
    with pytest.raises(InputError, match="4000 characters, which are 52 training windows"):
        text.load(save(tmp_path, good))
    with pytest.raises(InputError, match="one character"):
        text.load(save(tmp_path, "a" * 9000))
    with pytest.raises(InputError, match="held-out part of .* training text has not, 'z': replace"):
        text.load(save(tmp_path, good[:-1] + "z"), length=4)
    with pytest.raises(InputError, match="test_fraction"):
        text.load(save(tmp_path, good), test_fraction=1.0)
    with pytest.raises(InputError, match="length is 0"):
        text.load(save(tmp_path, good), length=0)
    with pytest.raises(InputError, match="num_characters is 0"):
        text.load(num_characters=0)
    with pytest.raises(InputError, match="sample has .* 'C' and 5 more: replace"):
        text.encode(["+-*/=()0123456789ABCDEFGH"], "abc", "sample")
    for windows in ([], ["a", "ab"], [""]):
        with pytest.raises(InputError, match="give texts of one"):
            text.encode(windows, "ab")
