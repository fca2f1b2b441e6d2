"""Samplers: laws within standard errors of closed forms, the equilibrium invariant, the order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean

from diffenc.diffusion.gaussians import Gaussian, GaussianMixture
from diffenc.diffusion.processes import VE, StraightLine, SubVP, VPCosine, VPLinear, VPx
from diffenc.diffusion.samplers import inverse_flow, probability_flow, reverse_sde
from diffenc.errors import InputError

FIXED_WIDTH = [VPLinear(), VPCosine(), VPx(), StraightLine()]
PROCESSES = [*FIXED_WIDTH, SubVP(), VE(0.01, 20.0)]


# One of each kind: of fixed width, with a signal that ends, with an equilibrium that moves, and
# without one.
KINDS = [VPLinear(), StraightLine(), SubVP(), VE(0.01, 20.0)]


def make_mixture():
    means = np.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    return GaussianMixture.isotropic(np.log([0.5, 0.3, 0.2]), means, np.array([0.3, 0.4, 0.5]))


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


@pytest.mark.parametrize(
    "process",
    [
        pytest.param(process, marks=pytest.mark.slow if process == SubVP() else ())
        for process in KINDS
    ],
    ids=str,
)
def test_every_eta_of_every_process_has_the_marginals_of_the_truth(process):
    mixture, t_min = make_mixture(), 0.01

    def score_fn(x, t):
        return mixture.score(process, x, t)

    @jax.jit
    def draw(key, eta):
        key_start, key_sde = jax.random.split(key)
        x = mixture.diffused(process, 1.0).sample(key_start, 2500)
        return reverse_sde(key_sde, score_fn, process, x, num_steps=100, eta=eta, t_min=t_min)

    truth = mixture.diffused(process, t_min)
    for seed, eta in enumerate([0.0, 0.5, 1.0, 1.5]):
        assert_law(draw(jax.random.key(seed), eta), truth)


# One, a few and many steps; every process.
@pytest.mark.parametrize(
    ("process", "num_steps"),
    [
        (VPLinear(), 1),
        (VPLinear(), 64),
        (VPCosine(), 3),
        (VPx(), 1),
        (StraightLine(), 3),
        (StraightLine(), 64),
    ],
    ids=str,
)
def test_ignorant_reverse_sde_leaves_the_equilibrium_invariant(process, num_steps):
    x = np.random.default_rng(num_steps).standard_normal((5000, 2), np.float32)

    @jax.jit
    def draw(key, x):
        start = process.scale * x
        return reverse_sde(key, process.equilibrium_score, process, start, num_steps)

    samples = np.asarray(draw(jax.random.key(num_steps), x)) / process.scale
    assert np.max(np.abs(samples - x)) > 0.1  # it does move the points
    assert_mean(samples, 0.0)
    assert_mean(samples[:, :, None] * samples[:, None, :], np.eye(2))
    assert_mean(samples**4, 3.0)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_ignorant_flow_is_the_identity_at_any_number_of_steps(process):
    x = np.random.default_rng(0).standard_normal((7, 2, 3), np.float32)

    @jax.jit
    def ends(x):
        return [
            flow(process.equilibrium_score, process, x, n)
            for flow in (probability_flow, inverse_flow)
            for n in (1, 5)
        ]

    for moved in ends(x):
        # bitwise, but for a compiler that contracts the two equal products differently: then one
        # rounding a step
        np.testing.assert_allclose(moved, x, rtol=1e-6)


@pytest.mark.parametrize("process", [VPCosine(), StraightLine()], ids=str)
def test_no_evaluation_falls_on_a_singular_end(process):
    gaussian = Gaussian(jnp.array([0.5]), jnp.eye(1))

    def score_fn(x, t):
        at_an_end = (process.alpha(t) <= 0) | (process.sigma(t) <= 0)
        return jnp.where(at_an_end[:, None], jnp.nan, gaussian.score(process, x, t))

    @jax.jit
    def ends(key, x):
        flow = probability_flow(score_fn, process, x, 16)
        return flow, reverse_sde(key, score_fn, process, x, 16)

    x = process.scale * np.linspace(-3, 3, 9)[:, None]
    assert np.isfinite(ends(jax.random.key(0), x)).all()


@pytest.mark.parametrize("process", KINDS, ids=str)
def test_the_flow_and_its_inverse_are_of_second_order_and_undo_each_other_to_the_third(process):
    with jax.enable_x64(True):
        mean, std, t_min = 0.3, 0.5, 0.02
        white = np.linspace(-2.0, 2.0, 5)[:, None]

        def score_fn(x, t):
            variance = (process.alpha(t) * std) ** 2 + process.sigma(t) ** 2
            return (process.alpha(t)[:, None] * mean - x) / variance[:, None]

        def at(t):  # a Gaussian's flow keeps each point's number of standard deviations
            alpha = process.alpha(t)
            return alpha * mean + jnp.hypot(alpha * std, process.sigma(t)) * white

        @jax.jit
        def errors():
            def of_steps(num_steps):
                end = probability_flow(score_fn, process, at(1.0), num_steps, t_min)
                start = inverse_flow(score_fn, process, at(t_min), num_steps, t_min)
                back = probability_flow(score_fn, process, start, num_steps, t_min)
                pairs = [(end, at(t_min)), (start, at(1.0)), (back, at(t_min))]
                return [jnp.max(jnp.abs(reached - truth)) for reached, truth in pairs]

            return of_steps(200), of_steps(400)

        # Order two divides the error by 4 when the step is halved; order one would give 2, order
        # three 8.
        coarse, fine = np.asarray(errors())
        order = np.log2(coarse / fine)
        np.testing.assert_array_less(np.abs(order - [2, 2, 3]), 0.5)


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda x, v: probability_flow(v, VPLinear(), x, -1), "num_steps is -1"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=1.0), "t_min=1.0"),
        (lambda x, v: probability_flow(v, VPLinear(), x, 2, t_min=0), "sigma = 0"),
        (lambda x, v: inverse_flow(v, VPLinear(), x, 0), "num_steps is 0"),
        (lambda x, v: inverse_flow(v, VPLinear(), x, 2, t_min=1.0), "t_min=1.0"),
        (lambda x, v: reverse_sde(jax.random.key(0), v, VPLinear(), x, 2, eta=-1.0), "eta=-1.0"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call(np.ones((3, 2), np.float32), lambda x, t: x)
