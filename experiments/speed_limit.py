"""The speed limit of a diffusion: how far data can have moved, by the entropy they produced.

    python -m experiments.speed_limit --config=configs/speed_limit/gaussian_mixture.py --workdir=DIR

    W_2(p_s, p_t)^2 <= (t - s) int_s^t (g^2/2) r dt                          (arXiv 2409.03817)

r is the rate of entropy production. Left side: closed form for a Gaussian, optimal transport of
samples for a mixture. Right side: closed form again, and `entropy.rate` of the exact score. Nothing
is trained.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import entropy
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.transport import sample_w2_squared
from diffenc.errors import check, check_least, check_positive
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.neural_entropy.cases import draw_mixture
from experiments.neural_entropy.settings import (
    PROCESSES,
    T_MAX,
    Mixture,
    check_dimensions,
    check_processes,
)


@dataclass(frozen=True)
class Transport:
    """How distances are measured by optimal transport.

    Attributes:
        samples: of each law in a group.
        groups: independent ones, whose scatter gives the error.
    """

    samples: int
    groups: int

    def __post_init__(self):
        check_positive(self, "samples")
        holds = self.groups >= 2
        check(holds, "groups", self.groups, "a standard error needs 2 or more")


@dataclass(frozen=True)
class Settings:
    """What a run of the speed limit is told.

    Attributes:
        seed: of the run.
        processes: names in PROCESSES.
        dimensions: of the mixtures.
        mixture: their law.
        t_min: the first time.
        num_samples: for the rate.
        num_times: at which both sides are compared.
        refine: steps of quadrature between two of them.
        transport: of the distances.
    """

    seed: int
    processes: tuple[str, ...]
    dimensions: tuple[int, ...]
    mixture: Mixture
    t_min: float
    num_samples: int
    num_times: int
    refine: int
    transport: Transport

    def __post_init__(self):
        check_least(self, 0, "seed")
        check_processes(self.processes)
        check_dimensions(self.dimensions)
        check_positive(self, "t_min", "num_times", "refine")
        holds = self.num_samples >= 2
        check(holds, "num_samples", self.num_samples, "a standard error needs 2 or more")


class Motion(NamedTuple):
    """Both sides of the inequality; standard errors are zero where a side is exact.

    Attributes:
        t: times [T]; the first is the s of the inequality.
        distance: W_2^2 of samples [T], too large in the mean.
        distance_stderr: its standard errors [T].
        corrected: distance less that of samples of one law [T], which can be too small.
        limit: the right side [T].
        limit_stderr: its standard errors [T].
    """

    t: np.ndarray
    distance: np.ndarray
    distance_stderr: np.ndarray
    corrected: np.ndarray
    limit: np.ndarray
    limit_stderr: np.ndarray


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; running it again prints the results of the finished run."""
    settings = command_line.read(
        Settings,
        config,
        mixture=command_line.read(Mixture, config, "mixture"),
        transport=command_line.read(Transport, config, "transport"),
    )
    if command_line.is_complete(config, workdir):
        return
    with jax.default_matmul_precision("highest"):
        motions = measure(settings)
    results = summarize(motions)
    draw(workdir, len(settings.dimensions), motions)
    tables.write_results(workdir, results)
    tables.print_table(results, title="speed limit")
    print(f"figures: {workdir / 'figures'}")


def measure(settings: Settings) -> dict[str, Motion]:
    """Compute both sides for every process and dimension: a mixture, and its moments' Gaussian."""
    motions = {}
    num_cases = len(settings.processes) * len(settings.dimensions)
    with records.progress(num_cases, description="speed limit") as show:
        for process in settings.processes:
            times = (settings.t_min, T_MAX.get(process, 1.0))
            for dim in settings.dimensions:
                density = draw_mixture(settings.seed, settings.mixture, dim)
                key = key_of(settings.seed, "motion", process, dim)
                motions[f"{process}.D{dim}"] = of_mixture(
                    key, density, PROCESSES[process], times, settings
                )
                motions[f"{process}.D{dim}.gaussian"] = of_gaussian(
                    density.moments(), PROCESSES[process], times, settings
                )
                show(len(motions) // 2, f"{process}, D = {dim}")
    return motions


def summarize(motions: dict[str, Motion]) -> list[Result]:
    """Report both sides at the last time, and for Gaussians their largest ratio over t."""
    unit = "squared length"
    results = []
    for name, motion in motions.items():
        distance = (motion.distance[-1], motion.distance_stderr[-1])
        limit = (motion.limit[-1], motion.limit_stderr[-1])
        results.append(Result(f"{name}.w2_squared", *distance, unit))
        results.append(Result(f"{name}.speed_limit", *limit, unit))
        if not name.endswith("gaussian"):
            corrected = motion.corrected[-1]
            results.append(Result(f"{name}.w2_squared_corrected", corrected, None, unit))
        else:
            share = float(np.max(motion.distance[1:] / motion.limit[1:]))
            results.append(Result(f"{name}.largest_share", share, None, "of the limit, over t"))
    return results


def of_gaussian(density: Gaussian, process, times, settings: Settings) -> Motion:
    """Compute both sides in closed form.

    Along an axis of the covariance, x_t ~ N(alpha m, S), S = alpha^2 c + sigma^2, so

    W_2^2 = sum (alpha_t - alpha_s)^2 m^2 + (sqrt(S_t) - sqrt(S_s))^2,
    r = g^2/2 sum (1/w^2 - 1/S)^2 S + alpha^2 m^2 / w^4

    in float64: near equality the rounding of float32 would break the inequality.

    Args:
        density: of the data.
        process: the diffusion.
        times: the first and the last.
        settings: num_times and refine are read.
    """
    variance, axes = np.linalg.eigh(np.asarray(density.cov, np.float64))
    mean = np.asarray(density.mean, np.float64) @ axes
    t = np.geomspace(times[0], times[1], settings.num_times * settings.refine + 1)
    with jax.enable_x64(True):
        distance, limit = map(np.asarray, _sides_of_gaussian(process, t, mean, variance))
    shown = slice(None, None, settings.refine)
    zero = np.zeros_like(t[shown])
    return Motion(t[shown], distance[shown], zero, distance[shown], limit[shown], zero)


@functools.partial(jax.jit, static_argnames="process")
def _sides_of_gaussian(process, t, mean, variance):
    """Compute W_2^2 and its limit [T] of N(mean, diag variance)."""
    alpha = process.alpha(t)[:, None]
    sigma = process.sigma(t)[:, None]
    spread = jnp.square(alpha) * variance[None] + jnp.square(sigma)
    inverse_eq = 1 / jnp.square(process.equilibrium_std(t))[:, None]
    drift = alpha * mean[None] * inverse_eq
    squared = jnp.square(inverse_eq - 1 / spread) * spread + jnp.square(drift)
    rate = 0.5 * jnp.square(process.diffusion(t)) * squared.sum(axis=1)
    width = jnp.sqrt(spread)
    moved = jnp.square((alpha - alpha[:1]) * mean[None]) + jnp.square(width - width[:1])
    return moved.sum(axis=1), entropy.speed_limit(process, t, rate)


def of_mixture(key, density, process, times, settings: Settings) -> Motion:
    """Estimate the limit from the exact score, and the distance by optimal transport.

    Args:
        key: of all samples and noise.
        density: of the data.
        process: the diffusion.
        times: the first and the last.
        settings: numbers of samples and of times.
    """
    key_x, key_rate, key_distance = jax.random.split(key, 3)
    num_fine = settings.num_times * settings.refine + 1
    fine = np.geomspace(times[0], times[1], num_fine, dtype=np.float32)

    @jax.jit
    def limits(key_x, key_rate):
        x = density.sample(key_x, settings.num_samples)
        rates = entropy.rate(key_rate, lambda x, t: density.score(process, x, t), process, x, fine)
        return entropy.speed_limit(process, fine, rates)[:: settings.refine]

    limit = [Estimate.of(row) for row in np.asarray(limits(key_x, key_rate))]
    t = fine[:: settings.refine]
    distances, corrected = transported(key_distance, density, process, t, settings.transport)
    return Motion(
        t,
        distances.mean(axis=1),
        distances.std(axis=1, ddof=1) / np.sqrt(settings.transport.groups),
        corrected.mean(axis=1),
        np.array([one.mean for one in limit]),
        np.array([one.stderr for one in limit]),
    )


def transported(key, density, process, t, settings: Transport):
    """Measure W_2^2 of samples of p_s and p_t, s the first of the times.

    The distance W(x, y) of two sets of samples is too large in the mean, by what the sets differ
    from their laws: a number safe to hold against an upper limit. W(x, y) - W(x, x')/2 - W(y,
    y')/2, all sets independent, takes that off, and more where one law is much narrower than the
    other.

    Args:
        key: of samples and noise.
        density: of the data.
        process: the diffusion.
        t: times [T].
        settings: numbers of samples and groups.

    Returns:
        Distances, and corrected ones, [T, groups].
    """
    size = settings.samples
    distances = np.empty((len(t), settings.groups))
    floors = np.empty_like(distances)
    for group, key_group in enumerate(jax.random.split(key, settings.groups)):
        start, on_the_way = map(np.asarray, _draw_motion(key_group, density, process, t, size))
        floor = sample_w2_squared(*start)
        for index, x_t in enumerate(on_the_way):
            distances[index, group] = sample_w2_squared(start[0], x_t[0])
            floors[index, group] = 0.5 * (floor + sample_w2_squared(*x_t))
    return distances, distances - floors


@functools.partial(jax.jit, static_argnames=("process", "size"))
def _draw_motion(key, density, process, t, size):
    """Draw two sets of samples at the first time [2, size, D], and two others at all [T, ...]."""
    key_first, key_x, key_noise = jax.random.split(key, 3)
    start = density.diffused(process, t[0]).sample(key_first, 2 * size)
    x = density.sample(key_x, 2 * size)
    noise = jax.random.normal(key_noise, x.shape, x.dtype)
    alpha = process.alpha(t)[:, None, None]
    sigma = process.sigma(t)[:, None, None]
    x_t = alpha * x[None] + sigma * noise[None]
    return start.reshape(2, size, -1), x_t.reshape(len(t), 2, size, -1)


def draw(workdir, columns: int, motions: dict[str, Motion]) -> None:
    """Draw W_2^2 and its limit over t, a panel for each case.

    Args:
        workdir: of the run.
        columns: of panels.
        motions: of each mixture (solid), and of the Gaussian of its moments (dotted).
    """
    names = [name for name in motions if not name.endswith("gaussian")]
    fig, axes = figures.figure(len(names) // columns, columns, width=3.2, height=2.4)
    for ax, name in zip(axes.ravel(), names, strict=True):
        mixture = motions[name]
        gaussian = motions[f"{name}.gaussian"]
        t = mixture.t[1:]
        figures.band(ax, t, mixture.limit[1:], 2 * mixture.limit_stderr[1:], label="speed limit")
        distance = mixture.distance[1:]
        error = 2 * mixture.distance_stderr[1:]
        # Where more than half is taken off, samples show little but that they are samples.
        shown = mixture.corrected[1:] > 0.5 * distance
        ends = [np.maximum(distance - mixture.corrected[1:], error)[shown], error[shown]]
        ax.errorbar(
            t[shown],
            distance[shown],
            ends,
            fmt="o",
            markersize=3,
            label="$W_2^2$, mixture (down to corrected)",
        )
        ax.plot(t, gaussian.limit[1:], ":", color=figures.PALETTE[0], label="limit, Gaussian")
        ax.plot(t, gaussian.distance[1:], ":", color=figures.PALETTE[1], label="$W_2^2$, Gaussian")
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
    command_line.main(run, is_divided=False)
