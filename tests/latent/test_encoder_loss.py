"""The loss of an encoder: the precision of dreams, its minima, and its coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean
from linear_model import DECODER, ENCODER, MODEL, X, decoder_params

from diffenc.diffusion.gaussians import Gaussian
from diffenc.latent import decoders, em, encoder_loss, whitening
from diffenc.latent.e_steps import PosteriorSample
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.proposals import Proposals
from diffenc.latent.whitening import Frame
from diffenc.networks.mlp import Context


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_dreams_measure_the_precision_of_the_posterior(gamma):
    z = jax.random.normal(jax.random.key(0), (8000, 2))
    draw = jax.jit(encoder_loss.dream_gradient, static_argnums=(1, 4))
    s = draw(jax.random.key(1), DECODER, decoder_params(MODEL), z, gamma)
    precision = jnp.linalg.inv(MODEL.posterior(X, gamma)[1])
    assert_mean(s, 0.0)
    assert_mean(s[:, :, None] * s[:, None, :], precision - jnp.eye(2))


def test_the_gaussian_loss_is_least_at_the_covariance_and_the_mean_of_newton_steps():
    """Over lower-triangular factors, with E[s s^T] known exactly: the gradient vanishes at C = (I +
    E s s^T)^-1."""
    with jax.enable_x64(True):
        s = jnp.array([[1.5, 0.3], [-1.5, -0.3], [0.4, -2.0], [-0.4, 2.0]])
        newton = jnp.array([[1.0, 0.0], [2.0, -1.0], [0.5, 0.3], [0.5, -0.1]])
        cov = jnp.linalg.inv(jnp.eye(2) + s.T @ s / 4)

        def loss(mean, entries):
            factor = jnp.zeros((2, 2)).at[jnp.tril_indices(2)].set(entries)
            context = Context(
                s,
                s[:, 0] > 0,
                jnp.tile(mean[None], (4, 1)),
                jnp.tile(factor[None], (4, 1, 1)),
                (),
                (),
            )
            return encoder_loss.gaussian_loss(context, newton, s).mean()

        best = newton.mean(axis=0), jnp.linalg.cholesky(cov)[jnp.tril_indices(2)]
        for gradient in jax.jit(jax.grad(loss, argnums=(0, 1)))(*best):
            np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
        for argument in (0, 1):
            assert np.linalg.eigvalsh(jax.jit(jax.hessian(loss, argnums=argument))(*best)).min() > 0


@pytest.mark.parametrize("share", [0.0, 1 - 1e-6])  # no row, or every one
def test_null_rows_train_the_null_branch_alone(share):
    settings = em.Settings(null_probability=share, draws=2)
    params = jax.jit(ENCODER.init)(jax.random.key(0), X)
    x = MODEL.sample(jax.random.key(1), 8)[0]
    z = jax.random.normal(jax.random.key(2), (8, 2))
    sample = PosteriorSample(z, Frame(0 * z, jnp.tile(jnp.eye(2), (8, 1, 1))), z, -z - 1.0)
    grads, metrics = jax.jit(jax.grad(em.encoder_loss, has_aux=True), static_argnums=(3, 7))(
        params, None, jax.random.key(3), ENCODER, x, sample, z, settings
    )
    grads = grads["params"]
    for name in ("mean_head", "width_head", "shear_head"):
        assert (np.abs(grads[name]["bias"]).max() == 0) == (share > 0)
    assert np.abs(grads["output"]["bias"]).max() > 0
    assert (
        np.abs(grads["embed_layers_0"]["kernel"]).max() == 0
    )  # output layers are zero: nothing reaches x yet
    assert (metrics["precision"] == 0) == (share > 0)


@pytest.mark.parametrize(
    "reference, target",
    [
        ("posterior", "mixture"),
        ("posterior", "pressure"),
        ("posterior", "denoising"),
        ("prior", "mixture"),
    ],
)
def test_the_exact_gaussian_has_its_rate_and_no_loss_where_the_network_holds_none(
    reference, target
):
    """Pairs from a Gaussian posterior: the encoder that holds it as reference has nothing left to
    regress."""
    encoder = DiffusionEncoder(ENCODER.network, reference)
    params = jax.jit(encoder.init)(jax.random.key(0), X)
    for name, bias in {
        "mean_head": [0.7, -1.2],
        "width_head": [-0.6, -0.2],
        "shear_head": [0.8],
    }.items():
        params["params"][name]["bias"] = jnp.array(bias)
    context = jax.jit(encoder.embed)({"encoder": params}, X)
    mean, factor = context.mean, context.factor[0]
    y = jax.random.normal(jax.random.key(1), (4000, 2))
    z, cov = mean + y @ factor.T, factor @ factor.T
    frame = Frame(jnp.tile(mean, (len(z), 1)), jnp.tile(factor, (len(z), 1, 1)))
    sample = PosteriorSample(z, frame, y, -y)
    loss = jax.jit(em.encoder_loss, static_argnums=(3, 7))
    settings = em.Settings(target=target, null_probability=0.0)
    _, metrics = loss(
        params, None, jax.random.key(2), encoder, jnp.tile(X, (len(z), 1)), sample, z, settings
    )
    assert (metrics["encoder_loss"] < 1e-8) == (reference == "posterior" and target != "denoising")
    if reference == "posterior":
        assert metrics["neural_entropy"] == 0.0
        log_ratio = Gaussian(mean[0], cov).log_prob(z) - decoders.log_prior(z)
        np.testing.assert_allclose(
            metrics["rate"], log_ratio.mean(), rtol=1e-4
        )  # the rate of these very draws


def test_smoothed_targets_are_in_the_coordinates_of_the_reference():
    """Proposals from the reference itself, of equal weight: y + grad log posterior is zero for
    each, and in mean."""
    params = jax.jit(ENCODER.init)(jax.random.key(0), X)
    for name, bias in {
        "mean_head": [0.7, -1.2],
        "width_head": [-0.6, -0.2],
        "shear_head": [0.8],
    }.items():
        params["params"][name]["bias"] = jnp.array(bias)
    n = 200
    context = jax.jit(ENCODER.embed)({"encoder": params}, jnp.tile(X, (n, 1)))
    y = jax.random.normal(jax.random.key(1), (3, n, 2))
    z = jax.vmap(whitening.apply, (None, None, 0))(context.mean, context.factor, y)
    slope = jax.vmap(
        lambda y: whitening.solve(jnp.swapaxes(context.factor, 1, 2), -y, lower=False)
    )(y)
    weighted = Proposals(z, jnp.full((3, n), -jnp.log(3.0)), slope)
    frame = Frame(context.mean, context.factor)
    sample = PosteriorSample(z[0], frame, y[0], -y[0], weighted)
    loss = jax.jit(em.encoder_loss, static_argnums=(3, 7))
    values = {}
    for target in ("mixture", "denoising"):
        settings = em.Settings(target=target, null_probability=0.0, draws=2, smooth_targets=True)
        _, metrics = loss(
            params, None, jax.random.key(2), ENCODER, jnp.tile(X, (n, 1)), sample, z[0], settings
        )
        values[target] = metrics["encoder_loss"]
    assert values["mixture"] < 1e-6 < 1e-2 < values["denoising"]
