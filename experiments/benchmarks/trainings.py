"""The updates of every experiment that trains, each made from a config of that experiment.

A function for each takes the config and the number of updates in a call, and gives programs by
name. Of an experiment that trains several systems of one program, it takes the config, and gives
all `Systems`.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from diffenc.diffusion.guidance import guided_chain
from diffenc.information.settings import Settings as InformationSettings
from diffenc.information.training import fitting
from diffenc.information.training.halves import make_halves
from diffenc.keys import key_of, rng_of
from diffenc.latent import systems
from diffenc.run import data, parallel
from diffenc.run.advance import Trainee
from diffenc.training import TrainState
from experiments import command_line
from experiments.action_principle import learn, learning, sampling
from experiments.action_principle import settings as action
from experiments.benchmarks.programs import Program, of_trainee
from experiments.diffusion_decoder import models as decoder_models
from experiments.diffusion_decoder.settings import read_experiment as read_decoders
from experiments.diffusion_encoder import examples
from experiments.diffusion_encoder.__main__ import make_trainees as encoder_trainees
from experiments.diffusion_encoder.settings import read_experiment as read_encoder
from experiments.diffusion_encoder.settings import read_system
from experiments.labels import denoiser, posterior
from experiments.labels.settings import Images, read_classifier, read_training
from experiments.mutual_information.samples import known_tasks
from experiments.neural_entropy import systems as entropy_systems
from experiments.neural_entropy.cases import load_cases
from experiments.neural_entropy.settings import Training as EntropyTraining
from experiments.neural_entropy.settings import read_sweep
from experiments.posteriors import cases as posterior_cases
from experiments.posteriors.settings import read_experiment as read_posteriors
from experiments.warm_start import models as grid_models
from experiments.warm_start.settings import read_experiment as read_warm_start

METHODS = ("importance", "langevin", "vae", "iwae")  # at the sizes of MNIST


class Systems(NamedTuple):
    """What an experiment trains side by side, several systems of each program.

    Attributes:
        trainees: the systems by name.
        states: theirs at the start.
        batch_size: of an update.
        names: of the systems of each program, the seed 0 first.
    """

    trainees: dict[Any, Trainee]
    states: dict[Any, Any]
    batch_size: int
    names: dict[str, list[Hashable]]

    def programs(self, updates: int) -> dict[str, Program]:
        """Make the updates of the first system of each program."""
        return {
            program: of_trainee(self.trainees[name], self.states[name], self.batch_size, updates)
            for program, (name, *_) in self.names.items()
        }


def diffusion_encoder(config: ConfigDict, updates: int) -> dict[str, Program]:
    """Make the alternating update by both E-steps, and those of its rivals, on random bits."""
    experiment = read_encoder(config)
    training = experiment.training
    pixels = rng_of(training.seed, "pixels").integers(0, 256, (1024, 28, 28, 1), dtype=np.uint8)
    dataset = data.Dataset("noise", pixels, pixels[:100], None, None, 255.0)
    scaling = examples.make_scaling(experiment.model.decoder, dataset)
    decoder = systems.make_decoder(experiment.model, dataset.example_shape)
    models = {
        method: systems.make(
            read_system(config, method),
            decoder,
            dataset.example_shape,
            len(dataset.train),
            training.seed,
        )
        for method in METHODS
    }
    trainees = encoder_trainees(
        training.seed, models, scaling.prepare, dataset, parallel.data_mesh(1)
    )
    return {
        method: of_trainee(trainees[method], system.state, training.batch_size, updates)
        for method, system in models.items()
    }


def posteriors(config: ConfigDict) -> Systems:
    """Make every seed of every method on the config's toys."""
    experiment = read_posteriors(config)
    cases = posterior_cases.load_cases(experiment)
    models = posterior_cases.make_models(experiment, cases)
    trainees = posterior_cases.make_trainees(
        experiment.training.seed, cases, models, parallel.data_mesh(1)
    )
    return Systems(
        trainees,
        {name: system.state for name, system in models.items()},
        experiment.training.batch_size,
        by_program({name: f"{name[0]}.{name[1]}" for name in models}),
    )


def diffusion_decoder(config: ConfigDict) -> Systems:
    """Make every seed of every method at its first place."""
    experiment = read_decoders(config)
    dataset = decoder_models.load(experiment)
    models = decoder_models.make_systems(experiment, dataset)
    places = {name[:2] for name in decoder_models.first_places(models)}
    return Systems(
        decoder_models.make_trainees(experiment, dataset, models, parallel.data_mesh(1)),
        {name.key: system.state for name, system in models.items()},
        experiment.training.batch_size,
        by_program({name.key: name.method for name in models if name[:2] in places}),
    )


def neural_entropy(config: ConfigDict) -> Systems:
    """Make every seed of every case."""
    training = command_line.read(EntropyTraining, config)
    sweep = read_sweep(config)
    cases = {case.name: case for case in load_cases(sweep)}
    states = entropy_systems.make_states(sweep.seed, training, cases)
    return Systems(
        entropy_systems.make_trainees(sweep.seed, training, cases, parallel.data_mesh(1)),
        states,
        training.batch_size,
        by_program({name: name[0] for name in states}),
    )


def warm_start(config: ConfigDict) -> Systems:
    """Make every seed of every model."""
    experiment = read_warm_start(config)
    numbers = grid_models.load(experiment)
    made = grid_models.make_systems(experiment, numbers.dataset, numbers.size)
    return Systems(
        grid_models.make_trainees(experiment, numbers.dataset, made, parallel.data_mesh(1)),
        {name: system.state for name, system in made.items()},
        experiment.training.batch_size,
        by_program({name: name.model for name in made}),
    )


def by_program(programs: Mapping[Hashable, str]) -> dict[str, list[Hashable]]:
    """List the systems of each program, in their order.

    Args:
        programs: what is updated, by the name of the system.
    """
    systems: dict[str, list[Hashable]] = {}
    for name, program in programs.items():
        systems.setdefault(program, []).append(name)
    return systems


def labels(config: ConfigDict, updates: int) -> dict[str, Program]:
    """Make the updates of the denoiser and of the classifier."""
    seed = command_line.read_field(config, "seed", int)
    training = read_training(config)
    classifier = read_classifier(config)
    labelled = denoiser.load(command_line.read(Images, config, "data"))
    mesh = parallel.data_mesh(1)
    made: dict[str, tuple[denoiser.System | posterior.System, int]] = {
        denoiser.NAME: (
            denoiser.make_system(seed, labelled, training),
            training.batch_size,
        ),
        posterior.NAME: (
            posterior.make_system(seed, labelled, classifier, training.t_min),
            classifier.batch_size,
        ),
    }
    return {
        name: of_trainee(
            denoiser.make_trainee(seed, name, system.update, labelled, mesh),
            system.state,
            size,
            updates,
        )
        for name, (system, size) in made.items()
    }


def guidance_images(config: ConfigDict, updates: int) -> dict[str, Program]:
    """Make the update of the denoiser, and a guided chain of its network, before any training."""
    seed = command_line.read_field(config, "seed", int)
    training = read_training(config)
    labelled = denoiser.load(command_line.read(Images, config, "data"))
    system = denoiser.make_system(seed, labelled, training)
    trainee = denoiser.make_trainee(
        seed, denoiser.NAME, system.update, labelled, parallel.data_mesh(1)
    )
    num_steps = command_line.read_field(config, "num_steps", int)
    classes = np.arange(training.batch_size) % labelled.num_classes
    shape = (training.batch_size, *labelled.images.example_shape)

    @jax.jit
    def chain(params, key):
        key_start, key_chain = jax.random.split(jax.random.clone(key))
        free = system.model.score_fn(params, system.reference, condition=None)
        bound = system.model.score_fn(params, system.reference, condition=classes)
        start = jax.random.normal(key_start, shape)
        process = system.model.process
        return guided_chain(key_chain, free, bound, 1.0, process, start, num_steps, training.t_min)

    params = system.state.params
    return {
        "denoiser": of_trainee(trainee, system.state, training.batch_size, updates),
        "chain_step": Program(chain, params, (key_of(seed, "chain"),), num_steps, lambda _: params),
    }


def action_principle(config: ConfigDict, updates: int) -> dict[str, Program]:
    """Make the updates of the tasks `learn` and `sampling`; a config has the settings of one."""
    training = command_line.read(learning.Training, config, "training")
    training = dataclasses.replace(training, num_updates=updates, num_checks=1)
    learners = {}
    if command_line.read_field(config, "task", str) == "sampling":
        settings = command_line.read(sampling.Settings, config)
        for name in settings.targets:
            learners[name] = sampling.make_learner(settings, training, sampling.TARGETS[name])
    else:
        plane = command_line.read(action.Density, config, "plane")
        settings = command_line.read(learn.Settings, config, plane=plane)
        for name, case in learn.make_cases(settings).items():
            for form in learning.FORMS:
                learner = learning.Learner(case.problem, case.dim, form, training)
                learners[f"{name}.{form}"] = learner
    return {name: of_learner(settings.seed, learner) for name, learner in learners.items()}


def of_learner(seed: int, learner: learning.Learner) -> Program:
    """Make the program of the updates between two checks of a control."""
    key_init, key_updates = jax.random.split(key_of(seed, "learn"))
    function = jax.jit(functools.partial(learning.many_updates, learner))
    state = TrainState.create(learner.init(key_init), learner.optimizer())
    count = learner.training.num_updates // learner.training.num_checks
    return Program(function, state, (key_updates,), count, lambda state: state)


def mutual_information(config: ConfigDict, updates: int) -> dict[str, Program]:
    """Make the updates of both networks of a task: by likelihood, and by denoising."""
    seed = command_line.read_field(config, "seed", int)
    task = known_tasks()[command_line.read_field(config, "tasks", tuple[str, ...])[0]]
    num_samples = command_line.read_field(config, "num_samples", int)
    settings = InformationSettings.from_dict(config.estimator.to_dict())
    settings = dataclasses.replace(
        settings,
        denoiser=dataclasses.replace(settings.denoiser, updates=updates),
        mixture=dataclasses.replace(settings.mixture, updates=updates),
    )
    x, y = task.sample(key_of(seed, "samples"), num_samples)
    half = num_samples // 2
    x = np.asarray(x)[: 2 * half].reshape(2, half, -1)
    y = np.asarray(y)[: 2 * half].reshape(2, half, -1)
    halves = make_halves(x, y).pad(settings.judge.rows)
    dim = halves.r.shape[-1]
    state = fitting.initialize(key_of(seed, "networks"), settings, dim, halves.y.shape[-1])
    inputs = (key_of(seed, "updates"), half)
    made = {"mixture": fitting.advance_mixture, "denoiser": fitting.advance}
    programs = {}
    for name, advance in made.items():

        def function(state, key, count, advance=advance):
            return advance(state, jax.random.clone(key), halves, count, settings)

        programs[name] = Program(jax.jit(function), state, inputs, updates, lambda state: state)
    return programs


def of_systems(make: Callable[[ConfigDict], Systems]) -> Callable:
    """Make the function of the updates of systems, from that of the systems."""
    return lambda config, updates: make(config).programs(updates)


# Experiments that train several systems of one program.
SEVERAL: dict[str, Callable[[ConfigDict], Systems]] = {
    "posteriors": posteriors,
    "diffusion_decoder": diffusion_decoder,
    "mixture": neural_entropy,
    "images": neural_entropy,
    "warm_start": warm_start,
}
GROUPS: dict[str, Callable[[ConfigDict, int], dict[str, Program]]] = {
    "diffusion_encoder": diffusion_encoder,
    "posteriors": of_systems(posteriors),
    "diffusion_decoder": of_systems(diffusion_decoder),
    "mixture": of_systems(neural_entropy),
    "images": of_systems(neural_entropy),
    "labels": labels,
    "guidance_images": guidance_images,
    "warm_start": of_systems(warm_start),
    "action_learn": action_principle,
    "action_sampling": action_principle,
    "mutual_information": mutual_information,
}
