"""How good is the posterior? Encoders of every kind with the same decoder, data order and budget,
in one table.

    python -m experiments.posteriors --config=configs/posteriors/toys.py --workdir=DIR

On toys the decoder is fixed and the posterior known on a grid: the divergence of each encoder from
it is a number. On images the decoder learns, for as many updates with each, and the methods meet in
held-out likelihood, checked by annealed importance sampling. Read it from top to bottom: cases,
models, training, held-out numbers, table; measures and figures have files beside it.
"""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc import training
from diffenc.errors import InputError
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.latent import systems, toys
from diffenc.run import data, loop, parallel, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.diffusion_encoder import __main__ as diffusion_encoder
from experiments.posteriors import figures, measures

VARIED = (
    "method",
    "model",
    "em",
    "rivals",
    "learning_rate",
    "baseline_learning_rate",
    "warmup",
    "clip_norm",
    "eval",
)
QUANTITIES = ("nll", "neg_elbo", "rate", "distortion", "ess", "amortization_gap")


class Case(NamedTuple):
    """Data and a decoder: train [N, ...], make_x(key, rows) -> x [batch, D], held_out [n, D], the
    config of its models; grid where the posterior is known on one; seen [n, D], examples to train
    on, where the decoder learns from them."""

    name: str
    train: np.ndarray
    make_x: Any
    held_out: np.ndarray
    decoder: Any
    config: ConfigDict
    grid: toys.Grid | None = None
    seen: np.ndarray | None = None


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh(config.num_devices or None)
    parallel.check_batch(config.batch_size, mesh)
    cases = {case.name: case for case in load_cases(config)}
    models = make_models(config, cases)
    state = parallel.replicate(mesh, {name: system.state for name, system in models.items()})
    state = loop.train(
        workdir,
        state,
        make_advance(config, mesh, cases, models),
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=functools.partial(measures.monitor, config, cases, models),
        evaluate_every=config.evaluate_every,
        headline=functools.partial(headline, models),
        extras=tuple(config.metrics_extras),
    )
    state, metrics = parallel.local(state), records.read_metrics(workdir)
    held_out, samples = evaluate(config, cases, models, state)
    results = summarize(config, cases, held_out) + update_times(config, cases, metrics)
    figures.draw(workdir, config, cases, samples, results, metrics)
    tables.write_results(workdir, results)
    for case in cases:
        print_methods(config, case, results)
    print(f"figures: {workdir / 'figures'}")


# -------------------------------------------------------------------------------------------- cases


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    command_line.check_positive(
        config, "num_seeds", "rivals.iwae_samples", "eval.ais_temperatures", "eval.ais_chains"
    )
    command_line.check_positive(config, "eval.grid_sampler_steps", "eval.grid_draws")
    command_line.check_not_negative(config, "eval.ais_examples")
    if config.eval.ais_simulated < 2:
        raise InputError(
            f"config field eval.ais_simulated is {config.eval.ais_simulated}: give 2 or more"
        )
    if config.em.gamma != 1:
        raise InputError(
            f"config field em.gamma is {config.em.gamma}: the rivals' bounds are of likelihood, gamma = 1"
        )
    if config.data.name == "toys" and not (config.toys and config.eval.grid_examples > 1):
        raise InputError("toys want one name or more in toys, and eval.grid_examples of 2 or more")
    if config.eval.ais_examples == 1:
        raise InputError(
            "config field eval.ais_examples is 1: a standard error needs 2 or more (0 for none)"
        )
    for name, changes in config.variants.items():
        varied(config, name)
        unread = [field for field in changes if field not in VARIED]
        unread += [f"eval.{field}" for field in changes.get("eval", {}) if field != "sampler_steps"]
        unread += [f"em.{field}" for field in changes.get("em", {}) if field == "gamma"]
        if unread:
            raise InputError(
                f"variants.{name}.{unread[0]} would have no effect: give one of {', '.join(VARIED)}"
            )
    for method in ("", *config.methods):
        if method:
            command_line.check_choice("methods", base_method(config, method), systems.METHODS)
        of_method = varied(config, method)
        diffusion_encoder.check(of_method)
    if len(set(config.methods)) < len(config.methods) or not config.methods:
        raise InputError(f"config field methods is {config.methods}: name each method once")
    if config.data.name == "toys" and all(
        base_method(config, method) == "flow_vae" for method in config.methods
    ):
        raise InputError(
            "methods hold flow_vae alone, which toys of one dimension do not allow: give one more"
        )


def base_method(config: ConfigDict, method: str) -> str:
    """The method that a variant changes; a method is its own."""
    return config.variants.get(method, {}).get("method", method)


def varied(config: ConfigDict, method: str) -> ConfigDict:
    """The config with what the variant of that name changes. Raises InputError for a change of an
    unknown field."""
    changes = config.variants.get(method, ConfigDict()).to_dict()
    changes.pop("method", None)
    config = ConfigDict(config.to_dict()).lock()
    try:
        config.update(changes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"variants.{method}: {' '.join(str(error.args[0]).split())}") from error
    return config


def load_cases(config: ConfigDict) -> list[Case]:
    """The toys of config.toys, or one case of images."""
    if config.data.name == "toys":
        return [load_toy(config, name) for name in config.toys]
    dataset, _ = diffusion_encoder.load_data(config)
    decoder = diffusion_encoder.make_decoder(config, dataset)
    make_x = diffusion_encoder.prepare(config, dataset)
    held_out = diffusion_encoder.observe(config, dataset, dataset.test)
    seen = diffusion_encoder.observe(config, dataset, dataset.train[:1000], name="train")
    return [
        Case(
            dataset.name.replace(".", "_"),
            dataset.train,
            make_x,
            held_out,
            decoder,
            config,
            seen=seen,
        )
    ]


def load_toy(config: ConfigDict, name: str) -> Case:
    """20,000 samples of a toy to train on, and as many held-out ones as asked for."""
    toy = toys.make(name)

    def draw(part, count):
        key_z, key_x = jax.random.split(key_of(config.seed, "toy", name, part))
        return np.asarray(toy.sample(key_x, {}, jax.random.normal(key_z, (count, toy.latent_dim))))

    train = draw("train", 20_000)
    held_out = draw("test", config.eval.num_examples or 1000)
    config = ConfigDict(config.to_dict())
    config.model.latent_dim = toy.latent_dim
    grid = toys.Grid(toy.latent_dim, half_width=4.5, num_points={1: 360, 2: 90}[toy.latent_dim])
    return Case(name, train, lambda key, rows: rows, held_out, toy, config, grid)


def make_models(config: ConfigDict, cases: dict[str, Case]) -> dict[str, systems.System]:
    """{"case.method.seed": System}: every seed of every method on every case. The update of a
    method is one function for all its seeds, so that it is compiled once."""
    models = {}
    for case in cases.values():
        for method in methods_of(config, case):
            variant = varied(case.config, method)
            for seed in range(config.num_seeds):
                size = (int(np.prod(case.held_out.shape[1:])), len(case.train))
                start = (config.seed, case.name, seed)
                system = systems.make(
                    base_method(config, method), variant, case.decoder, *size, *start
                )
                if seed:
                    system.update = models[f"{case.name}.{method}.0"].update
                models[f"{case.name}.{method}.{seed}"] = system
    return models


def methods_of(config: ConfigDict, case: Case) -> list[str]:
    """The methods that a case allows: a coupling flow needs two dimensions."""
    flat = case.config.model.latent_dim == 1
    return [
        method
        for method in config.methods
        if not (flat and base_method(config, method) == "flow_vae")
    ]


# ----------------------------------------------------------------------------------------- training


def make_advance(config: ConfigDict, mesh, cases: dict[str, Case], models):
    """advance(state, step, n): n updates of every system, those of one case on the same batches."""
    runs, arrays = {}, {}
    for name, system in models.items():
        case, method, _ = name.split(".")
        make_x = cases[case].make_x
        if system.is_persistent:
            make_x = functools.partial(systems.with_index, make_x)
        if (case, method) not in runs:
            runs[case, method] = training.scan_updates(system.update, make_x)
    for case in cases.values():
        train = jnp.asarray(case.train)
        arrays[case.name] = parallel.replicate(mesh, (train, jnp.arange(len(train))))
    local = parallel.local_rows(config.batch_size)

    def advance(state, step, n):
        new_state, metrics, rows = {}, {}, {}
        for name, system in models.items():
            case, method, seed = name.split(".")
            names = (case, int(seed))  # one order and one noise for all methods
            if names not in rows:
                count = len(cases[case].train)
                order = data.batch_indices(config.seed, step, n, config.batch_size, count, names)
                rows[names] = parallel.shard_batch(mesh, order[:, local], axis=1)
            key = parallel.replicate(mesh, key_of(config.seed, "training", *names))
            train = arrays[case] if system.is_persistent else arrays[case][0]
            began = time.perf_counter()
            new_state[name], values = runs[case, method](state[name], key, train, rows[names])
            jax.block_until_ready(values)
            values["ms_per_update"] = np.full(n, 1e3 * (time.perf_counter() - began) / n)
            metrics |= {f"{name}.{metric}": value for metric, value in values.items()}
        return new_state, metrics

    return advance


def headline(models, metrics: dict[str, float]) -> str:
    """The text beside the progress bar: -log p(x|z) of each method's own samples on the first
    case."""
    case = next(iter(models)).split(".")[0]
    names = [name for name in models if name.startswith(f"{case}.") and name.endswith(".0")]
    return f"{case}: " + ", ".join(
        f"{name.split('.')[1]} {metrics[f'{name}.decoder_loss']:.2f}" for name in names
    )


def terms(config, system, params, key, x, num_samples: int):
    return systems.held_out_terms(system, params, key, x, num_samples, config.eval.batch_size)


# --------------------------------------------------------------------------------- held-out numbers


def evaluate(config, cases, models, state):
    """({name: {quantity: values [n]}}, {name: samples for the figures}) of every system."""
    held_out, samples = {}, {}
    with records.progress(len(models), description="measuring") as show:
        for index, (name, system) in enumerate(models.items()):
            case, params = cases[name.split(".")[0]], state[name].averages
            key = key_of(config.seed, "evaluation", name)
            key_terms, key_own, key_exact, key_figure, key_seen, key_folds = jax.random.split(
                key, 6
            )
            found = terms(config, system, params, key_terms, case.held_out, config.eval.num_samples)
            values = {quantity: getattr(found, quantity) for quantity in QUANTITIES[:-1]}
            if case.seen is not None:  # below `nll` by what the decoder has learned by heart
                values["train_nll"] = terms(
                    config, system, params, key_seen, case.seen, config.eval.num_samples
                ).nll
            _, losses = systems.reconstructions(system, params, case.config, key_own, case.held_out)
            values["amortization_gap"] = losses[0] - losses[1]
            values |= measures.folds(config, system, params, key_folds, case.held_out)
            if case.grid is not None:
                values |= measures.grid_divergence(config, case, system, params, key_exact)
                samples[name] = figure_samples(config, case, system, params, key_figure)
            elif config.eval.ais_examples:
                values |= measures.annealed(config, case, system, params, key_exact)
            held_out[name] = values
            show(index + 1, name)
    return held_out, samples


def figure_samples(config, case: Case, system, params, key, count: int = 2000):
    """Samples [3, count, d] of the encoder for three held-out examples."""
    x = jnp.repeat(jnp.asarray(figures.examples(case)), count, axis=0)
    z = systems.own_samples(system, params, key, x)
    return np.asarray(z).reshape(-1, count, z.shape[-1])


def summarize(config, cases: dict[str, Case], held_out) -> list[Result]:
    """Means over examples and seeds, and on the same examples the distance of the others from the
    first method."""
    results = []
    for case in cases.values():
        truths = truths_of(case)
        stacked = {}
        for method in methods_of(config, case):
            seeds = [held_out[f"{case.name}.{method}.{seed}"] for seed in range(config.num_seeds)]
            stacked[method] = {
                quantity: np.stack([values[quantity] for values in seeds]) for quantity in seeds[0]
            }
            for quantity, values in stacked[method].items():
                unit = {"ess": "samples", "mass": "", "folds": ""}.get(quantity, "nats")
                result = Result(f"{case.name}.{method}.{quantity}", *over_seeds(values), unit)
                results.append(result._replace(truth=truths.get(quantity)))
        first = next(iter(stacked))
        for rival in [method for method in stacked if method != first]:
            for quantity in [q for q in ("nll", "neg_elbo", "ais_nll") if q in stacked[rival]]:
                difference = stacked[rival][quantity] - stacked[first][quantity]
                results.append(
                    Result(f"{case.name}.{rival}.{quantity}_above_{first}", *over_seeds(difference))
                )
        if case.grid is not None:
            log_posterior = map_examples(
                jax.jit(lambda key, x, case=case: toys.posterior(case.decoder, case.grid, x)),
                None,
                case.held_out,
                50,
            )
            best = Estimate.of(toys.best_gaussian_kl(jnp.asarray(log_posterior), case.grid))
            results.append(Result(f"{case.name}.best_gaussian.posterior_kl", *best))
    return results


def truths_of(case: Case) -> dict[str, float]:
    """What is known of a toy: the held-out negative log-likelihood, and that no divergence is the
    goal."""
    if case.grid is None:
        return {}
    log_p = jax.jit(lambda key, x: toys.log_marginal(case.decoder, case.grid, x))
    log_p = map_examples(log_p, None, case.held_out, 50)
    return {"nll": float(-log_p.mean()), "posterior_kl": 0.0, "mass": 1.0}


def over_seeds(values: np.ndarray) -> Estimate:
    """Mean of values [seeds, n] with its error: over examples of the mean of the seeds, and over
    seeds."""
    mean, stderr = Estimate.of(values.mean(axis=0))
    if len(values) > 1:
        stderr = float(np.hypot(stderr, values.mean(axis=1).std(ddof=1) / np.sqrt(len(values))))
    return Estimate(mean, stderr)


def update_times(config, cases, metrics: list[dict]) -> list[Result]:
    """Milliseconds per update of each method: the median over dispatches after the first."""
    results = []
    for case in cases.values():
        for method in methods_of(config, case):
            name = f"{case.name}.{method}.0.ms_per_update"
            values = [line[name] for line in metrics if name in line][1:]
            if len(values) >= 2:
                results.append(
                    Result(f"{case.name}.{method}.update_time", *systems.median(values), "ms")
                )
    return results


def print_methods(config, case: str, results: list[Result]) -> None:
    """The table of a case: methods down, quantities across."""
    mine = {tuple(r.name.split(".")[1:]): r for r in results if r.name.startswith(f"{case}.")}
    columns = [
        q
        for q in (
            *QUANTITIES,
            "train_nll",
            "posterior_kl",
            "mass",
            "folds",
            "ais_nll",
            "ais_gap",
            "update_time",
        )
        if any(q in k for k in mine)
    ]
    methods = list(dict.fromkeys(method for method, _ in mine))
    cells = [
        [(mine[m, q].value, mine[m, q].stderr) if (m, q) in mine else None for q in columns]
        for m in methods
    ]
    tables.print_matrix(f"{case} (nats; update_time in ms)", methods, columns, cells)


if __name__ == "__main__":
    command_line.main(run)
