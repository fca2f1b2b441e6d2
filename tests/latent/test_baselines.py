"""The rivals: densities and rates in closed form, updates that descend their bounds, wake-sleep on
exact dreams."""

import functools

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
from diffenc.latent.baseline_encoders import FlowEncoder, GaussianEncoder, gaussian_rate
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import MLP, ConditionalDenoiser, Coupling

ENCODER = GaussianEncoder(MLP((8,), num_outputs=4))
X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
gaussian_divergence = jax.jit(jax.vmap(gaussian_kl))


@jax.jit
@jax.vmap
def gaussian_log_prob(mean, cov, z):
    """The log density of one z under a Gaussian of its own."""
    return Gaussian(mean, cov).log_prob(z[None])[0]


@functools.cache
def make_context():
    """Parameters, and the context of X: mean and log width."""

    def make():
        params = {"encoder": ENCODER.init(jax.random.key(1), X)}
        return params, ENCODER.infer(params, X)

    return jax.device_get(jax.jit(make)())


def covariance(log_width):
    return np.exp(2 * log_width)[:, :, None] * np.eye(2, dtype=np.float32)[None]


def test_the_latent_has_half_the_outputs():
    _, (mean, log_width) = make_context()
    assert ENCODER.latent_dim == 2 and mean.shape == log_width.shape == (5, 2)
    centre, factor = jax.jit(ENCODER.gaussian)((mean, log_width))
    np.testing.assert_array_equal(centre, mean)
    np.testing.assert_allclose(factor, covariance(log_width / 2), rtol=1e-6)


def test_the_rate_is_the_divergence_from_the_prior():
    _, (mean, log_width) = make_context()
    prior = np.zeros_like(mean), covariance(np.zeros_like(log_width))
    exact = gaussian_divergence(mean, covariance(log_width), *prior)
    rate = jax.jit(gaussian_rate)
    np.testing.assert_allclose(rate((mean, log_width)), exact, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(rate(np.zeros((2, 5, 2), np.float32)), 0.0)


def test_the_density_is_the_gaussian_it_samples():
    params, context = make_context()

    @jax.jit
    def draw(key, context):
        z, log_q = ENCODER.sample_and_log_prob(key, params, context)
        own = ENCODER.log_prob(params, context, z)
        return z, log_q, own, log_q - decoders.log_prior(z), gaussian_rate(context)

    z, log_q, own, _, _ = draw(jax.random.key(2), context)
    mean, log_width = context
    np.testing.assert_allclose(log_q, gaussian_log_prob(mean, covariance(log_width), z), rtol=1e-5)
    np.testing.assert_array_equal(log_q, own)
    many = jax.tree.map(lambda a: np.tile(a[:1], (5000, 1)), context)
    *_, log_ratio, rate = draw(jax.random.key(3), many)
    assert_mean(log_ratio, np.asarray(rate)[0])


def test_the_width_is_clipped_where_a_density_would_overflow():
    params = jax.tree.map(np.array, make_context()[0])
    params["encoder"]["params"]["Dense_1"]["bias"] = np.array([0.0, 0.0, 1e4, -1e4], np.float32)
    _, log_width = jax.jit(ENCODER.infer)(params, X)
    np.testing.assert_array_equal(log_width, np.tile([2.0, -8.0], (5, 1)))


create_state = jax.jit(training.TrainState.create, static_argnums=1)


def make_state(encoder, decoder, optimizer):
    params = {
        "encoder": encoder.init(jax.random.key(1), X),
        "decoder": decoder.init(jax.random.key(2), encoder.latent_dim),
    }
    return create_state(params, optimizer)


def test_an_update_descends_the_bound():
    decoder, gamma = decoders.make("bernoulli", 3), 0.5
    settings = em.Settings(gamma=gamma, average_decay=0.999)
    optimizer = optax.sgd(1.0)
    state, x = make_state(ENCODER, decoder, optimizer), (X > 0).astype(np.float32)
    params = state.params
    update = jax.jit(baselines.make_vae_update(ENCODER, decoder, settings, optimizer))
    new, metrics = update(state, jax.random.key(3), x)

    def bound(params):
        mean, log_width = ENCODER.infer(params, x)
        z = mean + jnp.exp(log_width) * jax.random.normal(jax.random.key(3), mean.shape)
        distortion = -decoder.log_prob(params["decoder"], x, z).mean()
        return distortion + gamma * gaussian_rate((mean, log_width)).mean(), distortion

    (value, distortion), grads = jax.jit(jax.value_and_grad(bound, has_aux=True))(params)
    new, params, grads = jax.device_get((new, params, grads))
    jax.tree.map(
        lambda a, p, g: np.testing.assert_allclose(a, p - g, atol=1e-5), new.params, params, grads
    )
    metrics, distortion = jax.device_get((metrics, distortion))
    np.testing.assert_allclose(metrics["decoder_loss"], distortion, rtol=1e-5)
    np.testing.assert_allclose(metrics["decoder_loss"] + gamma * metrics["rate"], value, rtol=1e-5)
    assert new.step == 1


FLOW = FlowEncoder(Coupling(latent_dim=3, embed_features=(16,), width=16, num_layers=4))


def new_flow():
    return {"encoder": jax.device_get(FLOW.init(jax.random.key(1), X))}


def random_flow(scale=0.5):
    """A flow far from the identity: every output layer at random."""
    params, rng = new_flow(), np.random.default_rng(2)
    for index in range(4):
        layer = params["encoder"]["params"][f"output_{index}"]
        layer["kernel"] = (scale * rng.normal(size=layer["kernel"].shape)).astype(np.float32)
    return params


def test_a_new_flow_is_its_gaussian():
    params = new_flow()

    @jax.jit
    def draw():
        context = FLOW.infer(params, X)
        z, log_q = FLOW.sample_and_log_prob(jax.random.key(3), params, context)
        mean, factor = FLOW.gaussian(context)
        return gaussian_log_prob(mean, factor @ factor.mT, z), log_q

    exact, log_q = draw()
    np.testing.assert_allclose(exact, log_q, rtol=1e-5)


def test_the_flow_has_an_inverse_and_the_jacobian_it_says():
    params = random_flow()
    y = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)

    @jax.jit
    def evaluate():
        context = FLOW.infer(params, X)

        def flow(y):
            return FLOW.network.apply(params["encoder"], context, y)

        there = flow(y)
        back = FLOW.network.apply(params["encoder"], context, there[0], method="inverse")
        jacobian = jax.jacfwd(lambda y: flow(y)[0])(y)
        drawn, log_q = FLOW.sample_and_log_prob(jax.random.key(4), params, context)
        return there, back, FLOW.gaussian(context), jacobian, drawn, log_q

    @jax.jit
    def log_prob():
        context = FLOW.infer(params, X)
        z = FLOW.sample(jax.random.key(4), params, context)
        return z, FLOW.log_prob(params, context, z)

    (z, log_det), (back, same), (mean, factor), jacobian, drawn, log_q = jax.device_get(evaluate())
    np.testing.assert_allclose(back, y, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(same, log_det, rtol=1e-4, atol=1e-4)
    assert np.abs(z - mean - np.einsum("bij,bj->bi", factor, y)).max() > 0.1  # not the identity
    own = np.stack([jacobian[i, :, i] for i in range(5)])
    np.testing.assert_allclose(np.linalg.slogdet(own)[1], log_det, rtol=1e-4, atol=1e-4)
    again, same_log_q = log_prob()
    np.testing.assert_allclose(again, drawn, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same_log_q, log_q, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("encoder", [ENCODER, FLOW])
def test_the_importance_weighted_update_descends_its_bound(encoder):
    """At plain descent of rate one the parameters move by the gradient of -log (1/K) sum_k w_k, and
    one sample is the ELBO of the estimator in diffenc.latent.bounds."""
    decoder, optimizer = decoders.make("bernoulli", 3), optax.sgd(1.0)
    x = (X > 0).astype(np.float32)
    state = make_state(encoder, decoder, optimizer)
    params = state.params
    update = jax.jit(
        baselines.make_importance_weighted_update(encoder, decoder, optimizer, 5, 0.999)
    )
    new, metrics = update(state, jax.random.key(2), x)

    def loss(params):
        context, log_w = encoder.infer(params, x), []
        for key in jax.random.split(jax.random.key(2), 5):
            z, log_q = encoder.sample_and_log_prob(key, params, context)
            log_w.append(decoders.log_joint(decoder, params["decoder"], x, z) - log_q)
        return -jnp.log(jnp.exp(jnp.stack(log_w)).mean(axis=0)).mean()

    @jax.jit
    def descended(params):
        return jax.tree.map(lambda p, g: p - g, params, jax.grad(loss)(params))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        new.params,
        descended(params),
    )
    assert metrics["rate"].shape == metrics["decoder_loss"].shape == ()


def test_wake_sleep_learns_the_posterior_of_dreams_and_the_decoder_of_data():
    """Factor analysis: the encoder's Gaussian converges to the posterior under a decoder that
    stands still."""
    model = FactorAnalysis(
        np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
        np.array([0.1, 0.0, -0.2], np.float32),
        0.6,
    )
    decoder, settings = decoders.make("gaussian", 3), em.Settings(draws=1, sampler_steps=1)
    dense = {"kernel": model.weight.T, "bias": model.mean}
    encoder = DiffusionEncoder(
        ConditionalDenoiser(latent_dim=2, embed_features=(32,), features=(8,))
    )
    decoder_params = {
        "network": {"params": {"Dense_0": dense}},
        "log_tau": np.log(0.6).astype(np.float32),
    }
    still = optax.multi_transform(
        {"encoder": optax.adam(3e-3), "decoder": optax.set_to_zero()},
        {"encoder": "encoder", "decoder": "decoder"},
    )
    moving = optax.sgd(1.0)

    def create(params, optimizer):
        return create_state(params, optimizer, chains.ChainState.create(settings))

    @jax.jit
    def divergences(params, x):
        """From the posterior to the encoder's Gaussian, and to the prior."""
        context, (mean, cov) = encoder.infer(params, x), model.posterior(x)
        covs, eye = jnp.tile(cov, (400, 1, 1)), jnp.tile(jnp.eye(2), (400, 1, 1))
        own = gaussian_divergence(mean, covs, context.mean, context.factor @ context.factor.mT)
        return own.mean(), gaussian_divergence(mean, covs, jnp.zeros_like(mean), eye).mean()

    @jax.jit
    def update(params, x):
        update = baselines.make_wake_sleep_update(encoder, decoder, settings, moving)
        return update(create(params, moving), jax.random.key(3), x)

    run = training.scan_updates(
        baselines.make_wake_sleep_update(encoder, decoder, settings, still), lambda key, rows: rows
    )
    rows = np.random.default_rng(0).integers(0, 400, (600, 64))
    params = {"encoder": encoder.init(jax.random.key(0), X), "decoder": decoder_params}
    state = create(params, still)
    x = jax.jit(lambda: model.sample(jax.random.key(1), 400)[0])()
    before = jax.device_get(state.params["decoder"])
    state, _ = run(state, jax.random.key(2), x, rows)
    jax.tree.map(np.testing.assert_array_equal, before, state.params["decoder"])
    own, prior = divergences(state.averages, x)
    assert float(own) < 0.05 * float(prior)
    new, _ = update(state.params, x)
    assert float(new.params["decoder"]["log_tau"]) != float(state.params["decoder"]["log_tau"])
