"""What is measured of one system of experiments.warm_start, one value for each example."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import grid_models
from diffenc.diffusion import likelihood
from diffenc.diffusion.likelihood import Terms
from diffenc.estimate import Estimate, map_examples
from diffenc.grid_models import Carried
from diffenc.grid_runs import Name
from diffenc.keys import key_of
from experiments.warm_start.models import System
from experiments.warm_start.settings import Evaluation


class LearnedLevels(NamedTuple):
    """What training has learned of its noise levels, and how it drew them.

    Attributes:
        centres: of the bins of log_snr [K].
        loss: the diffusion's integrand there, on training examples, in bits a dimension.
        log_snr: quantiles of the density of the levels in training [m].
        density: that density there [m].
    """

    centres: np.ndarray
    loss: np.ndarray
    log_snr: np.ndarray
    density: np.ndarray


def terms(key, system: System, model, x: np.ndarray, draws: int, batch_size: int) -> Terms:
    """Draw the terms of the bound of every example, [n] each, in nats.

    Noise levels are drawn by the density that training has learned, whatever it was trained by.

    Args:
        key: a random key.
        system: the model.
        model: its parameters and what its state carries.
        x: values [n, ...].
        draws: noise levels of each example.
        batch_size: examples at a time.
    """
    params, carried = model

    def of_batch(key, x):
        return grid_models.draw_terms(
            key, params, carried, x, denoiser=system.denoiser, draws=draws
        )

    return map_examples(of_batch, key, x, batch_size)


def monitor(
    seed: int, systems: dict[Name, System], x: np.ndarray, settings: Evaluation, states, step: int
) -> dict[str, float]:
    """Measure the bound on a few held-out examples while systems train, in bits a dimension.

    Args:
        seed: of the run.
        systems: all of them.
        x: held-out examples.
        settings: how many of them, and how.
        states: of the systems.
        step: updates made.
    """
    values = {}
    x = x[: settings.monitor]
    with jax.default_matmul_precision("highest"):
        for name, system in systems.items():
            model = (states[name].averages, states[name].carried)
            key = key_of(seed, "monitor")
            bound = terms(key, system, model, x, settings.draws, settings.batch_size).total
            mean, stderr = Estimate.of(likelihood.bits_per_dim(bound, x[0].size))
            values[f"{name.model}.{name.seed}.held_out_bits_per_dim"] = mean
            values[f"{name.model}.{name.seed}.held_out_stderr"] = stderr
    return values


def in_bits(drawn: Terms, dim: int) -> dict[str, np.ndarray]:
    """Give every quantity of the results [n] in bits a dimension, by name.

    Args:
        drawn: the terms.
        dim: D.
    """
    quantities = {
        "bits_per_dim": drawn.total,
        "it_nll": likelihood.it_nll(drawn.weighted, dim),
        "prior": drawn.prior,
        "diffusion": drawn.diffusion,
        "reconstruction": drawn.reconstruction,
    }
    return {
        quantity: np.asarray(likelihood.bits_per_dim(jnp.asarray(values), dim))
        for quantity, values in quantities.items()
    }


def learned_levels(system: System, carried: Carried, dim: int) -> LearnedLevels:
    """Give what a system's training has learned of its noise levels, and how it drew them.

    Args:
        system: the model.
        carried: by its trained state.
        dim: D.
    """
    learned = carried.levels
    num_bins = len(learned.first)
    width = (learned.high - learned.low) / num_bins
    centres = learned.low + width * (np.arange(num_bins) + 0.5)
    drawn = learned if system.levels is None else system.levels
    log_snr, density = drawn.draw(jnp.linspace(0.0, 1.0, 500))
    return LearnedLevels(
        centres,
        likelihood.bits_per_dim(np.asarray(learned.mean), dim),
        np.asarray(log_snr),
        np.asarray(density),
    )


def sample(key, system: System, model, shape: tuple[int, ...], settings: Evaluation) -> np.ndarray:
    """Draw values from a model [samples, ...].

    Args:
        key: a random key.
        system: the model.
        model: its parameters and what its state carries.
        shape: of one example.
        settings: how many, and in how many steps.
    """
    params, carried = model
    values = grid_models.sample(
        key,
        params,
        carried,
        denoiser=system.denoiser,
        shape=(settings.samples, *shape),
        steps=settings.sampler_steps,
    )
    return np.asarray(values)
