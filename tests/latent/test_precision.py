"""Bounds and closed forms multiply in full float32 precision, which accelerators do not by default.

Nothing is compiled: the products are read in the traced programs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from diffenc.latent import annealing, bounds, decoders, posterior_grid
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.whitening import Frame
from diffenc.networks import ConditionalDenoiser

X = np.zeros((3, 4), np.float32)
Z = np.zeros((3, 2), np.float32)
FRAME = Frame(Z, np.tile(np.eye(2, dtype=np.float32), (3, 1, 1)))
DECODER = decoders.make("gaussian", 4, (8,))
ENCODER = DiffusionEncoder(
    ConditionalDenoiser(latent_dim=2, embed_features=(8,), features=(8,)),
    newton_steps=1,
    pressure=True,
    decoder=DECODER,
)
GRID = posterior_grid.Grid(2, num_points=8)
SETTINGS = annealing.Settings(2, 2, 1, 1)
LOG_STEPS = np.zeros(2, np.float32)


def log_joint(params):
    return annealing.make_log_joint(DECODER, params["decoder"])


def encoder_log_prob(key, params):
    return posterior_grid.encoder_log_prob(ENCODER, params, GRID, X, 1)


def kl_by_draws(key, params):
    return posterior_grid.posterior_kl_by_draws(
        key, DECODER, GRID, X, decoders.log_prior, 2, params["decoder"]
    )


def best_gaussian_kl(key, params):
    return posterior_grid.best_gaussian_kl(
        posterior_grid.posterior(DECODER, GRID, X, params["decoder"]), GRID
    )


PROGRAMS = {
    "bounds.terms": lambda key, params: bounds.terms(key, ENCODER, DECODER, params, X, 2, 1),
    "annealing.tune": lambda key, params: annealing.tune(
        key, log_joint(params), X, FRAME, SETTINGS
    ),
    "annealing.forward": lambda key, params: annealing.forward(
        key, log_joint(params), X, FRAME, LOG_STEPS, SETTINGS
    ),
    "annealing.reverse": lambda key, params: annealing.reverse(
        key, log_joint(params), X, Z, FRAME, LOG_STEPS, SETTINGS
    ),
    "posterior_grid.log_marginal": lambda key, params: posterior_grid.log_marginal(
        DECODER, GRID, X, params["decoder"]
    ),
    "toys.encoder_log_prob": encoder_log_prob,
    "posterior_grid.posterior_kl_by_draws": kl_by_draws,
    "toys.best_gaussian_kl": best_gaussian_kl,
}


def products(jaxpr):
    """Every product of floats in a program, those of its loops and branches included."""
    for equation in jaxpr.eqns:
        is_product = equation.primitive.name == "dot_general"
        if is_product and jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating):
            yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner)


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_products_are_of_the_highest_precision(name):
    params = jax.eval_shape(
        lambda: {
            "encoder": ENCODER.init(jax.random.key(0), X),
            "decoder": DECODER.init(jax.random.key(1), 2),
        }
    )
    program = jax.make_jaxpr(PROGRAMS[name])(jax.random.key(1), params)
    equations = list(products(program.jaxpr))
    highest = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)
    assert equations and all(equation.params["precision"] == highest for equation in equations)
