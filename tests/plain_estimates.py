"""Estimates of information in which networks found nothing, to see what is done with them."""

import numpy as np

from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation.assembly import Information, assemble
from diffenc.information.training.divergence import Divergence

ROWS = 2000


def estimate_of(mean: float, stderr: float) -> Information:
    """Make an estimate of so many nats, whose error is that of its examples."""
    share = mean + stderr * np.sqrt(ROWS) * np.resize([-1.0, 1.0], ROWS)
    zeros = np.zeros(ROWS)
    edges = np.array([-7.0, 0.0, 10.0])
    nothing = Divergence(0.0, 0.0, *[zeros] * 4, *[np.zeros(2)] * 2, edges, 0.0, 0.0, 0)
    return assemble(GaussianPart(mean, share), np.arange(ROWS).reshape(2, -1), 1, nothing, None)
