"""Held-out numbers of experiments.diffusion_encoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.factor_analysis import FactorAnalysis
from diffenc.diffusion.gaussians import Gaussian
from diffenc.estimate import Estimate, map_examples, median
from diffenc.keys import key_of
from diffenc.latent import bounds, decoders, held_out
from diffenc.latent.systems import System
from diffenc.run import parallel
from diffenc.run.tables import Result
from experiments.diffusion_encoder.examples import Truth
from experiments.diffusion_encoder.settings import NAMES, Evaluation

NUM_LEARNED = 4000  # draws from the learned prior, for its divergence from N(0, I)


def monitor(
    seed: int,
    models: dict[str, System],
    x: np.ndarray,
    truth: Truth | None,
    batch_size: int,
    states: dict,
    step: int,
) -> dict[str, float]:
    """Measure both bounds for the training curves, and the gap of factor analysis.

    Args:
        seed: of the run.
        models: the systems by name.
        x: held-out data [n, ...]; one draw for each example.
        truth: the maximum-likelihood model, where it is known.
        batch_size: examples at a time.
        states: of training, by name.
        step: update at which this is.

    Returns:
        Means by the names of metrics.
    """
    states = parallel.local(states)
    scalars = {}
    for name, system in models.items():
        params = states[name].averages
        key = key_of(seed, "monitor", step)
        terms = held_out.map_bound(key, bounds.terms, system, params, x, 1, batch_size)
        for quantity in ("neg_elbo", "rate", "distortion"):
            scalars[f"{name}.held_out_{quantity}"] = Estimate.of(getattr(terms, quantity)).mean
        if truth is not None:
            scalars[f"{name}.ml_gap"] = float(jnp.mean(likelihood_gap(params, truth)))
    return scalars


def evaluate(
    seed: int,
    models: dict[str, System],
    params: dict,
    x: np.ndarray,
    truth: Truth | None,
    settings: Evaluation,
    num_shown: int,
) -> tuple[list[Result], dict]:
    """Measure every system.

    Args:
        seed: of the run.
        models: the systems by name.
        params: of each of them.
        x: held-out data [n, ...].
        truth: the maximum-likelihood model, where it is known.
        settings: what is measured.
        num_shown: latents that are decoded, for figures.

    Returns:
        The results, and for the figures {name: {quantity: array}}.
    """
    results = []
    arrays = {}
    nlls = {}
    for name, system in models.items():
        key = key_of(seed, "evaluation", name)
        key_terms, key_own, key_prior, key_learned = jax.random.split(key, 4)
        terms = held_out.map_bound(
            key_terms,
            bounds.terms,
            system,
            params[name],
            x,
            settings.num_samples,
            settings.batch_size,
        )
        nlls[name] = terms.nll
        for quantity in ("neg_elbo", "nll", "rate", "distortion", "ess"):
            estimate = Estimate.of(getattr(terms, quantity))
            unit = "samples" if quantity == "ess" else "nats"
            results.append(Result(f"{name}.{quantity}", *estimate, unit))

        pairs = held_out.reconstructions(
            key_own, system, params[name], x, settings.langevin_steps, settings.batch_size
        )
        gap = Estimate.of(pairs.own_loss - pairs.corrected_loss)
        results += [
            Result(f"{name}.reconstruction_own", *Estimate.of(pairs.own_loss)),
            Result(f"{name}.reconstruction_langevin", *Estimate.of(pairs.corrected_loss)),
            Result(f"{name}.amortization_gap", *gap),
        ]
        arrays[name] = decode_shown(key_prior, system, params[name], pairs, num_shown)
        if name == "diffusion_encoder":
            draws = held_out.learned_prior(
                key_learned, system, params[name], NUM_LEARNED, x.shape[1:]
            )
            log_prior = np.asarray(jax.jit(decoders.log_prior)(draws.z))
            prior_kl = Estimate.of(np.asarray(draws.log_prob) - log_prior)
            results.append(Result(f"{name}.prior_kl", *prior_kl))
            shown = np.asarray(draws.z)[:num_shown]
            arrays[name]["learned"] = held_out.decode(system, params[name], shown)
        if truth is not None:
            key = key_of(seed, "posterior_kl", name)
            results += factor_analysis(
                key, name, system, params[name], x, truth, settings.batch_size
            )
    if "vae" in nlls:  # on the same examples, so most of either error cancels
        below = Estimate.of(nlls["vae"] - nlls["diffusion_encoder"])
        results.append(Result("diffusion_encoder.nll_below_vae", *below))
    return results, arrays


def decode_shown(
    key, system: System, params, pairs: held_out.Reconstructions, num_shown: int
) -> dict:
    """Decode the first latents of the examples and some of the prior, for figures.

    Args:
        key: of the draws from the prior.
        system: the model.
        params: its parameters.
        pairs: latents of the examples.
        num_shown: how many are decoded; all latents of the encoder's own are returned.
    """
    z_prior = jax.random.normal(key, (num_shown, pairs.own.shape[1]))
    return {
        "z": pairs.own,
        "own": held_out.decode(system, params, pairs.own[:num_shown]),
        "langevin": held_out.decode(system, params, pairs.corrected[:num_shown]),
        "prior": held_out.decode(system, params, z_prior),
    }


def learned_model(decoder_params) -> FactorAnalysis:
    """Give the factor analysis that a linear Gaussian decoder has become."""
    dense = decoder_params["network"]["params"]["Dense_0"]
    log_tau = decoder_params["log_tau"]
    if log_tau.ndim:
        log_tau = decoders.log_tau_of_columns(decoder_params)
    return FactorAnalysis(dense["kernel"].T, dense["bias"], jnp.exp(log_tau))


def likelihood_gap(params, truth: Truth) -> jax.Array:
    """Evaluate how far log p(x) of the training data is below its maximum [n], in nats."""
    model = learned_model(params["decoder"])
    return truth.model.log_prob(truth.x) - model.log_prob(truth.x)


@functools.partial(jax.jit, static_argnames=("encoder", "sampler_steps", "gamma"))
def _divergence(key, params, x, *, encoder, sampler_steps, gamma):
    context = encoder.infer(params, x)
    z, log_q = encoder.sample_and_log_prob(key, params, context, sampler_steps)
    mean, cov = learned_model(params["decoder"]).posterior(x, gamma)
    return log_q - Gaussian(jnp.zeros_like(mean[0]), cov).log_prob(z - mean)


def factor_analysis(
    key, name: str, system: System, params, x, truth: Truth, batch_size: int
) -> list[Result]:
    """Measure the gap to maximum likelihood, and KL(q(z|x) || p(z|x)) to the exact posterior.

    Args:
        key: a random key.
        name: of the system.
        system: the model; its decoder is linear and Gaussian.
        params: its parameters.
        x: held-out data [n, ...].
        truth: the maximum-likelihood model.
        batch_size: examples at a time.
    """
    gap = Estimate.of(likelihood_gap(params, truth))
    divergence = functools.partial(
        _divergence,
        encoder=system.encoder,
        sampler_steps=system.sampler_steps,
        gamma=system.gamma,
    )
    kl = map_examples(lambda key, x: divergence(key, params, x), key, x, batch_size)
    return [
        Result(f"{name}.ml_gap", *gap, truth=0.0),
        Result(f"{name}.posterior_kl", *Estimate.of(kl), truth=0.0),
    ]


def update_times(metrics: list[dict]) -> list[Result]:
    """Give milliseconds per update of each system and their ratio.

    They are medians over dispatches after the first, which compiles.
    """
    times = {}
    for name in NAMES:
        metric = f"{name}.ms_per_update"
        values = [line[metric] for line in metrics if metric in line][1:]
        if len(values) >= 2:
            times[name] = np.array(values)
    results = [
        Result(f"{name}.update_time", *median(values), "ms") for name, values in times.items()
    ]
    if len(times) == 2:
        ratio = median(times["diffusion_encoder"] / times["vae"])
        results.append(Result("diffusion_encoder.update_time_ratio", *ratio, "VAE updates"))
    return results
