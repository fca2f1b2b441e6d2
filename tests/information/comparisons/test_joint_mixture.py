"""Mixtures of Gaussians by expectation and maximization, against laws whose densities are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from diffenc.information.benchmark.laws import gaussian_mixture
from diffenc.information.comparisons import joint_mixture
from diffenc.information.comparisons.joint_mixture import EQUAL, Mixture

WEIGHTS = np.array([0.3, 0.7])
MEANS = np.array([[-2.0, 1.0, 0.0], [2.0, 0.0, 1.0]])
COVS = np.array(
    [
        [[1.0, 0.5, 0.2], [0.5, 1.0, 0.0], [0.2, 0.0, 0.5]],
        [[0.5, -0.3, 0.1], [-0.3, 1.0, 0.2], [0.1, 0.2, 1.0]],
    ]
)
MIXTURE = Mixture(WEIGHTS, MEANS, COVS)


def test_densities_and_pointwise_information_are_exact():
    z = np.random.default_rng(0).standard_normal((50, 3)) * 2
    components = [
        multivariate_normal(mean, cov).pdf(z) for mean, cov in zip(MEANS, COVS, strict=True)
    ]
    density = WEIGHTS @ np.array(components)
    assert joint_mixture.log_density(MIXTURE, z) == pytest.approx(np.log(density), abs=1e-10)
    law = gaussian_mixture(WEIGHTS, MEANS, COVS, 2)
    expected = law.pointwise(z[:, :2], z[:, 2:])
    assert joint_mixture.pointwise(MIXTURE, z, 2) == pytest.approx(expected, abs=1e-10)


def test_rows_that_are_drawn_have_the_moments_of_the_mixture():
    n = 20_000
    z = joint_mixture.draw(np.random.default_rng(1), MIXTURE, n)
    mean = WEIGHTS @ MEANS
    squares = COVS + MEANS[:, :, None] * MEANS[:, None, :]
    cov = np.einsum("k,kij->ij", WEIGHTS, squares) - np.outer(mean, mean)
    spread = np.sqrt(np.diag(cov) / n)
    assert np.all(np.abs(z.mean(axis=0) - mean) < 4 * spread)
    products = (z - mean)[:, :, None] * (z - mean)[:, None, :]
    assert np.all(np.abs(products.mean(axis=0) - cov) < 4 * products.std(axis=0) / n**0.5)


def test_a_fit_finds_the_components():
    """Within four standard errors of what so many rows tell of separate components."""
    n = 20_000
    rng = np.random.default_rng(2)
    fitted = joint_mixture.fit(rng, joint_mixture.draw(rng, MIXTURE, n), 2, 0.0, 500, 1e-9)
    order = np.argsort(fitted.means[:, 0])
    share = np.sqrt(WEIGHTS.prod() / n)
    assert np.all(np.abs(fitted.weights[order] - WEIGHTS) < 4.5 * share)
    for index, place in enumerate(order):
        rows = n * WEIGHTS[index]
        spread = np.sqrt(np.diag(COVS[index]) / rows)
        assert np.all(np.abs(fitted.means[place] - MEANS[index]) < 4.5 * spread)
        variances = np.diag(COVS[index])
        of_covs = np.sqrt((COVS[index] ** 2 + np.outer(variances, variances)) / rows)
        assert np.all(np.abs(fitted.covs[place] - COVS[index]) < 4.5 * of_covs)


def test_rounds_of_starts_may_be_all():
    rng = np.random.default_rng(4)
    z = joint_mixture.draw(rng, MIXTURE, 500)
    fitted = joint_mixture.fit(rng, z, 2, 0.0, joint_mixture.FIRST_ROUNDS, 1e-9)
    assert joint_mixture.log_density(fitted, z).mean() > np.mean(
        multivariate_normal(z.mean(axis=0), np.cov(z.T)).logpdf(z)
    )


def test_pooled_fits_have_equal_covariances():
    rng = np.random.default_rng(3)
    z = joint_mixture.draw(rng, MIXTURE, 2_000)
    fitted = joint_mixture.fit(rng, z, 2, EQUAL, 50, 1e-4)
    assert fitted.covs[0] == pytest.approx(fitted.covs[1], abs=1e-2)
    free = joint_mixture.fit(rng, z, 2, 0.0, 50, 1e-4)
    assert np.abs(free.covs[0] - free.covs[1]).max() > 0.3
