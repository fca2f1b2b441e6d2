"""What is measured of each system of experiments.diffusion_decoder, one value per example.

Losses are of the data themselves where these are whole numbers: -log p(x) of the dequantized x plus
the logarithm of the cells' volume (`Centring.log_cells`).
"""

from dataclasses import fields
from typing import Any

import jax
import numpy as np

from diffenc.errors import InputError, check
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.latent import bounds, decoders, held_out, noisy_terms
from diffenc.latent.latent_use import ShuffleRise
from diffenc.latent.systems import System
from diffenc.run import data, parallel, records
from diffenc.run.advance import dotted
from diffenc.run.centring import Centring
from experiments.diffusion_decoder import frechet, probes
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.settings import FEWEST, Experiment, Point
from experiments.diffusion_decoder.usefulness import (
    Labels,
    Measured,
    accuracies,
    check_informed,
    frechet_distances,
    label_information,
    measure_pca,
    reconstruction_errors,
)

BANDS = (-6, -4, -2, 0, 2, 4)  # of lambda, for the rise of the loss
ACTIVE = 0.01  # variance of E[z|x] over x, above which a dimension is active (1509.00519)
NUM_PROBED = 5000  # training latents, at most, among which neighbours are looked for


def check_examples(experiment: Experiment, dataset: data.Dataset) -> None:
    """Raise an InputError, before training, for examples that cannot be measured after it."""
    settings = experiment.evaluation
    count = len(dataset.test[: settings.num_examples])
    if count < FEWEST:
        raise InputError(
            f"{dataset.name} has {count} examples to test, and probes need {FEWEST}: give more, by "
            "config field data.test_fraction or data.validation"
        )
    if dataset.train_labels is None or dataset.test_labels is None:
        return
    neighbours = settings.neighbours
    most = min(NUM_PROBED, len(dataset.train))
    remedy = f"there are {most} training latents to look among: give at most as many"
    check(neighbours <= most, "config field eval.neighbours", neighbours, remedy)
    labels, counts = np.unique(dataset.test_labels[:count], return_counts=True)
    if len(labels) < 2 or np.min(counts) < probes.FOLDS:
        raise InputError(
            f"label {labels[np.argmin(counts)]} has {np.min(counts)} of the {count} held-out "
            f"examples, and a probe needs two labels of {probes.FOLDS} or more: give more, by "
            "config field eval.num_examples, or none of that label"
        )
    if has_two_latents(experiment):
        latent_dim = next(iter(experiment.methods.values())).model.latent_dim
        train_labels = dataset.train_labels[probed(experiment, dataset)]
        check_informed(np.append(dataset.test_labels[:count], train_labels), latent_dim)


def has_two_latents(experiment: Experiment) -> bool:
    """Tell whether the label information of two latents is measured."""
    return any(
        settings.model.diffusion is not None and settings.model.diffusion.perceptual_dim > 0
        for (method, _), settings in experiment.methods.items()
        if method != "without_latent"
    )


def probed(experiment: Experiment, dataset: data.Dataset) -> np.ndarray:
    """Choose the training examples that probes see; not the first: a file may be sorted."""
    order = rng_of(experiment.training.seed, "probed").permutation(len(dataset.train))
    return order[:NUM_PROBED]


def monitor(
    experiment: Experiment,
    dataset: data.Dataset,
    models: dict[Name, System],
    x: np.ndarray,
    states: dict,
    step: int,
) -> dict[str, float]:
    """Measure rate and distortion for the training curves, by one draw of each example.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems.
        x: held-out examples [n, ...].
        states: of training, by the keys of names.
        step: the update at which this is.
    """
    states = parallel.local(states)
    log_cells = Centring.of(dataset).log_cells(x[0].size)
    scalars = {}
    for name, system in models.items():
        key = key_of(experiment.training.seed, "monitor")  # noise that all updates share
        params = states[name.key].averages
        # as after training, whose programs these are where it takes one draw, too
        with jax.default_matmul_precision("highest"):
            terms = losses(key, system, params, x, 1, experiment.evaluation.batch_size)
        for quantity, values in of_terms(terms, log_cells, "held_out_").items():
            scalars[f"{dotted(name.key)}.{quantity}"] = float(values.mean())
    return scalars


def losses(key, system: System, params, x, num_samples: int, batch_size: int) -> bounds.Elbo:
    """Estimate rate and distortion [n].

    The rate is None for an encoder without a density, and where the decoder sees no latent.
    Methods that are given one key have the same noise of x.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: held-out examples [n, ...].
        num_samples: draws of z for each example.
        batch_size: examples at a time.
    """
    terms = held_out.map_bound(key, bounds.elbo, system, params, x, num_samples, batch_size)
    return terms._replace(rate=None) if getattr(system.decoder, "is_blind", False) else terms


def measure_all(
    experiment: Experiment,
    dataset: data.Dataset,
    models: dict[Name, System],
    params: dict[Name, dict],
    again: dict[Name, dict],
    x: np.ndarray,
) -> dict[Name, Measured]:
    """Measure every system, and the principal components beside them.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems.
        params: of each of them.
        again: of those whose encoders were fitted again at gamma = 1.
        x: held-out examples [n, ...].
    """
    chosen = probed(experiment, dataset)
    key = key_of(experiment.training.seed, "observed", "train")
    seen = np.asarray(jax.jit(Centring.of(dataset).prepare)(key, dataset.train[chosen]))
    labels = None
    if dataset.train_labels is not None and dataset.test_labels is not None:
        labels = Labels(seen, dataset.train_labels[chosen], dataset.test_labels[: len(x)])
    judge = None
    if labels is not None and experiment.evaluation.frechet_samples and not experiment.is_sweep:
        judge = frechet.train_classifier(
            experiment.training.seed,
            labels.x,
            labels.train,
            experiment.evaluation.classifier_updates,
        )
    measured = {}
    log_cells = Centring.of(dataset).log_cells(x[0].size)
    with records.progress(len(models), description="measuring") as show:
        for index, (name, system) in enumerate(models.items()):
            measured[name] = measure(
                experiment, name, system, params[name], again.get(name), x, labels, judge, log_cells
            )
            show(index + 1, dotted(name.key))
    latent_dim = next(iter(models.values())).encoder.latent_dim
    measured[Name("pca", Point(), 0)] = measure_pca(
        seen.reshape(len(seen), -1), x, labels, latent_dim, experiment.evaluation
    )
    return measured


def measure(
    experiment: Experiment,
    name: Name,
    system: System,
    params,
    again,
    x: np.ndarray,
    labels: Labels | None,
    judge: frechet.Classifier | None,
    log_cells: float,
) -> Measured:
    """Measure one system.

    Args:
        experiment: the config.
        name: of the system.
        system: the model.
        params: its parameters.
        again: those whose encoder was fitted again at gamma = 1; None for none.
        x: held-out examples [n, ...].
        labels: for probes; None for no probes.
        judge: in whose features samples are compared; None for no comparison.
        log_cells: the logarithm of the volume of the data's cells, in nats.
    """
    settings = experiment.evaluation
    keys = jax.random.split(key_of(experiment.training.seed, "evaluation", dotted(name.key)), 11)
    size = settings.batch_size
    scalars: dict[str, Any] = {}
    # one key for all methods of a seed, whose differences then have little noise
    key = key_of(experiment.training.seed, "losses", name.seed)
    terms = losses(key, system, params, x, settings.num_samples, size)
    values = of_terms(terms, log_cells, "") | of_parts(terms, log_cells)
    if again is not None:
        terms = losses(jax.random.clone(key), system, again, x, settings.num_samples, size)
        values |= of_terms(terms, log_cells, "refit_")
    if name.method == "without_latent":
        values["neg_elbo"] = values["distortion"]
        scalars |= frechet_distances(keys[2], system, params, x, judge, settings)
        return Measured(values, scalars, np.zeros((len(x), 0)))
    z = noisy_terms.latents(keys[3], system, params, x, 1, size)
    # the same pairs for all systems; neighbours may be alike, as digits of one writer are
    pairs = rng_of(experiment.training.seed, "pairs").permutation(len(x))
    values |= reconstruction_errors(keys[4], system, params, x, z, size)
    mean = noisy_terms.latents(keys[5], system, params, x, settings.mean_samples, size)
    second = noisy_terms.latents(keys[10], system, params, x, settings.mean_samples, size)
    scalars["active_dimensions"] = Estimate(float(np.sum(spread(mean, second) > ACTIVE)), 0.0)
    if hasattr(system.encoder, "embed_null"):
        log_learned = noisy_terms.log_learned_prior(system, params, x, z, size)
        log_prior = np.asarray(jax.jit(decoders.log_prior)(z))
        values["rate_of_learned_prior"] = values["rate"] - (log_learned - log_prior)
    rise = None
    if not system.decoder.is_exact:
        key = key_of(experiment.training.seed, "exchanged", name.seed)
        rise = noisy_terms.shuffle_rise(key, system, params, x[pairs], z[pairs])
        values["shuffle_rise"] = np.asarray(rise.total)
        values |= rise_by_level(rise)
    if labels is not None:
        train_z = noisy_terms.latents(keys[7], system, params, labels.x, 1, size)
        train_mean = train_z
        if name.method != "deterministic_encoder":
            train_mean = noisy_terms.latents(
                keys[9],
                system,
                params,
                labels.x,
                settings.mean_samples,
                size,
            )
        values |= accuracies(train_z, z, labels, settings, "")
        values |= accuracies(train_mean, mean, labels, settings, "_of_mean")
        scalars |= label_information(experiment, system, train_z, z, labels)
    scalars |= frechet_distances(keys[8], system, params, x, judge, settings)
    return Measured(values, scalars, z, rise)


def spread(mean: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Estimate the variance of E[z|x] over x [d], by the covariance of two means of draws.

    The variance of one such mean holds that of the draws, too: 1 / 16 for a latent that says
    nothing and has 16 draws, well above `ACTIVE`. The draws of two means are independent.

    Args:
        mean: of draws of z for each example [n, d].
        second: of other draws.
    """
    return np.mean((mean - mean.mean(axis=0)) * (second - second.mean(axis=0)), axis=0)


def of_terms(terms: bounds.Elbo, log_cells: float, prefix: str) -> dict[str, np.ndarray]:
    """Name the losses of the data themselves [n], by quantity.

    Args:
        terms: of x.
        log_cells: the logarithm of the volume of the data's cells.
        prefix: of the names.
    """
    distortion = np.asarray(terms.distortion)
    values = {f"{prefix}distortion": distortion + log_cells}
    if terms.rate is not None:
        rate = np.asarray(terms.rate)
        values[f"{prefix}rate"] = rate
        values[f"{prefix}neg_elbo"] = rate + distortion + log_cells
    return values


def of_parts(terms: bounds.Elbo, log_cells: float) -> dict[str, np.ndarray]:
    """Name the parts of a diffusion decoder's distortion [n]; none of another decoder.

    Args:
        terms: of x.
        log_cells: the logarithm of the volume of the data's cells.
    """
    if terms.parts is None:
        return {}
    values = {field.name: getattr(terms.parts, field.name) for field in fields(terms.parts)}
    if log_cells:
        values["dequantization"] = np.full(len(terms.distortion), log_cells)
    return values


def rise_by_level(rise: ShuffleRise) -> dict[str, np.ndarray]:
    """Divide the rise among bands of lambda: {quantity: nats [pairs]}.

    A band reaches from its level to the next; the first and the last hold all beyond.
    """
    bands = np.clip(np.digitize(rise.log_snr, BANDS) - 1, 0, None)
    return {
        f"lambda={level}.shuffle_rise": np.sum(rise.terms * (bands == index), axis=1)
        for index, level in enumerate(BANDS)
    }
