"""Data about zero and back, and what the cells of whole numbers add to a density."""

import jax
import numpy as np
import pytest
from checks import assert_mean

from diffenc.run.centring import Centring
from diffenc.run.data import Dataset

RNG = np.random.default_rng(0)
ROWS = {
    "bytes": (RNG.integers(0, 256, (40, 3, 3, 1)).astype(np.uint8), 255.0),
    "digits": (RNG.integers(0, 17, (40, 9)).astype(np.uint8), 16.0),
    "bits": (RNG.integers(0, 2, (40, 9)), 1.0),
    "unit": (RNG.uniform(size=(40, 9)).astype(np.float32), 1.0),
    "real": (100 * RNG.normal(size=(40, 9)).astype(np.float32), None),
}


def make_centring(name):
    rows, max_value = ROWS[name]
    return rows, Centring.of(Dataset(name, rows, rows, None, None, max_value))


@pytest.mark.parametrize("name", ROWS)
def test_what_is_prepared_is_restored(name):
    rows, centring = make_centring(name)
    levels = {"bytes": 256, "digits": 17, "bits": 2}.get(name)
    assert centring == Centring(ROWS[name][1], levels)
    x = np.asarray(jax.jit(centring.prepare)(jax.random.key(0), rows))
    assert x.dtype == np.float32 and x.shape == rows.shape
    if name == "real":
        np.testing.assert_array_equal(x, rows)
        np.testing.assert_array_equal(centring.restore(x), x)
        return
    assert -1 <= x.min() < -0.5 and 0.5 < x.max() <= 1
    restored = centring.restore(x)
    assert restored.min() >= 0 and restored.max() <= centring.max_value
    if levels is None:
        np.testing.assert_allclose(restored, rows, atol=1e-6)
    else:
        np.testing.assert_array_equal(np.rint(restored), rows)
    beyond = centring.restore(np.array([-3.0, 3.0], np.float32))
    np.testing.assert_array_equal(beyond, [0, centring.max_value])


@pytest.mark.parametrize("name", ["bytes", "digits", "bits"])
def test_a_number_is_drawn_uniformly_of_its_cell_and_its_middle_is_the_number(name):
    _, centring = make_centring(name)
    numbers = np.tile(np.arange(centring.levels), (4000, 1))
    prepare = jax.jit(centring.prepare)
    x = np.asarray(prepare(jax.random.key(0), numbers), np.float64)
    place = (x + 1) * centring.levels / 2 - numbers  # in [0, 1) of the cell
    assert place.min() > -1e-4 and place.max() < 1 + 1e-4
    flat = place.ravel()
    assert_mean(flat, 0.5)
    assert_mean((flat - 0.5) ** 2, 1 / 12)
    middles = 2 * (numbers[0] + 0.5) / centring.levels - 1
    np.testing.assert_allclose(centring.restore(np.float32(middles)), numbers[0], atol=1e-4)
    other = prepare(jax.random.key(1), numbers)
    assert np.all(np.mean(other != x, axis=0) > 0.99)  # fresh draws of another key


def test_the_bound_of_whole_numbers():
    """-log p(x) + log_cells is -log P for a density that is constant in cells, whatever is drawn;
    for p(x) ~ exp(x) it lies above by the divergence of a cell's uniform law from p in it."""
    levels = 17
    centring = Centring(16.0, levels)
    numbers = RNG.integers(0, levels, (4000, 2))
    x = np.asarray(jax.jit(centring.prepare)(jax.random.key(0), numbers), np.float64)
    probabilities = RNG.dirichlet(np.ones(levels))
    cells = np.clip(np.floor((x + 1) * levels / 2), 0, levels - 1).astype(int)
    log_p = np.log(probabilities * levels / 2)[cells].sum(axis=1)
    is_inside = np.all(cells == numbers, axis=1)  # but for rounding to the next cell
    assert is_inside.mean() > 0.999
    bound = -log_p + centring.log_cells(2)
    truth = -np.log(probabilities)[numbers].sum(axis=1)
    np.testing.assert_allclose(bound[is_inside], truth[is_inside], rtol=1e-12)

    log_norm = np.log(2 * np.sinh(1.0))
    edges = 2 * np.arange(levels + 1) / levels - 1
    log_mass = np.log(np.diff(np.exp(edges))) - log_norm
    bound = -(x - log_norm).sum(axis=1) + centring.log_cells(2)
    excess = bound + log_mass[numbers].sum(axis=1)
    half = 1 / levels
    assert_mean(excess, 2 * np.log(np.sinh(half) / half))
    assert excess.std(ddof=1) / np.sqrt(len(excess)) < 2e-3


def test_real_numbers_have_no_cells():
    assert Centring(1.0).log_cells(9) == Centring().log_cells(9) == 0.0
    assert Centring(255.0, 256).log_cells(3) == pytest.approx(3 * np.log(128))


@pytest.mark.parametrize("name", ["bytes", "unit", "real"])
def test_a_key_serves_once(name):
    """The checker of key reuse is on: prepare draws from a key once at most, inside a program that
    uses it for nothing else."""
    rows, centring = make_centring(name)

    @jax.jit
    def twice(key):
        first, second = jax.random.split(key)
        return centring.prepare(first, rows), centring.prepare(second, rows)

    one, two = twice(jax.random.key(0))
    assert np.any(one != two) == (centring.levels is not None)
