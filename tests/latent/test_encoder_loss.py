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
    z = np.random.default_rng(0).normal(size=(8000, 2)).astype(np.float32)
    draw = jax.jit(encoder_loss.dream_gradient, static_argnums=(1, 4))
    s = np.asarray(draw(jax.random.key(1), DECODER, decoder_params(MODEL), z, gamma))
    _, cov = jax.jit(MODEL.posterior)(X, gamma)
    assert_mean(s, 0.0)
    assert_mean(s[:, :, None] * s[:, None, :], np.linalg.inv(cov) - np.eye(2))


def test_the_gaussian_loss_is_least_at_the_covariance_and_the_mean_of_newton_steps():
    """Over lower-triangular factors, with E[s s^T] known exactly: the gradient vanishes at C = (I +
    E s s^T)^-1."""
    s = np.array([[1.5, 0.3], [-1.5, -0.3], [0.4, -2.0], [-0.4, 2.0]])
    newton = np.array([[1.0, 0.0], [2.0, -1.0], [0.5, 0.3], [0.5, -0.1]])
    cov = np.linalg.inv(np.eye(2) + s.T @ s / 4)
    best = newton.mean(axis=0), np.linalg.cholesky(cov)[np.tril_indices(2)]

    def loss(mean, entries):
        factor = jnp.zeros((2, 2)).at[np.tril_indices(2)].set(entries)
        context = Context(
            s,
            s[:, 0] > 0,
            jnp.tile(mean[None], (4, 1)),
            jnp.tile(factor[None], (4, 1, 1)),
            (),
            (),
        )
        return encoder_loss.gaussian_loss(context, newton, s).mean()

    @jax.jit
    def derivatives(*at):
        hessians = [jax.hessian(loss, argnums=argument)(*at) for argument in (0, 1)]
        return jax.grad(loss, argnums=(0, 1))(*at), hessians

    with jax.enable_x64(True):
        gradients, hessians = derivatives(*best)
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
    for hessian in hessians:
        assert np.linalg.eigvalsh(hessian).min() > 0


@pytest.mark.parametrize("share", [0.0, 1 - 1e-6])  # no row, or every one
def test_null_rows_train_the_null_branch_alone(share):
    settings = em.Settings(null_probability=share, draws=2)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 3)).astype(np.float32)
    z = rng.normal(size=(8, 2)).astype(np.float32)
    frame = Frame(0 * z, np.tile(np.eye(2, dtype=np.float32), (8, 1, 1)))
    sample = PosteriorSample(z, frame, z, -z - 1.0)
    gradient = jax.grad(em.encoder_loss, has_aux=True)

    params = ENCODER.init(jax.random.key(0), X)

    @jax.jit
    def evaluate(params):
        return gradient(params, None, jax.random.key(3), ENCODER, x, sample, z, settings)

    grads, metrics = jax.device_get(evaluate(params))
    grads = grads["params"]
    for name in ("mean_head", "width_head", "shear_head"):
        assert (np.abs(grads[name]["bias"]).max() == 0) == (share > 0)
    assert np.abs(grads["output"]["bias"]).max() > 0
    assert (
        np.abs(grads["embed_layers_0"]["kernel"]).max() == 0
    )  # output layers are zero: nothing reaches x yet
    assert (metrics["precision"] == 0) == (share > 0)


def fitted_params(encoder):
    """Parameters of a reference that is not the prior, as numpy arrays."""
    params = jax.device_get(encoder.init(jax.random.key(0), X))
    biases = {"mean_head": [0.7, -1.2], "width_head": [-0.6, -0.2], "shear_head": [0.8]}
    for name, bias in biases.items():
        params["params"][name]["bias"] = np.array(bias, np.float32)
    return params


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
    params = fitted_params(encoder)
    settings = em.Settings(target=target, null_probability=0.0)
    y = np.random.default_rng(1).normal(size=(4000, 2)).astype(np.float32)

    @jax.jit
    def evaluate():
        """The metrics, and log q(z|x) - log p(z) of the very draws."""
        context = encoder.embed({"encoder": params}, X)
        mean, factor = context.mean, context.factor[0]
        z, cov = mean + y @ factor.T, factor @ factor.T
        frame = Frame(jnp.tile(mean, (len(z), 1)), jnp.tile(factor, (len(z), 1, 1)))
        sample = PosteriorSample(z, frame, y, -y)
        x = jnp.tile(X, (len(z), 1))
        _, metrics = em.encoder_loss(
            params, None, jax.random.key(2), encoder, x, sample, z, settings
        )
        return metrics, Gaussian(mean[0], cov).log_prob(z) - decoders.log_prior(z)

    metrics, log_ratio = jax.device_get(evaluate())
    assert (metrics["encoder_loss"] < 1e-8) == (reference == "posterior" and target != "denoising")
    if reference == "posterior":
        assert metrics["neural_entropy"] == 0.0
        np.testing.assert_allclose(metrics["rate"], log_ratio.mean(), rtol=1e-4)


def test_smoothed_targets_are_in_the_coordinates_of_the_reference():
    """Proposals from the reference itself, of equal weight: y + grad log posterior is zero for
    each, and in mean."""
    n, params = 200, fitted_params(ENCODER)
    y = np.random.default_rng(1).normal(size=(3, n, 2)).astype(np.float32)

    @jax.jit
    def losses():
        x = jnp.tile(X, (n, 1))
        context = ENCODER.embed({"encoder": params}, x)
        z = jax.vmap(whitening.apply, (None, None, 0))(context.mean, context.factor, y)
        upper = jnp.swapaxes(context.factor, 1, 2)
        slope = jax.vmap(lambda y: whitening.solve(upper, -y, lower=False))(y)
        weighted = Proposals(z, jnp.full((3, n), -jnp.log(3.0)), slope)
        frame = Frame(context.mean, context.factor)
        sample = PosteriorSample(z[0], frame, y[0], -y[0], weighted)

        def loss(target):
            settings = em.Settings(
                target=target, null_probability=0.0, draws=2, smooth_targets=True
            )
            _, metrics = em.encoder_loss(
                params, None, jax.random.key(2), ENCODER, x, sample, z[0], settings
            )
            return metrics["encoder_loss"]

        return loss("mixture"), loss("denoising")

    mixture, denoising = jax.device_get(losses())
    assert mixture < 1e-6 < 1e-2 < denoising
