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
from diffenc.latent.baseline_encoders import GaussianEncoder
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser

MODEL = FactorAnalysis(
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
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


def sample(rng, n):
    """x [n, 3] of the model."""
    z = rng.normal(size=(n, 2))
    x = z @ MODEL.weight.T + MODEL.mean + MODEL.noise_std * rng.normal(size=(n, 3))
    return x.astype(np.float32)


def test_an_inexact_decoder_is_trained_by_the_alternation():
    """Weighted proposals of one observation each fit x + noise by maximum likelihood."""
    encoder = DiffusionEncoder(NETWORK)
    settings = em.Settings(e_step="importance", draws=2)
    optimizer = optax.adam(1e-2)
    rng = np.random.default_rng(0)
    x = sample(rng, 400)
    noisy = np.repeat(x, 20, axis=0)
    noisy += (NOISE * rng.normal(size=noisy.shape)).astype(np.float32)
    best = FactorAnalysis.maximum_likelihood(noisy, 2)

    @jax.jit
    def gap(params):
        dense = params["decoder"]["network"]["params"]["Dense_0"]
        tau = jnp.exp(params["decoder"]["log_tau"])
        learned = FactorAnalysis(dense["kernel"].T, dense["bias"], tau)
        return best.log_prob(noisy).mean() - learned.log_prob(noisy).mean()

    @jax.jit
    def start():
        key_encoder, key_decoder = jax.random.split(jax.random.key(0))
        params = {"encoder": encoder.init(key_encoder, x), "decoder": DECODER.init(key_decoder, 2)}
        return training.TrainState.create(params, optimizer, chains.ChainState.create(settings))

    update = em.make_update(encoder, DECODER, settings, optimizer)
    run = training.scan_updates(update, lambda key, rows: rows)
    state = start()
    first = float(gap(state.params))
    state, metrics = run(state, jax.random.key(2), x, rng.integers(0, 400, (300, 40)))
    assert -1e-4 < float(gap(state.params)) < min(0.05, 0.2 * first)
    assert all(np.isfinite(value).all() for value in jax.device_get(metrics).values())


def test_pairs_are_made_of_observations_that_are_trees():
    rng = np.random.default_rng(1)
    x, z = sample(rng, 5), rng.normal(size=(4, 2)).astype(np.float32)

    @jax.jit
    def evaluate():
        params = DECODER.init(jax.random.key(2), 2)
        observation = DECODER.observe(jax.random.key(3), x)

        def single(z):
            return DECODER.log_prob(params, observation, jnp.tile(z[None], (5, 1)))

        pairs = decoders.log_prob_pairs(DECODER, params, observation, z)
        return pairs, jax.lax.map(single, z)

    pairs, singles = evaluate()
    np.testing.assert_allclose(pairs, singles, rtol=1e-5, atol=1e-5)


def persistent(kernel):
    settings = em.Settings(e_step="persistent", kernel=kernel)
    return em.make_update(DiffusionEncoder(NETWORK), DECODER, settings, optax.sgd(0.0))


def importance_weighted(num_samples):
    encoder = GaussianEncoder(MLP((), 4))
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
        lambda: posterior_grid.posterior(DECODER, posterior_grid.Grid(2), MODEL.mean[None])
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
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 2)).astype(np.float32)
    flat = rng.integers(0, 2, (5, 6)).astype(np.float32)
    image = flat.reshape(5, 2, 3, 1)
    assert decoder.observe(None, image) is image
    params = jax.jit(lambda: decoder.init(jax.random.key(1), 2))()

    @jax.jit
    def log_probs(x):
        pairs = decoders.log_prob_pairs(decoder, params, x, z[:3])
        return decoder.log_prob(params, x, z), pairs

    jax.tree.map(np.testing.assert_array_equal, log_probs(image), log_probs(flat))
