"""Independent component analysis: against another implementation, and without sources."""

import warnings

import numpy as np
import pytest

from diffenc.information.unmixing import TOLERANCE, TURNS, unmix


def standardized(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.mark.parametrize(("n", "dim"), [(100, 2), (1000, 3), (2000, 10)])
def test_it_is_the_fast_ica_of_scikit_learn(n, dim):
    """Up to roundings, with its starting point and its stop, converged or not."""
    from sklearn.decomposition import FastICA

    rng = np.random.default_rng(dim)
    for sources in (rng.uniform(size=(n, dim)), rng.standard_t(3, size=(n, dim))):
        x = standardized(sources @ rng.normal(size=(dim, dim)))
        other = FastICA(whiten="unit-variance", max_iter=TURNS, tol=TOLERANCE, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = other.fit_transform(x)
        np.testing.assert_allclose(unmix(x), expected, atol=1e-9)


def test_a_block_without_a_white_image_has_no_sources():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    assert unmix(np.zeros((50, 2))) is None
    assert unmix(np.where(x > 2, np.nan, x)) is None
    assert unmix(np.where(x > 1, np.inf, x)) is None
