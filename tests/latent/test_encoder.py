"""The diffusion encoder: what it knows at the start, exactness for Gaussians, its density and its
coordinates. What an exact network makes of it is in test_encoder_score.py."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean, assert_moments

from diffenc.diffusion import noise_levels
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.parameterization import alpha_sigma, to_score
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import InputError
from diffenc.latent import targets
from diffenc.latent.decoders import log_prior, make
from diffenc.latent.encoder import REFERENCES, DiffusionEncoder
from diffenc.networks import ConditionalDenoiser
from diffenc.networks.embeddings import waves

NETWORK = ConditionalDenoiser(latent_dim=2, embed_features=(16,), features=(16,))
ENCODER = DiffusionEncoder(NETWORK)
DATA_DIM, PROCESS = 3, VPCosine()
embed, residual = jax.jit(ENCODER.embed), jax.jit(ENCODER.residual)
velocity = jax.jit(ENCODER.velocity)
sample, log_prob = (
    jax.jit(method, static_argnums=3) for method in (ENCODER.sample, ENCODER.log_prob)
)
sample_and_log_prob = jax.jit(ENCODER.sample_and_log_prob, static_argnums=3)


@jax.jit
def score(params, context, y_t, log_snr):
    """The encoder's score at the times of these noise levels."""
    return ENCODER.score_fn(params, context)(y_t, PROCESS.time(log_snr))


@functools.cache
def initial_params():
    return {"encoder": jax.jit(ENCODER.init)(jax.random.key(0), jnp.zeros((1, DATA_DIM)))}


def with_layers(params, **layers):
    """The parameters with arrays of some layers replaced: name={"bias": value}."""
    inner = params["encoder"]["params"]
    changed = {name: {**inner[name], **arrays} for name, arrays in layers.items()}
    return {"encoder": {"params": {**inner, **changed}}}


def gaussian_params():
    """r = 0 and a mean and factor away from the prior's, the same for every x."""
    biases = {"mean_head": [0.7, -1.2], "width_head": [-0.7, 0.3], "shear_head": [-0.6]}
    return with_layers(
        initial_params(), **{name: {"bias": jnp.array(bias)} for name, bias in biases.items()}
    )


def random_params(scale=0.3):
    """Every output layer away from zero: mean, factor and residual depend on x."""
    params, kernels = gaussian_params(), {}
    names = ("mean_head", "width_head", "shear_head", "output")
    *keys, key_token = jax.random.split(jax.random.key(7), 5)
    for name, key in zip(names, keys, strict=True):
        kernels[name] = {
            "kernel": scale
            * jax.random.normal(key, params["encoder"]["params"][name]["kernel"].shape)
        }
    params = with_layers(params, **kernels)
    return {
        "encoder": {
            "params": {
                **params["encoder"]["params"],
                "null_token": jax.random.normal(key_token, (16,)),
            }
        }
    }


def in_double(tree):
    """The tree in float64, for use under jax.enable_x64."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def data(n, seed=1):
    return jax.random.normal(jax.random.key(seed), (n, DATA_DIM))


@pytest.mark.parametrize("num_steps", [1, 2, 4, 8, 64])
def test_a_new_encoder_returns_the_noise_that_went_in(num_steps):
    params = initial_params()
    context = embed(params, data(4000))
    z, log_q = sample_and_log_prob(jax.random.key(3), params, context, num_steps)
    np.testing.assert_allclose(z, jax.random.normal(jax.random.key(3), (4000, 2)), rtol=1e-6)
    # Two programs round differently, by one unit in the last place.
    alone = sample(jax.random.key(3), params, context, num_steps)
    np.testing.assert_allclose(z, alone, rtol=2.5e-7)
    np.testing.assert_allclose(log_q, log_prior(z), rtol=1e-6)
    assert_moments(z, np.zeros(2), np.eye(2))


def test_a_new_encoder_has_no_velocity_and_the_score_of_the_prior():
    params, log_snr = initial_params(), jnp.linspace(-10, 10, 21)
    context, y_t = embed(params, data(21)), jax.random.normal(jax.random.key(2), (21, 2))
    np.testing.assert_array_equal(context.mean, 0.0)
    np.testing.assert_array_equal(context.factor, np.tile(np.eye(2), (21, 1, 1)))
    np.testing.assert_array_equal(velocity(params, context, y_t, log_snr), 0.0)
    np.testing.assert_array_equal(score(params, context, y_t, log_snr), -y_t)


def test_score_and_velocity_are_one_network():
    params, log_snr = random_params(), jnp.linspace(-6.0, 6.0, 25)
    context, y_t = embed(params, data(25)), jax.random.normal(jax.random.key(2), (25, 2))
    v = velocity(params, context, y_t, log_snr)
    same = jax.jit(lambda: to_score(PROCESS, "v", v, y_t, PROCESS.time(log_snr)))()
    np.testing.assert_allclose(score(params, context, y_t, log_snr), same, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_steps", [1, 3, 16])
def test_a_gaussian_is_exact_at_any_number_of_steps(num_steps):
    params = gaussian_params()
    context = embed(params, data(50))
    mean, factor = np.asarray(context.mean[0]), np.asarray(context.factor[0])
    assert np.all(np.abs(factor - np.eye(2))[np.tril_indices(2)] > 0.1) and factor[0, 1] == 0
    z, log_q = sample_and_log_prob(jax.random.key(3), params, context, num_steps)
    noise = np.asarray(jax.random.normal(jax.random.key(3), z.shape))
    np.testing.assert_allclose(z, mean + noise @ factor.T, rtol=1e-5, atol=1e-5)
    exact = Gaussian(jnp.asarray(mean), jnp.asarray(factor @ factor.T)).log_prob(z)
    np.testing.assert_allclose(log_q, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_prob(params, context, z, num_steps), exact, rtol=1e-5, atol=1e-5)


def test_the_density_converges_with_second_order():
    with jax.enable_x64(True):
        params = in_double(random_params())
        context = embed(params, in_double(data(6)))

        def errors(num_steps):
            z, log_q = sample_and_log_prob(jax.random.key(3), params, context, num_steps)
            truth = log_prob(params, context, z, 800)
            return np.linalg.norm(log_q - truth), np.linalg.norm(
                log_prob(params, context, z, num_steps) - truth
            )

        for coarse, fine in zip(errors(50), errors(100), strict=True):
            assert fine < 0.02
            assert 2**1.5 < coarse / fine < 2**2.5


def test_hutchinson_has_the_log_density_as_its_mean():
    params, n = random_params(), 1000
    context = jax.jit(ENCODER.embed)(params, jnp.tile(data(1), (n, 1)))
    z = jnp.tile(
        sample(jax.random.key(3), params, jax.tree.map(lambda a: a[:1], context), 50), (n, 1)
    )
    estimate = jax.jit(ENCODER.log_prob_hutchinson, static_argnums=4)
    found = estimate(jax.random.key(4), params, context, z, 200)
    assert np.std(found) > 0.01  # the test can tell
    assert_mean(found, log_prob(params, context, z, 200)[0])


def test_waves_are_harmonics_of_the_latent():
    u = jnp.array([[0.3, -1.2], [2.0, 0.0]])
    expected = np.concatenate([np.sin(u), np.cos(u), np.sin(2 * u), np.cos(2 * u)], axis=-1)
    np.testing.assert_allclose(waves(u, 2), expected, rtol=1e-5, atol=1e-6)
    assert waves(u, 0).shape == (2, 0)


@pytest.mark.parametrize("width", [0.05, 0.7])
def test_the_output_of_a_plain_encoder_is_in_the_unit_of_its_posterior(width):
    """r of a posterior N(m, w^2) is linear in y_t of slope (1 - w^2) / (sigma^2 + alpha^2 w^2): in
    the network's unit a draw of y_t - alpha m gives a number of order one at every level."""
    encoder = DiffusionEncoder(NETWORK, "prior")
    bias = {"bias": jnp.full(2, jnp.log(width))}
    straight = {"shear_head": {"bias": jnp.zeros(1)}, "output": {"bias": jnp.array([1.0, -2.0])}}
    params = with_layers(initial_params(), width_head=bias, **straight)
    log_snr = jnp.linspace(-6.0, 12.0, 10)
    context = jax.jit(encoder.embed)(params, data(10))
    fitted = context.factor[:, 0, 0]
    found = jax.jit(encoder.residual)(params, context, jnp.zeros((10, 2)), log_snr)
    alpha, sigma = alpha_sigma(log_snr)
    plain, _ = NETWORK.apply(params["encoder"], context, jnp.zeros((10, 2)), log_snr)
    np.testing.assert_allclose(
        found, plain / jnp.sqrt(sigma**2 + alpha**2 * fitted**2)[:, None], rtol=1e-5
    )
    assert np.all(np.abs(plain) > 0.5)


@pytest.mark.parametrize("num_steps", [2, 4])
def test_the_density_is_normalized_at_few_steps(num_steps):
    """E_q[p/q] = 1 for any density p that q covers, even where q is far from the continuum
    limit."""
    params = random_params(0.1)
    context = embed(params, jnp.tile(data(1), (5000, 1)))
    z, log_q = sample_and_log_prob(jax.random.key(3), params, context, num_steps)
    centre, spread = np.asarray(z).mean(axis=0), np.cov(z, rowvar=False)
    assert (
        np.std(log_q - Gaussian(jnp.asarray(centre), jnp.asarray(spread)).log_prob(z)) > 0.05
    )  # q is not Gaussian
    for shift, shrink in ((0.0, 0.5), (0.3, 0.4)):
        narrow = Gaussian(
            jnp.asarray(centre + shift * np.sqrt(np.diag(spread))), jnp.asarray(shrink**2 * spread)
        )
        assert_mean(jnp.exp(narrow.log_prob(z) - log_q), 1.0)


def test_x_keeps_its_shape_until_the_network_flattens_it():
    """An image and its row of numbers have one context; the context holds x as it came."""
    images = jax.random.normal(jax.random.key(0), (4, 3, 1, 1))
    params = random_params()
    flat, whole = embed(params, images.reshape(4, DATA_DIM)), embed(params, images)
    assert whole.x.shape == images.shape
    for name in ("mean", "factor", "scales", "shifts"):
        for a, b in zip(
            jax.tree.leaves(getattr(flat, name)),
            jax.tree.leaves(getattr(whole, name)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    assert ENCODER.embed_null(params, 2, (3, 1, 1)).x.shape == (2, 3, 1, 1)


def test_an_unknown_reference_is_refused():
    with pytest.raises(InputError, match="posteriour"):
        DiffusionEncoder(NETWORK, "posteriour")


@pytest.mark.parametrize("option", [{"newton_steps": 1}, {"pressure": True}])
def test_an_encoder_that_asks_the_decoder_wants_one(option):
    with pytest.raises(InputError, match="asks its decoder: give decoder"):
        DiffusionEncoder(NETWORK, **option)


def test_null_rows_do_not_depend_on_x_and_have_the_prior_as_reference():
    params, is_null = random_params(), jnp.array([True, False, True, False])
    one, other = (embed(params, data(4, seed), is_null) for seed in (1, 2))
    np.testing.assert_array_equal(one.known, ~is_null)
    for a, b in zip(
        *(jax.tree.leaves(c.replace(x=None, known=None)) for c in (one, other)), strict=True
    ):
        np.testing.assert_array_equal(a[::2], b[::2])
        assert not np.array_equal(a[1], b[1])
    np.testing.assert_array_equal(one.mean[::2], 0.0)
    np.testing.assert_array_equal(one.factor[::2], np.tile(np.eye(2), (2, 1, 1)))
    null = ENCODER.embed_null(params, 2, (DATA_DIM,))
    one = one.replace(x=jnp.zeros_like(one.x))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b[::2], rtol=1e-5, atol=1e-6), null, one
    )


def test_the_weighted_velocity_error_is_the_squared_error_of_the_residual():
    """1/2 int dlambda alpha^2 |dv|^2 = 1/2 E |dr|^2 under a logistic density of lambda."""
    with jax.enable_x64(True):
        count = 4001
        params = [in_double(gaussian_params()), in_double(random_params())]
        context = embed(params[0], jnp.zeros((count, DATA_DIM)))
        y_t = jnp.tile(jnp.array([[0.4, -0.9]]), (count, 1))

        @jax.jit
        def differences(log_snr):
            dv = velocity(params[1], context, y_t, log_snr) - velocity(
                params[0], context, y_t, log_snr
            )
            dr = residual(params[1], context, y_t, log_snr) - residual(
                params[0], context, y_t, log_snr
            )
            return dv, jnp.sum(dr**2, axis=-1), alpha_sigma(log_snr)[0]

        log_snr = jnp.linspace(-40.0, 40.0, count)
        dv, _, alpha = differences(log_snr)
        integral = jax.scipy.integrate.trapezoid(0.5 * alpha**2 * jnp.sum(dv**2, axis=-1), log_snr)
        log_snr, density = noise_levels.truncated_logistic(
            (jnp.arange(count) + 0.5) / count, 0.0, half_range=30.0
        )
        dv, squared, alpha = differences(log_snr)
        assert 0.5 * squared.mean() > 0.01
        np.testing.assert_allclose(integral, 0.5 * squared.mean(), rtol=1e-4)
        errors = targets.weighted_error(dv, jnp.zeros_like(dv), alpha, density)
        np.testing.assert_allclose(errors, 0.5 * squared, rtol=1e-6)


WEIGHT, NOISE_MEAN, TAU = (
    jnp.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]]),
    jnp.array([0.1, 0.0, -0.2]),
    0.6,
)
MODEL = FactorAnalysis(WEIGHT, NOISE_MEAN, jnp.array(TAU))
DECODER_PARAMS = {
    "network": {"params": {"Dense_0": {"kernel": WEIGHT.T, "bias": NOISE_MEAN}}},
    "log_tau": np.log(TAU),
}


@pytest.mark.parametrize("gamma", [1.0, 0.5])
@pytest.mark.parametrize("reference", REFERENCES)
def test_the_decoders_pressure_is_the_exact_score_of_a_gaussian_posterior(reference, gamma):
    """Untrained, with the prior or a Gaussian that is not the posterior as reference: rho is
    linear, r = E[rho(y_0) | y_t] differs from rho(alpha y_t) only as E[y_0 | y_t] from alpha y_t,
    and not at all at t = 0."""
    encoder = DiffusionEncoder(
        NETWORK, reference, pressure=True, decoder=make("gaussian", DATA_DIM), gamma=gamma
    )
    bounds_off = dataclasses.replace(encoder, network=NETWORK.clone(residual_bound=1e6))
    params = {**gaussian_params(), "decoder": DECODER_PARAMS}
    x, y = MODEL.sample(jax.random.key(0), 50)[0], jax.random.normal(jax.random.key(1), (50, 2))
    context = jax.jit(encoder.infer)(params, x)
    mean, cov = MODEL.posterior(x, gamma)
    z = encoder.colour(context, y)
    exact = -jnp.linalg.solve(cov, (z - mean).T).T
    exact = exact if reference == "prior" else jnp.einsum("bij,bi->bj", context.factor, exact)
    t = PROCESS.time(jnp.full(50, 30.0))
    found = jax.jit(lambda: bounds_off.score_fn(params, context)(y, t))()
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-3)
    bounded = jax.jit(encoder.residual)(params, context, 100 * y, jnp.zeros(50))
    assert np.linalg.norm(bounded, axis=-1).max() <= NETWORK.residual_bound
    null = encoder.embed_null(params, 50, (DATA_DIM,))
    np.testing.assert_array_equal(jax.jit(encoder.residual)(params, null, y, jnp.zeros(50)), 0.0)


def test_newton_steps_of_the_mean_find_the_posterior_and_leave_the_density_exact():
    encoder = DiffusionEncoder(NETWORK, newton_steps=400, decoder=make("gaussian", DATA_DIM))
    params, x = (
        {**gaussian_params(), "decoder": DECODER_PARAMS},
        MODEL.sample(jax.random.key(0), 50)[0],
    )
    context = jax.jit(encoder.infer)(params, x)
    # Single precision: a log posterior of about 5 is known to 5e-7, and its mode to sqrt(2 * 5e-7)
    # widths.
    np.testing.assert_allclose(context.mean, MODEL.posterior(x)[0], atol=3e-3)
    z, log_q = jax.jit(encoder.sample_and_log_prob, static_argnums=3)(
        jax.random.key(3), params, context, 2
    )
    factor = context.factor[0]
    exact = Gaussian(jnp.zeros(2), factor @ factor.T).log_prob(z - context.mean)
    np.testing.assert_allclose(log_q, exact, rtol=1e-4, atol=1e-4)
