"""The systems of experiments.warm_start: one for each model and seed, and what trains them."""

from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc import grid_models, training
from diffenc.diffusion import adaptive_levels, likelihood
from diffenc.diffusion.adaptive_levels import AdaptiveLevels
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals
from diffenc.diffusion.noise_levels import Alpha2, Levels, Uniform, UniformTime
from diffenc.diffusion.processes import StraightLine, VPCosine
from diffenc.errors import InputError
from diffenc.grid_models import ModelSettings
from diffenc.keys import key_of
from diffenc.run import costs, data, parallel, text
from diffenc.run.advance import Trainee
from experiments.command_line import naming
from experiments.warm_start.settings import Experiment, Training

EVEN_TIMES = {"vp_time": VPCosine(), "straight_time": StraightLine()}


class Name(NamedTuple):
    """Which system of a run."""

    model: str
    seed: int


class Carried(flax.struct.PyTreeNode):
    """What the state of a system holds beside its parameters.

    Attributes:
        marginals: of the training data.
        levels: the density of noise levels that training has learned; it is measured by it, too.
    """

    marginals: Marginals
    levels: AdaptiveLevels


class System(NamedTuple):
    """A model to train and to measure.

    Attributes:
        settings: of the model.
        denoiser: the model.
        levels: the density of noise levels in training; None for the one that is learned.
        state: at its start.
    """

    settings: ModelSettings
    denoiser: GridDenoiser
    levels: Levels | None
    state: training.TrainState


def load(experiment: Experiment) -> tuple[data.Dataset, int]:
    """Load the data set, and the number of values that its numbers take.

    Raises InputError where the data are no whole numbers.
    """
    settings = experiment.data
    if settings.name == "text":
        dataset = text.load(settings.path or None, settings.length, settings.test_fraction).dataset
        return dataset, int(dataset.max_value) + 1
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
    if dataset.max_value is None or not np.issubdtype(dataset.train.dtype, np.integer):
        raise InputError(
            f"data {dataset.name} are real numbers: bits need values that can be counted; "
            "give whole numbers, such as bytes"
        )
    return dataset, int(dataset.max_value) + 1


def make_systems(experiment: Experiment, dataset: data.Dataset, size: int) -> dict[Name, System]:
    """Make every system; those of one seed and head start from the same network.

    Args:
        experiment: the config.
        dataset: the data.
        size: how many values its numbers take.
    """
    seed = experiment.training.seed
    example = jnp.asarray(dataset.train[:1])
    systems = {}
    for model, start in experiment.starts.items():
        settings = experiment.model(model, size)
        denoiser = grid_models.make(settings, dataset.example_shape)
        marginals = Marginals.of(dataset.train, settings.alphabet)
        levels = fixed_levels(start.schedule, settings)
        rule = start.schedule if start.schedule in adaptive_levels.RULES else "variance"
        learned = AdaptiveLevels.create(settings.low, settings.high, rule)
        for index in range(experiment.training.num_seeds):
            params = denoiser.init(key_of(seed, "model", start.head, index), example)
            carried = jax.tree.map(jnp.copy, Carried(marginals, learned))
            optimizer = make_optimizer(experiment.training)
            state = training.TrainState.create(params, optimizer, carried)
            systems[Name(model, index)] = System(settings, denoiser, levels, state)
    return systems


def fixed_levels(schedule: str, settings: ModelSettings) -> Levels | None:
    """Make the density of noise levels of a schedule; None for one that is learned.

    Args:
        schedule: a name of `settings.SCHEDULES`.
        settings: of the model, whose range of levels is read.
    """
    low = settings.low
    high = settings.high
    if schedule == "uniform":
        return Uniform(low, high)
    if schedule == "alpha2":
        return Alpha2(low, high)
    if schedule in EVEN_TIMES:
        process = EVEN_TIMES[schedule]
        times = [float(process.time(jnp.float32(log_snr))) for log_snr in (high, low)]
        return UniformTime(process, *times)
    return None


def make_optimizer(settings: Training):
    """Make the optimizer of every system."""
    return training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup, settings.clip_norm
    )


def make_update(system: System, optimizer, average_decay: float):
    """Make update(state, key, x): one step down the diffusion term, and what it tells of levels.

    Prior and reconstruction need no step: they have no parameters, or those that the diffusion
    term at its last level trains.

    Args:
        system: the model.
        optimizer: of optax.
        average_decay: of the moving average of the parameters.
    """
    denoiser = system.denoiser

    def update(state, key, x):
        key_draw, key_dropout = jax.random.split(key)
        codes = denoiser.alphabet.encode(x)
        levels = state.carried.levels if system.levels is None else system.levels

        def loss_fn(params):
            def denoise(x_t, log_snr):
                rngs = {"dropout": key_dropout}
                return denoiser.denoise(params, state.carried.marginals, x_t, log_snr, rngs)

            errors, log_snr, density = likelihood.draw_errors(key_draw, denoise, codes, levels)
            return jnp.mean(errors / density), (errors, log_snr, density)

        (loss, draws), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        errors, log_snr, density = draws
        carried = state.carried.replace(levels=state.carried.levels.learn(log_snr, errors))
        state = state.replace(carried=carried).apply_gradients(grads, optimizer, average_decay)
        dim = x[0].size
        return state, {
            "bits_per_dim": likelihood.bits_per_dim(loss, dim),
            "scatter": likelihood.bits_per_dim(jnp.std(errors / density), dim),
        }

    return update


def make_trainees(
    experiment: Experiment, dataset: data.Dataset, systems: dict[Name, System], mesh
) -> dict[Name, Trainee]:
    """Make what trains every system; those of one seed see the same batches.

    Args:
        experiment: the config.
        dataset: the data.
        systems: to train.
        mesh: over which the training examples are replicated.
    """
    settings = experiment.training
    examples = parallel.replicate(mesh, jnp.asarray(dataset.train))
    optimizer = make_optimizer(settings)
    programs = {}
    trainees = {}
    for name, system in systems.items():
        if name.model not in programs:
            update = make_update(system, optimizer, settings.average_decay)
            programs[name.model] = training.scan_updates(update, lambda key, rows: rows)
        trainees[name] = Trainee(
            programs[name.model],
            examples,
            key_of(settings.seed, "training", name.seed),
            settings.seed,
            order=(name.seed,),
        )
    return trainees


def print_costs(systems: dict[Name, System], dataset: data.Dataset, settings: Training) -> None:
    """Print the size of each model and the work of one of its updates.

    Args:
        systems: to train.
        dataset: the data.
        settings: of the updates.
    """
    x = jnp.asarray(dataset.train[: settings.batch_size])
    for name, system in systems.items():
        if name.seed == 0:
            update = make_update(system, make_optimizer(settings), settings.average_decay)
            measured = costs.measure(update, system.state, key_of(0, "costs"), x)
            print(f"{name.model}: {costs.describe(measured)}")


def params_of(states: dict[Name, Any]) -> dict[Name, Any]:
    """Give the averaged parameters of each system, and what its state carries."""
    return {name: (state.averages, state.carried) for name, state in states.items()}
