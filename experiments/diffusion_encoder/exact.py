"""Encoders beside the exact posteriors of their own decoders, where the latent has two dimensions.

There p(z|x) of a trained decoder is known on a grid, so an encoder's error is a number and a
picture: KL(p(z|x) || q(z|x)), which counts every posterior mode that the encoder misses, and -log
p(x) itself in place of a bound.
"""

from typing import NamedTuple

import jax
import numpy as np

from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.latent import held_out, posterior_grid
from diffenc.latent.systems import System
from diffenc.run.tables import Result
from experiments.diffusion_encoder.examples import Truth

GRID = posterior_grid.Grid(latent_dim=2, half_width=5.0, num_points=200)
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the divergences, at which the figure shows examples
NUM_SAMPLES = 400  # of each encoder in the figure


class Picture(NamedTuple):
    """What the figure shows of one encoder at k examples.

    Attributes:
        kl: the divergence of each of them [k], in nats.
        posterior: density of the exact posterior on the grid [k, points, points].
        z: samples of the encoder [k, samples, 2].
    """

    kl: np.ndarray
    posterior: np.ndarray
    z: np.ndarray


class Pictures(NamedTuple):
    """What the figure shows.

    Attributes:
        rows: indices of the k examples.
        of_system: {name: Picture}.
    """

    rows: np.ndarray
    of_system: dict[str, Picture]


def applies(latent_dim: int, grid_draws: int, truth: Truth | None) -> bool:
    """Tell whether posteriors are known on a grid; factor analysis has closed forms instead.

    Args:
        latent_dim: the dimension of the latent.
        grid_draws: exact draws that are asked for.
        truth: the maximum-likelihood model of factor analysis; None for other data.
    """
    return latent_dim == GRID.latent_dim and grid_draws > 0 and truth is None


def measure(
    seed: int, models: dict[str, System], params: dict, x: np.ndarray, num_draws: int
) -> tuple[list[Result], Pictures]:
    """Compare every encoder with the exact posterior of its decoder.

    Args:
        seed: of the run.
        models: the systems by name.
        params: of each of them.
        x: held-out data [n, ...].
        num_draws: exact draws of z for each x.

    Returns:
        The results, and what the figure shows. The examples lie at QUANTILES of the VAE's
        divergence, or of the diffusion encoder's where no VAE was trained, so they are not chosen
        by their looks.
    """
    results = []
    numbers = {}
    for name, system in models.items():
        key = key_of(seed, "exact", name)
        numbers[name] = held_out.on_grid(
            key, system, params[name], x, GRID, system.sampler_steps, num_draws
        )
        kl = Estimate.of(numbers[name].kl)
        results.append(Result(f"{name}.posterior_kl", *kl, truth=0.0))
        results.append(Result(f"{name}.exact_nll", *Estimate.of(numbers[name].nll)))
    if "vae" in models:  # on the same examples
        one = numbers["diffusion_encoder"]
        other = numbers["vae"]
        kl = Estimate.of(other.kl - one.kl)
        nll = Estimate.of(other.nll - one.nll)
        results.append(Result("diffusion_encoder.posterior_kl_below_vae", *kl))
        results.append(Result("diffusion_encoder.exact_nll_below_vae", *nll))

    order = np.argsort(numbers.get("vae", numbers["diffusion_encoder"]).kl)
    rows = order[[int(quantile * len(order)) for quantile in QUANTILES]]
    pictures = {
        name: picture(
            key_of(seed, "exact_figure", name),
            system,
            params[name],
            x[rows],
            num_draws,
        )
        for name, system in models.items()
    }
    return results, Pictures(rows, pictures)


def picture(key: jax.Array, system: System, params, x: np.ndarray, num_draws: int) -> Picture:
    """Draw samples of an encoder, and evaluate the exact posterior, at some examples.

    Args:
        key: of the samples and of the draws for the divergences.
        system: the model.
        params: its parameters.
        x: the examples [k, ...].
        num_draws: of z for each x at a time. Every example is taken as often as makes about
            NUM_SAMPLES of them, 25 times at most. Where that is a batch, as in the demo, the
            program that measured all held-out data serves here, too.
    """
    key_own, key_kl = jax.random.split(key)
    times = int(np.clip(NUM_SAMPLES // num_draws, 1, 25))
    again = np.repeat(x, times, axis=0)
    kl = held_out.on_grid(key_kl, system, params, again, GRID, system.sampler_steps, num_draws).kl
    kl = kl.reshape(len(x), times).mean(axis=1)
    log_posterior = held_out.log_posterior(params["decoder"], x, decoder=system.decoder, grid=GRID)
    z = held_out.own_samples(key_own, system, params, np.repeat(x, NUM_SAMPLES, axis=0))
    return Picture(
        kl,
        np.exp(np.asarray(log_posterior)).reshape(len(x), GRID.num_points, GRID.num_points),
        np.asarray(z).reshape(len(x), NUM_SAMPLES, GRID.latent_dim),
    )
