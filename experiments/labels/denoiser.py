"""One denoiser for images with their labels and without: s(x|y), s(x), and what the label tells, on
held-out images.

One network learns both, where the label is withheld the second (arXiv 2207.12598). With exact
scores I(X;Y), which cannot exceed the entropy of the labels, has three forms: what S_NN gains by
the label, what Kelly growth gains by it, and 1/2 int sigma^2 E|s(x|y) - s(x)|^2 (arXiv 2509.23937).
On held-out images growth is off by the gap L_EM of s(x) less that of s(x|y), the others by the
networks' own errors, either way. All three end at t_min, and are then the information that the
image with the noise of that time has about its label.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import networks, training
from diffenc.diffusion import entropy
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.processes import VPLinear
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.run import data, loop, parallel
from diffenc.run.tables import Result
from experiments import command_line

FORMS = ("entropy_difference", "growth_difference", "score_difference")


class Trained(NamedTuple):
    """The denoiser, its Gaussian reference and averaged parameters; draws of the held-out
    measurement at `levels`."""

    model: Denoiser
    reference: Reference
    params: dict
    draws: entropy.Profile
    levels: Uniform


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no training or measurement could use."""
    positive = (
        "batch_size",
        "num_updates",
        "updates_per_dispatch",
        "save_every",
        "learning_rate",
        "clip_norm",
        "t_min",
    )
    command_line.check_positive(config, *positive, "eval.num_levels", "eval.batch_size")
    command_line.check_not_negative(
        config, "seed", "warmup", "evaluate_every", "num_devices", "data.validation"
    )
    if not config.t_min < 1:
        raise InputError(f"config field t_min is {config.t_min}: give a time below 1")
    if not 0 < config.null_probability < 1:
        raise InputError(
            f"config field null_probability is {config.null_probability}: give a number in (0, 1)"
        )
    if not 0 <= config.average_decay < 1:
        raise InputError(
            f"config field average_decay is {config.average_decay}: give a number in [0, 1)"
        )
    if config.eval.num_examples < 100:
        raise InputError(
            f"config field eval.num_examples is {config.eval.num_examples}: give 100 or more"
        )
    if config.eval.monitor < 2:
        raise InputError(f"config field eval.monitor is {config.eval.monitor}: give 2 or more")
    if not config.model.channels or any(width < 8 or width % 8 for width in config.model.channels):
        raise InputError(
            f"config field model.channels is {config.model.channels}: give multiples of 8, one or more"
        )


def load(config: ConfigDict):
    """The data set, its intensity that counts as one, and the number of its labels 0, 1, ..."""
    settings = config.data
    if settings.name == "file":
        raise InputError(
            "config field data.name is 'file': give 'digits' or a labelled image data set of TFDS"
        )
    images = data.load(
        settings.name,
        data_dir=settings.dir or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if images.train.ndim != 4 or images.train_labels is None:
        raise InputError(f"config field data.name is {settings.name!r}: give images with labels")
    if settings.validation:
        images = data.hold_out(images, settings.validation)
    halvings, sides = len(config.model.channels) - 1, images.train.shape[1:3]
    if any(side % 2**halvings for side in sides):
        raise InputError(
            f"config field model.channels has {halvings + 1} levels, but images of {sides} cannot be halved "
            f"{halvings} times: give fewer"
        )
    return images, float(images.max_value or 1.0), int(images.train_labels.max()) + 1


def train(config: ConfigDict, workdir: Path, images, scale: float, classes: int) -> Trained:
    """Train, or continue the training in workdir, and measure the first eval.num_examples held-out
    images."""
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)
    model, levels, reference = make_model(config, images, scale, classes)
    optimizer = training.make_optimizer(
        config.learning_rate, config.num_updates, config.warmup, config.clip_norm
    )
    params = model.init(
        key_of(config.seed, "denoiser", "model"), jnp.asarray(images.train[:1], jnp.float32)
    )
    measure = make_measure(config, model, reference, scale, levels)

    def evaluate(state, step):
        return monitor(measure(parallel.local(state).averages, images, config.eval.monitor).total())

    state = loop.train(
        workdir,
        parallel.replicate(mesh, training.TrainState.create(params, optimizer)),
        make_advance(config, mesh, images, scale, classes, model, reference, optimizer),
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=evaluate,
        evaluate_every=config.evaluate_every,
        headline=headline,
        extras=tuple(config.metrics_extras),
    )
    params = parallel.local(state).averages
    return Trained(
        model, reference, params, measure(params, images, config.eval.num_examples), levels
    )


def make_model(config: ConfigDict, images, scale: float, classes: int):
    """The conditional denoiser, the noise levels of a measurement, and the Gaussian reference."""
    as_matmul = jax.default_backend() == "cpu"
    network = networks.UNet(tuple(config.model.channels), classes, as_matmul=as_matmul)
    process = VPLinear()
    model = Denoiser(network, process, "v")
    reference = Reference.isotropic(np.asarray(images.train, np.float32) / scale)
    return model, Uniform(*log_snr_range(process, config.t_min)), reference


def make_advance(
    config: ConfigDict, mesh, images, scale: float, classes: int, model, reference, optimizer
):
    """advance(state, step, n): n updates on labelled images, of which a share null_probability
    loses its label."""
    levels = model.levels(reference, *log_snr_range(model.process, config.t_min))

    def update(state, key, batch):
        x, labels = batch
        key_null, key_loss = jax.random.split(key)
        withheld = jax.random.uniform(key_null, labels.shape) < config.null_probability

        def loss_fn(params):
            condition = jnp.where(withheld, classes, labels)
            return model.loss(key_loss, params, reference, x, levels, condition=condition).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, config.average_decay), {"loss": loss}

    return advance_by(update, mesh, images, scale, config.batch_size, config.seed, "denoiser")


def advance_by(update, mesh, images, scale: float, batch_size: int, seed: int, name: str):
    """advance(state, step, n): n updates (state, key, (x, labels)) -> (state, metrics) on labelled
    images, with the order and the noise that belong to the name of what is trained."""
    run_updates = training.scan_updates(
        update, lambda key, rows: (rows[0].astype("float32") / scale, rows[1])
    )
    arrays = parallel.replicate(mesh, (jnp.asarray(images.train), jnp.asarray(images.train_labels)))
    local = parallel.local_rows(batch_size)

    def advance(state, step, n):
        rows = data.batch_indices(seed, step, n, batch_size, len(images.train), (name,))
        rows = parallel.shard_batch(mesh, rows[:, local], axis=1)
        key = parallel.replicate(mesh, key_of(seed, name, "training"))
        return run_updates(state, key, arrays, rows)

    return advance


def make_measure(config: ConfigDict, model, reference, scale: float, levels):
    """measure(params, images, count): draws over lambda, [levels, examples], of S_NN and growth
    without the label and given it, and of what the label adds to entropy, growth and score, the
    same noise for all; of the first count held-out images, or fewer where there are fewer."""
    process = model.process

    @jax.jit
    def batch_of(params, key, pair):
        x, labels = pair[0].astype("float32") / scale, pair[1]
        free, given = (
            model.score_fn(params, reference, condition=condition) for condition in (None, labels)
        )

        def integrand(x_t, eps, t):
            without, known = (_evaluated(score, x_t, t) for score in (free, given))
            rest = process.equilibrium_score
            values = {
                "s_nn": entropy.gap_integrand(without, rest, process)(x_t, eps, t),
                "s_nn_given_label": entropy.gap_integrand(known, rest, process)(x_t, eps, t),
                "growth": entropy.growth_integrand(without, rest, process)(x_t, eps, t),
                "growth_given_label": entropy.growth_integrand(known, rest, process)(x_t, eps, t),
                "growth_difference": entropy.growth_integrand(known, without, process)(x_t, eps, t),
                "score_difference": entropy.gap_integrand(known, without, process)(x_t, eps, t),
            }
            return values | {"entropy_difference": values["s_nn_given_label"] - values["s_nn"]}

        return jax.tree.map(
            jnp.transpose,
            entropy.profile(key, integrand, process, x, levels, config.eval.num_levels),
        )

    def measure(params, images, count):
        pair = tuple(array[:count] for array in (images.test, images.test_labels))
        call, key = (
            functools.partial(batch_of, params),
            key_of(config.seed, "denoiser", "evaluation"),
        )
        return jax.tree.map(np.transpose, map_examples(call, key, pair, config.eval.batch_size))

    return measure


def _evaluated(score_fn, x_t, t):
    """score_fn with its values at (x_t, t), which several integrands share."""
    values = score_fn(x_t, t)
    return lambda x, t: values


def monitor(values: dict) -> dict[str, float]:
    """Held-out means and their errors, for the curves over training."""
    estimates = {name: Estimate.of(np.asarray(per_example)) for name, per_example in values.items()}
    means = {name: one.mean for name, one in estimates.items()}
    return means | {f"{name}_stderr": one.stderr for name, one in estimates.items()}


def headline(metrics: dict[str, float]) -> str:
    """The text beside the progress bar."""
    if "growth_difference" in metrics:
        return f"growth by the label {metrics['growth_difference']:.2f} nats"
    return f"loss {metrics['loss']:.3f}"


def information(config: ConfigDict, name: str, images, values: dict) -> list[Result]:
    """`<name>.<form>`: the forms of I(X;Y), and the entropy of the labels, which the true one
    cannot exceed."""
    limit = Estimate.of(surprise(images, config.eval.num_examples))
    forms = [
        Result(f"{name}.{form}", *Estimate.of(np.asarray(one))) for form, one in values.items()
    ]
    return [*forms, Result(f"{name}.label_entropy", *limit)]


def surprise(images, count: int) -> np.ndarray:
    """-log of the share that the label of each of the first count held-out images has among the
    training images, [n]: in the mean the entropy of the labels, and the odds against which knowing
    more wins."""
    shares = np.bincount(images.train_labels) / len(images.train_labels)
    return -np.log(shares)[images.test_labels[:count]]
