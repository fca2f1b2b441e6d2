"""Warmth in bins, and back."""

import math

import numpy as np
import pytest

from diffenc.diffusion import warmth
from diffenc.errors import InputError


@pytest.mark.parametrize("schedule", warmth.SCHEDULES)
@pytest.mark.parametrize("bins", [1e-6, 0.17, 1.65, 300.0])
def test_round_trips(bins, schedule):
    width = 2 / 256
    alpha, sigma = warmth.alpha_sigma_of_bins(bins, width, schedule)
    np.testing.assert_allclose(sigma / alpha, bins * width, rtol=1e-12)
    power = 2 if schedule == "vp" else 1
    np.testing.assert_allclose(alpha**power + sigma**power, 1.0, rtol=1e-12)
    np.testing.assert_allclose(warmth.bins_of_sigma(sigma, width, schedule), bins, rtol=1e-9)
    log_snr = warmth.log_snr_of_bins(bins, width)
    np.testing.assert_allclose(log_snr, 2 * math.log(alpha / sigma), rtol=1e-9)
    np.testing.assert_allclose(warmth.bins_of_log_snr(log_snr, width), bins, rtol=1e-12)


def test_starts_of_the_literature():
    """Cold 13.3 and warm 8.7 of images of 256 levels in [-1, 1]; 8.7 is cold with 17 levels."""
    np.testing.assert_allclose(warmth.bins_of_log_snr(13.3, 2 / 256), 0.166, rtol=5e-3)
    np.testing.assert_allclose(warmth.bins_of_log_snr(8.7, 2 / 256), 1.65, rtol=5e-3)
    np.testing.assert_allclose(warmth.bins_of_log_snr(8.7, 2 / 17), 0.11, rtol=5e-3)
    np.testing.assert_allclose(warmth.log_snr_of_bins(1.65, 2 / 17), 3.28, rtol=5e-3)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: warmth.log_snr_of_bins(0.0, 0.1), "bins is 0.0: give a finite number above 0"),
        (lambda: warmth.alpha_sigma_of_bins(-1.0, 0.1, "vp"), "bins is -1.0"),
        (lambda: warmth.alpha_sigma_of_bins(math.nan, 0.1, "vp"), "bins is nan"),
        (lambda: warmth.alpha_sigma_of_bins(1.0, 0.0, "vp"), "bin_width is 0.0"),
        (lambda: warmth.alpha_sigma_of_bins(1.0, 0.1, "strait"), "nearest: straight"),
        (lambda: warmth.bins_of_sigma(1.0, 0.1, "vp"), "sigma is 1.0"),
        (lambda: warmth.bins_of_sigma(0.5, 0.1, "ve"), "schedule is 've'"),
        (lambda: warmth.bins_of_log_snr(math.inf, 0.1), "log_snr is inf"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()
