"""Samplers: laws within standard errors of closed forms, the equilibrium invariant, order two."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.gaussians import Gaussian, GaussianMixture
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.diffusion.samplers import probability_flow, reverse_sde
from diffenc.errors import InputError

FIXED_WIDTH = [VPLinear(), VPCosine(), VPx(), StraightLine()]
PROCESSES = [*FIXED_WIDTH, SubVP(), VE(0.01, 20.0)]


def make_mixture():
    means = jnp.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    return GaussianMixture.isotropic(
        jnp.log(jnp.array([0.5, 0.3, 0.2])), means, jnp.array([0.3, 0.4, 0.5])
    )


def assert_law(x, mixture):
    """Mean, second moments and characteristic function of the draws against those of the
    mixture."""
    weights, means, covs = (
        np.exp(np.asarray(mixture.log_weights)),
        np.asarray(mixture.means),
        np.asarray(mixture.covs),
    )
    x = np.asarray(x, np.float64)
    assert_mean(x, weights @ means)
    second = covs + means[:, :, None] * means[:, None, :]
    assert_mean(x[:, :, None] * x[:, None, :], np.einsum("k,kij->ij", weights, second))
    for frequency in np.array([[1.0, 0.0], [0.0, 2.0], [2.0, -2.0], [3.0, 1.0]]):
        phase = means @ frequency
        damping = np.exp(-0.5 * np.einsum("i,kij,j->k", frequency, covs, frequency))
        assert_mean(np.cos(x @ frequency), np.sum(weights * damping * np.cos(phase)))
        assert_mean(np.sin(x @ frequency), np.sum(weights * damping * np.sin(phase)))


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_every_eta_of_every_process_has_the_marginals_of_the_truth(process):
    mixture, t_min = make_mixture(), 0.01

    start, truth = mixture.diffused(process, 1.0), mixture.diffused(process, t_min)

    def score_fn(x, t):
        return mixture.score(process, x, t)

    @jax.jit
    def draw(key, x, eta):
        return reverse_sde(key, score_fn, process, x, num_steps=100, eta=eta, t_min=t_min)

    for eta, key in zip([0.0, 0.5, 1.0], jax.random.split(jax.random.key(1), 3), strict=True):
        key_start, key_sde = jax.random.split(key)
        assert_law(draw(key_sde, start.sample(key_start, 4000), eta), truth)


@pytest.mark.parametrize("num_steps", [1, 3, 64])
@pytest.mark.parametrize("process", FIXED_WIDTH, ids=str)
def test_ignorant_reverse_sde_leaves_the_equilibrium_invariant(process, num_steps):
    key_start, key_sde = jax.random.split(jax.random.key(num_steps))
    x = jax.random.normal(key_start, (5000, 2))

    @jax.jit
    def draw(key, x):
        return (
            reverse_sde(key, process.equilibrium_score, process, process.scale * x, num_steps)
            / process.scale
        )

    samples = draw(key_sde, x)
    assert np.max(np.abs(samples - x)) > 0.1  # it does move the points
    assert_mean(samples, 0.0)
    assert_mean(samples[:, :, None] * samples[:, None, :], np.eye(2))
    assert_mean(samples**4, 3.0)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_ignorant_flow_is_the_identity_at_any_number_of_steps(process):
    x = jax.random.normal(jax.random.key(0), (7, 2, 3))
    for num_steps in (1, 5):
        moved = probability_flow(process.equilibrium_score, process, x, num_steps)
        # bitwise, but for a compiler that contracts the two equal products differently: then one
        # rounding a step
        np.testing.assert_allclose(moved, x, rtol=1e-6)


@pytest.mark.parametrize("process", [VPCosine(), StraightLine()], ids=str)
def test_no_evaluation_falls_on_a_singular_end(process):
    gaussian = Gaussian(jnp.array([0.5]), jnp.eye(1))

    def score_fn(x, t):
        at_an_end = (process.alpha(t) <= 0) | (process.sigma(t) <= 0)
        return jnp.where(at_an_end[:, None], jnp.nan, gaussian.score(process, x, t))

    x = process.scale * jnp.linspace(-3, 3, 9)[:, None]
    assert jnp.isfinite(probability_flow(score_fn, process, x, 16)).all()
    assert jnp.isfinite(reverse_sde(jax.random.key(0), score_fn, process, x, 16)).all()


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_probability_flow_is_of_second_order(process):
    with jax.enable_x64(True):
        mean, std, t_min = 0.3, 0.5, 0.02
        gaussian = Gaussian(jnp.array([mean]), jnp.array([[std**2]]))
        white = jnp.linspace(-2.0, 2.0, 5)[:, None]

        def at(
            t,
        ):  # the flow of a Gaussian carries each point at a fixed number of standard deviations
            return (
                process.alpha(t) * mean
                + jnp.hypot(process.alpha(t) * std, process.sigma(t)) * white
            )

        @functools.partial(jax.jit, static_argnums=0)
        def error(num_steps):
            end = probability_flow(
                lambda x, t: gaussian.score(process, x, t), process, at(1.0), num_steps, t_min
            )
            return jnp.max(jnp.abs(end - at(t_min)))

        # Order two divides the error by 4 when the step is halved; order one would give 2, order
        # three 8.
        assert 2**1.5 < error(200) / error(400) < 2**2.5


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda x, v: probability_flow(v, VPLinear(), x, -1), "num_steps is -1"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=1.0), "t_min=1.0"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=0), "sigma = 0"),
        (lambda x, v: reverse_sde(jax.random.key(0), v, VPLinear(), x, 2, eta=-1.0), "eta=-1.0"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call(jnp.ones((3, 2)), lambda x, t: x)
