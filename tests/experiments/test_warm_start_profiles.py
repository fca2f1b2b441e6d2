"""Where a model loses its bits and how unevenly its schedule draws: against a known integrand."""

import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.adaptive_levels import FLOOR, AdaptiveLevels
from diffenc.diffusion.noise_levels import Uniform, UniformTime
from diffenc.diffusion.processes import VPCosine
from experiments.warm_start import measures
from experiments.warm_start.measures import NUM_BINS, Losses

LOW, HIGH, DIM = -6.0, 6.0, 4
BITS = DIM * np.log(2)  # nats of a bit a dimension


def integrand(log_snr):
    """In bits a dimension per unit of lambda."""
    return 0.3 * np.exp(-0.5 * np.square(log_snr - 1.0))


def even_draws() -> Losses:
    log_snr = np.linspace(LOW, HIGH, 64_001)[None]
    return Losses(BITS * integrand(log_snr), log_snr, np.full_like(log_snr, 1 / (HIGH - LOW)))


def learned() -> AdaptiveLevels:
    """Levels that know the integrand's means in their bins."""
    width = (HIGH - LOW) / NUM_BINS
    centres = LOW + width * (np.arange(NUM_BINS) + 0.5)
    mean = np.float32(integrand(centres))
    seen = np.full(NUM_BINS, 1000.0, np.float32)
    return AdaptiveLevels(mean, mean**2, seen, LOW, HIGH, "entropy")


@pytest.mark.parametrize(
    "levels",
    [Uniform(LOW, HIGH), UniformTime(VPCosine(), 0.0317, 0.9683), learned()],
    ids=["uniform", "time", "learned"],
)
def test_a_profile_is_that_of_its_integrand(levels):
    """The whole, and the share lost; the bins are three eighths wide, and times 1 / 499 apart."""
    profile = measures.profile(even_draws(), levels, DIM)
    whole = 0.3 * np.sqrt(2 * np.pi)
    assert profile.total == pytest.approx(whole, rel=2e-3)
    assert np.all(np.diff(profile.log_snr) <= 0) and np.all(np.diff(profile.lost) >= -1e-6)
    np.testing.assert_allclose(profile.lost[[0, -1]], [0.0, 1.0], atol=2e-3)
    mass = -np.trapezoid(profile.density, profile.log_snr)
    assert mass == pytest.approx(1.0, abs=0.01)
    if isinstance(levels, AdaptiveLevels):  # information is lost linearly in time
        assert np.abs(profile.lost - profile.time).max() < FLOOR
    else:
        assert np.abs(profile.lost - profile.time).max() > FLOOR


def test_the_variance_of_the_loss_is_that_of_single_draws():
    """One example's draws scatter about a mean of its own, and both scatters count."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(20_000, 1))
    loss = 5 + own + 2 * rng.normal(size=(20_000, 8))
    drawn = Losses(0.25 * BITS * loss, np.zeros_like(loss), np.full_like(loss, 0.25))
    assert_mean(measures.loss_variance(drawn, DIM), 1.0 + 4.0)
