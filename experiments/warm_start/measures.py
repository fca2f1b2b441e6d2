"""What is measured of one system of experiments.warm_start, one value for each example."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import grid_models
from diffenc.diffusion import likelihood
from diffenc.diffusion.likelihood import Terms
from diffenc.diffusion.noise_levels import Levels, stratified_uniform
from diffenc.estimate import Estimate, map_examples
from diffenc.grid_models import Carried
from diffenc.grid_runs import Name
from diffenc.keys import key_of
from diffenc.run import parallel
from experiments.warm_start.models import System
from experiments.warm_start.settings import Evaluation

NUM_BINS = 32  # of noise levels, in a profile


class Losses(NamedTuple):
    """Draws of the integrand of the diffusion, each [n, draws].

    Attributes:
        errors: 1/2 e^lambda |x - x_hat|^2 in nats; over density they average to the integral.
        log_snr: lambda.
        density: by which it was drawn.
    """

    errors: np.ndarray
    log_snr: np.ndarray
    density: np.ndarray


class Profile(NamedTuple):
    """Where a model loses its bits, and where its schedule draws its noise levels.

    Attributes:
        edges: of the bins of log_snr [K + 1].
        loss: the diffusion's integrand in each bin [K], in bits a dimension per unit of lambda.
        log_snr: the levels of even times, from the data to the noise [m].
        density: by which training draws them [m].
    """

    edges: np.ndarray
    loss: np.ndarray
    log_snr: np.ndarray
    density: np.ndarray

    @property
    def time(self) -> np.ndarray:
        """The share of the draws that are less noisy than `log_snr` [m]."""
        return np.linspace(0.0, 1.0, len(self.log_snr))

    @property
    def total(self) -> float:
        """The diffusion term, in bits a dimension."""
        return float(self.loss @ np.diff(self.edges))

    @property
    def lost(self) -> np.ndarray:
        """The share of the diffusion term that is from levels less noisy than `log_snr` [m]."""
        below = np.concatenate([[0.0], np.cumsum(self.loss * np.diff(self.edges))])
        return 1 - np.interp(self.log_snr, self.edges, below) / self.total


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
    states = parallel.local(states)
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


def losses(
    key, system: System, model, x: np.ndarray, levels: Levels, draws: int, batch_size: int
) -> Losses:
    """Draw the integrand of the diffusion at noise levels of a density.

    Args:
        key: a random key.
        system: the model.
        model: its parameters and what its state carries.
        x: values [n, ...].
        levels: the density.
        draws: noise levels of each example.
        batch_size: examples at a time.
    """
    params, carried = model

    def of_example(key, x):
        key_level, key_noise = jax.random.split(key)
        log_snr, density = levels.draw(stratified_uniform(key_level, (draws,)))
        errors = _errors(key_noise, params, carried, x, log_snr, denoiser=system.denoiser)
        return Losses(errors[None], log_snr[None], density[None])

    return map_examples(of_example, key, x, batch_size)


@functools.partial(jax.jit, static_argnames="denoiser")
def _errors(key, params, carried: Carried, x, log_snr, *, denoiser):
    """Draw 1/2 e^lambda |x - x_hat|^2 of one x [1, ...] at each lambda [draws]."""
    codes = denoiser.alphabet.encode(jnp.broadcast_to(x, (len(log_snr), *x.shape[1:])))
    x_hat = denoiser.denoise(
        params, carried.marginals, likelihood.noised(key, codes, log_snr), log_snr
    )
    square = jnp.square(codes - x_hat).reshape(len(codes), -1).sum(axis=-1)
    return 0.5 * jnp.exp(log_snr) * square


def training_levels(system: System, carried: Carried) -> Levels:
    """Give the density by which a system's training draws its noise levels, as it is at its end."""
    return carried.levels if system.levels is None else system.levels


def loss_variance(drawn: Losses, dim: int) -> np.ndarray:
    """Give squared distances of the loss of single draws from its mean, averaged to [n].

    Their mean is the variance of the loss of one example at one noise level, in squared bits a
    dimension.

    Args:
        drawn: by the density of training.
        dim: D.
    """
    loss = likelihood.bits_per_dim(drawn.errors / drawn.density, dim)
    return np.square(loss - loss.mean()).mean(axis=1)


def profile(drawn: Losses, levels: Levels, dim: int) -> Profile:
    """Average the integrand in bins of noise levels.

    Args:
        drawn: evenly over the range of levels.
        levels: the density of training.
        dim: D.
    """
    edges = np.linspace(levels.low, levels.high, NUM_BINS + 1)
    count, _ = np.histogram(drawn.log_snr, edges)
    total, _ = np.histogram(drawn.log_snr, edges, weights=drawn.errors)
    log_snr, density = levels.draw(jnp.linspace(0.0, 1.0, 500))
    fall = np.argsort(-np.asarray(log_snr), kind="stable")
    return Profile(
        edges,
        likelihood.bits_per_dim(total / np.maximum(count, 1), dim),
        np.asarray(log_snr)[fall],
        np.asarray(density)[fall],
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
