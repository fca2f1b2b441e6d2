"""Noise that fills cells: its density, and bounds on laws that are known."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy import special

from diffenc.diffusion import dequantization, kraft, table_law
from diffenc.diffusion.dequantization import Dequantization
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture
from diffenc.diffusion.likelihood import continuous_terms
from diffenc.diffusion.noise_families import make
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.processes import VPCosine
from diffenc.diffusion.score_bound import denoise_of_score, gaussian_terms
from diffenc.errors import InputError
from diffenc.estimate import Estimate

NOISES = {
    "uniform": dequantization.uniform(),
    "truncated_normal": dequantization.truncated_normal(),
    "laplace": Dequantization(make("laplace"), 0.3),
    "logistic": Dequantization(make("logistic"), 0.2),
    "student": Dequantization(make("student"), 0.25),
    "correlated": Dequantization(make("correlated"), 0.4),
}
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
STATES = kraft.states(17, 2)


@functools.partial(jax.jit, static_argnums=0)
def draw(noise, key, x):
    u = noise.sample(key, x.shape)
    return u, noise.log_prob(u)


def assert_mean_or_constant(values, truth):
    """`assert_mean` for what may be the same in every draw, to rounding."""
    if np.ptp(values) > 1e-5:
        assert_mean(values, truth)
    else:
        np.testing.assert_allclose(values, truth, atol=1e-5)


@every_noise
def test_noise_stays_in_its_cell_and_has_the_density_that_is_said(noise):
    u, log_q = draw(noise, jax.random.key(0), jnp.zeros((2000, 2)))
    assert np.abs(u).max() <= 0.5
    nodes, weights = special.roots_legendre(200)
    # in halves, for the kink of some at 0
    halves = np.concatenate([-0.25 + 0.25 * nodes, 0.25 + 0.25 * nodes]).astype(np.float32)
    mass = 0.25 * np.tile(weights, 2) * np.exp(noise.log_prob(halves[:, None]))
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=1e-5)
    assert_mean(u, 0.0)
    assert_mean(np.square(u), mass @ np.square(halves))
    assert_mean(np.cos(4 * u), mass @ np.cos(4 * halves))
    assert_mean_or_constant(log_q, 2 * mass @ np.asarray(noise.log_prob(halves[:, None])))


def test_closed_forms():
    u = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3)).astype(np.float32)
    np.testing.assert_allclose(dequantization.uniform().log_prob(u), 0.0, atol=1e-6)
    for tau in (1.0, 3.0):
        sigma = 0.5 / tau
        inside = math.erf(tau / math.sqrt(2))
        log_norm = -1.5 * math.log(2 * math.pi * (sigma * inside) ** 2)
        expected = log_norm - 0.5 * np.square(u / sigma).sum(axis=1)
        log_q = dequantization.truncated_normal(tau).log_prob(u)
        np.testing.assert_allclose(log_q, expected, rtol=1e-4, atol=1e-5)


@every_noise
def test_the_density_of_a_dequantized_law_gives_its_probability_at_every_draw(noise):
    law = table_law.neighbours(17)
    width = 2 / 17

    def log_density(x):  # of P(v) q((x - v) / width) / width^2
        values = jnp.clip(jnp.round(x / width), 0, 16)
        return law.log_prob_of(values) + noise.log_prob(x / width - values) - 2 * math.log(width)

    @jax.jit
    def draw_terms(key, x):
        return dequantization.dequantized_terms(
            key, noise, dequantization.known_density(log_density), x, draws=1, bin_width=width
        )

    terms = draw_terms(jax.random.key(1), width * jnp.asarray(STATES, jnp.float32))
    # rounding of u in x / width: some 1e-6 times the slope of log q, at most 100
    np.testing.assert_allclose(terms.total, -law.log_prob_of(STATES), atol=2e-4)
    if noise is NOISES["truncated_normal"]:  # forget the entropy of the noise: no code
        assert np.exp(2 * math.log(width) - terms.density.total).sum() > 1.5


MIXTURE = GaussianMixture.isotropic(
    np.log([0.5, 0.3, 0.2]),
    np.array([[4.0, 5.0], [11.0, 10.0], [8.0, 3.0]], np.float32),
    np.array([1.5, 0.7, 0.4], np.float32),
)
WRONG = Gaussian(np.full(2, 8.0, np.float32), 9 * np.eye(2, dtype=np.float32))


def log_probabilities(mixture):
    """log P of the cell of every state, for isotropic components."""
    stds = np.sqrt(np.asarray(mixture.covs)[:, 0, 0], dtype=np.float64)[:, None, None]
    distance = STATES[None] - np.asarray(mixture.means, np.float64)[:, None]
    inside = special.ndtr((distance + 0.5) / stds) - special.ndtr((distance - 0.5) / stds)
    weights = np.exp(np.asarray(mixture.log_weights, np.float64))
    return np.log(weights @ inside.prod(axis=-1))


@functools.partial(jax.jit, static_argnames=("noise", "num_importance", "num"))
def draw_bounds(key, density, *, noise, num_importance, num):
    """Draws of the bound of every state, [num, 289]."""
    x = jnp.asarray(STATES, jnp.float32)

    def bound(key):
        return dequantization.importance_bound(key, noise, density.log_prob, x, num_importance)

    return jax.lax.map(bound, jax.random.split(key, num))


@pytest.mark.parametrize("name", ["uniform", "truncated_normal", "laplace"])
def test_importance_draws_tighten_the_bound_and_leave_it_a_code(name):
    log_prob = log_probabilities(MIXTURE)
    probability = np.exp(log_prob)
    truth = -probability @ log_prob
    means = []
    for num_importance in (1, 8):
        lengths = draw_bounds(
            jax.random.key(num_importance),
            MIXTURE,
            noise=NOISES[name],
            num_importance=num_importance,
            num=40,
        )
        lengths = np.asarray(lengths, np.float64)
        means.append(Estimate.of(lengths @ probability))
        total = kraft.kraft_sum(lengths)
        assert total.mean < 1 + NUM_SIGMAS * total.stderr
        assert total.stderr < 0.02
    looser, tighter = means
    assert looser.mean - tighter.mean > NUM_SIGMAS * math.hypot(looser.stderr, tighter.stderr)
    assert tighter.mean > truth - NUM_SIGMAS * tighter.stderr
    assert tighter.mean - truth < (looser.mean - truth) / 2


def test_a_wrong_density_gives_a_code_too():
    lengths = draw_bounds(
        jax.random.key(7), WRONG, noise=NOISES["logistic"], num_importance=1, num=60
    )
    total = kraft.kraft_sum(lengths)
    assert 0.5 < total.mean < 1 + NUM_SIGMAS * total.stderr


def test_a_shift_and_a_rescaling_of_values_and_grid_together_change_nothing():
    width = 0.25
    moved = Gaussian(width * WRONG.mean - 1, width**2 * WRONG.cov)
    x = jnp.asarray(STATES, jnp.float32)
    noise = NOISES["logistic"]

    bound = functools.partial(dequantization.importance_bound, jax.random.key(2), noise)
    with jax.debug_key_reuse(False):  # the same noise for both
        plain = bound(WRONG.log_prob, x, 1)
        lengths = bound(moved.log_prob, width * x - 1, 1, width)
    np.testing.assert_allclose(lengths, plain, rtol=1e-5)


@pytest.mark.parametrize("name", ["uniform", "truncated_normal"])
def test_a_diffusion_of_dequantized_values_has_the_terms_of_its_closed_form(name):
    noise = NOISES[name]
    width = 0.25
    levels = Uniform(-6.0, 6.0)
    process = VPCosine()
    gaussian = Gaussian(jnp.array([0.2, -0.1]), jnp.array([[0.8, 0.3], [0.3, 0.5]]))
    denoise = denoise_of_score(lambda x, t: gaussian.score(process, x, t), process)
    x = jnp.full((1500, 2), 0.5) * jnp.array([[1.0, -1.0]])

    @jax.jit
    def both(key):
        def density_terms(key, x):
            return continuous_terms(key, denoise, x, levels, 4)

        drawn = dequantization.dequantized_terms(key, noise, density_terms, x, 2, width)
        # the same noise, with its closed form
        filled, _ = noise.draw(jax.random.key(5), x, width)
        return drawn, gaussian_terms(gaussian, filled, levels.low, levels.high)

    drawn, closed = both(jax.random.key(4))
    assert_mean_or_constant(drawn.dequantization, noise_entropy(noise, width))
    for term, values in closed.items():
        # two independent means
        stderr = np.hypot(np.std(values), np.std(getattr(drawn.density, term))) / math.sqrt(len(x))
        gap = np.mean(values) - np.mean(getattr(drawn.density, term))
        assert abs(gap) < NUM_SIGMAS * stderr + 1e-4
    np.testing.assert_allclose(drawn.total, drawn.dequantization + drawn.density.total)


def noise_entropy(noise, width):
    """E log q of two coordinates by quadrature, in units of the grid."""
    nodes, weights = special.roots_legendre(100)
    log_q = np.asarray(noise.log_prob(0.5 * nodes[:, None].astype(np.float32)), np.float64)
    return 2 * (0.5 * weights @ (np.exp(log_q) * log_q) - math.log(width))


def test_bad_input_names_the_culprit():
    x = jnp.zeros((1, 2))
    with pytest.raises(InputError, match="width is 0"):
        Dequantization(make("laplace"), 0.0)
    with pytest.raises(InputError, match="num_importance is 0: give 1 or more"):
        dequantization.importance_bound(
            jax.random.key(0), NOISES["uniform"], MIXTURE.log_prob, x, 0
        )
