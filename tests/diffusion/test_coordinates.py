"""One diffusion in the coordinates of every process: outputs, samples, entropies, likelihoods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion.coordinates import (
    convert_between,
    log_prob_in_time,
    reverse_drift,
    scale_in,
    score_in,
    time_in,
    velocity_fn,
)
from diffenc.diffusion.entropy import neural_entropy, path_kl
from diffenc.diffusion.flow_likelihood import Flow
from diffenc.diffusion.gaussians import Gaussian, GaussianMixture
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import KINDS, from_pair, score_fn
from diffenc.diffusion.processes import EDM, VE, RectifiedFlow, StraightLine, SubVP, VPLinear
from diffenc.diffusion.samplers import probability_flow
from diffenc.errors import InputError

SOURCE = VPLinear()
OTHERS = [
    SubVP(0.1, 17.0),
    RectifiedFlow(),
    StraightLine(1.0),
    VE(0.01, 60.0),
    EDM(),
]
every_other = pytest.mark.parametrize("other", OTHERS, ids=str)
# With an equilibrium that moves, with a signal that ends, and without an equilibrium.
every_kind = pytest.mark.parametrize("other", [SubVP(0.1, 17.0), RectifiedFlow(), EDM()], ids=str)
T_MIN = 0.02


def make_mixture():
    means = np.array([[0.6, 0.0], [-0.4, 0.5], [0.0, -0.7]])
    return GaussianMixture.isotropic(np.log([0.5, 0.3, 0.2]), means, np.array([0.3, 0.4, 0.5]))


def score_of_mixture(process):
    mixture = make_mixture()
    return lambda x, t: mixture.score(process, x, t)


@pytest.mark.parametrize("back", [False, True])
@every_other
def test_outputs_are_converted_between_processes_at_five_digits(other, back):
    process, other = (other, SOURCE) if back else (SOURCE, other)
    levels = np.linspace(-7.0, 7.0, 15)
    x0, eps = np.random.default_rng(0).standard_normal((2, levels.size, 400))

    def outputs(process, x0, eps, t):
        outs = {kind: from_pair(process, kind, x0, eps, t) for kind in KINDS}
        return process.perturb(x0, eps, t), outs

    def conversions(outs, x_t, t):
        pairs = zip(KINDS, (*KINDS[1:], KINDS[0]), strict=True)
        return {
            pair: convert_between(process, other, *pair, outs[pair[0]], x_t, t) for pair in pairs
        }

    with jax.enable_x64(True):
        t = np.asarray(process.time(levels)).astype(np.float32)
        x_t, outs = jax.device_get(jax.jit(outputs, static_argnums=0)(process, x0, eps, t * 1.0))
        t_other = np.asarray(time_in(other, process, t.astype(np.float64)))
        truth = jax.device_get(jax.jit(outputs, static_argnums=0)(other, x0, eps, t_other))
    single = jax.tree.map(lambda out: out.astype(np.float32), outs)
    got = jax.device_get(jax.jit(conversions)(single, x_t.astype(np.float32), t))
    for pair, (out, x_other, t_new) in got.items():
        np.testing.assert_allclose(t_new, t_other, rtol=1e-5)
        for value, expected in ((out, truth[1][pair[1]]), (x_other, truth[0])):
            assert value.dtype == np.float32
            error = np.square(value - expected).mean(axis=1) / np.square(expected).mean(axis=1)
            assert np.sqrt(error.max()) < 1e-5, (pair, np.sqrt(error.max()))


@every_kind
def test_one_score_gives_one_likelihood_in_all_coordinates(other):
    """In its own x and t, which no process shares with another, within .01 nats a dimension."""

    @jax.jit
    def densities(mixture, x):
        own = {}
        for process in (SOURCE, other):
            with jax.ensure_compile_time_eval():
                first = float(time_in(process, SOURCE, T_MIN))
                last = min(float(time_in(process, SOURCE, 1.0)), 1.0)
            c = scale_in(process, SOURCE, jnp.asarray(T_MIN))
            score = score_in(process, SOURCE, score_of_mixture(SOURCE))
            log_prior = mixture.diffused(process, last).log_prob
            log_prob = log_prob_in_time(process, score, log_prior, c * x, 150, first, last)
            own[process] = log_prob + x.shape[1] * jnp.log(c)
        flow = Flow(SOURCE, 150, T_MIN, 0.3, mixture.diffused(SOURCE, 1.0).log_prob)
        return own[SOURCE], own[other], flow.log_prob(score_of_mixture(SOURCE), x).log_prob

    with jax.enable_x64(True):
        mixture = make_mixture()
        x = mixture.diffused(SOURCE, T_MIN).sample(jax.random.key(0), 20)
        truth = np.asarray(mixture.diffused(SOURCE, T_MIN).log_prob(x))
        first, second, third = jax.device_get(densities(mixture, x))
    for log_prob in (first, second, third):
        error = np.abs(log_prob - truth) / 2
        assert error.max() < 0.01
    assert np.abs(first - second).max() / 2 < 0.01


@every_other
def test_one_score_gives_one_set_of_samples(other):
    """The flow of the other process, from the same noise, ends at the same points: also where it
    starts at a lambda at which the source has ended."""
    with jax.enable_x64(True):
        noise = np.random.default_rng(0).normal(size=(20, 2))
        width = SOURCE.scale * float(other.radius(1.0))
        t_min = float(time_in(other, SOURCE, T_MIN))
        score = score_in(other, SOURCE, score_of_mixture(SOURCE))

        @jax.jit
        def ends(noise):
            own = probability_flow(score_of_mixture(SOURCE), SOURCE, noise, 100, T_MIN)
            return own, probability_flow(score, other, width * noise, 100, t_min)

        own, moved = jax.device_get(ends(noise))
        c = float(scale_in(other, SOURCE, jnp.asarray(T_MIN)))
    np.testing.assert_allclose(moved / c, own, atol=2e-3)


@every_kind
def test_one_score_gives_the_entropies_of_the_other_process(other):
    """On the same draws: the gap of two scores is the same number in all coordinates, and the
    neural entropy that of the other's exact score."""
    levels = Uniform(-6.0, 6.0)

    def wrong(score):
        return lambda x, t: 0.8 * score(x, t)

    @jax.jit
    def entropies(x):
        source = score_of_mixture(SOURCE)
        moved = score_in(other, SOURCE, source)
        key = jax.random.key(0)
        gaps = [
            path_kl(jax.random.clone(key), score, wrong(score), process, x, levels, 4)
            for score, process in ((source, SOURCE), (moved, other))
        ]
        return gaps, [
            neural_entropy(jax.random.clone(key), score, other, x, levels, 4)
            for score in (moved, score_of_mixture(other))
        ]

    with jax.enable_x64(True):
        x = make_mixture().sample(jax.random.key(1), 10)
        gaps, neural = jax.device_get(entropies(x))
    np.testing.assert_allclose(gaps[0], gaps[1], rtol=1e-7)
    np.testing.assert_allclose(neural[0], neural[1], rtol=1e-7)


@pytest.mark.parametrize("process", [SOURCE, *OTHERS], ids=str)
def test_every_eta_moves_the_marginals_alike_and_another_weight_of_the_score_does_not(process):
    """The drift of a Gaussian is linear, and moves its mean and covariance by two equations."""

    @jax.jit
    def rates(t, eta):
        gaussian = Gaussian(jnp.array([0.5, -1.0]), jnp.array([[0.5, 0.2], [0.2, 0.3]]))
        density = gaussian.diffused(process, t)
        _, truth = jax.jvp(lambda t: gaussian.diffused(process, t), (t,), (jnp.ones_like(t),))

        def of_score(factor):
            def score(x, t):
                return factor * gaussian.score(process, x, t)

            drift = reverse_drift(process, score, eta)
            jacobian = jax.jacobian(lambda x: drift(x[None], t)[0])(density.mean)
            spread = jacobian @ density.cov
            noise = jnp.square(eta * process.diffusion(t)) * jnp.eye(2)
            return drift(density.mean[None], t)[0], spread + spread.T + noise

        return (-truth.mean, -truth.cov), of_score(1.0), of_score(1.1)

    with jax.enable_x64(True):
        t = jnp.asarray(float(process.time(0.0)))
        for eta in (0.0, 0.5, 1.0, 1.5):
            truth, right, wrong = jax.device_get(rates(t, eta))
            for rate, expected in zip(right, truth, strict=True):
                np.testing.assert_allclose(rate, expected, rtol=1e-9, atol=1e-9)
            assert np.abs(wrong[1] - truth[1]).max() > 0.03 * np.abs(truth[1]).max()


def test_velocity_and_score_are_each_other_s():
    process = RectifiedFlow()
    x = np.random.default_rng(0).normal(size=(9, 2))
    t = np.linspace(0.05, 0.95, 9)

    @jax.jit
    def both(x, t):
        score = score_of_mixture(process)
        back = score_fn(process, "velocity", velocity_fn(process, score))
        return score(x, t), back(x, t)

    with jax.enable_x64(True):
        np.testing.assert_allclose(*both(x, t), rtol=1e-9)


def test_impossible_times_are_refused():
    with pytest.raises(InputError, match="t_min is 0.5: give more than 0, less than t_max=0.4"):
        score = score_of_mixture(SOURCE)
        log_prob_in_time(SOURCE, score, None, np.zeros((1, 2)), 4, 0.5, 0.4)
    with pytest.raises(InputError, match="t_max is 1.0: alpha is 0 there, give less"):
        log_prob_in_time(RectifiedFlow(), lambda x, t: -x, lambda x: x[:, 0], np.ones((1, 2)), 4)


def test_where_no_signal_is_left_the_score_is_that_of_noise():
    """lambda' is minus infinity there, a time that the known process does not have."""
    for process in (VPLinear(), SubVP(), VE()):
        score = jax.jit(score_in(RectifiedFlow(), process, lambda x, t: x + t[:, None]))
        x = np.array([[1.0, -2.0]], np.float32)
        np.testing.assert_allclose(score(x, np.ones(1, np.float32)), -x, rtol=1e-6)
