"""The systems of experiments.warm_start: one for each model and seed, and what trains them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import grid_models, training
from diffenc.diffusion import likelihood
from diffenc.diffusion.grid_denoiser import GridDenoiser, Marginals
from diffenc.diffusion.noise_levels import Alpha2, Levels, Uniform, UniformTime
from diffenc.diffusion.processes import StraightLine, VPCosine
from diffenc.errors import InputError
from diffenc.grid_models import Carried, ModelSettings
from diffenc.grid_runs import GridBlueprint, Name
from diffenc.keys import key_of
from diffenc.run import costs, data, feeding, text
from diffenc.run.advance import Trainee, costs_of
from experiments.command_line import naming
from experiments.warm_start.settings import Experiment, Training

EVEN_TIMES = {"vp_time": VPCosine(), "straight_time": StraightLine()}


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


class Numbers(NamedTuple):
    """Data that are whole numbers.

    Attributes:
        dataset: the data.
        size: how many values a number takes.
        characters: those that the numbers of a text stand for, in order; None for other data.
        is_generated: whether the text is that of `sentences`, whose law is known.
    """

    dataset: data.Dataset
    size: int
    characters: str | None = None
    is_generated: bool = False


def load(experiment: Experiment) -> Numbers:
    """Load the data.

    Raises InputError where they are not bytes, bits or a text, and where too few are held out.
    """
    settings = experiment.data
    characters = None
    is_generated = False
    if settings.name == "text":
        with naming(length="data.length", test_fraction="data.test_fraction"):
            source = text.load(settings.path or None, settings.length, settings.test_fraction)
        dataset = source.dataset
        characters = source.characters
        is_generated = source.is_generated
    else:
        dataset = data.load(
            settings.name,
            data_dir=settings.dir or None,
            path=settings.path or None,
            test_fraction=settings.test_fraction,
            cache_dir=settings.cache_dir or None,
        )
        check_whole_numbers(dataset)
    if settings.validation:
        with naming(count="data.validation"):
            dataset = data.hold_out(dataset, settings.validation)
    if len(dataset.test) < 2:
        raise InputError(f"data {dataset.name} have 1 example to test: give two or more")
    assert dataset.max_value is not None, "numbers that are whole have a largest one"
    return Numbers(dataset, int(dataset.max_value) + 1, characters, is_generated)


def check_whole_numbers(dataset: data.Dataset) -> None:
    """Raise an InputError unless the data are whole numbers by their type: bytes or bits.

    A file of other types does not say whether its numbers are whole by nature, or how many values
    they can take: the person does, by giving bytes.
    """
    x = dataset.train
    if np.issubdtype(x.dtype, np.integer):
        return
    low = x.min()
    high = x.max()
    if np.array_equal(x, np.round(x)) and low >= 0 and high <= 255:
        raise InputError(
            f"data {dataset.name} are whole numbers from {low:g} to {high:g}, but not bytes: "
            "save them as an .npy file of dtype uint8"
        )
    raise InputError(
        f"data {dataset.name} are real numbers from {low:g} to {high:g}: give values that can be "
        "counted, whole numbers from 0 to 255 of dtype uint8"
    )


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
    optimizer = make_optimizer(experiment.training)
    alphabet = experiment.model(next(iter(experiment.starts)), size).alphabet  # that of all models
    marginals = Marginals.of(dataset.train, alphabet)
    for model, start in experiment.starts.items():
        settings = experiment.model(model, size)
        with naming(network="model.network"):
            denoiser = grid_models.make(settings, dataset.example_shape)
        levels = fixed_levels(start.schedule, settings)
        for index in range(experiment.training.num_seeds):
            params = denoiser.init(key_of(seed, "model", start.head, index), example)
            carried = Carried.create(settings, marginals, start.rule)
            state = training.TrainState.create(params, optimizer, carried)
            systems[Name(model, index)] = System(settings, denoiser, levels, state)
    return systems


def make_blueprints(
    experiment: Experiment, numbers: Numbers, systems: dict[Name, System]
) -> list[GridBlueprint]:
    """Say what the systems can be made from again, for `diffenc.load`.

    Args:
        experiment: the config.
        numbers: the data.
        systems: by name.
    """
    return [
        GridBlueprint(
            name,
            system.settings,
            numbers.dataset.example_shape,
            experiment.starts[name.model].rule,
            experiment.training.clip_norm,
            numbers.characters,
        )
        for name, system in systems.items()
    ]


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
        learned = state.carried.levels.learn(log_snr, density, errors)
        carried = state.carried.replace(levels=learned)
        state = state.replace(carried=carried).apply_gradients(grads, optimizer, average_decay)
        dim = x[0].size
        return state, {
            "diffusion_loss": likelihood.bits_per_dim(loss, dim),
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
        mesh: over which batches are split, see `feeding.place`.
    """
    settings = experiment.training
    examples = feeding.place(mesh, dataset.train)
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


def print_costs(
    trainees: dict[Name, Trainee], states: dict[Name, Any], mesh, settings: Training
) -> None:
    """Print the size of each model, and the work and the memory of its updates.

    Its program is compiled for that; training then has it.

    Args:
        trainees: what is trained.
        states: theirs, replicated over the mesh.
        mesh: of devices.
        settings: of the updates.
    """
    for name in trainees:
        if name.seed == 0:
            measured = costs_of(
                trainees,
                states,
                name,
                mesh,
                settings.batch_size,
                settings.updates_per_dispatch,
                settings.systems_at_once,
            )
            print(f"{name.model}: {costs.describe(measured)}", flush=True)


def params_of(states: dict[Name, Any]) -> dict[Name, Any]:
    """Give the averaged parameters of each system, and what its state carries."""
    return {name: (state.averages, state.carried) for name, state in states.items()}
