"""The task `sampling`: an unnormalized density by a learned control, and by annealing.

A control is learned by adjoint matching, which asks for the energy and its gradient alone. The
weights of its paths (`path_weights`) give log Z without bias of the control or of the steps.
Annealed importance sampling (`latent.annealing`) from the Gaussian that the control began with has
as many chains, and as many evaluations of the energy's gradient as the control in training and in
sampling together.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.controlled_paths import Problem
from diffenc.diffusion.path_weights import (
    HEAVY_TAIL,
    effective_sample_size,
    log_normalizer,
    tail_index,
    weighted_paths,
)
from diffenc.diffusion.processes import VPLinear
from diffenc.errors import check, check_choice, check_least
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.latent import annealing
from diffenc.run import figures, records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle.learning import Learner, Training, check_nodes
from experiments.action_principle.targets import TARGETS, Target

METHODS = ("control", "annealing")
TUNING_CHAINS = 32
COVERED = 2.0  # standard errors within which a group covers the truth
NUM_SHOWN = 400  # samples


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the task measures.

    Attributes:
        seed: of all draws.
        num_seeds: trainings of the control, and runs of annealing.
        targets: names of TARGETS.
        t_min: the time at which paths end.
        t_max: the time at which they begin.
        num_steps: of each path.
        num_groups: groups of paths, each with a log Z and an error of its own.
        group_size: paths of a group.
    """

    seed: int
    num_seeds: int
    targets: tuple[str, ...]
    t_min: float
    t_max: float
    num_steps: int
    num_groups: int
    group_size: int

    def __post_init__(self):
        check(bool(self.targets), "targets", self.targets, "give one or more")
        for target in self.targets:
            check_choice("targets", target, TARGETS)
        remedy = f"give a time above 0, less than t_max={self.t_max}, which is at most 1"
        check(0 < self.t_min < self.t_max <= 1, "t_min", self.t_min, remedy)
        check_least(self, 1, "num_seeds", "num_steps", "num_groups")
        check_least(self, 2, "group_size")

    @property
    def num_paths(self) -> int:
        """Paths of each training."""
        return self.num_groups * self.group_size


class Sample(NamedTuple):
    """Weighted samples of a target by one method.

    Attributes:
        log_weights: [seeds, groups, group_size], less the exact log Z.
        x: ends of the first seed [paths, dim], or None.
    """

    log_weights: np.ndarray
    x: np.ndarray | None = None


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Sample, measure and draw the figure; None where the run was complete already."""
    settings = command_line.read(Settings, config)
    training = command_line.read(Training, config, "training")
    check_nodes(training, settings.num_steps)
    if command_line.is_complete(config, workdir):
        return None
    samples = {}
    with records.progress(len(settings.targets), description="sampling") as show:
        for done, name in enumerate(settings.targets):
            show(done, name)
            samples[name, "control"] = sample_by_control(settings, training, name)
            samples[name, "annealing"] = sample_by_annealing(settings, training, name)
        show(len(settings.targets))
    draw(workdir, settings, samples)
    rows = summarize(samples)
    for row in rows:
        if row.name.endswith(".tail_index") and row.value >= HEAVY_TAIL:
            place = row.name.removesuffix(".tail_index")
            print(
                f"{place}: its largest weights have tail index {row.value:.2f}: log Z may be off "
                "by more than its error; more updates or more steps may help, more paths will not"
            )
    return rows


def make_learner(settings: Settings, training: Training, target: Target) -> Learner:
    """Make what learns the control of a target."""
    process = VPLinear(kappa=target.width)
    problem = Problem(
        process,
        target.energy,
        num_steps=settings.num_steps,
        t_min=settings.t_min,
        t_max=settings.t_max,
    )
    return Learner(problem, target.dim, "adjoint", training, is_sampler=True)


def evaluations(settings: Settings, training: Training, learner: Learner) -> int:
    """Count evaluations of the energy's gradient in training and sampling by one control."""
    num_paths = training.num_updates * training.batch_size + settings.num_paths
    return num_paths * learner.evaluations_of_a_path


def sample_by_control(settings: Settings, training: Training, name: str) -> Sample:
    """Learn a control for every seed, and draw its paths.

    Args:
        settings: of the task.
        training: of the control.
        name: of the target.
    """
    target = TARGETS[name]
    learner = make_learner(settings, training, target)

    @jax.jit
    @jax.default_matmul_precision("highest")
    def draw_paths(key, params):
        shape = (settings.num_paths, target.dim)
        paths = weighted_paths(key, learner.problem, learner.score_fn(params), shape)
        return paths.log_weight, paths.x

    log_weights = []
    ends = None
    for seed in range(settings.num_seeds):
        *_, (_, params) = learner.train(key_of(settings.seed, "train", name, seed))
        log_weight, x = draw_paths(key_of(settings.seed, "paths", name, seed), params)
        log_weights.append(np.asarray(log_weight, np.float64))
        ends = np.asarray(x) if ends is None else ends
    return Sample(_grouped(settings, target, log_weights), ends)


def sample_by_annealing(settings: Settings, training: Training, name: str) -> Sample:
    """Anneal to the target, for every seed.

    Args:
        settings: of the task.
        training: of the control, which is to cost the same.
        name: of the target.
    """
    target = TARGETS[name]
    schedule = annealing_settings(settings, training, name)
    frame = (jnp.zeros((1, target.dim)), target.width * jnp.eye(target.dim)[None])
    nothing = jnp.zeros((1, 1))  # annealing is given data, of which a target has none

    def log_joint(_, z):
        return -target.energy(z)

    @jax.jit
    def draw_weights(key):
        key_tune, key_run = jax.random.split(key)
        pilot = dataclasses.replace(schedule, num_chains=TUNING_CHAINS)
        log_steps = annealing.tune(key_tune, log_joint, nothing, frame, pilot)
        return annealing.forward(key_run, log_joint, nothing, frame, log_steps, schedule)[0][:, 0]

    log_weights = [
        np.asarray(draw_weights(key_of(settings.seed, "annealing", name, seed)), np.float64)
        for seed in range(settings.num_seeds)
    ]
    return Sample(_grouped(settings, target, log_weights))


def annealing_settings(settings: Settings, training: Training, name: str) -> annealing.Settings:
    """Give annealing as many evaluations as the control: its tuning counts too.

    Args:
        settings: of the task.
        training: of the control.
        name: of the target.
    """
    schedule = annealing.Settings(num_chains=settings.num_paths)
    budget = evaluations(settings, training, make_learner(settings, training, TARGETS[name]))
    moves = schedule.num_chains + schedule.tuning_steps * TUNING_CHAINS
    num_temperatures = max(1, budget // (moves * schedule.leapfrog_steps))
    return dataclasses.replace(schedule, num_temperatures=num_temperatures)


def _grouped(settings, target, log_weights) -> np.ndarray:
    shape = (settings.num_seeds, settings.num_groups, settings.group_size)
    return np.reshape(log_weights, shape) - target.log_normalizer


def summarize(samples: dict[tuple[str, str], Sample]) -> list[Result]:
    """Report log Z and how good the weights are, as <target>.<quantity> for the control.

    For annealing it is <target>.annealing.<quantity>. The trainings are independent, and each has
    an unbiased mean weight: the error of the mean log Z is that of independent estimates. The bound
    is each training's own, and so its error is that of their scatter.

    Args:
        samples: by target and method.
    """
    rows = []
    for (name, method), sample in samples.items():
        place = name if method == "control" else f"{name}.{method}"
        exact = TARGETS[name].log_normalizer
        of_seeds = [log_normalizer(one.ravel()) for one in sample.log_weights]
        mean, stderr = np.array(of_seeds).T
        error = float(np.sqrt(np.sum(stderr**2)) / len(stderr))
        rows.append(Result(f"{place}.log_z", exact + float(mean.mean()), error, "nats", exact))
        bounds = [exact + one.mean() for one in sample.log_weights]
        rows.append(Result(f"{place}.bound", *_mean(bounds), "nats", exact))
        sizes = [effective_sample_size(one.ravel()) / one.size for one in sample.log_weights]
        rows.append(Result(f"{place}.effective_share", *_mean(sizes), "of the paths"))
        tails = [tail_index(one.ravel()) for one in sample.log_weights]
        rows.append(Result(f"{place}.tail_index", *_mean(tails), "index"))
        covered = [is_covered(group) for one in sample.log_weights for group in one]
        rows.append(Result(f"{place}.coverage", float(np.mean(covered)), None, "of the groups"))
    return rows


def is_covered(log_weights: np.ndarray) -> bool:
    """Whether the log Z of these weights, less the exact one, is within its errors of 0."""
    estimate = log_normalizer(log_weights)
    return abs(estimate.mean) <= COVERED * estimate.stderr


def _mean(values) -> tuple[float, float | None]:
    """The mean over seeds with its error, None for one seed."""
    if len(values) < 2:
        return float(values[0]), None
    estimate = Estimate.of(values)
    return estimate.mean, estimate.stderr


def draw(workdir, settings: Settings, samples: dict[tuple[str, str], Sample]) -> None:
    """Draw samples of each target over its density, and log Z of the groups of both methods.

    Args:
        workdir: of the run.
        settings: of the task.
        samples: by target and method.
    """
    fig, axes = figures.figure(2, len(settings.targets), width=3.0, height=2.7)
    for column, name in zip(axes.T, settings.targets, strict=True):
        target = TARGETS[name]
        sample = samples[name, "control"]
        weights = np.exp(sample.log_weights[0].ravel() - sample.log_weights[0].max())
        rng = rng_of(settings.seed, "shown", name)
        chosen = rng.choice(len(weights), NUM_SHOWN, p=weights / weights.sum())
        assert sample.x is not None, "samples of the control have ends"
        shown = sample.x[chosen, :2]
        _draw_density(column[0], target, 1.15 * np.abs(shown).max(axis=0))
        dots = {"s": 5, "color": figures.PALETTE[1], "linewidths": 0, "alpha": 0.6}
        column[0].scatter(*shown.T, **dots)
        figures.label(column[0], "$x_1$", "$x_2$", title=name.replace("_", " "))
        for place, method in enumerate(METHODS):
            for seed, groups in enumerate(samples[name, method].log_weights):
                mean, stderr = np.array([log_normalizer(group) for group in groups]).T
                count = len(samples[name, method].log_weights) * len(groups)
                x = place + 0.7 * (np.arange(len(groups)) + seed * len(groups)) / count
                style = {"fmt": ".", "markersize": 3, "linewidth": 0.6}
                column[1].errorbar(x, mean, stderr, color=figures.PALETTE[place], **style)
        figures.truth_line(column[1], 0.0)
        column[1].set_xticks([0.35, 1.35], METHODS)
        figures.label(column[1], "", "log Z less the exact one [nats]")
    figures.save(fig, workdir, "sampling")


def _draw_density(ax, target: Target, ends) -> None:
    """Draw the density of the first two coordinates: the energies are of any dimension."""
    first = np.linspace(-ends[0], ends[0], 160, dtype=np.float32)
    second = np.linspace(-ends[1], ends[1], 160, dtype=np.float32)
    points = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    energy = np.asarray(target.energy(jnp.asarray(points))).reshape(160, 160)
    shown = np.exp(0.5 * (energy.min() - energy))  # the root, so that tails are seen
    ax.pcolormesh(first, second, shown, cmap="Blues", shading="gouraud")
    ax.grid(False)
