"""Bounds of likelihood where every term is known: a law of two pixels with its exact denoiser, and
Gaussian data."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean
from scipy import integrate
from two_pixels import (
    CODE_LENGTHS,
    ENTROPY,
    LAW,
    SIZE,
    STATES,
    Exact,
    Range,
    draw_terms,
    mean_length,
    price,
)

from diffenc.diffusion import kraft, likelihood, warmth
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals
from diffenc.networks import ModulatedMLP

LOW = -8.0
clone = jax.random.clone  # the same draws again, on purpose


@functools.partial(jax.jit, static_argnums=(0, 5))
def terms_of_states(denoiser, params, marginals, key, levels, draws):
    """The terms of all 289 states, drawn three times."""
    keys = jax.random.split(key, 3)
    return draw_terms(keys, denoiser, params, marginals, STATES, levels, draws)


def start(bins):
    return warmth.log_snr_of_bins(bins, Alphabet(SIZE).spacing)


@functools.cache
def exact_terms(bins, informed):
    levels = Range(LOW, start(bins))
    draws = 400 if bins < 0.5 else 200  # each enough for an error below 0.02
    return terms_of_states(Exact(informed=informed), None, None, jax.random.key(0), levels, draws)


@pytest.mark.parametrize(
    "bins, informed",
    [
        (0.17, True),
        pytest.param(0.5, True, marks=pytest.mark.slow),
        (1.65, True),
        (1.65, False),
    ],
)
def test_the_bound_of_the_exact_denoiser_is_the_code_length(bins, informed):
    """Of every state, but for the price of the decoder, which is next to nothing from a cold start.
    From a warm one an informed decoder costs less than one that weighs all values alike."""
    law = LAW.reshape(-1)
    of_decoder = price(start(bins), informed)
    terms = exact_terms(bins, informed)
    lengths = np.asarray(terms.total, np.float64)
    np.testing.assert_array_equal(lengths, terms.prior + terms.diffusion + terms.reconstruction)
    assert_mean((lengths - CODE_LENGTHS - of_decoder).mean(axis=0), 0.0)
    mean, stderr = mean_length(lengths, law)
    assert stderr < 0.02 and abs(mean - ENTROPY - law @ of_decoder) < NUM_SIGMAS * stderr
    total, stderr = kraft.kraft_sum(lengths)
    expected = law @ np.exp(-of_decoder)
    assert stderr < 0.02 and abs(total - expected) < NUM_SIGMAS * stderr


def test_what_has_no_reconstruction_term_is_no_code_length():
    """The information-theoretic quantity passes from a colder start, where it is above the entropy,
    and fails from a warm one; the diffusion alone fails more."""
    for bins, holds in ((0.5, True), (1.65, False)):
        terms = exact_terms(bins, True)
        quantity = likelihood.it_nll(terms.weighted, 2)
        total, stderr = kraft.kraft_sum(quantity)
        assert stderr < 0.02 and (total < 1 - 0.1 if holds else total > 1 + 0.1)
        mean, stderr = mean_length(quantity, LAW.reshape(-1))
        assert stderr < 0.02 and (mean > ENTROPY + 0.1 if holds else mean < ENTROPY - 0.1)
    total, _ = kraft.kraft_sum(exact_terms(1.65, True).diffusion)
    assert total > 10


@dataclasses.dataclass(frozen=True)
class Moved(Alphabet):
    """A grid that is rescaled and shifted."""

    scale: float = 0.25
    shift: float = 3.0

    @property
    def codes(self):
        return self.scale * super().codes + np.float32(self.shift)


@functools.partial(jax.jit, static_argnums=0)
def invariants(denoiser, params, marginals, key, levels):
    """What does not change if data and grid are shifted and rescaled: all but the prior."""
    terms = likelihood.discrete_terms(key, denoiser, params, marginals, STATES[::9], levels, 8)
    return terms.diffusion, terms.reconstruction


def test_a_shift_and_rescaling_of_data_and_grid_together_changes_nothing():
    """The same noise relative to the codes, at levels that the scale moves, gives the same draws
    of the terms, whatever the network has learned."""
    network = ModulatedMLP(8, 1, num_outputs=2 * SIZE)
    rng = np.random.default_rng(0)
    params = GridDenoiser(network, Alphabet(SIZE)).init(jax.random.key(1), STATES[:1])
    params = jax.tree.map(lambda a: np.float32(a + 0.3 * rng.normal(size=a.shape)), params)

    def at(alphabet, scale):
        marginals = Marginals.of(STATES[:150], alphabet)
        levels = Range(-2.0 - 2 * np.log(scale), 6.0 - 2 * np.log(scale))
        denoiser = GridDenoiser(network, alphabet)
        return invariants(denoiser, params, marginals, jax.random.key(2), levels)

    for before, after in zip(at(Alphabet(SIZE), 1.0), at(Moved(SIZE), 0.25), strict=True):
        assert np.std(before) > 0.1
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


SIGMA_X = 0.7  # standard deviation of each of the DIM numbers of x
DIM = 3
X = SIGMA_X * np.random.default_rng(0).normal(size=(400, DIM)).astype(np.float32)


def denoise_gaussian(x_t, log_snr):
    """The exact denoiser of N(0, SIGMA_X^2 I)."""
    signal = jax.nn.sigmoid(log_snr)[:, None]
    gain = jnp.sqrt(signal) * SIGMA_X**2 / (signal * SIGMA_X**2 + 1 - signal)
    return gain * x_t


@jax.jit
def gaussian_terms(key, levels):
    return likelihood.continuous_terms(key, denoise_gaussian, X, levels, 128)


def closed_terms(square, low, high):
    """Prior, diffusion, reconstruction and the weighted integral for |x|^2 = square [n]."""
    signal = 1 / (1 + np.exp(-low))
    prior = 0.5 * (signal * square + DIM * (-signal - np.log1p(-signal)))

    def integrand(log_snr, weight):
        """Of the parts that |x|^2 and DIM multiply."""
        snr = np.exp(log_snr)
        factor = 0.5 * weight(log_snr) * snr / np.square(1 + SIGMA_X**2 * snr)
        return np.array([factor, factor * SIGMA_X**4 * snr])

    def integral(weight):
        of_square, of_dim = integrate.quad_vec(lambda a: integrand(a, weight), low, high)[0]
        return of_square * square + of_dim * DIM

    reconstruction = np.full_like(square, 0.5 * DIM * (np.log(2 * np.pi * np.e) - high))
    weighted = integral(lambda log_snr: 1 / (1 + np.exp(-log_snr)))
    return likelihood.Terms(prior, integral(lambda log_snr: 1.0), reconstruction, weighted)


@pytest.mark.parametrize("low, high", [(-3.0, 4.0), (-14.0, 12.0)])
def test_every_term_of_gaussian_data_is_the_closed_one(low, high):
    terms = gaussian_terms(jax.random.key(3), Range(low, high))
    closed = closed_terms(np.square(X.astype(np.float64)).sum(axis=1), low, high)
    np.testing.assert_allclose(terms.prior, closed.prior, rtol=1e-5)
    np.testing.assert_allclose(terms.reconstruction, closed.reconstruction, rtol=1e-6)
    assert_mean(terms.diffusion - closed.diffusion, 0.0)
    assert_mean(terms.weighted - closed.weighted, 0.0)


def test_the_bound_of_gaussian_data_falls_to_their_entropy_as_the_range_widens():
    entropy = 0.5 * DIM * np.log(2 * np.pi * np.e * SIGMA_X**2)
    mean_square = np.array([DIM * SIGMA_X**2])
    gaps = [closed_terms(mean_square, -a, a).total[0] - entropy for a in (2.0, 4.0, 8.0, 16.0)]
    assert np.all(np.diff(gaps) < 0) and 0 < gaps[-1] < 1e-6
    lengths = gaussian_terms(jax.random.key(4), Range(-14.0, 12.0)).total
    log_prob = -0.5 * np.square(X / SIGMA_X).sum(axis=1) - DIM * np.log(SIGMA_X)
    assert_mean(lengths + log_prob - 0.5 * DIM * np.log(2 * np.pi), 0.0)


def test_bits_are_counted_for_each_number():
    np.testing.assert_allclose(likelihood.bits_per_dim(12 * np.log(256), 12), 8.0)
    np.testing.assert_allclose(likelihood.it_nll(1.0, 2), 1 + np.log(2 * np.pi * np.e), rtol=1e-6)
