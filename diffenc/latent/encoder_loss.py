"""The loss of a diffusion encoder: denoising of posterior samples, and the fit of its Gaussian.

Shapes: x [batch, ...], z, y and gradients [batch, d].
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from diffenc.diffusion import noise_levels
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.latent import proposals, targets
from diffenc.latent.e_steps import PosteriorSample
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import apply, pull, solve, trusted
from diffenc.networks.mlp import Context


def dream_gradient(
    key: jax.Array,
    decoder,
    params,
    z: jax.Array,
    gamma: float,
    key_observe: jax.Array | None = None,
) -> jax.Array:
    """Compute s = grad_z log p(x'|z) / sqrt(gamma) of a dream x' ~ p(x'|z).

    E[s s^T] is the Fisher information, and I + E[s s^T] is the precision of q* near z. By Stein's
    identity the precision is also the second moment of grad log q* at the end of a chain, once the
    chain is finished. Unlike that squared gradient, E[s s^T] does not grow while the chain is still
    far from the mode; using the gradient would make the fitted Gaussian too narrow early in
    training.

    For a decoder that is not exact, s is the slope of one draw of its bound, and E[s s^T] includes
    the variance of the draws.

    Args:
        key: the key of the dream.
        decoder: p(x|z).
        params: of the decoder.
        z: latents [batch, d].
        gamma: the temperature of q*.
        key_observe: the key of the dream's observation; an exact decoder needs none.

    Returns:
        s [batch, d].
    """
    dream = jax.lax.stop_gradient(decoder.sample(key, params, z))
    observation = decoder.observe(key_observe, dream)

    def log_prob(z):
        return decoder.log_prob(params, observation, z).sum()

    return jax.grad(log_prob)(z) / jnp.sqrt(gamma)


def curvature_draw(key, decoder, params, observation, z, gamma: float, key_observe) -> jax.Array:
    """Draw s [batch, d], where E[s s^T] is the curvature of -log p(x|z) / gamma in z.

    It is the decoder's own `curvature_draw`, if it has one, and else `dream_gradient`.

    Args:
        key: a random key.
        decoder: p(x|z).
        params: of the decoder.
        observation: of x, for a decoder that draws the curvature at x itself.
        z: latents [batch, d].
        gamma: the temperature of q*.
        key_observe: the key of a dream's observation.
    """
    if hasattr(decoder, "curvature_draw"):
        return decoder.curvature_draw(key, params, observation, z) / jnp.sqrt(gamma)
    return dream_gradient(key, decoder, params, z, gamma, key_observe)


def gaussian_loss(context: Context, newton: jax.Array, dream: jax.Array) -> jax.Array:
    """Evaluate the loss that fits the Gaussian N(m, C), C = W W^T.

    For W it is 1/2 tr[C (I + s s^T)] - 1/2 log det C. For m it is 1/2 |W^-1 (newton - m)|^2 with W
    held fixed, where newton = z + C grad log q*(z) is one Newton step from the sample towards the
    mode. The minimum is at C = (I + E[s s^T | x])^-1 and m = E[newton | x].

    The denoising loss does not train m or W: otherwise the Gaussian and the residual network could
    trade the same offset, and training would not settle.

    Args:
        context: the encoder's; its mean and factor are fitted.
        newton: the ends of the Newton steps [batch, d].
        dream: s of `curvature_draw` [batch, d].

    Returns:
        [batch].
    """
    log_det = jnp.log(jnp.diagonal(context.factor, axis1=-2, axis2=-1)).sum(axis=-1)
    trace = jnp.sum(context.factor**2, axis=(-2, -1)) + jnp.sum(
        pull(context.factor, dream) ** 2, axis=-1
    )
    factor = jax.lax.stop_gradient(context.factor)
    error = newton - context.mean
    return 0.5 * trace - log_det + 0.5 * jnp.sum(solve(factor, error) ** 2, axis=-1)


def encoder_loss(
    encoder_params,
    decoder_params,
    key,
    encoder: DiffusionEncoder,
    x,
    sample: PosteriorSample,
    dream,
    settings,
):
    """Evaluate the likelihood-weighted denoising loss of pairs (x, z), plus `gaussian_loss`.

    Each pair is used at settings.draws stratified noise levels. A share settings.null_probability
    of the pairs trains the null branch, by plain denoising. Where settings.smooth_targets and there
    are weighted proposals, targets are averaged over them.

    Args:
        encoder_params: what the gradient is taken of.
        decoder_params: of the decoder that the encoder asks.
        key: a random key.
        encoder: the encoder.
        x: data [batch, ...].
        sample: of the posterior of each x.
        dream: s of `curvature_draw` [batch, d].
        settings: an `em.Settings`.

    Returns:
        The loss [], and metrics: encoder_loss, rate and neural_entropy (nats), precision.
    """
    key_null, key_level, key_eps = jax.random.split(key, 3)
    is_null = jax.random.bernoulli(key_null, settings.null_probability, sample.z.shape[:1])
    params = {"encoder": encoder_params, "decoder": decoder_params}
    context = encoder.embed(params, x, is_null)
    frozen = jax.lax.stop_gradient(context)
    assert sample.gradient is not None, "the M-step gives it"
    gradient = trusted(sample.gradient, 2 * encoder.network.residual_bound)
    fit = gaussian_loss(context, apply(sample.z, frozen.factor, gradient), dream)
    mean = jnp.where(is_null[:, None], 0.0, sample.frame.mean)
    context = context.replace(mean=mean, factor=frozen.factor)

    if encoder.reference == "posterior":
        y = sample.y
        width = jnp.ones_like(y)
    else:
        y = sample.z
        width = jnp.sqrt(jnp.sum(frozen.factor**2, axis=-1))
        gradient = solve(jnp.swapaxes(frozen.factor, -2, -1), gradient, lower=False)
    y = jnp.where(is_null[:, None], sample.z, y)
    log_width = jnp.log(width).mean(axis=-1)
    # KL(q || prior) = KL(q || reference) + E[log reference - log prior]
    excess = 0.5 * jnp.sum(sample.z**2 - y**2, axis=-1)

    quantities = (context, y, gradient, width, log_width, is_null)
    context, y, gradient, width, log_width, null = jax.tree.map(
        lambda a: jnp.repeat(a, settings.draws, axis=0), quantities
    )
    uniform = noise_levels.stratified_uniform(key_level, null.shape)
    draw_levels = (
        noise_levels.with_angles if settings.path_weight else noise_levels.truncated_logistic
    )
    log_snr, density = draw_levels(uniform, -2 * log_width)
    alpha, sigma = alpha_sigma(log_snr)
    eps = jax.random.normal(key_eps, y.shape)
    y_t = alpha[:, None] * y + sigma[:, None] * eps
    if settings.smooth_targets and sample.proposals is not None:
        y, eps, gradient = smooth_targets(
            encoder, frozen, sample, y_t, alpha, sigma, (y, eps, gradient), null
        )

    pressure_weight = {
        "denoising": jnp.zeros_like(y),
        "pressure": jnp.ones_like(y),
        "mixture": targets.mixture_weight(width, alpha[:, None], sigma[:, None]),
    }[settings.target]
    c = jnp.where(null[:, None], 0.0, pressure_weight)
    by_pressure = targets.pressure_target(y, gradient, sigma[:, None])
    by_denoising = targets.denoising_target(y, eps, alpha[:, None], sigma[:, None])
    target = c * by_pressure + (1 - c) * by_denoising

    v = encoder.velocity(params, context, y_t, log_snr)
    error = targets.weighted_error(v, target, alpha, density)
    if settings.path_weight:
        error += settings.path_weight * targets.path_error(v, target, alpha, sigma, density)
    entropy = targets.neural_entropy_draw(v, alpha, density)
    rate = entropy + jnp.repeat(excess, settings.draws, axis=0) - encoder.log_volume(context)
    metrics = {
        "encoder_loss": _mean_where(~null, error),
        "rate": _mean_where(~null, rate),
        "neural_entropy": _mean_where(~null, entropy),
        "precision": _mean_where(~is_null, 1 + jnp.mean(dream**2, axis=-1)),
    }
    return error.mean() + jnp.where(is_null, 0.0, fit).mean(), metrics


def _mean_where(mask: jax.Array, values: jax.Array) -> jax.Array:
    """The mean of the values where the mask holds, 0 if that is nowhere."""
    return jnp.where(mask, values, 0.0).sum() / jnp.maximum(mask.sum(), 1)


def smooth_targets(
    encoder, frozen: Context, sample: PosteriorSample, y_t, alpha, sigma, single, null
):
    """Average (y, eps, gradient) over the proposals, in the coordinates of the encoder's reference.

    Args:
        encoder: the encoder.
        frozen: its context of x [batch, ...], of which no gradient is taken.
        sample: with its weighted proposals.
        y_t: noised latents [batch * draws, d].
        alpha: of their noise levels [batch * draws].
        sigma: of their noise levels [batch * draws].
        single: (y, eps, gradient) of the chosen proposals, each [batch * draws, d].
        null: [batch * draws], where `single` is returned as it is.

    Returns:
        (y, eps, gradient), as `single`; see `proposals.smoothed`.
    """
    assert sample.proposals is not None, "targets are smoothed over proposals"
    z, log_weight, gradient = sample.proposals
    bound = 2 * encoder.network.residual_bound
    gradient = jax.vmap(lambda gradient: trusted(pull(frozen.factor, gradient), bound))(gradient)
    # One factor serves many proposals: products with its inverse are cheaper than solves.
    inverse = jax.vmap(_invert)(frozen.factor)
    if encoder.reference == "posterior":
        z = jnp.einsum("bij,kbj->kbi", inverse, z - sample.frame.mean[None])
    else:
        gradient = jnp.einsum("bji,kbj->kbi", inverse, gradient)
    rows = (gradient.shape[1], -1)
    smooth = proposals.smoothed(
        Proposals(z, log_weight, gradient),
        y_t.reshape(*rows, z.shape[-1]),
        alpha.reshape(rows),
        sigma.reshape(rows),
    )
    return tuple(
        jnp.where(null[:, None], old, new.reshape(old.shape))
        for old, new in zip(single, smooth, strict=True)
    )


def _invert(factor: jax.Array) -> jax.Array:
    """The inverse of one lower-triangular factor [d, d]."""
    return solve_triangular(factor, jnp.eye(factor.shape[-1]), lower=True)
