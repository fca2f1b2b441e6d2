"""Likelihood of discrete data in bits a dimension: cold and warm starts, and bounds that are valid.

    python -m experiments.warm_start --config=configs/warm_start/digits.py --workdir=DIR

A run trains several models of the same data, which differ in where their diffusion starts and in
what their network knows of the grid. It measures all terms of the bound on held-out examples, and
beside the bound the quantity of arXiv 2510.20903, which is no code length.

settings: what a config says. models: the systems. measures: numbers of one of them. results: means
over seeds. controls: what simple codes need. figures: pictures. ideal, families: a law that is
known, without training.
"""

import functools

import jax
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import storage
from diffenc.diffusion.noise_levels import Uniform
from diffenc.grid_runs import Name
from diffenc.keys import key_of
from diffenc.run import division, loop, parallel, records, sentences, tables, text
from diffenc.run.advance import dotted, make_advance
from diffenc.run.tables import Result
from experiments import command_line
from experiments.warm_start import controls, figures, gaussian, ideal, measures, models, results
from experiments.warm_start.settings import read_experiment

VARIANCE_DRAWS = 16  # noise levels of each example, by which the variance of the loss is measured


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    if "variances" in config or "families" in config:
        parallel.check_alone("a config without a training")
    if "variances" in config:
        rows = gaussian.run(config, workdir)
        if rows is not None:
            finish(workdir, rows, "Gaussian data, exact denoiser")
        return
    if "families" in config:
        rows = ideal.run(config, workdir)
        if rows:
            finish(workdir, rows, "a known law of two pixels, ideal networks")
        return
    experiment = read_experiment(config)
    if command_line.is_complete(config, workdir):
        return
    training = experiment.training
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(training.batch_size, mesh)
    numbers = models.load(experiment)
    dataset = numbers.dataset
    size = numbers.size
    systems = models.make_systems(experiment, dataset, size)
    blueprints = models.make_blueprints(experiment, numbers, systems)
    storage.write(workdir, "warm_start", training.num_updates, blueprints, dataset.columns)
    held_out = dataset.test[: experiment.evaluation.num_examples]
    trainees = models.make_trainees(experiment, dataset, systems, mesh)
    states = parallel.replicate(mesh, {name: system.state for name, system in systems.items()})
    models.print_costs(trainees, states, mesh, training)
    states = loop.train(
        workdir,
        states,
        make_advance(trainees, mesh, training.batch_size, training.systems_at_once),
        num_updates=training.num_updates,
        updates_per_dispatch=training.updates_per_dispatch,
        save_every=training.save_every,
        evaluate=functools.partial(
            measures.monitor, training.seed, systems, held_out, experiment.evaluation
        ),
        evaluate_every=training.evaluate_every,
        headline=functools.partial(headline, next(iter(systems))),
        extras=training.metrics_extras,
    )
    trained = models.params_of(parallel.local(states))
    dim = held_out[0].size
    drawn = {}
    samples = {}
    variances = {}
    profiles = {}
    evaluation = experiment.evaluation
    is_shown = held_out.ndim == 4 and held_out.shape[-1] in (1, 3)
    with (
        jax.default_matmul_precision("highest"),
        division.spread_over(mesh),
        records.progress(len(systems), description="measuring") as show,
    ):
        for done, (name, system) in enumerate(systems.items()):
            show(done, dotted(name))
            key = key_of(training.seed, "evaluation", name.seed)
            drawn[name] = measures.terms(
                key, system, trained[name], held_out, evaluation.draws, evaluation.batch_size
            )
            levels = measures.training_levels(system, trained[name][1])
            key = key_of(training.seed, "loss", name.seed)
            losses = measures.losses(
                key, system, trained[name], held_out, levels, VARIANCE_DRAWS, evaluation.batch_size
            )
            variances[name] = measures.loss_variance(losses, dim)
            if name.seed == 0:
                even = Uniform(levels.low, levels.high)
                key = key_of(training.seed, "profile")
                losses = measures.losses(
                    key,
                    system,
                    trained[name],
                    held_out,
                    even,
                    evaluation.draws,
                    evaluation.batch_size,
                )
                profiles[name.model] = measures.profile(losses, levels, dim)
            if name.seed == 0 and evaluation.samples and is_shown:
                key = key_of(training.seed, "samples")
                samples[name.model] = measures.sample(
                    key, system, trained[name], dataset.example_shape, evaluation
                )
        show(len(systems))
    metrics = records.read_metrics(workdir)
    simple = controls.measure(dataset.train, held_out, size)
    rows = results.summarize(drawn, dim) + results.savings(drawn, dim)
    rows += results.of_controls(simple)
    rows += results.loss_variances(variances)
    rows += results.update_times(metrics, systems)
    rows = results.with_truth(rows, truth_of(numbers, held_out))
    figures.draw(workdir, experiment, rows, simple, profiles, samples, metrics, numbers.size - 1)
    finish(workdir, rows, f"bits a dimension of {dataset.name}")


def finish(workdir: Path, rows: list[Result], title: str) -> None:
    """Write the results and print them.

    Args:
        workdir: of the run.
        rows: the results.
        title: of the table.
    """
    tables.write_results(workdir, rows)
    tables.print_table(rows, title=title)
    print(f"figures: {workdir / 'figures'}")


def truth_of(numbers: models.Numbers, x: np.ndarray) -> float | None:
    """Give the mean code length of x by the law that made it, in bits a dimension, if it is known.

    Args:
        numbers: the data.
        x: the held-out examples.
    """
    if not numbers.is_generated or numbers.characters is None:
        return None
    log_prob = sentences.log_prob(text.decode(x, numbers.characters))
    return float(-log_prob.mean() / (x[0].size * np.log(2)))


def headline(name: Name, metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar: what a system's update lowers, and its bound.

    Args:
        name: of the system.
        metrics: of the last dispatch.
    """
    parts = [
        f"{label} {metrics[f'{dotted(name)}.{metric}']:.3f}"
        for label, metric in (
            ("diffusion", "diffusion_loss"),
            ("bound, held out", "held_out_bits_per_dim"),
        )
        if f"{dotted(name)}.{metric}" in metrics
    ]
    return f"{name.model}: {', '.join(parts)} bits a dimension"


if __name__ == "__main__":
    command_line.main(run)
