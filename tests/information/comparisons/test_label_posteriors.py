"""Posteriors of labels: rules that no normal laws follow, and limits that hold."""

import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.information.comparisons import class_mixture, posteriors

N = 1500
RULES = {
    "ball": lambda x: (x**2).sum(axis=1) > 2.366,
    "plane": lambda x: x.sum(axis=1) > 0,
    "product": lambda x: x[:, 0] * x[:, 1] > 0,
}


def information(flips):
    shares = np.array([flips, 1 - flips])
    return np.log(2) + np.sum(shares * np.log(np.maximum(shares, 1e-300)))


def draw(seed, rule, flips):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3))
    return x, (RULES[rule](x) ^ (rng.random(N) < flips)).astype(int), rng


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("flips", [0.0, 0.05])
def test_rules_are_followed_and_the_limit_holds(rule, flips):
    truth = information(flips)
    gains = []
    for seed in range(2):
        x, labels, rng = draw(seed, rule, flips)
        fold = rng.permutation(N) % class_mixture.FOLDS
        if seed == 0:
            assert class_mixture.estimate(x, x, labels, rng).posterior
        found = posteriors.estimate(x, labels, fold, np.zeros(N))
        error = found.held.std() / N**0.5
        # Which rows are flipped by chance is known of simulated ones.
        exact = np.where(RULES[rule](x) == labels, 1 - flips, flips)
        exact = np.log(2 * exact).mean()
        assert found.held.mean() < exact + NUM_SIGMAS * error
        gains.append(found.middle.mean() - exact)
    assert -0.2 * truth < np.mean(gains) < 0.02 * truth, "normal laws lose a fifth or more"


def test_normal_classes_need_no_posterior():
    used = 0
    for seed in range(20):
        rng = np.random.default_rng((1, seed))
        labels = rng.integers(0, 2 + seed % 4, 600)
        x = rng.normal(size=(600, 1 + seed % 7)) + 0.8 * rng.normal(size=(6, 1 + seed % 7))[labels]
        used += bool(class_mixture.estimate(x, x, labels, rng).posterior)
    assert used <= 1, "of 20; three standard errors are exceeded in 0.1 % of cases"


def test_few_rows_for_many_columns_have_no_posterior():
    rng = np.random.default_rng(2)
    labels = np.arange(200) % 10
    x = rng.normal(size=(200, 20))
    assert posteriors.estimate(x, labels, np.arange(200) % 10, np.full(200, -9.0)) is None
