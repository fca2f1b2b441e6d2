"""Neural entropy: how much of the entropy of a diffusion a network holds, at every noise level
(arXiv 2409.03817).

    python -m experiments.neural_entropy --config=configs/neural_entropy/gaussian_mixture.py --workdir=DIR

A case is a process and a data set: Gaussian mixtures of several dimensions, whose every number is
known, or a data set at several sample sizes.

S_NN counts the whole model, and a model starts from a Gaussian reference
(`diffenc.diffusion.denoiser`) which holds nearly all the entropy of a narrow process before any
training: `s_reference` says how much. What the network learned is `learned_share`, the part of the
reference's own gap that training closed. reference='equilibrium' starts from nothing.

Cases are made in neural_entropy_cases, summaries in neural_entropy_results, the coverage of errors
in neural_entropy_coverage, figures in neural_entropy_figures; here are training and held-out
numbers, to be read from top to bottom.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import training
from diffenc.diffusion import entropy, samplers
from diffenc.diffusion.analytic import total_entropy
from diffenc.diffusion.denoiser import OUTPUTS, Denoiser, Reference
from diffenc.diffusion.noise_levels import Levels, Piecewise, Uniform, log_snr_range
from diffenc.diffusion.processes import FixedWidth
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.run import data, loop, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy import figures
from experiments.neural_entropy.cases import (
    PROCESSES,
    REFERENCES,
    Case,
    check_data,
    load_cases,
    scaled,
)
from experiments.neural_entropy.coverage import COVERED, coverage, coverage_result
from experiments.neural_entropy.results import (
    EARLY,
    between_pixels,
    log_laws,
    over_systems,
    summarize,
    with_spread,
)


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)
    cases = {case.name: case for case in load_cases(config)}
    first = {case.program: case for case in reversed(cases.values())}
    programs = {program: make_measure(config, case) for program, case in first.items()}
    measures = {name: programs[case.program] for name, case in cases.items()}
    state = loop.train(
        workdir,
        parallel.replicate(mesh, make_states(config, cases)),
        make_advance(config, mesh, cases),
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=functools.partial(monitor, config, cases, measures),
        evaluate_every=config.evaluate_every,
        headline=functools.partial(headline, cases),
        extras=tuple(config.metrics_extras),
    )
    state, metrics = parallel.local(state), records.read_metrics(workdir)
    results, truths = evaluate(config, cases, measures, state)
    curves, images = {}, {}
    for program, one in first.items():
        systems = {
            name: state[f"{name}.0"] for name, case in cases.items() if case.program == program
        }
        curves |= measure_curves(config, one, systems)
        images |= generate(config, one, systems) if one.test[0].ndim == 4 else {}
    figures.draw(workdir, config, cases, results, truths, curves, images, metrics)
    tables.write_results(workdir, results)
    tables.print_table(results, title="neural entropy")
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    positive = (
        "batch_size",
        "draws",
        "num_updates",
        "updates_per_dispatch",
        "save_every",
        "learning_rate",
    )
    command_line.check_positive(
        config, *positive, "num_seeds", "eval.num_levels", "eval.batch_size", "t_min"
    )
    command_line.check_not_negative(
        config, "seed", "warmup", "evaluate_every", "num_devices", "max_epochs"
    )
    command_line.check_positive(config, "clip_norm")
    command_line.check_choice("sweep", config.sweep, ("dimension", "samples"))
    check_data(config)
    command_line.check_choice("reference", config.reference, REFERENCES)
    command_line.check_choice("output", config.output, OUTPUTS)
    if not 0 <= config.average_decay < 1:
        raise InputError(
            f"config field average_decay is {config.average_decay}: give a number in [0, 1)"
        )
    for process in config.processes:
        command_line.check_choice("processes", process, PROCESSES)
        if config.reference == "equilibrium" and not isinstance(PROCESSES[process], FixedWidth):
            raise InputError(
                f"{process} has no equilibrium that stays: give another config field reference"
            )
    for field, count in (
        ("num_examples", config.eval.num_examples),
        ("monitor", config.eval.monitor),
    ):
        if count < 2:
            raise InputError(
                f"config field eval.{field} is {count}: a standard error needs 2 or more"
            )


# ----------------------------------------------------------------------------------------- training


def updates_of(config: ConfigDict, case: Case) -> int:
    """The updates of a case: num_updates, or fewer where it has then seen its data max_epochs
    times."""
    passes = -(-config.max_epochs * len(case.train[0]) // config.batch_size)
    return min(config.num_updates, passes) if config.max_epochs else config.num_updates


def optimizer_of(config: ConfigDict, case: Case):
    """Each case's learning rate descends to zero over its own updates."""
    return training.make_optimizer(
        config.learning_rate, updates_of(config, case), config.warmup, config.clip_norm
    )


def make_states(config: ConfigDict, cases: dict[str, Case]) -> dict[str, training.TrainState]:
    """{"case.seed": state}; the reference travels with the state, as its chain."""
    states = {}
    for case in cases.values():
        optimizer = optimizer_of(config, case)
        for seed in range(config.num_seeds):
            example = jnp.asarray(case.train[seed][:1], jnp.float32)
            params = case.model.init(key_of(config.seed, "model", case.program, seed), example)
            chain = jax.tree.map(jnp.copy, case.references[seed])
            states[f"{case.name}.{seed}"] = training.TrainState.create(
                params, optimizer, chain=chain
            )
    return states


def make_update(model: Denoiser, levels, optimizer, draws: int, average_decay: float):
    """update(state, key, x): one step down the entropy-matching loss; state.chain is the
    reference."""

    def update(state, key, x):
        def loss_fn(params):
            return model.loss(key, params, state.chain, x, levels, draws).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, average_decay), {"loss": loss}

    return update


def make_advance(config: ConfigDict, mesh, cases: dict[str, Case]):
    """advance(state, step, n): n updates of every case and seed, or those that are left of its
    own."""
    runs, train = {}, {}
    programs = {name: (case.program, updates_of(config, case)) for name, case in cases.items()}
    for case in cases.values():
        if programs[case.name] not in runs:
            optimizer = optimizer_of(config, case)
            update = make_update(
                case.model, case.levels, optimizer, config.draws, config.average_decay
            )
            prepare = functools.partial(scaled, case.scale)
            runs[programs[case.name]] = training.scan_updates(
                update, lambda key, rows, prepare=prepare: prepare(rows)
            )
        for seed, x in enumerate(case.train):
            train[f"{case.name}.{seed}"] = parallel.replicate(mesh, jnp.asarray(x))
    local = parallel.local_rows(config.batch_size)

    def advance(state, step, n):
        new_state, metrics = {}, {}
        for name, x in train.items():
            case, seed = name.rsplit(".", 1)
            left = min(n, updates_of(config, cases[case]) - step)
            if left <= 0:
                new_state[name] = state[name]
                continue
            run_updates = runs[programs[case]]
            names = (cases[case].program, int(seed))
            rows = data.batch_indices(config.seed, step, left, config.batch_size, len(x), names)
            rows = parallel.shard_batch(mesh, rows[:, local], axis=1)
            key = parallel.replicate(mesh, key_of(config.seed, "training", *names))
            new_state[name], values = run_updates(state[name], key, x, rows)
            metrics |= {f"{name}.{metric}": value for metric, value in values.items()}
        return new_state, metrics

    return advance


def headline(cases: dict[str, Case], metrics: dict[str, float]) -> str:
    """The text beside the progress bar: each case's growth once it is measured, else the first
    loss."""
    grown = [
        (name, metrics[f"{name}.kelly_growth"])
        for name in cases
        if f"{name}.kelly_growth" in metrics
    ]
    if grown:
        return "growth " + ", ".join(f"{name} {value:.2f}" for name, value in grown[:6])
    losses = [(name, metrics[f"{name}.0.loss"]) for name in cases if f"{name}.0.loss" in metrics]
    return "".join(f"loss {name} {value:.3f}" for name, value in losses[:1])


# --------------------------------------------------------------------------------- held-out numbers


def integrands(case: Case, params, reference: Reference, density):
    """The integrands of one model on one draw: s_nn, the same of its reference alone, growth added
    to the base score and, where the exact score is known, s_tot, em_gap and what growth lacks;
    s_nn_early: s_nn produced at t < EARLY."""
    score, equilibrium = case.model.score_fn(params, reference), case.process.equilibrium_score
    reference_score = case.model.score_fn(params, reference, with_network=False)
    fields = {
        "s_nn": entropy.gap_integrand(score, equilibrium, case.process),
        "s_reference": entropy.gap_integrand(reference_score, equilibrium, case.process),
    }
    base = equilibrium if case.test[0].ndim == 4 else reference_score
    fields["kelly_growth"] = entropy.growth_integrand(score, base, case.process)
    if density is not None:

        def exact(x, t):
            return density.score(case.process, x, t)

        fields["s_tot"] = entropy.gap_integrand(exact, equilibrium, case.process)
        fields["em_gap"] = entropy.gap_integrand(exact, score, case.process)
        fields["reference_gap"] = entropy.gap_integrand(exact, reference_score, case.process)
        # growth of the exact score less that of the network, on the same draws and against the
        # denoising target
        fields["growth_shortfall"] = entropy.growth_integrand(exact, score, case.process)

    def values(x_t, eps, t):
        found = {name: field(x_t, eps, t) for name, field in fields.items()}
        early = {
            f"{name}_early": jnp.where(t < EARLY, found[name], 0.0)
            for name in ("s_nn", "s_tot")
            if name in found
        }
        return found | early

    return values


def evaluation_levels(config: ConfigDict, case: Case) -> Piecewise:
    """The noise levels of evaluation.

    Half of them lie where the training draws them, half where a pilot of the reference finds
    entropy.
    """
    low, high = log_snr_range(case.process, *case.times)
    edges = np.linspace(low, high, 65)
    pilot_x = scaled(case.scale, jnp.asarray(case.train[0][:500]))
    uniform = Uniform(low, high)
    pilot_score = case.model.score_fn(None, case.references[0], with_network=False)
    field = entropy.gap_integrand(pilot_score, case.process.equilibrium_score, case.process)
    pilot = jax.jit(lambda key, x: entropy.profile(key, field, case.process, x, uniform, 64))
    draws = pilot(key_of(config.seed, "pilot", case.program), pilot_x)
    heights = np.maximum(entropy.curve(draws, uniform).height, 0)
    trained = case.levels.heights(edges)
    shape = trained / trained.sum() + (heights / heights.sum() if heights.sum() > 0 else 0)
    return Piecewise.fit(edges, shape, floor=0.1)


def make_measure(config: ConfigDict, case: Case, levels: Levels | None = None):
    """Make the function that measures every quantity of `integrands`.

    Args:
        config: the experiment's.
        case: one of a program, to which all of them then can be given.
        levels: density of the noise levels; None for that of `evaluation_levels`.

    Returns:
        measure(key, params, reference, density, x, count): each quantity of the first count
        examples, {name: [count]}.
    """
    low, high = log_snr_range(case.process, *case.times)
    levels = evaluation_levels(config, case) if levels is None else levels

    @jax.jit
    def batch_of(params, reference, density, key, rows):
        x = scaled(case.scale, rows)
        field = integrands(case, params, reference, density)
        values = entropy.profile(
            key, field, case.process, x, levels, config.eval.num_levels
        ).total()
        if x.ndim == 2:
            gaussian = reference.gaussian(x.shape[1])
            values["kelly_growth"] += entropy.gaussian_growth(gaussian, case.process, x, low, high)
        return values

    def measure(key, params, reference, density, x, count=None):
        call = functools.partial(batch_of, params, reference, density)
        return map_examples(call, key, x[:count], config.eval.batch_size)

    return measure


def monitor(config: ConfigDict, cases, measures, state, step: int) -> dict[str, float]:
    """Held-out quantities of the first seed of every case, for the curves over training."""
    scalars = {}
    for name, case in cases.items():
        system = parallel.local(state[f"{name}.0"])
        model = (system.averages, system.chain, case.density_of(0))
        key = key_of(config.seed, "monitor", case.program)
        values = measures[name](key, *model, case.test[0], config.eval.monitor)
        for quantity, per_example in values.items():
            estimate = Estimate.of(per_example)
            scalars |= {
                f"{name}.{quantity}": estimate.mean,
                f"{name}.{quantity}_stderr": estimate.stderr,
            }
    return scalars


def evaluate(config: ConfigDict, cases, measures, state) -> tuple[list[Result], dict[str, float]]:
    """Results of every case, averaged over seeds (each with a mixture of its own), with the laws in
    log N; and S_tot of each first seed where it is known."""
    results, known = [], {}
    covered = {result: [] for result in COVERED}
    with records.progress(len(cases) * config.num_seeds, description="measuring") as show:
        for index, (name, case) in enumerate(cases.items()):
            seeds, truths, trained = [], [], []
            for seed in range(config.num_seeds):
                show(index * config.num_seeds + seed, f"{name}.{seed}")
                system = state[f"{name}.{seed}"]
                key = key_of(config.seed, "evaluation", case.program, seed)
                key_test, key_train, key_truth = jax.random.split(key, 3)
                density = case.density_of(seed)
                model = (system.averages, system.chain, density)
                seeds.append(measures[name](key_test, *model, case.test[seed]))
                own = measures[name](key_train, *model, case.train[seed], config.eval.num_examples)
                trained.append(Estimate.of(own["s_nn"]))
                if density is not None:
                    values = total_entropy(key_truth, density, case.process, 200_000, *case.times)
                    truths.append(Estimate.of(values))
            results += summarize(name, seeds, truths, shared_examples=case.density is None)
            if truths:
                known[name] = truths[0].mean
            if truths and config.eval.repetitions:
                key = key_of(config.seed, "coverage", name)
                uniform = Uniform(*log_snr_range(case.process, *case.times))
                measure_truth = make_measure(config, case, uniform)
                for seed, total in enumerate(truths):
                    system = state[f"{name}.{seed}"]
                    model = (system.averages, system.chain, case.density_of(seed))
                    key_seed = jax.random.fold_in(key, seed)
                    both = (measures[name], measure_truth)
                    inside = coverage(key_seed, model, total, *both, config.eval)
                    for result, hits in inside.items():
                        covered[result] += hits
            own = with_spread(over_systems(trained), [one.mean for one in trained])
            results.append(Result(f"{name}.s_nn_train", *own))
        show(len(cases) * config.num_seeds)
    results += [coverage_result(result, hits) for result, hits in covered.items() if hits]
    return results + between_pixels(cases, results) + log_laws(cases, results), known


def measure_curves(config: ConfigDict, case: Case, systems) -> dict[str, dict[str, entropy.Curve]]:
    """i(lambda) of the first seed of every system of a program, in 32 bins of equal width: learned
    and, where it is known, exact."""
    levels, density = Uniform(*log_snr_range(case.process, *case.times)), case.density_of(0)

    @jax.jit
    def draw(params, reference, key, rows):
        field = integrands(case, params, reference, density)
        draws = entropy.profile(key, field, case.process, scaled(case.scale, rows), levels, 32)
        return jax.tree.map(jnp.transpose, draws)

    curves, rows = {}, case.test[0][: config.eval.monitor]
    for name, system in systems.items():
        call = functools.partial(draw, system.averages, system.chain)
        key = key_of(config.seed, "curves", case.program)
        draws = map_examples(call, key, rows, config.eval.batch_size)
        draws = jax.tree.map(np.transpose, draws)
        curves[name] = {
            quantity: entropy.curve(draws._replace(values=values), levels)
            for quantity, values in draws.values.items()
        }
    return curves


def generate(config: ConfigDict, case: Case, systems) -> dict[str, np.ndarray]:
    """Images of the first seed of every system of a program, by the probability flow, all from the
    same noise."""
    shape, steps = (config.eval.images, *case.test[0].shape[1:]), config.eval.sampler_steps

    @jax.jit
    def sample(params, reference, key):
        noise = case.process.sigma(jnp.asarray(case.times[1])) * jax.random.normal(key, shape)
        score = case.model.score_fn(params, reference)
        return samplers.probability_flow(score, case.process, noise, steps, config.t_min)

    name = ("images", case.program)
    return {
        system: np.asarray(sample(one.averages, one.chain, key_of(config.seed, *name)))
        for system, one in systems.items()
    }


if __name__ == "__main__":
    command_line.main(run)
