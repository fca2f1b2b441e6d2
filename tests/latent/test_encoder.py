"""The diffusion encoder: what it knows at the start, exactness for Gaussians, its density and its
coordinates. What an exact network makes of it is in test_encoder_score.py."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments
from linear_model import MODEL, decoder_params
from scipy import stats
from small_encoder import (
    DATA_DIM,
    ENCODER,
    NETWORK,
    gaussian_params,
    initial_params,
    random_params,
    with_layers,
)

from diffenc.diffusion import noise_levels
from diffenc.diffusion.parameterization import alpha_sigma, to_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError
from diffenc.latent import targets
from diffenc.latent.decoders import make
from diffenc.latent.encoder import REFERENCES, DiffusionEncoder
from diffenc.latent.encoder_flow import log_prob_hutchinson
from diffenc.networks.embeddings import waves

PROCESS = VPCosine()


@functools.partial(jax.jit, static_argnums=2)
def draw(params, x, num_steps):
    """The noise, z and log q(z|x) of `sample_and_log_prob`, z of `sample`, and log q of `log_prob`,
    each at num_steps, and the context."""
    context = ENCODER.embed(params, x)
    noise = jax.random.normal(jax.random.key(3), context.mean.shape)
    z, log_q = ENCODER.sample_and_log_prob(jax.random.key(3), params, context, num_steps)
    alone = ENCODER.sample(jax.random.key(3), params, context, num_steps)
    return noise, z, log_q, alone, ENCODER.log_prob(params, context, z, num_steps), context


@jax.jit
def look(params, x, y_t, log_snr):
    """The context, the velocity and the score, and the score that the velocity stands for."""
    context, t = ENCODER.embed(params, x), PROCESS.time(log_snr)
    v = ENCODER.velocity(params, context, y_t, log_snr)
    score = ENCODER.score_fn(params, context)(y_t, t)
    return context, v, score, to_score(PROCESS, "v", v, y_t, t)


def log_normal(z, mean=(0.0, 0.0), cov=((1.0, 0.0), (0.0, 1.0))):
    return stats.multivariate_normal(mean, cov).logpdf(z)


def in_double(tree):
    """The tree in float64, for use under jax.enable_x64."""
    return jax.tree.map(np.float64, tree)


def data(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, DATA_DIM)).astype(np.float32)


@pytest.mark.parametrize("num_steps", [1, 3, 16])
def test_a_new_encoder_returns_the_noise_that_went_in(num_steps):
    noise, z, log_q, alone, *_ = jax.device_get(draw(initial_params(), data(4000), num_steps))
    np.testing.assert_allclose(z, noise, rtol=1e-6)
    np.testing.assert_allclose(z, alone, rtol=2.5e-7)
    np.testing.assert_allclose(log_q, log_normal(z), rtol=1e-6)
    assert_moments(z, np.zeros(2), np.eye(2))


LOG_SNR = np.linspace(-6.0, 6.0, 25).astype(np.float32)
Y_T = np.random.default_rng(2).normal(size=(25, 2)).astype(np.float32)


def test_a_new_encoder_has_no_velocity_and_the_score_of_the_prior():
    log_snr = LOG_SNR * np.float32(10 / 6)
    context, v, score, _ = look(initial_params(), data(25), Y_T, log_snr)
    np.testing.assert_array_equal(context.mean, 0.0)
    np.testing.assert_array_equal(context.factor, np.tile(np.eye(2), (25, 1, 1)))
    np.testing.assert_array_equal(v, 0.0)
    np.testing.assert_array_equal(score, -Y_T)


def test_score_and_velocity_are_one_network():
    _, _, score, same = look(random_params(), data(25), Y_T, LOG_SNR)
    np.testing.assert_allclose(score, same, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_steps", [1, 3, 16])
def test_a_gaussian_is_exact_at_any_number_of_steps(num_steps):
    drawn = jax.device_get(draw(gaussian_params(), data(4000), num_steps))
    noise, z, log_q, _, log_prob, context = drawn
    mean, factor = context.mean[0], context.factor[0]
    assert np.all(np.abs(factor - np.eye(2))[np.tril_indices(2)] > 0.1) and factor[0, 1] == 0
    np.testing.assert_allclose(z, mean + noise @ factor.T, rtol=1e-5, atol=1e-5)
    exact = log_normal(z, mean, np.float64(factor) @ factor.T)
    np.testing.assert_allclose(log_q, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_prob, exact, rtol=1e-5, atol=1e-5)


def test_the_density_converges_with_second_order():
    @functools.partial(jax.jit, static_argnums=1)
    def log_densities(params, num_steps):
        """log q of draws, the same by `log_prob`, and the truth."""
        x = jax.random.normal(jax.random.key(1), (6, DATA_DIM))
        context = ENCODER.embed(params, x)
        z, log_q = ENCODER.sample_and_log_prob(jax.random.key(3), params, context, num_steps)
        by_steps = [ENCODER.log_prob(params, context, z, steps) for steps in (num_steps, 800)]
        return log_q, *by_steps

    def errors(num_steps):
        with jax.enable_x64(True):
            params = in_double(random_params(dtype=np.float64))
            found = log_densities(params, num_steps)
        log_q, log_prob, truth = jax.device_get(found)
        return np.linalg.norm(log_q - truth), np.linalg.norm(log_prob - truth)

    for coarse, fine in zip(errors(50), errors(100), strict=True):
        assert fine < 0.02
        assert 2**1.5 < coarse / fine < 2**2.5


def test_hutchinson_has_the_log_density_as_its_mean():
    params, n = random_params(), 1000

    @jax.jit
    def evaluate():
        one = ENCODER.embed(params, data(1))
        z = ENCODER.sample(jax.random.key(3), params, one, 50)
        context = ENCODER.embed(params, jnp.tile(data(1), (n, 1)))
        many_z = jnp.tile(z, (n, 1))
        key = jax.random.key(4)
        estimate = log_prob_hutchinson(key, ENCODER, params, context, many_z, 200)
        return estimate, ENCODER.log_prob(params, one, z, 200)[0]

    found, exact = jax.device_get(evaluate())
    assert np.std(found) > 0.01  # the test can tell
    assert_mean(found, exact)


def test_waves_are_harmonics_of_the_latent():
    u = np.array([[0.3, -1.2], [2.0, 0.0]], np.float32)
    expected = np.concatenate([np.sin(u), np.cos(u), np.sin(2 * u), np.cos(2 * u)], axis=-1)
    np.testing.assert_allclose(
        jax.jit(waves, static_argnums=1)(u, 2), expected, rtol=1e-5, atol=1e-6
    )
    assert waves(u, 0).shape == (2, 0)


@jax.jit
def plain_outputs(params, log_snr):
    """The output of a plain encoder and that of its network at y_t = 0, their noise levels, and the
    width fitted."""
    encoder, y_t = DiffusionEncoder(NETWORK, "prior"), jnp.zeros((10, 2))
    context = encoder.embed(params, data(10))
    found = encoder.residual(params, context, y_t, log_snr)
    plain, _ = NETWORK.apply(params["encoder"], context, y_t, log_snr)
    return found, plain, alpha_sigma(log_snr), context.factor[:, 0, 0]


@pytest.mark.parametrize("width", [0.05, 0.7])
def test_the_output_of_a_plain_encoder_is_in_the_unit_of_its_posterior(width):
    """r of a posterior N(m, w^2) is linear in y_t of slope (1 - w^2) / (sigma^2 + alpha^2 w^2): in
    the network's unit a draw of y_t - alpha m gives a number of order one at every level."""
    bias = {"bias": np.full(2, np.log(width), np.float32)}
    straight = {
        "shear_head": {"bias": np.zeros(1, np.float32)},
        "output": {"bias": np.array([1.0, -2.0], np.float32)},
    }
    params = with_layers(initial_params(), width_head=bias, **straight)
    log_snr = np.linspace(-6.0, 12.0, 10).astype(np.float32)
    found, plain, (alpha, sigma), fitted = jax.device_get(plain_outputs(params, log_snr))
    np.testing.assert_allclose(
        found, plain / np.sqrt(sigma**2 + alpha**2 * fitted**2)[:, None], rtol=1e-5
    )
    assert np.all(np.abs(plain) > 0.5)


@pytest.mark.parametrize("num_steps", [2, 4])
def test_the_density_is_normalized_at_few_steps(num_steps):
    """E_q[p/q] = 1 for any density p that q covers, even where q is far from the continuum
    limit."""
    x = np.tile(data(1), (5000, 1))
    _, z, log_q, *_ = jax.device_get(draw(random_params(0.1), x, num_steps))
    centre, spread = z.mean(axis=0), np.cov(z, rowvar=False)
    assert np.std(log_q - log_normal(z, centre, spread)) > 0.05  # q is not Gaussian
    for shift, shrink in ((0.0, 0.5), (0.3, 0.4)):
        narrow = centre + shift * np.sqrt(np.diag(spread)), shrink**2 * spread
        assert_mean(np.exp(log_normal(z, *narrow) - log_q), 1.0)


def test_x_keeps_its_shape_until_the_network_flattens_it():
    """An image and its row of numbers have one context; the context holds x as it came."""
    images, params = data(4).reshape(4, 3, 1, 1), random_params()

    @jax.jit
    def contexts():
        flat = ENCODER.embed(params, images.reshape(4, DATA_DIM))
        return flat, ENCODER.embed(params, images), ENCODER.embed_null(params, 2, (3, 1, 1))

    flat, whole, null = contexts()
    assert whole.x.shape == images.shape
    for name in ("mean", "factor", "scales", "shifts"):
        jax.tree.map(np.testing.assert_array_equal, getattr(flat, name), getattr(whole, name))
    assert null.x.shape == (2, 3, 1, 1)


def test_an_unknown_reference_is_refused():
    with pytest.raises(InputError, match="posteriour"):
        DiffusionEncoder(NETWORK, "posteriour")


@pytest.mark.parametrize("option", [{"newton_steps": 1}, {"pressure": True}])
def test_an_encoder_that_asks_the_decoder_wants_one(option):
    with pytest.raises(InputError, match="asks its decoder: give decoder"):
        DiffusionEncoder(NETWORK, **option)


def test_null_rows_do_not_depend_on_x_and_have_the_prior_as_reference():
    params, is_null = random_params(), np.array([True, False, True, False])

    @jax.jit
    def contexts():
        one, other = [ENCODER.embed(params, data(4, seed), is_null) for seed in (1, 2)]
        return one, other, ENCODER.embed_null(params, 2, (DATA_DIM,))

    one, other, null = jax.device_get(contexts())
    np.testing.assert_array_equal(one.known, ~is_null)
    for a, b in zip(
        *[jax.tree.leaves(c.replace(x=None, known=None)) for c in (one, other)], strict=True
    ):
        np.testing.assert_array_equal(a[::2], b[::2])
        assert not np.array_equal(a[1], b[1])
    np.testing.assert_array_equal(one.mean[::2], 0.0)
    np.testing.assert_array_equal(one.factor[::2], np.tile(np.eye(2), (2, 1, 1)))
    one = one.replace(x=np.zeros_like(one.x))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b[::2], rtol=1e-5, atol=1e-6), null, one
    )


def test_the_weighted_velocity_error_is_the_squared_error_of_the_residual():
    """1/2 int dlambda alpha^2 |dv|^2 = 1/2 E |dr|^2 under a logistic density of lambda."""
    count = 4001
    y_t = np.tile(np.array([[0.4, -0.9]]), (count, 1))

    @jax.jit
    def evaluate(gaussian, other):
        """The integral, the squared errors at drawn levels, and the same by `weighted_error`."""
        context = ENCODER.embed(gaussian, jnp.zeros((count, DATA_DIM)))

        def difference(fn, log_snr):
            return fn(other, context, y_t, log_snr) - fn(gaussian, context, y_t, log_snr)

        log_snr = jnp.linspace(-40.0, 40.0, count)
        dv, (alpha, _) = difference(ENCODER.velocity, log_snr), alpha_sigma(log_snr)
        integral = jax.scipy.integrate.trapezoid(0.5 * alpha**2 * jnp.sum(dv**2, axis=-1), log_snr)
        log_snr, density = noise_levels.truncated_logistic(
            (jnp.arange(count) + 0.5) / count, 0.0, half_range=30.0
        )
        dv, (alpha, _) = difference(ENCODER.velocity, log_snr), alpha_sigma(log_snr)
        squared = jnp.sum(difference(ENCODER.residual, log_snr) ** 2, axis=-1)
        errors = targets.weighted_error(dv, jnp.zeros_like(dv), alpha, density)
        return integral, squared, errors

    arguments = in_double((gaussian_params(), random_params()))
    with jax.enable_x64(True):
        found = evaluate(*arguments)
    integral, squared, errors = jax.device_get(found)
    assert 0.5 * squared.mean() > 0.01
    np.testing.assert_allclose(integral, 0.5 * squared.mean(), rtol=1e-4)
    np.testing.assert_allclose(errors, 0.5 * squared, rtol=1e-6)


@functools.partial(jax.jit, static_argnums=0)
def pressed(reference, gamma, params):
    """Of an encoder that asks the decoder: the score at t = 0 of y, what it is exactly, the
    residual far out, and that of null rows."""
    encoder = DiffusionEncoder(
        NETWORK, reference, pressure=True, decoder=make("gaussian", DATA_DIM), gamma=gamma
    )
    bounds_off = dataclasses.replace(encoder, network=NETWORK.clone(residual_bound=1e6))
    x, y = MODEL.sample(jax.random.key(0), 50)[0], jax.random.normal(jax.random.key(1), (50, 2))
    context = encoder.infer(params, x)
    mean, cov = MODEL.posterior(x, gamma)
    exact = -jnp.linalg.solve(cov, (encoder.colour(context, y) - mean).T).T
    exact = exact if reference == "prior" else jnp.einsum("bij,bi->bj", context.factor, exact)
    found = bounds_off.score_fn(params, context)(y, PROCESS.time(jnp.full(50, 30.0)))
    bounded = encoder.residual(params, context, 100 * y, jnp.zeros(50))
    null = encoder.embed_null(params, 50, (DATA_DIM,))
    return found, exact, bounded, encoder.residual(params, null, y, jnp.zeros(50))


@pytest.mark.parametrize("gamma", [1.0, 0.5])
@pytest.mark.parametrize("reference", REFERENCES)
def test_the_decoders_pressure_is_the_exact_score_of_a_gaussian_posterior(reference, gamma):
    """Untrained, with the prior or a Gaussian that is not the posterior as reference: rho is
    linear, r = E[rho(y_0) | y_t] differs from rho(alpha y_t) only as E[y_0 | y_t] from alpha y_t,
    and not at all at t = 0."""
    params = {**gaussian_params(), "decoder": decoder_params(MODEL)}
    found, exact, bounded, of_null = jax.device_get(pressed(reference, gamma, params))
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-3)
    assert np.linalg.norm(bounded, axis=-1).max() <= NETWORK.residual_bound
    np.testing.assert_array_equal(of_null, 0.0)


def test_newton_steps_of_the_mean_find_the_posterior_and_leave_the_density_exact():
    encoder = DiffusionEncoder(NETWORK, newton_steps=400, decoder=make("gaussian", DATA_DIM))

    params = {**gaussian_params(), "decoder": decoder_params(MODEL)}

    @jax.jit
    def evaluate():
        x = MODEL.sample(jax.random.key(0), 50)[0]
        context = encoder.infer(params, x)
        z, log_q = encoder.sample_and_log_prob(jax.random.key(3), params, context, 2)
        return context.mean, MODEL.posterior(x)[0], context.factor[0], z, log_q

    mean, posterior_mean, factor, z, log_q = jax.device_get(evaluate())
    # Single precision: a log posterior of about 5 is known to 5e-7, and its mode to sqrt(2 * 5e-7)
    # widths.
    np.testing.assert_allclose(mean, posterior_mean, atol=3e-3)
    exact = log_normal(z - mean, cov=np.float64(factor) @ factor.T)
    np.testing.assert_allclose(log_q, exact, rtol=1e-4, atol=1e-4)
