"""Neural entropy: how much of the entropy of a diffusion a network holds (arXiv 2409.03817).

    python -m experiments.neural_entropy \
        --config=configs/neural_entropy/gaussian_mixture.py --workdir=DIR

A case is a process and a data set: Gaussian mixtures of several dimensions, whose every number is
known, or a data set at several sample sizes.

S_NN counts the whole model, and a model starts from a Gaussian reference
(`diffenc.diffusion.denoiser`) which holds nearly all the entropy of a narrow process before any
training: `s_reference` says how much. What the network learned is `learned_share`, the part of the
reference's own gap that training closed. reference='equilibrium' starts from nothing.

settings: what a config says. cases: data and models. systems: their training. measures: numbers of
one system. results: means over systems. coverage: of their errors. figures: pictures of them.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.entropy_quadrature import total_entropy
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import division, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy import figures, measures, systems
from experiments.neural_entropy.cases import Case, load_cases
from experiments.neural_entropy.coverage import COVERED, coverage, coverage_result
from experiments.neural_entropy.results import (
    between_pixels,
    log_laws,
    over_systems,
    summarize,
    with_spread,
)
from experiments.neural_entropy.settings import Evaluation, Training, read_sweep


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    training = command_line.read(Training, config)
    sweep = read_sweep(config)
    evaluation = command_line.read(Evaluation, config, "eval")
    if command_line.is_complete(config, workdir):
        return
    seed = sweep.seed
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(training.batch_size, mesh)
    cases = {case.name: case for case in load_cases(sweep)}
    programs = cases_of_programs(cases)
    measure_of = make_measures(seed, programs, evaluation)
    monitor = functools.partial(measures.monitor, seed, cases, measure_of, evaluation.monitor)
    states = systems.train(workdir, seed, training, cases, mesh, monitor)
    metrics = records.read_metrics(workdir)
    curves: dict[str, Any] = {}
    images: dict[str, Any] = {}
    with jax.default_matmul_precision("highest"), division.spread_over(mesh):
        results, truths = evaluate(seed, cases, measure_of, states, evaluation)
        for members in programs.values():
            one = members[0]
            own = {case.name: states[case.name, 0] for case in members}
            curves |= measures.measure_curves(seed, one, evaluation, own)
            if one.test[0].ndim == 4:
                images |= measures.generate(seed, one, evaluation, own)
    figures.draw(workdir, sweep.sweep, cases, results, truths, curves, images, metrics)
    tables.write_results(workdir, results)
    tables.print_table(results, title="neural entropy")
    print(f"figures: {workdir / 'figures'}")


def cases_of_programs(cases: dict[str, Case]) -> dict[str, list[Case]]:
    """Sort the cases by their program."""
    programs: dict[str, list[Case]] = {}
    for case in cases.values():
        programs.setdefault(case.program, []).append(case)
    return programs


def make_measures(
    seed: int, programs: dict[str, list[Case]], settings: Evaluation
) -> dict[str, Callable]:
    """Make the measure of every case, by its name; the cases of a program share one.

    Args:
        seed: of the run.
        programs: their cases.
        settings: numbers of noise levels and of examples at once are read.
    """
    by_case: dict[str, Callable] = {}
    for program, members in programs.items():
        levels = measures.evaluation_levels(key_of(seed, "pilot", program), members[0])
        measure = measures.make_measure(
            members[0], levels, settings.num_levels, settings.batch_size
        )
        by_case |= {case.name: measure for case in members}
    return by_case


class Measured(NamedTuple):
    """The numbers of one system.

    Attributes:
        held_out: quantities of every held-out example, {name: [n]}.
        own_s_nn: S_NN of its own training examples.
        truth: S_tot by densities; None where the law of the data is not known.
    """

    held_out: dict
    own_s_nn: Estimate
    truth: Estimate | None


def measure_system(
    key, case: Case, system: int, measure: Callable, state, num_own: int
) -> Measured:
    """Measure one system on held-out examples and on its own.

    Args:
        key: of the noise.
        case: the system's.
        system: its seed.
        measure: the case's.
        state: the system's, trained.
        num_own: how many of its own examples are measured.
    """
    key_test, key_train, key_truth = jax.random.split(key, 3)
    density = case.density_of(system)
    model = (state.averages, state.carried, density)
    held_out = measure(key_test, *model, case.test[system])
    own = measure(key_train, *model, case.train[system], num_own)
    truth = None
    if density is not None:
        truth = Estimate.of(total_entropy(key_truth, density, case.process, 200_000, *case.times))
    return Measured(held_out, Estimate.of(own["s_nn"]), truth)


def coverage_of_case(
    seed: int,
    case: Case,
    measure: Callable,
    states: list,
    truths: list[Estimate],
    settings: Evaluation,
) -> dict[str, list[bool]]:
    """Count how often the errors of every system of a case hold the truth, see `coverage`.

    Args:
        seed: of the run.
        case: of a known density.
        measure: the case's.
        states: of its systems.
        truths: S_tot of each.
        settings: of the measurement; without repetitions nothing is done.
    """
    inside: dict[str, list[bool]] = {result: [] for result in COVERED}
    if not settings.repetitions:
        return inside
    uniform = Uniform(*log_snr_range(case.process, *case.times))
    measure_truth = measures.make_measure(case, uniform, settings.num_levels, settings.batch_size)
    key = key_of(seed, "coverage", case.name)
    for system, (state, total) in enumerate(zip(states, truths, strict=True)):
        model = (state.averages, state.carried, case.density_of(system))
        key_system = jax.random.fold_in(key, system)
        of_system = coverage(key_system, model, total, measure, measure_truth, settings)
        for result, hits in of_system.items():
            inside[result] += hits
    return inside


def evaluate(
    seed: int,
    cases: dict[str, Case],
    measure_of: dict[str, Callable],
    states: dict,
    settings: Evaluation,
) -> tuple[list[Result], dict[str, float]]:
    """Measure every system, and average over the seeds of a case.

    Args:
        seed: of the run.
        cases: by name.
        measure_of: each case, by name.
        states: by (case, seed).
        settings: of the measurement.

    Returns:
        The results, with the laws in log N, and S_tot of each first seed where it is known.
    """
    results = []
    covered: dict[str, list[bool]] = {result: [] for result in COVERED}
    truth_of = {}
    num_done = 0
    num_systems = sum(len(case.train) for case in cases.values())
    with records.progress(num_systems, description="measuring") as show:
        for name, case in cases.items():
            systems_of_case = []
            for system in range(len(case.train)):
                show(num_done, f"{name}.{system}")
                key = key_of(seed, "evaluation", case.program, system)
                state = states[name, system]
                systems_of_case.append(
                    measure_system(
                        key, case, system, measure_of[name], state, settings.num_examples
                    )
                )
                num_done += 1
            held_out = [one.held_out for one in systems_of_case]
            truths = [one.truth for one in systems_of_case if one.truth is not None]
            results += summarize(name, held_out, truths, shared_examples=case.density is None)
            if truths:
                truth_of[name] = truths[0].mean
                own_states = [states[name, system] for system in range(len(case.train))]
                inside = coverage_of_case(
                    seed, case, measure_of[name], own_states, truths, settings
                )
                for result, hits in inside.items():
                    covered[result] += hits
            own = [one.own_s_nn for one in systems_of_case]
            estimate = with_spread(over_systems(own), [one.mean for one in own])
            results.append(Result(f"{name}.s_nn_train", *estimate))
        show(num_systems)
    results += [coverage_result(result, hits) for result, hits in covered.items() if hits]
    return results + between_pixels(cases, results) + log_laws(cases, results), truth_of


if __name__ == "__main__":
    command_line.main(run)
