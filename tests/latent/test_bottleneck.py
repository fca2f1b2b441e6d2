"""The rate as a constraint: dual ascent against closed forms, by itself and in the alternation of a
linear Gaussian decoder, whose tempered posteriors are Gaussians; there also the encoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from checks import assert_mean
from exact_decoder import EXACT, MIX, NOISE

from diffenc import training
from diffenc.latent import bottleneck, chains, em
from diffenc.latent.bottleneck import Bottleneck
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser

SETTINGS = em.Settings(rate=2.0, gamma=0.5)


def rate_of_channel(gamma):
    """The rate of two Gaussian channels of signal-to-noise ratio 5 / gamma, in nats."""
    return jnp.log1p(5 / gamma)


@pytest.mark.parametrize("start", [0.01, 10.0])
def test_dual_ascent_finds_the_gamma_of_a_rate(start):
    settings = em.Settings(rate=2.0, gamma=start)

    @jax.jit
    def follow():
        def body(state, _):
            rate = rate_of_channel(bottleneck.gamma(settings, state))
            return bottleneck.follow(state, settings, rate, jnp.zeros((3, 2))), None

        return jax.lax.scan(body, Bottleneck.create(settings, 2), length=20_000)[0]

    gamma = bottleneck.gamma(settings, follow())
    np.testing.assert_allclose(gamma, 5 / np.expm1(2.0), rtol=1e-3)


def test_the_moments_forget_at_a_known_pace_and_no_gradient_passes():
    z = np.random.default_rng(0).normal(1.0, 2.0, (50, 3)).astype(np.float32)

    @jax.jit
    def follow(z):
        def body(state, _):
            return bottleneck.follow(state, SETTINGS, 2.0, z), None

        return jax.lax.scan(body, Bottleneck.create(SETTINGS, 3), length=70)[0]

    state = follow(z)
    left = bottleneck.MEMORY**70
    square = left + (1 - left) * np.mean(z**2, axis=0)
    mean = (1 - left) * z.mean(axis=0)
    np.testing.assert_allclose(state.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(state.square, square, rtol=1e-4)
    np.testing.assert_allclose(state.scale, np.sqrt(square - mean**2), rtol=1e-4)
    np.testing.assert_allclose(state.log_gamma, np.log(0.5), rtol=1e-6)  # the rate is its target
    gradient = jax.jit(jax.grad(lambda z: follow(z).scale.sum()))(z)
    np.testing.assert_array_equal(gradient, 0)


def test_gamma_stays_in_its_range_and_where_no_rate_is_asked_for():
    state = Bottleneck.create(SETTINGS, 1)
    z = jnp.zeros((2, 1))
    for rate, end in ((1e9, bottleneck.RANGE[1]), (-1e9, bottleneck.RANGE[0])):
        assert bottleneck.follow(state, SETTINGS, jnp.float32(rate), z).log_gamma == end
    resting = bottleneck.follow(state, em.Settings(gamma=0.5), jnp.float32(1e9), z)
    assert resting.log_gamma == state.log_gamma
    assert bottleneck.follow(None, SETTINGS, jnp.float32(1.0), z) is None
    assert bottleneck.gamma(SETTINGS, None) == 0.5
    constant = state.replace(mean=jnp.ones(1), square=jnp.ones(1))
    assert float(constant.scale[0]) > 0  # by which z is divided


def test_the_slope_of_the_aggregate_is_that_of_its_divergence_from_the_prior():
    """By automatic differentiation: of 64 times the KL, since a row moves a mean by a 64th."""
    z = np.random.default_rng(0).normal([0.5, 0, -2], [1, 0.5, 3], (64, 3)).astype(np.float32)

    def divergence(z):
        variance = jnp.var(z, axis=0)
        return 0.5 * jnp.sum(jnp.mean(z, axis=0) ** 2 + variance - 1 - jnp.log(variance))

    expected = 64 * jax.jit(jax.grad(divergence))(z)
    slope = jax.jit(bottleneck.aggregate_slope)
    np.testing.assert_allclose(slope(z, 0.025), 3 * expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(slope(z, 0.1), 0, atol=1e-6)
    np.testing.assert_array_equal(slope(z, 2.0), 0)


def test_the_slope_of_the_aggregate_leads_to_the_prior_and_is_finite():
    slope = jax.jit(bottleneck.aggregate_slope)
    z = np.random.default_rng(0).normal(size=(64, 2))
    z = np.float32((z - z.mean(axis=0)) / z.std(axis=0))
    np.testing.assert_allclose(slope(z, 0.01), 0, atol=1e-3)
    assert np.all(slope(2 * z, 0.01) * z > 0)
    assert np.all(slope(0.5 * z, 0.01) * z < 0)
    alike = np.full((64, 2), 6.0, np.float32)  # as of an encoder whose means have run to one side
    np.testing.assert_allclose(slope(alike, 0.01), 9 * 6.0, rtol=1e-5)


def posteriors(x, gamma):
    """Mean [n, 2] and covariance [2, 2] of q*(z|x) of the exact decoder."""
    weight = gamma * NOISE**2
    cov = np.linalg.inv(np.eye(2) + MIX.T @ MIX / weight)
    return x @ MIX @ cov / weight, cov


def rate_of(x, gamma):
    """KL(q*(z|x) || N(0, I)), averaged over the examples, in nats."""
    mean, cov = posteriors(x, gamma)
    square = np.mean(np.sum(mean**2, axis=1))
    return 0.5 * (np.trace(cov) + square - 2 - np.linalg.slogdet(cov)[1])


def gamma_of(x, rate):
    """The gamma at which the rate is this one."""
    return scipy.optimize.brentq(lambda gamma: rate_of(x, gamma) - rate, 1e-3, 1e3)


RATE = 1.2
SEEDS = 6
UPDATES = 1000
LATE = 300  # updates that are averaged; the learning rate is small by then


@functools.cache  # and no fixture, which would be compiled without optimizations
def trained():
    """Eight examples, and what several seeds of training without chains end with."""
    rng = np.random.default_rng(0)
    x = np.float32(rng.normal(size=(8, 2)) @ MIX.T + NOISE * rng.normal(size=(8, 3)))
    batch = np.tile(x, (4, 1))
    encoder = DiffusionEncoder(ConditionalDenoiser(2, (16,), (8,)))
    settings = em.Settings(
        e_step="encoder", rate=RATE, draws=1, null_probability=0.0, average_decay=0.99
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, UPDATES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bottleneck, "ASCENT", 0.015)  # to be there sooner

        @jax.jit
        @jax.vmap
        def train(key):
            key_start, key_run = jax.random.split(key)
            params = {"encoder": encoder.init(key_start, x), "decoder": {}}
            carried = chains.ChainState.create(settings, None, Bottleneck.create(settings, 2))
            state = training.TrainState.create(params, optimizer, carried)
            update = em.make_update(encoder, EXACT, settings, optimizer)

            def step(state, index):
                return update(state, jax.random.fold_in(key_run, index), batch)

            state, metrics = jax.lax.scan(step, state, jnp.arange(UPDATES))
            context = encoder.infer(state.averages, x)
            return state.carried.bottleneck, metrics, encoder.gaussian(context)

        with jax.debug_key_reuse(False):  # it takes the keys of a loop under vmap for used ones
            ends = jax.device_get(train(jax.random.split(jax.random.key(0), SEEDS)))
    return x, *ends


@pytest.mark.optimized
@pytest.mark.slow
def test_the_gamma_that_is_carried_is_that_of_the_rate():
    x, _, metrics, _ = trained()
    gamma = metrics["gamma"][:, -LATE:]
    assert_mean(np.log(gamma).mean(axis=1), np.log(gamma_of(x, RATE)))
    assert_mean(metrics["rate"][:, -LATE:].mean(axis=1), RATE)


@pytest.mark.optimized
@pytest.mark.slow
def test_without_chains_the_encoder_becomes_the_tempered_posterior():
    """Its mean and covariance agree with those of the gamma of the last update."""
    x, carried, _, (mean, factor) = trained()
    errors = []
    excesses = []
    divergences = []
    for seed in range(SEEDS):
        truth, cov = posteriors(x, np.exp(carried.log_gamma[seed]))
        inverse = np.linalg.inv(np.linalg.cholesky(cov))
        error = (mean[seed] - truth) @ inverse.T
        whitened = inverse @ factor[seed]
        excess = whitened @ np.swapaxes(whitened, -1, -2) - np.eye(2)
        log_det = 2 * np.linalg.slogdet(whitened)[1]
        trace = np.trace(excess, axis1=-2, axis2=-1)
        divergences.append(0.5 * (trace - log_det + np.sum(error**2, axis=-1)))
        errors.append(error)
        excesses.append(excess)
    assert_mean(np.concatenate(errors), 0.0, largest_stderr=0.02)
    assert_mean(np.concatenate(excesses), 0.0, largest_stderr=0.02)
    assert np.mean(divergences) < 0.01 * RATE


def test_samples_of_the_encoder_are_taken_as_they_are_unless_they_are_far_out():
    """Far out is |z|^2 > 4 d + 20 = 28. An untrained encoder is N(0, I), which is not; moved by a
    bias of its mean it is, in part."""
    x = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    encoder = DiffusionEncoder(ConditionalDenoiser(2, (4,), (4,)))
    settings = em.Settings(e_step="encoder")
    start = jax.device_get(encoder.init(jax.random.key(0), x))

    @jax.jit
    def sample(encoder_params):
        params = {"encoder": encoder_params, "decoder": {}}
        observation = EXACT.observe(jax.random.key(1), x)
        carried = chains.ChainState.create(settings)
        outcome = em.e_step(
            jax.random.key(2), encoder, EXACT, params, carried, x, observation, settings
        )
        key = jax.random.split(jax.random.key(2))[0]
        own = encoder.sample(key, params, encoder.infer(params, x), settings.sampler_steps)
        return outcome.sample, outcome.acceptance, own

    taken, share, own = jax.device_get(sample(start))
    assert share == 1
    np.testing.assert_allclose(taken.z, own, rtol=1e-5, atol=1e-6)
    start["params"]["mean_head"]["bias"] = np.array([7.5, 0.0], np.float32)
    taken, share, own = jax.device_get(sample(start))
    is_far = np.sum(own**2, axis=1) > 28
    assert 0.1 < is_far.mean() < 0.9 and share == pytest.approx(1 - is_far.mean())
    np.testing.assert_allclose(taken.z[~is_far], own[~is_far], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(taken.z[is_far], taken.frame.mean[is_far])
    np.testing.assert_array_equal(taken.y[is_far], 0)
