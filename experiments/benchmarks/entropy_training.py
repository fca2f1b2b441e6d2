"""Training a neural-entropy model here, against the plain epoch loop, on one mixture.

    python -m experiments.benchmarks.entropy_training \
        --config=configs/benchmarks/entropy_training.py --workdir=DIR

    plain       a loop in Python over shuffled mini-batches of a host array, one jitted step each:
                batch 32, ten uniform times an example weighted by g^2/sigma^2, Adam at a fixed
                rate, the published entropy-matching output
    scanned     experiments.neural_entropy: many updates in a dispatch, data on the device, one
                importance-sampled noise level an example, averages; the same output as `plain`,
                and no reference
    reference   the same from the Gaussian reference: its gap at no seconds is that of the
                reference alone

They take turns, so a busy machine slows both; only ratios mean something. Counted are training
examples a second (a plain example is seen at ten times at once), network evaluations a second
(which the two share), and the seconds until the held-out entropy-matching gap is a given share of
S_tot. Evaluation is not timed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import training
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.linear_process import FixedWidth
from diffenc.diffusion.noise_levels import UniformTime
from diffenc.errors import InputError, check_positive
from diffenc.estimate import Estimate, median
from diffenc.keys import key_of, rng_of
from diffenc.run import figures, records, tables
from diffenc.run.order import batch_indices
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy.cases import Case, load_cases
from experiments.neural_entropy.measures import evaluation_levels, make_measure
from experiments.neural_entropy.settings import Evaluation, Training, read_sweep
from experiments.neural_entropy.systems import make_update


@dataclass(frozen=True)
class Benchmark:
    """How the systems take turns.

    Attributes:
        turns: of each system.
        plain_updates: of the plain loop in a turn.
        scanned_updates: of the others in a turn.
        plain_batch: examples of an update of the plain loop.
        plain_draws: times at which it sees each example.
        plain_learning_rate: of its Adam.
        shares: gaps to wait for, in parts of S_tot.
    """

    turns: int
    plain_updates: int
    scanned_updates: int
    plain_batch: int
    plain_draws: int
    plain_learning_rate: float
    shares: tuple[float, ...]

    def __post_init__(self):
        check_positive(self, "turns", "plain_updates", "scanned_updates")
        check_positive(self, "plain_batch", "plain_draws")
        check_positive(self, "plain_learning_rate")


class Contender(NamedTuple):
    """A system that takes turns.

    Attributes:
        start: its parameters and its reference before any training.
        advance: () -> (seconds, parameters, reference), the updates of its next turn.
        examples: seen in a turn.
        draws: noise levels of each of them.
    """

    start: tuple
    advance: Callable
    examples: int
    draws: int


def run(config: ConfigDict, workdir: Path) -> None:
    """Run all systems in turns of a few dozen updates; running it again prints the results."""
    settings = command_line.read(Benchmark, config, "benchmark")
    training_settings = command_line.read(Training, config)
    evaluation = command_line.read(Evaluation, config, "eval")
    sweep = read_sweep(config)
    if training_settings.max_epochs:
        raise InputError(
            f"config field max_epochs is {training_settings.max_epochs}: "
            "the systems train all along, give 0"
        )
    if command_line.is_complete(config, workdir):
        return
    case = the_case(load_cases(sweep), settings)
    contenders = {
        "plain": plain(sweep.seed, case, settings),
        "scanned": scanned(
            sweep.seed, case, Reference.equilibrium(case.process), settings, training_settings
        ),
        "reference": scanned(sweep.seed, case, case.references[0], settings, training_settings),
    }
    gap_of = make_gap(sweep.seed, case, evaluation)
    gaps = {}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for name, contender in contenders.items():
        gap, s_tot = gap_of(*contender.start)
        gaps[name] = [gap]
    with records.progress(settings.turns, description="turns") as show:
        for turn in range(settings.turns):
            for name, contender in contenders.items():
                duration, params, reference = contender.advance()
                gap, _ = gap_of(params, reference)
                gaps[name].append(gap)
                seconds[name].append(duration)
            texts = [f"{name} gap {values[-1].mean:.2f}" for name, values in gaps.items()]
            show(turn + 1, ", ".join(texts))
    results = summarize(contenders, s_tot, gaps, seconds, settings.shares)
    draw(workdir, s_tot, gaps, seconds)
    tables.write_results(workdir, results)
    tables.print_table(results, title="training of a neural-entropy model")


def the_case(cases: list[Case], settings: Benchmark) -> Case:
    """Give the one mixture of the benchmark; raise an InputError where the config has others."""
    if len(cases) != 1 or cases[0].density is None:
        names = ", ".join(case.name for case in cases)
        raise InputError(f"the benchmark takes one mixture, not {names}")
    case = cases[0]
    if not isinstance(case.process, FixedWidth):
        raise InputError(
            f"config field processes names {case.group}: "
            "the benchmark takes one of fixed width, as vpx"
        )
    if settings.plain_batch > len(case.train[0]):
        raise InputError(
            f"config field benchmark.plain_batch is {settings.plain_batch} "
            f"of {len(case.train[0])} examples: give no more"
        )
    return case


def make_gap(seed: int, case: Case, settings: Evaluation) -> Callable:
    """Make gap_of(params, reference) -> (held-out gap, S_tot on the same draws).

    Args:
        seed: of the run.
        case: whose first held-out examples are measured.
        settings: of the measurement.
    """
    key = key_of(seed, "pilot", case.program)
    levels = evaluation_levels(key, case)
    measure = make_measure(case, levels, settings.num_levels, settings.batch_size)

    def gap_of(params, reference):
        key = key_of(seed, "evaluation")
        model = (params, reference, case.density_of(0))
        values = measure(key, *model, case.test[0], settings.monitor)
        return Estimate.of(values["em_gap"]), float(np.mean(values["s_tot"]))

    return gap_of


def plain(seed: int, case: Case, settings: Benchmark) -> Contender:
    """Make the plain loop.

    Args:
        seed: of the run.
        case: its data and model.
        settings: of the loop.
    """
    reference = Reference.equilibrium(case.process)
    levels = UniformTime(case.process, *case.times)
    optimizer = optax.adam(settings.plain_learning_rate)
    update = jax.jit(make_update(case.model, levels, optimizer, settings.plain_draws, 0.0))
    params = case.model.init(key_of(seed, "model"), jnp.asarray(case.train[0][:1]))
    state = training.TrainState.create(params, optimizer, reference)
    source = shuffled_batches(rng_of(seed, "plain order"), case.train[0], settings.plain_batch)
    key = key_of(seed, "plain training")
    jax.block_until_ready(update(state, key_of(seed, "compiling"), next(source)))  # compile

    def advance():
        nonlocal state, key
        began = time.perf_counter()
        for _ in range(settings.plain_updates):
            key, key_step = jax.random.split(key)
            state, _ = update(state, key_step, next(source))
        jax.block_until_ready(state)
        return time.perf_counter() - began, state.params, reference

    examples = settings.plain_updates * settings.plain_batch
    return Contender((params, reference), advance, examples, settings.plain_draws)


def shuffled_batches(rng: np.random.Generator, train: np.ndarray, batch_size: int):
    """Generate batches of epochs without end, each in an order of its own."""
    while True:
        order = rng.permutation(len(train))
        for start in range(0, len(train) - batch_size + 1, batch_size):
            yield train[order[start : start + batch_size]]


def scanned(
    seed: int, case: Case, reference: Reference, settings: Benchmark, of_training: Training
) -> Contender:
    """Make the loop of experiments.neural_entropy: a turn is one dispatch.

    Args:
        seed: of the run.
        case: its data and model.
        reference: what the network need not learn.
        settings: of the turns.
        of_training: of the updates.
    """
    updates = settings.scanned_updates
    optimizer = training.make_optimizer(
        of_training.learning_rate,
        settings.turns * updates,
        of_training.warmup,
        of_training.clip_norm,
    )
    levels = case.model.levels(reference, case.levels.low, case.levels.high)
    update = make_update(
        case.model, levels, optimizer, of_training.draws, of_training.average_decay
    )
    advance_state = training.scan_updates(update, lambda key, rows: rows)
    train = jnp.asarray(case.train[0])
    params = case.model.init(key_of(seed, "model"), train[:1])
    start = (jax.tree.map(jnp.copy, params), reference)

    def new_state():
        own = jax.tree.map(jnp.copy, (params, reference))  # a state is donated to its update
        return training.TrainState.create(own[0], optimizer, own[1])

    def rows_from(step):
        return jnp.asarray(batch_indices(seed, step, updates, of_training.batch_size, len(train)))

    key = key_of(seed, "compiling")
    jax.block_until_ready(advance_state(new_state(), key, train, rows_from(0)))
    state = new_state()
    step = 0

    def advance():
        nonlocal state, step
        began = time.perf_counter()
        state, _ = advance_state(state, key_of(seed, "training"), train, rows_from(step))
        jax.block_until_ready(state)
        step += updates
        return time.perf_counter() - began, state.averages, state.carried

    return Contender(start, advance, updates * of_training.batch_size, of_training.draws)


def summarize(
    contenders: dict[str, Contender], s_tot: float, gaps, seconds, shares
) -> list[Result]:
    """Report speeds, their ratios turn by turn, and the time to a gap.

    Args:
        contenders: by name.
        s_tot: of the held-out examples.
        gaps: estimates of each contender, before its first turn and after each.
        seconds: of each turn of each contender.
        shares: gaps to wait for, in parts of S_tot; one that is not reached gives NaN.
    """
    results = []
    for name, contender in contenders.items():
        speed = contender.examples / np.array(seconds[name])
        results.append(Result(f"{name}.examples_per_second", *median(speed), "1/s"))
        evaluations = median(contender.draws * speed)
        results.append(Result(f"{name}.evaluations_per_second", *evaluations, "1/s"))
        gap = gaps[name][-1]
        results.append(Result(f"{name}.em_gap", gap.mean, gap.stderr, truth=0.0))
    one = contenders["scanned"]
    other = contenders["plain"]
    slower = np.array(seconds["plain"]) / np.array(seconds["scanned"])
    ratio = slower * one.examples / other.examples
    results.append(Result("scanned.examples_ratio", *median(ratio), "of plain"))
    evaluations = median(ratio * one.draws / other.draws)
    results.append(Result("scanned.evaluations_ratio", *evaluations, "of plain"))
    for share in shares:
        for name in contenders:
            reached = seconds_until(share * s_tot, gaps[name], seconds[name])
            label = f"{name}.seconds_to_{100 * share:g}_percent"
            results.append(Result(label, reached, None, "s"))
    for name in contenders:
        results.append(Result(f"{name}.seconds", float(np.sum(seconds[name])), None, "s in all"))
    return results


def seconds_until(level: float, gaps: list[Estimate], seconds: list[float]) -> float:
    """Sum the seconds of training until a gap is first below the level; NaN if none is."""
    elapsed = np.concatenate([[0.0], np.cumsum(seconds)])
    for since, gap in zip(elapsed, gaps, strict=True):
        if gap.mean < level:
            return float(since)
    return float("nan")


def draw(workdir, s_tot: float, gaps, seconds) -> None:
    """Draw the held-out gap over seconds of training."""
    fig, axes = figures.figure()
    for name, values in gaps.items():
        elapsed = np.concatenate([[0.0], np.cumsum(seconds[name])])
        shares = np.array([[gap.mean, gap.stderr] for gap in values]) / s_tot
        figures.band(axes[0, 0], elapsed, shares[:, 0], shares[:, 1], label=name)
    axes[0, 0].set(yscale="log")
    figures.label(
        axes[0, 0], "seconds of training", "held-out gap $L_{EM}$ / $S_{tot}$", legend=True
    )
    figures.save(fig, workdir, "gap_over_time")


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
