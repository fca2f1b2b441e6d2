"""Riccati's equation in closed form against its integration, a Gaussian, and the HJB equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_mean
from scipy.integrate import solve_ivp

from diffenc.diffusion.control import action
from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.linear_quadratic import LinearQuadratic
from diffenc.diffusion.processes import VE, VPLinear, VPx
from diffenc.diffusion.value import hjb_residual
from diffenc.errors import InputError

CENTRE = np.array([0.3, -0.2, 0.1])
END_COST = np.array([[2.0, 0.3, 0.0], [0.3, 0.5, -0.2], [0.0, -0.2, 1.0]])
ROOT = np.array([[1.0, 0.0, 0.0], [0.4, 0.5, 0.0], [0.2, -0.3, 0.0]])
STATE_COST = ROOT @ ROOT.T  # of rank two: one axis costs nothing


def make_problem():
    return LinearQuadratic(jnp.asarray(CENTRE), jnp.asarray(END_COST), jnp.asarray(STATE_COST))


def test_the_matrix_equation_is_that_of_its_integration():
    with jax.enable_x64(True):

        def slope(clock, state):
            matrix = state[:9].reshape(3, 3)
            return np.append((STATE_COST - matrix @ matrix).ravel(), 0.5 * np.trace(matrix))

        clocks = np.array([1e-3, 0.1, 1.0, 5.0])
        start = np.append(END_COST.ravel(), 0.0)
        path = solve_ivp(slope, (0, 5), start, t_eval=clocks, rtol=1e-11, atol=1e-12).y.T
        matrix, half_trace = jax.jit(jax.vmap(make_problem().riccati))(clocks)
        np.testing.assert_allclose(matrix, path[:, :9].reshape(-1, 3, 3), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(half_trace, path[:, 9], rtol=1e-8)


def test_in_one_dimension_it_is_a_hyperbolic_tangent():
    with jax.enable_x64(True):
        problem = LinearQuadratic(jnp.zeros(1), jnp.array([[0.4]]), jnp.array([[0.81]]))
        clocks = np.array([0.0, 0.1, 1.0, 20.0, 3000.0])
        matrix, _ = jax.jit(jax.vmap(problem.riccati))(clocks)
        expected = 0.9 * np.tanh(0.9 * clocks + np.arctanh(0.4 / 0.9))
        np.testing.assert_allclose(matrix[:, 0, 0], expected, rtol=1e-13)


@pytest.mark.parametrize("process", [VPLinear(), VPx(), VE(0.01, 50.0)], ids=str)
def test_the_value_obeys_the_equation_with_its_potential_and_not_without(process):
    with jax.enable_x64(True):
        problem = make_problem()
        t = np.linspace(0.02, 0.95, 12)
        y = 2 * np.random.default_rng(0).normal(size=(t.size, 3))
        x = process.alpha(t)[:, None] * y

        def value(x, t):
            return problem.value(process, x, t)

        def potential(x, t):
            return problem.potential(process, x, t)

        @jax.jit
        def residuals():
            slope = jax.grad(lambda x: jnp.sum(value(x, t)))(x)
            return (
                hjb_residual(value, process, x, t, potential),
                hjb_residual(value, process, x, t),
                problem.score(process, x, t) + slope,
            )

        # One time of all points is the same as a time of each.
        late = t[-1:].repeat(t.size)
        for method in (problem.value, problem.score, problem.potential):
            one, each = jax.jit(lambda m=method: (m(process, x, late[0]), m(process, x, late)))()
            np.testing.assert_allclose(one, each, rtol=1e-10)
        with_potential, without, gap = residuals()
        assert np.max(np.abs(with_potential)) < 1e-10
        assert np.max(np.abs(without)) > 0.1
        np.testing.assert_allclose(gap, 0.0, atol=1e-9)


def test_without_a_cost_of_the_state_it_is_a_gaussian():
    with jax.enable_x64(True):
        process = VPLinear()
        problem = LinearQuadratic(
            jnp.asarray(CENTRE), jnp.asarray(END_COST), jnp.zeros_like(jnp.asarray(END_COST))
        )
        gaussian = Gaussian(jnp.asarray(CENTRE), jnp.linalg.inv(jnp.asarray(END_COST)))
        x = np.random.default_rng(0).normal(size=(4, 3))
        t = np.full(4, 0.3)

        def score_fn(x, t):
            return gaussian.score(process, x, t)

        @jax.jit
        def pairs():
            value = problem.value(process, x, t) + problem.log_normalizer()
            log_prob = gaussian.diffused(process, 0.3).log_prob(x)
            score = problem.score(process, x, t)
            return (value, -log_prob), (score, score_fn(x, t))

        for value, expected in pairs():
            np.testing.assert_allclose(value, expected, rtol=1e-10)


def test_the_action_with_a_potential_is_the_value():
    """Of a state that costs, from one point."""
    process, t_min = VPLinear(), 1e-2
    problem = make_problem()
    x = jnp.tile(jnp.array([[0.5, -1.0, 0.2]]), (400, 1))

    @jax.jit
    def actions(key):
        problem_of_paths = Problem(
            process,
            end_cost=lambda x: problem.value(process, x, jnp.full(len(x), t_min)),
            potential=lambda x, t: problem.potential(process, x, t),
            num_steps=100,
            t_min=t_min,
            t_max=0.25,
        )
        value = problem.value(process, x[:1], jnp.array([0.25]))[0]
        best = action(key, problem_of_paths, lambda x, t: problem.score(process, x, t), x)
        return best.reduced - value, best.total - value

    reduced, total = actions(jax.random.key(0))
    assert_mean(reduced, 0.0, largest_stderr=0.01)
    assert_mean(total, 0.0)


def test_shapes_that_do_not_fit_are_refused():
    problem = LinearQuadratic(jnp.zeros(2), jnp.eye(3), jnp.eye(2))
    with pytest.raises(InputError, match="end_cost has shape"):
        problem.riccati(jnp.ones(()))
