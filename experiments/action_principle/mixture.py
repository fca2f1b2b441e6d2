"""The task `mixture` of experiments.action_principle: known densities, nothing is trained.

    python -m experiments.action_principle --config=configs/action_principle/mixture.py \
        --workdir=DIR

Residuals of the equations of V and of the score in the coordinates of every process; the action of
the score beside -log p; samples of reverse processes of every eta beside exact ones; the action of
a control that is moved from the score in random directions, a parabola that is predicted, and its
first variation, which is 0 at the score alone; and guidance, whose control is not that of the
tilted law, and what it pays for that.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.control import action, control_gap, variations
from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.entropy import path_kl
from diffenc.diffusion.gaussians import GaussianMixture, exact
from diffenc.diffusion.linear_process import Process, expand
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import EDM, VE, RectifiedFlow, StraightLine, SubVP, VPLinear
from diffenc.diffusion.tilted import Tilt, guided_score
from diffenc.diffusion.value import hjb_residual, score_residual, value_of
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.run import records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle import mixture_figures
from experiments.action_principle.marginals import marginals
from experiments.action_principle.settings import Density, Mixture, Tilting

PROCESSES = {
    "vp": VPLinear(),
    "sub_vp": SubVP(),
    "ve": VE(),
    "edm": EDM(),
    "straight_line": StraightLine(),
    "rectified_flow": RectifiedFlow(),
}
PROCESS = PROCESSES["vp"]  # of the paths
NUM_POINTS = 50  # of the residuals
LEVELS = (-6.0, 6.0)  # of lambda, at those points
WRONG = 1.2  # the score is multiplied by it for a control that is not the best
HIDDEN = 8  # hyperbolic tangents in a direction
NUM_LEVELS = 32  # noise levels of each example, for predictions along the data


class Move(NamedTuple):
    """What moving the control in one direction does to the action, path by path.

    Attributes:
        first: the first variation at the score [num_paths].
        wrong_first: the same at WRONG times the score.
        curvature: half of the second derivative at the score.
        predicted: draws of int 1/(2 g^2) E|h|^2 along the data, by other noise [num_paths].
        differences: A[u* + eps h] - A[u*] for every size eps, [num_sizes, num_paths].
    """

    first: np.ndarray
    wrong_first: np.ndarray
    curvature: np.ndarray
    predicted: np.ndarray
    differences: np.ndarray


class Guided(NamedTuple):
    """Guidance of one weight beside the law that is tilted as often, path by path [num_paths].

    Attributes:
        excess: the action of guidance for the tilted problem, less the least one.
        gap: that excess, predicted along the guided paths.
        reverse_gap: the same relative entropy the other way round, along paths of the tilted law.
        x: the guided ends.
        tilted: the tilted law at the time of the ends.
    """

    excess: np.ndarray
    gap: np.ndarray
    reverse_gap: np.ndarray
    x: np.ndarray
    tilted: GaussianMixture


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Measure and draw the figures; None where the run was complete already."""
    settings = command_line.read(
        Mixture,
        config,
        plane=command_line.read(Density, config, "plane"),
        line=command_line.read(Density, config, "line"),
        tilt=command_line.read(Tilting, config, "tilt"),
    )
    if command_line.is_complete(config, workdir):
        return None
    steps = settings.num_directions + len(settings.guidance)
    moves = []
    guided = {}
    with records.progress(steps, description="measuring") as show:
        rows = residuals(settings) + actions(settings) + marginals(settings, PROCESS)
        for index in range(settings.num_directions):
            show(index, f"direction {index}")
            moves.append(move(settings, index))
        for index, weight in enumerate(settings.guidance, settings.num_directions):
            show(index, f"guidance {weight:g}")
            guided[weight] = guide(settings, weight)
        show(steps)
    mixture_figures.value(workdir, settings, PROCESS)
    mixture_figures.parabola(workdir, settings, moves)
    mixture_figures.guidance(workdir, guided)
    return rows + results_of_moves(moves) + results_of_guidance(guided)


def problem_of(settings: Mixture, density: GaussianMixture) -> Problem:
    """Make the problem whose value is -log p of a density."""
    value = value_of(density, PROCESS)

    def end_cost(x):
        return value(x, jnp.full(len(x), settings.t_min, x.dtype))

    return Problem(PROCESS, end_cost, num_steps=settings.num_steps, t_min=settings.t_min)


def levels_of(problem: Problem) -> Uniform:
    """Give the noise levels of a problem, all alike."""
    with jax.ensure_compile_time_eval():
        return Uniform(*log_snr_range(problem.process, problem.t_min, problem.t_max))


def residuals(settings: Mixture) -> list[Result]:
    """Give the largest residuals of V and of the score of `plane`, in float64, by process."""
    density = settings.plane.mixture()
    rng = rng_of(settings.seed, "points")
    levels = rng.uniform(*LEVELS, NUM_POINTS)
    noise = rng.normal(size=(2, NUM_POINTS, settings.plane.dim))
    rows = []
    with jax.enable_x64(True):
        density = jax.tree.map(lambda values: jnp.asarray(values, jnp.float64), density)
        means = np.asarray(density.means)[rng.integers(len(density.means), size=NUM_POINTS)]
        for name, process in PROCESSES.items():
            of_value, of_score = _residuals(density, means + noise[0], noise[1], levels, process)
            largest = float(np.abs(of_value).max())
            rows.append(Result(f"hjb_residual.{name}", largest, None, "nats", 0.0))
            largest = float(np.abs(of_score).max())
            rows.append(Result(f"score_residual.{name}", largest, None, "eps", 0.0))
    return rows


@functools.partial(jax.jit, static_argnames="process")
def _residuals(density, x0, eps, log_snr, process: Process):
    t = process.time(log_snr)
    x = process.perturb(x0, eps, t)

    def score(x, t):
        return density.score(process, x, t)

    of_value = hjb_residual(value_of(density, process), process, x, t)
    return of_value, score_residual(score, process, x, t)


def actions(settings: Mixture) -> list[Result]:
    """Give the action of the score of `plane` beside V = -log p, from samples of the prior."""
    density = settings.plane.mixture()
    problem = problem_of(settings, density)

    @jax.jit
    @exact
    def draw(key):
        key_x, key_paths = jax.random.split(key)
        x = density.diffused(PROCESS, problem.t_max).sample(key_x, settings.num_paths)
        best = action(key_paths, problem, lambda x, t: density.score(PROCESS, x, t), x)
        value = value_of(density, PROCESS)(x, jnp.full(len(x), problem.t_max, x.dtype))
        return best.total, best.reduced, value

    total, reduced, value = map(np.float64, draw(key_of(settings.seed, "action")))
    rows = []
    for name, values in (("action", total), ("reduced_action", reduced)):
        # The starts are the truth's own: what is left is the noise.
        stderr = Estimate.of(values - value).stderr
        rows.append(Result(name, values.mean(), stderr, "nats", value.mean()))
    return rows


def move(settings: Mixture, index: int) -> Move:
    """Move the control of `plane` in the direction `index`.

    Args:
        settings: of the paths.
        index: of the direction, which has noise of its own.
    """
    rng = rng_of(settings.seed, "direction", index)
    dim = settings.plane.dim
    parameters = [
        np.float32(rng.normal(size=shape) / shape[0] ** 0.5)
        for shape in ((dim, HIDDEN), (HIDDEN, dim), (HIDDEN,))
    ]
    key = key_of(settings.seed, "move", index)
    return Move(*jax.device_get(_move(key, parameters, settings)))


@functools.partial(jax.jit, static_argnames="settings")
@exact
def _move(key, parameters, settings: Mixture):
    key_x, key_paths, key_data, key_levels = jax.random.split(key, 4)
    density = settings.plane.mixture()
    problem = problem_of(settings, density)
    direction = functools.partial(_direction, parameters)

    def score(x, t):
        return density.score(PROCESS, x, t)

    def moved(x, t):
        return score(x, t) + direction(x, t)

    x = density.diffused(PROCESS, problem.t_max).sample(key_x, settings.num_paths)
    paths_of = functools.partial(jax.random.clone, key_paths)  # the same noise for all

    def variations_at(scale):
        def scaled(x, t):
            return scale * score(x, t)

        return variations(paths_of(), problem, scaled, direction, x)

    first, curvature = jax.lax.map(variations_at, jnp.array([1.0, WRONG], x.dtype))
    data = density.sample(key_data, settings.num_paths)
    predicted = path_kl(key_levels, score, moved, PROCESS, data, levels_of(problem), NUM_LEVELS)

    def reduced(size):
        field = field_of(problem, score, direction, size)
        return follow(paths_of(), problem, field, x)[0].reduced

    sizes = jnp.array([0.0, *settings.sizes], x.dtype)
    at_zero, *others = jax.lax.map(reduced, sizes)
    differences = jnp.stack(others) - at_zero[None]
    return first[0], first[1], curvature[0], predicted, differences


def _direction(parameters, x, t):
    """A smooth field h / g^2 of size about one in units of eps, that depends on x and lambda."""
    inner, outer, phase = parameters
    width = expand(jnp.hypot(PROCESS.alpha(t), PROCESS.sigma(t)), x)
    level = 1 + expand(PROCESS.log_snr(t), x) / 4
    inside = x / width @ inner + phase[None] * level
    return jnp.tanh(inside) @ outer / expand(PROCESS.sigma(t), x)


def results_of_moves(moves: list[Move]) -> list[Result]:
    """Give the first variation and the curvature of every direction, and their mean squares.

    Args:
        moves: by direction.
    """
    rows = []
    squares: dict[str, list[float]] = {
        "first_variation": [],
        "wrong_first_variation": [],
        "curvature": [],
    }
    for index, one in enumerate(moves):
        first = Estimate.of(one.first)
        curvature = Estimate.of(one.curvature)
        predicted = Estimate.of(one.predicted)
        wrong = Estimate.of(one.wrong_first)
        stderr = float(np.hypot(curvature.stderr, predicted.stderr))
        rows.append(Result(f"first_variation.{index}", *first, "nats", 0.0))
        rows.append(Result(f"curvature.{index}", curvature.mean, stderr, "nats", predicted.mean))
        squares["first_variation"].append((first.mean / first.stderr) ** 2)
        squares["wrong_first_variation"].append((wrong.mean / wrong.stderr) ** 2)
        squares["curvature"].append(((curvature.mean - predicted.mean) / stderr) ** 2)
    for name, values in squares.items():
        truth = None if name == "wrong_first_variation" else 1.0
        rows.append(Result(f"{name}.mean_square", *Estimate.of(values), "squared errors", truth))
    return rows


def guide(settings: Mixture, weight: float) -> Guided:
    """Guide the paths of `line` by its tilt.

    Args:
        settings: of the law, its tilt and the paths.
        weight: w.
    """
    tilt = Tilt(jnp.array([settings.tilt.linear]), jnp.array([[settings.tilt.precision]]))
    density = settings.line.mixture()
    conditional, _ = tilt.apply(density)
    tilted, _ = tilt.scaled(1 + weight).apply(density)
    key = key_of(settings.seed, "guidance")  # the same noise for every weight
    excess, gap, reverse_gap, x = jax.device_get(
        _guide(key, density, conditional, tilted, weight, settings)
    )
    return Guided(excess, gap, reverse_gap, x, tilted.diffused(PROCESS, settings.t_min))


@functools.partial(jax.jit, static_argnames="settings")
@exact
def _guide(key, density, conditional, tilted, weight, settings: Mixture):
    key_x, key_paths, key_data, key_levels = jax.random.split(key, 4)
    problem = problem_of(settings, tilted)

    def score_of(law):
        return lambda x, t: law.score(PROCESS, x, t)

    best = score_of(tilted)
    guided = guided_score(score_of(density), score_of(conditional), weight)
    x = tilted.diffused(PROCESS, problem.t_max).sample(key_x, settings.num_paths)
    paid = action(jax.random.clone(key_paths), problem, guided, x)
    least = value_of(tilted, PROCESS)(x, jnp.full(len(x), problem.t_max, x.dtype))
    gap = control_gap(key_paths, problem, guided, best, x)
    data = tilted.sample(key_data, settings.num_paths)
    reverse_gap = path_kl(key_levels, best, guided, PROCESS, data, levels_of(problem), NUM_LEVELS)
    return paid.reduced - least, gap, reverse_gap, paid.x[:, 0]


def results_of_guidance(guided: dict[float, Guided]) -> list[Result]:
    """Give what guidance pays, and the moments of its samples beside those of the tilted law.

    Args:
        guided: by weight.
    """
    rows = []
    for weight, one in guided.items():
        excess = Estimate.of(one.excess)
        gap = Estimate.of(one.gap)
        # The same paths: the error is that of the difference.
        stderr = Estimate.of(one.excess - one.gap).stderr
        moments = one.tilted.moments()
        mean = Estimate.of(one.x)
        squares = np.square(np.float64(one.x) - mean.mean)
        name = f"guidance.w={weight:g}"
        rows += [
            Result(f"{name}.excess_action", excess.mean, stderr, "nats", gap.mean),
            Result(f"{name}.gap", *gap, "nats"),
            Result(f"{name}.reverse_gap", *Estimate.of(one.reverse_gap), "nats"),
            Result(f"{name}.mean", *mean, "length", float(moments.mean[0])),
            Result(f"{name}.variance", *Estimate.of(squares), "length^2", float(moments.cov[0, 0])),
        ]
    return rows
