"""The systems of experiments.diffusion_decoder: made, described, and what trains them."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from diffenc.errors import check_choice
from diffenc.keys import key_of, rng_of
from diffenc.latent import first_phase, systems
from diffenc.latent.blueprints import Blueprint
from diffenc.latent.systems import System
from diffenc.run import costs, data, feeding
from diffenc.run.advance import Trainee, costs_of
from diffenc.run.centring import Centring
from experiments.command_line import naming
from experiments.diffusion_decoder.settings import BOTTLENECKED, Experiment, Point


class Name(NamedTuple):
    """Which system of a run."""

    method: str
    point: Point
    seed: int

    @property
    def key(self) -> tuple[str | int, ...]:
        """The name as checkpoints, metrics and results have it."""
        return (self.method, *self.point.parts, self.seed)


def load(experiment: Experiment) -> data.Dataset:
    """Load the data set; measuring representations needs its labels."""
    settings = experiment.data
    names = ("digits", "file")
    if settings.name == "factor_analysis":
        check_choice("config field data.name", settings.name, names)
    dataset = data.load(
        settings.name,
        data_dir=settings.dir or None,
        path=settings.path or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if settings.validation:
        with naming(count="data.validation"):
            dataset = data.hold_out(dataset, settings.validation)
    return mix(dataset) if settings.name == "file" else dataset


def mix(dataset: data.Dataset) -> data.Dataset:
    """Put the examples of a file in random order, by themselves those of each part.

    A file may be sorted by label, and what is measured takes the first examples for all.
    """
    parts: dict[str, Any] = {}
    for part in ("train", "test"):
        order = rng_of(0, "order of a file", part).permutation(len(getattr(dataset, part)))
        for name in (part, f"{part}_labels"):
            rows = getattr(dataset, name)
            parts[name] = None if rows is None else rows[order]
    return dataclasses.replace(dataset, **parts)


def make_systems(experiment: Experiment, dataset: data.Dataset) -> dict[Name, System]:
    """Make every system; those of one seed start from the same decoder where it is of one kind."""
    models = {}
    for (method, point), settings in experiment.methods.items():
        with naming(features="decoder.features", attention="decoder.attention"):
            decoder = systems.make_decoder(settings.model, dataset.example_shape, settings.method)
        for index in range(experiment.num_seeds):
            models[Name(method, point, index)] = systems.make(
                settings,
                decoder,
                dataset.example_shape,
                len(dataset.train),
                experiment.training.seed,
                index,
            )
    return models


def make_first(
    experiment: Experiment, dataset: data.Dataset, models: dict[Name, System]
) -> dict[Name, System]:
    """Make the systems of the first phase; none where there is none.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems, of which the names are read.
    """
    early = {}
    for name in models:
        if name.method not in BOTTLENECKED or not experiment.first_updates:
            continue
        settings = experiment.methods[name.method, name.point]
        early[name] = first_phase.make(
            experiment.first(settings),
            systems.make_decoder(settings.model, dataset.example_shape),
            dataset.example_shape,
            len(dataset.train),
            experiment.training.seed,
            name.seed,
        )
    return early


def make_blueprints(
    experiment: Experiment, dataset: data.Dataset, models: dict[Name, System]
) -> list[Blueprint]:
    """Say what the systems can be made from again, for `diffenc.load`.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems, of which the names are read.
    """
    levels = Centring.of(dataset).levels
    return [
        Blueprint(
            name.key,
            experiment.methods[name.method, name.point],
            dataset.example_shape,
            len(dataset.train),
            dataset.max_value,
            levels=levels,
            is_rival=name.method != "diffusion_encoder",
        )
        for name in models
    ]


def make_trainees(
    experiment: Experiment,
    dataset: data.Dataset,
    models: dict[Name, System],
    mesh,
    purpose: str = "training",
) -> dict[tuple, Trainee]:
    """Make what trains every system; those of one seed see the same batches.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems.
        mesh: over which batches are split, see `feeding.place`.
        purpose: name of the noise.
    """
    seed = experiment.training.seed
    prepare = Centring.of(dataset).prepare
    examples, indices = feeding.place(mesh, (dataset.train, np.arange(len(dataset.train))))
    programs = {}
    trainees = {}
    for name, system in models.items():
        # where gamma is carried in the state, one program serves all places of one split
        kind = (name.method, name.point if system.decoder.is_exact else name.point.split)
        if kind not in programs:
            programs[kind] = systems.make_run_updates(system, prepare)
        trainees[name.key] = Trainee(
            programs[kind],
            systems.examples_of(system, examples, indices),
            key_of(seed, purpose, name.seed),
            seed,
            order=(name.seed,),
        )
    return trainees


def print_costs(
    experiment: Experiment,
    models: dict[Name, System],
    trainees: dict[tuple, Trainee],
    states: dict[tuple, Any],
    mesh,
) -> None:
    """Print the size of each method's system, and the work and the memory of its updates.

    Its programs are compiled for that, at the first place and seed; training then has them.

    Args:
        experiment: the config.
        models: the systems, of which the names are read.
        trainees: what trains them.
        states: theirs, replicated over the mesh.
        mesh: of devices.
    """
    training = experiment.training
    for name in first_places(models):
        measured = costs_of(
            trainees,
            states,
            name.key,
            mesh,
            training.batch_size,
            training.updates_per_dispatch,
            training.systems_at_once,
        )
        print(f"{name.method.replace('_', ' ')}: {costs.describe(measured)}", flush=True)


def first_places(models: dict[Name, System]) -> list[Name]:
    """List the first place and seed of each method."""
    first: dict[str, Name] = {}
    for name in models:
        first.setdefault(name.method, name)
    return list(first.values())
