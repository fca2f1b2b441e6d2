"""One denoiser for images with their labels and without, and its training.

One network learns both, where the label is withheld the second (arXiv 2207.12598). What the label
tells of the images by its two scores is in `forms`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path

from diffenc import networks, training
from diffenc.diffusion import profiles
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import data, division, feeding, loop, parallel
from diffenc.run.advance import Trainee, make_advance
from experiments import command_line
from experiments.labels import forms
from experiments.labels.settings import Evaluation, Images, Network, Training

NAME = "denoiser"  # of the system


class Labelled(NamedTuple):
    """A data set of labelled images.

    Attributes:
        images: the data set, see `data.load`.
        scale: the intensity that counts as one.
        num_classes: labels are 0, ..., num_classes - 1.
    """

    images: data.Dataset
    scale: float
    num_classes: int


class System(NamedTuple):
    """A denoiser before its training.

    Attributes:
        model: the denoiser.
        reference: its Gaussian reference.
        levels: the density of the noise levels at which it is measured.
        state: the `TrainState` that training starts from.
        update: (state, key, (x, labels)) -> (state, metrics).
    """

    model: Denoiser
    reference: Reference
    levels: Uniform
    state: training.TrainState
    update: Callable


class Trained(NamedTuple):
    """A trained denoiser.

    Attributes:
        model: the denoiser.
        reference: its Gaussian reference.
        params: its averaged parameters.
        draws: its measurement on held-out images, see `forms.make_measure`.
        levels: the density of their noise levels.
    """

    model: Denoiser
    reference: Reference
    params: dict
    draws: profiles.Profile
    levels: Uniform


def load(settings: Images) -> Labelled:
    """Load a data set; raise an InputError unless it is of labelled images."""
    images = data.load(
        settings.name,
        data_dir=settings.dir or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if settings.validation:
        with command_line.naming(count="data.validation"):
            images = data.hold_out(images, settings.validation)
    if images.train.ndim != 4 or images.train_labels is None:
        raise InputError(f"config field data.name is {settings.name!r}: give images with labels")
    num_classes = int(images.train_labels.max()) + 1
    return Labelled(images, float(images.max_value or 1.0), num_classes)


def train(
    seed: int, workdir: Path, labelled: Labelled, settings: Training, evaluation: Evaluation
) -> Trained:
    """Train a denoiser, or continue its training in workdir, and measure held-out images.

    Args:
        seed: of the run.
        workdir: of the run.
        labelled: the images.
        settings: of the training.
        evaluation: of the measurement.
    """
    images = labelled.images
    mesh = parallel.data_mesh(settings.num_devices)
    parallel.check_batch(settings.batch_size, mesh)
    model, reference, levels, state, update = make_system(seed, labelled, settings)
    measure = forms.make_measure(
        key_of(seed, NAME, "evaluation"), model, reference, labelled.scale, levels, evaluation
    )

    def evaluate(states, step):
        averages = parallel.local(states)[NAME].averages
        return monitor(measure(averages, images, evaluation.monitor).total())

    states = loop.train(
        workdir,
        parallel.replicate(mesh, {NAME: state}),
        make_advance(
            {NAME: make_trainee(seed, NAME, update, labelled, mesh)}, mesh, settings.batch_size
        ),
        num_updates=settings.num_updates,
        updates_per_dispatch=settings.updates_per_dispatch,
        save_every=settings.save_every,
        evaluate=evaluate,
        evaluate_every=settings.evaluate_every,
        headline=headline,
        extras=settings.metrics_extras,
    )
    params = parallel.local(states)[NAME].averages
    with division.spread_over(mesh):
        draws = measure(params, images, evaluation.num_examples)
    return Trained(model, reference, params, draws, levels)


def make_model(settings: Network, labelled: Labelled) -> Denoiser:
    """Make the denoiser of labelled images.

    Args:
        settings: of its network.
        labelled: the images, whose shape and labels are read.
    """
    network = networks.UNet(
        tuple(settings.channels),
        labelled.num_classes,
        dtype=jnp.dtype(settings.dtype),
        blocks=settings.blocks,
        attention=settings.attention,
    )
    fields = ("config field model.channels", "config field model.attention")
    network.check_sides(labelled.images.example_shape[:2], *fields)
    return Denoiser(network, VPLinear(), "v")


def make_system(seed: int, labelled: Labelled, settings: Training) -> System:
    """Make a denoiser with its update.

    Args:
        seed: of the run.
        labelled: the images.
        settings: of the training.
    """
    images = labelled.images
    model = make_model(settings.network, labelled)
    reference = Reference.isotropic(np.asarray(images.train, np.float32) / labelled.scale)
    edges = log_snr_range(model.process, settings.t_min)
    optimizer = training.make_optimizer(
        settings.learning_rate, settings.num_updates, settings.warmup, settings.clip_norm
    )
    example = jnp.asarray(images.train[:1], jnp.float32)
    params = model.init(key_of(seed, NAME, "model"), example)
    update = make_update(
        model, reference, model.levels(reference, *edges), optimizer, labelled.num_classes, settings
    )
    state = training.TrainState.create(params, optimizer)
    return System(model, reference, Uniform(*edges), state, update)


def make_update(
    model: Denoiser, reference: Reference, levels, optimizer, num_classes: int, settings: Training
) -> Callable:
    """Make update(state, key, (x, labels)): one step, in which some images lose their label.

    Args:
        model: the denoiser.
        reference: its Gaussian reference.
        levels: the density of noise levels.
        optimizer: of optax.
        num_classes: this label stands for none.
        settings: null_probability and average_decay are read.
    """

    def update(state, key, batch):
        x, labels = batch
        key_null, key_loss = jax.random.split(key)
        is_withheld = jax.random.uniform(key_null, labels.shape) < settings.null_probability
        condition = jnp.where(is_withheld, num_classes, labels)

        def loss_fn(params):
            return model.loss(key_loss, params, reference, x, levels, condition=condition).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, settings.average_decay), {"loss": loss}

    return update


def make_trainee(seed: int, name: str, update: Callable, labelled: Labelled, mesh) -> Trainee:
    """Make what `make_advance` needs of a system that learns from labelled images.

    Args:
        seed: of the run.
        name: of the system, which its noise and its order of batches belong to.
        update: (state, key, (x, labels)) -> (state, metrics).
        labelled: the images.
        mesh: see `feeding.place`.
    """
    images = labelled.images
    return Trainee(
        training.scan_updates(
            update, lambda key, rows: (rows[0].astype("float32") / labelled.scale, rows[1])
        ),
        feeding.place(mesh, (images.train, images.train_labels)),
        key_of(seed, name, "training"),
        seed,
        order=(name,),
    )


def monitor(values: dict) -> dict[str, float]:
    """Average held-out values, for the curves over training: means and their errors."""
    scalars = {}
    for name, per_example in values.items():
        estimate = Estimate.of(np.asarray(per_example))
        scalars[name] = estimate.mean
        scalars[f"{name}_stderr"] = estimate.stderr
    return scalars


def headline(metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar."""
    if "growth_difference" in metrics:
        return f"growth by the label {metrics['growth_difference']:.2f} nats"
    return f"loss {metrics[f'{NAME}.loss']:.3f}"
