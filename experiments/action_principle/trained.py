"""One network of experiments.neural_entropy, trained within a run of experiments.action_principle.

The config has that experiment's fields, with one case and one seed.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from diffenc.errors import check, check_widths
from diffenc.run import parallel
from diffenc.training import TrainState
from experiments import command_line
from experiments.neural_entropy import systems
from experiments.neural_entropy.cases import Case, load_cases, load_images, make_case
from experiments.neural_entropy.settings import Images, Network, Sweep, Training, read_sweep


class Settings(NamedTuple):
    """What is trained, and how.

    Attributes:
        training: of the network.
        sweep: its only case.
    """

    training: Training
    sweep: Sweep


def read(config: ConfigDict) -> Settings:
    """Read the settings; an InputError where there is more than one system."""
    training = command_line.read(Training, config)
    if "data" in config:
        sweep = _read_images(config)
        lists: dict[str, tuple] = {"samples": sweep.samples, "datasets": sweep.datasets}
    else:
        sweep = read_sweep(config)
        lists = {"samples": sweep.samples, "dimensions": sweep.dimensions}
    lists["processes"] = sweep.processes
    check(sweep.num_seeds == 1, "config field num_seeds", sweep.num_seeds, "give 1")
    for name, values in lists.items():
        check(len(values) == 1, f"config field {name}", values, "give one of them")
    return Settings(training, sweep)


def _read_images(config: ConfigDict) -> Sweep:
    """Read the settings of images, which are vectors for the network."""
    network = command_line.read(Network, config, "model")
    with command_line.naming(features="model.features"):
        check_widths(network, "features")
    images = command_line.read(Images, config, "data")
    places = {"num_examples": "eval.num_examples"}
    return command_line.read(Sweep, config, places=places, network=network, images=images)


def load_case(settings: Settings) -> Case:
    """Make the only case, with its data, vectors, and its untrained model."""
    sweep = settings.sweep
    if sweep.images is None:
        (case,) = load_cases(sweep)
        return case
    name = sweep.datasets[0]
    images = load_images(sweep, name, sweep.samples[0])
    flat = images._replace(
        train=[x.reshape(len(x), -1) for x in images.train],
        test=[x.reshape(len(x), -1) for x in images.test],
    )
    size = len(flat.train[0])
    return make_case(sweep, name, f"N{size}", size, sweep.processes[0], flat)


def train(
    workdir,
    settings: Settings,
    case: Case,
    evaluate: Callable[[TrainState], dict[str, float]] | None = None,
) -> TrainState:
    """Train the network, or go on with it from its newest checkpoint.

    Args:
        workdir: of the run.
        settings: of the training.
        case: its data and model.
        evaluate: gives the scalars that are logged every `evaluate_every` updates.

    Returns:
        The state; its `averages` are the parameters to be used, its `carried` the reference.
    """
    training = settings.training
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(training.batch_size, mesh)

    def evaluate_all(states, step):
        with jax.default_matmul_precision("highest"):
            return evaluate(parallel.local(states[case.name, 0]))

    monitor = evaluate_all if evaluate else None
    states = systems.train(workdir, settings.sweep.seed, training, {case.name: case}, mesh, monitor)
    return states[case.name, 0]
