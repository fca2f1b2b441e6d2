"""Losses of a control: their gradients vanish at the score that is known, and at no other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.control import action, control_gap
from diffenc.diffusion.control_learning import (
    action_loss,
    adjoint_loss,
    adjoint_targets,
    thin,
)
from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.linear_quadratic import LinearQuadratic
from diffenc.diffusion.processes import VPLinear
from diffenc.diffusion.value import value_of
from diffenc.errors import InputError

clone = jax.random.clone  # the same draws again, on purpose

PROCESS = VPLinear()
T_MIN = 1e-2
NUM_PATHS = 400
MIXTURE = GaussianMixture.isotropic(
    np.log([0.3, 0.7]), np.array([[1.5, 0.0], [-1.0, 0.5]]), np.array([0.5, 0.7])
)


def mixture_problem(num_steps):
    value = value_of(MIXTURE, PROCESS)
    return Problem(
        PROCESS,
        lambda x: value(x, jnp.full(len(x), T_MIN, x.dtype)),
        num_steps=num_steps,
        t_min=T_MIN,
    )


def moved_score(params, x, t):
    """The exact score, moved in two directions of size about one in units of eps."""
    waves = jnp.stack([jnp.sin(x + 1), jnp.cos(2 * x)], axis=-1) @ params
    return MIXTURE.score(PROCESS, x, t) + waves / expand(PROCESS.sigma(t), x)


def test_the_gradient_of_the_action_vanishes_at_the_score_with_little_noise():
    """Along the martingale of the moved control it would have the noise of an integral of h dB."""
    problem = mixture_problem(100)

    def plain(key, params, x):
        return action(key, problem, functools.partial(moved_score, params), x).reduced

    @jax.jit
    def gradients(key):
        key_x, key = jax.random.split(key)
        x = MIXTURE.diffused(PROCESS, 1.0).sample(key_x, NUM_PATHS)

        def learned(key, params, x):
            return action_loss(key, problem, moved_score, params, x)

        def of_loss(loss, key, params):
            return jax.jacfwd(lambda params: loss(key, params, x))(params)

        zero = jnp.zeros(2)
        return (
            of_loss(learned, key, zero),
            of_loss(plain, clone(key), zero),
            of_loss(learned, clone(key), jnp.array([0.2, 0.0])),
        )

    quiet, noisy, wrong = map(np.asarray, gradients(jax.random.key(0)))
    assert_mean(quiet, 0.0)
    assert_mean(noisy, 0.0, largest_stderr=0.3)
    assert np.all(quiet.std(axis=0) < 0.5 * noisy.std(axis=0))
    assert wrong[:, 0].mean() > NUM_SIGMAS * wrong[:, 0].std() / NUM_PATHS**0.5


def test_the_targets_of_the_best_paths_are_the_score_in_the_mean():
    problem = mixture_problem(100)

    @jax.jit
    def gradients(key):
        key_x, key, key_nodes = jax.random.split(key, 3)
        x = MIXTURE.diffused(PROCESS, 1.0).sample(key_x, NUM_PATHS)
        field = field_of(problem, functools.partial(moved_score, jnp.zeros(2)))
        targets = adjoint_targets(problem, follow(key, problem, field, x)[1])
        few = thin(key_nodes, targets, 25)

        def at(params, targets):
            return jax.jacfwd(
                lambda params: adjoint_loss(functools.partial(moved_score, params), targets)
            )(params)

        zero = jnp.zeros(2)
        end = targets.score[-1] - moved_score(zero, targets.x[-1], jnp.full(NUM_PATHS, T_MIN))
        return at(zero, targets), at(zero, few), at(jnp.array([0.0, 0.2]), targets), end

    best, few, wrong, end = map(np.asarray, gradients(jax.random.key(1)))
    assert_mean(best, 0.0, largest_stderr=0.3)
    assert_mean(few, 0.0, largest_stderr=0.3)
    assert wrong[:, 1].mean() > NUM_SIGMAS * wrong[:, 1].std() / NUM_PATHS**0.5
    np.testing.assert_allclose(end, 0.0, atol=1e-3)  # at the end the target is the score itself


def test_the_target_of_the_reference_does_not_vary():
    """Gaussian data of width kappa, wherever their mean: the target is the score, at every node."""
    process = VPLinear(kappa=1.7)
    mean = np.array([[0.4, -2.0]])
    with jax.enable_x64(True):
        normal = GaussianMixture.isotropic(np.zeros(1), mean, np.full(1, 1.7))
        value = value_of(normal, process)
        problem = Problem(process, lambda x: value(x, jnp.full(len(x), 1e-3)), num_steps=7)
        path = np.random.default_rng(0).normal(size=(8, 5, 2))
        targets = jax.jit(functools.partial(adjoint_targets, problem))(path)
        of_node = jax.vmap(lambda x, t: normal.score(process, x, t))
        scores = jax.jit(of_node)(targets.x, targets.t)
        np.testing.assert_allclose(targets.score, scores, rtol=1e-9)


@functools.cache
def targets_of_ones():
    problem = mixture_problem(4)
    path = np.ones((5, 3, 2), np.float32)
    return problem, jax.jit(functools.partial(adjoint_targets, problem))(path)


def test_the_loss_is_the_weighted_squared_error():
    """int g^2 dt of an error of one is that of the trapezoid rule in the clock."""
    problem, targets = targets_of_ones()
    error = 0.5 * np.asarray(targets.x)
    shifted = targets._replace(score=np.zeros(targets.score.shape, np.float32))
    loss = jax.jit(functools.partial(adjoint_loss, lambda x, t: 0.5 * x))(shifted)
    nodes = jax.jit(functools.partial(problem.nodes, jnp.float32))()
    square = np.square(nodes.alpha) * np.sum(np.square(error[:, 0]), axis=-1)
    expected = 0.5 * np.trapezoid(square, -np.asarray(nodes.clock))
    np.testing.assert_allclose(loss, np.full(3, expected), rtol=1e-5)


def affine(params, x, t):
    """A control affine in x, with polynomials of lambda: it knows nothing of the problem."""
    level = PROCESS.log_snr(t) / 8
    powers = jnp.stack([level**power for power in range(4)], axis=1)
    gain = jnp.exp(powers @ params["gain"])[:, None]
    alpha = PROCESS.alpha(t)[:, None]
    clock = jnp.square(PROCESS.sigma(t)[:, None] / alpha)
    return -(gain * x / alpha - (powers @ params["shift"])[:, None]) / (1 + clock) / alpha


@pytest.mark.optimized
@pytest.mark.parametrize("form", ["action", "adjoint"])
def test_a_control_is_learned_without_a_score(form):
    """The linear-quadratic problem of one dimension with a cost of the state."""
    quadratic = LinearQuadratic(jnp.array([0.5]), jnp.array([[4.0]]), jnp.array([[0.6]]))
    exact_score = functools.partial(quadratic.score, PROCESS)

    def end_cost(x):
        return quadratic.value(PROCESS, x, jnp.full(len(x), T_MIN))

    potential = functools.partial(quadratic.potential, PROCESS)
    problem = Problem(PROCESS, end_cost, potential, num_steps=32, t_min=T_MIN, t_max=0.3)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 200))
    params = {"gain": jnp.zeros(4), "shift": jnp.zeros(4)}

    def loss(params, key):
        key_x, key = jax.random.split(key)
        x = jax.random.normal(key_x, (64, 1))
        if form == "action":
            return jnp.mean(action_loss(key, problem, affine, params, x))
        field = field_of(problem, functools.partial(affine, jax.lax.stop_gradient(params)))
        targets = adjoint_targets(problem, follow(key, problem, field, x)[1])
        return jnp.mean(adjoint_loss(functools.partial(affine, params), targets))

    @jax.jit
    def learn(params, key):
        def update(state, key):
            params, opt_state = state
            updates, opt_state = optimizer.update(jax.grad(loss)(params, key), opt_state)
            return (optax.apply_updates(params, updates), opt_state), None

        keys = jax.random.split(key, 200)
        (params, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), keys)
        return params

    @jax.jit
    def gap(params, key):
        key_x, key_paths = jax.random.split(key)
        x = jax.random.normal(key_x, (200, 1))
        score = functools.partial(affine, params)
        return jnp.mean(control_gap(key_paths, problem, score, exact_score, x))

    before = gap(params, jax.random.key(3))
    after = gap(learn(params, jax.random.key(2)), jax.random.key(3))
    assert before > 1
    assert after < 0.01 * before


def test_bad_input_names_the_culprit():
    _, targets = targets_of_ones()
    with pytest.raises(InputError, match="num_nodes is 6: give 1 to 5"):
        thin(jax.random.key(0), targets, 6)
