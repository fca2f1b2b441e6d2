"""Gamblers and autoencoders: information as the growth of wealth, and as the limit of a tower of
small codes.

    python -m experiments.kelly --config=configs/kelly/race.py --workdir=DIR
    python -m experiments.kelly --config=configs/kelly/tower.py --workdir=DIR

`race`: a gambler's log-wealth grows faster with side information, by exactly I(X;Y) (Kelly 1956);
on discrete horses with bets learned from past races, and on a Gaussian channel where bets are
placed at every noise level of a diffusion. `tower`: N levels of a
hierarchical autoencoder on Gaussian data; each term of its ELBO divided by its step tends to the
rate 1/2 g^2 E|s - s_theta|^2 of the diffusion, and their sum to the integral, with an error like
1/N (2509.23937).
"""

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import processes
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.parameterization import alpha_sigma
from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.keys import key_of, rng_of
from diffenc.run import figures, records, tables
from diffenc.run.tables import Result
from experiments import command_line


def run(config: ConfigDict, workdir: Path) -> None:
    """The case of the config; running it again prints the results of the finished run."""
    check(config)
    if command_line.is_complete(config, workdir):
        return
    results = {"race": race, "tower": tower}[config.case](config, workdir)
    with records.MetricsWriter(workdir) as writer:
        writer.write(1, **{result.name: result.value for result in results})
    tables.write_results(workdir, results)
    tables.print_table(results, title=f"kelly: {config.case}")
    print(f"figures: {workdir / 'figures'}")


def check(config: ConfigDict) -> None:
    """Raises InputError for settings that no run could use."""
    command_line.check_choice("case", config.get("case"), ("race", "tower"))
    if config.case == "race":
        command_line.check_not_negative(config, "seed")
        command_line.check_positive(config, "num_races", "num_past_races", "noise_std", "draws")
        if config.num_horses < 2 or not 0 <= config.error < 1 - 1 / config.num_horses:
            raise InputError(
                f"num_horses is {config.num_horses} and error {config.error}: give 2 or more, and a tip "
                "that is right more often than chance"
            )
        if config.num_races < 2:
            raise InputError("config field num_races is 1: a standard error needs 2 or more")
    else:
        if len(set(config.levels)) < 2 or min(config.levels) < 1:
            raise InputError(
                f"config field levels is {tuple(config.levels)}: give two numbers of levels or more"
            )
        if not config.variances or min(config.variances) <= 0:
            raise InputError(
                f"config field variances is {tuple(config.variances)}: give one or more, all above 0"
            )
        if not 0 < config.start < 1:
            raise InputError(f"config field start is {config.start}: give a time between 0 and 1")


# --------------------------------------------------------------------------------------------- race


def race(config: ConfigDict, workdir: Path) -> list[Result]:
    """Both races: held-out growth with and without side information, and wealth curves of the
    bets."""
    discrete, discrete_truth = horses(rng_of(config.seed, "horses"), config)
    gaussian, gaussian_truth = channel(key_of(config.seed, "channel"), config)
    results, fig, axes = [], *figures.figure(1, 2, width=4.0)
    for ax, name, growth, truth in (
        (axes[0, 0], "horses", discrete, discrete_truth),
        (axes[0, 1], "channel", gaussian, gaussian_truth),
    ):
        without, with_tip = growth
        results += [
            Result(f"{name}.growth_without", *Estimate.of(without), "nats a race", truth=truth[0]),
            Result(f"{name}.growth_with", *Estimate.of(with_tip), "nats a race", truth=truth[1]),
            Result(
                f"{name}.growth_difference",
                *Estimate.of(with_tip - without),
                "nats a race",
                truth[1] - truth[0],
            ),
        ]
        races = np.arange(1, len(without) + 1)
        ax.plot(races, np.cumsum(with_tip), label="with side information")
        ax.plot(races, np.cumsum(without), label="without")
        for value in truth:
            ax.plot(races, value * races, color="#000000", linestyle="--", linewidth=1.0)
        figures.label(ax, "race", "log wealth [nats]", f"{name}; dashed: truth", legend=True)
    figures.save(fig, workdir, "wealth")
    return results


def horses(rng, config):
    """Log-growth of every held-out race, without and with a tip; bets are frequencies of past
    races, plus one half.

    The odds are 1 / M for all, p = softmax of normals, the tip names the winner and errs with
    probability error, uniformly. Truth: log M - H(X), and I(X;Y) more.
    """
    count, error = config.num_horses, config.error
    p = np.exp(rng.standard_normal(count))
    p /= p.sum()
    tip = np.full((count, count), error / (count - 1)) + (1 - error - error / (count - 1)) * np.eye(
        count
    )
    joint = p[:, None] * tip
    total = config.num_past_races + config.num_races
    winner = rng.choice(count, size=total, p=p)
    said = np.where(
        rng.uniform(size=total) < error,
        (winner + rng.integers(1, count, size=total)) % count,
        winner,
    )
    counts = np.full((count, count), 0.5)
    np.add.at(counts, (winner[: config.num_past_races], said[: config.num_past_races]), 1)
    bets, bets_with_tip = counts.sum(axis=1) / counts.sum(), counts / counts.sum(axis=0)
    winner, said = winner[config.num_past_races :], said[config.num_past_races :]
    growth = np.log(bets[winner] * count), np.log(bets_with_tip[winner, said] * count)
    entropy = -np.sum(p * np.log(p))
    information = np.sum(
        joint * np.log(joint / np.outer(p, joint.sum(axis=0)), where=joint > 0, out=joint * 0)
    )
    return growth, (np.log(count) - entropy, np.log(count) - entropy + information)


def channel(key, config):
    """The same through a diffusion: X ~ N(0, v), Y = X + noise; odds by N(0, 1), bets at draws
    noise levels a race.

    Growth of a race: 1/2 int alpha^2 (2 <v, o> - o^2) d(lambda) over its noise, o the exact
    prediction of v = alpha eps - sigma x, without Y and given Y (2409.03817); truth: KL(N(0, v) ||
    N(0, 1)), and 1/2 log(1 + v / noise^2) more.
    """
    key_x, key_y, key_u, key_eps = jax.random.split(key, 4)
    n, draws, variance, noise = config.num_races, config.draws, config.variance, config.noise_std**2
    x = jnp.sqrt(variance) * jax.random.normal(key_x, (n, 1))
    y = x + config.noise_std * jax.random.normal(key_y, (n, 1))
    u = (jnp.arange(draws)[None] + jax.random.uniform(key_u, (n, draws))) / draws
    log_snr, density = Uniform(-12.0, 12.0).draw(u)
    alpha, sigma = alpha_sigma(log_snr)
    eps = jax.random.normal(key_eps, (n, draws))

    def growth(mean, spread, eps):
        x_noised, v = alpha * x + sigma * eps, alpha * eps - sigma * x
        tau = jnp.square(alpha) * spread + jnp.square(sigma)
        o = -sigma * mean - alpha * sigma * (spread - 1) / tau * (x_noised - alpha * mean)
        integrand = 0.5 * jnp.square(alpha) * (2 * v * o - jnp.square(o))
        return jnp.mean(integrand / density, axis=1)

    posterior = variance * noise / (variance + noise)
    cases = ((jnp.zeros_like(y), variance), (variance / (variance + noise) * y, posterior))
    values = [
        np.asarray(0.5 * (growth(*case, eps) + growth(*case, -eps)), np.float64) for case in cases
    ]
    kl = 0.5 * (variance - 1 - np.log(variance))
    return values, (kl, kl + 0.5 * np.log1p(variance / noise))


# -------------------------------------------------------------------------------------------- tower


def tower(config: ConfigDict, workdir: Path) -> list[Result]:
    """The terms of N levels, their rates beside the limit, and the error of their sum against N."""
    process = processes.VPLinear()
    variances = np.array(config.variances, np.float64)

    def snr(t):
        return np.exp(np.asarray(process.log_snr(t), np.float64))

    def mmse(t):
        return np.sum(variances / (1 + variances * snr(t)[..., None]), axis=-1)

    start, end = config.start, 1.0
    grid = np.geomspace(start, end, 20_001)
    limit = -0.5 * np.trapezoid(mmse(grid), snr(grid))
    closed = 0.5 * np.sum(
        np.log1p(variances * snr(np.array(start))) - np.log1p(variances * snr(np.array(end)))
    )
    results = [Result("tower.limit", limit, None, truth=closed)]
    fig, axes = figures.figure(1, 2, width=4.0)
    errors = []
    for count in sorted(config.levels):
        t = np.linspace(start, end, count + 1)
        # KL(q(x_s | x_t, x_0) || p(x_s | x_t)) with the exact mean of x_0 and q's variance
        # (2107.00630, equation 13)
        terms = 0.5 * (snr(t[:-1]) - snr(t[1:])) * mmse(t[1:])
        errors.append(abs(terms.sum() - limit))
        results.append(Result(f"tower.{count}.sum", terms.sum(), None, truth=closed))
        if count in (min(config.levels), 32, max(config.levels)):
            axes[0, 0].plot(
                0.5 * (t[:-1] + t[1:]),
                terms / np.diff(t),
                ".-",
                markersize=3,
                label=f"{count} levels",
            )
    rate = -0.5 * mmse(grid) * np.gradient(snr(grid), grid)
    axes[0, 0].plot(
        grid, rate, color="#000000", linestyle="--", linewidth=1.0, label="rate of the diffusion"
    )
    axes[0, 0].set_yscale("log")
    figures.label(axes[0, 0], "time", "ELBO term / step [nats per unit]", legend=True)
    levels = np.array(sorted(config.levels), float)
    axes[0, 1].loglog(levels, errors, "o-", label="|sum - integral|")
    axes[0, 1].loglog(levels, errors[-1] * levels[-1] / levels, "k--", linewidth=1.0, label="1 / N")
    figures.label(axes[0, 1], "levels N", "error [nats]", legend=True)
    figures.save(fig, workdir, "tower")
    order = np.log(errors[-2] / errors[-1]) / np.log(levels[-1] / levels[-2])
    return [*results, Result("tower.order", order, None, "", truth=1.0)]


if __name__ == "__main__":
    command_line.main(run)
