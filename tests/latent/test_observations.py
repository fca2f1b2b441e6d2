"""Decoders asked in two steps: x keeps its shape, and draws of a bound are no likelihood."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffenc import training
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.latent import annealing, baselines, bounds, chains, decoders, em, posterior_grid
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser

MODEL = FactorAnalysis(
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]), jnp.array([0.1, 0.0, -0.2]), jnp.array(0.6)
)
NOISE = 0.3


@dataclasses.dataclass(frozen=True)
class Noised:
    """Factor analysis of x + noise: each observation of one x has another likelihood.

    E log p(x + noise|z) - const is a lower bound of log E p(x + noise|z). Training by common noise
    fits the model of x + noise.
    """

    model: decoders.Gaussian
    is_exact = False

    def init(self, key, latent_dim):
        return self.model.init(key, latent_dim)

    def observe(self, key, x):
        return {"x": x, "noise": NOISE * jax.random.normal(key, x.shape)}

    def log_prob(self, params, observation, z):
        return self.model.log_prob(params, observation["x"] + observation["noise"], z)

    def sample(self, key, params, z):
        return self.model.sample(key, params, z)


DECODER = Noised(decoders.make("gaussian", 3))
NETWORK = ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,))


def test_an_inexact_decoder_is_trained_by_the_alternation():
    """Weighted proposals of one observation each fit x + noise by maximum likelihood."""
    encoder = DiffusionEncoder(NETWORK)
    settings = em.Settings(e_step="importance", draws=2)
    optimizer = optax.adam(1e-2)
    x = MODEL.sample(jax.random.key(1), 400)[0]
    noisy = jnp.repeat(x, 20, axis=0)
    noisy += NOISE * jax.random.normal(jax.random.key(5), noisy.shape)
    best = FactorAnalysis.maximum_likelihood(np.asarray(noisy), 2).log_prob(noisy).mean()

    @jax.jit
    def gap(params):
        dense = params["decoder"]["network"]["params"]["Dense_0"]
        tau = jnp.exp(params["decoder"]["log_tau"])
        return best - FactorAnalysis(dense["kernel"].T, dense["bias"], tau).log_prob(noisy).mean()

    key_encoder, key_decoder = jax.random.split(jax.random.key(0))
    params = {
        "encoder": jax.jit(encoder.init)(key_encoder, x),
        "decoder": DECODER.init(key_decoder, 2),
    }
    state = training.TrainState.create(params, optimizer, chains.ChainState.create(settings))
    update = em.make_update(encoder, DECODER, settings, optimizer)
    run = training.scan_updates(update, lambda key, rows: rows)
    start = gap(state.params)
    rows = np.random.default_rng(0).integers(0, 400, (300, 40))
    state, metrics = run(state, jax.random.key(2), x, rows)
    assert -1e-4 < gap(state.params) < min(0.05, 0.2 * start)
    assert all(np.isfinite(value).all() for value in metrics.values())


def test_pairs_are_made_of_observations_that_are_trees():
    x = MODEL.sample(jax.random.key(1), 5)[0]
    z = jax.random.normal(jax.random.key(0), (4, 2))
    params = DECODER.init(jax.random.key(2), 2)
    observation = DECODER.observe(jax.random.key(3), x)
    pairs = decoders.log_prob_pairs(DECODER, params, observation, z)
    for k in range(4):
        single = DECODER.log_prob(params, observation, jnp.tile(z[k : k + 1], (5, 1)))
        np.testing.assert_allclose(pairs[k], single, rtol=1e-5, atol=1e-5)


def persistent(kernel):
    settings = em.Settings(e_step="persistent", kernel=kernel)
    return em.make_update(DiffusionEncoder(NETWORK), DECODER, settings, optax.sgd(0.0))


def importance_weighted(num_samples):
    encoder = baselines.GaussianEncoder(MLP((), 4))
    return baselines.make_importance_weighted_update(
        encoder, DECODER, optax.sgd(0.0), num_samples, 0.9
    )


REFUSED = {
    "the importance-weighted bound": [
        lambda: bounds.terms(jax.random.key(0), None, DECODER, None, None, 2, 1),
        lambda: importance_weighted(2),
    ],
    "annealed importance sampling": [lambda: annealing.make_log_joint(DECODER, None)],
    "em.e_step=persistent with em.kernel=mala": [lambda: persistent("mala")],
    "em.e_step=persistent with em.kernel=hmc": [lambda: persistent("hmc")],
    "a posterior on a grid": [
        lambda: posterior_grid.posterior(DECODER, posterior_grid.Grid(2), jnp.zeros((1, 3)))
    ],
    "an encoder with newton_steps": [
        lambda: DiffusionEncoder(NETWORK, newton_steps=1, decoder=DECODER)
    ],
}


@pytest.mark.parametrize("purpose", REFUSED)
def test_what_compares_observations_refuses_a_decoder_that_is_not_exact(purpose):
    for call in REFUSED[purpose]:
        with pytest.raises(InputError, match=f"the decoder Noised gives draws .*: {purpose}"):
            call()


def test_what_compares_no_observations_takes_any_decoder():
    persistent("ula")
    importance_weighted(1)


@pytest.mark.parametrize("kind", decoders.KINDS)
def test_a_decoder_compares_x_of_any_shape_flat(kind):
    decoder = decoders.make(kind, 6, (8,))
    params = decoder.init(jax.random.key(1), 2)
    z = jax.random.normal(jax.random.key(0), (5, 2))
    flat = jax.random.bernoulli(jax.random.key(2), 0.5, (5, 6)).astype(float)
    image = flat.reshape(5, 2, 3, 1)
    assert decoder.observe(None, image) is image
    np.testing.assert_array_equal(
        decoder.log_prob(params, image, z), decoder.log_prob(params, flat, z)
    )
    np.testing.assert_array_equal(
        decoders.log_prob_pairs(decoder, params, image, z[:3]),
        decoders.log_prob_pairs(decoder, params, flat, z[:3]),
    )
