"""What a label tells a diffusion model of images, and what pushing it does to the samples.

    python -m experiments.guidance --config=configs/guidance/digits.py --workdir=DIR

One network learns s(x|y) and, where the label is withheld, s(x) (arXiv 2207.12598). On held-out images the two hold
I(X;Y) in three forms: what S_NN gains by the label, what Kelly growth gains by it, and 1/2 int sigma^2 E|s(x|y) -
s(x)|^2 (arXiv 2509.23937); none can exceed the entropy of the labels. Guided chains (`diffenc.guidance`) are then asked
how many nats were injected and where in the noise, how many of them a classifier finds again in the samples, and how
far the samples moved away from images.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc import data, loop, networks, parallel, reporting, training
from diffenc.analytic import gaussian_w2_squared
from diffenc.denoiser import Denoiser, Reference
from diffenc.errors import InputError
from diffenc.estimators import Estimate, entropy, map_examples
from diffenc.guidance import guided_chain
from diffenc.noise_levels import Uniform, log_snr_range
from diffenc.processes import VPLinear
from diffenc.reporting import Result
from experiments import command_line

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
        headline=lambda metrics: f"growth by the label {metrics.get('growth_difference', float('nan')):.2f} nats",
        extras=tuple(config.metrics_extras),
    )
    params = parallel.local(state).averages
    draws = measure(params, images)
    results = information(config, images, draws.total())
    chains = sample(config, model, reference, params, images.example_shape, classes)
    results += judge(images, scale, chains)
    draw(workdir, config, images, results, draws, levels, chains)
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
    command_line.check_positive(config, *positive, "num_steps", "eval.num_levels", "eval.batch_size")
    command_line.check_not_negative(config, "seed", "warmup", "evaluate_every", "num_devices")
    if not 0 < config.null_probability < 1:
        raise InputError(f"config field null_probability is {config.null_probability}: give a number in (0, 1)")
    if config.num_samples < 100 or config.eval.num_examples < 100:
        raise InputError("config fields num_samples, eval.num_examples: give 100 or more")
    if not config.weights or min(config.weights) < 0:
        raise InputError(f"config field weights is {tuple(config.weights)}: give one or more, none below 0")
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
    halvings = len(config.model.channels) - 1
    if any(side % 2**halvings for side in images.train.shape[1:3]):
        raise InputError(f"config field model.channels has {halvings + 1} levels: images cannot be halved so often")
    return images, float(images.max_value or 1.0), int(images.train_labels.max()) + 1


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


def information(config: ConfigDict, images, values: dict) -> list[Result]:
    """I(X;Y) in its forms, with the entropy of the held-out labels, which it cannot exceed."""
    shares = np.bincount(images.test_labels[: config.eval.num_examples]) / config.eval.num_examples
    limit = -np.sum(shares * np.log(np.maximum(shares, 1e-12)))
    results = [Result(f"images.{name}", *Estimate.of(np.asarray(one))) for name, one in values.items()]
    return [*results, Result("images.label_entropy", float(limit), None)]


def sample(config: ConfigDict, model, reference, params, shape, classes: int) -> dict:
    """{weight: (Guided, labels)}: num_samples chains for every weight, from the same noise."""
    labels = jnp.arange(config.num_samples) % classes
    key_start, key_chain = jax.random.split(jax.random.key(config.seed + 3000))
    start = jax.random.normal(key_start, (config.num_samples, *shape))

    @jax.jit
    def chain(params, key, weight):
        free, given = (model.score_fn(params, reference, condition=condition) for condition in (None, labels))
        return guided_chain(key, free, given, weight, model.process, start, config.num_steps, config.t_min)

    chains = {}
    with reporting.progress(len(config.weights), description="weights") as show:
        for index, weight in enumerate(config.weights):
            found = jax.tree.map(np.asarray, chain(params, jax.random.clone(key_chain), jnp.float32(weight)))
            chains[weight] = found, np.asarray(labels)
            show(index + 1, f"w={weight:g}: {found.nats.sum(axis=0).mean():.2f} nats injected")
    return chains


def judge(images, scale: float, chains: dict) -> list[Result]:
    """Nats injected; what a classifier of real images finds of the label in the samples (H(Y) + E log q(y|x) <= I, a
    bound for whatever q); W_2^2 between the Gaussians of samples and of held-out images; and the variance within a
    label over that of held-out images."""
    train, test = (array.reshape(len(array), -1) / scale for array in (images.train, images.test))
    classify = classifier(train, images.train_labels)
    variance = within(test, images.test_labels)
    results, shown = [], len(next(iter(chains.values()))[1])
    for name, x, labels in (("held_out", test, images.test_labels), ("training", train, images.train_labels)):
        results.append(Result(f"{name}.label_information", *label_information(classify, x, labels)))
        results.append(Result(f"{name}.diversity", within(x, labels) / variance, None, "of held-out variance"))
    order = np.random.default_rng(0).permutation(len(train))[:shown]  # as many as there are samples
    results.append(Result("training.w2_squared", between(train[order], test), None, "pixel^2"))
    for weight, (found, labels) in chains.items():
        x, name = np.clip(found.x.reshape(len(labels), -1), 0, 1), f"w={weight:g}"
        results += [
            Result(f"{name}.injected", *Estimate.of(found.nats.sum(axis=0))),
            Result(f"{name}.label_information", *label_information(classify, x, labels)),
            Result(f"{name}.w2_squared", between(x, test), None, "pixel^2"),
            Result(f"{name}.diversity", within(x, labels) / variance, None, "of held-out variance"),
        ]
    return results


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


def draw(workdir, config, images, results, draws, levels, chains) -> None:
    """Nats and distances against w, where in the noise they act, and the samples themselves."""
    found = {result.name: result for result in results}
    fig, axes = reporting.figure(1, 3)
    weights = list(chains)
    for quantity, text in (("injected", "injected along the paths"), ("label_information", "found by a classifier")):
        rows = [found[f"w={weight:g}.{quantity}"] for weight in weights]
        axes[0, 0].errorbar(
            weights, [r.value for r in rows], yerr=[2 * r.stderr for r in rows], fmt="o-", markersize=3, label=text
        )
    reporting.truth_line(axes[0, 0], found["images.label_entropy"].value, "entropy of the labels")
    axes[0, 0].set_yscale("log")
    reporting.label(axes[0, 0], "guidance weight w", "nats", legend=True)
    for name, text in (("growth_difference", "held-out growth"), ("score_difference", "difference of scores")):
        curve = entropy.curve(draws._replace(values=draws.values[name]), levels)
        reporting.band(axes[0, 1], curve.log_snr, curve.height, curve.stderr, label=text)
    for weight in weights[:: max(1, len(weights) // 3)]:
        guided = chains[weight][0]
        height = guided.nats.mean(axis=1) / (guided.log_snr[1] - guided.log_snr[0])
        axes[0, 1].plot(guided.log_snr, height, "--", linewidth=1, label=f"chains, w = {weight:g}")
    axes[0, 1].set_yscale("symlog", linthresh=1)
    reporting.label(axes[0, 1], "$\\lambda$ (log signal-to-noise ratio)", "nats per unit of $\\lambda$")
    axes[0, 1].legend(frameon=False, fontsize=7)
    distance = [found[f"w={weight:g}.w2_squared"].value for weight in weights]
    axes[0, 2].plot(weights, distance, "o-", markersize=3, label="$W_2^2$ to held-out images [pixel$^2$]")
    diversity = [found[f"w={weight:g}.diversity"].value for weight in weights]
    axes[0, 2].plot(weights, diversity, "s-", markersize=3, label="variance within a label, ratio")
    reporting.truth_line(axes[0, 2], found["training.w2_squared"].value, "$W_2^2$ of training images")
    reporting.label(axes[0, 2], "guidance weight w", "distortion", legend=True)
    reporting.save(fig, workdir, "guidance")
    shown = weights[:: max(1, len(weights) // 4)]
    fig, axes = reporting.figure(1, len(shown) + 1, width=2.2, height=2.4)
    rows = [np.flatnonzero(images.test_labels == label)[:6] for label in np.unique(images.test_labels)]
    reporting.image_grid(axes[0, 0], images.test[np.concatenate(rows)], 6, images.max_value)
    axes[0, 0].set_title("held-out images")
    for ax, weight in zip(axes[0, 1:], shown, strict=True):
        guided, labels = chains[weight]
        rows = [np.flatnonzero(labels == label)[:6] for label in np.unique(labels)]
        reporting.image_grid(ax, guided.x[np.concatenate(rows)], 6, 1.0)
        ax.set_title(f"w = {weight:g}")
    reporting.save(fig, workdir, "samples")
