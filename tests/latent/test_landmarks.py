"""Landmarks: the coarse posterior of an encoder is the mixture that it says it is."""

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.diffusion.processes import VPCosine
from diffenc.latent import decoders, landmarks
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser


def test_the_coarse_residual_is_that_of_the_diffused_mixture():
    decoder = decoders.make("bernoulli", 4, (8,))
    network = ConditionalDenoiser(2, embed_features=(8,), features=(8,))
    encoder = DiffusionEncoder(network, "prior", decoder=decoder, landmarks=50)
    x = jnp.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    params = {
        "encoder": encoder.init(jax.random.key(0), x),
        "decoder": decoder.init(jax.random.key(1), 2),
    }
    context = encoder.infer(params, x)
    z, variance = landmarks.kernels(2, 50)
    log_weight = jnp.stack(
        [decoder.log_prob(params["decoder"], jnp.broadcast_to(row, (50, 4)), z) for row in x]
    )
    np.testing.assert_allclose(context.log_weight, jax.nn.log_softmax(log_weight), atol=1e-5)

    y_t = jax.random.normal(jax.random.key(2), (2, 2))
    for log_snr in (-6.0, 0.0, 4.0):
        alpha, sigma = alpha_sigma(jnp.float32(log_snr))

        def log_density(y, log_weight, alpha=alpha, sigma=sigma):
            spread = alpha**2 * variance + sigma**2
            square = jnp.sum((y[None] - alpha * z) ** 2, axis=-1)
            return jax.nn.logsumexp(log_weight - 0.5 * square / spread - jnp.log(spread))

        exact = jax.vmap(jax.grad(log_density))(y_t, context.log_weight)
        t = jnp.full(2, VPCosine().time(jnp.float32(log_snr)))
        score = encoder.score_fn(params, context)(y_t, t)  # the network is 0 at first
        np.testing.assert_allclose(score, exact, rtol=1e-3, atol=1e-3)
    null = encoder.embed_null(params, 2, (4,))
    np.testing.assert_array_equal(encoder.residual(params, null, y_t, jnp.zeros(2)), 0.0)
