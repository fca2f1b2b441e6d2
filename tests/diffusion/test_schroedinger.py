"""The Schroedinger bridge of Gaussians: what defines it, its equations of motion, both limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.diffusion.gaussians import Gaussian, gaussian_w2_squared
from diffenc.diffusion.processes import VE, RectifiedFlow, SubVP, VPLinear
from diffenc.diffusion.schroedinger import Bridge
from diffenc.errors import InputError

PROCESSES = [VPLinear(0.1, 4.0), SubVP(0.1, 4.0), VE(0.01, 1.5)]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)


def make_ends():
    start = Gaussian(np.array([0.5, -1.0]), np.array([[0.5, 0.2], [0.2, 0.3]]))
    end = Gaussian(np.array([-0.4, 0.3]), np.array([[0.4, -0.3], [-0.3, 1.2]]))
    return start, end


def transition(process):
    """The signal a and the variance s^2 from 0 to 1, from alpha and sigma alone."""
    signal = float(process.alpha(1.0) / process.alpha(0.0))
    return signal, float(process.sigma(1.0) ** 2 - (signal * process.sigma(0.0)) ** 2)


@every_process
def test_the_coupling_has_both_ends_and_the_potentials_of_schroedinger(process):
    """A law is the bridge if it has the ends and its density is that of the process times a
    function of x_0 and a function of x_1: of Gaussians, if the precision between the two is the
    process's, -a/s^2."""
    with jax.enable_x64(True):
        start, end = make_ends()
        joint = jax.device_get(Bridge(process, start, end).coupling())
        signal, variance = transition(process)
    precision = np.linalg.inv(joint.cov)
    np.testing.assert_allclose(precision[:2, 2:], -signal / variance * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(joint.cov[:2, :2], start.cov)
    np.testing.assert_allclose(joint.cov[2:, 2:], end.cov)
    np.testing.assert_allclose(joint.mean, np.concatenate([start.mean, end.mean]))
    assert np.linalg.eigvalsh(joint.cov).min() > 0


@every_process
def test_marginals_run_from_end_to_end_as_both_drifts_and_the_flow_move_them(process):
    def moments(density):
        return density.mean, density.cov

    @jax.jit
    def motions(bridge, t):
        marginal = bridge.marginal(t)
        _, rates = jax.jvp(lambda t: moments(bridge.marginal(t)), (t,), (jnp.ones(()),))
        square = jnp.square(process.diffusion(t))

        def forward(x):
            return process.drift(t) * x + square * bridge.forward_force(x, t)

        def reverse(x):
            return process.drift(t) * x - square * bridge.reverse_force(x, t)

        def flow(x):
            return bridge.velocity(x, t)

        def of_drift(drift, noise):
            """Rates of mean and covariance of dx = drift(x) dt + sqrt(noise) dB."""
            jacobian = jax.jacobian(lambda x: drift(x[None])[0])(marginal.mean)
            spread = jacobian @ marginal.cov
            return drift(marginal.mean[None])[0], spread + spread.T + noise * jnp.eye(2)

        force = bridge.forward_force(x, t) + bridge.reverse_force(x, t)
        score = jax.vmap(jax.grad(lambda x: marginal.log_prob(x[None])[0]))(x)
        moved = [of_drift(forward, square), of_drift(reverse, -square), of_drift(flow, 0.0)]
        return rates, moved, force, score

    x = np.random.default_rng(0).normal(size=(5, 2))
    with jax.enable_x64(True):
        start, end = make_ends()
        bridge = Bridge(process, start, end)
        for t in (0.1, 0.5, 0.9):
            rates, moved, force, score = motions(bridge, jnp.asarray(t))
            np.testing.assert_allclose(force, score, rtol=1e-8, atol=1e-8)
            for of_mean, of_cov in moved:
                np.testing.assert_allclose(of_mean, rates[0], rtol=1e-7, atol=1e-8)
                np.testing.assert_allclose(of_cov, rates[1], rtol=1e-7, atol=1e-8)
        for t, density in ((1e-12, start), (1 - 1e-12, end)):
            marginal = bridge.marginal(t)
            np.testing.assert_allclose(marginal.mean, density.mean, atol=1e-5)
            np.testing.assert_allclose(marginal.cov, density.cov, atol=1e-5)


def test_without_drift_it_is_the_bridge_of_brownian_motion_in_the_clock_of_its_variance():
    process = VE(0.01, 1.5)
    with jax.enable_x64(True):
        start, end = make_ends()
        bridge = Bridge(process, start, end)
        cross = np.asarray(bridge.coupling().cov)[:2, 2:]
        _, variance = transition(process)
        w = float((process.sigma(0.7) ** 2 - process.sigma(0.0) ** 2) / variance)
        marginal = jax.device_get(bridge.marginal(0.7))
    # arXiv 2202.05722
    mixed = w * (1 - w) * (cross + cross.T + variance * np.eye(2))
    expected = (1 - w) ** 2 * start.cov + w**2 * end.cov + mixed
    np.testing.assert_allclose(marginal.cov, expected, rtol=1e-9)
    np.testing.assert_allclose(marginal.mean, (1 - w) * start.mean + w * end.mean, rtol=1e-9)


@every_process
def test_the_action_of_its_control_is_its_relative_entropy_to_the_process(process):
    nodes, weights = np.polynomial.legendre.leggauss(40)

    @jax.jit
    def rate(bridge, t):
        marginal = bridge.marginal(t)
        at_mean = bridge.forward_force(marginal.mean[None], t)[0]
        jacobian = jax.jacobian(lambda x: bridge.forward_force(x[None], t)[0])(marginal.mean)
        spread = jnp.trace(jacobian @ marginal.cov @ jacobian.T)
        return 0.5 * jnp.square(process.diffusion(t)) * (at_mean @ at_mean + spread)

    with jax.enable_x64(True):
        bridge = Bridge(process, *make_ends())
        action = sum(
            0.5 * weight * rate(bridge, jnp.asarray(0.5 + 0.5 * node))
            for node, weight in zip(nodes, weights, strict=True)
        )
        np.testing.assert_allclose(action, bridge.cost(), rtol=1e-6)


@every_process
def test_to_the_law_that_the_process_makes_it_is_the_diffusion(process):
    x = np.random.default_rng(0).normal(size=(5, 2))
    with jax.enable_x64(True):
        start, _ = make_ends()
        signal, variance = transition(process)
        mean = signal * start.mean
        bridge = Bridge(
            process, start, Gaussian(mean, signal**2 * start.cov + variance * np.eye(2))
        )
        t = jnp.asarray(0.4)
        early = process.alpha(t) / process.alpha(0.0)
        early_variance = process.sigma(t) ** 2 - (early * process.sigma(0.0)) ** 2
        cov = early**2 * start.cov + early_variance * np.eye(2)
        score = -(x - early * start.mean[None]) @ np.linalg.inv(cov)
        np.testing.assert_allclose(bridge.marginal(t).cov, cov, rtol=1e-9)
        np.testing.assert_allclose(bridge.forward_force(x, t), 0.0, atol=1e-8)
        np.testing.assert_allclose(bridge.reverse_force(x, t), score, rtol=1e-8)
        np.testing.assert_allclose(bridge.cost(), 0.0, atol=1e-9)


def test_to_the_prior_it_comes_near_the_diffusion_as_the_signal_at_the_end_is_lost():
    """The prior differs from the process's own law by alpha(1) in the mean and alpha(1)^2 in the
    variance: so do the forces."""
    x = np.random.default_rng(0).normal(size=(5, 2))
    gaps = []
    costs = []
    signals = []
    with jax.enable_x64(True):
        start, _ = make_ends()
        for beta_max in (8.0, 16.0, 24.0):
            process = VPLinear(0.1, beta_max)
            bridge = Bridge(process, start, Gaussian(np.zeros(2), np.eye(2)))
            t = process.time(0.0)
            gap = bridge.reverse_force(x, t) - start.score(process, x, t)
            gaps.append(float(jnp.abs(gap).max()))
            costs.append(float(bridge.cost()))
            signals.append(float(process.alpha(1.0)))
        square = start.mean @ start.mean
    assert gaps[2] < 0.01
    # The forces at lambda = 0 differ by alpha(1) alpha(t) times a number of order one, squared: the
    # past of x_t is known but for its mean's share of alpha(1).
    np.testing.assert_allclose(np.divide(costs, np.square(signals))[1:], 0.5 * square, rtol=0.05)
    assert gaps[0] > gaps[1] > gaps[2]


def test_without_noise_it_is_optimal_transport():
    excess = []
    gaps = []
    with jax.enable_x64(True):
        start, end = make_ends()
        distance = float(gaussian_w2_squared(start.mean, start.cov, end.mean, end.cov))
        # the map of Bures, T C_0 T = C_1
        values, axes = np.linalg.eigh(start.cov)
        root = (axes * np.sqrt(values)) @ axes.T
        values, axes = np.linalg.eigh(root @ end.cov @ root)
        inverse = np.linalg.inv(root)
        transport = inverse @ (axes * np.sqrt(values)) @ axes.T @ inverse
        for noise in (0.02, 0.002):
            bridge = Bridge(VE(noise / 10, noise), start, end)
            _, variance = transition(bridge.process)
            cov = np.asarray(bridge.coupling().cov)
            cross = np.trace(cov[:2, 2:])
            mean = np.sum(np.square(start.mean - end.mean))
            square = mean + np.trace(start.cov + end.cov) - 2 * cross
            excess.append((square - distance) / variance)
            gaps.append(np.abs(cov[:2, 2:] - start.cov @ transport).max())
            scaled = 2 * variance * float(bridge.cost())
        np.testing.assert_allclose(scaled, distance, atol=1e-3)
    # E|x_0 - x_1|^2 = W_2^2 + D s^2 + O(s^4)
    np.testing.assert_allclose(excess, 2.0, rtol=1e-2)
    assert gaps[1] < 1e-5 and gaps[1] < gaps[0] / 50


def test_ends_of_two_dimensions_are_refused():
    start, _ = make_ends()
    with pytest.raises(InputError, match="make them one shape"):
        Bridge(RectifiedFlow(), start, Gaussian(np.zeros(3), np.eye(3))).coupling()


def test_a_process_that_forgets_its_start_is_refused():
    start, end = make_ends()
    with pytest.raises(InputError, match=r"alpha\(1\) of RectifiedFlow is 0.0: x_1 would not"):
        Bridge(RectifiedFlow(), start, end).coupling()


def test_ends_on_a_line_have_a_coupling_in_single_precision():
    """Rounding puts eigenvalues of their covariances below 0."""
    line = np.array([-0.5, 0.4, -1.4], np.float32)
    flat = Gaussian(np.zeros(3, np.float32), np.outer(line, line))
    bridge = Bridge(VE(0.01, 1.5), flat, flat)
    assert np.isfinite(bridge.coupling().cov).all()
