"""Alphabets: where their codes stand, what x_t says of the values, and which values they refuse."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from diffenc.diffusion.alphabet import Alphabet, values_of
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError

ALPHABETS = [Alphabet(256), Alphabet(5, "one_hot"), Alphabet(5, "bits"), Alphabet(2), Alphabet(17)]
every_alphabet = pytest.mark.parametrize("alphabet", ALPHABETS, ids=lambda a: f"{a.kind}-{a.size}")


def test_codes():
    np.testing.assert_allclose(Alphabet(2).codes, [[-0.5], [0.5]])
    np.testing.assert_allclose(Alphabet(4).codes[:, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(Alphabet(3, "one_hot").codes, np.eye(3))
    bits = [[-1, -1, -1], [1, -1, -1], [-1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    np.testing.assert_array_equal(Alphabet(5, "bits").codes, bits)
    sizes = [Alphabet(size, "bits").code_dim for size in (2, 3, 4, 5, 8, 9, 256, 257)]
    assert sizes == [1, 2, 2, 3, 3, 4, 8, 9]


@every_alphabet
def test_the_spacing_is_the_distance_of_the_nearest_codes(alphabet):
    codes = alphabet.codes.astype(np.float64)
    distance = np.linalg.norm(codes[:, None] - codes, axis=-1)
    nearest = distance[~np.eye(len(codes), dtype=bool)].min()
    np.testing.assert_allclose(alphabet.spacing, nearest, rtol=1e-4)
    assert codes.shape == (alphabet.size, alphabet.code_dim) and alphabet.codes.dtype == np.float32


@functools.partial(jax.jit, static_argnums=0)
def posterior(alphabet, x, eps, log_snr):
    """The codes, x_t, the posterior of values that are equally probable, log P(x) and the mean."""
    codes = alphabet.encode(x)
    shape = (-1,) + (1,) * (codes.ndim - 1)
    alpha, sigma = alpha_sigma(log_snr.reshape(shape))
    x_t = alpha * codes + sigma * eps
    log_prob = jax.nn.log_softmax(alphabet.log_likelihood(x_t, log_snr), axis=-1)
    mean = alphabet.mean(jnp.exp(log_prob))
    return codes, x_t, log_prob, values_of(log_prob, x), mean


@every_alphabet
def test_the_posterior_is_that_of_exact_arithmetic(alphabet):
    """In float32, from noise that hides everything to noise of an eighth of a bin: log-likelihoods
    of millions, of which the largest are known to rounding."""
    rng = np.random.default_rng(0)
    shape = (6, 4, 4, 3)  # images with channels
    log_snr = np.array([-8.0, 0.0, 4.0, 8.0, 11.0, 14.0], np.float32)
    x = rng.integers(0, alphabet.size, shape).astype(np.uint8)
    eps = rng.normal(size=(*shape[:-1], 3 * alphabet.code_dim)).astype(np.float32)
    codes, x_t, log_prob, of_x, mean = map(np.asarray, posterior(alphabet, x, eps, log_snr))

    by_value = codes.reshape(*shape, alphabet.code_dim)
    np.testing.assert_array_equal(by_value, alphabet.codes[x])
    snr = np.exp(log_snr.astype(np.float64)).reshape(-1, 1, 1, 1, 1)
    at = by_value + eps.reshape(by_value.shape) / np.sqrt(snr)
    distance = np.square(at[..., None, :] - alphabet.codes.astype(np.float64)).sum(axis=-1)
    exact = log_softmax(-0.5 * snr * distance, axis=-1)
    # x_t and alpha c are rounded by 2^-24 of their size, at most 5. The likelihood counts that in
    # units of sigma, times the distance in these units. The sum over values is rounded too.
    of_x_t = 2.0**-23 * 5 * np.sqrt(snr) * (1 + np.sqrt(snr * distance))
    of_square = 2.0**-22 * snr * distance
    of_sum = 2.0**-23 * (np.sqrt(alphabet.size) + np.abs(exact))
    rounding = alphabet.code_dim * (of_x_t + of_square) + of_sum
    np.testing.assert_array_less(np.abs(log_prob - exact), rounding)
    chosen = np.take_along_axis(log_prob, x[..., None].astype(int), axis=-1)
    np.testing.assert_array_equal(of_x, chosen[..., 0])
    exact_mean = (np.exp(exact) @ alphabet.codes.astype(np.float64)).reshape(mean.shape)
    np.testing.assert_allclose(mean[:3], exact_mean[:3], atol=1e-5)
    np.testing.assert_allclose(mean[-1], exact_mean[-1], atol=2.0**-22)


@pytest.mark.parametrize("alphabet", [Alphabet(17), Alphabet(4, "bits"), Alphabet(5, "one_hot")])
def test_values_that_change_places_with_their_codes_change_nothing_else(alphabet):
    """A grid is turned round; the digits or corners of the others change places."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, alphabet.size, (6, 4, 4, 3)).astype(np.uint8)
    eps = rng.normal(size=(6, 4, 4, 3 * alphabet.code_dim)).astype(np.float32)
    log_snr = np.linspace(-4.0, 9.0, 6, dtype=np.float32)
    values = np.arange(alphabet.size)
    order = {"grid": values[::-1], "bits": np.array([0, 2, 1, 3]), "one_hot": np.roll(values, 2)}
    moved = order[alphabet.kind]  # value l becomes moved[l]
    by_value = eps.reshape(*x.shape, -1)
    places = {"grid": [0], "bits": [1, 0], "one_hot": np.argsort(moved)}[alphabet.kind]
    sign = -1 if alphabet.kind == "grid" else 1
    moved_eps = sign * by_value[..., places].reshape(eps.shape)
    _, _, log_prob, of_x, _ = posterior(alphabet, x, eps, log_snr)
    moved_x = moved[x].astype(np.uint8)
    _, _, moved_log_prob, moved_of_x, _ = posterior(alphabet, moved_x, moved_eps, log_snr)
    moved_back = np.asarray(moved_log_prob)[..., moved]
    np.testing.assert_allclose(moved_back, log_prob, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(moved_of_x, of_x, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "x, message",
    [
        (np.array([0.0, 3.5, 2.5]), "a value of images is 3.5: give whole numbers from 0 to 4$"),
        (np.array([0.0, np.nan]), "a value of images is nan"),
        (np.array([0.0, np.inf]), "a value of images is inf"),
        (np.array([[4, 5]], np.uint8), "a value of images is 5: .* from 0 to 4"),
        (np.array([0, -1]), "a value of images is -1"),
        (np.array(["a"]), "the type of images is <U1: give whole numbers"),
    ],
)
def test_values_that_it_does_not_have_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        Alphabet(5).check(x, "images")


def test_values_that_it_has_are_not_refused():
    alphabet = Alphabet(5)
    for x in (np.arange(5), np.arange(5.0), np.array([True, False]), np.zeros((0, 2))):
        alphabet.check(x)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1,), "size is 1: give 2 or more"),
        ((2.5,), "size is 2.5: give a whole number"),
        ((5, "onehot"), "kind is 'onehot': .*nearest: one_hot"),
    ],
)
def test_alphabets_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Alphabet(*arguments)
