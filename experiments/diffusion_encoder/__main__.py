"""Train a diffusion encoder by alternating EM, a VAE beside it, and measure both on held-out data.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/digits.py --workdir=DIR

Read it from top to bottom: data, models, states, training, held-out numbers, figures.
"""

import functools
import logging
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import training
from diffenc.diffusion import analytic
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.latent import chains, decoders, em, proposals, systems
from diffenc.latent.encoder import REFERENCES
from diffenc.run import data, loop, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.diffusion_encoder import exact, figures


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    check(config)
    check_e_step(config)
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)

    dataset, truth = load_data(config)
    models = make_systems(config, dataset)
    advance = make_advance(config, mesh, dataset, models)
    state = parallel.replicate(mesh, {name: system.state for name, system in models.items()})
    held_out = observe(config, dataset, dataset.test)
    state = loop.train(
        workdir,
        state,
        advance,
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=functools.partial(monitor, config, models, held_out, truth),
        evaluate_every=config.evaluate_every,
        headline=headline,
        extras=tuple(config.metrics_extras),
    )
    results, arrays = evaluate(config, models, parallel.local(state), held_out, truth)
    metrics = records.read_metrics(workdir)
    results += update_times(metrics)
    if exact.applies(config, truth):
        on_grid, arrays_on_grid = exact.measure(config, models, parallel.local(state), held_out)
        results += on_grid
        figures.posteriors(workdir, dataset, held_out, arrays_on_grid)
    figures.draw(workdir, config, dataset, held_out, arrays, metrics)
    tables.write_results(workdir, results)
    tables.print_table(results, title=f"{dataset.name}: held-out results")
    print(f"figures: {workdir / 'figures'}")


# ---------------------------------------------------------------------------------- data and models


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    positive = (
        "batch_size",
        "num_updates",
        "updates_per_dispatch",
        "save_every",
        "learning_rate",
        "em.gamma",
        "em.draws",
    )
    command_line.check_positive(
        config, *positive, "model.latent_dim", "em.sampler_steps", "em.step_size"
    )
    command_line.check_positive(
        config, "model.residual_bound", "em.leapfrog_steps", "em.proposals", "em.proposal_width"
    )
    command_line.check_positive(config, "eval.num_samples", "eval.sampler_steps", "eval.batch_size")
    not_negative = (
        "seed",
        "data.validation",
        "warmup",
        "clip_norm",
        "evaluate_every",
        "baseline_learning_rate",
    )
    command_line.check_not_negative(
        config, *not_negative, "em.langevin_steps", "model.newton_steps", "num_devices"
    )
    command_line.check_not_negative(config, "eval.num_examples", "eval.langevin_steps")
    command_line.check_not_negative(config, "eval.grid_draws")
    command_line.check_not_negative(config, "em.path_weight", "model.octaves", "model.landmarks")
    for field in ("embed_features", "features"):
        if not config.model[field] or min(config.model[field]) < 1:
            raise InputError(
                f"config field model.{field} is {config.model[field]}: give one width or more, like (256,)"
            )
    if config.eval.num_examples == 1:
        raise InputError(
            "config field eval.num_examples is 1: a standard error needs 2 or more (0 for all)"
        )
    if not 0 <= config.em.null_probability < 1:
        raise InputError(
            f"config field em.null_probability is {config.em.null_probability}: give a number in [0, 1)"
        )
    if not 0 <= config.em.average_decay < 1:
        raise InputError(
            f"config field em.average_decay is {config.em.average_decay}: give a number in [0, 1)"
        )
    if config.data.path and config.data.name != "file":
        raise InputError(
            f"config field data.path is given, but data.name is {config.data.name!r}: give data.name=file"
        )
    command_line.check_choice("em.kernel", config.em.kernel, chains.KERNELS)
    command_line.check_choice("em.proposal", config.em.proposal, proposals.KINDS)
    command_line.check_choice("em.target", config.em.target, em.TARGETS)
    command_line.check_choice("model.reference", config.model.reference, REFERENCES)
    command_line.check_choice("model.decoder", config.model.decoder, ("bernoulli", "gaussian"))
    command_line.check_choice(
        "model.activation", config.model.activation, ("tanh", "silu", "relu", "gelu", "softplus")
    )


def check_e_step(config: ConfigDict) -> None:
    """Raises InputError for an unknown em.e_step, and for a field changed that it would not
    read."""
    command_line.check_choice("em.e_step", config.em.e_step, em.E_STEPS)
    settings, default = em.Settings(**config.em), em.Settings()
    for field in settings.unread():
        value, harmless = getattr(settings, field), getattr(default, field)
        if value != harmless:
            raise InputError(
                f"config field em.{field} is {value!r}, which em.e_step={settings.e_step} "
                f"does not read: give --config.em.{field}={harmless}"
            )


class Truth(NamedTuple):
    """The maximum-likelihood model of the training data x, known in closed form for factor
    analysis."""

    model: analytic.FactorAnalysis
    x: jax.Array


def load_data(config: ConfigDict) -> tuple[data.Dataset, Truth | None]:
    """The data set, and its maximum-likelihood model where that is known."""
    settings = config.data
    if settings.name != "factor_analysis":
        dataset = data.load(
            settings.name,
            data_dir=settings.dir or None,
            path=settings.path or None,
            test_fraction=settings.test_fraction,
            cache_dir=settings.cache_dir or None,
        )
        if config.model.decoder == "bernoulli" and dataset.max_value is None:
            raise InputError(
                f"data set {dataset.name!r} is real-valued: set --config.model.decoder=gaussian"
            )
        if config.model.decoder == "gaussian":
            warn_of_scale(dataset)
        if settings.validation:
            with command_line.naming(count="data.validation"):
                dataset = data.hold_out(dataset, settings.validation)
        return dataset, None
    dim, latent_dim, count = 10, config.model.latent_dim, 2000
    key_of_truth = functools.partial(key_of, config.seed, "factor_analysis")
    weight = jax.random.normal(key_of_truth("weight"), (dim, latent_dim))
    mean = jax.random.normal(key_of_truth("mean"), (dim,))
    source = analytic.FactorAnalysis(weight, mean, 0.5)
    train = np.asarray(source.sample(key_of_truth("train"), count)[0])
    test = np.asarray(source.sample(key_of_truth("test"), count)[0])
    dataset = data.Dataset("factor_analysis", train, test, None, None, None)
    return dataset, Truth(
        analytic.FactorAnalysis.maximum_likelihood(train, latent_dim), jnp.asarray(train)
    )


def warn_of_scale(dataset: data.Dataset) -> None:
    """Say so where a column is far from unit scale, at which a Gaussian decoder starts."""
    rows = dataset.train.reshape(len(dataset.train), -1) / (dataset.max_value or 1.0)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    column = int(np.argmax(np.maximum(np.abs(mean), deviation)))
    if max(abs(mean[column]), deviation[column]) > 10:
        logging.warning(
            f"data set {dataset.name!r} has a column {column} of mean {mean[column]:.3g} and deviation "
            f"{deviation[column]:.3g}: give columns of about unit scale, the decoder starts there"
        )


def prepare(config: ConfigDict, dataset: data.Dataset):
    """(key, rows [batch, ...]) -> x [batch, ...]: fresh bits for a Bernoulli decoder, else x /
    max_value."""
    if config.model.decoder == "bernoulli":
        return functools.partial(data.binarize, max_value=dataset.max_value)
    return lambda key, rows: rows.astype("float32") / (dataset.max_value or 1.0)


def observe(
    config: ConfigDict, dataset: data.Dataset, rows: np.ndarray, name: str = "test"
) -> np.ndarray:
    """Rows as x [n, ...], binarized once and for all by the seed and by the name of the rows."""
    count = config.eval.num_examples or len(rows)
    key = key_of(config.seed, "observed", name)
    return np.asarray(prepare(config, dataset)(key, jnp.asarray(rows[:count])))


def make_decoder(config: ConfigDict, dataset: data.Dataset):
    """The decoder of config.model for that data."""
    model, data_dim = config.model, int(np.prod(dataset.example_shape))
    return decoders.make(model.decoder, data_dim, tuple(model.decoder_features), model.activation)


def make_systems(config: ConfigDict, dataset: data.Dataset) -> dict[str, systems.System]:
    """The diffusion encoder and, unless config.baseline is False, a VAE; both decoders start from
    the same values."""
    decoder = make_decoder(config, dataset)
    methods = {"diffusion_encoder": config.em.e_step} | ({"vae": "vae"} if config.baseline else {})
    size = (int(np.prod(dataset.example_shape)), len(dataset.train), config.seed)
    return {name: systems.make(method, config, decoder, *size) for name, method in methods.items()}


# ----------------------------------------------------------------------------------------- training


def make_advance(
    config: ConfigDict, mesh, dataset: data.Dataset, models: dict[str, systems.System]
):
    """advance(state, step, n): n updates of every system on the same batches, in one dispatch
    each."""
    make_x = prepare(config, dataset)
    train = parallel.replicate(mesh, jnp.asarray(dataset.train))
    runs, arrays = {}, {}
    for name, system in models.items():
        runs[name] = training.scan_updates(system.update, make_x)
        arrays[name] = train
        if system.is_persistent:
            make_pair = functools.partial(systems.with_index, make_x)
            runs[name] = training.scan_updates(system.update, make_pair)
            arrays[name] = (train, parallel.replicate(mesh, jnp.arange(len(dataset.train))))
    key = parallel.replicate(mesh, key_of(config.seed, "training"))
    local = parallel.local_rows(config.batch_size)

    def advance(state, step, n):
        rows = data.batch_indices(config.seed, step, n, config.batch_size, len(dataset.train))
        rows = parallel.shard_batch(mesh, rows[:, local], axis=1)
        new_state, metrics = {}, {}
        for name, run_updates in runs.items():
            began = time.perf_counter()
            new_state[name], values = run_updates(state[name], key, arrays[name], rows)
            jax.block_until_ready(values)
            values["ms_per_update"] = np.full(n, 1e3 * (time.perf_counter() - began) / n)
            metrics |= {f"{name}.{metric}": value for metric, value in values.items()}
        return new_state, metrics

    return advance


def headline(metrics: dict[str, float]) -> str:
    """The text beside the progress bar: reconstruction losses and rate, in nats."""
    parts = [
        f"{name.replace('_', ' ')} {metrics[f'{name}.decoder_loss']:.2f}"
        for name in ("diffusion_encoder", "vae")
        if f"{name}.decoder_loss" in metrics
    ]
    return "nats: " + ", ".join(parts) + f", rate {metrics['diffusion_encoder.rate']:.1f}"


def monitor(config, models, held_out, truth, state, step) -> dict[str, float]:
    """Held-out terms of both bounds (one draw per example) for the training curves, and the gap of
    factor analysis."""
    state, scalars = parallel.local(state), {}
    for name, system in models.items():
        terms = systems.held_out_terms(
            system,
            state[name].averages,
            key_of(config.seed, "monitor", step),
            held_out,
            num_samples=1,
            batch_size=config.eval.batch_size,
        )
        for quantity in ("neg_elbo", "rate", "distortion"):
            scalars[f"{name}.held_out_{quantity}"] = Estimate.of(getattr(terms, quantity)).mean
        if truth is not None:
            model = learned_model(state[name].averages["decoder"])
            scalars[f"{name}.ml_gap"] = float(
                jnp.mean(truth.model.log_prob(truth.x) - model.log_prob(truth.x))
            )
    return scalars


# --------------------------------------------------------------------------------- held-out numbers


def evaluate(config, models, state, held_out, truth) -> tuple[list[Result], dict]:
    """Results, and the arrays that the figures draw, for every system."""
    results, arrays, nlls = [], {}, {}
    settings = config.eval
    for name, system in models.items():
        params = state[name].averages
        key = key_of(config.seed, "evaluation", name)
        key_terms, key_own, key_prior, key_learned = jax.random.split(key, 4)
        terms = systems.held_out_terms(
            system, params, key_terms, held_out, settings.num_samples, settings.batch_size
        )
        for quantity in ("neg_elbo", "nll", "rate", "distortion", "ess"):
            estimate = Estimate.of(getattr(terms, quantity))
            unit = "samples" if quantity == "ess" else "nats"
            results.append(Result(f"{name}.{quantity}", *estimate, unit))

        nlls[name] = terms.nll
        (z_own, z_langevin), losses = systems.reconstructions(
            system, params, config, key_own, held_out
        )
        for quantity, values in zip(("own", "langevin"), losses, strict=True):
            results.append(Result(f"{name}.reconstruction_{quantity}", *Estimate.of(values)))
        results.append(Result(f"{name}.amortization_gap", *Estimate.of(losses[0] - losses[1])))

        mean = jax.jit(
            lambda z, system=system, params=params: system.decoder.mean(params["decoder"], z)
        )
        arrays[name] = dict(
            z=z_own, z_langevin=z_langevin, own=mean(z_own), langevin=mean(z_langevin)
        )
        z_prior = jax.random.normal(key_prior, (400, config.model.latent_dim))
        arrays[name] |= dict(z_prior=z_prior, prior=mean(z_prior))
        if name == "diffusion_encoder":
            context = system.encoder.embed_null(params, 4000, held_out.shape[1:])
            z, log_q = jax.jit(
                lambda key, context, system=system, params=params: (
                    system.encoder.sample_and_log_prob(key, params, context, settings.sampler_steps)
                )
            )(key_learned, context)
            prior_kl = Estimate.of(log_q - decoders.log_prior(z))
            results.append(Result(f"{name}.prior_kl", *prior_kl))
            arrays[name] |= dict(z_learned=z[:400], learned=mean(z[:400]))
        if truth is not None:
            results += factor_analysis_results(config, name, system, params, held_out, truth)
    if "vae" in nlls:  # on the same examples, so most of either error cancels
        results.append(
            Result(
                "diffusion_encoder.nll_below_vae",
                *Estimate.of(nlls["vae"] - nlls["diffusion_encoder"]),
            )
        )
    return results, arrays


def learned_model(decoder_params) -> analytic.FactorAnalysis:
    """The factor analysis that a linear Gaussian decoder has become."""
    dense = decoder_params["network"]["params"]["Dense_0"]
    return analytic.FactorAnalysis(
        dense["kernel"].T, dense["bias"], jnp.exp(decoder_params["log_tau"])
    )


def factor_analysis_results(config, name, system, params, held_out, truth) -> list[Result]:
    """The gap to maximum likelihood, and KL(q(z|x) || p(z|x)) to the exact posterior of the learned
    decoder."""
    model = learned_model(params["decoder"])
    gap = Estimate.of(truth.model.log_prob(truth.x) - model.log_prob(truth.x))

    def divergence(key, x):
        context = system.encoder.infer(params, x)
        z, log_q = system.encoder.sample_and_log_prob(
            key, params, context, config.eval.sampler_steps
        )
        mean, cov = model.posterior(x, config.em.gamma)
        return log_q - analytic.Gaussian(jnp.zeros_like(mean[0]), cov).log_prob(z - mean)

    key = key_of(config.seed, "posterior_kl", name)
    kl = map_examples(jax.jit(divergence), key, held_out, config.eval.batch_size)
    return [
        Result(f"{name}.ml_gap", *gap, truth=0.0),
        Result(f"{name}.posterior_kl", *Estimate.of(kl), truth=0.0),
    ]


def update_times(metrics: list[dict]) -> list[Result]:
    """Milliseconds per update of each system and their ratio: medians over dispatches after the
    first."""
    times = {}
    for name in ("diffusion_encoder", "vae"):
        values = [
            line[f"{name}.ms_per_update"] for line in metrics if f"{name}.ms_per_update" in line
        ][1:]
        if len(values) >= 2:
            times[name] = np.array(values)
    results = [
        Result(f"{name}.update_time", *systems.median(values), "ms")
        for name, values in times.items()
    ]
    if len(times) == 2:
        ratio = systems.median(times["diffusion_encoder"] / times["vae"])
        results.append(Result("diffusion_encoder.update_time_ratio", *ratio, "VAE updates"))
    return results


if __name__ == "__main__":
    command_line.main(run)
