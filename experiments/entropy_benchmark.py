"""Training a neural-entropy model here, against the plain epoch loop: same mixture, same network, one run.

    python -m experiments.entropy_benchmark --config=configs/benchmark/entropy_training.py --workdir=DIR

    plain     a loop in Python over shuffled mini-batches of a host array, one jitted step each: batch 32, ten uniform
              times an example weighted by g^2/sigma^2, Adam at a fixed rate, the published entropy-matching output
    scanned   experiments.neural_entropy: many updates in a dispatch, data on the device, one importance-sampled noise
              level an example, a Gaussian reference, averages

They take turns, so a busy machine slows both; only ratios mean something. Counted are training examples a second (a
plain example is seen at ten times at once), network evaluations a second (which the two share), and the seconds until
the held-out entropy-matching gap is a given share of S_tot. Evaluation is not timed.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from diffenc import data, reporting, training
from diffenc.denoiser import Reference
from diffenc.estimators import Estimate
from diffenc.processes import Process
from diffenc.reporting import Result
from experiments import command_line
from experiments.neural_entropy import check, make_measure, make_update
from experiments.neural_entropy_cases import Case, load_cases
from experiments.systems import median


@dataclass(frozen=True)
class UniformTime:
    """lambda(t) for t uniform on [t_min, t_max]: the density over lambda of the plain loop."""

    process: Process
    t_min: float
    t_max: float

    def draw(self, uniform):
        t = self.t_min + (self.t_max - self.t_min) * uniform
        speed = jnp.square(self.process.diffusion(t) / self.process.sigma(t))  # |d(lambda)/dt|
        return self.process.log_snr(t), 1 / (speed * (self.t_max - self.t_min))


def run(config: ConfigDict, workdir: Path) -> None:
    """Both systems in turns of a few hundred updates; running it again prints the results."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    (case,) = load_cases(config)
    systems = {"plain": plain(config, case), "scanned": scanned(config, case)}
    measure, gaps, seconds = make_measure(config, case), {}, {}
    s_tot = 0.0
    with reporting.progress(config.benchmark.turns, description="turns") as show:
        for turn in range(config.benchmark.turns):
            for name, advance in systems.items():
                took, params, reference = advance()
                key = jax.random.key(config.seed + 9)
                values = measure(key, params, reference, case.density_of(0), case.test[0], config.eval.monitor)
                gaps.setdefault(name, []).append(Estimate.of(values["em_gap"]))
                seconds.setdefault(name, []).append(took)
                s_tot = float(np.mean(values["s_tot"]))
            show(turn + 1, ", ".join(f"{name} gap {values[-1].mean:.2f}" for name, values in gaps.items()))
    results = summarize(config, s_tot, gaps, {name: np.array(values) for name, values in seconds.items()})
    draw(workdir, s_tot, gaps, seconds)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title="training of a neural-entropy model")


def plain(config: ConfigDict, case: Case):
    """advance() -> (seconds, params, reference) of the plain loop: the next benchmark.plain_updates steps."""
    settings, reference = config.benchmark, Reference.equilibrium(case.process)
    levels, optimizer = UniformTime(case.process, *case.times), optax.adam(settings.plain_learning_rate)
    update = jax.jit(make_update(case.model, levels, optimizer, settings.plain_draws, 0.0))
    params = case.model.init(jax.random.key(config.seed), jnp.asarray(case.train[0][:1]))
    state = training.TrainState.create(params, optimizer, chain=reference)
    rng, train, key = np.random.default_rng(config.seed), case.train[0], jax.random.key(config.seed + 1)

    def batches():
        while True:
            order = rng.permutation(len(train))
            for start in range(0, len(train) - settings.plain_batch + 1, settings.plain_batch):
                yield train[order[start : start + settings.plain_batch]]

    source = batches()
    jax.block_until_ready(update(state, jax.random.key(0), next(source)))  # compile

    def advance():
        nonlocal state, key
        began = time.perf_counter()
        for _ in range(settings.plain_updates):
            key, key_step = jax.random.split(key)
            state, _ = update(state, key_step, next(source))
        jax.block_until_ready(state)
        return time.perf_counter() - began, state.params, reference

    return advance


def scanned(config: ConfigDict, case: Case):
    """The same of experiments.neural_entropy: one dispatch of benchmark.scanned_updates updates."""
    settings = config.benchmark
    optimizer = training.make_optimizer(
        config.learning_rate, settings.turns * settings.scanned_updates, config.warmup, config.clip_norm
    )
    update = make_update(case.model, case.levels, optimizer, config.draws, config.average_decay)
    advance_state = training.scan_updates(update, lambda key, rows: rows)
    params = case.model.init(jax.random.key(config.seed), jnp.asarray(case.train[0][:1]))
    chain = jax.tree.map(jnp.copy, case.references[0])
    spare = training.TrainState.create(jax.tree.map(jnp.copy, params), optimizer, jax.tree.map(jnp.copy, chain))
    state, step = training.TrainState.create(params, optimizer, chain=chain), 0
    train = jnp.asarray(case.train[0])

    def rows_from(step):
        return data.batch_indices(config.seed, step, settings.scanned_updates, config.batch_size, len(train))

    jax.block_until_ready(advance_state(spare, jax.random.key(0), train, jnp.asarray(rows_from(0))))  # compile

    def advance():
        nonlocal state, step
        began = time.perf_counter()
        state = advance_state(state, jax.random.key(config.seed + 1), train, jnp.asarray(rows_from(step)))[0]
        jax.block_until_ready(state)
        step += settings.scanned_updates
        return time.perf_counter() - began, state.averages, state.chain

    return advance


def summarize(config: ConfigDict, s_tot: float, gaps, seconds) -> list[Result]:
    """Speeds, their ratios turn by turn, and the time to a gap of benchmark.shares of S_tot (NaN: not reached)."""
    settings = config.benchmark
    examples = dict(
        plain=settings.plain_updates * settings.plain_batch, scanned=settings.scanned_updates * config.batch_size
    )
    draws = dict(plain=settings.plain_draws, scanned=config.draws)
    results = []
    for name, times in seconds.items():
        results.append(Result(f"{name}.examples_per_second", *median(examples[name] / times), "1/s"))
        results.append(Result(f"{name}.evaluations_per_second", *median(draws[name] * examples[name] / times), "1/s"))
        results.append(Result(f"{name}.em_gap", *gaps[name][-1], truth=0.0))
    slower = seconds["plain"] / seconds["scanned"]
    ratio = slower * examples["scanned"] / examples["plain"]
    results.append(Result("scanned.examples_ratio", *median(ratio), "of plain"))
    evaluations = ratio * draws["scanned"] / draws["plain"]
    results.append(Result("scanned.evaluations_ratio", *median(evaluations), "of plain"))
    for share in settings.shares:
        label = f"seconds_to_{100 * share:g}_percent"
        for name, times in seconds.items():
            elapsed = [sum_ for sum_, gap in zip(np.cumsum(times), gaps[name], strict=True) if gap.mean < share * s_tot]
            results.append(Result(f"{name}.{label}", elapsed[0] if elapsed else float("nan"), None, "s"))
    results += [Result(f"{name}.seconds", float(times.sum()), None, "s in all") for name, times in seconds.items()]
    return results


def draw(workdir, s_tot: float, gaps, seconds) -> None:
    """The held-out gap over seconds of training."""
    fig, axes = reporting.figure()
    for name, values in gaps.items():
        elapsed = np.cumsum(seconds[name])
        shares = np.array([[gap.mean, gap.stderr] for gap in values]) / s_tot
        reporting.band(axes[0, 0], elapsed, shares[:, 0], shares[:, 1], label=name)
    axes[0, 0].set(yscale="log", xscale="log")
    reporting.label(axes[0, 0], "seconds of training", "held-out gap $L_{EM}$ / $S_{tot}$", legend=True)
    reporting.save(fig, workdir, "gap_over_time")


if __name__ == "__main__":
    command_line.main(run)
