"""A decoder that is a diffusion, where its velocity is known: likelihood, gradient, curvature,
draws; and what of it depends on z."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checks import assert_mean, assert_moments
from exact_decoder import EXACT, MIX, NOISE, Exact

from diffenc import training
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError
from diffenc.latent import chains, em
from diffenc.latent.diffusion_decoder import DiffusionDecoder
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser, ModulatedMLP, UNet
from diffenc.networks.mlp import LevelMLP


@dataclasses.dataclass(frozen=True)
class Seeing(Exact):
    """NaN where z is not seen."""

    def apply(self, params, x_t, log_snr, condition):
        velocity = super().apply(params, x_t, log_snr, condition)
        return jnp.where(condition[:, -1:] == 1, velocity, jnp.nan)


def test_without_a_split_z_is_seen_up_to_the_last_level():
    """Whatever rounding makes of that level, at which x is read off."""
    z = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)

    @jax.jit
    def decode():
        ends = [2.0, 2.5, 3.0, 6.0, 7.0]
        decoders = [DiffusionDecoder(Seeing(), (3,), Uniform(-6.0, high)) for high in ends]
        return [one.decode({}, z, jnp.ones((4, 3))) for one in decoders]

    assert np.isfinite(decode()).all()


@pytest.fixture(scope="module")
def draws():
    """log p(x|z), grad_z and curvature of one (x, z), of many observations of it."""
    x = np.array([0.6, -0.9, 0.4], np.float32)
    z = np.array([0.5, -0.3], np.float32)
    many = np.tile(x, (4000, 1))

    @jax.jit
    def compute(key_observe, key_curvature):
        observation = EXACT.observe(key_observe, many)
        rows = jnp.tile(z, (4000, 1))
        gradient = jax.grad(lambda z: EXACT.log_prob({}, observation, z).sum())(rows)
        curvature = EXACT.curvature_draw(key_curvature, {}, observation, rows)
        return EXACT.log_prob({}, observation, rows), gradient, curvature

    return x, z, jax.tree.map(np.asarray, compute(jax.random.key(0), jax.random.key(1)))


def test_the_bound_of_the_exact_velocity_is_the_likelihood(draws):
    x, z, (log_prob, _, _) = draws
    error = (x - MIX @ z) / NOISE
    truth = -0.5 * np.sum(error**2) - 3 * np.log(NOISE) - 1.5 * np.log(2 * np.pi)
    assert_mean(log_prob, truth)


def test_the_gradient_of_an_observation_is_one_of_the_likelihood_on_average(draws):
    x, z, (_, gradient, _) = draws
    assert_mean(gradient, MIX.T @ (x - MIX @ z) / NOISE**2)


def test_draws_of_the_curvature_have_the_fisher_information(draws):
    _, _, (_, _, s) = draws
    assert_mean(s[:, :, None] * s[:, None, :], MIX.T @ MIX / NOISE**2)


def test_weighted_levels_give_the_likelihood_of_noised_data():
    """-L of the exact velocity is then E log p(x_lambda|z), lambda ~ logistic(bias, 1): with s the
    scale of p(x|z), its gradient and its information in z are those of log p(x|z) times s^2 c,
    c = E[1 / (s^2 + e^-lambda)]. An integral by partial fractions."""
    bias = 1.0
    decoder = dataclasses.replace(EXACT, weighting_bias=bias)
    x = np.array([0.6, -0.9, 0.4], np.float32)
    z = np.array([0.5, -0.3], np.float32)

    @jax.jit
    def compute(key_observe, key_curvature):
        observation = decoder.observe(key_observe, jnp.tile(x, (4000, 1)))
        rows = jnp.tile(z, (4000, 1))
        gradient = jax.grad(lambda z: decoder.log_prob({}, observation, z).sum())(rows)
        return gradient, decoder.curvature_draw(key_curvature, {}, observation, rows)

    gradient, s = compute(jax.random.key(2), jax.random.key(3))
    away = NOISE**2 - np.exp(-bias)
    c = 1 / away - np.exp(-bias) * np.log(NOISE**2 * np.exp(bias)) / away**2
    assert_mean(gradient, MIX.T @ (x - MIX @ z) * c)
    assert_mean(s[:, :, None] * s[:, None, :], MIX.T @ MIX * c)
    assert decoder.bound == EXACT


def test_samples_have_the_law_of_the_decoder():
    z = np.array([0.5, -0.3], np.float32)
    x = jax.jit(EXACT.sample)(jax.random.key(0), {}, jnp.tile(z, (4000, 1)))
    assert_moments(x, MIX @ z, NOISE**2 * np.eye(3))


NETWORK = LevelMLP((16,))
SPLIT = DiffusionDecoder(NETWORK, (2, 2), Uniform(-8.0, 0.0), Uniform(0.0, 8.0), draws=2)


@pytest.fixture(scope="module")
def split():
    """Parameters that are no longer zero, an observation, and latents."""
    params = SPLIT.init(jax.random.key(0), 3)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    params = tree.unflatten([rng.normal(size=a.shape).astype(np.float32) for a in leaves])
    x = rng.normal(size=(5, 2, 2)).astype(np.float32)
    observation = jax.jit(SPLIT.observe)(jax.random.key(1), x)
    return params, observation, rng.normal(size=(2, 5, 3)).astype(np.float32)


def test_z_is_seen_below_the_split_alone(split):
    params, observation, (z, other) = split
    terms = jax.jit(SPLIT.terms)
    one = terms(params, observation, z)
    two = terms(params, observation, other)
    np.testing.assert_array_equal(one.above, two.above)
    assert np.all(np.abs(one.below - two.below) > 1e-3)
    assert np.all(observation.below.log_snr < 0) and np.all(observation.above.log_snr > 0)

    @jax.jit
    def scores(z, t):
        return SPLIT.score_fn(params, z)(observation.x, jnp.full(5, t))

    for t, is_seen in ((0.49, False), (0.51, True)):  # lambda is 0 at one half
        assert np.any(np.asarray(scores(z, t) != scores(other, t))) == is_seen


def test_what_does_not_depend_on_z_can_be_left_out(split):
    params, observation, (z, other) = split
    log_prob = jax.jit(SPLIT.log_prob)
    about = SPLIT.about_latent(observation)
    flat = jax.jit(SPLIT.observe)(jax.random.key(1), observation.x.reshape(5, -1))
    jax.tree.map(np.testing.assert_array_equal, flat, observation)
    difference = log_prob(params, observation, z) - log_prob(params, observation, other)
    about_z = log_prob(params, about, z) - log_prob(params, about, other)
    np.testing.assert_allclose(about_z, difference, rtol=1e-3, atol=1e-3)


def test_the_curvature_is_that_of_the_regression(split):
    """Averaged over xi, s s^T is sum_j w_j J_j^T J_j of the observation."""
    params, observation, (z, _) = split
    noise = observation.below

    def stacked(z):
        """sqrt(w_j) v_phi at every noise of the first example."""
        alpha, sigma = alpha_sigma(noise.log_snr[0])
        x_t = (
            expand(alpha, noise.eps[0]) * observation.x[:1]
            + expand(sigma, noise.eps[0]) * (noise.eps[0])
        )
        condition = jnp.tile(jnp.concatenate([z, jnp.ones(1)])[None], (2, 1))
        v = NETWORK.apply(params, x_t, noise.log_snr[0], condition)
        return (expand(alpha / jnp.sqrt(noise.density[0] * 2), v) * v).reshape(-1)

    jacobian = np.asarray(jax.jit(jax.jacobian(stacked))(z[0]), np.float64)

    @jax.jit
    @jax.vmap
    def draw(key):
        return SPLIT.curvature_draw(key, params, observation, z)[0]

    s = np.asarray(draw(jax.random.split(jax.random.key(0), 2000)), np.float64)
    truth = jacobian.T @ jacobian
    assert_mean(s[:, :, None] * s[:, None, :], truth, scale=np.abs(truth).max())


def test_a_split_that_leaves_a_gap_is_refused():
    with pytest.raises(InputError, match="seen up to lambda=0.0, and levels above begin at 1.0"):
        DiffusionDecoder(NETWORK, (4,), Uniform(-8.0, 0.0), Uniform(1.0, 8.0))


@pytest.mark.parametrize(
    ("e_step", "network"),
    [
        pytest.param("importance", NETWORK, id="importance", marks=pytest.mark.slow),
        pytest.param("langevin", ModulatedMLP(16, 1), id="langevin"),
        pytest.param("encoder", NETWORK, id="encoder"),
        pytest.param(
            "encoder",
            UNet((8,), attention=(), start=0.1),
            id="encoder, unet",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_alternation_takes_it_and_z_is_pulled_after_one_update(e_step, network):
    """The output layer starts at zero, and with it d log p(x|z)/dz: one update ends that."""
    decoder = dataclasses.replace(SPLIT, network=network, shape=(2, 2, 1))
    encoder = DiffusionEncoder(ConditionalDenoiser(3, (16,), (16,)))
    settings = em.Settings(e_step=e_step, kernel="ula", draws=2, proposals=3, gamma=0.1)
    optimizer = optax.sgd(1e-3)
    x = np.random.default_rng(0).normal(size=(8, 2, 2, 1)).astype(np.float32)
    params = {
        "encoder": encoder.init(jax.random.key(0), x),
        "decoder": decoder.init(jax.random.key(1), 3),
    }
    state = training.TrainState.create(params, optimizer, chains.ChainState.create(settings))
    update = jax.jit(em.make_update(encoder, decoder, settings, optimizer))

    @jax.jit
    def slope(params):
        observation = decoder.observe(jax.random.key(2), x)
        z = jnp.ones((8, 3))
        return jax.grad(lambda z: decoder.log_prob(params["decoder"], observation, z).sum())(z)

    assert np.all(np.asarray(slope(state.params)) == 0)
    state, metrics = update(state, jax.random.key(3), x)
    assert np.all(np.abs(slope(state.params)).max(axis=1) > 1e-8)  # 0, and no rounding, before
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_mean_is_that_of_x_given_z():
    """x is linear in its noise, so pairs of opposite noise leave the error of the steps alone,
    which is of second order."""
    z = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    mean = jax.jit(lambda: EXACT.mean({}, z))()
    np.testing.assert_allclose(mean, z @ MIX.T, rtol=EXACT.sampler_steps**-2.0, atol=1e-5)
