"""How many nats guidance injects: a joint Gaussian, where all is known in closed form.

    python -m experiments.guidance --config=configs/guidance/joint_gaussian.py --workdir=DIR

Classifier-free guidance samples with the score s_w = s(x|y) + w (s(x|y) - s(x)). What it adds to a
sampler that knows no y is the relative entropy of the paths, int 1/2 g^2 E_w|s_w - s|^2 dt
(2509.23937): I(X;Y) at w = 0, and more with w. For Gaussians guided samples are Gaussian again, x =
M y + noise, and every quantity is a closed recursion in float64 (of Euler's steps, for whose means
it is linear; images take the ancestral steps of diffenc/diffusion/guidance.py). That of a chain's
own steps is the truth of a simulation of these steps, and has an error of first order in the step;
continuous time is its Richardson extrapolation, from half and all of the steps.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.errors import check, check_least, check_positive
from diffenc.estimate import Estimate
from diffenc.information.benchmark import pairs
from diffenc.information.coordinates import gaussian
from diffenc.keys import key_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.guidance.recursion import Exact, continuous, levels, recursion, scores


@dataclass(frozen=True)
class Guidance:
    """A joint Gaussian and its guided chains.

    Attributes:
        seed: of the run.
        dim_x: of the samples.
        dim_y: of their condition.
        noise_std: of the channel from x to y.
        weights: w, each once.
        num_steps: of a chain; half as many are followed too, to extrapolate.
        num_samples: chains for every weight.
    """

    seed: int
    dim_x: int
    dim_y: int
    noise_std: float
    weights: tuple[float, ...]
    num_steps: int
    num_samples: int

    def __post_init__(self):
        check_positive(self, "dim_x", "dim_y", "noise_std")
        check_least(self, 0, "seed")
        is_even = self.num_steps >= 4 and self.num_steps % 2 == 0
        check(is_even, "num_steps", self.num_steps, "give an even number, 4 or more")
        check_least(self, 100, "num_samples")
        names = {f"{weight:g}" for weight in self.weights}
        holds = 0 < len(names) == len(self.weights) and min(self.weights) >= 0
        check(holds, "weights", self.weights, "give different numbers, one or more, none below 0")


class Measured(NamedTuple):
    """What simulated chains say.

    Attributes:
        injected: nats.
        information: of the samples and their condition, nats.
        x: samples [n, D].
        y: their conditions [n, d].
    """

    injected: Estimate
    information: Estimate
    x: np.ndarray
    y: np.ndarray


class AtWeight(NamedTuple):
    """What is known of one weight: in continuous time, and by simulated chains."""

    weight: float
    limit: Exact
    measured: Measured


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; running it again prints the results of the finished run."""
    settings = command_line.read(Guidance, config)
    if command_line.is_complete(config, workdir):
        return
    pair = pairs.linear_channel(
        key_of(settings.seed, "channel"), settings.dim_x, settings.dim_y, settings.noise_std
    )
    with jax.default_matmul_precision("highest"):
        results, curves = measure(settings, pair, workdir)
        draw(workdir, pair, curves, levels(settings.num_steps // 2)[0])
        picture(workdir, settings)
    tables.write_results(workdir, results)
    tables.print_table(
        results, title="guidance of a joint Gaussian; truth: the recursion of the same steps"
    )
    print(f"figures: {workdir / 'figures'}")


def measure(
    settings: Guidance, pair: pairs.GaussianPair, workdir: Path
) -> tuple[list[Result], list[AtWeight]]:
    """Compute and simulate the chains of every weight.

    Args:
        settings: of the chains.
        pair: the joint Gaussian.
        workdir: of the metrics.

    Returns:
        The results, and what the figures need of every weight.
    """
    num_steps = settings.num_steps
    results = [Result("information", pair.information, None)]
    curves = []
    with (
        records.MetricsWriter(workdir) as writer,
        records.progress(len(settings.weights), description="weights") as show,
    ):
        for index, weight in enumerate(settings.weights):
            exact = recursion(pair, weight, num_steps)
            limit = continuous(pair, weight, num_steps)
            key = key_of(settings.seed, "chains", index)
            measured = simulate(key, pair, weight, num_steps, settings.num_samples)
            curves.append(AtWeight(weight, limit, measured))
            name = f"w={weight:g}"
            injected = measured.injected
            information = measured.information
            results += [
                Result(f"{name}.injected", *injected, truth=exact.injected),
                Result(f"{name}.sample_information", *information, truth=exact.information),
                Result(f"{name}.injected_in_continuous_time", limit.injected, None),
                Result(f"{name}.sample_information_in_continuous_time", limit.information, None),
                Result(f"{name}.distortion", limit.distortion, None),
            ]
            writer.write(
                index + 1,
                weight=weight,
                injected=injected.mean,
                injected_stderr=injected.stderr,
            )
            show(index + 1, f"{name}: {limit.injected:.2f} nats injected")
    return results, curves


def simulate(key, pair, weight: float, num_steps: int, num_samples: int) -> Measured:
    """Simulate guided chains in float32, and gather the injected nats on the way.

    Args:
        key: of conditions, starts and noise.
        pair: the joint Gaussian.
        weight: w.
        num_steps: of a chain.
        num_samples: chains.
    """
    key_pair, key_start, key_noise = jax.random.split(key, 3)
    _, alpha2, h, growth = levels(num_steps)
    at_levels = jax.tree.map(lambda *rows: np.stack(rows), *[scores(pair, a2) for a2 in alpha2])
    arrays = [np.asarray(array, np.float32) for array in (alpha2, growth, *at_levels)]
    y = np.asarray(pair.sample(key_pair, num_samples)[1], np.float32)
    x, nats = _chains(key_start, key_noise, y, weight, h, arrays)
    x = np.asarray(x, np.float64)
    y = np.asarray(y, np.float64)
    linear_part = gaussian.gaussian_information(x, y)
    return Measured(
        Estimate.of(nats),
        Estimate(linear_part.mean, Estimate.of(linear_part.pointwise).stderr),
        x,
        y,
    )


@jax.jit
def _chains(key_start, key_noise, y, weight, h, arrays):
    """Run the chains of `simulate` with the conditions y [n, dim_y]: their ends, and their nats."""
    alpha2, _, free, _, _ = arrays

    def step(carry, inputs):
        x, nats = carry
        key, (a2, factor, free, bound, mean) = inputs
        s = -x @ free
        s_given_y = -(x - y @ mean.T) @ bound
        extra = (1 + weight) * (s_given_y - s)
        variance = (1 - a2) * h
        noise = jnp.sqrt(variance) * jax.random.normal(key, x.shape)
        x = factor * x + variance * (s + extra) + noise
        return (x, nats + 0.5 * variance * jnp.sum(jnp.square(extra), axis=1)), None

    x = jax.random.normal(key_start, (len(y), free.shape[-1]))
    keys = jax.random.split(key_noise, len(alpha2))
    return jax.lax.scan(step, (x, jnp.zeros_like(x[:, 0])), (keys, arrays))[0]


def draw(workdir, pair, curves: list[AtWeight], log_snr) -> None:
    """Draw nats against w, and where in lambda they enter.

    Args:
        workdir: of the run.
        pair: the joint Gaussian.
        curves: of every weight.
        log_snr: where the densities are known.
    """
    fig, axes = figures.figure(1, 2, width=4.0)
    left, right = axes[0]
    weights = [one.weight for one in curves]
    for field, text in (
        ("injected", "injected along the paths"),
        ("information", "information of the samples"),
    ):
        limits = [getattr(one.limit, field) for one in curves]
        estimates = [getattr(one.measured, field) for one in curves]
        (line,) = left.plot(weights, limits, label=f"{text}, continuous time")
        left.errorbar(
            weights,
            [estimate.mean for estimate in estimates],
            yerr=[2 * estimate.stderr for estimate in estimates],
            fmt="o",
            markersize=3,
            color=line.get_color(),
        )
    distortion = [one.limit.distortion for one in curves]
    left.plot(weights, distortion, ":", label="distortion E KL(guided || p(x|y))")
    figures.truth_line(left, pair.information, "I(X;Y)")
    left.set_yscale("symlog", linthresh=10)
    left.set_ylim(bottom=0)
    figures.label(left, "guidance weight w", "nats")
    left.legend(fontsize=7)
    for one in curves[:: max(1, len(curves) // 4)]:
        right.plot(log_snr, one.limit.density, label=f"w = {one.weight:g}")
    figures.label(right, "log signal-to-noise ratio", "nats injected per unit", legend=True)
    figures.save(fig, workdir, "guidance")


def picture(workdir, settings: Guidance) -> None:
    """Draw guided samples of two correlated scalars, and the density they should have."""
    pair = pairs.bivariate(0.8)
    weights = (0.0, 1.0, 4.0)
    fig, axes = figures.figure(1, len(weights), width=2.6, height=2.6, sharex=True, sharey=True)
    grid = np.linspace(-3.5, 3.5, 81)
    y, x = np.meshgrid(grid, grid)
    precision = np.linalg.inv(pair.cov)
    log_density = -0.5 * (
        precision[0, 0] * x**2 + 2 * precision[0, 1] * x * y + precision[1, 1] * y**2
    )
    for index, (ax, weight) in enumerate(zip(axes[0], weights, strict=True)):
        key = key_of(settings.seed, "picture", index)
        chain = simulate(key, pair, weight, settings.num_steps, settings.num_samples)
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
    command_line.main(run, is_divided=False)
