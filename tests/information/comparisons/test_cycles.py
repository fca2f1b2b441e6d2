"""Cycles of a column that are too short for the rows of each, such as the hours of time stamps."""

import numpy as np
import pytest
from plain_estimates import estimate_of

from diffenc.information.comparisons import cycles
from diffenc.information.coordinates import gaussian
from diffenc.information.estimation import resolution, twin_weight
from diffenc.information.results import remarks

DAY = 86_400.0


def stamps(seed, n, days):
    """Draw times, and the place within the day [0, 1)."""
    days_of_rows = np.random.default_rng(seed).uniform(0, days, n)
    return 1.6e9 + DAY * days_of_rows[:, None], days_of_rows % 1


@pytest.mark.parametrize("n, days", [(600, 60), (1500, 365), (2000, 1500)])
def test_the_cycle_of_time_stamps_is_seen(n, days):
    """Rows follow the hour, with noise; the limit is below the information and most of it."""
    times, hour = stamps(n, n, days)
    noise = np.random.default_rng(1).normal(size=n)
    scores = gaussian.by_rank((np.cos(2 * np.pi * hour) + 0.4 * noise)[:, None])
    cycle = cycles.of_target(times, scores)
    truth = 0.669
    assert cycle.period == pytest.approx(DAY, rel=0.2 / days)
    assert cycle.information.mean < truth + 3 * cycle.information.stderr
    assert cycle.information.mean > 0.5 * truth
    late = (hour > 0.6).astype(int)
    assert cycles.of_labels(times, late).period == pytest.approx(DAY, rel=0.2 / days)


def test_of_even_times_the_longest_cycle_is_taken():
    days = np.random.default_rng(2).permutation(1400)[:, None]
    noise = np.random.default_rng(3).normal(size=(1400, 1))
    week = gaussian.by_rank(np.sin(days % 7) + 0.3 * noise)
    assert cycles.of_target(days.astype(float), week).period == pytest.approx(7, rel=1e-3)


def test_independent_columns_have_no_cycle():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = [rng.normal(size=500), rng.integers(0, 1440, 500), np.exp(3 * rng.normal(size=500))]
        y = gaussian.by_rank(rng.normal(size=(500, 2)))
        cycle = cycles.of_target(np.stack(x, axis=1), y)
        assert cycle is None or cycle.information.mean < 3 * cycle.information.stderr


def test_what_a_cycle_shows_stays_in_the_error():
    """Neither neighbours nor a mixture see it, so that both agree on nothing."""
    times, hour = stamps(4, 1000, 200)
    y = np.cos(2 * np.pi * hour)[:, None] + 0.4 * np.random.default_rng(5).normal(size=(1000, 1))
    scores = [gaussian.by_rank(block) for block in (times, y)]
    compared = resolution.of_numbers(*scores, times, y)
    result = resolution.resolve(estimate_of(0.0, 0.01), compared, lambda *columns: None)
    result = twin_weight.weigh(result, times, y, np.random.default_rng(6))
    assert result.unresolved > 0.4 and result.estimate.stderr > 0.4
    (note,) = [one for one in remarks.of_resolution(result, [["time"], ["y"]]) if "cycle" in one]
    assert "of time and y" in note and "modulo" in note
