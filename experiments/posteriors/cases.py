"""The cases of experiments.posteriors: data with a decoder, and the systems of each."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from diffenc.keys import key_of
from diffenc.latent import posterior_grid, system_settings, systems, toys
from diffenc.latent.blueprints import Blueprint
from diffenc.latent.systems import System
from diffenc.run import feeding
from diffenc.run.advance import Trainee
from diffenc.run.scaling import Scaling
from experiments.diffusion_encoder import examples
from experiments.posteriors.settings import Experiment

NUM_TRAIN_MEASURED = 1000  # training examples that are measured too
Name = tuple[str, str, int]  # of a system: its case, its method and its seed


class Case(NamedTuple):
    """Data and a decoder.

    Attributes:
        name: in metrics, results and figures.
        train: the training examples [N, ...].
        prepare: prepare(key, rows) -> x [batch, ...].
        held_out: x [n, ...].
        decoder: a toy, or the decoder of the images.
        grid: where the posterior is known on one; None elsewhere.
        train_measured: x [n, ...] of training examples, where the decoder learns from them; None
            elsewhere.
        max_value: the value of the data that counts as one; None for real-valued data.
        scaling: of the data to x; None for a toy.
    """

    name: str
    train: np.ndarray
    prepare: Callable
    held_out: np.ndarray
    decoder: Any
    grid: posterior_grid.Grid | None = None
    train_measured: np.ndarray | None = None
    max_value: float | None = None
    scaling: Scaling | None = None


def load_cases(experiment: Experiment) -> dict[str, Case]:
    """Make the toys, or one case of images."""
    if experiment.toys:
        cases = [load_toy(experiment, name) for name in experiment.toys]
    else:
        cases = [load_images(experiment)]
    return {case.name: case for case in cases}


def load_images(experiment: Experiment) -> Case:
    """Load a data set; all methods have the decoder of `experiment.base`."""
    seed = experiment.training.seed
    count = experiment.evaluation.num_examples
    dataset = examples.load(experiment.data, experiment.base.decoder)
    scaling = examples.make_scaling(experiment.base.decoder, dataset)
    prepare = scaling.prepare
    shape = dataset.example_shape
    log_volume = scaling.log_volume(math.prod(shape))
    first = dataset.train[:NUM_TRAIN_MEASURED]
    return Case(
        dataset.name.replace(".", "_"),
        dataset.train,
        prepare,
        examples.observe(seed, prepare, dataset.test, count),
        systems.make_decoder(experiment.base, shape, log_volume=log_volume),
        train_measured=examples.observe(seed, prepare, first, count, name="train"),
        max_value=dataset.max_value,
        scaling=scaling,
    )


def load_toy(experiment: Experiment, name: str) -> Case:
    """Draw 20,000 samples of a toy to train on, and as many held-out ones as are asked for."""
    toy = toys.make(name)
    draw = functools.partial(draw_toy, experiment.training.seed, toy)
    num_points = {1: 360, 2: 90}[toy.latent_dim]
    return Case(
        name,
        draw("train", 20_000),
        _as_they_are,
        draw("test", experiment.evaluation.num_examples or 1000),
        toy,
        posterior_grid.Grid(toy.latent_dim, half_width=4.5, num_points=num_points),
    )


def draw_toy(seed: int, toy: toys.Toy, part: str, count: int) -> np.ndarray:
    """Draw x [count, D] of a toy.

    Args:
        seed: of the run.
        toy: the toy.
        part: "train" or "test".
        count: how many.
    """
    return np.asarray(_draw(key_of(seed, "toy", toy.name, part), toy, count))


@functools.partial(jax.jit, static_argnames=("toy", "count"))
def _draw(key, toy, count):
    key_z, key_x = jax.random.split(key)
    return toy.sample(key_x, {}, jax.random.normal(key_z, (count, toy.latent_dim)))


def _as_they_are(key, rows):
    return rows


def methods_of(
    methods: dict[str, system_settings.Settings], case: Case
) -> dict[str, system_settings.Settings]:
    """Give the methods that a case allows, with the latent of a toy where it is one.

    A coupling flow needs two dimensions.
    """
    if case.grid is None:
        return methods
    latent_dim = case.grid.latent_dim
    return {
        name: _with_latent(settings, latent_dim)
        for name, settings in methods.items()
        if latent_dim > 1 or settings.method != "flow_vae"
    }


def _with_latent(settings: system_settings.Settings, latent_dim: int) -> system_settings.Settings:
    model = dataclasses.replace(settings.model, latent_dim=latent_dim)
    return dataclasses.replace(settings, model=model)


def make_models(experiment: Experiment, cases: dict[str, Case]) -> dict[Name, System]:
    """Make the systems: every seed of every method on every case."""
    models = {}
    for case in cases.values():
        example_shape = case.held_out.shape[1:]
        for method, settings in methods_of(experiment.methods, case).items():
            for seed in range(experiment.num_seeds):
                start = (experiment.training.seed, case.name, seed)
                models[case.name, method, seed] = systems.make(
                    settings, case.decoder, example_shape, len(case.train), *start
                )
    return models


def make_blueprints(experiment: Experiment, cases: dict[str, Case]) -> list[Blueprint]:
    """Say what the systems can be made from again, for `diffenc.load`."""
    return [
        Blueprint(
            (case.name, method, seed),
            settings,
            case.held_out.shape[1:],
            len(case.train),
            case.max_value,
            None if case.grid is None else case.name,
            **(case.scaling.fields(math.prod(case.held_out.shape[1:])) if case.scaling else {}),
        )
        for case in cases.values()
        for method, settings in methods_of(experiment.methods, case).items()
        for seed in range(experiment.num_seeds)
    ]


def make_trainees(
    seed: int, cases: dict[str, Case], models: dict[Name, System], mesh
) -> dict[Name, Trainee]:
    """Make what `make_advance` needs of every system.

    The seeds of a method share one program. All methods see the same batches and noise.

    Args:
        seed: of the run.
        cases: by name.
        models: the systems.
        mesh: over which batches are split, see `feeding.place`.
    """
    arrays = {}
    for case in cases.values():
        arrays[case.name] = feeding.place(mesh, (case.train, np.arange(len(case.train))))
    programs = {}
    trainees = {}
    for (case, method, index), system in models.items():
        if (case, method) not in programs:
            programs[case, method] = systems.make_run_updates(system, cases[case].prepare)
        trainees[case, method, index] = Trainee(
            programs[case, method],
            systems.examples_of(system, *arrays[case]),
            key_of(seed, "training", case, index),
            seed,
            order=(case, index),
        )
    return trainees
