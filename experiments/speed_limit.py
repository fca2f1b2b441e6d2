"""The speed limit of a diffusion: how far the data can have moved, against the entropy that moving
them produced.

    python -m experiments.speed_limit --config=configs/speed_limit/gaussian_mixture.py --workdir=DIR

    W_2(p_s, p_t)^2 <= (t - s) int_s^t (g^2/2) r dt          (arXiv 2409.03817; r is the entropy-production rate)

Left side: closed form for a Gaussian, optimal transport of samples for a mixture. Right side:
closed form again, and `entropy.rate` of the exact score. Nothing is trained.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import entropy
from diffenc.diffusion.analytic import Gaussian
from diffenc.diffusion.transport import sample_w2_squared
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy.cases import PROCESSES, T_MAX, check_mixture, draw_mixture


class Motion(NamedTuple):
    """Both sides of the inequality at times t [T], with standard errors [T] (zero where they are
    exact).

    distance: of samples, too large in the mean; corrected: less the distance of samples of one law,
    which can be too small.
    """

    t: np.ndarray
    distance: np.ndarray
    distance_stderr: np.ndarray
    corrected: np.ndarray
    limit: np.ndarray
    limit_stderr: np.ndarray


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again prints the results of the finished run."""
    command_line.check_positive(
        config, "num_samples", "num_times", "refine", "transport.samples", "t_min"
    )
    if config.transport.groups < 2 or config.num_samples < 2:
        raise InputError(
            "config fields transport.groups and num_samples: a standard error needs 2 or more of each"
        )
    check_mixture(config)
    for process in config.processes:
        command_line.check_choice("processes", process, PROCESSES)
    if command_line.is_complete(config, workdir):
        return
    motions = {}
    names = [(process, dim) for process in config.processes for dim in config.dimensions]
    with records.progress(len(names), description="speed limit") as show:
        for done, (process, dim) in enumerate(names):
            density = draw_mixture(config, dim)
            times = (config.t_min, T_MAX.get(process, 1.0))
            key = key_of(config.seed, "motion", process, dim)
            motions[f"{process}.D{dim}"] = of_mixture(
                config, key, density, PROCESSES[process], times
            )
            motions[f"{process}.D{dim}.gaussian"] = of_gaussian(
                config, density.moments(), PROCESSES[process], times
            )
            show(done + 1, f"{process}, D = {dim}")
    results = []
    for name, motion in motions.items():
        results.append(
            Result(
                f"{name}.w2_squared",
                motion.distance[-1],
                motion.distance_stderr[-1],
                "squared length",
            )
        )
        results.append(
            Result(
                f"{name}.speed_limit", motion.limit[-1], motion.limit_stderr[-1], "squared length"
            )
        )
        if not name.endswith("gaussian"):
            results.append(
                Result(f"{name}.w2_squared_corrected", motion.corrected[-1], None, "squared length")
            )
        else:
            share = float(np.max(motion.distance[1:] / motion.limit[1:]))
            results.append(Result(f"{name}.largest_share", share, 0.0, "of the limit, over t"))
    draw(workdir, config, motions)
    tables.write_results(workdir, results)
    tables.print_table(results, title="speed limit")
    print(f"figures: {workdir / 'figures'}")


def grid(config: ConfigDict, times) -> jax.Array:
    """config.num_times steps of the comparison, each of config.refine steps of quadrature."""
    return jnp.geomspace(*times, config.num_times * config.refine + 1)


def of_gaussian(config: ConfigDict, density: Gaussian, process, times) -> Motion:
    """Both sides in closed form: along an axis of the covariance, x_t ~ N(alpha m, S), S = alpha^2
    c + sigma^2, so

    W_2^2 = sum (alpha_t - alpha_s)^2 m^2 + (sqrt(S_t) - sqrt(S_s))^2,
    r = g^2/2 sum (1/w^2 - 1/S)^2 S + alpha^2 m^2 / w^4

    In float64: near equality the rounding of float32 would break the inequality.
    """
    variance, axes = np.linalg.eigh(np.asarray(density.cov, np.float64))
    mean = np.asarray(density.mean, np.float64) @ axes
    with jax.enable_x64(True):
        t = jnp.asarray(np.geomspace(*times, config.num_times * config.refine + 1))
        alpha, sigma = process.alpha(t)[:, None], process.sigma(t)[:, None]
        spread = jnp.square(alpha) * variance[None] + jnp.square(sigma)
        inverse_eq = 1 / jnp.square(process.equilibrium_std(t))[:, None]
        squared = jnp.square(inverse_eq - 1 / spread) * spread + jnp.square(
            alpha * mean[None] * inverse_eq
        )
        limit = entropy.speed_limit(
            process, t, 0.5 * jnp.square(process.diffusion(t)) * squared.sum(axis=1)
        )
        width = jnp.sqrt(spread)
        moved = jnp.square((alpha - alpha[:1]) * mean[None]) + jnp.square(width - width[:1])
        distance, limit, t = (
            np.asarray(values)[:: config.refine] for values in (moved.sum(axis=1), limit, t)
        )
    zero = np.zeros_like(distance)
    return Motion(t, distance, zero, distance, limit, zero)


def of_mixture(config: ConfigDict, key, density, process, times) -> Motion:
    """The limit from the exact score on samples, the distance by optimal transport of others."""
    key_x, key_rate, key_distance = jax.random.split(key, 3)
    fine = grid(config, times)
    x = density.sample(key_x, config.num_samples)

    @jax.jit
    def limits(key, x):
        rates = entropy.rate(key, lambda x, t: density.score(process, x, t), process, x, fine)
        return entropy.speed_limit(process, fine, rates)[:: config.refine]

    limit = [Estimate.of(row) for row in np.asarray(limits(key_rate, x))]
    t = fine[:: config.refine]
    distance = transported(config, key_distance, density, process, t)
    return Motion(
        np.asarray(t), *distance, *(np.array(column) for column in zip(*limit, strict=True))
    )


def transported(config: ConfigDict, key, density, process, t):
    """W_2^2 of samples of p_s and p_t at times t [T], s the first: mean and standard error over
    groups, and corrected.

    The distance W(x, y) of two sets of samples is too large in the mean, by what the sets differ
    from their laws: a number safe to hold against an upper limit. W(x, y) - W(x, x')/2 - W(y,
    y')/2, all sets independent, takes that off, and more where one law is much narrower than the
    other.
    """
    size, groups = config.transport.samples, config.transport.groups
    found, floors = np.empty((len(t), groups)), np.empty((len(t), groups))
    for group, key_group in enumerate(jax.random.split(key, groups)):
        key_first, key_x, key_noise = jax.random.split(key_group, 3)
        start = np.asarray(density.diffused(process, t[0]).sample(key_first, 2 * size)).reshape(
            2, size, -1
        )
        floor = sample_w2_squared(*start)
        x = density.sample(key_x, 2 * size)
        noise = jax.random.normal(key_noise, x.shape, x.dtype)
        for index, time in enumerate(t):
            x_t = np.asarray(process.alpha(time) * x + process.sigma(time) * noise).reshape(
                2, size, -1
            )
            found[index, group] = sample_w2_squared(start[0], x_t[0])
            floors[index, group] = 0.5 * (floor + sample_w2_squared(*x_t))
    return (
        found.mean(axis=1),
        found.std(axis=1, ddof=1) / np.sqrt(groups),
        (found - floors).mean(axis=1),
    )


def draw(workdir, config: ConfigDict, motions: dict[str, Motion]) -> None:
    """W_2^2 and its limit over t, a panel for each case: mixture solid, the Gaussian of its moments
    dotted."""
    names = [name for name in motions if not name.endswith("gaussian")]
    columns = len(config.dimensions)
    fig, axes = figures.figure(len(names) // columns, columns, width=3.2, height=2.4)
    for ax, name in zip(axes.ravel(), names, strict=True):
        mixture, gaussian = motions[name], motions[f"{name}.gaussian"]
        t = mixture.t[1:]
        figures.band(ax, t, mixture.limit[1:], 2 * mixture.limit_stderr[1:], label="speed limit")
        distance, error = mixture.distance[1:], 2 * mixture.distance_stderr[1:]
        seen = (
            mixture.corrected[1:] > 0.5 * distance
        )  # elsewhere the samples show little but that they are samples
        ends = [np.maximum(distance - mixture.corrected[1:], error)[seen], error[seen]]
        ax.errorbar(
            t[seen],
            distance[seen],
            ends,
            fmt="o",
            markersize=3,
            label="$W_2^2$, mixture (down to corrected)",
        )
        ax.plot(t, gaussian.limit[1:], ":", color=figures.PALETTE[0], label="limit, Gaussian")
        ax.plot(
            t, gaussian.distance[1:], ":", color=figures.PALETTE[1], label="$W_2^2$, Gaussian"
        )
        ax.set(xscale="log", yscale="log")
        figures.label(ax, "t", "squared length", title=name.replace("_", " "))
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    figures.save(fig, workdir, "speed_limit")


if __name__ == "__main__":
    command_line.main(run)
