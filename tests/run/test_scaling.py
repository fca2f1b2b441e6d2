"""Data in their own units: the density is that of the data, whatever their scale."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS
from sklearn import decomposition
from tiny_models import make_model

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.latent import decoders, systems
from diffenc.run import data, scaling
from experiments.diffusion_encoder import examples

DIM = 4
N = 2000
TURNS = np.pi / 4 * np.arange(DIM)
WEIGHT = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)  # all columns have one variance
NOISE = 0.5
MODEL = make_model(decoder="gaussian", diffusion=None)
COV = WEIGHT @ WEIGHT.T + NOISE**2 * np.eye(DIM)


def dataset_of(train, test, max_value=None):
    return data.Dataset("mine", train, test, None, None, max_value)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_nll_of_a_linear_gaussian_is_the_entropy_of_the_users_numbers(unit):
    """The decoder is the maximum-likelihood one of x; log p(x) = log p(x, z) - log p(z|x)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * N, 2)) @ WEIGHT.T + NOISE * rng.normal(size=(2 * N, DIM))
    rows = np.float32(unit * (x + 3.0))
    units = examples.make_scaling("gaussian", dataset_of(rows[:N], rows[N:]))
    x = units.prepare(jax.random.key(0), jnp.asarray(rows))
    np.testing.assert_allclose(x[:N].std(axis=0), 1.0, rtol=1e-5)
    np.testing.assert_allclose(units.restore(x), rows, rtol=1e-5, atol=1e-5 * unit)
    model = FactorAnalysis.maximum_likelihood(x[:N], 2)
    decoder = dataclasses.replace(decoders.make("gaussian", DIM), log_volume=units.log_volume(DIM))
    params = {
        "network": {"params": {"Dense_0": {"kernel": model.weight.T, "bias": model.mean}}},
        "log_tau": jnp.log(model.noise_std),
    }
    held_out = x[N:]
    mean, cov = model.posterior(held_out)
    log_joint = decoders.log_joint(decoder, params, held_out, mean)
    log_posterior = -0.5 * np.linalg.slogdet(2 * np.pi * np.asarray(cov))[1]
    nll = Estimate.of(log_posterior - np.asarray(log_joint))
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * unit**2 * COV)[1]
    assert abs(nll.mean - entropy) < NUM_SIGMAS * nll.stderr and nll.stderr < 0.04


NOISES = np.array([0.1, 0.3, 0.9, 0.5])  # of the columns, beside loadings of length 1
UNITS = np.array([1e-3, 1.0, 1e3, 30.0])


def test_of_unequal_noise_the_nll_with_a_tau_for_each_column_is_the_entropy():
    """Both decoders are the maximum-likelihood ones of x; log p(x) = log p(x, z) - log p(z|x)."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2 * N, 2)) @ WEIGHT.T + NOISES * rng.normal(size=(2 * N, DIM))
    rows = np.float32(UNITS * (x + 3.0))
    units = examples.make_scaling("gaussian", dataset_of(rows[:N], rows[N:]))
    x = np.asarray(units.prepare(jax.random.key(0), jnp.asarray(rows)), np.float64)
    of_columns = decomposition.FactorAnalysis(2, tol=1e-8, max_iter=10_000).fit(x[:N])
    of_all = FactorAnalysis.maximum_likelihood(x[:N], 2)
    nlls = {}
    for noise, weight, mean, tau in (
        ("auto", of_columns.components_.T, of_columns.mean_, of_columns.noise_variance_**0.5),
        ("one", *map(np.asarray, (of_all.weight, of_all.mean, of_all.noise_std))),
    ):
        decoder = systems.make_decoder(
            dataclasses.replace(MODEL, noise=noise), (DIM,), log_volume=units.log_volume(DIM)
        )
        params = {
            "network": {"params": {"Dense_0": {"kernel": weight.T, "bias": mean}}},
            "log_tau": jnp.log(tau),
        }
        shapes = jax.eval_shape(lambda decoder=decoder: decoder.init(jax.random.key(0), 2))
        assert shapes["log_tau"].shape == params["log_tau"].shape
        precision = np.eye(2) + (weight.T / tau**2) @ weight
        z = (x[N:] - mean) / tau**2 @ weight @ np.linalg.inv(precision)
        log_joint = decoders.log_joint(decoder, params, jnp.float32(x[N:]), jnp.float32(z))
        log_posterior = 0.5 * np.linalg.slogdet(precision / (2 * np.pi))[1]
        nlls[noise] = log_posterior - np.asarray(log_joint)
    nll = Estimate.of(nlls["auto"])
    cov = UNITS[:, None] * (WEIGHT @ WEIGHT.T + np.diag(NOISES**2)) * UNITS
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * cov)[1]
    assert abs(nll.mean - entropy) < NUM_SIGMAS * nll.stderr and nll.stderr < 0.04
    excess = Estimate.of(nlls["one"] - nlls["auto"])
    scale = np.asarray(units.scale)
    ratio = np.linalg.solve(weight @ weight.T + tau**2 * np.eye(DIM), cov / np.outer(scale, scale))
    divergence = 0.5 * (np.trace(ratio) - DIM - np.linalg.slogdet(ratio)[1])
    assert abs(excess.mean - divergence) < NUM_SIGMAS * excess.stderr < divergence


def test_a_column_of_few_values_has_a_density_with_a_limit():
    """However small its tau becomes; images have one tau, and so have models of old runs."""
    decoder = systems.make_decoder(dataclasses.replace(MODEL, noise="column"), (DIM,))
    params = {
        "network": {"params": {"Dense_0": {"kernel": np.zeros((2, DIM)), "bias": np.zeros(DIM)}}},
        "log_tau": jnp.full(DIM, -30.0),
    }
    log_prob = decoder.log_prob(params, jnp.zeros((1, DIM)), jnp.zeros((1, 2)))
    limit = -DIM * (np.log(decoders.LEAST_TAU) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(log_prob, limit, rtol=1e-5)
    assert not systems.make_decoder(dataclasses.replace(MODEL, noise="auto"), (4, 4)).has_columns
    assert not systems.make_decoder(MODEL, (DIM,)).has_columns
    with pytest.raises(InputError, match="noise is 'each': choose one of auto, column, one"):
        dataclasses.replace(MODEL, noise="each")


def test_whole_numbers_are_dequantized_and_their_density_is_of_cells():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (N, 2, 2, 1)).astype(np.uint8)
    units = examples.make_scaling("gaussian", dataset_of(images, images[:9], 255.0))
    x = np.asarray(units.prepare(jax.random.key(0), jnp.asarray(images)))
    again = np.asarray(units.prepare(jax.random.key(1), jnp.asarray(images)))
    assert len(units.scale) == 1 and x.std() == pytest.approx(1.0, abs=1e-3)
    assert 0 < np.abs(x - again).max() < 1 / units.scale[0]
    assert np.abs(units.restore(x) - images).max() <= 0.5
    # Uniform bytes: the density of uniform x is 256^-D in cells.
    density = -np.log(256 / units.scale[0])
    assert density - units.log_volume(1) == pytest.approx(-np.log(256))


def test_what_numbers_alone_do_not_tell_is_asked_or_said(caplog):
    rng = np.random.default_rng(2)
    shares = rng.uniform(size=(200, 3)).astype(np.float32)
    dataset = dataset_of(shares[:150], shares[150:], 1.0)
    with pytest.raises(InputError, match="numbers in .0, 1.: say what they are, chances of bits"):
        examples.read_values(dataset, "auto", "bernoulli")
    assert examples.read_values(dataset, "chances", "bernoulli") is dataset
    assert examples.read_values(dataset, "auto", "gaussian").max_value is None
    with pytest.raises(InputError, match="data.values is 'chances', which are of bits"):
        examples.read_values(dataset, "chances", "gaussian")
    bits = np.round(shares)
    assert examples.read_values(dataset_of(bits, bits, 1.0), "auto", "bernoulli").max_value == 1.0
    assert not caplog.text
    signs = examples.read_values(dataset_of(2 * bits - 1, 2 * bits - 1), "auto", "bernoulli")
    assert "-1 and +1 alone, which are taken as bits" in caplog.text and signs.has_signs
    units = examples.make_scaling("bernoulli", signs)
    x = units.prepare(jax.random.key(0), jnp.asarray(signs.train))
    np.testing.assert_array_equal(x, bits)
    np.testing.assert_array_equal(units.restore(x), signs.train)
    assert units.log_volume(3) == 0.0


def test_what_max_value_says_is_not_said_again():
    digits = data.load("digits")
    assert examples.make_scaling("bernoulli", digits).fields(64) == {}
    assert scaling.Scaling().fields(3) == {}
    assert set(examples.make_scaling("gaussian", digits).fields(64)) == {
        "shift",
        "scale",
        "is_whole",
        "log_volume",
    }
