"""Train a diffusion encoder by alternating EM, a VAE beside it, and measure both on held-out data.

    python -m experiments.diffusion_encoder --config=configs/diffusion_encoder/digits.py --workdir=DIR

Read it from top to bottom: data, models, states, training, held-out numbers, figures.
"""

import functools
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc import analytic, baselines, checkpoints, data, decoders, em, loop, parallel, reporting, training, whitening
from diffenc.encoder import REFERENCES, DiffusionEncoder
from diffenc.errors import InputError
from diffenc.estimators import Estimate, likelihood, map_examples
from diffenc.networks import MLP, ConditionalDenoiser
from diffenc.reporting import Result
from experiments import command_line, diffusion_encoder_figures


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished run."""
    check(config)
    parallel.start()
    checkpoints.check_config(workdir, config.to_dict())
    if (workdir / "results.json").exists():
        print(f"the run in {workdir} is complete; its results:")
        return reporting.print_table(reporting.read_results(workdir))
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)

    dataset, truth = load_data(config)
    systems = make_systems(config, dataset)
    advance = make_advance(config, mesh, dataset, systems)
    state = parallel.replicate(mesh, {name: system.state for name, system in systems.items()})
    held_out = observe(config, dataset, dataset.test)
    state = loop.train(
        workdir,
        state,
        advance,
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=functools.partial(monitor, config, systems, held_out, truth),
        evaluate_every=config.evaluate_every,
        headline=headline,
        extras=tuple(config.metrics_extras),
    )
    results, arrays = evaluate(config, systems, parallel.local(state), held_out, truth)
    metrics = reporting.read_metrics(workdir)
    results += update_times(metrics)
    diffusion_encoder_figures.draw(workdir, config, dataset, held_out, arrays, metrics)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title=f"{config.data.name}: held-out results")
    print(f"figures: {workdir / 'figures'}")


# ------------------------------------------------------------------------------------------------------ data and models


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
    command_line.check_positive(config, *positive, "model.latent_dim", "em.sampler_steps", "em.step_size")
    command_line.check_positive(config, "eval.num_samples", "eval.sampler_steps", "eval.batch_size")
    not_negative = ("seed", "data.validation", "warmup", "clip_norm", "evaluate_every", "baseline_learning_rate")
    command_line.check_not_negative(config, *not_negative, "em.langevin_steps", "model.newton_steps", "num_devices")
    command_line.check_not_negative(config, "eval.num_examples", "eval.langevin_steps")
    for field in ("embed_features", "features"):
        if not config.model[field] or min(config.model[field]) < 1:
            raise InputError(
                f"config field model.{field} is {config.model[field]}: give one width or more, like (256,)"
            )
    if config.eval.num_examples == 1:
        raise InputError("config field eval.num_examples is 1: a standard error needs 2 or more (0 for all)")
    if not 0 <= config.em.null_probability < 1:
        raise InputError(f"config field em.null_probability is {config.em.null_probability}: give a number in [0, 1)")
    command_line.check_choice("em.kernel", config.em.kernel, em.KERNELS)
    command_line.check_choice("em.target", config.em.target, em.TARGETS)
    command_line.check_choice("model.reference", config.model.reference, REFERENCES)
    command_line.check_choice("model.decoder", config.model.decoder, ("bernoulli", "gaussian"))
    command_line.check_choice("model.activation", config.model.activation, ("tanh", "silu", "relu", "gelu", "softplus"))


class Truth(NamedTuple):
    """The maximum-likelihood model of the training data x, known in closed form for factor analysis."""

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
            seed=config.seed,
            cache_dir=settings.cache_dir or None,
        )
        if config.model.decoder == "bernoulli" and dataset.max_value is None:
            raise InputError(f"data set {dataset.name!r} is real-valued: set --config.model.decoder=gaussian")
        return (data.hold_out(dataset, settings.validation, 0) if settings.validation else dataset), None
    dim, latent_dim, count = 10, config.model.latent_dim, 2000
    key_weight, key_mean, key_train, key_test = jax.random.split(jax.random.key(config.seed), 4)
    source = analytic.FactorAnalysis(
        jax.random.normal(key_weight, (dim, latent_dim)), jax.random.normal(key_mean, (dim,)), 0.5
    )
    train, test = (np.asarray(source.sample(key, count)[0]) for key in (key_train, key_test))
    dataset = data.Dataset("factor_analysis", train, test, None, None, None)
    return dataset, Truth(analytic.FactorAnalysis.maximum_likelihood(train, latent_dim), jnp.asarray(train))


def prepare(config: ConfigDict, dataset: data.Dataset):
    """(key, rows [batch, ...]) -> x [batch, D]: fresh bits for a Bernoulli decoder, else x / max_value."""
    if config.model.decoder == "bernoulli":
        return functools.partial(data.binarize, max_value=dataset.max_value)
    return lambda key, rows: data.flatten(rows) / (dataset.max_value or 1.0)


def observe(config: ConfigDict, dataset: data.Dataset, rows: np.ndarray) -> np.ndarray:
    """Held-out rows as x [n, D], binarized once and for all by the seed."""
    count = config.eval.num_examples or len(rows)
    return np.asarray(prepare(config, dataset)(jax.random.key(config.seed + 1), jnp.asarray(rows[:count])))


class System:
    """A model to train: its encoder and decoder, the state it starts from, and its update."""

    def __init__(self, encoder, decoder, params, optimizer, update, settings=None):
        self.encoder, self.decoder, self.update, self.settings = encoder, decoder, update, settings
        chain = em.ChainState.create(settings) if settings else None
        self.state = training.TrainState.create(params, optimizer, chain)


def make_systems(config: ConfigDict, dataset: data.Dataset) -> dict[str, System]:
    """The diffusion encoder and, unless config.baseline is False, a VAE; both decoders start from the same values."""
    model, data_dim = config.model, int(np.prod(dataset.example_shape))
    decoder = decoders.make(model.decoder, data_dim, tuple(model.decoder_features), model.activation)
    key_encoder, key_decoder = jax.random.split(jax.random.key(config.seed))
    schedule = (config.num_updates, config.warmup, config.clip_norm or None)
    optimizer = training.make_optimizer(config.learning_rate, *schedule)
    x = jnp.zeros((1, data_dim))

    def initial(encoder):
        return {"encoder": encoder.init(key_encoder, x), "decoder": decoder.init(key_decoder, model.latent_dim)}

    settings = em.Settings(**config.em)
    network = ConditionalDenoiser(
        model.latent_dim, tuple(model.embed_features), tuple(model.features), model.residual_bound
    )
    encoder = DiffusionEncoder(network, model.reference, model.newton_steps, model.pressure, decoder, config.em.gamma)
    update = em.make_update(encoder, decoder, settings, optimizer)
    systems = {"diffusion_encoder": System(encoder, decoder, initial(encoder), optimizer, update, settings)}
    if config.baseline:
        encoder = baselines.GaussianEncoder(MLP(tuple(model.embed_features), 2 * model.latent_dim))
        optimizer = training.make_optimizer(config.baseline_learning_rate or config.learning_rate, *schedule)
        update = baselines.make_vae_update(encoder, decoder, optimizer, config.em.gamma, config.em.average_decay)
        systems["vae"] = System(encoder, decoder, initial(encoder), optimizer, update)
    return systems


# ------------------------------------------------------------------------------------------------------------- training


def make_advance(config: ConfigDict, mesh, dataset: data.Dataset, systems: dict[str, System]):
    """advance(state, step, n): n updates of every system on the same batches, in one dispatch each."""
    make_x = prepare(config, dataset)
    runs = {name: training.scan_updates(system.update, make_x) for name, system in systems.items()}
    train = parallel.replicate(mesh, jnp.asarray(dataset.train))
    key = parallel.replicate(mesh, jax.random.key(config.seed + 2))
    local = parallel.local_rows(config.batch_size)

    def advance(state, step, n):
        rows = data.batch_indices(config.seed, step, n, config.batch_size, len(dataset.train))
        rows = parallel.shard_batch(mesh, rows[:, local], axis=1)
        new_state, metrics = {}, {}
        for name, run_updates in runs.items():
            began = time.perf_counter()
            new_state[name], values = run_updates(state[name], key, train, rows)
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


@functools.partial(jax.jit, static_argnames=("encoder", "decoder", "num_samples", "sampler_steps"))
def likelihood_terms(key, params, x, *, encoder, decoder, num_samples, sampler_steps):
    return likelihood.terms(key, encoder, decoder, params, x, num_samples, sampler_steps)


def monitor(config, systems, held_out, truth, state, step) -> dict[str, float]:
    """Held-out terms of both bounds (one draw per example) for the training curves, and the gap of factor analysis."""
    state, scalars = parallel.local(state), {}
    for name, system in systems.items():
        fn = functools.partial(
            likelihood_terms, encoder=system.encoder, decoder=system.decoder, num_samples=1, sampler_steps=8
        )
        terms = map_examples(
            lambda key, x, fn=fn, name=name: fn(key, state[name].averages, x),
            jax.random.key(step),
            held_out,
            config.eval.batch_size,
        )
        for quantity in ("neg_elbo", "rate", "distortion"):
            scalars[f"{name}.held_out_{quantity}"] = Estimate.of(getattr(terms, quantity)).mean
        if truth is not None:
            model = learned_model(state[name].averages["decoder"])
            scalars[f"{name}.ml_gap"] = float(jnp.mean(truth.model.log_prob(truth.x) - model.log_prob(truth.x)))
    return scalars


# ----------------------------------------------------------------------------------------------------- held-out numbers


def evaluate(config, systems, state, held_out, truth) -> tuple[list[Result], dict]:
    """Results, and the arrays that the figures draw, for every system."""
    results, arrays, nlls = [], {}, {}
    settings = config.eval
    for index, (name, system) in enumerate(systems.items()):
        params = state[name].averages
        key = jax.random.fold_in(jax.random.key(config.seed + 3), index)
        key_terms, key_own, key_chain, key_prior, key_learned = jax.random.split(key, 5)
        fn = functools.partial(
            likelihood_terms,
            encoder=system.encoder,
            decoder=system.decoder,
            num_samples=settings.num_samples,
            sampler_steps=settings.sampler_steps,
        )
        terms = map_examples(
            lambda key, x, fn=fn, params=params: fn(key, params, x), key_terms, held_out, settings.batch_size
        )
        for quantity in ("neg_elbo", "nll", "rate", "distortion", "ess"):
            estimate = Estimate.of(getattr(terms, quantity))
            unit = "samples" if quantity == "ess" else "nats"
            results.append(Result(f"{name}.{quantity}", *estimate, unit))

        nlls[name] = terms.nll

        own = functools.partial(own_samples, system, params, settings.sampler_steps)
        z_own = map_examples(jax.jit(own), key_own, held_out, settings.batch_size)
        chain = functools.partial(corrected_samples, system, params, config)
        z_langevin = map_examples(jax.jit(chain), key_chain, held_out, settings.batch_size)
        log_prob = jax.jit(lambda x, z, system=system, params=params: system.decoder.log_prob(params["decoder"], x, z))
        for quantity, z in (("reconstruction_own", z_own), ("reconstruction_langevin", z_langevin)):
            results.append(Result(f"{name}.{quantity}", *Estimate.of(-log_prob(held_out, z))))

        mean = jax.jit(lambda z, system=system, params=params: system.decoder.mean(params["decoder"], z))
        arrays[name] = dict(z=z_own, z_langevin=z_langevin, own=mean(z_own), langevin=mean(z_langevin))
        z_prior = jax.random.normal(key_prior, (400, config.model.latent_dim))
        arrays[name] |= dict(z_prior=z_prior, prior=mean(z_prior))
        if name == "diffusion_encoder":
            context = system.encoder.embed_null(params, 4000, held_out.shape[1])
            z, log_q = jax.jit(
                lambda key, context, system=system, params=params: system.encoder.sample_and_log_prob(
                    key, params, context, settings.sampler_steps
                )
            )(key_learned, context)
            prior_kl = Estimate.of(log_q - decoders.log_prior(z))
            results.append(Result(f"{name}.prior_kl", *prior_kl))
            arrays[name] |= dict(z_learned=z[:400], learned=mean(z[:400]))
        if truth is not None:
            results += factor_analysis_results(config, name, system, params, held_out, truth)
    if "vae" in nlls:  # on the same examples, so most of either error cancels
        results.append(Result("diffusion_encoder.nll_below_vae", *Estimate.of(nlls["vae"] - nlls["diffusion_encoder"])))
    return results, arrays


def own_samples(system, params, sampler_steps, key, x):
    """z ~ q(z|x) [batch, d]."""
    return system.encoder.sample(key, params, system.encoder.infer(params, x), sampler_steps)


def corrected_samples(system, params, config, key, x):
    """The encoder's samples after config.eval.langevin_steps steps of MALA towards the posterior."""
    key_sample, key_chain = jax.random.split(key)
    mean, factor = system.encoder.gaussian(system.encoder.infer(params, x))
    y = whitening.solve(factor, own_samples(system, params, config.eval.sampler_steps, key_sample, x) - mean)
    settings = em.Settings(kernel="mala", gamma=config.em.gamma)

    def log_density(x, z):
        return decoders.log_joint(system.decoder, params["decoder"], x, z, settings.gamma)

    chain = em.run_chains(
        key_chain,
        log_density,
        x,
        y,
        (mean, factor),
        em.ChainState.create(settings),
        settings,
        config.eval.langevin_steps,
    )
    return chain.z


def learned_model(decoder_params) -> analytic.FactorAnalysis:
    """The factor analysis that a linear Gaussian decoder has become."""
    dense = decoder_params["network"]["params"]["Dense_0"]
    return analytic.FactorAnalysis(dense["kernel"].T, dense["bias"], jnp.exp(decoder_params["log_tau"]))


def factor_analysis_results(config, name, system, params, held_out, truth) -> list[Result]:
    """The gap to maximum likelihood, and KL(q(z|x) || p(z|x)) to the exact posterior of the learned decoder."""
    model = learned_model(params["decoder"])
    gap = Estimate.of(truth.model.log_prob(truth.x) - model.log_prob(truth.x))

    def divergence(key, x):
        context = system.encoder.infer(params, x)
        z, log_q = system.encoder.sample_and_log_prob(key, params, context, config.eval.sampler_steps)
        mean, cov = model.posterior(x, config.em.gamma)
        return log_q - analytic.Gaussian(jnp.zeros_like(mean[0]), cov).log_prob(z - mean)

    kl = map_examples(jax.jit(divergence), jax.random.key(config.seed + 4), held_out, config.eval.batch_size)
    return [Result(f"{name}.ml_gap", *gap, truth=0.0), Result(f"{name}.posterior_kl", *Estimate.of(kl), truth=0.0)]


def update_times(metrics: list[dict]) -> list[Result]:
    """Milliseconds per update of each system and their ratio: medians over dispatches after the first."""
    times = {}
    for name in ("diffusion_encoder", "vae"):
        values = [line[f"{name}.ms_per_update"] for line in metrics if f"{name}.ms_per_update" in line][1:]
        if len(values) >= 2:
            times[name] = np.array(values)
    results = [Result(f"{name}.update_time", *median(values), "ms") for name, values in times.items()]
    if len(times) == 2:
        ratio = median(times["diffusion_encoder"] / times["vae"])
        results.append(Result("diffusion_encoder.update_time_ratio", *ratio, "VAE updates"))
    return results


def median(values: np.ndarray) -> tuple[float, float]:
    """The median and its standard error, from the quartiles: dispatches that another process delayed do not count."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(middle), float(1.25 * (high - low) / 1.35 / np.sqrt(len(values)))


if __name__ == "__main__":
    command_line.main(run)
