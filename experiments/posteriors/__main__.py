"""How good is the posterior? Encoders of every kind, with one decoder and budget, in one table.

    python -m experiments.posteriors --config=configs/posteriors/toys.py --workdir=DIR

On toys the decoder is fixed and the posterior known on a grid: the divergence of each encoder from
it is a number. On images the decoder learns, for as many updates with each, and the methods meet in
held-out likelihood, checked by annealed importance sampling.

settings: what a config says. cases: data, decoders and systems. measures: numbers of one system.
results: means over systems. figures: pictures of them.
"""

import functools

import jax
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import storage
from diffenc.keys import key_of
from diffenc.latent.systems import System
from diffenc.run import division, loop, parallel, records, tables
from diffenc.run.advance import dotted, make_advance
from experiments import command_line
from experiments.posteriors import figures, measures
from experiments.posteriors.cases import (
    Case,
    Name,
    load_cases,
    make_blueprints,
    make_models,
    make_trainees,
)
from experiments.posteriors.results import print_methods, summarize, update_times
from experiments.posteriors.settings import Evaluation, read_experiment


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    experiment = read_experiment(config)
    if command_line.is_complete(config, workdir):
        return
    training = experiment.training
    evaluation = experiment.evaluation
    seed = training.seed
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(training.batch_size, mesh)
    cases = load_cases(experiment)
    models = make_models(experiment, cases)
    storage.write(workdir, "posteriors", training.num_updates, make_blueprints(experiment, cases))
    states = loop.train(
        workdir,
        parallel.replicate(mesh, {name: system.state for name, system in models.items()}),
        make_advance(
            make_trainees(seed, cases, models, mesh),
            mesh,
            training.batch_size,
            training.systems_at_once,
        ),
        num_updates=training.num_updates,
        updates_per_dispatch=training.updates_per_dispatch,
        save_every=training.save_every,
        evaluate=functools.partial(measures.monitor, seed, cases, models, evaluation.batch_size),
        evaluate_every=training.evaluate_every,
        headline=functools.partial(headline, tuple(models)),
        extras=training.metrics_extras,
    )
    states = parallel.local(states)
    metrics = records.read_metrics(workdir)
    params = {name: state.averages for name, state in states.items()}
    with jax.default_matmul_precision("highest"), division.spread_over(mesh):
        measured = evaluate(seed, cases, models, params, evaluation)
        results = summarize(cases, {name: one.values for name, one in measured.items()})
        results += update_times(metrics, tuple(models))
        samples = {name: one.samples for name, one in measured.items()}
        figures.draw(workdir, cases, samples, results, metrics)
    tables.write_results(workdir, results)
    for case in cases:
        print_methods(case, results)
    print(f"figures: {workdir / 'figures'}")


def headline(names: tuple[Name, ...], metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar: -log p(x|z) of each method on the first case."""
    first = names[0][0]
    parts = [
        f"{method} {metrics[f'{dotted((case, method, seed))}.decoder_loss']:.2f}"
        for case, method, seed in names
        if case == first and seed == 0
    ]
    return f"{first}: " + ", ".join(parts)


def evaluate(
    seed: int,
    cases: dict[str, Case],
    models: dict[Name, System],
    params: dict,
    settings: Evaluation,
) -> dict[Name, measures.Measured]:
    """Measure every system.

    Args:
        seed: of the run.
        cases: by name.
        models: the systems.
        params: of each of them.
        settings: what is measured.
    """
    measured = {}
    with records.progress(len(models), description="measuring") as show:
        for index, (name, system) in enumerate(models.items()):
            key = key_of(seed, "evaluation", dotted(name))
            case = cases[name[0]]
            measured[name] = measures.measure(key, case, system, params[name], settings)
            show(index + 1, dotted(name))
    return measured


if __name__ == "__main__":
    command_line.main(run)
