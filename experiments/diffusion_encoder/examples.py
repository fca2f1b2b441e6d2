"""The data of experiments.diffusion_encoder, as its models see them."""

import dataclasses
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
from diffenc.run import data, scaling
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
    if settings.name == "file":
        dataset = read_values(dataset, settings.values, decoder)
    if decoder == "bernoulli" and dataset.max_value is None:
        raise InputError(
            f"data set {dataset.name!r} is real-valued: set --config.model.decoder=gaussian"
        )
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


def read_values(dataset: data.Dataset, values: str, decoder: str) -> data.Dataset:
    """Decide what the numbers of a user's file are, where they alone do not tell.

    Bits may be written as -1 and +1. Numbers in [0, 1] are chances of bits, or measurements, which
    only the user knows.

    Args:
        dataset: the file's.
        values: what the user says of numbers in [0, 1], see `DataSettings`.
        decoder: its kind.

    Returns:
        The data set, whose `max_value` is None where it is real-valued.

    Raises:
        InputError: the user has not said it, or not what fits the decoder.
    """
    parts = (dataset.train, dataset.test)
    if dataset.max_value is None:
        has_signs = all(np.all(np.abs(part) == 1) for part in parts)
        if decoder == "bernoulli" and has_signs:
            logging.warning(
                f"data set {dataset.name!r} holds -1 and +1 alone, which are taken as bits"
            )
            return dataclasses.replace(dataset, max_value=1.0, has_signs=True)
        return dataset
    is_open = np.issubdtype(dataset.train.dtype, np.floating)
    if is_open and decoder == "gaussian" and values != "chances":
        return dataclasses.replace(dataset, max_value=None)
    if values == "chances" and decoder == "gaussian":
        raise InputError(
            "config field data.values is 'chances', which are of bits: set "
            "--config.model.decoder=bernoulli, or --config.data.values=reals"
        )
    are_bits = all(np.all((part == 0) | (part == 1)) for part in parts)
    if not is_open or are_bits or values == "chances":
        return dataset
    raise InputError(
        f"data set {dataset.name!r} holds numbers in [0, 1]: say what they are, chances of bits "
        "that are drawn anew at every visit (--config.data.values=chances) or measurements "
        "(--config.model.decoder=gaussian)"
    )


def make_scaling(decoder: str, dataset: data.Dataset) -> scaling.Scaling:
    """Make what turns rows of the data into x: bits for "bernoulli", else standardized numbers."""
    if decoder == "bernoulli":
        return scaling.Scaling.of_bits(dataset)
    return scaling.Scaling.of_numbers(dataset)


def observe(
    seed: int, prepare: Callable, rows: np.ndarray, count: int | None = None, name: str = "test"
) -> np.ndarray:
    """Draw x [n, ...] of rows once and for all, by the seed and by the name of the rows.

    Args:
        seed: of the run.
        prepare: that of a `Scaling`.
        rows: examples [n, ...].
        count: how many of them, at most; None for all.
        name: of these rows.
    """
    key = key_of(seed, "observed", name)
    return np.asarray(prepare(key, jnp.asarray(rows[:count])))
