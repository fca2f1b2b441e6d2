"""The task `learn`: a control from the action alone, beside the score that it should find.

Cases are linear-quadratic problems, whose best control is that of Riccati's equation, and a mixture
in the plane, whose best control is its score. Each is learned by gradients of the action through
its paths, and by adjoint matching. The error of a control u is int 1/(2 g^2) E|u - u*|^2 along its
own paths (`control.control_gap`), in nats: the action that it takes too much.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.control import control_gap
from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.linear_quadratic import LinearQuadratic
from diffenc.diffusion.processes import VPLinear
from diffenc.diffusion.value import value_of
from diffenc.errors import check, check_least
from diffenc.estimate import over_seeds
from diffenc.keys import key_of, rng_of
from diffenc.run import figures, records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle.learning import FORMS, Learner, Training, check_nodes
from experiments.action_principle.settings import Density

PROCESS = VPLinear()
LABELS = {"action": "gradient of the action", "adjoint": "adjoint matching"}
SHOWN_LEVELS = (0.0, 3.0)  # lambda of the pictures of the field
HALF_WIDTH = 2.8  # of these, in units of alpha


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the task measures.

    Attributes:
        seed: of the problems and of all draws.
        num_seeds: trainings of each control.
        plane: the law of the mixture, of two dimensions.
        dimensions: of the linear-quadratic problems.
        t_min: the time at which paths end.
        t_max_quadratic: the time at which those of the linear-quadratic problems begin; the cost
            of the state grows with the noise.
        num_steps: of each path.
        num_paths: for each error.
    """

    seed: int
    num_seeds: int
    plane: Density
    dimensions: tuple[int, ...]
    t_min: float
    t_max_quadratic: float
    num_steps: int
    num_paths: int

    def __post_init__(self):
        check(self.plane.dim == 2, "plane", f"of dimension {self.plane.dim}", "give one of 2")
        holds = bool(self.dimensions) and min(self.dimensions) >= 1
        check(holds, "dimensions", self.dimensions, "give numbers of 1 or more, one or more")
        check(0 < self.t_min < 1, "t_min", self.t_min, "give a small time such as 1e-2")
        holds = self.t_min < self.t_max_quadratic <= 1
        check(holds, "t_max_quadratic", self.t_max_quadratic, "give a time from t_min to 1")
        check_least(self, 1, "num_seeds", "num_steps")
        check_least(self, 2, "num_paths")


class Case(NamedTuple):
    """A problem whose best control is known.

    Attributes:
        problem: what is to be done.
        dim: the dimension.
        score: u*/g^2, (x [n, dim], t [n]) -> [n, dim].
    """

    problem: Problem
    dim: int
    score: Callable


class Course(NamedTuple):
    """The error of a control while it is learned.

    Attributes:
        updates: made [checks + 1].
        errors: of the paths of each seed [seeds, checks + 1, num_paths], in nats.
        params: what was learned, of the first seed.
    """

    updates: np.ndarray
    errors: np.ndarray
    params: Any


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Learn, measure and draw the figures; None where the run was complete already."""
    plane = command_line.read(Density, config, "plane")
    settings = command_line.read(Settings, config, plane=plane)
    training = command_line.read(Training, config, "training")
    check_nodes(training, settings.num_steps)
    if command_line.is_complete(config, workdir):
        return None
    cases = make_cases(settings)
    courses: dict[tuple[str, str], Course] = {}
    with (
        jax.default_matmul_precision("highest"),
        records.progress(len(cases) * len(FORMS), description="learning") as show,
    ):
        for (name, case), form in itertools.product(cases.items(), FORMS):
            show(len(courses), f"{name}, {LABELS[form]}")
            courses[name, form] = _course(settings, training, name, case, form)
        show(len(courses))
    draw_errors(workdir, courses)
    draw_fields(workdir, settings, training, cases["mixture"], courses)
    return summarize(courses)


def make_cases(settings: Settings) -> dict[str, Case]:
    """Make the problems, by name."""
    cases = {f"quadratic{dim}": quadratic_case(settings, dim) for dim in settings.dimensions}
    mixture = settings.plane.mixture()
    problem = _problem(settings, value_of(mixture, PROCESS))
    return cases | {"mixture": Case(problem, 2, functools.partial(mixture.score, PROCESS))}


def quadratic_case(settings: Settings, dim: int) -> Case:
    """Draw a linear-quadratic problem: precisions of the end in [1, 4], costs of the state up to 1.

    Args:
        settings: of the paths.
        dim: the dimension.
    """
    rng = rng_of(settings.seed, "quadratic", dim)

    def cost(low, high):
        axes, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
        values = rng.uniform(low, high, dim)
        return jnp.asarray((axes * values) @ axes.T, jnp.float32)

    centre = jnp.asarray(0.5 * rng.normal(size=dim), jnp.float32)
    quadratic = LinearQuadratic(centre, cost(1.0, 4.0), cost(0.0, 1.0))
    potential = functools.partial(quadratic.potential, PROCESS)

    # Along paths all x are of one time.
    def value(x, t):
        return quadratic.value(PROCESS, x, t[0])

    def score(x, t):
        return quadratic.score(PROCESS, x, t[0])

    problem = _problem(settings, value, potential, settings.t_max_quadratic)
    return Case(problem, dim, score)


def _problem(settings, value, potential=None, t_max=1.0) -> Problem:
    def end_cost(x):
        return value(x, jnp.full(len(x), settings.t_min, x.dtype))

    return Problem(PROCESS, end_cost, potential, settings.num_steps, settings.t_min, t_max)


def _course(settings: Settings, training: Training, name: str, case: Case, form: str) -> Course:
    """Learn the control of a case, for every seed."""
    learner = Learner(case.problem, case.dim, form, training)
    # Both forms have one network: its error is one program.
    judge = Learner(case.problem, case.dim, FORMS[0], training)
    errors = []
    first = None
    for seed in range(settings.num_seeds):
        of_checks = []
        updates = []
        # Both forms begin with the same network.
        for count, params in learner.train(key_of(settings.seed, "learn", name, seed)):
            key = key_of(settings.seed, "error", name, seed)
            of_checks.append(np.asarray(_error(key, params, judge, case.score, settings.num_paths)))
            updates.append(count)
        first = params if first is None else first
        errors.append(of_checks)
    return Course(np.array(updates), np.array(errors), first)


@functools.partial(jax.jit, static_argnames=("learner", "exact_score", "num_paths"))
def _error(key, params, learner: Learner, exact_score, num_paths: int):
    """Draw the error of the control of these parameters, [num_paths] in nats."""
    key_x, key_paths = jax.random.split(key)
    x = learner.starts(key_x, num_paths)
    score = learner.score_fn(params)
    return control_gap(key_paths, learner.problem, score, exact_score, x)


def summarize(courses: dict[tuple[str, str], Course]) -> list[Result]:
    """Report each error at the end, as control_error.<case>.<form>, and before the first update."""
    rows = []
    for (name, form), course in courses.items():
        if form == FORMS[0]:
            start = over_seeds(course.errors[:, 0])
            rows.append(Result(f"control_error.{name}.untrained", *start, "nats"))
        last = over_seeds(course.errors[:, -1])
        rows.append(Result(f"control_error.{name}.{form}", *last, "nats", 0.0))
    return rows


def draw_errors(workdir, courses: dict[tuple[str, str], Course]) -> None:
    """Draw every error against the updates, with the error of the mean over seeds.

    Args:
        workdir: of the run.
        courses: by case and form.
    """
    names = list(dict.fromkeys(name for name, _ in courses))
    fig, axes = figures.figure(1, len(names), width=2.6, height=2.6)
    for ax, name in zip(axes[0], names, strict=True):
        for form in FORMS:
            course = courses[name, form]
            estimates = [over_seeds(values) for values in course.errors.swapaxes(0, 1)]
            mean, stderr = np.array(estimates).T
            figures.band(ax, course.updates, mean, stderr, label=LABELS[form], marker=".")
        ax.set_yscale("log")
        figures.label(ax, "updates", "", title=name)
    axes[0, 0].set_ylabel("action beyond the least [nats]")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
    figures.save(fig, workdir, "errors")


def draw_fields(workdir, settings: Settings, training: Training, case: Case, courses) -> None:
    """Draw the learned fields of the mixture beside the score, over the density.

    Args:
        workdir: of the run.
        settings: of the mixture.
        training: of the networks.
        case: the mixture.
        courses: by case and form; the first seed is drawn.
    """
    mixture = settings.plane.mixture()
    fields = {"score": case.score}
    for form in FORMS:
        learner = Learner(case.problem, case.dim, form, training)
        fields[LABELS[form]] = learner.score_fn(courses["mixture", form].params)
    shape = {"sharex": True, "sharey": True}
    fig, axes = figures.figure(len(SHOWN_LEVELS), len(fields), width=2.7, height=2.6, **shape)
    for row, log_snr in zip(axes, SHOWN_LEVELS, strict=True):
        t = PROCESS.time(jnp.float32(log_snr))
        fine = _grid(120)
        dense = jnp.exp(mixture.diffused(PROCESS, t).log_prob(fine.reshape(-1, 2)))
        coarse = _grid(15).reshape(-1, 2)
        scale = None
        for ax, (label, score) in zip(row, fields.items(), strict=True):
            values = jax.jit(score)(coarse, jnp.full(len(coarse), t))
            arrows = np.asarray(PROCESS.sigma(t) * values)
            ax.pcolormesh(*fine.T, dense.reshape(120, 120).T, cmap="Blues", shading="gouraud")
            scale = scale or 12 * np.abs(arrows).max()
            ax.quiver(*coarse.T, *arrows.T, color=figures.PALETTE[1], scale=scale, width=0.005)
            ax.grid(False)
            ax.set_aspect("equal")
            figures.label(ax, "", "", title=rf"{label}, $\lambda$ = {log_snr:g}")
    figures.save(fig, workdir, "fields")


def _grid(num: int) -> np.ndarray:
    """Make points [num, num, 2] of the square that is shown."""
    line = np.linspace(-HALF_WIDTH, HALF_WIDTH, num, dtype=np.float32)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
