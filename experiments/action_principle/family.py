"""The task `family` of experiments.action_principle: one network in all processes' coordinates.

    python -m experiments.action_principle --config=configs/action_principle/family.py \
        --workdir=DIR

A network is trained on digits under one process. Its score in the coordinates of another
(`coordinates.score_in`) gives that process's likelihoods, found in its own x and t;
its samples by the flow; and its samples by reverse processes of every eta, whose marginals are one
law for the exact score. A two-sample test compares these, and is shown to refuse a wrong drift. The
likelihoods are found with half of the steps too: what differs because of the steps is then four
times as much.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.coordinates import log_prob_in_time, scale_in, score_in, time_in
from diffenc.diffusion.flow_likelihood import Flow
from diffenc.diffusion.gaussians import LOG_2PI
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.processes import EDM, VE, RectifiedFlow, StraightLine, SubVP
from diffenc.diffusion.samplers import reverse_sde
from diffenc.diffusion.two_samples import EnergyTest, energy_test
from diffenc.errors import check, check_least
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of, rng_of
from diffenc.run import records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle import family_figures, trained
from experiments.neural_entropy.cases import Case, scaled

# Each reaches the noise levels of the process of training, "vp", at both ends.
OTHERS = {
    "sub_vp": SubVP(0.1, 17.0),
    "ve": VE(0.01, 60.0),
    "edm": EDM(),
    "straight_line": StraightLine(1.0),
    "rectified_flow": RectifiedFlow(),
}
OWN = "vp"
# A drift that is wrong: that of the flow, with the noise of eta = 1, which needs twice the score.
WRONG_ETA = 1.0
WRONG = 0.5


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is measured.

    Attributes:
        t_end: the time of the network's own process up to which likelihoods and samples go.
        num_examples: held-out images of which the likelihood is found.
        num_steps: of each likelihood, 2 or more.
        num_samples: of each process and eta, and of what each is compared with.
        sampler_steps: of each of them.
        etas: strengths of the noise; the first is that of what is compared with.
        batch_size: images at a time.
        num_permutations: of each test.
    """

    t_end: float
    num_examples: int
    num_steps: int
    num_samples: int
    sampler_steps: int
    etas: tuple[float, ...]
    batch_size: int
    num_permutations: int

    def __post_init__(self):
        check(0 < self.t_end < 1, "t_end", self.t_end, "give a small time such as 0.02")
        check_least(self, 2, "num_examples", "num_samples", "num_steps")
        check_least(self, 1, "sampler_steps", "batch_size", "num_permutations")
        check(min(self.etas, default=-1) >= 0, "etas", self.etas, "give numbers of 0 or more")


class Pair(NamedTuple):
    """Samples, and others of the model's own process at the first eta.

    Attributes:
        x: [num_samples, D].
        base: what they are compared with, drawn for them alone [num_samples, D].
    """

    x: np.ndarray
    base: np.ndarray


class Model(NamedTuple):
    """A trained score.

    Attributes:
        process: its own.
        score_fn: the score, of images as vectors.
        dim: the number of pixels.
    """

    process: Process
    score_fn: Callable
    dim: int

    def processes(self) -> dict[str, Process]:
        """Give the processes in whose coordinates it is used, its own first."""
        return {OWN: self.process} | OTHERS

    def prior_width(self, process: Process, t: float) -> float:
        """Compute the width of another process at its time t, of data N(0, kappa^2 I).

        It is what the network's own process has at t = 1: kappa is the scale of that.
        """
        return float(jnp.hypot(self.process.scale * process.alpha(t), process.sigma(t)))


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Train, measure and draw the figures; None where the run was complete already."""
    settings = trained.read(config)
    command_line.read_field(config, "data")
    only = settings.sweep.processes
    check(only == (OWN,), "config field processes", only, f"give {OWN!r} alone")
    evaluation = command_line.read(Evaluation, config, "eval")
    if command_line.is_complete(config, workdir):
        return None
    seed = settings.sweep.seed
    case = trained.load_case(settings)
    state = trained.train(workdir, settings, case)
    score_fn = case.model.score_fn(state.averages, state.carried)
    model = Model(case.process, score_fn, case.test[0].shape[1])
    with jax.default_matmul_precision("highest"):
        x = noised(seed, case, evaluation)
        log_probs = likelihoods(model, x, evaluation, evaluation.num_steps)
        coarse = likelihoods(model, x, evaluation, evaluation.num_steps // 2)
        draws = make_draws(seed, model, evaluation)
        samples = draw_samples(draws, evaluation.etas)
        # The flow of every process, from the same noise.
        same = {name: draws[name](0.0, "flows") for name in model.processes()}
    tests = compare(seed, samples, evaluation)
    names = list(model.processes())
    family_figures.numbers(workdir, log_probs, coarse, tests, names, model.dim)
    of_etas = {eta: samples[OWN, eta].x for eta in evaluation.etas}
    family_figures.images(workdir, same, of_etas)
    return results_of(log_probs, coarse, same, tests, model)


def noised(seed: int, case: Case, evaluation: Evaluation) -> jax.Array:
    """Give held-out images as they are at t_end, [num_examples, D].

    Args:
        seed: of the run.
        case: its data.
        evaluation: t_end and the number of images are read.
    """
    x = scaled(case.scale, case.test[0][: evaluation.num_examples])
    eps = jax.random.normal(key_of(seed, "noise"), x.shape)
    return case.process.perturb(jnp.asarray(x), eps, jnp.full(len(x), evaluation.t_end))


def likelihoods(
    model: Model, x: jax.Array, evaluation: Evaluation, num_steps: int
) -> dict[str, np.ndarray]:
    """Evaluate log p of images at t_end in every process's own x and t, and in the angle.

    Args:
        model: the score.
        x: images at t_end, in the coordinates of the model's process.
        evaluation: t_end and the batch size are read.
        num_steps: of each likelihood.

    Returns:
        {process: [n] nats, of x in the model's coordinates}; "angle" is by `Flow`.
    """

    def of_angle(key, x):
        flow = Flow(model.process, num_steps, evaluation.t_end, 0.3)
        return flow.log_prob(model.score_fn, x).log_prob

    ways = {"angle": of_angle} | {
        name: functools.partial(_log_prob, model, process, evaluation.t_end, num_steps)
        for name, process in model.processes().items()
    }
    log_probs = {}
    with records.progress(len(ways), description=f"likelihoods, {num_steps} steps") as show:
        for index, (name, way) in enumerate(ways.items()):
            show(index, name)
            batches = map_examples(jax.jit(way), None, np.asarray(x), evaluation.batch_size)
            log_probs[name] = np.asarray(batches, np.float64)
        show(len(ways))
    return log_probs


def _log_prob(model: Model, process: Process, t_end: float, num_steps: int, key, x):
    """Evaluate log p of x at t_end by the flow of another process, in its own x and t."""
    with jax.ensure_compile_time_eval():
        first = float(time_in(process, model.process, t_end))
        last = min(float(time_in(process, model.process, 1.0)), 1.0)
        c = float(scale_in(process, model.process, jnp.asarray(t_end)))
        width = model.prior_width(process, last)
    score = score_in(process, model.process, model.score_fn)

    def log_prior(x):
        norm = model.dim * (0.5 * LOG_2PI + math.log(width))
        return -0.5 * jnp.sum(jnp.square(x / width), axis=1) - norm

    log_prob = log_prob_in_time(process, score, log_prior, c * x, num_steps, first, last)
    return log_prob + model.dim * math.log(c)


def _sample(model: Model, process: Process, score_fn, evaluation, key, noise, eta):
    """Sample from noise of unit size at the process's t = 1, in the model's own coordinates.

    Args:
        model: whose process is the network's.
        process: in whose coordinates the samples are drawn.
        score_fn: of the model's process.
        evaluation: t_end and the steps.
        key: of the noise on the way.
        noise: [n, D].
        eta: the strength of the noise, an array of shape ().
    """
    with jax.ensure_compile_time_eval():
        first = float(time_in(process, model.process, evaluation.t_end))
        c = float(scale_in(process, model.process, jnp.asarray(evaluation.t_end)))
        width = model.prior_width(process, 1.0)
    score = score_in(process, model.process, score_fn)
    steps = evaluation.sampler_steps
    return reverse_sde(key, score, process, width * noise, steps, eta, first) / c


def make_draws(seed: int, model: Model, evaluation: Evaluation) -> dict[str, Callable]:
    """Make draw(eta, *names) -> [num_samples, D] of every process, from noise of these names.

    Args:
        seed: of the run.
        model: the score.
        evaluation: numbers of samples and of steps.

    Returns:
        The functions by process; "wrong" is the model's own with WRONG of the score.
    """
    shape = (evaluation.num_samples, model.dim)

    def wrong(x, t):
        return WRONG * model.score_fn(x, t)

    def make_draw(process, score_fn):
        @jax.jit
        def draw(key, eta):
            key_start, key_way = jax.random.split(key)
            noise = jax.random.normal(key_start, shape)
            return _sample(model, process, score_fn, evaluation, key_way, noise, eta)

        return lambda eta, *names: np.asarray(draw(key_of(seed, *names), jnp.float32(eta)))

    draws = {name: make_draw(one, model.score_fn) for name, one in model.processes().items()}
    return draws | {"wrong": make_draw(model.process, wrong)}


def draw_samples(
    draws: dict[str, Callable], etas: tuple[float, ...]
) -> dict[tuple[str, float], Pair]:
    """Sample by every process at every eta, each from noise of its own.

    Args:
        draws: of `make_draws`.
        etas: strengths of the noise, the first that of what is compared with.

    Returns:
        The samples by (process, eta); "wrong" has the noise of eta = 1 and the drift of the flow.
    """
    samples = {}
    with records.progress(len(draws), description="samples") as show:
        for index, (name, draw) in enumerate(draws.items()):
            show(index, name)
            for number, eta in enumerate((WRONG_ETA,) if name == "wrong" else etas):
                base = draws[OWN](etas[0], "base", name, number)
                samples[name, eta] = Pair(draw(eta, "samples", name, number), base)
        show(len(draws))
    return samples


def compare(
    seed: int, samples: dict[tuple[str, float], Pair], evaluation: Evaluation
) -> dict[tuple[str, float], EnergyTest]:
    """Test all samples against others of the model's own process at the first eta.

    Args:
        seed: of the run.
        samples: by process and eta.
        evaluation: the permutations.
    """
    return {
        way: energy_test(
            rng_of(seed, "permutations", index), pair.x, pair.base, evaluation.num_permutations
        )
        for index, (way, pair) in enumerate(samples.items())
    }


def results_of(log_probs, coarse, same, tests, model: Model) -> list[Result]:
    """Give likelihoods, distances of flows and tests as results.

    Args:
        log_probs: by process, and "angle".
        coarse: the same with half of the steps.
        same: flows from the same noise, by process.
        tests: by process and eta.
        model: the score.
    """
    rows = []
    truth = -log_probs["angle"] / model.dim
    for name in model.processes():
        values = -log_probs[name] / model.dim
        # The images are the truth's own.
        stderr = Estimate.of(values - truth).stderr
        row = f"neg_log_likelihood.{name}"
        rows.append(Result(row, values.mean(), stderr, "nats/dim", truth.mean()))
        largest = float(np.abs(values - truth).max())
        rows.append(Result(f"largest_difference.{name}", largest, None, "nats/dim", 0.0))
    for name, log_prob in coarse.items():
        largest = float(np.abs(log_prob / model.dim + truth).max())
        row = f"half_steps.largest_difference.{name}"
        rows.append(Result(row, largest, None, "nats/dim", 0.0))
    for name, x in same.items():
        if name != OWN:
            size = float(np.sqrt(np.mean(np.square(x - same[OWN]))))
            rows.append(Result(f"flow_difference.{name}", size, None, "of the range", 0.0))
    for (name, eta), test in tests.items():
        row = f"samples.{name}.eta={eta:g}"
        rows.append(Result(f"{row}.energy_distance", test.distance, None, "of the range"))
        rows.append(Result(f"{row}.p_value", test.p_value, None, "probability"))
    return rows
