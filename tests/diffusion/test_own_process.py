"""Processes that the library does not know, by the recipe of docs/extending.md: samples are of the
truth."""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.linear_process import FixedWidth, Process
from diffenc.diffusion.processes import VE
from diffenc.diffusion.samplers import probability_flow, reverse_sde

T_MIN = 0.01
NUM_SAMPLES = 2500


@dataclass(frozen=True)
class Accelerating(FixedWidth):
    """beta(t) = 24 t, of width 1/2: a copy of `VPLinear`."""

    @property
    def scale(self):
        return 0.5

    def decay(self, t):
        return 12 * jnp.square(t)

    def rate(self, t):
        return 24.0 * t

    def time_at_decay(self, decay):
        return jnp.sqrt(decay / 12)


@dataclass(frozen=True)
class Interpolation(Process):
    """x_t = (1 - t) x_0 + t eps: its equilibrium N(0, t I) moves, and its signal ends."""

    def alpha(self, t):
        return 1.0 - t

    def sigma(self, t):
        return 1.0 * t

    def drift(self, t):
        return -1 / (1.0 - t)

    def diffusion(self, t):
        return jnp.sqrt(2 * t / (1.0 - t))

    def log_snr(self, t):
        return 2 * (jnp.log1p(-1.0 * t) - jnp.log(t))

    def time(self, log_snr):
        return jax.nn.sigmoid(-0.5 * log_snr)

    def equilibrium_std(self, t):
        return jnp.sqrt(t)


@dataclass(frozen=True)
class Linear(Process):
    """sigma = 0.01 + 20 t, alpha = 1: a copy of `VE`, whose equilibrium is flat."""

    def alpha(self, t):
        return jnp.ones(jnp.shape(t))

    def sigma(self, t):
        return 0.01 + 20.0 * t

    def drift(self, t):
        return jnp.zeros(jnp.shape(t))

    def diffusion(self, t):
        return jnp.sqrt(40.0 * self.sigma(t))

    def log_snr(self, t):
        return -2 * jnp.log(self.sigma(t))

    def time(self, log_snr):
        return (jnp.exp(-0.5 * log_snr) - 0.01) / 20

    def equilibrium_std(self, t):
        return jnp.full(jnp.shape(t), jnp.inf)


@dataclass(frozen=True)
class Exploding(Process):
    """alpha = exp(-fading t), sigma = 0.01 exp(growth t): its equilibrium widens as sigma does."""

    fading: float
    growth: float = math.log(2000.0)

    def alpha(self, t):
        return jnp.exp(-self.fading * t)

    def sigma(self, t):
        return 0.01 * jnp.exp(self.growth * t)

    def drift(self, t):
        return jnp.full(jnp.shape(t), -self.fading)

    def diffusion(self, t):
        return math.sqrt(2 * (self.fading + self.growth)) * self.sigma(t)

    def log_snr(self, t):
        return -2 * ((self.fading + self.growth) * t + math.log(0.01))

    def time(self, log_snr):
        return (-0.5 * log_snr - math.log(0.01)) / (self.fading + self.growth)

    def equilibrium_std(self, t):
        return math.sqrt(1 + self.growth / self.fading) * self.sigma(t)


# The last but one has an equilibrium 90 times as wide as sigma, that of the last is nearly flat.
OWN = [Accelerating(), Interpolation(), Linear(), Exploding(1.0), Exploding(1e-3), Exploding(1e-8)]
KINDS = [process for process in OWN if process != Exploding(1e-3)]
SLOW = (Linear(), Exploding(1.0))  # as flat, and as moving, as another one of the kinds
every_process = pytest.mark.parametrize("process", OWN, ids=str)


def make_densities():
    """A Gaussian, as three equal components, and a mixture: of one shape, so they compile once."""
    one_mean = np.repeat(np.array([[0.5, -0.3]]), 3, axis=0)
    gaussian = GaussianMixture.isotropic(np.zeros(3), one_mean, np.full(3, 0.4))
    means = np.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    weights = np.log([0.5, 0.3, 0.2])
    mixture = GaussianMixture.isotropic(weights, means, np.array([0.3, 0.4, 0.5]))
    return {"gaussian": gaussian, "mixture": mixture}


def assert_mean(values, truth, max_stderr):
    """The mean over draws agrees within its standard errors, which are below max_stderr."""
    values = np.asarray(values, np.float64)
    stderr = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - truth), NUM_SIGMAS * stderr)
    np.testing.assert_array_less(stderr, max_stderr)


def assert_law(x, truth, exact):
    """Moments, a wave and the log density of the draws against those of the truth."""
    x = np.asarray(x, np.float64)
    weights = np.exp(np.asarray(truth.log_weights, np.float64))
    weights = weights / weights.sum()
    means = np.asarray(truth.means, np.float64)
    covs = np.asarray(truth.covs, np.float64)
    second = np.einsum("k,kij->ij", weights, covs + means[:, :, None] * means[:, None, :])
    assert_mean(x, weights @ means, max_stderr=0.02)
    assert_mean(x[:, :, None] * x[:, None, :], second, max_stderr=0.02)
    frequency = np.array([3.0, 1.0])
    damping = np.exp(-0.5 * np.einsum("i,kij,j->k", frequency, covs, frequency))
    wave = np.sum(weights * damping * np.cos(means @ frequency))
    assert_mean(np.cos(x @ frequency), wave, max_stderr=0.02)
    log_density = np.asarray(truth.log_prob(x.astype(np.float32)), np.float64)
    of_exact = np.asarray(truth.log_prob(exact), np.float64)
    assert np.isfinite(log_density).all()
    stderr = np.hypot(log_density.std(), of_exact.std()) / np.sqrt(len(x))
    assert abs(log_density.mean() - of_exact.mean()) < NUM_SIGMAS * stderr
    assert stderr < 0.04


@every_process
def test_the_recipe_was_followed(process):
    @jax.jit
    def functions(t):
        names = "alpha sigma drift diffusion log_snr equilibrium_std".split()
        slope = jax.vmap(jax.grad(lambda t: jnp.log(process.alpha(t))))(t)
        growth = jax.vmap(jax.grad(lambda t: process.sigma(t) ** 2))(t)
        back = process.time(process.log_snr(t))
        return [getattr(process, name)(t) for name in names], slope, growth, back

    with jax.enable_x64(True):
        t = np.linspace(0.02, 0.98, 25)
        (alpha, sigma, f, g, log_snr, std), slope, growth, back = jax.tree.map(
            np.asarray, functions(t)
        )
        np.testing.assert_allclose(f, slope, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(g**2, growth - 2 * f * sigma**2, rtol=1e-9)
        np.testing.assert_allclose(log_snr, 2 * np.log(alpha / sigma), rtol=1e-9)
        np.testing.assert_allclose(back, t, rtol=1e-9)
        with np.errstate(divide="ignore"):
            expected = np.where(f < 0, g / np.sqrt(np.maximum(-2 * f, 0)), np.inf)
        np.testing.assert_allclose(std, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "process",
    [pytest.param(process, marks=pytest.mark.slow if process in SLOW else ()) for process in KINDS],
    ids=str,
)
def test_flow_and_reverse_sde_draw_from_the_truth(process):
    @jax.jit
    def draw(key, density):
        key_start, key_sde = jax.random.split(key)
        x = density.diffused(process, 1.0).sample(key_start, NUM_SAMPLES)

        def score_fn(x, t):
            return density.score(process, x, t)

        flow = probability_flow(score_fn, process, x, num_steps=100, t_min=T_MIN)
        return flow, reverse_sde(key_sde, score_fn, process, x, num_steps=100, t_min=T_MIN)

    for seed, density in enumerate(make_densities().values()):
        truth = density.diffused(process, T_MIN)
        exact = truth.sample(jax.random.key(10 + seed), NUM_SAMPLES)
        for x in draw(jax.random.key(seed), density):
            assert_law(x, truth, exact)


@pytest.mark.parametrize("process", KINDS, ids=str)
def test_the_flow_is_of_second_order(process):
    with jax.enable_x64(True):
        mean, std = np.array([[0.5, -0.3]]), 0.4
        white = np.linspace(-2.0, 2.0, 5)[:, None] * np.ones((1, 2))

        def score_fn(x, t):
            variance = (process.alpha(t) * std) ** 2 + process.sigma(t) ** 2
            return (process.alpha(t)[:, None] * mean - x) / variance[:, None]

        def at(t):  # each point stays the same number of standard deviations from the mean
            width = jnp.hypot(process.alpha(t) * std, process.sigma(t))
            return process.alpha(t) * mean + width * white

        @jax.jit
        def errors():
            def error(num_steps):
                end = probability_flow(score_fn, process, at(1.0), num_steps, t_min=0.02)
                return jnp.max(jnp.abs(end - at(0.02)))

            return error(200), error(400)

        # Half the step divides the error by 4 at order two, by 2 at order one, by 8 at three.
        coarse, fine = map(float, errors())
        assert 2**1.5 < coarse / fine < 2**2.5


def test_a_process_is_what_it_does_and_not_what_it_is_called():
    known = VE(0.01, 20.0)
    names = "alpha sigma drift diffusion log_snr time equilibrium_std log_ratio"
    recipe = {name: vars(VE)[name] for name in names.split()}
    unknown = type("Own", (Process,), recipe | {"sigma_min": 0.01, "sigma_max": 20.0})()
    density = make_densities()["mixture"]
    x = density.diffused(known, 1.0).sample(jax.random.key(0), 100)

    @functools.partial(jax.jit, static_argnums=0)
    def draw(process):
        def score_fn(x, t):
            return density.score(process, x, t)

        return reverse_sde(jax.random.key(1), score_fn, process, x, num_steps=20, t_min=0.0)

    np.testing.assert_allclose(draw(unknown), draw(known), rtol=1e-5, atol=1e-5)
