"""Tasks: maps that can be undone, and forty of them."""

import jax
import numpy as np
from scipy.special import ndtr

from diffenc.information.benchmark import tasks


def test_maps_of_a_coordinate_increase():
    grid = np.linspace(-5, 5, 4001)[:, None]
    for apply in (
        tasks.half_cube,
        tasks.wiggly_x,
        tasks.wiggly_y,
        ndtr,
        np.arcsinh,
        tasks.bimodal(0.0, 5.0, 0.3),
    ):
        assert np.all(np.diff(apply(grid)[:, 0]) > 0)


def test_bimodal_has_the_mixture_as_its_law():
    low, high, weight = -1.0, 3.0, 0.5
    grid = np.linspace(-4, 4, 101)[:, None]
    mapped = tasks.bimodal(low, high, weight)(grid)
    np.testing.assert_allclose(
        weight * ndtr(mapped - low) + (1 - weight) * ndtr(mapped - high), ndtr(grid), atol=1e-12
    )


def test_spiral_can_be_turned_back():
    x = np.random.default_rng(0).normal(size=(50, 4))
    image = tasks.spiral(1, 3, 0.7)(x)
    assert np.abs(image - x).max() > 1
    np.testing.assert_allclose(np.sum(image**2, axis=1), np.sum(x**2, axis=1))
    np.testing.assert_allclose(tasks.spiral(1, 3, -0.7)(image), x, atol=1e-12)


def test_swiss_roll_keeps_its_coordinate():
    x = np.linspace(0, 1, 101)[:, None]
    length = 21 * np.linalg.norm(tasks.swiss_roll(x), axis=1)
    np.testing.assert_allclose(length / (3 * np.pi) - 0.5, x[:, 0], atol=1e-12)


def test_the_benchmark_has_forty_tasks_with_their_information():
    benchmark = tasks.benchmark()
    assert len(benchmark) == 40
    for name, task in benchmark.items():
        x, y = task.sample(jax.random.key(0), 20)
        again = task.sample(jax.random.key(0), 20)
        assert x.dtype == y.dtype == np.float64 and len(x) == len(y) == 20 and task.information > 0
        assert np.array_equal(x, again[0]) and np.array_equal(y, again[1])
        dims = next(
            (part for part in name.split("_") if "x" in part and part[0].isdigit()), "1x1"
        ).split("x")
        assert [x.shape[1], y.shape[1]] == [int(dim) for dim in dims]
