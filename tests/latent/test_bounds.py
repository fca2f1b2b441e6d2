"""Held-out likelihood: exact with the exact posterior, a bound with any other encoder, and each
example once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from configs.diffusion_encoder import digits
from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian, gaussian_kl
from diffenc.estimate import Estimate, map_examples
from diffenc.latent import bounds, decoders, held_out, systems
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.networks import ConditionalDenoiser
from experiments.diffusion_encoder.settings import read_system

MODEL = FactorAnalysis(
    np.array([[1.0, 0.2], [-0.5, 0.8], [0.3, -0.6]], np.float32),
    np.array([0.1, 0.0, -0.2], np.float32),
    np.float32(0.6),
)
DECODER = decoders.make("gaussian", 3)
DENSE = {"kernel": MODEL.weight.T, "bias": MODEL.mean}
PARAMS = {
    "encoder": None,
    "decoder": {"network": {"params": {"Dense_0": DENSE}}, "log_tau": np.log(MODEL.noise_std)},
}


class FullGaussian:
    """N(posterior mean + offset, stretch^2 posterior covariance): at offset 0 and stretch 1 the
    exact posterior."""

    def __init__(self, offset=0.0, stretch=1.0):
        self.offset, self.stretch = offset, stretch

    def infer(self, params, x):
        mean, cov = MODEL.posterior(x)
        return mean + self.offset, self.stretch**2 * cov

    def sample_and_log_prob(self, key, params, context, num_steps):
        mean, cov = context
        z = Gaussian(jnp.zeros(2), cov).sample(key, len(mean))
        return mean + z, Gaussian(jnp.zeros(2), cov).log_prob(z)


@functools.partial(jax.jit, static_argnums=(0, 1))
def of_gaussian(n, num_samples, offset=0.0, stretch=1.0):
    """Terms of a `FullGaussian` for n examples, their -log p(x), and its divergence from the
    posterior."""
    x = MODEL.sample(jax.random.key(0), n)[0]
    cov = MODEL.posterior(x)[1]
    divergence = gaussian_kl(jnp.full(2, offset), stretch**2 * cov, jnp.zeros(2), cov)
    encoder = FullGaussian(offset, stretch)
    found = bounds.terms(jax.random.key(1), encoder, DECODER, PARAMS, x, num_samples, 1)
    return found, -MODEL.log_prob(x), divergence


@pytest.mark.parametrize("num_samples", [1, 7])
def test_the_exact_posterior_has_no_variance(num_samples):
    found, exact, _ = jax.device_get(of_gaussian(20, num_samples))
    np.testing.assert_allclose(found.neg_elbo, exact, rtol=1e-5)
    np.testing.assert_allclose(found.nll, exact, rtol=1e-5)
    np.testing.assert_allclose(found.ess, num_samples, rtol=1e-4)
    np.testing.assert_allclose(found.rate + found.distortion, found.neg_elbo, rtol=1e-5)


@pytest.mark.parametrize("offset, stretch", [(0.0, 1.3), (0.2, 1.1)])
def test_another_encoder_pays_its_divergence(offset, stretch):
    found, exact, divergence = jax.device_get(of_gaussian(4000, 16, offset, stretch))
    assert_mean(found.neg_elbo - exact, divergence)
    nll_gap = Estimate.of(found.nll - exact)
    assert (
        -3 * nll_gap.stderr < nll_gap.mean < 0.2 * divergence
    )  # between the truth and the one-sample bound
    assert np.all(found.nll <= found.neg_elbo + 1e-4)  # Jensen, for each example
    assert np.all((found.ess > 1) & (found.ess < 16))


@pytest.mark.parametrize("asks_the_decoder", [False, True])
def test_the_weights_of_a_diffusion_encoder_have_the_likelihood_as_mean(asks_the_decoder):
    """E_q[p(x, z)/q(z|x)] = p(x) for the density of the discrete sampler, here of two steps."""
    asks = dict(newton_steps=2, pressure=True) if asks_the_decoder else {}
    network = ConditionalDenoiser(latent_dim=2, embed_features=(8,), features=(8,))
    encoder = DiffusionEncoder(network, decoder=DECODER, **asks)

    params = encoder.init(jax.random.key(0), np.zeros((1, 3), np.float32))
    kernel = jax.jit(lambda: 0.4 * jax.random.normal(jax.random.key(1), (8, 2)))()
    params["params"]["output"]["kernel"] = kernel

    @jax.jit
    def terms(params):
        x = jnp.tile(MODEL.sample(jax.random.key(0), 1)[0], (4000, 1))
        found = bounds.terms(jax.random.key(1), encoder, DECODER, params, x, 2, 2)
        return found, MODEL.log_prob(x)

    found, log_p = jax.device_get(terms({**PARAMS, "encoder": params}))
    assert_mean(np.exp(-found.nll - log_p), 1.0)
    divergence = Estimate.of(found.neg_elbo + log_p).mean
    assert divergence > (0.02 if asks_the_decoder else 0.1)  # it is far from the posterior


def test_an_estimate_is_the_mean_with_its_standard_error():
    mean, stderr = Estimate.of([1.0, 2.0, 4.0, 5.0])
    assert mean == 3.0 and stderr == pytest.approx(np.sqrt(10 / 3 / 4))
    values = np.random.default_rng(0).normal(size=(2000, 50))
    deviations = [Estimate.of(row).mean / Estimate.of(row).stderr for row in values]
    assert_mean(np.square(deviations), 49 / 47)  # the variance of Student's t
    with pytest.raises(ValueError, match="two values or more, got 1"):
        Estimate.of([1.0])


@jax.jit
def sum_and_first(rows):
    return {"sum": jnp.sum(rows, axis=1), "first": rows[:, :1]}


@pytest.mark.parametrize("n, batch_size", [(1, 4), (3, 4), (4, 4), (5, 4), (12, 4), (10, 3)])
def test_each_example_is_counted_once_and_in_order(n, batch_size):
    x, sizes = np.arange(2.0 * n).reshape(n, 2), []

    def fn(key, rows):
        sizes.append(len(rows))
        return sum_and_first(rows)

    for key, size in ((jax.random.key(0), 1), (None, min(n, batch_size))):
        found = map_examples(fn, key, x, batch_size)
        np.testing.assert_array_equal(found["sum"], x.sum(axis=1))
        np.testing.assert_array_equal(found["first"], x[:, :1])
        assert set(sizes) == {size}  # one shape, one compilation
        sizes.clear()


def test_the_size_of_batches_changes_no_draw():
    """Every example has a key of its own, that of its index."""

    @jax.jit
    def draw(key, rows):
        return jax.random.normal(key, rows.shape) + rows

    noise = [
        map_examples(draw, jax.random.key(0), np.zeros((10, 3)), size) for size in (4, 3, 10, 1)
    ]
    assert len(np.unique(noise[0])) == 30
    for other in noise[1:]:
        np.testing.assert_array_equal(other, noise[0])


def test_terms_and_chains_are_those_of_any_batch_size():
    """Also those of a chain whose step adapts: it did so to all examples of a batch together."""
    config = digits.get_config()
    config.update_from_flattened_dict({"eval.num_samples": 2, "model.features": (8,)})
    config.model.update(decoder_features=(8,), embed_features=(8,))
    x = np.random.default_rng(0).integers(0, 2, (20, 9)).astype(np.float32)
    decoder = decoders.make("bernoulli", 9, (8,), "tanh")
    system = systems.make(read_system(config, "vae"), decoder, (9,), 20, config.seed)
    params = system.state.params
    ends = []
    for batch_size in (20, 7):
        key = jax.random.key(1)
        terms = held_out.map_bound(key, bounds.terms, system, params, x, 2, batch_size)
        pairs = held_out.reconstructions(jax.random.key(2), system, params, x, 5, batch_size)
        ends.append((terms, pairs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *ends)


def test_an_estimate_takes_independent_values_only():
    values = np.random.default_rng(0).standard_normal((3, 5))
    with pytest.raises(ValueError, match=r"independent values \[n\], not an array \[3, 5\]"):
        Estimate.of(values)
    with pytest.raises(ValueError, match="two values or more, got 1"):
        Estimate.of(values[0, :1])
    assert Estimate.of(values[0]).mean == pytest.approx(values[0].mean())
