"""What a label tells a diffusion model of images, and what pushing it does to the samples.

    python -m experiments.guidance --config=configs/guidance/digits.py --workdir=DIR

One network learns s(x|y) and, where the label is withheld, s(x) (arXiv 2207.12598). With exact scores I(X;Y), which
cannot exceed the entropy of the labels, has three forms: what S_NN gains by the label, what Kelly growth gains by it,
and 1/2 int sigma^2 E|s(x|y) - s(x)|^2 (arXiv 2509.23937). On held-out images growth is off by the gap L_EM of s(x) less
that of s(x|y), the others by the networks' own errors, either way. Guided chains (`diffenc.guidance`) are then asked
how many nats were injected and where in the noise, how many of them a classifier finds again in the samples, and how
far the samples moved away from images. Figures: guidance_images_figures.
"""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc import data, loop, networks, parallel, reporting, training
from diffenc.analytic import gaussian_w2_squared
from diffenc.denoiser import Denoiser, Reference
from diffenc.errors import InputError
from diffenc.estimators import Estimate, entropy, map_examples
from diffenc.guidance import Guided, guided_chain
from diffenc.noise_levels import Uniform, log_snr_range
from diffenc.processes import VPLinear
from diffenc.reporting import Result
from experiments import command_line, guidance_images_figures

FORMS = ("entropy_difference", "growth_difference", "score_difference")


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)
    images, scale, classes = load(config)
    model, levels, reference = make_model(config, images, scale, classes)
    optimizer = training.make_optimizer(config.learning_rate, config.num_updates, config.warmup, config.clip_norm)
    params = model.init(jax.random.key(config.seed + 500), jnp.asarray(images.train[:1], jnp.float32))
    measure = make_measure(config, model, reference, scale, levels)
    state = loop.train(
        workdir,
        parallel.replicate(mesh, training.TrainState.create(params, optimizer)),
        make_advance(config, mesh, images, scale, classes, model, reference, optimizer),
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=lambda state, step: monitor(measure(parallel.local(state).averages, images).total()),
        evaluate_every=config.evaluate_every,
        headline=headline,
        extras=tuple(config.metrics_extras),
    )
    params = parallel.local(state).averages
    draws = measure(params, images)
    results = information(config, images, draws.total())
    chains = sample(config, model, reference, params, images.example_shape, classes)
    results += judge(images, scale, chains)
    guidance_images_figures.draw(workdir, images, results, draws, levels, chains)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title="guidance of images")
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
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
    command_line.check_not_negative(config, "seed", "warmup", "evaluate_every", "num_devices")
    if not 0 < config.null_probability < 1:
        raise InputError(f"config field null_probability is {config.null_probability}: give a number in (0, 1)")
    if not 0 <= config.average_decay < 1:
        raise InputError(f"config field average_decay is {config.average_decay}: give a number in [0, 1)")
    if config.num_steps < 4 or config.num_steps % 2:
        raise InputError(f"config field num_steps is {config.num_steps}: give an even number, 4 or more")
    for field, count in (("num_samples", config.num_samples), ("eval.num_examples", config.eval.num_examples)):
        if count < 100:
            raise InputError(f"config field {field} is {count}: give 100 or more")
    names = {f"{weight:g}" for weight in config.weights}
    if not all(0 <= weight < math.inf for weight in config.weights) or not 0 < len(names) == len(config.weights):
        raise InputError(f"config field weights is {tuple(config.weights)}: give different numbers, none below 0")
    if not config.model.channels or any(width < 8 or width % 8 for width in config.model.channels):
        raise InputError(f"config field model.channels is {config.model.channels}: give multiples of 8, one or more")


def load(config: ConfigDict):
    """The data set, its intensity that counts as one, and the number of its labels 0, 1, ..."""
    settings = config.data
    images = data.load(
        settings.name,
        data_dir=settings.dir or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if images.train.ndim != 4 or images.train_labels is None:
        raise InputError(f"config field data.name is {settings.name!r}: give images with labels")
    halvings, sides = len(config.model.channels) - 1, images.train.shape[1:3]
    if any(side % 2**halvings for side in sides):
        raise InputError(
            f"config field model.channels has {halvings + 1} levels, but images of {sides} cannot be halved "
            f"{halvings} times: give fewer"
        )
    if config.eval.num_examples > len(images.test):
        raise InputError(
            f"config field eval.num_examples is {config.eval.num_examples} of {len(images.test)} held-out images"
        )
    classes = int(images.train_labels.max()) + 1
    if config.num_samples < 10 * classes:
        raise InputError(f"config field num_samples is {config.num_samples} for {classes} labels: give ten of each")
    return images, float(images.max_value or 1.0), classes


def make_model(config: ConfigDict, images, scale: float, classes: int):
    """The conditional denoiser, noise levels for its training, and its Gaussian reference."""
    as_matmul = jax.default_backend() == "cpu"
    network = networks.UNet(tuple(config.model.channels), classes, as_matmul=as_matmul)
    process = VPLinear()
    model = Denoiser(network, process, "v")
    reference = Reference.isotropic(np.asarray(images.train, np.float32) / scale)
    return model, Uniform(*log_snr_range(process, config.t_min)), reference


def make_advance(config: ConfigDict, mesh, images, scale: float, classes: int, model, reference, optimizer):
    """advance(state, step, n): n updates on labelled images, of which a share null_probability loses its label."""
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

    run_updates = training.scan_updates(update, lambda key, rows: (rows[0].astype("float32") / scale, rows[1]))
    arrays = parallel.replicate(mesh, (jnp.asarray(images.train), jnp.asarray(images.train_labels)))
    local = parallel.local_rows(config.batch_size)

    def advance(state, step, n):
        rows = data.batch_indices(config.seed, step, n, config.batch_size, len(images.train))
        rows = parallel.shard_batch(mesh, rows[:, local], axis=1)
        return run_updates(state, parallel.replicate(mesh, jax.random.key(config.seed + 1000)), arrays, rows)

    return advance


def make_measure(config: ConfigDict, model, reference, scale: float, levels):
    """measure(params, images): draws over lambda, [levels, examples], of s_nn, of s_nn_given_label, and of what the
    label adds to entropy, growth and score, the same noise for all."""
    process = model.process

    @jax.jit
    def batch_of(params, key, pair):
        x, labels = pair[0].astype("float32") / scale, pair[1]
        free, given = (model.score_fn(params, reference, condition=condition) for condition in (None, labels))
        s_nn, s_nn_given = (entropy.gap_integrand(s, process.equilibrium_score, process) for s in (free, given))
        growth, between = entropy.growth_integrand(given, free, process), entropy.gap_integrand(given, free, process)

        def integrand(x_t, eps, t):
            without, known = s_nn(x_t, eps, t), s_nn_given(x_t, eps, t)
            values = {"s_nn": without, "s_nn_given_label": known, "entropy_difference": known - without}
            return values | {"growth_difference": growth(x_t, eps, t), "score_difference": between(x_t, eps, t)}

        return jax.tree.map(jnp.transpose, entropy.profile(key, integrand, process, x, levels, config.eval.num_levels))

    def measure(params, images):
        pair = tuple(array[: config.eval.num_examples] for array in (images.test, images.test_labels))
        call, key = functools.partial(batch_of, params), jax.random.key(config.seed + 2000)
        return jax.tree.map(np.transpose, map_examples(call, key, pair, config.eval.batch_size))

    return measure


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


def information(config: ConfigDict, images, values: dict) -> list[Result]:
    """The forms of I(X;Y), and the entropy of the labels, which the true one cannot exceed (with Miller's correction
    of (K - 1) / 2n)."""
    labels = images.test_labels[: config.eval.num_examples]
    counts = np.unique(labels, return_counts=True)[1]
    surprise = Estimate.of(np.repeat(-np.log(counts / len(labels)), counts))
    limit = Result("images.label_entropy", surprise.mean + (len(counts) - 1) / (2 * len(labels)), surprise.stderr)
    return [*(Result(f"images.{name}", *Estimate.of(np.asarray(one))) for name, one in values.items()), limit]


class Chains(NamedTuple):
    """Of one weight: the guided chains, their labels [n], and each chain's nats less the excess of its steps, 2 f(h) -
    f(2h) with a chain of half as many [n]."""

    guided: Guided
    labels: np.ndarray
    continuous: np.ndarray


def sample(config: ConfigDict, model, reference, params, shape, classes: int) -> dict[float, Chains]:
    """num_samples chains for every weight, from the same noise."""
    labels = jnp.arange(config.num_samples) % classes
    key_start, key_chain = jax.random.split(jax.random.key(config.seed + 3000))
    start = jax.random.normal(key_start, (config.num_samples, *shape))

    @functools.partial(jax.jit, static_argnames="num_steps")
    def chain(params, key, weight, num_steps):
        free, given = (model.score_fn(params, reference, condition=condition) for condition in (None, labels))
        return guided_chain(key, free, given, weight, model.process, start, num_steps, config.t_min)

    chains = {}
    with reporting.progress(len(config.weights), description="weights") as show:
        for index, weight in enumerate(config.weights):
            fine, coarse = (
                jax.tree.map(np.asarray, chain(params, jax.random.clone(key_chain), jnp.float32(weight), steps))
                for steps in (config.num_steps, config.num_steps // 2)
            )
            chains[weight] = Chains(fine, np.asarray(labels), 2 * fine.nats.sum(axis=0) - coarse.nats.sum(axis=0))
            show(index + 1, f"w={weight:g}: {fine.nats.sum(axis=0).mean():.2f} nats injected")
    return chains


def judge(images, scale: float, chains: dict[float, Chains]) -> list[Result]:
    """Nats injected by the chains' own steps and in continuous time; what a classifier of real images finds of the
    label in the samples (H(Y) + E log q(y|x) <= I, a bound for whatever q); W_2^2 between the Gaussians of samples and
    of held-out images, which finite samples keep from zero (as many training images: `training`); and the variance
    within a label over that of held-out images."""
    train, test = (array.reshape(len(array), -1) / scale for array in (images.train, images.test))
    classify = classifier(train, images.train_labels)
    results = [Result("held_out.label_information", *label_information(classify, test, images.test_labels))]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(train))[: len(next(iter(chains.values())).labels)]
    results += distances("training", rng, (train[order], images.train_labels[order]), (test, images.test_labels))
    for weight, (guided, labels, continuous) in chains.items():
        x, name = guided.x.reshape(len(labels), -1), f"w={weight:g}"
        results += [
            Result(f"{name}.injected", *Estimate.of(guided.nats.sum(axis=0))),
            Result(f"{name}.injected_in_continuous_time", *Estimate.of(continuous)),
            Result(f"{name}.label_information", *label_information(classify, x, labels)),
            *distances(name, rng, (x, labels), (test, images.test_labels)),
        ]
    return results


def distances(name: str, rng, pair, others, resamples: int = 40) -> list[Result]:
    """W_2^2 and the ratio of variances of the first (x, labels) to the second, with the bootstrap's errors."""

    def measured(pair, others):
        return between(pair[0], others[0]), within(*pair) / within(*others)

    def drawn(pair):  # anew within each label, so that all of them stay
        rows = [np.flatnonzero(pair[1] == label) for label in np.unique(pair[1])]
        rows = np.concatenate([rng.choice(group, len(group)) for group in rows])
        return pair[0][rows], pair[1][rows]

    errors = np.std([measured(drawn(pair), drawn(others)) for _ in range(resamples)], axis=0, ddof=1)
    values, units = measured(pair, others), ("pixel^2", "of held-out variance")
    rows = zip(("w2_squared", "diversity"), values, errors, units, strict=True)
    return [Result(f"{name}.{quantity}", float(value), float(error), unit) for quantity, value, error, unit in rows]


def classifier(x, labels):
    """log q(y|x) [n, classes] by logistic regression on random features of a Gaussian kernel."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    width = np.mean(np.var(x, axis=0)) * x.shape[1]
    features = Nystroem(gamma=0.5 / width, n_components=min(400, len(x)), random_state=0)
    return make_pipeline(features, LogisticRegression(C=30.0, max_iter=2000)).fit(x, labels).predict_log_proba


def label_information(classify, x, labels) -> Estimate:
    """H(Y) + E log q(y|x), in nats, with the error of its mean."""
    shares = np.bincount(labels) / len(labels)
    surprise = -np.log(shares)[labels]
    return Estimate.of(surprise + classify(x)[np.arange(len(labels)), labels])


def within(x, labels) -> float:
    """The variance within a label, summed over pixels, mean over labels."""
    return float(np.mean([np.var(x[labels == label], axis=0, ddof=1).sum() for label in np.unique(labels)]))


def between(x, others) -> float:
    """W_2^2 between the Gaussians of the two sets' moments."""
    moments = ((jnp.asarray(a.mean(axis=0)), jnp.asarray(np.cov(a.T))) for a in (x, others))
    return float(gaussian_w2_squared(*(part for pair in moments for part in pair)))
