"""The speed limit of a diffusion: how far the data can have moved, against the entropy that moving them produced.

    python -m experiments.speed_limit --config=configs/neural_entropy/speed_limit.py --workdir=DIR

    W_2(p_s, p_t)^2 <= (t - s) int_s^t (g^2/2) r dt          (arXiv 2409.03817; r is the entropy-production rate)

Left side: closed form for a Gaussian, optimal transport of samples for a mixture. Right side: `entropy.rate` of the
exact score. Nothing is trained.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc import reporting
from diffenc.analytic import Gaussian, gaussian_w2_squared
from diffenc.estimators import Estimate, entropy
from diffenc.estimators.transport import sample_w2_squared
from diffenc.reporting import Result
from experiments import command_line
from experiments.neural_entropy_cases import PROCESSES, T_MAX, draw_mixtures


class Motion(NamedTuple):
    """Both sides of the inequality at times t [T]; distance and limit with their standard errors [T]."""

    t: np.ndarray
    distance: np.ndarray
    distance_stderr: np.ndarray
    limit: np.ndarray
    limit_stderr: np.ndarray


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again prints the results of the finished run."""
    command_line.check_positive(config, "num_samples", "num_times", "transport.samples", "mixture.std_min")
    for process in config.processes:
        command_line.check_choice("processes", process, PROCESSES)
    if command_line.is_complete(config, workdir):
        return
    motions = {}
    names = [(process, dim) for process in config.processes for dim in config.dimensions]
    with reporting.progress(len(names), description="speed limit") as show:
        for done, (process, dim) in enumerate(names):
            density = draw_mixtures(config, dim, 1)[3][0]
            times = (config.t_min, T_MAX.get(process, 1.0))
            key = jax.random.fold_in(jax.random.key(config.seed), done)
            motions[f"{process}.D{dim}"] = measure(config, key, density, PROCESSES[process], times)
            motions[f"{process}.D{dim}.gaussian"] = measure(config, key, density.moments(), PROCESSES[process], times)
            show(done + 1, f"{process}, D = {dim}")
    results = []
    for name, motion in motions.items():
        exact = motion.distance_stderr is None
        error = None if exact else motion.distance_stderr[-1]
        results.append(Result(f"{name}.w2_squared", motion.distance[-1], error, "squared length"))
        results.append(Result(f"{name}.speed_limit", motion.limit[-1], motion.limit_stderr[-1], "squared length"))
        results.append(Result(f"{name}.largest_share", *largest_share(motion), "of the limit, over t"))
    draw(workdir, config, motions)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title="speed limit")
    print(f"figures: {workdir / 'figures'}")


def measure(config: ConfigDict, key, density, process, times) -> Motion:
    """Distance and limit at config.num_times times, with config.refine steps of quadrature between them."""
    key_x, key_rate, key_noise = jax.random.split(jax.random.clone(key), 3)
    fine = jnp.geomspace(*times, config.num_times * config.refine + 1)
    x = density.sample(key_x, config.num_samples)

    @jax.jit
    def limits(key, x):
        rates = entropy.rate(key, lambda x, t: density.score(process, x, t), process, x, fine)
        return entropy.speed_limit(process, fine, rates)[:: config.refine]

    limit = [Estimate.of(row) for row in np.asarray(limits(key_rate, x))]
    t = fine[:: config.refine]
    if isinstance(density, Gaussian):
        first = density.diffused(process, t[0])
        laws = [density.diffused(process, time) for time in t]
        distance = [float(gaussian_w2_squared(first.mean, first.cov, law.mean, law.cov)) for law in laws]
        stderr = None
    else:
        distance, stderr = transported(config, key_noise, process, x, t)
    return Motion(np.asarray(t), np.array(distance), stderr, *(np.array(column) for column in zip(*limit, strict=True)))


def transported(config: ConfigDict, key, process, x, t):
    """Sample W_2^2 from p_t0 to p_t of groups of samples, each carried along: mean and standard error over groups."""
    groups = x.reshape(-1, config.transport.samples, x.shape[1])[: config.transport.groups]
    noise = jax.random.normal(key, groups.shape, groups.dtype)

    def at(time):
        return np.asarray(process.alpha(time) * groups + process.sigma(time) * noise)

    found = np.array([[sample_w2_squared(a, b) for a, b in zip(at(t[0]), at(time), strict=True)] for time in t])
    return found.mean(axis=1), found.std(axis=1, ddof=1) / np.sqrt(found.shape[1])


def largest_share(motion: Motion) -> Estimate:
    """The largest distance/limit over t (after the first step), and its error there."""
    share = motion.distance[1:] / motion.limit[1:]
    at = int(np.argmax(share)) + 1
    error = motion.limit_stderr[at] / motion.limit[at] * share[at - 1]
    if motion.distance_stderr is not None:
        error = np.hypot(error, motion.distance_stderr[at] / motion.limit[at])
    return Estimate(float(share[at - 1]), float(error))


def draw(workdir, config: ConfigDict, motions: dict[str, Motion]) -> None:
    """W_2^2 and its limit over t, a panel for each case: mixture solid, the Gaussian of its moments dotted."""
    names = [name for name in motions if not name.endswith("gaussian")]
    columns = len(config.dimensions)
    fig, axes = reporting.figure(len(names) // columns, columns, width=3.2, height=2.4)
    for ax, name in zip(axes.ravel(), names, strict=True):
        mixture, gaussian = motions[name], motions[f"{name}.gaussian"]
        t = mixture.t[1:]
        reporting.band(ax, t, mixture.limit[1:], 2 * mixture.limit_stderr[1:], label="speed limit")
        distance = (mixture.distance[1:], 2 * mixture.distance_stderr[1:])
        reporting.band(ax, t, *distance, label="$W_2^2$, mixture (samples)")
        ax.plot(t, gaussian.limit[1:], ":", color=reporting.PALETTE[0], label="limit, Gaussian")
        ax.plot(t, gaussian.distance[1:], ":", color=reporting.PALETTE[1], label="$W_2^2$, Gaussian (exact)")
        ax.set(xscale="log", yscale="log")
        reporting.label(ax, "t", "squared length", title=name.replace("_", " "))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    reporting.save(fig, workdir, "speed_limit")


if __name__ == "__main__":
    command_line.main(run)
