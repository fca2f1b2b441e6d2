"""Unnormalized densities to be sampled, whose normalizer is known.

funnel: Neal's in 10 dimensions, of width 3, as in arXiv 2111.15141: x_1 ~ N(0, 9), the others
N(0, exp(x_1)). log Z = 0.
mixture: nine Gaussians of variance 0.3 on a grid of spacing 5 in the plane, as in arXiv 2307.01198.
log Z = 0.
double_well: exp(-sum_i (x_i^2 - 4)^2) in 5 dimensions, as there: 32 wells, 16 nats between two of
them. log Z is five times that of one dimension, by quadrature.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

from diffenc.diffusion.gaussians import LOG_2PI, GaussianMixture

FUNNEL_WIDTH = 3.0
SPACING = 5.0
VARIANCE = 0.3
WELL = 4.0


@dataclasses.dataclass(frozen=True)
class Target:
    """An unnormalized density exp(-E).

    Attributes:
        dim: the dimension.
        energy: E, (x [n, dim]) -> [n] in nats.
        log_normalizer: log int exp(-E(x)) dx.
        width: of the Gaussian that samplers begin with.
    """

    dim: int
    energy: Callable
    log_normalizer: float
    width: float


def funnel_energy(x: jax.Array) -> jax.Array:
    """Evaluate -log of the funnel's density at x [n, D]."""
    first = x[:, 0]
    rest = jnp.sum(jnp.square(x[:, 1:]), axis=1)
    num_rest = x.shape[1] - 1
    energy = 0.5 * jnp.square(first / FUNNEL_WIDTH) + np.log(FUNNEL_WIDTH)
    energy += 0.5 * (rest * jnp.exp(-first) + num_rest * first)
    return energy + 0.5 * x.shape[1] * LOG_2PI


def grid_mixture() -> GaussianMixture:
    """Make the nine Gaussians."""
    line = SPACING * np.array([-1.0, 0.0, 1.0], np.float32)
    means = np.stack(np.meshgrid(line, line), axis=-1).reshape(9, 2)
    return GaussianMixture.isotropic(
        np.zeros(9, np.float32), means, np.full(9, VARIANCE**0.5, np.float32)
    )


def grid_energy(x: jax.Array) -> jax.Array:
    """Evaluate -log of the density of the nine Gaussians at x [n, 2]."""
    return -grid_mixture().log_prob(x)


def well_energy(x: jax.Array) -> jax.Array:
    """Evaluate the energy of the double wells at x [n, D]."""
    return jnp.sum(jnp.square(jnp.square(x) - WELL), axis=1)


def well_log_normalizer() -> float:
    """Compute log int exp(-(x^2 - 4)^2) dx."""
    area, _ = quad(lambda x: np.exp(-np.square(np.square(x) - WELL)), 0.0, 5.0, epsabs=1e-12)
    return float(np.log(2 * area))


TARGETS = {
    "funnel": Target(10, funnel_energy, 0.0, 2.0),
    "mixture": Target(2, grid_energy, 0.0, 4.0),
    "double_well": Target(5, well_energy, 5 * well_log_normalizer(), 2.0),
}
