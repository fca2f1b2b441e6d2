"""The action of a model from a data point: its bound on -log p(x), found from the score alone.

Read from the data, the model is what drives and the noise is the control: paths that start at x and
are driven by the model's process backwards, -(-f X + g^2 s) dt + u dt + g dB, have the action

    A[u] = E[ int ( |u|^2 / (2 g^2) + div(g^2 s - f X) ) dt - log prior(X_end) ]  >=  -log p(x)

where p is what the model samples. The least is taken by g^2 times the score of the model's own
samples. The control u = g^2 s gives the forward process, whose law at every t is known (arXiv
2106.02808, 2211.01364):

    A = E[ int ( g^2/2 |s|^2 + g^2 div s - f D ) dt - log prior(x_T) ]

By parts under the law of the noise this is the bound of `likelihood`, in which |s|^2 + 2 div s is
|s + eps/sigma|^2 - |eps/sigma|^2: the same number, found without eps. For the exact score it is
-log p(x) at every x, up to the ends; for any other it is more, on average by int g^2/2 E|s_theta -
s|^2 dt along the paths of the data, the likelihood-weighted denoising gap (`entropy.path_kl`).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc.diffusion.gaussians import LOG_2PI
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.noise_levels import Levels
from diffenc.diffusion.profiles import profile, sum_over_data
from diffenc.diffusion.value import divergence


def model_action(
    key: jax.Array,
    score_fn: Callable,
    process: Process,
    x: jax.Array,
    levels: Levels,
    num_levels: int = 16,
    probes: jax.Array | None = None,
) -> jax.Array:
    """Draw the action of a model from x: the sum of `likelihood.continuous_terms`, on average.

    As there, the prior is N(0, (alpha^2 + sigma^2) I) at the lowest lambda, and x is read off its
    least noisy version by N(x; x_t / alpha, (sigma / alpha)^2). The cost of that and the entropy of
    the noise that was added cancel, except for -D log(alpha).

    The integrand sigma^2 (|s|^2 / 2 + div s) varies less between draws than the bound's where sigma
    is less than the finest structure of the data, and more where it is larger; and it costs the D
    tangents of a divergence.

    Args:
        key: the key of levels and noise.
        score_fn: the score, (x_t [batch, ...], t [batch]) -> [batch, ...]; each example's score
            must depend on that example alone.
        process: the forward process.
        x: data [batch, ...].
        levels: a density over lambda; its `low` and `high` are those of the model.
        num_levels: noise levels an example, one in each of as many equally probable cells.
        probes: of the divergence, [num_probes, batch, ...] of `value.random_signs`; None for the
            exact one.

    Returns:
        [batch], in nats.
    """

    def integrand(x_t, eps, t):
        def noise_free(x_t):
            return score_fn(x_t, t)

        half_square = 0.5 * sum_over_data(jnp.square(noise_free(x_t)))
        variance = jnp.square(process.sigma(t))
        return variance * (half_square + divergence(noise_free, x_t, probes))

    running = profile(key, integrand, process, x, levels, num_levels).total()
    signal = jax.nn.sigmoid(levels.low)  # of x_t / sqrt(alpha^2 + sigma^2), at the lowest lambda
    size = x[0].size
    square = signal * sum_over_data(jnp.square(x)) + size * (1 - signal)
    # -D/2 log(signal) = D log(sqrt(alpha^2 + sigma^2) / alpha) is the width of the prior, the
    # volume int f D dt and that of reading x off.
    return running + 0.5 * (square + size * (LOG_2PI - jnp.log(signal)))
