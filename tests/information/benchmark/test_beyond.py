"""Tasks beyond the forty: two halves of twenty kinds, and pointwise information that is the ratio
of densities that the samples have."""

import jax
import numpy as np
import pytest
from checks import NUM_SIGMAS
from scipy.special import expit

from diffenc.information.benchmark import beyond, pairs, tasks
from diffenc.information.benchmark.laws import Law

TASKS = beyond.beyond()


def test_the_halves_have_a_task_of_every_kind():
    names = beyond.CHOOSE + beyond.REPORT
    assert len(beyond.CHOOSE) == len(beyond.REPORT) == 20 and len(set(names)) == 40
    assert set(names) == set(TASKS) and not set(names) & set(tasks.benchmark())


def law_of(name):
    task = TASKS[name]
    return task.base if isinstance(task, pairs.Mapped) else task


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_the_ratio_of_its_densities(name):
    """For r = p(x,y) / (p(x) p(y)), E[1 / (1 + r)] over pairs is E[r / (1 + r)] over x and y of
    different pairs; both are bounded, whatever the tails."""
    law = law_of(name)
    n = 1500
    x, y = law.sample(jax.random.key(0), n)
    together = expit(-law.pointwise(x, y))
    other_x, _ = law.sample(jax.random.key(1), n)
    _, other_y = law.sample(jax.random.key(2), n)
    apart = expit(law.pointwise(other_x, other_y))
    error = np.hypot(together.std(), apart.std()) / n**0.5
    assert error < 0.02 and abs(together.mean() - apart.mean()) < NUM_SIGMAS * error


@pytest.mark.parametrize("name", TASKS)
def test_a_task_draws_what_its_name_says(name):
    task = TASKS[name]
    x, y = task.sample(jax.random.key(3), 50)
    again = task.sample(jax.random.key(3), 50)
    assert np.array_equal(x, again[0]) and np.array_equal(y, again[1])
    assert np.isfinite(x).all() and np.isfinite(y).all()
    dims = next((part for part in name.split("_") if part[0].isdigit() and "x" in part), "1x1")
    is_labels = y.dtype.kind == "i"
    assert is_labels == name.startswith("choice")
    assert [x.shape[1], 1 if is_labels else y.shape[1]] == [int(dim) for dim in dims.split("x")]
    oracle = pairs.oracle(task, jax.random.key(3), 50)
    base = law_of(name)
    np.testing.assert_array_equal(oracle, base.pointwise(*base.sample(jax.random.key(3), 50)))


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_the_truth_is_known_to_two_thousandths(name):
    law = law_of(name)
    parts = law.parts if isinstance(law, pairs.Product) else (law,)
    truths = [part.truth for part in parts if isinstance(part, Law)]
    assert np.linalg.norm([truth.stderr for truth in truths]) < 2e-3
    mean = np.mean(pairs.oracle(TASKS[name], jax.random.key(4), 10_000))
    spread = np.std(pairs.oracle(TASKS[name], jax.random.key(4), 10_000)) / 100
    assert abs(mean - law.information) < NUM_SIGMAS * spread
