"""The data of experiments.diffusion_encoder, as its models see them."""

import functools
import logging
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.errors import InputError
from diffenc.keys import key_of
from diffenc.run import data
from experiments import command_line
from experiments.diffusion_encoder.settings import DataSettings


class Truth(NamedTuple):
    """The maximum-likelihood model of training data, in closed form for factor analysis.

    Attributes:
        model: the model.
        x: the training data [n, D].
    """

    model: FactorAnalysis
    x: jax.Array


def load(settings: DataSettings, decoder: str) -> data.Dataset:
    """Load the data set, and see that the decoder fits it.

    Args:
        settings: which data.
        decoder: the kind of decoder, of `decoders.KINDS`.
    """
    dataset = data.load(
        settings.name,
        data_dir=settings.dir or None,
        path=settings.path or None,
        test_fraction=settings.test_fraction,
        cache_dir=settings.cache_dir or None,
    )
    if decoder == "bernoulli" and dataset.max_value is None:
        raise InputError(
            f"data set {dataset.name!r} is real-valued: set --config.model.decoder=gaussian"
        )
    if decoder == "gaussian":
        warn_of_scale(dataset)
    if settings.validation:
        with command_line.naming(count="data.validation"):
            dataset = data.hold_out(dataset, settings.validation)
    return dataset


def draw_factor_analysis(seed: int, latent_dim: int) -> tuple[data.Dataset, Truth]:
    """Draw x = W z + mu + tau noise: 2,000 examples of 10 dimensions to train on, as many to test.

    Args:
        seed: of the run.
        latent_dim: the dimension of z.

    Returns:
        The data set and its maximum-likelihood model.
    """
    dim = 10
    count = 2000
    key_of_truth = functools.partial(key_of, seed, "factor_analysis")
    weight = jax.random.normal(key_of_truth("weight"), (dim, latent_dim))
    mean = jax.random.normal(key_of_truth("mean"), (dim,))
    source = FactorAnalysis(weight, mean, 0.5)
    train = np.asarray(source.sample(key_of_truth("train"), count)[0])
    test = np.asarray(source.sample(key_of_truth("test"), count)[0])
    dataset = data.Dataset("factor_analysis", train, test, None, None, None)
    model = FactorAnalysis.maximum_likelihood(train, latent_dim)
    return dataset, Truth(model, jnp.asarray(train))


def warn_of_scale(dataset: data.Dataset) -> None:
    """Warn where a column is far from unit scale, at which a Gaussian decoder starts."""
    rows = dataset.train.reshape(len(dataset.train), -1) / (dataset.max_value or 1.0)
    mean = rows.mean(axis=0)
    deviation = rows.std(axis=0)
    column = int(np.argmax(np.maximum(np.abs(mean), deviation)))
    if max(abs(mean[column]), deviation[column]) > 10:
        logging.warning(
            f"data set {dataset.name!r} has a column {column} of mean {mean[column]:.3g} "
            f"and deviation {deviation[column]:.3g}: give columns of about unit scale, "
            "the decoder starts there"
        )


def make_prepare(decoder: str, max_value: float | None) -> Callable:
    """Make what turns rows of the data into x, see `data.make_prepare`: bits for "bernoulli"."""
    return data.make_prepare(decoder == "bernoulli", max_value)


def observe(
    seed: int, prepare: Callable, rows: np.ndarray, count: int | None = None, name: str = "test"
) -> np.ndarray:
    """Draw x [n, ...] of rows once and for all, by the seed and by the name of the rows.

    Args:
        seed: of the run.
        prepare: of `make_prepare`.
        rows: examples [n, ...].
        count: how many of them, at most; None for all.
        name: of these rows.
    """
    key = key_of(seed, "observed", name)
    return np.asarray(prepare(key, jnp.asarray(rows[:count])))
