"""How many nats guidance injects, and what it does to the samples: a joint Gaussian, where both are
known.

    python -m experiments.guidance --config=configs/guidance/joint_gaussian.py --workdir=DIR

Classifier-free guidance
samples with the score s_w = s(x|y) + w (s(x|y) - s(x)). What it adds to a sampler that knows no y
is the relative entropy of the paths, int 1/2 g^2 E_w|s_w - s|^2 dt (2509.23937): I(X;Y) at w = 0,
and more with w. For Gaussians guided samples are Gaussian again, x = M y + noise, and every
quantity is a closed recursion in float64 (of Euler's steps, for whose means it is linear; images
take the ancestral steps of diffenc/diffusion/guidance.py). That of a chain's own steps is the truth
of a simulation of these steps, and has an error of first order in the step; continuous time is its
Richardson extrapolation, from half and all of the steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import gaussian, tasks
from diffenc.keys import key_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line

LOG_SNR = (-10.0, 10.0)


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again prints the results of the finished run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    sizes = (config.dim_x, config.dim_y, config.noise_std)
    pair = tasks.linear_channel(key_of(config.seed, "channel"), *sizes)
    results, curves = [Result("information", pair.information, None)], []
    with (
        records.MetricsWriter(workdir) as writer,
        records.progress(len(config.weights), description="weights") as show,
    ):
        for index, weight in enumerate(config.weights):
            exact, limit = (
                recursion(pair, weight, config.num_steps),
                continuous(pair, weight, config.num_steps),
            )
            measured = simulate(key_of(config.seed, "chains", index), pair, weight, config)
            curves.append((weight, limit, measured))
            name = f"w={weight:g}"
            results += [
                Result(f"{name}.injected", *measured.injected, truth=exact.injected),
                Result(
                    f"{name}.sample_information", *measured.information, truth=exact.information
                ),
                Result(f"{name}.injected_in_continuous_time", limit.injected, None),
                Result(f"{name}.sample_information_in_continuous_time", limit.information, None),
                Result(f"{name}.distortion", limit.distortion, None),
            ]
            injected, stderr = measured.injected
            writer.write(index + 1, weight=weight, injected=injected, injected_stderr=stderr)
            show(index + 1, f"{name}: {limit.injected:.2f} nats injected")
    draw(workdir, config, pair, curves)
    tables.write_results(workdir, results)
    tables.print_table(
        results, title="guidance of a joint Gaussian; truth: the recursion of the same steps"
    )
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    command_line.check_positive(config, "dim_x", "dim_y", "noise_std", "num_steps")
    command_line.check_not_negative(config, "seed")
    if config.num_steps < 4 or config.num_steps % 2:
        raise InputError(
            f"config field num_steps is {config.num_steps}: give an even number, 4 or more"
        )
    if config.num_samples < 100:
        raise InputError(f"config field num_samples is {config.num_samples}: give 100 or more")
    if not config.weights or min(config.weights) < 0:
        raise InputError(
            f"config field weights is {tuple(config.weights)}: give one or more, none below 0"
        )


class Scores(NamedTuple):
    """Linear scores at one noise level, s(x) = -free x [D, D] and s(x|y) = -bound [D, D] (x - mean
    [D, d] y)."""

    free: np.ndarray
    bound: np.ndarray
    mean: np.ndarray


def levels(num_steps: int):
    """lambda at the left ends of the steps, alpha^2 there, the step, and the growth of alpha over
    each step."""
    log_snr = np.linspace(*LOG_SNR, num_steps + 1)
    alpha2 = 1 / (1 + np.exp(-log_snr))
    return log_snr[:-1], alpha2[:-1], log_snr[1] - log_snr[0], np.sqrt(alpha2[1:] / alpha2[:-1])


def scores(pair: tasks.GaussianPair, alpha2: float) -> Scores:
    """The scores of x_l = alpha x + sigma eps of the pair, without y and given y."""
    dim = pair.dim_x
    slope = np.linalg.solve(pair.cov_y, pair.cov[dim:, :dim]).T
    given = pair.cov_x - slope @ pair.cov[dim:, :dim]
    noise = (1 - alpha2) * np.eye(dim)
    inverses = (np.linalg.inv(alpha2 * cov + noise) for cov in (pair.cov_x, given))
    return Scores(*inverses, np.sqrt(alpha2) * slope)


class Exact(NamedTuple):
    """Of the guided chain: nats injected and their density over lambda, the information and the law
    of its samples (x = slope y + N(0, cov)), and the distortion E KL(guided || p(x|y))."""

    injected: float
    density: np.ndarray
    information: float
    distortion: float
    slope: np.ndarray
    cov: np.ndarray


def recursion(pair, weight: float, num_steps: int) -> Exact:
    """Mean and covariance of Euler's steps x <- growth x + sigma^2 h s_w(x) + sigma sqrt(h) n, from
    N(0, I)."""
    dim, cov_y = pair.dim_x, pair.cov_y
    slope, cov, density = np.zeros((dim, len(cov_y))), np.eye(dim), []
    _, alpha2, h, growth = levels(num_steps)
    for a2, factor in zip(alpha2, growth, strict=True):
        free, bound, mean = scores(pair, a2)
        variance = (1 - a2) * h
        pull = (1 + weight) * bound - weight * free
        # s_w - s = (1 + w) (s(x|y) - s(x)) = (1 + w) ((free - bound) x + bound mean y)
        by_x, by_y = (1 + weight) * (free - bound), (1 + weight) * bound @ mean
        along = by_x @ slope + by_y
        rate = np.sum(along @ cov_y * along) + np.sum(by_x @ cov * by_x)
        density.append(0.5 * (1 - a2) * rate)
        move = factor * np.eye(dim) - variance * pull
        slope = move @ slope + variance * (1 + weight) * bound @ mean
        cov = move @ cov @ move.T + variance * np.eye(dim)
    signal = slope @ cov_y @ slope.T
    information = 0.5 * (np.linalg.slogdet(cov + signal)[1] - np.linalg.slogdet(cov)[1])
    free, bound, mean = scores(pair, 1 / (1 + np.exp(-LOG_SNR[1])))
    off = slope - mean
    square = np.trace(bound @ (cov + off @ cov_y @ off.T))
    distortion = 0.5 * (square - dim - np.linalg.slogdet(cov)[1] - np.linalg.slogdet(bound)[1])
    return Exact(
        h * float(np.sum(density)),
        np.array(density),
        float(information),
        float(distortion),
        slope,
        cov,
    )


def continuous(pair, weight: float, num_steps: int) -> Exact:
    """`recursion` in continuous time: 2 f(h) - f(2h) of every quantity, h the step of num_steps
    steps, an even number; the density at the left ends of the longer steps."""
    coarse, fine = recursion(pair, weight, num_steps // 2), recursion(pair, weight, num_steps)
    fine = fine._replace(density=fine.density[::2])
    return Exact(*(2 * f - c for c, f in zip(coarse, fine, strict=True)))


class Measured(NamedTuple):
    """What simulated chains say: nats injected, information of the samples, and the pairs (x [n,
    D], y [n, d])."""

    injected: Estimate
    information: Estimate
    x: np.ndarray
    y: np.ndarray


def simulate(key, pair, weight: float, config: ConfigDict) -> Measured:
    """num_samples guided chains, in float32, with the injected nats gathered on the way."""
    key_pair, key_start, key_noise = jax.random.split(key, 3)
    _, alpha2, h, growth = levels(config.num_steps)
    at_level = [
        np.stack(matrices) for matrices in zip(*(scores(pair, a2) for a2 in alpha2), strict=True)
    ]
    arrays = [jnp.asarray(array, jnp.float32) for array in (alpha2, growth, *at_level)]
    y = jnp.asarray(pair.sample(key_pair, config.num_samples)[1], jnp.float32)
    x = jax.random.normal(key_start, (config.num_samples, pair.dim_x))

    @jax.jit
    def chains(x, y, keys, arrays):
        def step(carry, inputs):
            x, nats = carry
            key, (a2, factor, free, bound, mean) = inputs
            s, s_given = -x @ free, -(x - y @ mean.T) @ bound
            extra = (1 + weight) * (s_given - s)
            variance = (1 - a2) * h
            x = (
                factor * x
                + variance * (s + extra)
                + jnp.sqrt(variance) * jax.random.normal(key, x.shape)
            )
            return (x, nats + 0.5 * variance * jnp.sum(jnp.square(extra), axis=1)), None

        return jax.lax.scan(step, (x, jnp.zeros_like(x[:, 0])), (keys, arrays))[0]

    x, nats = chains(x, y, jax.random.split(key_noise, config.num_steps), arrays)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    linear_part = gaussian.gaussian_information(x, y)
    return Measured(
        Estimate.of(nats),
        Estimate(linear_part.mean, Estimate.of(linear_part.pointwise).stderr),
        x,
        y,
    )


def draw(workdir, config, pair, curves) -> None:
    """Nats against w, where in lambda they enter, and a one-dimensional picture of what guidance
    does."""
    fig, axes = figures.figure(1, 2, width=4.0)
    weights = np.array([weight for weight, *_ in curves])
    for label, truth, values in (
        (
            "injected along the paths",
            [e.injected for _, e, _ in curves],
            [m.injected for *_, m in curves],
        ),
        (
            "information of the samples",
            [e.information for _, e, _ in curves],
            [m.information for *_, m in curves],
        ),
    ):
        (line,) = axes[0, 0].plot(weights, truth, label=f"{label}, continuous time")
        mean, stderr = np.array(values).T
        axes[0, 0].errorbar(
            weights, mean, yerr=2 * stderr, fmt="o", markersize=3, color=line.get_color()
        )
    distortion = [exact.distortion for _, exact, _ in curves]
    axes[0, 0].plot(weights, distortion, ":", label="distortion E KL(guided || p(x|y))")
    figures.truth_line(axes[0, 0], pair.information, "I(X;Y)")
    axes[0, 0].set_yscale("symlog", linthresh=10)
    axes[0, 0].set_ylim(bottom=0)
    figures.label(axes[0, 0], "guidance weight w", "nats")
    axes[0, 0].legend(fontsize=7)
    log_snr = levels(config.num_steps // 2)[0]
    for weight, exact, _ in curves[:: max(1, len(curves) // 4)]:
        axes[0, 1].plot(log_snr, exact.density, label=f"w = {weight:g}")
    figures.label(axes[0, 1], "log signal-to-noise ratio", "nats injected per unit", legend=True)
    figures.save(fig, workdir, "guidance")
    picture(workdir, config)


def picture(workdir, config) -> None:
    """Guided samples of two correlated scalars, and the density they should have."""
    pair = tasks.bivariate(0.8)
    weights = (0.0, 1.0, 4.0)
    fig, axes = figures.figure(1, len(weights), width=2.6, height=2.6, sharex=True, sharey=True)
    grid = np.linspace(-3.5, 3.5, 81)
    y, x = np.meshgrid(grid, grid)
    precision = np.linalg.inv(pair.cov)
    log_density = -0.5 * (
        precision[0, 0] * x**2 + 2 * precision[0, 1] * x * y + precision[1, 1] * y**2
    )
    for index, (ax, weight) in enumerate(zip(axes[0], weights, strict=True)):
        chain = simulate(key_of(config.seed, "picture", index), pair, weight, config)
        ax.plot(chain.y[:1000, 0], chain.x[:1000, 0], ".", markersize=2, alpha=0.5)
        ax.contour(
            y,
            x,
            np.exp(log_density),
            levels=np.exp([-4.5, -2.0, -0.5]),
            colors="#000000",
            linewidths=0.8,
        )
        ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
        figures.label(ax, "condition y", "sample x" if weight == 0 else "", f"w = {weight:g}")
    figures.save(fig, workdir, "picture")


if __name__ == "__main__":
    command_line.main(run)
