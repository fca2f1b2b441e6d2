"""Gamblers and autoencoders: information as growth of wealth, and as the limit of small codes.

    python -m experiments.kelly --config=configs/kelly/race.py --workdir=DIR
    python -m experiments.kelly --config=configs/kelly/tower.py --workdir=DIR

`race`: a gambler's log-wealth grows faster with side information, by exactly I(X;Y) (Kelly 1956);
on discrete horses with bets learned from past races, and on a Gaussian channel where bets are
placed at every noise level of a diffusion. `tower`: N levels of a hierarchical autoencoder on
Gaussian data; each term of its ELBO divided by its step tends to the rate 1/2 g^2 E|s - s_theta|^2
of the diffusion, and their sum to the integral, with an error like 1/N (2509.23937).
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import processes
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError, check, check_choice, check_least, check_positive
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line


@dataclass(frozen=True)
class Race:
    """Two races: of horses, and through a Gaussian channel Y = X + noise.

    Attributes:
        seed: of the run.
        num_races: that are bet on.
        num_horses: all at equal odds.
        error: probability that the tip names a wrong horse.
        num_past_races: that the bets on horses are learned from.
        variance: of X; the odds are those of N(0, 1).
        noise_std: of the channel.
        draws: noise levels of a race through the channel.
    """

    seed: int
    num_races: int
    num_horses: int
    error: float
    num_past_races: int
    variance: float
    noise_std: float
    draws: int

    def __post_init__(self):
        check_least(self, 0, "seed")
        check_positive(self, "num_races", "num_past_races", "variance", "noise_std", "draws")
        if self.num_horses < 2 or not 0 <= self.error < 1 - 1 / self.num_horses:
            raise InputError(
                f"num_horses is {self.num_horses} and error {self.error}: "
                "give 2 or more, and a tip that is right more often than chance"
            )
        holds = self.num_races >= 2
        check(holds, "num_races", self.num_races, "a standard error needs 2 or more")


@dataclass(frozen=True)
class Tower:
    """Towers of autoencoders on Gaussian data.

    Attributes:
        levels: how many a tower has, for each tower.
        variances: of the data, along its axes.
        start: the time of the finest level.
    """

    levels: tuple[int, ...]
    variances: tuple[float, ...]
    start: float

    def __post_init__(self):
        holds = len(set(self.levels)) >= 2 and min(self.levels) >= 1
        check(holds, "levels", self.levels, "give two numbers of levels or more")
        holds = bool(self.variances) and min(self.variances) > 0
        check(holds, "variances", self.variances, "give one or more, all above 0")
        check(0 < self.start < 1, "start", self.start, "give a time between 0 and 1")


class Growth(NamedTuple):
    """Log-growth of a gambler's wealth in nats a race.

    Attributes:
        without: of every race, without side information, [num_races].
        with_tip: with it.
        truth_without: what the mean of `without` tends to.
        truth_with_tip: what that of `with_tip` tends to.
    """

    without: np.ndarray
    with_tip: np.ndarray
    truth_without: float
    truth_with_tip: float


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the case of the config; running it again prints the results of the finished run."""
    case = command_line.read_field(config, "case", str)
    check_choice("config field case", case, ("race", "tower"))
    settings = command_line.read(Race if case == "race" else Tower, config)
    if command_line.is_complete(config, workdir):
        return
    with jax.default_matmul_precision("highest"):
        results = race(settings, workdir) if case == "race" else tower(settings, workdir)
    with records.MetricsWriter(workdir) as writer:
        writer.write(1, **{result.name: result.value for result in results})
    tables.write_results(workdir, results)
    tables.print_table(results, title=f"kelly: {case}")
    print(f"figures: {workdir / 'figures'}")


# --------------------------------------------------------------------------------------------- race


def race(settings: Race, workdir: Path) -> list[Result]:
    """Run both races: held-out growth with and without side information, and wealth curves."""
    growths = {
        "horses": horses(rng_of(settings.seed, "horses"), settings),
        "channel": channel(key_of(settings.seed, "channel"), settings),
    }
    results = []
    fig, axes = figures.figure(1, 2, width=4.0)
    for ax, (name, growth) in zip(axes[0], growths.items(), strict=True):
        results += results_of_race(name, growth)
        races = np.arange(1, len(growth.without) + 1)
        ax.plot(races, np.cumsum(growth.with_tip), label="with side information")
        ax.plot(races, np.cumsum(growth.without), label="without")
        for value in (growth.truth_without, growth.truth_with_tip):
            ax.plot(races, value * races, color="#000000", linestyle="--", linewidth=1.0)
        figures.label(ax, "race", "log wealth [nats]", f"{name}; dashed: truth", legend=True)
    figures.save(fig, workdir, "wealth")
    return results


def results_of_race(name: str, growth: Growth) -> list[Result]:
    """Report the mean growth without and with side information, and their difference."""
    unit = "nats a race"
    without = Estimate.of(growth.without)
    with_tip = Estimate.of(growth.with_tip)
    gain = Estimate.of(growth.with_tip - growth.without)
    truth = growth.truth_with_tip - growth.truth_without
    return [
        Result(f"{name}.growth_without", *without, unit, growth.truth_without),
        Result(f"{name}.growth_with", *with_tip, unit, growth.truth_with_tip),
        Result(f"{name}.growth_difference", *gain, unit, truth),
    ]


def horses(rng, settings: Race) -> Growth:
    """Bet on horses with the frequencies of past races, plus one half, as bets.

    The odds are 1 / M for all, p = softmax of normals, the tip names the winner and errs with
    probability error, uniformly. Truth: log M - H(X), and I(X;Y) more.
    """
    count = settings.num_horses
    error = settings.error
    num_past = settings.num_past_races
    p = np.exp(rng.standard_normal(count))
    p /= p.sum()
    wrong = error / (count - 1)
    tip_given_winner = np.full((count, count), wrong) + (1 - error - wrong) * np.eye(count)
    joint = p[:, None] * tip_given_winner
    total = num_past + settings.num_races
    winner = rng.choice(count, size=total, p=p)
    is_wrong = rng.uniform(size=total) < error
    tip = np.where(is_wrong, (winner + rng.integers(1, count, size=total)) % count, winner)
    counts = np.full((count, count), 0.5)
    np.add.at(counts, (winner[:num_past], tip[:num_past]), 1)
    bets = counts.sum(axis=1) / counts.sum()
    bets_with_tip = counts / counts.sum(axis=0)
    winner = winner[num_past:]
    tip = tip[num_past:]
    entropy = -np.sum(p * np.log(p))
    ratio = joint / np.outer(p, joint.sum(axis=0))
    information = np.sum(joint * np.log(ratio, where=joint > 0, out=joint * 0))
    return Growth(
        np.log(bets[winner] * count),
        np.log(bets_with_tip[winner, tip] * count),
        np.log(count) - entropy,
        np.log(count) - entropy + information,
    )


def channel(key, settings: Race) -> Growth:
    """Bet on X ~ N(0, v) at `draws` noise levels a race, at the odds of N(0, 1), Y = X + noise.

    Growth of a race: 1/2 int alpha^2 (2 <v, o> - o^2) d(lambda) over its noise, o the exact
    prediction of v = alpha eps - sigma x, without Y and given Y (2409.03817); truth: KL(N(0, v) ||
    N(0, 1)), and 1/2 log(1 + v / noise^2) more.
    """
    without, with_y = _channel_growths(key, settings)
    noise = settings.noise_std**2
    kl = 0.5 * (settings.variance - 1 - np.log(settings.variance))
    return Growth(
        np.asarray(without, np.float64),
        np.asarray(with_y, np.float64),
        kl,
        kl + 0.5 * np.log1p(settings.variance / noise),
    )


@functools.partial(jax.jit, static_argnames="settings")
def _channel_growths(key, settings: Race):
    """Give the growth of every race without Y and given Y, [num_races] each."""
    key_x, key_y, key_u, key_eps = jax.random.split(key, 4)
    n = settings.num_races
    draws = settings.draws
    variance = settings.variance
    noise = settings.noise_std**2
    x = jnp.sqrt(variance) * jax.random.normal(key_x, (n, 1))
    y = x + settings.noise_std * jax.random.normal(key_y, (n, 1))
    u = (jnp.arange(draws)[None] + jax.random.uniform(key_u, (n, draws))) / draws
    log_snr, density = Uniform(-12.0, 12.0).draw(u)
    alpha, sigma = alpha_sigma(log_snr)
    eps = jax.random.normal(key_eps, (n, draws))

    def growth(mean, spread, eps):
        x_noised = alpha * x + sigma * eps
        v = alpha * eps - sigma * x
        tau = jnp.square(alpha) * spread + jnp.square(sigma)
        o = -sigma * mean - alpha * sigma * (spread - 1) / tau * (x_noised - alpha * mean)
        integrand = 0.5 * jnp.square(alpha) * (2 * v * o - jnp.square(o))
        return jnp.mean(integrand / density, axis=1)

    def of_both_signs(mean, spread):
        return 0.5 * (growth(mean, spread, eps) + growth(mean, spread, -eps))

    posterior_mean = variance / (variance + noise) * y
    posterior_variance = variance * noise / (variance + noise)
    without = of_both_signs(jnp.zeros_like(y), variance)
    return without, of_both_signs(posterior_mean, posterior_variance)


# -------------------------------------------------------------------------------------------- tower


def tower(settings: Tower, workdir: Path) -> list[Result]:
    """Compute the terms of N levels, their rates, and the error of their sum against N."""
    process = processes.VPLinear()
    variances = np.array(settings.variances, np.float64)
    start = settings.start
    end = 1.0

    def mmse(snr):
        return np.sum(variances / (1 + variances * snr[:, None]), axis=-1)

    counts = sorted(settings.levels)
    grid = np.geomspace(start, end, 20_001)
    times = [grid, *(np.linspace(start, end, count + 1) for count in counts)]
    log_snr = jax.jit(process.log_snr)(np.concatenate(times))  # of all in one program
    sizes = [len(t) for t in times]
    snr, *snr_of_levels = np.split(np.exp(np.asarray(log_snr, np.float64)), np.cumsum(sizes)[:-1])
    limit = -0.5 * np.trapezoid(mmse(snr), snr)
    at_start = np.log1p(variances * snr[0])
    at_end = np.log1p(variances * snr[-1])
    closed = 0.5 * np.sum(at_start - at_end)
    results = [Result("tower.limit", limit, None, truth=closed)]
    fig, axes = figures.figure(1, 2, width=4.0)
    errors = []
    for count, t, at_t in zip(counts, times[1:], snr_of_levels, strict=True):
        # KL(q(x_s | x_t, x_0) || p(x_s | x_t)) with the exact mean of x_0 and q's variance
        # (2107.00630, equation 13)
        terms = 0.5 * (at_t[:-1] - at_t[1:]) * mmse(at_t[1:])
        errors.append(abs(terms.sum() - limit))
        results.append(Result(f"tower.{count}.sum", terms.sum(), None, truth=closed))
        if count in (counts[0], 32, counts[-1]):
            centres = 0.5 * (t[:-1] + t[1:])
            rates = terms / np.diff(t)
            axes[0, 0].plot(centres, rates, ".-", markersize=3, label=f"{count} levels")
    rate = -0.5 * mmse(snr) * np.gradient(snr, grid)
    black = {"color": "#000000", "linestyle": "--", "linewidth": 1.0}
    axes[0, 0].plot(grid, rate, label="rate of the diffusion", **black)
    axes[0, 0].set_yscale("log")
    figures.label(axes[0, 0], "time", "ELBO term / step [nats per unit]", legend=True)
    levels = np.array(counts, float)
    axes[0, 1].loglog(levels, errors, "o-", label="|sum - integral|")
    axes[0, 1].loglog(levels, errors[-1] * levels[-1] / levels, label="1 / N", **black)
    figures.label(axes[0, 1], "levels N", "error [nats]", legend=True)
    figures.save(fig, workdir, "tower")
    order = np.log(errors[-2] / errors[-1]) / np.log(levels[-1] / levels[-2])
    return [*results, Result("tower.order", order, None, "", truth=1.0)]


if __name__ == "__main__":
    command_line.main(run, is_divided=False)
