"""What a latent is good for: reconstructions, probes of labels, samples; one value per example."""

from typing import NamedTuple

import jax
import numpy as np
from sklearn.decomposition import PCA

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.latent import noisy_terms
from diffenc.latent.latent_use import ShuffleRise
from diffenc.latent.systems import System
from experiments.diffusion_decoder import frechet, probes
from experiments.diffusion_decoder.settings import Evaluation, Experiment

NUM_DECODED = 500  # examples, at most, that are decoded often, for squared errors
NUM_INFORMED = 2000  # latents, at most, whose information about labels is estimated
FEWEST_INFORMED = 100  # latents that the estimator takes, see `information.samples.checks`
FEWEST_OF_LABEL = 10  # of them with each label


class Measured(NamedTuple):
    """The numbers of one system.

    Attributes:
        values: {quantity: one value per held-out example [n], or per pair of them}.
        scalars: {quantity: estimate}.
        z: a latent of each held-out example [n, d].
        rise: of the loss when examples exchange latents; None for a decoder that is no diffusion.
    """

    values: dict[str, np.ndarray]
    scalars: dict[str, Estimate]
    z: np.ndarray
    rise: ShuffleRise | None = None


class Labels(NamedTuple):
    """What probes of a representation need beside the held-out latents.

    Attributes:
        x: training examples as models see them [m, ...].
        train: their labels [m].
        test: the labels of the held-out examples [n].
    """

    x: np.ndarray
    train: np.ndarray
    test: np.ndarray


def reconstruction_errors(key, system: System, params, x, z, batch_size: int) -> dict:
    """Measure squared errors [m]: with an example's own latent, and with those of the others.

    m is n, and NUM_DECODED at most. The errors are those of E[x|z]. Where the decoder is a
    diffusion, also those of draws of x from random noise, and from the noise to which the flow
    leads x.

    Args:
        key: of the noise.
        system: the model.
        params: its parameters.
        x: held-out examples [n, ...].
        z: a latent of each [n, d].
        batch_size: examples at a time.
    """
    x = x[:NUM_DECODED]
    z = z[:NUM_DECODED]
    flat = x.reshape(len(x), -1)

    def error(decoded):
        return np.sum((decoded - flat) ** 2, axis=-1)

    mean = noisy_terms.means(system, params, z, batch_size)
    errors = {"mean_error": error(mean), "other_mean_error": other_errors(flat, mean)}
    if system.decoder.is_exact:
        return errors
    drawn = noisy_terms.reconstructions(key, system, params, z, batch_size)
    back = noisy_terms.round_trips(system, params, x, z, batch_size)
    return errors | {
        "own_error": error(drawn),
        "other_error": other_errors(flat, drawn),
        "round_trip_error": error(back),
    }


def other_errors(x: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Measure the squared error that latents of other examples give, over all ordered pairs.

    Every latent serves all other examples. The value of example i is therefore what it adds to the
    mean both as x and as the giver of a latent, to first order (Hoeffding 1948),

        mean_j |x_i - decoded_j|^2 + mean_j |x_j - decoded_i|^2 - mean over all pairs,   j != i,

    and the scatter of the values gives the error of their mean.

    Args:
        x: examples [n, D].
        decoded: what the latent of each of them gives [n, D].

    Returns:
        [n]; their mean is that over all pairs.
    """
    x = np.asarray(x, np.float64)
    decoded = np.asarray(decoded, np.float64)
    as_example = _mean_distances(x, decoded)
    return as_example + _mean_distances(decoded, x) - as_example.mean()


def _mean_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute mean_j |a_i - b_j|^2 [n] over j != i, without the n^2 differences."""
    square_b = np.sum(b**2, axis=1)
    mean_square = (square_b.sum() - square_b) / (len(b) - 1)
    mean = (b.sum(axis=0) - b) / (len(b) - 1)
    return np.sum(a**2, axis=1) - 2 * np.sum(a * mean, axis=1) + mean_square


def accuracies(
    train_z, z, labels: Labels, settings: Evaluation, suffix: str
) -> dict[str, np.ndarray]:
    """Probe latents: {quantity: whether each held-out example was labelled right [n]}.

    Args:
        train_z: of training examples [m, d].
        z: of held-out examples [n, d].
        labels: of both.
        settings: neighbours.
        suffix: of the names.
    """
    return {
        f"knn_accuracy{suffix}": probes.knn_accuracy(
            train_z, labels.train, z, labels.test, settings.neighbours
        ),
        f"logistic_accuracy{suffix}": probes.logistic_accuracy(z, labels.test),
    }


def check_informed(labels: np.ndarray, latent_dim: int) -> None:
    """Raise an InputError unless the label information of two latents can be estimated.

    Args:
        labels: of all examples, those held out first.
        latent_dim: of both latents together.
    """
    values, counts = np.unique(labels[:NUM_INFORMED], return_counts=True)
    fewest = max(FEWEST_INFORMED, 4 * latent_dim + 1)
    if counts.sum() < fewest or np.min(counts) < FEWEST_OF_LABEL:
        raise InputError(
            f"label {values[np.argmin(counts)]} has {np.min(counts)} of the {counts.sum()} "
            "examples by which the label information of two latents is estimated, which takes "
            f"{fewest} examples and {FEWEST_OF_LABEL} of each label: give more, none of that "
            "label, or decoder.perceptual_dim=0"
        )


def label_information(
    experiment: Experiment, system: System, train_z, z, labels: Labels
) -> dict[str, Estimate]:
    """Estimate what each of two latents says about the label; nothing where there is one latent.

    The estimator needs many examples: where fewer are held out, training examples fill them up.

    Args:
        experiment: the config.
        system: the model.
        train_z: latents of training examples [m, d].
        z: of held-out examples [n, d].
        labels: of both.
    """
    perceptual_dim = getattr(system.decoder, "perceptual_dim", 0)
    if not perceptual_dim:
        return {}
    latents = np.concatenate([z, train_z])[:NUM_INFORMED]
    names = np.concatenate([labels.test, labels.train])[:NUM_INFORMED]
    first = z.shape[1] - perceptual_dim
    seed = experiment.training.seed
    return {
        "semantic_information": probes.label_information(seed, latents[:, :first], names),
        "perceptual_information": probes.label_information(seed, latents[:, first:], names),
    }


def frechet_distances(
    key, system: System, params, x, judge, settings: Evaluation
) -> dict[str, Estimate]:
    """Measure the Frechet distance of samples from held-out examples.

    Args:
        key: of the samples, z ~ N(0, I) and x ~ p(x|z); x = E[x|z] of an exact decoder.
        system: the model.
        params: its parameters.
        x: held-out examples [n, ...].
        judge: the classifier; None for no distance.
        settings: how many samples.
    """
    if judge is None:
        return {}
    key_z, key_x = jax.random.split(key)
    count = settings.frechet_samples
    z = np.asarray(jax.random.normal(key_z, (count, system.encoder.latent_dim)))
    samples = noisy_terms.reconstructions(key_x, system, params, z, settings.batch_size)
    real = frechet.features(judge, x)
    drawn = frechet.features(judge, samples.reshape(count, *x.shape[1:]))
    return {
        "frechet": frechet.estimate_frechet(0, drawn, real),
        "frechet_floor": frechet.floor(0, real),
    }


def measure_pca(
    train: np.ndarray,
    x: np.ndarray,
    labels: Labels | None,
    latent_dim: int,
    settings: Evaluation,
) -> Measured:
    """Measure principal components as a latent.

    Args:
        train: training examples [m, D].
        x: held-out examples [n, ...].
        labels: for probes; None for no probes.
        latent_dim: how many components.
        settings: of the probes.
    """
    flat = x.reshape(len(x), -1)
    pca = PCA(min(latent_dim, *train.shape), random_state=0).fit(train)
    z = pca.transform(flat)

    mean = pca.inverse_transform(z)
    values = {
        "mean_error": np.sum((mean - flat) ** 2, axis=-1),
        "other_mean_error": other_errors(flat, mean),
    }
    if labels is not None:
        values |= accuracies(pca.transform(train), z, labels, settings, "")
    return Measured(values, {}, z)
