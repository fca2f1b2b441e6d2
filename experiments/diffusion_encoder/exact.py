"""Encoders beside the exact posteriors of their own decoders, where the latent has two dimensions.

There p(z|x) of a trained decoder is known on a grid, so an encoder's error is a number and a
picture: KL(p(z|x) || q(z|x)), which counts every posterior mode that the encoder misses, and -log
p(x) itself in place of a bound.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.estimate import Estimate
from diffenc.latent import systems, toys
from diffenc.run.tables import Result

GRID = toys.Grid(latent_dim=2, half_width=5.0, num_points=200)
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the divergences, at which the figure shows examples
NUM_SAMPLES = 400  # of each encoder in the figure


def applies(config, truth) -> bool:
    """Whether posteriors are known on a grid; factor analysis has closed forms instead."""
    return config.model.latent_dim == 2 and config.eval.grid_draws > 0 and truth is None


def measure(config, models, state, held_out) -> tuple[list[Result], dict]:
    """Compare every encoder with the exact posterior of its decoder.

    Args:
        config: of the experiment; read are seed, eval.sampler_steps and eval.grid_draws.
        models: {name: System}.
        state: {name: TrainState}; the averages of the parameters are measured.
        held_out: x [n, D].

    Returns:
        The results, and for the figure {"chosen": indices of the examples, name: {"kl" [n],
        "posterior" [k, points, points], "z" [k, samples, 2]}}. The examples lie at QUANTILES of the
        VAE's divergence, or of the diffusion encoder's where no VAE was trained, so they are not
        chosen by their looks.
    """
    results, divergences, nlls = [], {}, {}
    key_of_draws, key_of_figure = jax.random.split(jax.random.key(config.seed + 8))
    for index, (name, system) in enumerate(models.items()):
        divergences[name], nlls[name] = systems.exact(
            system,
            state[name].averages,
            jax.random.fold_in(key_of_draws, index),
            held_out,
            GRID,
            config.eval.sampler_steps,
            config.eval.grid_draws,
        )
        kl = Estimate.of(divergences[name])
        results.append(Result(f"{name}.posterior_kl", *kl, truth=0.0))
        results.append(Result(f"{name}.exact_nll", *Estimate.of(nlls[name])))
    if "vae" in models:  # on the same examples
        for quantity, values in (("posterior_kl", divergences), ("exact_nll", nlls)):
            difference = Estimate.of(values["vae"] - values["diffusion_encoder"])
            results.append(Result(f"diffusion_encoder.{quantity}_below_vae", *difference))

    order = np.argsort(np.asarray(divergences.get("vae", divergences["diffusion_encoder"])))
    chosen = order[[int(quantile * len(order)) for quantile in QUANTILES]]
    arrays = {"chosen": chosen}
    for index, (name, system) in enumerate(models.items()):
        params, x = state[name].averages, jnp.asarray(held_out[chosen])
        posterior = jax.jit(functools.partial(toys.posterior, system.decoder, GRID))
        shape = (len(chosen), GRID.num_points, GRID.num_points)
        repeated = jnp.repeat(x, NUM_SAMPLES, axis=0)
        key = jax.random.fold_in(key_of_figure, index)
        z = systems.own_samples(system, params, key, repeated)
        arrays[name] = dict(
            kl=np.asarray(divergences[name]),
            posterior=np.exp(np.asarray(posterior(x, params["decoder"]))).reshape(shape),
            z=np.asarray(z).reshape(len(chosen), NUM_SAMPLES, 2),
        )
    return results, arrays
