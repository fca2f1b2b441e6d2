"""Smoothing of densities over lambda by a Gaussian kernel."""

import numpy as np

WIDTH = 0.5  # standard deviation of the kernel, in units of lambda


def make_kernel(at: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Make the weights [N, K] that average heights at the centres [K] to smooth ones at [N]."""
    kernel = np.exp(-0.5 * np.square((at[:, None] - centres[None]) / WIDTH))
    return kernel / kernel.sum(axis=1, keepdims=True)
