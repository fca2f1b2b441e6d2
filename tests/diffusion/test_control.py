"""The action of a control along its paths: its value, its parabola and its gradients, on a mixture
whose score is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS, assert_mean

from diffenc.diffusion.control import action, control_gap, costates, held_action, variations
from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.entropy import path_kl
from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.diffusion.linear_process import expand
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VE, StraightLine, VPLinear
from diffenc.diffusion.value import hamiltonian, value_of
from diffenc.errors import InputError
from diffenc.estimate import Estimate

clone = jax.random.clone  # the same draws again, on purpose

MIXTURE = GaussianMixture.isotropic(
    np.log([0.2, 0.5, 0.3]),
    np.array([[1.5, 0.0], [-1.0, 1.0], [0.0, -1.8]]),
    np.array([0.5, 0.7, 0.9]),
)
NUM_PATHS = 400
T_MIN = 1e-2
NUM_DIRECTIONS = 20


def score_of(process, scale=1.0):
    return lambda x, t: scale * MIXTURE.score(process, x, t)


def problem_of(process, num_steps, t_max=1.0):
    value = value_of(MIXTURE, process)
    return Problem(
        process,
        end_cost=lambda x: value(x, jnp.full(len(x), T_MIN, x.dtype)),
        num_steps=num_steps,
        t_min=T_MIN,
        t_max=t_max,
    )


def starts_of(key, process, t_max=1.0):
    return MIXTURE.diffused(process, jnp.float32(t_max)).sample(key, NUM_PATHS)


def random_direction(process, parameters):
    """A smooth field of size about one in units of eps, that depends on x and on lambda."""
    inner, outer, phase = parameters

    def direction(x, t):
        width = expand(jnp.hypot(process.alpha(t), process.sigma(t)), x)
        level = expand(process.log_snr(t) / 4, x)
        return (
            jnp.tanh(x / width @ inner + phase[None] * (1 + level))
            @ outer
            / expand(process.sigma(t), x)
        )

    return direction


def random_parameters(seed):
    rng = np.random.default_rng(seed)
    shapes = [(2, 8), (8, 2), (8,)]
    return [
        jnp.asarray(rng.normal(size=(NUM_DIRECTIONS, *shape)) / shape[0] ** 0.5, jnp.float32)
        for shape in shapes
    ]


@pytest.mark.parametrize(
    ("process", "t_max"),
    [(VPLinear(), 1.0), (StraightLine(), 0.999), (VE(0.05, 20.0), 1.0)],
    ids=str,
)
def test_the_action_of_the_score_is_the_log_density_and_no_other_takes_less(process, t_max):
    """From samples of the prior p_T, A[u*] = -log p_T(x) for each x; held over a step it is more,
    in proportion to the step; and any other control pays the gap more."""
    score, wrong = score_of(process), score_of(process, 1.3)

    @jax.jit
    def actions(key):
        key_x, key = jax.random.split(key)
        x = starts_of(key_x, process, t_max)
        value = value_of(MIXTURE, process)(x, jnp.full(len(x), t_max))
        problem = problem_of(process, 100, t_max)
        best = action(key, problem, score, x)
        other = action(clone(key), problem, wrong, x)
        gap = control_gap(clone(key), problem, wrong, score, x)
        held = [
            held_action(clone(key), problem_of(process, num_steps, t_max), score, x).reduced
            for num_steps in (50, 100)
        ]
        return (
            best.total - value,
            best.reduced - value,
            best.martingale,
            other.reduced - best.reduced - gap,
            gap,
            [values - value for values in held],
        )

    total, reduced, martingale, rest, gap, held = map(np.asarray, actions(jax.random.key(0)))
    assert_mean(total, 0.0, largest_stderr=0.3)
    assert_mean(martingale, 0.0, largest_stderr=0.3)
    assert_mean(reduced, 0.0, largest_stderr=0.04)
    assert np.std(reduced) < 0.3 * np.std(total)
    assert_mean(rest, 0.0)
    assert gap.mean() > NUM_SIGMAS * np.std(rest) / NUM_PATHS**0.5
    coarse, fine = held.mean(axis=1)
    assert fine > 2 * NUM_SIGMAS * np.std(held[1]) / NUM_PATHS**0.5
    assert 1.7 < coarse / fine < 2.6  # first order would give 2, and the second adds to it


@functools.cache
def derivatives():
    """Variations [NUM_DIRECTIONS, NUM_PATHS] at the score and at a wrong control, and curvatures
    by other draws, along the data."""
    process = VPLinear()
    problem = problem_of(process, 150)
    levels = Uniform(*log_snr_range(process, T_MIN, 1.0))

    @jax.jit
    def of_direction(key, parameters, scale):
        key_x, key, key_data, key_levels = jax.random.split(key, 4)
        direction = random_direction(process, parameters)
        score = score_of(process, scale)
        x = starts_of(key_x, process)
        data = MIXTURE.sample(key_data, NUM_PATHS)

        def moved(x, t):
            return score(x, t) + direction(x, t)

        integral = path_kl(key_levels, score, moved, process, data, levels, 32)
        return variations(key, problem, score, direction, x), integral

    def of_every_direction(scale):
        keys = jax.random.split(jax.random.key(1), NUM_DIRECTIONS)
        parts = [
            of_direction(key, parameters, scale)
            for key, parameters in zip(keys, zip(*random_parameters(0), strict=True), strict=True)
        ]
        return jax.tree.map(lambda *values: np.stack(values), *parts)

    best, integrals = of_every_direction(1.0)
    wrong, _ = of_every_direction(1.2)
    return best, wrong, integrals


@pytest.mark.optimized
def test_the_first_variation_is_zero_at_the_score_in_every_direction_and_nowhere_else():
    best, wrong, _ = derivatives()
    for values in best.first:
        assert_mean(values, 0.0)
    sizes = [abs(mean) / stderr for mean, stderr in map(Estimate.of, wrong.first)]
    assert np.median(sizes) > 2 * NUM_SIGMAS


@pytest.mark.optimized
def test_the_curvature_is_half_the_squared_control_by_g_squared():
    """int 1/(2 g^2) E|h|^2, by draws of other noise at the data; twice that is refused."""
    best, _, integrals = derivatives()
    for values, others in zip(best.curvature, integrals, strict=True):
        assert_mean(values - others, 0.0, scale=2 * others.mean())
    ratio = best.curvature.sum(axis=0) / integrals.sum(axis=0).mean()
    assert_mean(ratio, 1.0)


def test_the_costate_is_minus_the_score_on_every_path_and_the_hamiltonian_is_conserved():
    process = VPLinear()
    score = score_of(process)
    problem = problem_of(process, 200, 0.3)
    x = jnp.tile(jnp.array([[2.0, 1.5]]), (NUM_PATHS, 1))

    @jax.jit
    def along(key):
        paths = costates(key, problem, score, x)
        at = jnp.array([1, 20, 40, 100, 199])
        t = jnp.broadcast_to(paths.t[at, None], (5, NUM_PATHS))
        scores = jax.vmap(score)(paths.x[at], t)
        energies = jax.vmap(lambda x, t: hamiltonian(score, process, x, t))(paths.x[at], t)
        first = hamiltonian(score, process, x[:1], jnp.full(1, 0.3))[0]
        unit = process.sigma(t)[..., None]
        return unit * paths.costate[at], -unit * scores, energies / first

    costate, expected, energy = map(np.asarray, along(jax.random.key(2)))
    for values, others in zip(costate, expected, strict=True):
        assert_mean(values - others, 0.0, largest_stderr=0.01)
        assert np.std(values - others) < 0.2
    # Its scatter grows as the noise falls: later the mean is that of rare paths.
    for values in energy[:3]:
        assert_mean(values, 1.0)


def test_bad_input_names_the_culprit():
    with pytest.raises(InputError, match="num_steps is 0"):
        problem_of(VPLinear(), 0)
    with pytest.raises(InputError, match="infinite log_snr"):
        problem_of(StraightLine(), 10)
