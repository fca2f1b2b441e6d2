"""Assertions that several tests share."""

import numpy as np

NUM_SIGMAS = 4  # every statistical tolerance is this many computed standard errors


def assert_mean(values, truth):
    """The mean over the leading axis agrees with the truth within computed standard errors."""
    values = np.asarray(values, np.float64)
    stderr = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - truth), NUM_SIGMAS * stderr)


def assert_moments(z, mean, cov):
    """Mean and covariance of independent draws z [n, d] against those of their law."""
    centred = np.asarray(z, np.float64) - np.asarray(mean)
    assert_mean(centred, 0.0)
    assert_mean(centred[:, :, None] * centred[:, None, :], np.asarray(cov))
