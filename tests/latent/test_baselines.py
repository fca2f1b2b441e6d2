"""The rivals: densities and rates in closed form, updates that descend their bounds, wake-sleep on
exact dreams."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checks import assert_mean

from diffenc import training
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.latent import baselines, chains, decoders, em
from diffenc.latent.baselines import GaussianEncoder, gaussian_rate
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser, Coupling

ENCODER = GaussianEncoder(MLP((8,), num_outputs=4))
X = jax.random.normal(jax.random.key(0), (5, 3))
gaussian_divergence = jax.jit(jax.vmap(gaussian_kl))


@jax.jit
@jax.vmap
def gaussian_log_prob(mean, cov, z):
    """The log density of one z under a Gaussian of its own."""
    return Gaussian(mean, cov).log_prob(z[None])[0]


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
    mean, log_width = context
    cov = jnp.exp(2 * log_width)[:, :, None] * jnp.eye(2)[None]
    exact = gaussian_divergence(
        mean, cov, jnp.zeros_like(mean), jnp.zeros_like(cov) + jnp.eye(2)[None]
    )
    np.testing.assert_allclose(gaussian_rate(context), exact, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(gaussian_rate((jnp.zeros((3, 2)), jnp.zeros((3, 2)))), 0.0)


def test_the_density_is_the_gaussian_it_samples():
    params, context = make_context()
    z, log_q = ENCODER.sample_and_log_prob(jax.random.key(2), params, context)
    mean, log_width = context
    cov = jnp.exp(2 * log_width)[:, :, None] * jnp.eye(2)[None]
    np.testing.assert_allclose(log_q, gaussian_log_prob(mean, cov, z), rtol=1e-5)
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
    params = {
        "encoder": ENCODER.init(jax.random.key(1), X),
        "decoder": decoder.init(jax.random.key(2), 2),
    }
    state, x = training.TrainState.create(params, optimizer), (X > 0).astype(jnp.float32)
    update = jax.jit(baselines.make_vae_update(ENCODER, decoder, optimizer, gamma, 0.999))
    new, metrics = update(state, jax.random.key(3), x)

    def bound(params):
        mean, log_width = ENCODER.infer(params, x)
        z = mean + jnp.exp(log_width) * jax.random.normal(jax.random.key(3), mean.shape)
        distortion = -decoder.log_prob(params["decoder"], x, z).mean()
        return distortion + gamma * gaussian_rate((mean, log_width)).mean(), distortion

    (value, distortion), grads = jax.jit(jax.value_and_grad(bound, has_aux=True))(params)
    jax.tree.map(
        lambda a, p, g: np.testing.assert_allclose(a, p - g, atol=1e-5), new.params, params, grads
    )
    np.testing.assert_allclose(metrics["decoder_loss"], distortion, rtol=1e-5)
    np.testing.assert_allclose(metrics["decoder_loss"] + gamma * metrics["rate"], value, rtol=1e-5)
    assert new.step == 1


FLOW = baselines.FlowEncoder(Coupling(latent_dim=3, embed_features=(16,), width=16, num_layers=4))


def random_flow(scale=0.5):
    """A flow far from the identity: every output layer at random."""
    params = FLOW.init(jax.random.key(1), X)["params"]
    for index, key in enumerate(jax.random.split(jax.random.key(2), 4)):
        kernel = params[f"output_{index}"]["kernel"]
        params[f"output_{index}"]["kernel"] = scale * jax.random.normal(key, kernel.shape)
    return {"encoder": {"params": params}}


def test_a_new_flow_is_its_gaussian():
    params = {"encoder": FLOW.init(jax.random.key(1), X)}
    context = FLOW.infer(params, X)
    z, log_q = FLOW.sample_and_log_prob(jax.random.key(3), params, context)
    mean, factor = FLOW.gaussian(context)
    np.testing.assert_allclose(gaussian_log_prob(mean, factor @ factor.mT, z), log_q, rtol=1e-5)


def test_the_flow_has_an_inverse_and_the_jacobian_it_says():
    params = random_flow()
    context = FLOW.infer(params, X)
    y = jax.random.normal(jax.random.key(3), (5, 3))
    z, log_det = FLOW.network.apply(params["encoder"], context, y)
    back, same = FLOW.network.apply(params["encoder"], context, z, method="inverse")
    np.testing.assert_allclose(back, y, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(same, log_det, rtol=1e-4, atol=1e-4)
    mean, factor = FLOW.gaussian(context)
    assert np.abs(z - mean - jnp.einsum("bij,bj->bi", factor, y)).max() > 0.1  # not the identity
    jacobian = jax.jacfwd(lambda y: FLOW.network.apply(params["encoder"], context, y)[0])(y)
    own = jnp.stack([jacobian[i, :, i] for i in range(5)])
    np.testing.assert_allclose(jnp.linalg.slogdet(own)[1], log_det, rtol=1e-4, atol=1e-4)
    _, log_q = FLOW.sample_and_log_prob(jax.random.key(4), params, context)
    z = FLOW.sample(jax.random.key(4), params, context)
    np.testing.assert_allclose(FLOW.log_prob(params, context, z), log_q, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("encoder", [ENCODER, FLOW])
def test_the_importance_weighted_update_descends_its_bound(encoder):
    """At plain descent of rate one the parameters move by the gradient of -log (1/K) sum_k w_k, and
    one sample is the ELBO of the estimator in diffenc.latent.bounds."""
    decoder, optimizer = decoders.make("bernoulli", 3), optax.sgd(1.0)
    x = (X > 0).astype(jnp.float32)
    decoder_params = decoder.init(jax.random.key(1), encoder.latent_dim)
    params = {"encoder": encoder.init(jax.random.key(0), X), "decoder": decoder_params}
    state = training.TrainState.create(params, optimizer)
    update = jax.jit(
        baselines.make_importance_weighted_update(encoder, decoder, optimizer, 5, 0.999)
    )
    new, metrics = update(state, jax.random.key(2), x)

    @jax.jit
    @jax.grad
    def gradient(params):
        context, log_w = encoder.infer(params, x), []
        for key in jax.random.split(jax.random.key(2), 5):
            z, log_q = encoder.sample_and_log_prob(key, params, context)
            log_w.append(decoders.log_joint(decoder, params["decoder"], x, z) - log_q)
        return -jnp.log(jnp.exp(jnp.stack(log_w)).mean(axis=0)).mean()

    expected = jax.tree.map(lambda p, g: p - g, params, gradient(params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), new.params, expected
    )
    assert metrics["rate"].shape == metrics["decoder_loss"].shape == ()


def test_wake_sleep_learns_the_posterior_of_dreams_and_the_decoder_of_data():
    """Factor analysis: the encoder's Gaussian converges to the posterior under a decoder that
    stands still."""
    model = FactorAnalysis(
        jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]), jnp.array([0.1, 0.0, -0.2]), 0.6
    )
    decoder, settings = decoders.make("gaussian", 3), em.Settings(draws=1, sampler_steps=1)
    dense = {"kernel": model.weight.T, "bias": model.mean}
    encoder = DiffusionEncoder(
        ConditionalDenoiser(latent_dim=2, embed_features=(32,), features=(8,))
    )
    decoder_params = {"network": {"params": {"Dense_0": dense}}, "log_tau": jnp.log(0.6)}
    params = {"encoder": encoder.init(jax.random.key(0), X), "decoder": decoder_params}
    still = optax.multi_transform(
        {"encoder": optax.adam(3e-3), "decoder": optax.set_to_zero()},
        {"encoder": "encoder", "decoder": "decoder"},
    )
    state = training.TrainState.create(params, still, chains.ChainState.create(settings))
    run = training.scan_updates(
        baselines.make_wake_sleep_update(encoder, decoder, settings, still), lambda key, rows: rows
    )
    x = model.sample(jax.random.key(1), 400)[0]
    rows = np.random.default_rng(0).integers(0, 400, (600, 64))
    before = jax.tree.map(np.asarray, state.params["decoder"])
    state, metrics = run(state, jax.random.key(2), x, rows)
    jax.tree.map(np.testing.assert_array_equal, before, state.params["decoder"])
    context, (mean, cov) = encoder.infer(state.averages, x), model.posterior(x)
    covs, eye = jnp.tile(cov, (400, 1, 1)), jnp.tile(jnp.eye(2), (400, 1, 1))
    divergence = gaussian_divergence(mean, covs, context.mean, context.factor @ context.factor.mT)
    prior = gaussian_divergence(mean, covs, jnp.zeros_like(mean), eye)
    assert divergence.mean() < 0.05 * prior.mean()
    moving = optax.sgd(1.0)
    state = training.TrainState.create(state.params, moving, chains.ChainState.create(settings))
    new, _ = jax.jit(baselines.make_wake_sleep_update(encoder, decoder, settings, moving))(
        state, jax.random.key(3), x
    )
    assert np.abs(new.params["decoder"]["log_tau"] - state.params["decoder"]["log_tau"]) > 0
