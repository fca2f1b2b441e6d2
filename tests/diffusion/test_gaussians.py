"""Gaussians, mixtures and factor analysis: scores by automatic differentiation, laws by sampling,
the latent model by Bayes' rule."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean
from scipy import special, stats

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture, gaussian_kl
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = [VPLinear(), VPx(), VPCosine(), StraightLine(), SubVP(), VE(0.01, 50.0)]
MEAN, COV = np.array([0.5, -1.0]), np.array([[2.0, 0.6], [0.6, 0.5]])


def make_gaussian():
    return Gaussian(jnp.asarray(MEAN), jnp.asarray(COV))


def make_mixture():
    means = jnp.array([[1.0, 0.0], [-1.0, 0.5], [0.0, -2.0]])
    roots = np.array(
        [[[0.5, 0.0], [0.2, 0.3]], [[1.0, 0.0], [-0.5, 0.7]], [[0.2, 0.0], [0.0, 0.2]]]
    )
    covs = jnp.asarray(roots @ np.swapaxes(roots, 1, 2))
    return GaussianMixture(jnp.array([0.0, 1.0, -1.0]), means, covs)


def make_factor_analysis(noise_std=0.5):
    weight = np.random.default_rng(7).normal(size=(4, 2))
    return FactorAnalysis(
        jnp.asarray(weight), jnp.array([1.0, 0.0, -1.0, 2.0]), jnp.asarray(noise_std)
    )


@pytest.mark.parametrize("make", [make_gaussian, make_mixture])
@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_score_is_the_gradient_of_the_diffused_log_density(process, make):
    with jax.enable_x64(True):
        density = make()
        t = np.linspace(0.05, 0.95, 6)
        x = 2 * np.random.default_rng(0).normal(size=(t.size, 2))

        def log_prob(x, t):
            return density.diffused(process, t).log_prob(x[None])[0]

        @jax.jit
        def scores(x, t):
            return (
                density.score(process, x, t),
                density.score(process, x, t[2]),
                jax.vmap(jax.grad(log_prob))(x, t),
            )

        by_example, at_one_time, expected = scores(x, t)
        np.testing.assert_allclose(by_example, expected, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(at_one_time[2], expected[2], rtol=1e-8, atol=1e-9)


def test_log_probs_are_those_of_scipy():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(10, 2))
        np.testing.assert_allclose(
            make_gaussian().log_prob(x), stats.multivariate_normal(MEAN, COV).logpdf(x)
        )
        mixture = make_mixture()
        weights = special.softmax(mixture.log_weights)
        parts = [
            stats.multivariate_normal(mean, cov).pdf(x)
            for mean, cov in zip(mixture.means, mixture.covs, strict=True)
        ]
        np.testing.assert_allclose(mixture.log_prob(x), np.log(weights @ np.array(parts)))
        np.testing.assert_allclose(
            make_gaussian().entropy(), stats.multivariate_normal(MEAN, COV).entropy()
        )


def test_samples_have_the_moments_of_the_density():
    gaussian, mixture, model = (
        make_gaussian(),
        make_mixture(),
        make_factor_analysis(jnp.array([0.1, 0.5, 1.0, 0.3])),
    )
    weights = special.softmax(mixture.log_weights)
    mixture_mean = weights @ np.asarray(mixture.means)
    second = (
        np.asarray(mixture.covs)
        + np.asarray(mixture.means)[:, :, None] * np.asarray(mixture.means)[:, None, :]
    )
    mixture_cov = np.einsum("k,kij->ij", weights, second) - np.outer(mixture_mean, mixture_mean)
    x, z = map(np.asarray, model.sample(jax.random.key(2), 4000))
    marginal = model.marginal()
    cases = [
        (gaussian.sample(jax.random.key(0), 4000), MEAN, COV),
        (mixture.sample(jax.random.key(1), 4000), mixture_mean, mixture_cov),
        (x, np.asarray(marginal.mean), np.asarray(marginal.cov)),
        (z, np.zeros(2), np.eye(2)),
    ]
    for draws, mean, cov in cases:
        centred = np.asarray(draws) - mean
        assert_mean(centred, 0.0)
        assert_mean(centred[:, :, None] * centred[:, None, :], cov)
    cross = (x - np.asarray(model.mean))[:, :, None] * z[:, None, :]
    assert_mean(cross, np.asarray(model.weight))


def test_entropy_is_the_mean_of_minus_log_prob():
    gaussian = make_gaussian()
    log_prob = gaussian.log_prob(gaussian.sample(jax.random.key(0), 4000))
    assert_mean(-np.asarray(log_prob), float(gaussian.entropy()))


def test_gaussian_kl_is_the_mean_log_ratio_and_vanishes_for_equals():
    first, second = (
        make_gaussian(),
        Gaussian(jnp.array([0.0, 0.2]), jnp.array([[1.0, -0.3], [-0.3, 1.5]])),
    )
    x = first.sample(jax.random.key(0), 4000)
    kl = gaussian_kl(first.mean, first.cov, second.mean, second.cov)
    assert_mean(np.asarray(first.log_prob(x)) - np.asarray(second.log_prob(x)), float(kl))
    with jax.enable_x64(True):
        same = make_gaussian()
        np.testing.assert_allclose(
            gaussian_kl(same.mean, same.cov, same.mean, same.cov), 0.0, atol=1e-12
        )


@jax.jit
def log_evidence(model, x, z, gamma):
    """log p(z) + log p(x|z) / gamma - log p(z|x)."""
    mean, cov = model.posterior(x, gamma)
    prior = Gaussian(jnp.zeros(2), jnp.eye(2))
    posterior = jax.vmap(lambda z, mean: Gaussian(mean, cov).log_prob(z[None])[0])
    return prior.log_prob(z) + model.log_likelihood(x, z) / gamma - posterior(z, mean)


@pytest.mark.parametrize(
    "noise_std", [0.5, (0.2, 0.5, 1.0, 0.7)], ids=["one noise", "noise of each"]
)
@pytest.mark.parametrize("gamma", [0.3, 1.0, 4.0])
def test_posterior_obeys_bayes_rule(gamma, noise_std):
    with jax.enable_x64(True):
        model = make_factor_analysis(noise_std)
        x, z = map(np.asarray, model.sample(jax.random.key(0), 6))
        evidence = log_evidence(model, x, z, gamma)
        np.testing.assert_allclose(log_evidence(model, x, -2 * z, gamma), evidence, rtol=1e-9)
        if gamma == 1:
            np.testing.assert_allclose(evidence, model.log_prob(x), rtol=1e-9)


@functools.partial(jax.jit, static_argnums=0)
def decoder_pressure(process, model, x, z_t, t, gamma):
    """The entropy field, and alpha_t times the pressure at E[z_0 | z_t, x]."""
    mean, cov = model.posterior(x, gamma)
    alpha, sigma = process.alpha(t), process.sigma(t)

    def mean_of_start(z_t, mean, alpha, sigma):  # E[z_0 | z_t, x], by conditioning a Gaussian
        precision = jnp.linalg.inv(cov)
        return jnp.linalg.solve(
            precision + (alpha / sigma) ** 2 * jnp.eye(2),
            precision @ mean + alpha / sigma**2 * z_t,
        )

    z_0 = jax.vmap(mean_of_start)(z_t, mean, alpha, sigma)
    pressure = jax.grad(lambda z: jnp.sum(model.log_likelihood(x, z)))(z_0) / gamma
    score = model.posterior_score(process, z_t, t, x, gamma)
    return score - process.equilibrium_score(z_t, t), alpha[:, None] * pressure


@pytest.mark.parametrize("gamma", [0.3, 1.0])
@pytest.mark.parametrize("process", [VPLinear(), VPCosine()], ids=str)
def test_decoder_pressure(process, gamma):
    """e_t(z_t|x) = alpha_t E[(1/gamma) grad log p(x|z_0) | z_t, x]; the gradient is affine: its
    mean is exact."""
    with jax.enable_x64(True):
        model = make_factor_analysis((0.2, 0.5, 1.0, 0.7))
        t = np.array([0.05, 0.3, 0.5, 0.7, 0.95])
        x, z_t = model.sample(jax.random.key(0), t.size)
        entropy_field, pressure = decoder_pressure(process, model, x, z_t, t, gamma)
        np.testing.assert_allclose(entropy_field, pressure, rtol=1e-8, atol=1e-9)


def test_maximum_likelihood_is_stationary_and_beats_its_neighbours():
    with jax.enable_x64(True):
        x, _ = make_factor_analysis().sample(jax.random.key(0), 300)
        best = FactorAnalysis.maximum_likelihood(x, 2)

        def objective(model):
            return jnp.mean(model.log_prob(x))

        highest, slopes = jax.jit(jax.value_and_grad(objective))(best)
        for slope in jax.tree.leaves(slopes):
            np.testing.assert_allclose(slope, 0.0, atol=1e-9)

        def neighbour(key):
            leaves, structure = jax.tree.flatten(best)
            leaf_keys = jax.random.split(key, len(leaves))
            return structure.unflatten(
                leaf + 0.05 * jax.random.normal(leaf_key, leaf.shape, leaf.dtype)
                for leaf, leaf_key in zip(leaves, leaf_keys, strict=True)
            )

        @jax.jit
        def at_neighbours(key):
            return jax.vmap(lambda key: objective(neighbour(key)))(jax.random.split(key, 20))

        assert np.all(np.asarray(at_neighbours(jax.random.key(1))) < float(highest))
        sample_cov = np.cov(np.asarray(x).T, bias=True)
        np.testing.assert_allclose(np.trace(best.marginal().cov), np.trace(sample_cov), rtol=1e-9)


def test_densities_pass_through_transformations():
    mixture, x = make_mixture(), np.ones((3, 2), np.float32)
    pair = jax.tree.map(lambda leaf: jnp.asarray(np.stack([leaf, leaf])), mixture)
    log_prob = jax.jit(jax.vmap(lambda density: density.log_prob(x)))(pair)
    np.testing.assert_allclose(log_prob, np.stack([mixture.log_prob(x)] * 2), rtol=1e-5)
    pair = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), make_factor_analysis())
    log_prob = jax.vmap(lambda model: model.log_prob(jnp.ones((3, 4))))
    assert jax.eval_shape(log_prob, pair).shape == (2, 3)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: Gaussian(np.zeros(2), np.eye(3)).log_prob(np.zeros((1, 2))), "cov has shape"),
        (
            lambda: GaussianMixture(np.zeros(2), np.zeros((3, 2)), np.ones((3, 2, 2))).log_prob(
                np.ones((1, 2))
            ),
            "log_w",
        ),
        (
            lambda: GaussianMixture(np.zeros(3), np.zeros((3, 2)), np.ones((3, 2))).sample(
                jax.random.key(0), 1
            ),
            "covs",
        ),
        (
            lambda: FactorAnalysis(np.ones((4, 2)), np.ones(3), np.ones(())).log_prob(
                np.ones((1, 4))
            ),
            "weight, mean",
        ),
        (lambda: make_factor_analysis().posterior(np.ones((1, 4)), gamma=0.0), "gamma=0.0"),
        (lambda: FactorAnalysis.maximum_likelihood(np.ones((5, 3)), 3), "d=3"),
        (lambda: FactorAnalysis.maximum_likelihood(np.eye(3)[:2], 1), "no variance outside 1"),
        (
            lambda: gaussian_kl(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)),
            "make them one shape",
        ),
        (lambda: gaussian_kl(np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)), "cov0"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()


DENSITIES_AT_ONCE = """
import jax
import numpy as np
from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.processes import VPLinear

means = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
mixture = GaussianMixture.isotropic(np.zeros(10), means, np.full(10, 0.3))
for seed in range(25):
    np.asarray(total_entropy(jax.random.key(seed), mixture, VPLinear(), 200_000, 1e-3, 1.0))
"""


@pytest.mark.slow
def test_densities_that_are_computed_at_once_do_not_wait_for_each_other():
    """In a process of its own, with threads as users have them: it hung, and did not end."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", DENSITIES_AT_ONCE]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, timeout=300)
