"""A diffusion decoder whose velocity is known: that of a linear Gaussian p(x|z)."""

import dataclasses

import numpy as np

from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent.diffusion_decoder import DiffusionDecoder

MIX = np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32)
NOISE = 0.5


@dataclasses.dataclass(frozen=True)
class Exact:
    """The velocity of x = MIX z + NOISE eps, given z at every level."""

    def init(self, key, *inputs, method=None):
        return {}

    def apply(self, params, x_t, log_snr, condition):
        mean = condition[:, :-1] @ MIX.T
        alpha, sigma = alpha_sigma(expand(log_snr, x_t))
        gain = alpha * NOISE**2 / (alpha**2 * NOISE**2 + sigma**2)
        x = mean + gain * (x_t - alpha * mean)
        return (alpha * x_t - x) / sigma


EXACT = DiffusionDecoder(Exact(), (3,), Uniform(-11.0, 11.0), draws=16)
