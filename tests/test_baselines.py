"""The VAE: its density and rate in closed form, and an update that descends the reparameterized bound."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from checks import assert_mean

from diffenc import baselines, decoders, training
from diffenc.analytic import Gaussian, gaussian_kl
from diffenc.baselines import GaussianEncoder, gaussian_rate
from diffenc.networks import MLP

ENCODER = GaussianEncoder(MLP((8,), num_outputs=4))
X = jax.random.normal(jax.random.key(0), (5, 3))


def make_context():
    params = {"encoder": ENCODER.init(jax.random.key(1), X)}
    return params, ENCODER.infer(params, X)


def test_the_latent_has_half_the_outputs():
    params, (mean, log_width) = make_context()
    assert ENCODER.latent_dim == 2 and mean.shape == log_width.shape == (5, 2)
    centre, factor = ENCODER.gaussian((mean, log_width))
    np.testing.assert_array_equal(centre, mean)
    np.testing.assert_allclose(factor, jax.vmap(jnp.diag)(jnp.exp(log_width)), rtol=1e-6)


def test_the_rate_is_the_divergence_from_the_prior():
    _, context = make_context()
    exact = [gaussian_kl(m, jnp.diag(jnp.exp(2 * s)), jnp.zeros(2), jnp.eye(2)) for m, s in zip(*context, strict=True)]
    np.testing.assert_allclose(gaussian_rate(context), exact, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(gaussian_rate((jnp.zeros((3, 2)), jnp.zeros((3, 2)))), 0.0)


def test_the_density_is_the_gaussian_it_samples():
    params, context = make_context()
    z, log_q = ENCODER.sample_and_log_prob(jax.random.key(2), params, context)
    for mean, log_width, one, density in zip(*context, z, log_q, strict=True):
        exact = Gaussian(mean, jnp.diag(jnp.exp(2 * log_width))).log_prob(one[None])[0]
        np.testing.assert_allclose(density, exact, rtol=1e-5)
    np.testing.assert_array_equal(log_q, ENCODER.log_prob(params, context, z))
    many = jax.tree.map(lambda a: jnp.tile(a[:1], (5000, 1)), context)
    z, log_q = ENCODER.sample_and_log_prob(jax.random.key(3), params, many)
    assert_mean(log_q - decoders.log_prior(z), gaussian_rate(context)[0])


def test_the_width_is_clipped_where_a_density_would_overflow():
    params, _ = make_context()
    params["encoder"]["params"]["Dense_1"]["bias"] = jnp.array([0.0, 0.0, 1e4, -1e4])
    _, log_width = ENCODER.infer(params, X)
    np.testing.assert_array_equal(log_width, np.tile([2.0, -8.0], (5, 1)))


def test_an_update_descends_the_bound():
    decoder, gamma = decoders.make("bernoulli", 3), 0.5
    optimizer = optax.sgd(1.0)
    params = {"encoder": ENCODER.init(jax.random.key(1), X), "decoder": decoder.init(jax.random.key(2), 2)}
    state, x = training.TrainState.create(params, optimizer), (X > 0).astype(jnp.float32)
    update = jax.jit(baselines.make_vae_update(ENCODER, decoder, optimizer, gamma, 0.999))
    new, metrics = update(state, jax.random.key(3), x)

    def bound(params):
        mean, log_width = ENCODER.infer(params, x)
        z = mean + jnp.exp(log_width) * jax.random.normal(jax.random.key(3), mean.shape)
        distortion = -decoder.log_prob(params["decoder"], x, z).mean()
        return distortion + gamma * gaussian_rate((mean, log_width)).mean(), distortion

    (value, distortion), grads = jax.jit(jax.value_and_grad(bound, has_aux=True))(params)
    jax.tree.map(lambda a, p, g: np.testing.assert_allclose(a, p - g, atol=1e-5), new.params, params, grads)
    np.testing.assert_allclose(metrics["decoder_loss"], distortion, rtol=1e-5)
    np.testing.assert_allclose(metrics["decoder_loss"] + gamma * metrics["rate"], value, rtol=1e-5)
    assert new.step == 1
