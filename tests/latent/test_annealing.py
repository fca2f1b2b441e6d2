"""Annealed bounds: exact where the Gaussian is the posterior, unbiased weights elsewhere, a
sandwich of the truth."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.latent import annealing, decoders
from diffenc.latent.annealing import Settings

MODEL = FactorAnalysis(
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
)
DECODER = decoders.make("gaussian", 3)
DENSE = {"kernel": MODEL.weight.T, "bias": MODEL.mean}
PARAMS = {"network": {"params": {"Dense_0": DENSE}}, "log_tau": np.log(MODEL.noise_std)}
FEW, MANY = Settings(3, num_chains=8), Settings(100, num_chains=8)
WIDE, NARROW = (
    (1.0, 2.0),
    (1.0, 0.5),
)  # widths of the posterior by which the mean is off, and the factor's stretch


def log_joint(x, z):
    return decoders.log_joint(DECODER, PARAMS, x, z)


@functools.cache
def data(n):
    """Pairs x, z of the model and log p(x), as numpy arrays."""

    def draw():
        x, z = MODEL.sample(jax.random.key(0), n)
        return x, z, MODEL.log_prob(x)

    return jax.device_get(jax.jit(draw)())


@jax.jit
def fit(x, shift=0.0, stretch=1.0):
    """The posterior's Gaussian, its mean moved by (shift, -shift) of its own widths and its widths
    stretched."""
    mean, cov = MODEL.posterior(x)
    factor = jnp.linalg.cholesky(cov)
    return mean + (factor @ jnp.stack([shift, -shift]))[None], jnp.tile(
        stretch * factor, (len(x), 1, 1)
    )


TRACES = []


@functools.partial(jax.jit, static_argnames=("settings", "log_joint_fn"))
def anneal(key, x, z, gaussian, settings, log_joint_fn=log_joint):
    """(forward, reverse) log weights and their acceptances, at steps from a pilot run of the first
    hundred examples."""
    TRACES.append(settings)
    key_tune, key_forward, key_reverse = jax.random.split(key, 3)
    pilot = jax.tree.map(lambda a: a[:100], (x, gaussian))
    log_steps = annealing.tune(key_tune, log_joint_fn, *pilot, settings)
    log_weights, up = annealing.forward(key_forward, log_joint_fn, x, gaussian, log_steps, settings)
    reverse_log_weights, down = annealing.reverse(
        key_reverse, log_joint_fn, x, z, gaussian, log_steps, settings
    )
    return (log_weights, reverse_log_weights), (up, down)


@jax.jit
def bounds(log_weights, reverse_log_weights):
    """The lower bound, the upper one with and without forward weights, and the effective sample
    size."""
    return (
        annealing.lower(log_weights),
        annealing.upper(reverse_log_weights, log_weights),
        annealing.upper(reverse_log_weights),
        annealing.effective_sample_size(log_weights),
    )


def errors(weights, truth):
    """`Estimate` of lower - truth, of upper - truth with and without forward weights, and of upper
    - lower."""
    low, high, alone, _ = np.asarray(bounds(*weights))
    return [Estimate.of(gap) for gap in (low - truth, high - truth, alone - truth, high - low)]


def assert_sandwich(weights, truth, width):
    """lower <= truth <= upper within standard errors, the bounds less than width apart."""
    low, high, alone, gap = errors(weights, truth)
    assert low.mean < NUM_SIGMAS * low.stderr
    assert high.mean > -NUM_SIGMAS * high.stderr
    assert alone.mean > -NUM_SIGMAS * alone.stderr
    assert gap.mean + NUM_SIGMAS * gap.stderr < width


def test_every_weight_is_the_likelihood_where_the_gaussian_is_the_posterior():
    x, z, exact = data(2000)
    weights, _ = anneal(jax.random.key(1), x, z, fit(x), FEW)
    for log_weights in weights:
        np.testing.assert_allclose(log_weights, np.tile(exact, (8, 1)), rtol=2e-5)
    *found, sample_size = bounds(*weights)
    for bound in found:
        np.testing.assert_allclose(bound, exact, rtol=2e-5)
    np.testing.assert_allclose(sample_size, 8, rtol=1e-4)


@pytest.mark.parametrize("offset", [WIDE, NARROW])
def test_three_temperatures_give_unbiased_weights_and_bounds_off_in_the_right_direction(offset):
    """E[w] = p(x) and E[1/w] = 1/p(x): each where its variance is finite, at a wide and at a narrow
    Gaussian."""
    x, z, truth = data(2000)
    weights, _ = jax.device_get(anneal(jax.random.key(1), x, z, fit(x, *offset), FEW))
    if offset == WIDE:
        assert_mean(np.exp(weights[0] - truth[None]).ravel(), 1.0)
    else:
        assert_mean(
            np.exp(truth[None] - weights[1]).mean(axis=0), 1.0
        )  # chains of one start are not independent
    low, high, alone, _ = errors(weights, truth)
    assert low.mean < -NUM_SIGMAS * low.stderr
    assert high.mean > NUM_SIGMAS * high.stderr
    assert alone.mean > NUM_SIGMAS * alone.stderr


@pytest.mark.optimized
@pytest.mark.parametrize("offset", [WIDE, NARROW, (1.5, 1.0)])
def test_many_temperatures_close_the_sandwich_and_keep_the_acceptance(offset):
    x, z, truth = data(400)
    weights, acceptances = anneal(jax.random.key(1), x, z, fit(x, *offset), MANY)
    assert_sandwich(weights, truth, 0.05)
    assert np.mean(bounds(*weights)[-1]) > 6
    for acceptance in np.asarray(acceptances):
        assert abs(acceptance.mean() - annealing.ACCEPTANCE) < 0.03
        assert np.all(
            np.abs(acceptance - annealing.ACCEPTANCE) < 0.15
        )  # the pilot run lags at the first temperatures


def log_joint_of_two_bananas(x, z):
    """x = (z_1^2 + z_2 / 2, z_2) + n / 2: the posterior has two bent modes, at z_1 = +- sqrt(x_1 -
    x_2 / 2)."""
    mean = jnp.stack([z[:, 0] ** 2 + 0.5 * z[:, 1], z[:, 1]], axis=1)
    return decoders.log_prior(z) + decoders.log_prior((x - mean) / 0.5) - 2 * np.log(0.5)


@jax.jit
def log_marginal_of_two_bananas(x):
    """log p(x) [batch] by quadrature."""
    line = jnp.linspace(-6.0, 6.0, 241)
    grid = jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)
    log_sum = jax.lax.map(lambda x: jax.nn.logsumexp(log_joint_of_two_bananas(x[None], grid)), x)
    return log_sum + 2 * jnp.log(line[1] - line[0])


@pytest.mark.slow
def test_the_truth_of_a_bimodal_posterior_lies_between_the_bounds():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 2)).astype(np.float32)
    mean = np.stack([z[:, 0] ** 2 + 0.5 * z[:, 1], z[:, 1]], axis=1)
    x = (mean + 0.5 * rng.normal(size=(300, 2))).astype(np.float32)
    gaussian = (
        np.tile(np.array([0.3, 0.0], np.float32), (300, 1)),
        np.tile(np.array([[1.0, 0.0], [0.2, 0.8]], np.float32), (300, 1, 1)),
    )
    settings = Settings(150, num_chains=8)
    weights, _ = anneal(jax.random.key(1), x, z, gaussian, settings, log_joint_of_two_bananas)
    truth = np.asarray(log_marginal_of_two_bananas(x))
    assert_sandwich(weights, truth, 0.2)
    assert_mean(np.exp(np.asarray(weights[0]) - truth[None]).ravel(), 1.0)


def test_bounds_of_given_weights():
    log_weights, reverse_log_weights = (
        np.log([[1.0, 4.0], [3.0, 4.0]]),
        np.log([[2.0, 1.0], [5.0, 7.0]]),
    )
    with_forward = np.log([6 * 9, 9 * 15]) / 2 - np.log(3)
    expected = np.log([2, 4]), with_forward, np.log([20 / 7, 7 / 4]), [1.6, 2.0]
    found = bounds(log_weights, reverse_log_weights)
    for value, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-6)


@pytest.mark.parametrize("num_temperatures", [1, 2, 50])
def test_temperatures_rise_from_0_to_1(num_temperatures):
    beta = np.asarray(jax.jit(annealing.temperatures, static_argnums=0)(num_temperatures))
    assert beta.shape == (num_temperatures + 1,) and beta[0] == 0 and beta[-1] == 1
    assert np.all(np.diff(beta) > 0)
    np.testing.assert_allclose(beta + beta[::-1], 1, atol=1e-6)


def test_one_trace_and_new_draws_for_each_key_chain_and_example():
    x, z, _ = data(2000)

    def run(seed):
        return jax.device_get(anneal(jax.random.key(seed), x, z, fit(x, *WIDE), FEW))

    first, num_traces = run(2), len(TRACES)
    again, other = run(2), run(3)
    np.testing.assert_array_equal(first[0], again[0])
    for log_weights, acceptance, others in zip(*first, other[0], strict=True):
        assert log_weights.shape == (8, 2000) and acceptance.shape == (3,)
        of_some = np.concatenate([log_weights, others])[:, :100]
        assert len(np.unique(of_some)) > 0.99 * of_some.size  # float32 allows a few ties

    @jax.jit
    def lower(key, pair):
        return annealing.lower(anneal(key, *pair, fit(pair[0], *WIDE), FEW)[0][0])

    low = map_examples(lower, jax.random.key(2), (x[:400], z[:400]), 300)
    # map_examples calls with one example, which is another shape: one trace more for both batches.
    assert low.shape == (400,) and len(TRACES) == num_traces + 1


def test_a_number_below_one_is_refused():
    with pytest.raises(InputError, match="^leapfrog_steps is 0: give 1 or more"):
        Settings(leapfrog_steps=0)
