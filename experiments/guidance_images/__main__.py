"""What a label tells a diffusion model of images, and what pushing it does to the samples.

    python -m experiments.guidance_images \
        --config=configs/guidance_images/digits.py --workdir=DIR

One network learns s(x|y) and, where the label is withheld, s(x), and measures I(X;Y) in three
forms: experiments.labels.forms. Guided chains (`diffenc.diffusion.guidance`) are then asked how
many nats were injected and where in the noise, how many of them a classifier finds again in the
samples, and how far the samples moved away from images.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.guidance import Guided, guided_chain
from diffenc.errors import InputError, check, check_least
from diffenc.keys import key_of
from diffenc.run import records, tables
from experiments import command_line
from experiments.guidance_images import figures, judgement
from experiments.labels import denoiser, forms
from experiments.labels.settings import Evaluation, Images, read_training


@dataclass(frozen=True)
class Guidance:
    """The guided chains.

    Attributes:
        seed: of the run.
        weights: w, each once.
        num_steps: of a chain; half as many are taken too, to extrapolate.
        num_samples: chains for every weight.
    """

    seed: int
    weights: tuple[float, ...]
    num_steps: int
    num_samples: int

    def __post_init__(self):
        check_least(self, 0, "seed")
        is_even = self.num_steps >= 4 and self.num_steps % 2 == 0
        check(is_even, "num_steps", self.num_steps, "give an even number, 4 or more")
        check_least(self, 100, "num_samples")
        names = {f"{weight:g}" for weight in self.weights}
        are_finite = all(0 <= weight < math.inf for weight in self.weights)
        holds = are_finite and 0 < len(names) == len(self.weights)
        check(holds, "weights", self.weights, "give different numbers, none below 0")


class Chains(NamedTuple):
    """The chains of one weight.

    Attributes:
        guided: the chains.
        labels: theirs, [n].
        continuous: nats of each chain less the excess of its steps, 2 f(h) - f(2h) with a chain of
            half as many, [n].
    """

    guided: Guided
    labels: np.ndarray
    continuous: np.ndarray


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    training = read_training(config)
    evaluation = command_line.read(Evaluation, config, "eval")
    settings = command_line.read(Guidance, config)
    source = command_line.read(Images, config, "data")
    if command_line.is_complete(config, workdir):
        return
    labelled = denoiser.load(source)
    check_images(settings, evaluation, labelled)
    images = labelled.images
    trained = denoiser.train(settings.seed, workdir, labelled, training, evaluation)
    results = forms.information("images", images, trained.draws.total())
    with jax.default_matmul_precision("highest"):
        chains = sample(settings, trained, labelled, training.t_min)
        num_examples = evaluation.num_examples
        results += judgement.judge(settings.seed, images, labelled.scale, chains, num_examples)
    figures.draw(workdir, images, results, trained.draws, trained.levels, chains)
    tables.write_results(workdir, results)
    tables.print_table(results, title="guidance of images")
    for sentence in forms.remarks(results):
        print(f"note: {sentence}")
    print(f"figures: {workdir / 'figures'}")


def check_images(settings: Guidance, evaluation: Evaluation, labelled: denoiser.Labelled) -> None:
    """Raise an InputError for counts that do not fit the data set."""
    num_held_out = len(labelled.images.test)
    if evaluation.num_examples > num_held_out:
        raise InputError(
            f"config field eval.num_examples is {evaluation.num_examples} of {num_held_out} "
            "held-out images: give no more"
        )
    if settings.num_samples < 10 * labelled.num_classes:
        raise InputError(
            f"config field num_samples is {settings.num_samples} for {labelled.num_classes} "
            "labels: give ten of each"
        )


def sample(
    settings: Guidance, trained: denoiser.Trained, labelled: denoiser.Labelled, t_min: float
) -> dict[float, Chains]:
    """Sample num_samples chains for every weight, all from the same noise.

    Args:
        settings: of the chains.
        trained: the denoiser.
        labelled: the images, whose shape and labels the samples have.
        t_min: where the chains end.

    Returns:
        The chains of every weight.
    """
    num_samples = settings.num_samples
    labels = np.arange(num_samples) % labelled.num_classes
    key_start, key_chain = jax.random.split(key_of(settings.seed, "chains"))
    start = jax.random.normal(key_start, (num_samples, *labelled.images.example_shape))
    model = trained.model
    reference = trained.reference

    @functools.partial(jax.jit, static_argnames="num_steps")
    def chain(params, key, weight, num_steps):
        free = model.score_fn(params, reference, condition=None)
        bound = model.score_fn(params, reference, condition=labels)
        return guided_chain(key, free, bound, weight, model.process, start, num_steps, t_min)

    def guided(weight, num_steps):
        key = jax.random.clone(key_chain)
        chains = chain(trained.params, key, jnp.float32(weight), num_steps)
        return jax.tree.map(np.asarray, chains)

    chains = {}
    with records.progress(len(settings.weights), description="weights") as show:
        for index, weight in enumerate(settings.weights):
            fine = guided(weight, settings.num_steps)
            coarse = guided(weight, settings.num_steps // 2)
            continuous = 2 * fine.nats.sum(axis=0) - coarse.nats.sum(axis=0)
            chains[weight] = Chains(fine, labels, continuous)
            show(index + 1, f"w={weight:g}: {fine.nats.sum(axis=0).mean():.2f} nats injected")
    return chains


if __name__ == "__main__":
    command_line.main(run)
