"""What a label tells a diffusion model of images, and what pushing it does to the samples.

    python -m experiments.guidance_images --config=configs/guidance_images/digits.py --workdir=DIR

One network learns s(x|y) and, where the label is withheld, s(x), and measures I(X;Y) in three
forms: label_denoiser. Guided chains (`diffenc.diffusion.guidance`) are then asked how many nats
were injected and where in the noise, how many of them a classifier finds again in the samples, and
how far the samples moved away from images. Figures: guidance_images_figures.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.analytic import gaussian_w2_squared
from diffenc.diffusion.guidance import Guided, guided_chain
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.run import records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.guidance_images import figures
from experiments.labels import denoiser


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    images, scale, classes = denoiser.load(config)
    check_images(config, images, classes)
    trained = denoiser.train(config, workdir, images, scale, classes)
    results = denoiser.information(config, "images", images, trained.draws.total())
    chains = sample(config, trained, images.example_shape, classes)
    results += judge(config.seed, images, scale, chains)
    figures.draw(workdir, images, results, trained.draws, trained.levels, chains)
    tables.write_results(workdir, results)
    tables.print_table(results, title="guidance of images")
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    denoiser.check(config)
    if config.num_steps < 4 or config.num_steps % 2:
        raise InputError(
            f"config field num_steps is {config.num_steps}: give an even number, 4 or more"
        )
    if config.num_samples < 100:
        raise InputError(f"config field num_samples is {config.num_samples}: give 100 or more")
    names = {f"{weight:g}" for weight in config.weights}
    if not all(0 <= weight < math.inf for weight in config.weights) or not 0 < len(names) == len(
        config.weights
    ):
        raise InputError(
            f"config field weights is {tuple(config.weights)}: give different numbers, none below 0"
        )


def check_images(config: ConfigDict, images, classes: int) -> None:
    """Raises InputError for counts that do not fit the data set."""
    if config.eval.num_examples > len(images.test):
        raise InputError(
            f"config field eval.num_examples is {config.eval.num_examples} of {len(images.test)} held-out images"
        )
    if config.num_samples < 10 * classes:
        raise InputError(
            f"config field num_samples is {config.num_samples} for {classes} labels: give ten of each"
        )


class Chains(NamedTuple):
    """Of one weight: the guided chains, their labels [n], and each chain's nats less the excess of
    its steps, 2 f(h) - f(2h) with a chain of half as many [n]."""

    guided: Guided
    labels: np.ndarray
    continuous: np.ndarray


def sample(
    config: ConfigDict, trained: denoiser.Trained, shape, classes: int
) -> dict[float, Chains]:
    """num_samples chains for every weight, from the same noise."""
    labels = jnp.arange(config.num_samples) % classes
    key_start, key_chain = jax.random.split(key_of(config.seed, "chains"))
    start = jax.random.normal(key_start, (config.num_samples, *shape))
    model, reference = trained.model, trained.reference

    @functools.partial(jax.jit, static_argnames="num_steps")
    def chain(params, key, weight, num_steps):
        free, given = (
            model.score_fn(params, reference, condition=condition) for condition in (None, labels)
        )
        return guided_chain(key, free, given, weight, model.process, start, num_steps, config.t_min)

    chains = {}
    with records.progress(len(config.weights), description="weights") as show:
        for index, weight in enumerate(config.weights):
            fine, coarse = (
                jax.tree.map(
                    np.asarray,
                    chain(trained.params, jax.random.clone(key_chain), jnp.float32(weight), steps),
                )
                for steps in (config.num_steps, config.num_steps // 2)
            )
            chains[weight] = Chains(
                fine, np.asarray(labels), 2 * fine.nats.sum(axis=0) - coarse.nats.sum(axis=0)
            )
            show(index + 1, f"w={weight:g}: {fine.nats.sum(axis=0).mean():.2f} nats injected")
    return chains


def judge(seed: int, images, scale: float, chains: dict[float, Chains]) -> list[Result]:
    """Nats injected by the chains' own steps and in continuous time; what a classifier of real
    images finds of the label in the samples (H(Y) + E log q(y|x) <= I, a bound for whatever q);
    W_2^2 between the Gaussians of samples and of held-out images, which finite samples keep from
    zero (as many training images: `training`); and the variance within a label over that of
    held-out images."""
    train, test = (array.reshape(len(array), -1) / scale for array in (images.train, images.test))
    classify = classifier(train, images.train_labels, rng_of(seed, "classifier"))
    results = [
        Result("held_out.label_information", *label_information(classify, test, images.test_labels))
    ]
    rng = rng_of(seed, "judge")
    order = rng.permutation(len(train))[: len(next(iter(chains.values())).labels)]
    results += distances(
        "training", rng, (train[order], images.train_labels[order]), (test, images.test_labels)
    )
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
    """W_2^2 and the ratio of variances of the first (x, labels) to the second, with the bootstrap's
    errors."""

    def measured(pair, others):
        return between(pair[0], others[0]), within(*pair) / within(*others)

    def drawn(pair):  # anew within each label, so that all of them stay
        rows = [np.flatnonzero(pair[1] == label) for label in np.unique(pair[1])]
        rows = np.concatenate([rng.choice(group, len(group)) for group in rows])
        return pair[0][rows], pair[1][rows]

    errors = np.std(
        [measured(drawn(pair), drawn(others)) for _ in range(resamples)], axis=0, ddof=1
    )
    values, units = measured(pair, others), ("pixel^2", "of held-out variance")
    rows = zip(("w2_squared", "diversity"), values, errors, units, strict=True)
    return [
        Result(f"{name}.{quantity}", float(value), float(error), unit)
        for quantity, value, error, unit in rows
    ]


def classifier(x, labels, rng):
    """log q(y|x) [n, classes] by logistic regression on random features of a Gaussian kernel."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    width = np.mean(np.var(x, axis=0)) * x.shape[1]
    features = Nystroem(
        gamma=0.5 / width, n_components=min(400, len(x)), random_state=int(rng.integers(2**32))
    )
    return (
        make_pipeline(features, LogisticRegression(C=30.0, max_iter=2000))
        .fit(x, labels)
        .predict_log_proba
    )


def label_information(classify, x, labels) -> Estimate:
    """H(Y) + E log q(y|x), in nats, with the error of its mean."""
    shares = np.bincount(labels) / len(labels)
    surprise = -np.log(shares)[labels]
    return Estimate.of(surprise + classify(x)[np.arange(len(labels)), labels])


def within(x, labels) -> float:
    """The variance within a label, summed over pixels, mean over labels."""
    return float(
        np.mean([np.var(x[labels == label], axis=0, ddof=1).sum() for label in np.unique(labels)])
    )


def between(x, others) -> float:
    """W_2^2 between the Gaussians of the two sets' moments."""
    moments = ((jnp.asarray(a.mean(axis=0)), jnp.asarray(np.cov(a.T))) for a in (x, others))
    return float(gaussian_w2_squared(*(part for pair in moments for part in pair)))


if __name__ == "__main__":
    command_line.main(run)
