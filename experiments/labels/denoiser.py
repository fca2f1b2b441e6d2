"""One denoiser for images with their labels and without, and what the label tells of them.

One network learns both, where the label is withheld the second (arXiv 2207.12598). With exact
scores I(X;Y), which cannot exceed the entropy of the labels, has three forms: what S_NN gains by
the label, what Kelly growth gains by it, and 1/2 int sigma^2 E|s(x|y) - s(x)|^2 (arXiv 2509.23937).
On held-out images growth is off by the gap L_EM of s(x) less that of s(x|y), the others by the
networks' own errors, either way. All three end at t_min, and are then the information that the
image with the noise of that time has about its label.
"""

import functools
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
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.run import data, division, feeding, loop, parallel
from diffenc.run.advance import Trainee, make_advance
from diffenc.run.tables import Result
from experiments import command_line
from experiments.labels.settings import Evaluation, Images, Training

FORMS = ("entropy_difference", "growth_difference", "score_difference")
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
        draws: its measurement on held-out images, see `make_measure`.
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
    if images.train.ndim != 4 or images.train_labels is None:
        raise InputError(f"config field data.name is {settings.name!r}: give images with labels")
    if settings.validation:
        with command_line.naming(count="data.validation"):
            images = data.hold_out(images, settings.validation)
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
    measure = make_measure(
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


def make_system(seed: int, labelled: Labelled, settings: Training) -> System:
    """Make a denoiser with its update.

    Args:
        seed: of the run.
        labelled: the images.
        settings: of the training.
    """
    images = labelled.images
    network = networks.UNet(
        tuple(settings.channels), labelled.num_classes, dtype=jnp.dtype(settings.dtype)
    )
    model = Denoiser(network, VPLinear(), "v")
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


def make_integrand(process, free: Callable, bound: Callable) -> Callable:
    """Make the integrands of what a label tells, all of one draw: (x_t, eps, t) -> {name: [batch]}.

    They are S_NN and growth, without the label and given it, and the three forms of what the label
    adds: to the entropy, to the growth, and to the score.

    Args:
        process: the diffusion.
        free: the score without the label, score_fn(x_t, t).
        bound: the score given the label.
    """
    rest = process.equilibrium_score

    def integrand(x_t, eps, t):
        free_score = _evaluated(free, x_t, t)
        bound_score = _evaluated(bound, x_t, t)

        def gap(score, base):
            return profiles.gap_integrand(score, base, process)(x_t, eps, t)

        def growth(score, base):
            return profiles.growth_integrand(score, base, process)(x_t, eps, t)

        values = {
            "s_nn": gap(free_score, rest),
            "s_nn_given_label": gap(bound_score, rest),
            "growth": growth(free_score, rest),
            "growth_given_label": growth(bound_score, rest),
            "growth_difference": growth(bound_score, free_score),
            "score_difference": gap(bound_score, free_score),
        }
        return values | {"entropy_difference": values["s_nn_given_label"] - values["s_nn"]}

    return integrand


def make_measure(
    key, model: Denoiser, reference: Reference, scale: float, levels: Uniform, settings: Evaluation
) -> Callable:
    """Make measure(params, images, count) -> draws [levels, count] of `make_integrand`.

    They are of the first count held-out images, or of all where there are fewer.

    Args:
        key: of the noise, which is the same with and without the label.
        model: the denoiser.
        reference: its Gaussian reference.
        scale: the intensity that counts as one.
        levels: the density of noise levels.
        settings: num_levels and batch_size are read.
    """
    process = model.process

    @jax.jit
    def batch_of(params, key, pair):
        x = pair[0].astype("float32") / scale
        free = model.score_fn(params, reference, condition=None)
        bound = model.score_fn(params, reference, condition=pair[1])
        integrand = make_integrand(process, free, bound)
        draws = profiles.profile(key, integrand, process, x, levels, settings.num_levels)
        return jax.tree.map(jnp.transpose, draws)

    def measure(params, images, count):
        pair = (images.test[:count], images.test_labels[:count])
        call = functools.partial(batch_of, params)
        with jax.default_matmul_precision("highest"):
            draws = map_examples(call, jax.random.clone(key), pair, settings.batch_size)
        return jax.tree.map(np.transpose, draws)

    return measure


def _evaluated(score_fn, x_t, t):
    """Give score_fn with its values at (x_t, t), which several integrands share."""
    values = score_fn(x_t, t)
    return lambda x, t: values


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


def information(name: str, images, values: dict) -> list[Result]:
    """Report the forms of I(X;Y), and the entropy of the labels, which the true one cannot exceed.

    Args:
        name: of the results, "<name>.<form>".
        images: the data set.
        values: of every held-out image that was measured, {form: [n]}.
    """
    num_examples = len(values[FORMS[0]])
    results = [
        Result(f"{name}.{form}", *Estimate.of(np.asarray(one))) for form, one in values.items()
    ]
    limit = Estimate.of(surprise(images, num_examples))
    return [*results, Result(f"{name}.label_entropy", *limit)]


def surprise(images, count: int) -> np.ndarray:
    """Compute -log of the share that an image's label has among the training images, [count].

    This is done for the first count held-out images.

    Its mean is the entropy of the labels, and it is the odds against which knowing more wins.
    """
    shares = np.bincount(images.train_labels) / len(images.train_labels)
    return -np.log(shares)[images.test_labels[:count]]
