"""Training a neural-entropy model here, against the plain epoch loop: same mixture, same network,
one run.

    python -m experiments.benchmarks.entropy_training --config=configs/benchmarks/entropy_training.py --workdir=DIR

    plain     a loop in Python over shuffled mini-batches of a host array, one jitted step each: batch 32, ten uniform
              times an example weighted by g^2/sigma^2, Adam at a fixed rate, the published entropy-matching output
    scanned   experiments.neural_entropy: many updates in a dispatch, data on the device, one importance-sampled noise
              level an example, averages; the same output as `plain`, and no reference
    reference the same from the Gaussian reference: its gap at no seconds is that of the reference alone

They take turns, so a busy machine slows both; only ratios mean something. Counted are training
examples a second (a plain example is seen at ten times at once), network evaluations a second
(which the two share), and the seconds until the held-out entropy-matching gap is a given share of
S_tot. Evaluation is not timed.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import training
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.noise_levels import UniformTime
from diffenc.diffusion.processes import FixedWidth
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.latent.systems import median
from diffenc.run import data, figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy.__main__ import check, make_measure, make_update
from experiments.neural_entropy.cases import Case, load_cases


def run(config: ConfigDict, workdir: Path) -> None:
    """Both systems in turns of a few hundred updates; running it again prints the results."""
    check(config)
    settings = [f"benchmark.{field}" for field in ("turns", "plain_updates", "scanned_updates")]
    settings += ["benchmark.plain_batch", "benchmark.plain_draws", "benchmark.plain_learning_rate"]
    command_line.check_positive(config, *settings)
    if config.max_epochs:
        raise InputError(
            f"config field max_epochs is {config.max_epochs}: both systems train all along, give 0"
        )
    if command_line.is_complete(config, workdir):
        return
    cases = load_cases(config)
    if len(cases) != 1 or cases[0].density is None:
        raise InputError(
            f"the benchmark takes one mixture, not {', '.join(case.name for case in cases)}"
        )
    case = cases[0]
    if not isinstance(case.process, FixedWidth):
        raise InputError(
            f"config field processes is {config.processes}: the benchmark takes one of fixed width, as vpx"
        )
    if config.benchmark.plain_batch > len(case.train[0]):
        raise InputError(
            f"config field benchmark.plain_batch is {config.benchmark.plain_batch} of {len(case.train[0])} examples"
        )
    systems = {
        "plain": plain(config, case),
        "scanned": scanned(config, case, Reference.equilibrium(case.process)),
        "reference": scanned(config, case, case.references[0]),
    }
    measure, gaps, seconds = make_measure(config, case), {}, {name: [] for name in systems}

    def gap_of(params, reference):
        key = key_of(config.seed, "evaluation")
        values = measure(
            key, params, reference, case.density_of(0), case.test[0], config.eval.monitor
        )
        return Estimate.of(values["em_gap"]), float(np.mean(values["s_tot"]))

    for name, (start, _) in systems.items():
        gap, s_tot = gap_of(*start)
        gaps[name] = [gap]
    with records.progress(config.benchmark.turns, description="turns") as show:
        for turn in range(config.benchmark.turns):
            for name, (_, advance) in systems.items():
                took, *model = advance()
                gaps[name].append(gap_of(*model)[0])
                seconds[name].append(took)
            show(
                turn + 1,
                ", ".join(f"{name} gap {values[-1].mean:.2f}" for name, values in gaps.items()),
            )
    results = summarize(
        config, s_tot, gaps, {name: np.array(values) for name, values in seconds.items()}
    )
    draw(workdir, s_tot, gaps, seconds)
    tables.write_results(workdir, results)
    tables.print_table(results, title="training of a neural-entropy model")


def plain(config: ConfigDict, case: Case):
    """(params, reference) at the start of the plain loop, and advance() -> (seconds, params,
    reference): each time the next benchmark.plain_updates steps."""
    settings, reference = config.benchmark, Reference.equilibrium(case.process)
    levels, optimizer = (
        UniformTime(case.process, *case.times),
        optax.adam(settings.plain_learning_rate),
    )
    update = jax.jit(make_update(case.model, levels, optimizer, settings.plain_draws, 0.0))
    params = case.model.init(key_of(config.seed, "model"), jnp.asarray(case.train[0][:1]))
    state = training.TrainState.create(params, optimizer, chain=reference)
    rng, train = rng_of(config.seed, "plain order"), case.train[0]
    key = key_of(config.seed, "plain training")

    def batches():
        while True:
            order = rng.permutation(len(train))
            for start in range(0, len(train) - settings.plain_batch + 1, settings.plain_batch):
                yield train[order[start : start + settings.plain_batch]]

    source = batches()
    jax.block_until_ready(update(state, key_of(config.seed, "compiling"), next(source)))  # compile

    def advance():
        nonlocal state, key
        began = time.perf_counter()
        for _ in range(settings.plain_updates):
            key, key_step = jax.random.split(key)
            state, _ = update(state, key_step, next(source))
        jax.block_until_ready(state)
        return time.perf_counter() - began, state.params, reference

    return (params, reference), advance


def scanned(config: ConfigDict, case: Case, reference: Reference):
    """The same of experiments.neural_entropy: each time one dispatch of benchmark.scanned_updates
    updates."""
    settings = config.benchmark
    optimizer = training.make_optimizer(
        config.learning_rate,
        settings.turns * settings.scanned_updates,
        config.warmup,
        config.clip_norm,
    )
    levels = case.model.levels(reference, case.levels.low, case.levels.high)
    update = make_update(case.model, levels, optimizer, config.draws, config.average_decay)
    advance_state = training.scan_updates(update, lambda key, rows: rows)
    params = case.model.init(key_of(config.seed, "model"), jnp.asarray(case.train[0][:1]))
    chain, start = jax.tree.map(jnp.copy, reference), (jax.tree.map(jnp.copy, params), reference)
    spare = training.TrainState.create(
        jax.tree.map(jnp.copy, params), optimizer, jax.tree.map(jnp.copy, chain)
    )
    state, step = training.TrainState.create(params, optimizer, chain=chain), 0
    train = jnp.asarray(case.train[0])

    def rows_from(step):
        return data.batch_indices(
            config.seed, step, settings.scanned_updates, config.batch_size, len(train)
        )

    key = key_of(config.seed, "compiling")
    jax.block_until_ready(advance_state(spare, key, train, jnp.asarray(rows_from(0))))

    def advance():
        nonlocal state, step
        began = time.perf_counter()
        key = key_of(config.seed, "training")
        state = advance_state(state, key, train, jnp.asarray(rows_from(step)))[0]
        jax.block_until_ready(state)
        step += settings.scanned_updates
        return time.perf_counter() - began, state.averages, state.chain

    return start, advance


def summarize(config: ConfigDict, s_tot: float, gaps, seconds) -> list[Result]:
    """Speeds, their ratios turn by turn, and the time to a gap of benchmark.shares of S_tot (NaN:
    not reached)."""
    settings = config.benchmark
    scanned_examples = settings.scanned_updates * config.batch_size
    examples = dict(plain=settings.plain_updates * settings.plain_batch, scanned=scanned_examples)
    examples["reference"] = scanned_examples
    draws = dict(plain=settings.plain_draws, scanned=config.draws, reference=config.draws)
    results = []
    for name, times in seconds.items():
        results.append(
            Result(f"{name}.examples_per_second", *median(examples[name] / times), "1/s")
        )
        results.append(
            Result(
                f"{name}.evaluations_per_second",
                *median(draws[name] * examples[name] / times),
                "1/s",
            )
        )
        results.append(Result(f"{name}.em_gap", *gaps[name][-1], truth=0.0))
    slower = seconds["plain"] / seconds["scanned"]
    ratio = slower * examples["scanned"] / examples["plain"]
    results.append(Result("scanned.examples_ratio", *median(ratio), "of plain"))
    evaluations = ratio * draws["scanned"] / draws["plain"]
    results.append(Result("scanned.evaluations_ratio", *median(evaluations), "of plain"))
    for share in settings.shares:
        label = f"seconds_to_{100 * share:g}_percent"
        for name, times in seconds.items():
            elapsed = np.concatenate([[0.0], np.cumsum(times)])
            below = [
                since
                for since, gap in zip(elapsed, gaps[name], strict=True)
                if gap.mean < share * s_tot
            ]
            results.append(
                Result(f"{name}.{label}", below[0] if below else float("nan"), None, "s")
            )
    results += [
        Result(f"{name}.seconds", float(times.sum()), None, "s in all")
        for name, times in seconds.items()
    ]
    return results


def draw(workdir, s_tot: float, gaps, seconds) -> None:
    """The held-out gap over seconds of training."""
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
    command_line.main(run)
