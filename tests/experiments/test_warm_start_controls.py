"""Code lengths without a network: they are those of codes, and they are what they should be."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from diffenc.diffusion import kraft
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.run import data
from experiments.warm_start import controls

GENERATOR = np.random.default_rng(0)
SIZE = 3
BY_COUNTING = {
    "uniform": lambda train, x, size: controls.uniform(x, size),
    "independent": controls.independent,
    "chow_liu": controls.chow_liu,
    "n_gram": controls.n_gram,
}


def markov(num_sequences, length, stay=0.8):
    """Sequences [n, length, 1] that stay at their value with this probability."""
    stays = GENERATOR.random((num_sequences, length)) < stay
    values = [GENERATOR.integers(0, SIZE, num_sequences)]
    for place in range(1, length):
        other = (values[-1] + GENERATOR.integers(1, SIZE, num_sequences)) % SIZE
        values.append(np.where(stays[:, place], values[-1], other))
    return np.stack(values, axis=1)[..., None]


@pytest.mark.parametrize("name", BY_COUNTING)
def test_lengths_by_counting_are_those_of_a_code(name):
    """The Kraft sum over all 243 states of five numbers is 1, whatever was counted."""
    states = kraft.states(SIZE, 5)[..., None]
    for train in (markov(40, 5), np.zeros((3, 5, 1), int)):
        bits = 5 * BY_COUNTING[name](train, states, SIZE)
        np.testing.assert_allclose(np.sum(2.0**-bits), 1, rtol=1e-12)


def test_files_are_codes():
    """Two pixels of 17 levels: every state has a file of its own, and all are read back."""
    states = kraft.states(17, 2).reshape(-1, 1, 2, 1)
    for estimate, encode in ((controls.gzip, bytes_of), (controls.png, picture_of)):
        lengths = np.array([8 * len(encode(state[None])) for state in states])
        assert np.sum(2.0**-lengths) < 1
        assert estimate(states).mean == 8 * len(encode(states)) / states.size
    colours = GENERATOR.integers(0, 256, (3, 4, 5, 3))
    for x in (states, colours):
        read = np.frombuffer(zlib.decompress(bytes_of(x)), np.uint8)
        np.testing.assert_array_equal(read.reshape(x.shape), x)
        picture = np.asarray(Image.open(io.BytesIO(picture_of(x))))
        np.testing.assert_array_equal(picture.reshape(x.shape), x)


def bytes_of(x):
    return controls._encode_bytes(x)


def picture_of(x):
    return controls._encode_png(x)


def test_digits():
    """Trials of others on random splits: uniform 4.09, independent 2.43, a tree 2.17."""
    digits = data.load("digits")
    estimates = controls.measure(digits.train, digits.test, 17)
    assert list(estimates) == ["uniform", "independent", "chow_liu", "gzip", "png"]
    assert estimates["uniform"].mean == np.log2(17)
    for name, bits in (("independent", 2.43), ("chow_liu", 2.17)):
        mean, stderr = estimates[name]
        assert abs(mean - bits) < 3 * stderr + 0.005 and stderr < 0.02
    assert estimates["gzip"].mean > estimates["independent"].mean


def test_a_chain_is_recovered_and_its_entropy_met():
    """Tree and n-grams have the entropy of a Markov chain but for what counting costs, half a nat
    for each free parameter and n examples; independent numbers have log2 3."""
    train = markov(4000, 8)
    x = markov(2000, 8)
    counts = controls._places(train, SIZE)[0]
    parents = controls.tree(controls._flat(train, SIZE), counts)
    assert parents.tolist() == [-1, 0, 1, 2, 3, 4, 5, 6]
    start = np.full((len(x), 1), np.log2(1 / SIZE))
    moves = np.where(np.diff(x[..., 0], axis=1) == 0, np.log2(0.8), np.log2(0.1))
    truth = -np.concatenate([start, moves], axis=1).mean(axis=1)
    cost = SIZE * (SIZE - 1) / (2 * len(train) * np.log(2))  # of a place
    for name in ("chow_liu", "n_gram"):
        gap = Estimate.of(BY_COUNTING[name](train, x, SIZE) - truth)
        assert -4 * gap.stderr < gap.mean < cost + 4 * gap.stderr and gap.stderr < cost
    independent = Estimate.of(controls.independent(train, x, SIZE) - np.log2(SIZE))
    assert -4 * independent.stderr < independent.mean < cost + 4 * independent.stderr


def test_smoothing_is_by_leaving_one_out():
    """The loss by which s is chosen is the code length of each example by all others."""
    train = markov(12, 4)
    flat = controls._flat(train, SIZE)
    counts, everywhere, strength = controls._places(flat, SIZE)
    losses = []
    for trial in controls.STRENGTHS:
        bits = 0.0
        for i, row in enumerate(flat):
            others = np.delete(flat, i, axis=0)
            for place, value in enumerate(row):
                count = np.sum(others[:, place] == value)
                bits -= np.log2((count + trial * everywhere[value]) / (len(others) + trial))
        losses.append(bits)
    assert strength == controls.STRENGTHS[np.argmin(losses)]


def test_the_longest_context_is_chosen_by_validation():
    """A copy of the character three places before: contexts of three are needed, and two tell
    nothing."""
    first = np.random.default_rng(3).integers(0, SIZE, (600, 3))
    x = np.tile(first, 4)[..., None]
    bits = controls.n_gram(x[:500], x[500:], SIZE)
    free = 3 * np.log2(SIZE) / 12
    assert free - 4 * bits.std() / len(bits) ** 0.5 < bits.mean() < free + 0.1


def test_groups_share_what_a_frequent_value_leaves():
    counts = np.array([[90, 2, 2, 2, 2, 2], [5, 5, 5, 5, 5, 5], [0, 0, 0, 30, 0, 0]])
    groups = controls._groups(counts, 3)
    assert groups[0].tolist() == [0, 1, 1, 1, 2, 2] and groups[1].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.all(np.diff(groups[2]) >= 0)


def test_few_groups_find_the_same_chain(monkeypatch):
    monkeypatch.setattr(controls, "STRUCTURE_SIZE", 16)
    train = controls._flat(markov(4000, 8), SIZE)
    counts = controls._places(train, SIZE)[0]
    assert controls.tree(train, counts).tolist() == [-1, 0, 1, 2, 3, 4, 5, 6]


def test_bad_input():
    x = markov(5, 4)
    with pytest.raises(InputError, match="from 0 to 1"):
        controls.measure(x, x, 2)
    with pytest.raises(InputError, match="a value of x is "):
        controls.measure(x, x / 2, SIZE)
    with pytest.raises(InputError, match="give the same"):
        controls.measure(x, x[:, 1:], SIZE)
    with pytest.raises(InputError, match="size is 1"):
        controls.measure(x, x, 1)
    assert list(controls.measure(x, x, SIZE)) == ["uniform", "independent", "n_gram", "gzip"]
