"""What a latent costs in the bound of a diffusion decoder, in closed form: nothing where the
decoder makes use of it at every noise level, and what it says beyond x at the split where it is
seen below the split alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent import bounds
from diffenc.latent.decoders import log_prior
from diffenc.latent.diffusion_decoder import DiffusionDecoder

CORRELATION = 0.9  # of x and z, both N(0, 1)


class Encoder:
    """q(z|x) = N(CORRELATION x, 1 - CORRELATION^2), whose aggregate is the prior."""

    def infer(self, params, x):
        return x.reshape(len(x), 1)

    def sample_and_log_prob(self, key, params, x, num_steps):
        width = np.sqrt(1 - CORRELATION**2)
        eps = jax.random.normal(key, x.shape)
        return CORRELATION * x + width * eps, log_prior(eps) - np.log(width)


@dataclasses.dataclass(frozen=True)
class Matched:
    """The velocity of p(x|z) under that encoder where z is seen, and of p(x) elsewhere."""

    def apply(self, params, x_t, log_snr, condition):
        alpha, sigma = alpha_sigma(log_snr[:, None])
        sees = condition[:, 1:]
        mean = CORRELATION * condition[:, :1]
        variance = 1 - sees * CORRELATION**2
        gain = alpha * variance / (alpha**2 * variance + sigma**2)
        return (alpha * x_t - mean - gain * (x_t - alpha * mean)) / sigma


def information(square_correlation):
    return -0.5 * np.log(1 - square_correlation)


@pytest.mark.parametrize(("sees_above", "split"), [(True, -1.0), (False, 0.5)])
def test_a_latent_costs_what_it_says_beyond_the_split(sees_above, split):
    decoder = DiffusionDecoder(
        Matched(), (1,), Uniform(-12.0, split), Uniform(split, 12.0), 16, sees_above=sees_above
    )
    x = np.random.default_rng(0).normal(size=(4000, 1)).astype(np.float32)

    @jax.jit
    def compute(key):
        return bounds.elbo(key, Encoder(), decoder, {"decoder": {}}, jnp.asarray(x), 4, 1)

    terms = compute(jax.random.key(0))
    log_p = -0.5 * x[:, 0] ** 2 - 0.5 * np.log(2 * np.pi)
    at_split = CORRELATION**2 / (1 + np.exp(-split))  # squared correlation of z and x_split
    wasted = information(CORRELATION**2) - information(at_split)
    assert_mean(terms.rate, information(CORRELATION**2))
    assert_mean(terms.rate + terms.distortion + log_p, 0.0 if sees_above else wasted)
