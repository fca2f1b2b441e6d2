"""Landmarks: the coarse posterior of an encoder is the mixture that it says it is."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.diffusion.processes import VPCosine
from diffenc.latent import decoders, landmarks
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser

DECODER = decoders.make("bernoulli", 4, (8,))
NETWORK = ConditionalDenoiser(2, embed_features=(8,), features=(8,))
ENCODER = DiffusionEncoder(NETWORK, "prior", decoder=DECODER, landmarks=50)
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]], np.float32)
Y_T = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32)
LOG_SNRS = np.array([-6.0, 0.0, 4.0], np.float32)


@jax.jit
def asked_of_the_encoder():
    """Parameters of the decoder, the weights of the landmarks, the score at every noise level, and
    the residual of null rows."""
    params = {
        "encoder": ENCODER.init(jax.random.key(0), X),
        "decoder": DECODER.init(jax.random.key(1), 2),
    }
    context = ENCODER.infer(params, X)
    score_fn = ENCODER.score_fn(params, context)
    times = VPCosine().time(LOG_SNRS)
    scores = jax.vmap(lambda t: score_fn(Y_T, jnp.full(2, t)))(times)
    null = ENCODER.embed_null(params, 2, (4,))
    of_null = ENCODER.residual(params, null, Y_T, jnp.zeros(2))
    return params["decoder"], context.log_weight, scores, of_null


@jax.jit
def exact(decoder_params, log_weight):
    """The log likelihoods of the landmarks, and the scores of the mixture that they make."""
    z, variance = landmarks.kernels(2, 50)

    def log_prob(row):
        return DECODER.log_prob(decoder_params, jnp.broadcast_to(row, (50, 4)), z)

    def log_density(y, log_weight, log_snr):
        alpha, sigma = alpha_sigma(log_snr)
        spread = alpha**2 * variance + sigma**2
        square = jnp.sum((y[None] - alpha * z) ** 2, axis=-1)
        return jax.nn.logsumexp(log_weight - 0.5 * square / spread - jnp.log(spread))

    over_rows = jax.vmap(jax.grad(log_density), (0, 0, None))
    scores = jax.vmap(over_rows, (None, None, 0))(Y_T, log_weight, LOG_SNRS)
    return jax.vmap(log_prob)(jnp.asarray(X)), scores


def test_the_coarse_residual_is_that_of_the_diffused_mixture():
    decoder_params, log_weight, scores, of_null = asked_of_the_encoder()
    log_likelihood, exact_scores = jax.device_get(exact(decoder_params, log_weight))
    np.testing.assert_allclose(log_weight, log_softmax(log_likelihood, axis=-1), atol=1e-5)
    np.testing.assert_allclose(scores, exact_scores, rtol=1e-3, atol=1e-3)  # the network is 0 yet
    np.testing.assert_array_equal(of_null, 0.0)
