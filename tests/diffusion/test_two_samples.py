"""The two-sample test by the energy distance: its distance, its level and its power."""

import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy import stats

from diffenc.diffusion.two_samples import energy_test
from diffenc.errors import InputError


def test_the_distance_in_one_dimension_is_that_of_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(0.5, size=30)
    expected = stats.energy_distance(x, y) ** 2
    assert energy_test(rng, x[:, None], y[:, None], 1).distance == pytest.approx(expected)


def test_samples_of_one_law_are_refused_at_the_level_and_others_are_refused():
    rng = np.random.default_rng(1)
    repetitions = 200
    p_values = np.array(
        [energy_test(rng, *rng.normal(size=(2, 40, 2, 2)), 99).p_value for _ in range(repetitions)]
    )
    stderr = (0.2 * 0.8 / repetitions) ** 0.5
    assert abs(np.mean(p_values <= 0.2) - 0.2) < NUM_SIGMAS * stderr
    x = rng.normal(size=(200, 2))
    for y in (rng.normal(0.5, size=(200, 2)), 1.5 * rng.normal(size=(200, 2))):
        assert energy_test(rng, x, y, 999).p_value == 0.001


def test_shapes_that_do_not_fit_are_named():
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match=r"y is of shape \(5, 3\): give two values or more like x"):
        energy_test(rng, np.zeros((5, 2)), np.zeros((5, 3)))


def test_values_that_are_no_numbers_are_refused():
    """They would differ from everything, and have a p-value of 0."""
    rng = np.random.default_rng(3)
    y = np.zeros((5, 2))
    y[0, 1] = np.nan
    with pytest.raises(InputError, match="values that are not finite is 1: give finite ones"):
        energy_test(rng, np.zeros((5, 2)), y)
