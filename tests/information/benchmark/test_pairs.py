"""Pairs know their information: closed forms against independent numerics."""

import jax
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from scipy import integrate, stats

from diffenc.errors import InputError
from diffenc.information.benchmark import pairs

GAUSSIANS = {
    "bivariate": pairs.bivariate(0.75),
    "dense": pairs.dense(5, 3, 0.5),
    "sparse": pairs.sparse(5, 4, 0.8),
    "high": pairs.high_information(80, 80.0),
    "channel": pairs.linear_channel(jax.random.key(0)),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_gaussian_information_is_that_of_the_canonical_correlations(name):
    task = GAUSSIANS[name]
    d = task.dim_x
    left = np.linalg.inv(np.linalg.cholesky(task.cov_x))
    right = np.linalg.inv(np.linalg.cholesky(task.cov_y))
    rho = np.linalg.svd(left @ task.cov[:d, d:] @ right.T, compute_uv=False)
    assert task.information == pytest.approx(-0.5 * np.sum(np.log1p(-(rho**2))), rel=1e-9)


def test_high_information_is_what_was_asked():
    assert pairs.high_information(80, 80.0).information == pytest.approx(80.0, rel=1e-12)
    assert pairs.sparse(25, 25).information == pytest.approx(-np.log(1 - 0.64), rel=1e-12)


def test_gaussian_samples_have_their_moments():
    task = pairs.linear_channel(jax.random.key(3), 3, 2)
    x, y = task.sample(jax.random.key(1), 20_000)
    assert x.shape == (20_000, 3) and y.shape == (20_000, 2) and x.dtype == np.float64
    assert_moments(np.concatenate([x, y], axis=1), np.zeros(5), task.cov)


@pytest.mark.parametrize("dims", [(1, 1, 1), (2, 3, 2), (5, 5, 3)])
def test_student_information_is_the_mean_log_density_ratio(dims):
    dim_x, dim_y, dof = dims
    task = pairs.StudentPair(*dims)
    x, y = task.sample(jax.random.key(2), 40_000)
    log_p = [
        stats.multivariate_t(np.zeros(d), np.eye(d), df=dof).logpdf
        for d in (dim_x, dim_y, dim_x + dim_y)
    ]
    assert_mean(
        log_p[2](np.concatenate([x, y], axis=1)) - log_p[0](x) - log_p[1](y), task.information
    )


@pytest.mark.parametrize("width", [0.1, 0.4, 0.5, 0.75, 2.0])
def test_uniform_noise_by_quadrature(width):
    def density(y):
        return max(0.0, min(1.0, y + width) - max(0.0, y - width)) / (2 * width)

    def integrand(y):
        return -density(y) * np.log(density(y)) if density(y) > 0 else 0.0

    kinks = sorted({-width, width, 1 - width, 1 + width})
    pieces = zip(kinks[:-1], kinks[1:], strict=True)
    entropy = sum(integrate.quad(integrand, a, b)[0] for a, b in pieces)
    assert pairs.UniformNoise(width).information == pytest.approx(
        entropy - np.log(2 * width), abs=1e-7
    )
    x, y = pairs.UniformNoise(width).sample(jax.random.key(0), 5000)
    assert (
        np.abs(y - x).max() <= width
        and stats.kstest((y - x)[:, 0], "uniform", (-width, 2 * width)).pvalue > 1e-4
    )


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: pairs.GaussianPair(np.ones((2, 2)), 1), "not positive definite"),
        (lambda: pairs.GaussianPair(np.eye(3), 3), "dim_x=3"),
        (lambda: pairs.StudentPair(1, 1, 0), "dof above 0"),
        (lambda: pairs.UniformNoise(0.0), "width is 0.0"),
        (lambda: pairs.sparse(2, 1), "num_pairs=2"),
    ],
)
def test_bad_pairs_say_so(make, words):
    with pytest.raises(InputError, match=words):
        make()
