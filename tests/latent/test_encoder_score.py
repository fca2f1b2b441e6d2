"""The encoder as a score function: what takes a score takes an encoder, and gets what the encoder
gives.

The network is replaced by the exact residual of a mixture, since a trained or random one is the
score of no diffusion, and only for a true score do the entropy and the rate agree.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean, assert_moments

from diffenc.diffusion import entropy, samplers
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture, gaussian_kl
from diffenc.diffusion.noise_levels import Logistic
from diffenc.diffusion.parameterization import from_score
from diffenc.diffusion.processes import VPCosine
from diffenc.estimate import Estimate
from diffenc.latent.decoders import log_prior
from diffenc.latent.encoder import REFERENCES, DiffusionEncoder
from diffenc.networks.mlp import Context

PROCESS, PARAMS = VPCosine(), {"encoder": None}
MEAN, FACTOR = np.array([0.7, -1.2]), np.array([[0.5, 0.0], [-0.9, 1.4]])
LEVELS = Logistic(-16.0, 16.0, scale=1.5)
MAX_STDERR = 0.02  # nats: a test of a rate whose error is larger could not tell


class ExactNetwork:
    """The residual r = -v / sigma of a Gaussian mixture in the reference's coordinates, in place of
    a network.

    square_width: w^2 of the unit 1 / sqrt(sigma^2 + alpha^2 w^2) of the output; 1 where it is given
    as it is."""

    latent_dim = 2

    def __init__(self, mixture, square_width=1.0):
        self.mixture, self.square_width = mixture, square_width

    def apply(self, params, context, y_t, log_snr):
        t = PROCESS.time(log_snr)
        v = from_score(PROCESS, "v", self.mixture.score(PROCESS, y_t, t), y_t, t)
        alpha2 = jax.nn.sigmoid(log_snr)
        width = jnp.sqrt(1 - alpha2 + alpha2 * self.square_width)
        return -width[:, None] * v / PROCESS.sigma(t)[:, None], 1.0


def make_mixture():
    return GaussianMixture(
        np.log([0.3, 0.7]),
        np.array([[1.0, 0.5], [-0.6, -0.2]]),
        np.square([0.5, 0.7])[:, None, None] * np.eye(2)[None],
    )


def one_component(gaussian):
    return GaussianMixture(np.zeros(1), gaussian.mean[None], gaussian.cov[None])


def make_encoder(mixture, reference):
    """The encoder whose y is of the mixture, under either reference."""
    is_prior = reference == "prior"
    square_width = np.exp(np.log(np.sum(np.square(FACTOR), axis=1)).mean()) if is_prior else 1.0
    return DiffusionEncoder(ExactNetwork(mixture, square_width), reference)


def make_context(n):
    mean, factor = np.tile(MEAN, (n, 1)), np.tile(FACTOR, (n, 1, 1))
    return Context(np.zeros((n, 3)), np.ones(n, bool), mean, factor, (), ())


@pytest.mark.parametrize("reference", REFERENCES)
def test_an_encoder_with_the_exact_velocity_has_the_exact_law(reference):
    """A mixture in y, seen in z = m + W y (the plain diffusion encoder: z = y): its density to
    second order."""
    mixture = make_mixture()
    encoder, context = make_encoder(mixture, reference), make_context(3000)
    mean, factor = (np.zeros(2), np.eye(2)) if reference == "prior" else (MEAN, FACTOR)
    means = mean + mixture.means @ factor.T
    covs = factor @ mixture.covs @ factor.T
    truth = mixture.replace(means=means, covs=covs)

    @jax.jit
    def evaluate():
        """Errors of log q at two numbers of steps, errors of some by `log_prob`, z, and z again."""
        errors = []
        for num_steps in (50, 100):
            z, log_q = encoder.sample_and_log_prob(jax.random.key(3), PARAMS, context, num_steps)
            errors.append(log_q - truth.log_prob(z))
        log_q = encoder.log_prob(PARAMS, make_context(50), z[:50], 100)
        of_some = log_q - truth.log_prob(z[:50])
        return errors, of_some, z, encoder.colour(context, encoder.whiten(context, z))

    with jax.enable_x64(True):
        errors, of_some, z, again = jax.device_get(evaluate())
    coarse, fine = np.abs(errors).mean(axis=1)
    assert fine < 2e-3 and 2**1.5 < coarse / fine < 2**2.5
    np.testing.assert_allclose(of_some, 0.0, atol=2e-2)
    np.testing.assert_allclose(again, z, rtol=1e-9, atol=1e-12)
    weights = np.exp(mixture.log_weights)
    centre = weights @ means
    spread = np.einsum(
        "k,kij->ij", weights, covs + (means - centre)[:, :, None] * (means - centre)[:, None, :]
    )
    assert_moments(z, centre, spread)


@pytest.mark.parametrize("reference", REFERENCES)
def test_the_rate_is_the_neural_entropy_of_the_score(reference):
    """KL(q || prior) = S_NN + E[log reference - log prior], the last in closed form for each z."""
    with jax.enable_x64(True):
        n = 2000
        encoder, context = make_encoder(make_mixture(), reference), make_context(n)

        @jax.jit
        def rates():
            z, log_q = encoder.sample_and_log_prob(jax.random.key(3), PARAMS, context, 100)
            y = encoder.whiten(context, z)
            score_fn = encoder.score_fn(PARAMS, context)
            s_nn = entropy.neural_entropy(jax.random.key(4), score_fn, PROCESS, y, LEVELS)
            excess = 0.5 * jnp.sum(z**2 - y**2, axis=-1)
            return log_q - log_prior(z), s_nn + excess - encoder.log_volume(context)

        own, by_entropy = rates()
        difference = Estimate.of(by_entropy - own)
        assert difference.stderr < MAX_STDERR
        assert abs(difference.mean) < NUM_SIGMAS * difference.stderr
        assert np.mean(own) > 10 * MAX_STDERR  # there is a rate


@pytest.mark.parametrize("reference", REFERENCES)
def test_the_probability_flow_of_the_score_gives_the_samples_of_the_encoder(reference):
    with jax.enable_x64(True):
        n, num_steps, t_min = 100, 40, 1e-7
        encoder, context = make_encoder(make_mixture(), reference), make_context(n)

        @jax.jit
        def evaluate():
            noise = jax.random.normal(jax.random.key(3), (n, 2))
            y = samplers.probability_flow(
                encoder.score_fn(PARAMS, context), PROCESS, noise, num_steps, t_min
            )
            z = encoder.sample(jax.random.key(3), PARAMS, context, num_steps)
            return noise, y, encoder.colour(context, y), z

        noise, y, coloured, z = jax.device_get(evaluate())
        assert np.max(np.abs(y - noise)) > 0.1
        np.testing.assert_allclose(coloured, z, rtol=1e-4, atol=1e-4)


def test_the_path_kl_of_two_encoders_is_that_of_their_laws():
    """Zero of an encoder against itself; the closed form for two Gaussian ones."""
    with jax.enable_x64(True):
        n = 4000
        first = Gaussian(np.array([0.4, -0.3]), np.array([[0.5, 0.2], [0.2, 0.6]]))
        second = Gaussian(np.array([0.0, 0.2]), np.array([[0.8, -0.1], [-0.1, 0.5]]))
        context = make_context(n)
        scores = [
            make_encoder(one_component(law), "posterior").score_fn(PARAMS, context)
            for law in (first, second)
        ]

        @jax.jit
        def path_kls(key, key_second, key_itself):
            y = first.sample(key, n)
            to_second = entropy.path_kl(key_second, *scores, PROCESS, y, LEVELS)
            to_itself = entropy.path_kl(key_itself, scores[0], scores[0], PROCESS, y, LEVELS)
            truth = gaussian_kl(first.mean, first.cov, second.mean, second.cov)
            return to_second, to_itself, truth

        keys = [jax.random.key(seed) for seed in range(3)]
        values, zeros, truth = jax.device_get(path_kls(*keys))
        np.testing.assert_array_equal(zeros, 0.0)
        estimate = Estimate.of(values)
        assert estimate.stderr < MAX_STDERR < truth / 5
        assert_mean(values, truth)
