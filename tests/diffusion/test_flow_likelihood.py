"""Densities by the probability flow: against closed forms, there and back, exact and by probes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS

from diffenc.diffusion import dequantization, kraft
from diffenc.diffusion.flow_likelihood import Flow, check_dimensions
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.processes import VE, SubVP, VPCosine, VPLinear, VPx
from diffenc.errors import InputError

# of one width, of another, with a width and an equilibrium that move, and without an equilibrium
PROCESSES = [VPLinear(), VPx(), SubVP(), VE(0.01, 20.0)]
T_MIN = 0.02
WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
STDS = np.array([0.3, 0.4, 0.5])


def make_mixture():
    return GaussianMixture.isotropic(np.log(WEIGHTS), MEANS, STDS)


def score_of_mixture(process):
    """That of `make_mixture`, in few operations."""

    def score(x, t):
        alpha = process.alpha(t)[:, None]
        variance = jnp.square(alpha * STDS[None]) + jnp.square(process.sigma(t))[:, None]
        away = x[:, None] - alpha[..., None] * MEANS[None]
        log_prob = -0.5 * jnp.square(away).sum(axis=2) / variance - jnp.log(variance)
        share = jax.nn.softmax(np.log(WEIGHTS)[None] + log_prob, axis=1)
        return -jnp.sum((share / variance)[..., None] * away, axis=1)

    return score


def make_flow(process, num_steps):
    """It starts from the exact density at t = 1."""
    log_prior = make_mixture().diffused(process, 1.0).log_prob
    return Flow(process, num_steps, T_MIN, finest=0.3, log_prior=log_prior)


def draw_points(process):
    return make_mixture().diffused(process, T_MIN).sample(jax.random.key(0), 20)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_a_mixture_has_its_density_within_the_error_of_the_solver(process):
    with jax.enable_x64(True):
        x = draw_points(process)
        score_fn = score_of_mixture(process)

        def density(num_steps):
            flow = make_flow(process, num_steps)
            return jax.jit(functools.partial(flow.log_prob, score_fn))(x)

        coarse = density(40)
        fine = density(80)
        truth = make_mixture().diffused(process, T_MIN).log_prob(x)
        error = np.linalg.norm(fine.log_prob - truth)
        # Of second order: the finer one has a third of the change left.
        assert error < np.linalg.norm(fine.log_prob - coarse.log_prob) / 2
        assert error < 0.05 * np.linalg.norm(truth)
        assert fine.divergence == "exact" and np.all(fine.stderr == 0)


def test_there_and_back_is_the_identity_to_the_third_order_and_has_the_same_density():
    with jax.enable_x64(True):
        process = SubVP()
        x = draw_points(process)
        moved = []
        changed = []
        for num_steps in (20, 40):
            flow = make_flow(process, num_steps)

            @jax.jit
            def there_and_back(x, flow=flow):
                there = flow.log_prob(score_of_mixture(process), x)
                return there, flow.sample(score_of_mixture(process), there.x)

            there, back = there_and_back(x)
            moved.append(np.linalg.norm(back.x - x))
            changed.append(np.linalg.norm(back.log_prob - there.log_prob))
        assert moved[1] < moved[0] / 2**2.5
        assert changed[1] < changed[0] / 2**1.5


def test_probes_have_the_exact_mean_and_a_variance_that_falls_with_their_number():
    process = VPCosine()
    with jax.enable_x64(True):
        x = draw_points(process)
        flow = make_flow(process, 60)
        score_fn = score_of_mixture(process)

        @functools.partial(jax.jit, static_argnums=2)
        def probe(key, x, num_probes):
            return flow.log_prob(score_fn, x, key, num_probes)

        exact = jax.jit(functools.partial(flow.log_prob, score_fn))(x)
        few = probe(jax.random.key(1), x, 8)
        many = probe(jax.random.key(2), x, 128)
        truth = make_mixture().diffused(process, T_MIN).log_prob(x)
    exact, few, many, truth = jax.device_get((exact, few, many, truth))
    solver = np.abs(exact.log_prob - truth).max()
    assert solver < 0.01
    error = np.abs(many.log_prob - exact.log_prob)
    np.testing.assert_array_less(error, NUM_SIGMAS * many.stderr + 2 * solver)
    assert many.divergence == few.divergence == "hutchinson"
    np.testing.assert_array_equal(many.x, few.x)
    # In two dimensions a probe is the trace plus or minus one number: its variance is known well.
    ratio = np.mean(np.square(few.stderr)) / np.mean(np.square(many.stderr))
    assert 12 < ratio < 20
    # and the errors are as large as is said, of the few over the many
    standardized = (few.log_prob - many.log_prob) / np.hypot(few.stderr, many.stderr)
    assert 0.5 < np.sqrt(np.mean(np.square(standardized))) < 1.7


@pytest.mark.parametrize("process", [VPx(), VPCosine(2.0), VE(0.01, 50.0)], ids=str)
def test_an_ignorant_score_gives_the_prior_in_one_step(process):
    """Of images, whose score at every t is that of N(0, (kappa r)^2 I), and v = 0."""
    scale = process.scale

    def score_fn(x, t):
        return -x / jnp.square(scale * process.radius(t))[:, None, None]

    flow = Flow(process, 1)
    x = scale * np.random.default_rng(0).standard_normal((5, 2, 3), np.float32)
    density = jax.jit(functools.partial(flow.log_prob, score_fn))(x)
    width = float(scale * process.radius(1e-3))
    square = np.square(x / width).sum(axis=(1, 2))
    expected = -0.5 * square - 6 * np.log(width * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(density.log_prob, expected, rtol=1e-4)

    @jax.jit
    def sample(x, key):
        return flow.sample(score_fn, x, key, 2)

    back = sample(density.x, jax.random.key(0))
    np.testing.assert_allclose(back.x, x, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(back.log_prob, expected, rtol=1e-4)
    np.testing.assert_allclose(back.stderr, 0.0, atol=1e-4)


def test_few_steps_of_a_score_that_knows_other_data_give_a_code():
    flow = Flow(VPCosine(), 8, T_MIN)
    states = kraft.states(17, 2)
    x = (jnp.asarray(states, jnp.float32) - 8) * 2 / 17
    score_fn = score_of_mixture(flow.process)

    @jax.jit
    def lengths(key):
        def log_prob(x):
            return flow.log_prob(score_fn, x).log_prob

        def bound(key):
            return dequantization.importance_bound(
                key, dequantization.uniform(), log_prob, x, 1, 2 / 17
            )

        return jax.lax.map(bound, jax.random.split(key, 20))

    total = kraft.kraft_sum(lengths(jax.random.key(3)))
    assert 0.5 < total.mean < 1 + NUM_SIGMAS * total.stderr
    assert total.stderr < 0.01


def test_padding_is_refused():
    x = np.random.default_rng(0).normal(size=(10, 3, 2))
    check_dimensions(x)
    x[:, 1] = 0.5
    with pytest.raises(InputError, match="constant coordinates of images is 2: leave them out"):
        check_dimensions(x, "images")


@pytest.mark.parametrize(
    "call, culprit",
    [
        (lambda: Flow(VPLinear(), 0), "num_steps is 0"),
        (lambda: Flow(VPLinear(), 8, t_min=1.0), "t_min is 1.0"),
        (lambda: Flow(VPLinear(), 8, finest=0.0), "finest is 0.0"),
        (lambda: run(Flow(VPLinear(), 8, t_min=0.0)), "VPLinear has sigma = 0"),
        (lambda: run(Flow(VPLinear(), 8), num_probes=2), "num_probes is 2: give a key"),
        (lambda: run(Flow(VPLinear(), 8), jax.random.key(0)), "num_probes is 0: give a key"),
        (lambda: run(Flow(VPLinear(), 8), jax.random.key(0), 1), "num_probes is 1: give 2"),
    ],
)
def test_bad_input_names_the_culprit(call, culprit):
    with pytest.raises(InputError, match=culprit):
        call()


def run(flow, key=None, num_probes=0):
    return flow.log_prob(score_of_mixture(flow.process), jnp.zeros((1, 2)), key, num_probes)
