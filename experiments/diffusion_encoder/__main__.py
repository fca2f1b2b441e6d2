"""Train a diffusion encoder by alternating EM, a VAE beside it, and measure both on held-out data.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/digits.py \
        --workdir=DIR

settings: what a config says. examples: the data. results: held-out numbers. exact: encoders beside
exact posteriors. figures: pictures of them. Read `run` from top to bottom: data, models, training,
held-out numbers, figures.
"""

import functools
import math

import jax
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import storage
from diffenc.keys import key_of
from diffenc.latent import systems
from diffenc.latent.blueprints import Blueprint
from diffenc.run import data, division, feeding, loop, parallel, records, tables
from diffenc.run.advance import Trainee, make_advance
from diffenc.run.scaling import Scaling
from experiments import command_line
from experiments.diffusion_encoder import exact, examples, figures, results
from experiments.diffusion_encoder.settings import NAMES, Experiment, read_experiment

UNCHANGED = Scaling()


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

    dataset, truth = load(experiment)
    scaling = make_scaling(experiment, dataset, truth)
    prepare = scaling.prepare
    held_out = examples.observe(seed, prepare, dataset.test, evaluation.num_examples)
    models = make_systems(experiment, dataset, scaling)
    blueprints = make_blueprints(experiment, dataset, scaling)
    storage.write(workdir, "diffusion_encoder", training.num_updates, blueprints, dataset.columns)
    states = loop.train(
        workdir,
        parallel.replicate(mesh, {name: system.state for name, system in models.items()}),
        make_advance(
            make_trainees(seed, models, prepare, dataset, mesh), mesh, training.batch_size
        ),
        num_updates=training.num_updates,
        updates_per_dispatch=training.updates_per_dispatch,
        save_every=training.save_every,
        evaluate=functools.partial(
            results.monitor, seed, models, held_out, truth, evaluation.batch_size
        ),
        evaluate_every=training.evaluate_every,
        headline=headline,
        extras=training.metrics_extras,
    )
    states = parallel.local(states)
    metrics = records.read_metrics(workdir)
    params = {name: state.averages for name, state in states.items()}
    is_on_grid = exact.applies(experiment.model.latent_dim, evaluation.grid_draws, truth)
    with jax.default_matmul_precision("highest"), division.spread_over(mesh):
        rows, arrays = results.evaluate(
            seed, models, params, held_out, truth, evaluation, figures.num_shown(dataset)
        )
        rows += results.update_times(metrics)
        if is_on_grid:
            on_grid, pictures = exact.measure(seed, models, params, held_out, evaluation.grid_draws)
            rows += on_grid
            figures.posteriors(workdir, dataset, held_out, pictures)
    e_step = experiment.systems["diffusion_encoder"].method
    if scaling.is_whole:  # pictures are of intensities
        held_out, arrays = in_intensities(scaling, held_out, arrays)
    figures.draw(workdir, e_step, dataset, held_out, arrays, metrics)
    tables.write_results(workdir, rows)
    tables.print_table(rows, title=f"{dataset.name}: held-out results")
    print(f"figures: {workdir / 'figures'}")


def load(experiment: Experiment) -> tuple[data.Dataset, examples.Truth | None]:
    """Load the data set, and its maximum-likelihood model where that is known."""
    model = experiment.model
    if experiment.data.name == "factor_analysis":
        return examples.draw_factor_analysis(experiment.training.seed, model.latent_dim)
    return examples.load(experiment.data, model.decoder), None


def make_scaling(
    experiment: Experiment, dataset: data.Dataset, truth: examples.Truth | None
) -> Scaling:
    """Make the map of the data to x; data whose maximum-likelihood model is known stay."""
    return UNCHANGED if truth else examples.make_scaling(experiment.model.decoder, dataset)


def make_systems(
    experiment: Experiment, dataset: data.Dataset, scaling: Scaling = UNCHANGED
) -> dict[str, systems.System]:
    """Make the diffusion encoder and the VAE; both decoders start from the same values."""
    shape = dataset.example_shape
    log_volume = scaling.log_volume(math.prod(shape))
    decoder = systems.make_decoder(experiment.model, shape, log_volume=log_volume)
    seed = experiment.training.seed
    return {
        name: systems.make(settings, decoder, dataset.example_shape, len(dataset.train), seed)
        for name, settings in experiment.systems.items()
    }


def make_blueprints(
    experiment: Experiment, dataset: data.Dataset, scaling: Scaling = UNCHANGED
) -> list[Blueprint]:
    """Say what the systems can be made from again, for `diffenc.load`."""
    shape = dataset.example_shape
    return [
        Blueprint(
            name,
            settings,
            shape,
            len(dataset.train),
            dataset.max_value,
            **scaling.fields(math.prod(shape)),
        )
        for name, settings in experiment.systems.items()
    ]


def in_intensities(scaling: Scaling, held_out: np.ndarray, arrays: dict) -> tuple:
    """Return x and what was decoded as intensities in [0, 1], for figures.

    Args:
        scaling: of whole numbers.
        held_out: x [n, ...].
        arrays: of `results.evaluate`.

    Returns:
        Both, the latents as they are.
    """

    def convert(x):
        return scaling.restore(x) / scaling.max_value

    shown = {
        name: {key: x if key == "z" else convert(x) for key, x in of_system.items()}
        for name, of_system in arrays.items()
    }
    return convert(held_out), shown


def make_trainees(
    seed: int, models: dict[str, systems.System], prepare, dataset: data.Dataset, mesh
) -> dict[str, Trainee]:
    """Make what `make_advance` needs of every system; all see the same batches and noise.

    Args:
        seed: of the run.
        models: the systems by name.
        prepare: that of a `Scaling`.
        dataset: the data.
        mesh: over which batches are split, see `feeding.place`.
    """
    arrays = feeding.place(mesh, (dataset.train, np.arange(len(dataset.train))))
    trainees = {}
    for name, system in models.items():
        trainees[name] = Trainee(
            systems.make_run_updates(system, prepare),
            systems.examples_of(system, *arrays),
            key_of(seed, "training"),
            seed,
        )
    return trainees


def headline(metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar: reconstruction losses and rate, in nats."""
    parts = [
        f"{name.replace('_', ' ')} {metrics[f'{name}.decoder_loss']:.2f}"
        for name in NAMES
        if f"{name}.decoder_loss" in metrics
    ]
    return "nats: " + ", ".join(parts) + f", rate {metrics['diffusion_encoder.rate']:.1f}"


if __name__ == "__main__":
    command_line.main(run)
