"""Starts of any noise: exact where the model is, codes where it is not."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion import kraft, noisy_start, table_law
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.dequantization import known_density
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.likelihood import continuous_terms, discrete_terms
from diffenc.diffusion.noise_families import make
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.noisy_start import NoisyStart, start_terms
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.diffusion.table_law import TableLaw
from diffenc.diffusion.warmth import log_snr_of_bins
from diffenc.errors import InputError
from diffenc.estimate import Estimate

# Of bounded, short and heavy tails, and of numbers that depend on each other.
FAMILIES = ("uniform", "gaussian", "student", "correlated")
GRID = Alphabet(17)
STATES = kraft.states(17, 2)
LAW = table_law.neighbours(17)
WARM = 1.65  # bins
NUM_DRAWS = 40


def log_density(start, law, x_tilde):
    """That of x~ for numbers that follow the law."""
    if start.noise == make("correlated"):
        codes = start.alphabet.encode(jnp.asarray(kraft.states(start.alphabet.size, 2)))
        away = (x_tilde[:, None] - start.alpha * codes[None]) / start.sigma
        log_psi = start.noise.log_prob(away.reshape(-1, 2)).reshape(len(x_tilde), -1)
        log_joint = law.log_prob.ravel()[None] + log_psi - 2 * jnp.log(start.sigma)
        return jax.nn.logsumexp(log_joint, axis=1)
    return law.log_density(start.log_likelihood(x_tilde))


def independent(law):
    """The law of the same numbers, without their dependence."""
    first, second = np.exp(np.asarray(law.log_marginals(), np.float64))
    return TableLaw.of(first[:, None] * second[None])


@jax.jit
def draw(key, start, law, wrong):
    """Terms of all states [NUM_DRAWS, 289]: of the exact density with informed weights, with the
    frequencies of values and with none, and of a Gaussian density with none."""

    def exact(x_tilde):
        return log_density(start, law, x_tilde)

    def informed(x_tilde):
        return law.log_weights(start.log_likelihood(x_tilde))

    def marginal(x_tilde):
        return law.log_marginals()[None]

    models = {
        "informed": (exact, informed),
        "marginal": (exact, marginal),
        "uninformed": (exact, None),
        "wrong": (wrong.log_prob, None),
    }

    def draw_all(key):
        keys = jax.random.split(key, len(models))
        return {
            name: start_terms(key, start, known_density(log_prob), STATES, 1, log_weights)
            for key, (name, (log_prob, log_weights)) in zip(keys, models.items(), strict=True)
        }

    return jax.lax.map(draw_all, jax.random.split(key, NUM_DRAWS))


WRONG = Gaussian(jnp.zeros(2), 0.4 * jnp.eye(2))


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=pytest.mark.slow if family == "student" else ())
        for family in FAMILIES
    ],
)
def test_every_family_gives_codes_and_the_exact_ones_where_all_is_known(family):
    start = NoisyStart.of_bins(WARM, GRID, make(family))
    drawn = draw(jax.random.key(0), start, LAW, WRONG)
    probability = np.exp(np.asarray(LAW.log_prob_of(STATES), np.float64))
    means = {}
    for name, terms in drawn.items():
        lengths = np.asarray(terms.total, np.float64)
        total = kraft.kraft_sum(lengths)
        assert total.stderr < 0.02
        assert total.mean < 1 + NUM_SIGMAS * total.stderr, name
        means[name] = Estimate.of(lengths @ probability)
    noise = Estimate.of(np.mean(drawn["informed"].start, axis=1))
    error = NUM_SIGMAS * noise.stderr + 1e-5  # to rounding, for uniform noise
    np.testing.assert_allclose(noise.mean, -start.entropy((2,)), atol=error)
    # weights of each value by itself leave out how values depend on each other given x~
    assert means["informed"].mean > LAW.entropy() - NUM_SIGMAS * means["informed"].stderr
    for better, worse in (("informed", "marginal"), ("marginal", "uninformed")):
        gap = means[worse].mean - means[better].mean
        assert gap > NUM_SIGMAS * math.hypot(means[worse].stderr, means[better].stderr)
    # what forgets the reconstruction is no code
    forgetful = drawn["informed"].total - drawn["informed"].reconstruction
    assert kraft.kraft_sum(np.asarray(forgetful)).mean > 1.5

    alone = independent(LAW)
    drawn = draw(jax.random.key(1), start, alone, WRONG)
    log_prob = np.broadcast_to(alone.log_prob_of(STATES), (NUM_DRAWS, len(STATES)))
    if family != "correlated":  # whose noise makes numbers dependent given x~
        # to rounding: `log_likelihood` shrinks the noise u by ROUNDING, and |u score| < 100
        atol = 100 * noisy_start.ROUNDING
        np.testing.assert_allclose(drawn["marginal"].total, -log_prob, atol=atol)


class ExactDenoiser:
    """A `grid_denoiser.GridDenoiser` that knows the law, given in place of parameters."""

    alphabet = GRID

    def log_prob(self, law, marginals, x_t, log_snr):
        log_likelihood = GRID.log_likelihood(x_t, log_snr)
        return jax.nn.log_softmax(law.log_weights(log_likelihood) + log_likelihood, axis=-1)

    def denoise(self, law, marginals, x_t, log_snr):
        return GRID.mean(jnp.exp(self.log_prob(law, marginals, x_t, log_snr)))


def denoise_start(start, law):
    """The exact denoiser of x~ = alpha_0 c + sigma_0 u, u normal, at lambda."""

    def denoise(x_t, log_snr):
        alpha, sigma = alpha_sigma(log_snr[:, None, None])
        variance = jnp.square(alpha * start.sigma) + jnp.square(sigma)
        codes = start.alpha * jnp.asarray(GRID.codes).T[None]
        away = x_t[:, :, None] - alpha * codes
        log_likelihood = -0.5 * jnp.square(away) / variance
        log_prob = jax.nn.log_softmax(law.log_weights(log_likelihood) + log_likelihood, axis=-1)
        x_tilde = codes + alpha * start.sigma**2 / variance * away
        return jnp.sum(jnp.exp(log_prob) * x_tilde, axis=-1)

    return denoise


@pytest.mark.optimized
def test_a_gaussian_start_agrees_with_the_diffusion_of_values_themselves():
    """Every term by itself, with the exact density and with a second diffusion, which ends at
    lambda_1 and so loses at most D/2 log(1 + sigma_1^2 / sigma_0^2) on average."""
    start = NoisyStart.of_bins(WARM, GRID, make("gaussian"))
    low = -12.0
    merged = Uniform(low, log_snr_of_bins(WARM, GRID.spacing))
    end = merged.high + 5.0
    noise = math.exp(-end) / start.sigma**2

    def log_weights(x_tilde):
        return LAW.log_weights(start.log_likelihood(x_tilde))

    @jax.jit
    def measure(key):
        key_x, key_merged, key_exact, key_second = jax.random.split(key, 4)
        x = LAW.sample(key_x, 800)

        def second_density(key, x_tilde):
            return continuous_terms(key, denoise_start(start, LAW), x_tilde, Uniform(low, end), 8)

        def exact(x_tilde):
            return log_density(start, LAW, x_tilde)

        return (
            discrete_terms(key_merged, ExactDenoiser(), LAW, None, x, merged, 8),
            start_terms(key_exact, start, known_density(exact), x, 8, log_weights),
            start_terms(key_second, start, second_density, x, 1, log_weights),
        )

    merged_terms, exact_terms, second_terms = measure(jax.random.key(2))
    assert_mean(exact_terms.reconstruction - merged_terms.reconstruction, 0.0)
    before = merged_terms.prior + merged_terms.diffusion
    assert_mean(exact_terms.start + exact_terms.density.total - before, 0.0)
    gap = Estimate.of(second_terms.total - exact_terms.total)
    assert -NUM_SIGMAS * gap.stderr < gap.mean < math.log1p(noise) + NUM_SIGMAS * gap.stderr
    assert gap.stderr < 0.15


def test_uniform_noise_of_one_bin_leaves_nothing_to_reconstruct():
    start = NoisyStart.of_bins(noisy_start.UNIFORM_BIN, Alphabet(256), make("uniform"))
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (500, 4)))

    def flat(x_tilde):
        return jnp.zeros(len(x_tilde))

    terms = jax.jit(lambda key: start_terms(key, start, known_density(flat), x, 4))(
        jax.random.key(3)
    )
    np.testing.assert_array_equal(terms.reconstruction, 0.0)
    bin_width = start.alpha * 2 / 256
    np.testing.assert_allclose(terms.start, -4 * math.log(bin_width), rtol=1e-5)


@pytest.mark.parametrize("kind", ["one_hot", "bits"])
def test_codes_of_several_numbers(kind):
    alphabet = Alphabet(4, kind)
    law = TableLaw.of(np.outer([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]))
    start = NoisyStart.of_bins(0.5, alphabet, make("laplace"), "straight")
    x = kraft.states(4, 2)

    @jax.jit
    def lengths(key):
        density = known_density(lambda x_tilde: log_density(start, law, x_tilde))
        return start_terms(key, start, density, x, 1, lambda x_tilde: law.log_marginals()[None])

    total = lengths(jax.random.key(4)).total
    np.testing.assert_allclose(total, -law.log_prob_of(x), atol=100 * noisy_start.ROUNDING)


@functools.cache
def three_numbers():
    return TableLaw.of(np.random.default_rng(5).uniform(0.1, 1.0, (5, 5, 5)))


@pytest.mark.parametrize("bins", [0.2, 3.0])
def test_three_numbers_of_five_values_at_a_cold_and_a_warm_start(bins):
    law = three_numbers()
    start = NoisyStart.of_bins(bins, Alphabet(5), make("logistic"))
    lengths = draw_three(jax.random.key(6), start, law)
    total = kraft.kraft_sum(np.asarray(lengths))
    assert total.mean < 1 + NUM_SIGMAS * total.stderr and total.stderr < 0.02
    if bins < 1:  # next to nothing to reconstruct
        assert total.mean > 0.9


@jax.jit
def draw_three(key, start, law):
    density = known_density(lambda x_tilde: log_density(start, law, x_tilde))

    def lengths(key):
        return start_terms(key, start, density, kraft.states(5, 3), 1).total

    return jax.lax.map(lengths, jax.random.split(key, 100))


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: NoisyStart.of_bins(0.0, GRID, make("laplace")), "bins is 0.0"),
        (lambda: NoisyStart.of_bins(1.0, GRID, make("laplace"), "vq"), "schedule is 'vq'"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()
