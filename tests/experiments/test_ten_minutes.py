"""The configs that are to compile, train, judge and draw within ten minutes of one accelerator: at
full size, the updates of each are traced, and nothing is computed."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc import grid_models, training
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.keys import key_of
from diffenc.latent import systems as latent_systems
from diffenc.run import costs, data
from experiments import command_line
from experiments.arguments import load_config
from experiments.diffusion_decoder.settings import Point
from experiments.diffusion_decoder.settings import read_experiment as read_decoder
from experiments.labels import denoiser, posterior
from experiments.labels.settings import read_classifier, read_training
from experiments.neural_entropy import cases, systems
from experiments.neural_entropy.settings import Training as EntropyTraining
from experiments.neural_entropy.settings import read_sweep
from experiments.warm_start import models as grid_systems
from experiments.warm_start.settings import read_experiment as read_warm_start

PEAK = 989e12  # bfloat16 products of an H200, operations a second, by its data sheet
SHARE = 0.15  # of it, assumed, not measured
SECONDS = 420  # of the ten minutes for training; the rest for compiling, judging and drawing
SHAPE = (32, 32, 3)
CONFIGS = Path("configs")


def zeros(count: int) -> np.ndarray:
    """Images of CIFAR-10's shape, which take no memory."""
    return np.broadcast_to(np.zeros((), np.uint8), (count, *SHAPE))


def flops_of(update, state, batch) -> int:
    """Operations of an update, whose state keeps its shapes."""
    update = jax.jit(update)  # traced once for both
    key = key_of(0, "costs")
    new_state, _ = jax.eval_shape(update, state, key, batch)
    assert jax.tree.map(np.shape, new_state) == jax.tree.map(np.shape, state)
    return costs.measure(update, state, key, batch).flops


def load(name: str):
    config = load_config(str(CONFIGS / name / "cifar10_ten_minutes.py"))
    config.data.dir = "somewhere"
    return config


def of_entropy(config) -> float:
    sweep = read_sweep(config)
    settings = command_line.read(EntropyTraining, config)
    total = 0.0
    flops = None
    for count in sweep.samples:
        examples = cases.Examples([zeros(count)], [zeros(2)], 255.0, None)
        case = cases.make_case(sweep, "cifar10", f"N{count}", count, "vp", examples)
        if flops is None:
            assert case.model.network.dtype == "bfloat16"
            optimizer = systems.optimizer_of(settings, case)
            update = systems.make_update(
                case.model, case.levels, optimizer, settings.draws, settings.average_decay
            )
            x = np.zeros((settings.batch_size, *SHAPE), np.float32)
            state = jax.eval_shape(
                lambda case=case, optimizer=optimizer, x=x: training.TrainState.create(
                    case.model.init(key_of(0, "model"), x[:1]), optimizer, case.references[0]
                )
            )
            flops = flops_of(update, state, x)
        total += systems.updates_of(settings, case) * flops
    return total


def labelled() -> denoiser.Labelled:
    labels = np.arange(100, dtype=np.int32) % 10
    images = data.Dataset("cifar10", zeros(100), zeros(100), labels, labels, 255.0)
    return denoiser.Labelled(images, 255.0, 10)


def of_denoiser(config) -> float:
    settings = read_training(config)
    model = denoiser.make_model(settings.network, labelled())
    assert model.network.dtype == "bfloat16"
    reference = Reference.equilibrium(model.process)
    levels = model.levels(reference, *log_snr_range(model.process, settings.t_min))
    optimizer = training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup, settings.clip_norm
    )
    update = denoiser.make_update(model, reference, levels, optimizer, 10, settings)
    x = np.zeros((settings.batch_size, *SHAPE), np.float32)
    state = jax.eval_shape(
        lambda: training.TrainState.create(model.init(key_of(0, "model"), x[:1]), optimizer)
    )
    labels = np.zeros(settings.batch_size, np.int32)
    return settings.num_updates * flops_of(update, state, (x, labels))


def of_labels(config) -> float:
    settings = read_classifier(config)
    process = denoiser.make_model(read_training(config).network, labelled()).process
    network = posterior.make_network(settings, 10)
    assert network.dtype == "bfloat16"
    log_q = posterior.make_log_q(network, process, Reference.equilibrium(process))
    optimizer = training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup
    )
    levels = Uniform(*log_snr_range(process, config.t_min))
    update = posterior.make_update(log_q, process, levels, optimizer, settings.average_decay)
    x = np.zeros((settings.batch_size, *SHAPE), np.float32)
    level = np.zeros(len(x), np.float32)
    state = jax.eval_shape(
        lambda: training.TrainState.create(network.init(key_of(0, "model"), x, level), optimizer)
    )
    labels = np.zeros(settings.batch_size, np.int32)
    of_classifier = settings.num_updates * flops_of(update, state, (x, labels))
    return of_denoiser(config) + of_classifier


def of_warm_start(config) -> float:
    experiment = read_warm_start(config)
    (name,) = experiment.starts
    dataset = data.Dataset("cifar10", zeros(2), zeros(2), None, None, 255.0)

    def make():
        (system,) = grid_systems.make_systems(experiment, dataset, 256).values()
        return system.state

    settings = experiment.model(name, 256)
    denoises = grid_models.make(settings, SHAPE)
    assert jnp.dtype(denoises.network.dtype) == "bfloat16"
    system = grid_systems.System(settings, denoises, None, jax.eval_shape(make))
    of_training = experiment.training
    optimizer = grid_systems.make_optimizer(of_training)
    update = grid_systems.make_update(system, optimizer, of_training.average_decay)
    x = np.zeros((of_training.batch_size, *SHAPE), np.uint8)
    return of_training.num_updates * flops_of(update, system.state, x)


def of_decoder(config) -> float:
    experiment = read_decoder(config)
    settings = experiment.methods["diffusion_encoder", Point()]
    assert settings.model.diffusion.precision == "bfloat16"
    decoder = latent_systems.make_decoder(settings.model, SHAPE)
    state = jax.eval_shape(lambda: latent_systems.make(settings, decoder, SHAPE, 50000, 0).state)
    encoder = latent_systems.make_encoder(settings, decoder)
    optimizer = latent_systems.make_optimizer(settings)
    update = latent_systems.make_update(settings, encoder, decoder, optimizer)
    x = np.zeros((experiment.training.batch_size, *SHAPE), np.float32)
    return experiment.training.num_updates * flops_of(update, state, x)


SYSTEMS = {
    "neural_entropy": of_entropy,
    "labels": of_labels,
    "guidance_images": of_denoiser,
    "warm_start": of_warm_start,
    "diffusion_decoder": of_decoder,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_an_accelerator_has_time_for_the_updates(name):
    """At the assumed share of its peak; the operations are those of matrix products alone."""
    flops = SYSTEMS[name](load(name))
    print(f"{name}: {flops / 1e15:.2f} PFLOP, {flops / (SHARE * PEAK):.0f} s")
    assert 0.1 * SECONDS < flops / (SHARE * PEAK) < SECONDS
