"""Train diffusion on both sides: an encoder and a decoder that are both diffusion models.

    python -m experiments.diffusion_decoder --config=configs/diffusion_decoder/digits.py \
        --workdir=DIR

Beside it rivals with the same decoder are trained, updates and data order alike, and all are
measured on held-out data: the rate in nats of what the latent holds, the loss of the decoder, how
well x comes back, and what a latent is good for.

settings: what a config says. models: the systems. measures: numbers of one of them. results: means
over seeds. probes, frechet: representations and samples. throughput: how devices are used. figures:
pictures. Read `run` from top to bottom.
"""

import functools

import jax
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import storage
from diffenc.keys import key_of
from diffenc.latent import systems
from diffenc.latent.first_phase import hand_over
from diffenc.run import data, division, loop, parallel, records, tables
from diffenc.run.advance import dotted, make_advance
from diffenc.run.centring import Centring
from experiments import command_line
from experiments.diffusion_decoder import figures, measures, pictures, results, throughput
from experiments.diffusion_decoder.models import (
    Name,
    load,
    make_blueprints,
    make_first,
    make_systems,
    make_trainees,
    print_costs,
)
from experiments.diffusion_decoder.settings import BOTTLENECKED, Experiment, read_experiment

STAGES = {"first": "a Gaussian decoder first", "refit": "encoders at gamma = 1"}


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    experiment = read_experiment(config)
    if command_line.is_complete(config, workdir):
        return
    training = experiment.training
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(training.batch_size, mesh)
    dataset = load(experiment)
    measures.check_examples(experiment, dataset)
    models = make_systems(experiment, dataset)
    storage.write(
        workdir,
        "diffusion_decoder",
        training.num_updates,
        make_blueprints(experiment, dataset, models),
        dataset.columns,
    )
    models = first_phase(workdir, experiment, dataset, models, mesh)
    held_out = observe(training.seed, dataset, experiment.evaluation.num_examples)
    params = train(workdir, experiment, dataset, models, held_out, mesh)
    again = refit(workdir, experiment, dataset, models, params, mesh)
    metrics = records.read_metrics(workdir)
    speed = throughput.measure(experiment, dataset, models, metrics)
    with jax.default_matmul_precision("highest"), division.spread_over(mesh):
        measured = measures.measure_all(experiment, dataset, models, params, again, held_out)
        rows = results.summarize(experiment, measured)
        rows += results.update_times(metrics, models) + speed
        shown = pictures.make_pictures(experiment, dataset, models, params, measured, held_out)
    figures.draw(workdir, experiment, dataset, measured, shown, metrics)
    tables.write_results(workdir, rows)
    results.print_methods(dataset.name, rows)
    if speed:
        tables.print_table(speed, title="use of the devices")
    print(f"figures: {workdir / 'figures'}")


def observe(seed: int, dataset: data.Dataset, count: int | None) -> np.ndarray:
    """Draw x [n, ...] of the held-out examples once and for all, in their order.

    Args:
        seed: of the run.
        dataset: the data.
        count: how many of them, at most; None for all.
    """
    prepare = jax.jit(Centring.of(dataset).prepare)
    return np.asarray(prepare(key_of(seed, "observed", "test"), dataset.test[:count]))


def train(workdir, experiment: Experiment, dataset, models, held_out, mesh) -> dict:
    """Train every system; returns the averages of their parameters by `Name`.

    Args:
        workdir: of the run.
        experiment: the config.
        dataset: the data.
        models: the systems.
        held_out: x [n, ...], for the curves.
        mesh: of devices.
    """
    training = experiment.training
    states = parallel.replicate(mesh, {name.key: system.state for name, system in models.items()})
    trainees = make_trainees(experiment, dataset, models, mesh)
    print_costs(experiment, models, trainees, states, mesh)
    states = loop.train(
        workdir,
        states,
        make_advance(trainees, mesh, training.batch_size, training.systems_at_once),
        num_updates=training.num_updates,
        updates_per_dispatch=training.updates_per_dispatch,
        save_every=training.save_every,
        evaluate=functools.partial(measures.monitor, experiment, dataset, models, held_out),
        evaluate_every=training.evaluate_every,
        headline=functools.partial(headline, next(iter(models))),
        extras=training.metrics_extras,
    )
    states = parallel.local(states)
    return {name: states[name.key].averages for name in models}


def first_phase(workdir, experiment: Experiment, dataset, models, mesh) -> dict:
    """Train encoders with a Gaussian decoder at first; returns the systems that go on from there.

    Args:
        workdir: of the run; this training has the directory `first` in it.
        experiment: the config.
        dataset: the data.
        models: the systems.
        mesh: of devices.
    """
    early = make_first(experiment, dataset, models)
    params = stage(workdir, "first", experiment, dataset, early, experiment.first_updates, mesh)
    going_on = {
        name: hand_over(models[name], experiment.methods[name[:2]], params[name]) for name in early
    }
    return models | going_on


def refit(workdir, experiment: Experiment, dataset, models, params, mesh) -> dict:
    """Fit encoders at gamma = 1 while their decoders rest; returns parameters by `Name`.

    Args:
        workdir: of the run; this training has the directory `refit` in it.
        experiment: the config.
        dataset: the data.
        models: the systems.
        params: of the trained ones.
        mesh: of devices.
    """
    again = {
        name: systems.refit(system, experiment.refit(experiment.methods[name[:2]]), params[name])
        for name, system in models.items()
        if name.method in BOTTLENECKED and experiment.refit_updates
    }
    return stage(workdir, "refit", experiment, dataset, again, experiment.refit_updates, mesh)


def stage(
    workdir, purpose: str, experiment: Experiment, dataset, models, num_updates: int, mesh
) -> dict:
    """Train systems before or after the training proper; returns parameters by `Name`.

    Args:
        workdir: of the run; this training has a directory in it.
        purpose: a name of `STAGES`, and that of the directory.
        experiment: the config.
        dataset: the data.
        models: the systems; none where this stage is left out.
        num_updates: its length.
        mesh: of devices.
    """
    if not models:
        return {}
    training = experiment.training
    states = loop.train(
        workdir / purpose,
        parallel.replicate(mesh, {name.key: system.state for name, system in models.items()}),
        make_advance(
            make_trainees(experiment, dataset, models, mesh, purpose),
            mesh,
            training.batch_size,
            training.systems_at_once,
        ),
        num_updates=num_updates,
        updates_per_dispatch=training.updates_per_dispatch,
        save_every=training.save_every,
        headline=functools.partial(headline, next(iter(models))),
        description=STAGES[purpose],
    )
    states = parallel.local(states)
    return {name: states[name.key].averages for name in models}


def headline(name: Name, metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar: loss and rate of a system, in nats.

    Args:
        name: of the system.
        metrics: of the last dispatch.
    """
    system = dotted(name.key)
    parts = [
        f"{metric.replace('_', ' ')} {metrics[f'{system}.{metric}']:.2f}"
        for metric in ("decoder_loss", "rate", "gamma")
        if f"{system}.{metric}" in metrics
    ]
    return f"{name.method.replace('_', ' ')}: " + ", ".join(parts)


if __name__ == "__main__":
    command_line.main(run)
