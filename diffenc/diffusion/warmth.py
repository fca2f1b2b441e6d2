"""How warm a start is: the noise in it, counted in bins of the data.

Data on a grid of spacing bin_width start at x_tilde = alpha_0 x + sigma_0 u, and the warmth is
sigma_0 / alpha_0 in units of bin_width. Given so, it means the same whatever the levels and the
scaling of the data, which a log_snr does not: log_snr = 8.7 is 1.65 bins of 256 levels that fill
[-1, 1] (bin_width = 2/256), and 0.11 bins of 17. Two schedules give alpha_0 and sigma_0 themselves:

    "vp"        alpha^2 + sigma^2 = 1
    "straight"  alpha + sigma = 1
"""

import math

from diffenc.errors import check, check_choice

SCHEDULES = ("vp", "straight")


def log_snr_of_bins(bins: float, bin_width: float) -> float:
    """Compute the log_snr of a start, log(alpha_0^2 / sigma_0^2) = -2 log(bins bin_width).

    Raises InputError unless both are finite and above 0: a start without noise has no log_snr.
    """
    return -2 * math.log(_ratio(bins, bin_width))


def bins_of_log_snr(log_snr: float, bin_width: float) -> float:
    """Compute the warmth of a start in bins, the inverse of `log_snr_of_bins`."""
    _check_above_zero("bin_width", bin_width)
    check(math.isfinite(log_snr), "log_snr", log_snr, "give a finite number")
    return math.exp(-0.5 * log_snr) / bin_width


def alpha_sigma_of_bins(bins: float, bin_width: float, schedule: str) -> tuple[float, float]:
    """Compute signal and noise of a start.

    Args:
        bins: the warmth, sigma_0 / alpha_0 in bins.
        bin_width: the spacing of the levels of the data.
        schedule: one of SCHEDULES.

    Returns:
        (alpha_0, sigma_0).

    Raises:
        InputError: unless bins and bin_width are finite and above 0, and for another schedule.
    """
    check_choice("schedule", schedule, SCHEDULES)
    ratio = _ratio(bins, bin_width)
    alpha = 1 / math.hypot(1, ratio) if schedule == "vp" else 1 / (1 + ratio)
    return alpha, ratio * alpha


def bins_of_sigma(sigma: float, bin_width: float, schedule: str) -> float:
    """Compute the warmth of a start in bins from its noise, the inverse of `alpha_sigma_of_bins`.

    Args:
        sigma: sigma_0, between 0 and 1.
        bin_width: the spacing of the levels of the data.
        schedule: one of SCHEDULES.

    Returns:
        sigma_0 / alpha_0 in bins.

    Raises:
        InputError: for another sigma or schedule, and unless bin_width is finite and above 0.
    """
    check_choice("schedule", schedule, SCHEDULES)
    _check_above_zero("bin_width", bin_width)
    check(0 < sigma < 1, "sigma", sigma, "give a number between 0 and 1")
    alpha = math.sqrt((1 - sigma) * (1 + sigma)) if schedule == "vp" else 1 - sigma
    return sigma / (alpha * bin_width)


def _ratio(bins, bin_width):
    """sigma_0 / alpha_0."""
    _check_above_zero("bins", bins)
    _check_above_zero("bin_width", bin_width)
    return bins * bin_width


def _check_above_zero(name, value):
    check(0 < value < math.inf, name, value, "give a finite number above 0")
