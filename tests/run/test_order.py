"""Contracts of the order of training."""

import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.keys import rng_of
from diffenc.run.order import batch_indices


def test_batch_indices_visit_every_example_once_an_epoch():
    indices = batch_indices(seed=3, step=0, num_steps=14, batch_size=5, num_examples=7)
    assert indices.shape == (14, 5) and indices.dtype == np.int32
    epochs = indices.reshape(10, 7)
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 5
    expected = rng_of(3, "order", 4).permutation(7)
    np.testing.assert_array_equal(epochs[4], expected)


@pytest.mark.parametrize("step, batch_size", [(0, 4), (9, 4), (123_456_789_012, 128), (2, 250)])
def test_batch_indices_are_a_function_of_the_step(step, batch_size):
    whole = batch_indices(0, step, 6, batch_size, 100)
    pieces = [
        batch_indices(0, step + start, count, batch_size, 100)
        for start, count in ((0, 1), (1, 3), (4, 2))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert not np.array_equal(whole, batch_indices(1, step, 6, batch_size, 100))


@pytest.mark.parametrize("bad", ["num_steps", "batch_size", "num_examples", "seed", "step"])
def test_batch_indices_of_nothing(bad):
    settings = {"seed": 0, "step": 0, "num_steps": 1, "batch_size": 1, "num_examples": 1} | {
        bad: -1
    }
    with pytest.raises(InputError, match=f"{bad} is -1"):
        batch_indices(**settings)
