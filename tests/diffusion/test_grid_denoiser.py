"""The denoiser of discrete data: the equations of its heads, what its network sees and has to give,
and that it is exact, in float32, where noise is small."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean
from scipy.special import expit, log_softmax, softmax

from diffenc.diffusion.alphabet import Alphabet, values_of
from diffenc.diffusion.grid_denoiser import (
    COMPONENTS,
    FLOOR,
    HEADS,
    GridDenoiser,
    Marginals,
    num_outputs,
)
from diffenc.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 17, (40, 2, 2, 3)) * RNG.integers(0, 2, (40, 2, 2, 3))
GRID = Alphabet(17)
MARGINALS = Marginals.of(IMAGES, GRID)


@dataclasses.dataclass(frozen=True)
class Constant:
    """A network whose parameters are its output."""

    def apply(self, params, u, level, rngs=None):
        return params


@dataclasses.dataclass(frozen=True)
class Echo:
    """A network that says what it was called with: u, plus the level, plus 100 for a key."""

    def apply(self, params, u, level, rngs=None):
        return u + level.reshape(-1, 1, 1, 1) + (0.0 if rngs is None else 100.0)


@functools.partial(jax.jit, static_argnums=0)
def evaluate(denoiser, params, marginals, x_t, log_snr):
    arguments = params, marginals, x_t, log_snr
    log_weights = denoiser.log_weights(*arguments)
    return log_weights, denoiser.log_prob(*arguments), denoiser.denoise(*arguments)


def draw(alphabet, head, x, log_snr, scale=1.0):
    """An output of the network, and x_t of values x."""
    rng = np.random.default_rng(1)
    size = num_outputs(head, alphabet, x.shape[-1])
    out = scale * rng.normal(size=(*x.shape[:-1], size)).astype(np.float32)
    codes = alphabet.codes.astype(np.float64)[x].reshape(*x.shape[:-1], -1)
    signal = expit(log_snr.astype(np.float64)).reshape((-1,) + (1,) * (x.ndim - 1))
    x_t = np.sqrt(signal) * codes + np.sqrt(1 - signal) * rng.normal(size=codes.shape)
    return out, np.float32(x_t)


def exact_log_likelihood(alphabet, x_t, log_snr):
    """log p(x_t|l) in float64 [batch, ..., c, K]."""
    signal = expit(log_snr.astype(np.float64)).reshape((-1,) + (1,) * x_t.ndim)
    at = x_t.reshape(*x_t.shape[:-1], -1, 1, alphabet.code_dim)
    away = at - np.sqrt(signal)[..., None] * alphabet.codes.astype(np.float64)
    return -0.5 * np.square(away).sum(axis=-1) / (1 - signal)


def exact_cells(marginals, out, size):
    """The masses that two logistic densities and two points give to cells, by their definition."""
    frequency = np.exp(np.asarray(marginals.log_frequency, np.float64))
    ends = frequency[..., [0, -1]]
    between = np.maximum(1 - ends.sum(axis=-1, keepdims=True), FLOOR) / COMPONENTS
    start = np.log(np.concatenate([ends, between, between], axis=-1))
    weight = softmax(out[..., :4] + start, axis=-1)
    location = out[..., 4:6, None] + np.array([-1 / 3, 1 / 3])[:, None]
    edges = np.linspace(-1, 1, size + 1)[1:-1]
    inner = expit((edges - location) * np.exp(1 - out[..., 6:8, None]))
    ones = np.ones((*inner.shape[:-1], 1))
    cells = np.diff(np.concatenate([0 * ones, inner, ones], axis=-1), axis=-1)
    cells = (weight[..., 2:, None] * cells).sum(axis=-2)
    cells[..., 0] += weight[..., 0]
    cells[..., -1] += weight[..., 1]
    return cells


@pytest.mark.parametrize("head", HEADS)
def test_the_posterior_is_that_of_the_weights(head):
    """log P(x|x_t) and x_hat of an arbitrary output of the network, in float64."""
    x = IMAGES[:5]
    log_snr = np.linspace(-3.0, 6.0, 5, dtype=np.float32)
    out, x_t = draw(GRID, head, x, log_snr)
    denoiser = GridDenoiser(Constant(), GRID, head)
    _, log_prob, x_hat = evaluate(denoiser, out, MARGINALS, x_t, log_snr)
    of_each = np.float64(out).reshape(*x.shape, -1)
    if head == "logits":
        log_weights = of_each + np.asarray(MARGINALS.log_frequency, np.float64)
    else:
        log_weights = np.zeros((*x.shape, GRID.size))
    if head == "logistics":
        cells = exact_cells(MARGINALS, of_each, GRID.size)
        np.testing.assert_allclose(cells.sum(axis=-1), 1.0, rtol=1e-12)
        log_weights = np.log(cells + FLOOR / GRID.size)
    exact = log_softmax(log_weights + exact_log_likelihood(GRID, x_t, log_snr), axis=-1)
    np.testing.assert_allclose(log_prob, exact, rtol=2e-5, atol=2e-4)
    exact_x_hat = np.exp(exact) @ GRID.codes[:, 0].astype(np.float64)
    if head == "v":
        signal = expit(np.float64(log_snr)).reshape(-1, 1, 1, 1)
        exact_x_hat = np.sqrt(signal) * x_t - np.sqrt(1 - signal) * out
    np.testing.assert_allclose(x_hat, exact_x_hat, atol=1e-5)


@pytest.mark.parametrize("alphabet", [Alphabet(17, "one_hot"), Alphabet(17, "bits")])
@pytest.mark.parametrize("head", ["logits", "v"])
def test_values_that_are_on_no_line_have_the_shapes_of_their_codes(head, alphabet):
    log_snr = np.zeros(5, np.float32)
    out, x_t = draw(alphabet, head, IMAGES[:5], log_snr)
    _, log_prob, x_hat = jax.eval_shape(
        functools.partial(evaluate, GridDenoiser(Constant(), alphabet, head)),
        out,
        Marginals.of(IMAGES, alphabet),
        x_t,
        log_snr,
    )
    assert log_prob.shape == (5, 2, 2, 3, 17)
    assert x_hat.shape == x_t.shape == (5, 2, 2, 3 * alphabet.code_dim)


@pytest.mark.parametrize("head", ["logits", "logistics"])
def test_turning_the_grid_round_changes_nothing(head):
    """Values l as 16 - l, before anything is learned."""
    x = IMAGES[:5]
    log_snr = np.linspace(-3.0, 6.0, 5, dtype=np.float32)
    out, x_t = draw(GRID, head, x, log_snr, scale=0.0)
    denoiser = GridDenoiser(Constant(), GRID, head)
    _, log_prob, x_hat = evaluate(denoiser, out, MARGINALS, x_t, log_snr)
    turned = Marginals.of(16 - IMAGES, GRID)
    _, turned_log_prob, turned_x_hat = evaluate(denoiser, out, turned, -x_t, log_snr)
    turned_back = np.asarray(turned_log_prob)[..., ::-1]
    np.testing.assert_allclose(turned_back, log_prob, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(-turned_x_hat, x_hat, atol=1e-5)


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def sample(denoiser, key, params, marginals, high, steps=60):
    key_noise, key_sample = jax.random.split(key)
    channels = marginals.log_frequency.shape[-2]
    shape = params.shape[:-1] + (channels * denoiser.alphabet.code_dim,)
    x_1 = jax.random.normal(key_noise, shape)
    return denoiser.sample(key_sample, params, marginals, x_1, (-9.0, high), steps)


def test_samples_have_the_frequencies_of_the_values():
    """With logits of a network that has learned nothing, by a decoder at a warm start."""
    alphabet = Alphabet(5, "one_hot")
    x = np.minimum(IMAGES, 4)
    marginals = Marginals.of(x, alphabet)
    params = np.zeros((1500, 2, 2, 15), np.float32)
    denoiser = GridDenoiser(Constant(), alphabet)
    values = np.asarray(sample(denoiser, jax.random.key(0), params, marginals, 2.0))
    assert values.shape == (1500, 2, 2, 3)
    frequency = np.exp(np.asarray(marginals.log_frequency, np.float64))
    assert_mean(values, frequency @ np.arange(5))
    assert_mean(np.eye(5)[values].mean(axis=(1, 2, 3)), frequency.mean(axis=(0, 1, 2)))


def test_samples_of_256_levels_have_the_frequencies_of_the_values():
    """From a cold start, where the score is so steep that steps even in time would blow up."""
    alphabet = Alphabet(256)
    x = np.array([20, 21, 200, 200] * 10).reshape(40, 1, 1, 1) * np.ones((1, 2, 2, 1), int)
    marginals = Marginals.of(x, alphabet, pseudo_count=1e-6)
    params = np.zeros((400, 2, 2, 256), np.float32)
    denoiser = GridDenoiser(Constant(), alphabet)
    values = np.asarray(sample(denoiser, jax.random.key(0), params, marginals, 13.2, 250))
    assert set(np.unique(values)) == {20, 21, 200}
    frequency = (values[..., None] == np.array([20, 21, 200])).mean(axis=(1, 2, 3))
    assert_mean(frequency, np.array([0.25, 0.25, 0.5]))


FINE = Alphabet(256)
FINE_X = RNG.integers(0, 256, (6, 8, 8, 1))
FINE_MARGINALS = Marginals.of(FINE_X, FINE)
LEVELS = np.array([9.0, 10.0, 11.0, 12.0, 13.0, 14.0], np.float32)


@pytest.mark.parametrize("head", ["logits", "logistics"])
def test_it_is_exact_where_noise_is_small_whatever_the_network_says(head):
    """256 levels in float32, to noise of an eighth of a bin: the error that the likelihood counts
    falls off as fast as exact arithmetic says, and the decoder is sure."""
    x = np.broadcast_to(FINE_X[:1], FINE_X.shape)
    out, x_t = draw(FINE, head, x, LEVELS)
    codes = FINE.codes.astype(np.float64)[x][..., 0]
    denoiser = GridDenoiser(Constant(), FINE, head)
    log_weights, log_prob, x_hat = map(
        np.asarray, evaluate(denoiser, out, FINE_MARGINALS, x_t, LEVELS)
    )
    exact = log_softmax(np.float64(log_weights) + exact_log_likelihood(FINE, x_t, LEVELS), axis=-1)
    exact_x_hat = np.exp(exact) @ FINE.codes[:, 0].astype(np.float64)

    def error(x_hat):
        """Nats for each unit of lambda."""
        square = np.square(codes - x_hat).reshape(6, -1).sum(axis=1)
        return 0.5 * np.exp(np.float64(LEVELS)) * square

    # Rounding of x_hat alone, by 2^-24 of its size at most 1, is this many nats.
    rounding = 0.5 * np.exp(np.float64(LEVELS)) * 64 * 2.0**-46
    np.testing.assert_allclose(error(x_hat), error(exact_x_hat), rtol=0.01, atol=rounding.max())
    assert error(x_hat)[-1] < 1e-3 < 1 < error(x_hat)[0]
    of_x = np.take_along_axis(log_prob[-1], x[-1][..., None], axis=-1)
    assert of_x.min() > -1e-3


@pytest.mark.parametrize("head", HEADS)
def test_no_gradient_is_lost_in_rounding(head):
    """From no noise to nothing else, and for outputs of the network up to hundreds."""
    denoiser = GridDenoiser(Constant(), FINE, head)
    log_snr = np.array([-12.0, -3.0, 2.0, 7.0, 12.0, 14.0], np.float32)
    out, x_t = draw(FINE, head, FINE_X, log_snr)

    @jax.jit
    def gradient(out, marginals):
        def loss(out):
            x_hat = denoiser.denoise(out, marginals, x_t, log_snr)
            error = jnp.square(FINE.encode(FINE_X) - x_hat).sum(axis=(1, 2, 3))
            log_prob = values_of(denoiser.log_prob(out, marginals, x_t, log_snr), FINE_X)
            return (jnp.exp(log_snr) * error).sum() - log_prob.sum(), (x_hat, log_prob)

        return jax.grad(loss, has_aux=True)(out)

    for scale in (0.0, 1.0, 30.0, 300.0):
        slopes, values = gradient(scale * out, FINE_MARGINALS)
        for array in (slopes, *values):
            assert np.all(np.isfinite(array))
        assert scale > 1 or np.any(np.asarray(slopes) != 0)


@functools.partial(jax.jit, static_argnums=0)
def output(denoiser, marginals, x_t, log_snr, rngs=None):
    return denoiser.output(None, marginals, x_t, log_snr, rngs)


def test_the_network_sees_numbers_of_mean_0_and_variance_1():
    """At every level, and the level at which the data would have variance 1; and the keys."""
    denoiser = GridDenoiser(Echo(), GRID, "v")
    x = np.repeat(IMAGES, 60, axis=0)  # of which the mean and variance are known
    level_shift = np.log(float(MARGINALS.variance))
    for value in (-5.0, 1.0, 5.0):
        log_snr = np.full(len(x), value, np.float32)
        _, x_t = draw(GRID, "v", x, log_snr)
        u = np.asarray(output(denoiser, MARGINALS, x_t, log_snr), np.float64) - value - level_shift
        assert_mean(u.mean(axis=(1, 2, 3)), 0.0)
        assert_mean(np.square(u).mean(axis=(1, 2, 3)), 1.0)
        keyed = output(denoiser, MARGINALS, x_t, log_snr, {"dropout": jax.random.key(0)})
        np.testing.assert_allclose(keyed - u, 100.0 + value + level_shift, rtol=1e-4)


def test_the_network_can_see_what_a_number_by_itself_leads_one_to_expect():
    """Two values at one place, in closed form; where noise is small it is the noisy number."""
    codes = Alphabet(2)
    log_frequency = np.log(np.array([[0.75, 0.25]], np.float32))
    marginals = Marginals(np.float32(-0.25), np.float32(0.1875), log_frequency)
    denoiser = GridDenoiser(Constant(), codes, sees="expected")
    noisy = GridDenoiser(Constant(), codes)
    x_t = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    for value in (-6.0, 0.0, 3.0, 8.0):
        log_snr = np.full(9, value, np.float32)
        seen = np.asarray(look(denoiser, marginals, x_t, log_snr), np.float64)
        snr = np.exp(value)
        alpha = np.sqrt(snr / (1 + snr))
        sigma = np.sqrt(1 / (1 + snr))
        log_odds = alpha * x_t.astype(np.float64) / sigma**2 - np.log(3)  # of the code .5
        expected = 0.5 * np.tanh(log_odds / 2)
        variance = 0.1875  # of the codes -.5 and .5, the second once in four
        gain = np.sqrt(snr * variance / (1 + snr * variance))
        truth = ((expected + 0.25) / gain) / np.sqrt(variance)
        np.testing.assert_allclose(seen, truth, rtol=2e-4, atol=2e-4)
    at_codes = np.array([[-0.5], [0.5]], np.float32)
    log_snr = np.full(2, 14.0, np.float32)
    np.testing.assert_allclose(
        look(denoiser, marginals, at_codes, log_snr),
        look(noisy, marginals, at_codes, log_snr),
        rtol=1e-5,
    )


@functools.partial(jax.jit, static_argnums=0)
def look(denoiser, marginals, x_t, log_snr):
    return denoiser.look(marginals, x_t, log_snr)


@dataclasses.dataclass(frozen=True)
class Part:
    """A network that gives three channels of what it is called with, from this one on."""

    first: int

    def apply(self, params, u, level, rngs=None):
        return u[..., self.first : self.first + 3]


def test_the_network_sees_waves_of_the_numbers():
    """They stand beside u, in the order of their exponents."""
    log_snr = np.full(5, 3.0, np.float32)
    _, x_t = draw(GRID, "v", IMAGES[:5], log_snr)
    parts = [
        output(GridDenoiser(Part(first), GRID, "v", fourier=(0, 3)), MARGINALS, x_t, log_snr)
        for first in (0, 3, 6, 9, 12)
    ]
    plain = output(GridDenoiser(Part(0), GRID, "v"), MARGINALS, x_t, log_snr)
    angle = np.pi * np.float64(x_t)
    waves = [np.sin(angle), np.cos(angle), np.sin(8 * angle), np.cos(8 * angle)]
    np.testing.assert_array_equal(parts[0], plain)
    np.testing.assert_allclose(parts[1:], waves, atol=1e-5)


def test_marginals_are_those_of_the_examples():
    x = IMAGES.reshape(40, -1)
    marginals = Marginals.of(x, GRID)
    frequency = np.exp(np.asarray(marginals.log_frequency, np.float64))
    np.testing.assert_allclose(frequency.sum(axis=-1), 1.0, rtol=1e-5)
    counts = np.array([np.bincount(column, minlength=17) for column in x.T])
    everywhere = (counts.sum(axis=0) + 1 / 17) / (x.size + 1)
    added = 41 * frequency - counts
    np.testing.assert_allclose(added, np.broadcast_to(everywhere, added.shape), atol=1e-4)
    codes = GRID.codes[:, 0].astype(np.float64)  # their law is `everywhere`
    mean = everywhere @ codes
    np.testing.assert_allclose(marginals.mean, mean, atol=1e-6)
    np.testing.assert_allclose(marginals.variance, everywhere @ np.square(codes - mean), rtol=1e-6)
    of_images = np.asarray(MARGINALS.log_frequency)
    np.testing.assert_array_equal(of_images.reshape(12, 17), marginals.log_frequency)
    rare = Marginals.of(np.zeros((1000, 1), np.uint8), GRID)  # one value, and 16 never seen
    assert np.all(np.isfinite(rare.log_frequency)) and rare.variance > 0


def test_the_number_of_outputs():
    assert num_outputs("logits", GRID) == 17 and num_outputs("logits", GRID, 3) == 51
    assert num_outputs("logistics", GRID, 3) == 24
    assert num_outputs("v", GRID) == 1 and num_outputs("v", Alphabet(17, "bits"), 3) == 15
    with pytest.raises(InputError, match="head is 'logit': .*nearest: logits"):
        num_outputs("logit", GRID)


def of_shape(*shape):
    """Call a denoiser whose network gives an output of this shape."""
    x_t = np.zeros((5, 2, 2, 3), np.float32)
    arguments = np.zeros(shape), MARGINALS, x_t, np.zeros(5, np.float32)
    return GridDenoiser(Constant(), GRID, "logits").denoise(*arguments)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GridDenoiser(None, GRID, "softmax"), "head is 'softmax'"),
        (lambda: GridDenoiser(None, GRID, sees="all"), "sees is 'all'"),
        (
            lambda: GridDenoiser(None, Alphabet(17, "one_hot"), "logistics"),
            "head=logistics needs values on a line, not one_hot: give logits",
        ),
        (lambda: GridDenoiser(None, GRID, fourier=(-1,)), "fourier is -1: give 0 or more"),
        (
            lambda: GridDenoiser(None, Alphabet(17, "bits"), fourier=(3,)),
            r"fourier is \(3,\): it needs values on a line, not bits: give \(\)",
        ),
        (lambda: of_shape(5, 2, 2, 3), r"output is \(5, 2, 2, 3\): .* num_outputs=51"),
        (lambda: of_shape(5, 2, 2, 17), r"output is \(5, 2, 2, 17\): .*\(5, 2, 2, 51\)"),
        (lambda: Marginals.of(IMAGES + 1, GRID), "a value of x is 17: .* from 0 to 16"),
        (lambda: Marginals.of(IMAGES + 0.5, GRID), "a value of x is "),
        (lambda: Marginals.of(IMAGES, GRID, 0.0), "pseudo_count is 0.0: give a number above 0"),
    ],
)
def test_bad_input_names_the_culprit(call, message):
    with pytest.raises(InputError, match=message):
        call()
