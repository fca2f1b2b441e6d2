"""What an image says about its label, and at which noise: I(image; label) and its density over
lambda.

    python -m experiments.labels --config=configs/labels/digits.py --workdir=DIR

The information is that of a classifier of
noised images, label_posterior: a lower bound of I(x_lambda; Y) at every lambda, the log
signal-to-noise ratio, whose rise is a density of information (arXiv 2509.23937) and shows at which
noise the label becomes visible: the position of its peak, and the share that is there at lambda = 0
already. Beside it, for comparison, the three forms of label_denoiser, integrals of densities over
lambda, with peak and share of the scores, whose difference counts as information whatever the label
changes without need. Errors are those of the held-out images alone: another training gives other
networks, which these errors do not know.
"""

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import entropy
from diffenc.estimate import Estimate
from diffenc.keys import rng_of
from diffenc.run import figures, parallel, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.labels import denoiser, posterior

SMOOTHING = 0.5  # standard deviation of the kernel, in units of lambda
TEXTS = {
    "label_information": "classifier: log q of the label",
    "label_information_by_gradients": "classifier: its gradients",
    "entropy_difference": "denoiser: entropies",
    "growth_difference": "denoiser: held-out growth",
    "score_difference": "denoiser: scores",
}


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished
    run."""
    denoiser.check(config)
    posterior.check(config)
    if command_line.is_complete(config, workdir):
        return
    parallel.check_batch(
        config.posterior.batch_size, parallel.data_mesh(config.num_devices or None)
    )
    images, scale, classes = denoiser.load(config)
    trained = denoiser.train(config, workdir, images, scale, classes)
    curve = posterior.run(config, workdir, images, scale, classes)
    name, draws, levels = config.data.name, trained.draws, trained.levels
    rng = rng_of(config.seed, "bootstrap")
    scores, share = form(draws, "score_difference"), "of the information"
    results = [
        *posterior.information(name, curve),
        Result(f"{name}.peak_log_snr", *peak(rng, curve.slope(), levels), "lambda"),
        Result(f"{name}.high_noise_share", *posterior.high_noise_share(rng, curve), share),
        *denoiser.information(config, name, images, draws.total()),
        Result(f"{name}.peak_log_snr_by_scores", *peak(rng, scores, levels), "lambda"),
        Result(f"{name}.high_noise_share_by_scores", *high_noise_share(scores), share),
    ]
    draw(workdir, name, results, draws, levels, curve)
    tables.write_results(workdir, results)
    counts = f"held-out images: {len(curve.density.T)} by the classifier, {len(draws.log_snr.T)} by the denoiser"
    tables.print_table(results, title=f"information of images and labels, {counts}")
    print(f"figures: {workdir / 'figures'}")


def form(draws: entropy.Profile, which: str) -> entropy.Profile:
    """The draws of one of the three forms."""
    return draws._replace(values=draws.values[which])


def peak(rng, draws: entropy.Profile, levels, resamples: int = 500) -> Estimate:
    """Where the density over lambda, smoothed by a Gaussian kernel, is highest: draws of one form
    [K, n], the error by the bootstrap over the n images."""
    curve = entropy.curve(draws, levels)
    grid = np.linspace(curve.edges[0], curve.edges[-1], 1001)
    kernel = make_kernel(grid, curve.log_snr)
    width = np.diff(curve.edges)[:, None]
    parts = (
        np.asarray(draws.values, np.float64)
        / np.asarray(draws.density, np.float64)
        / len(width)
        / width
    )

    def highest(heights):  # [..., K] -> [...]
        return grid[np.argmax(heights @ kernel.T, axis=-1)]

    count = parts.shape[1]
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples) @ parts.T / count
    return Estimate(float(highest(curve.height)), float(np.std(highest(drawn), ddof=1)))


def make_kernel(at, centres) -> np.ndarray:
    """The weights [N, K] by which heights at the centres [K] are averaged to smooth ones at [N]."""
    kernel = np.exp(-0.5 * np.square((at[:, None] - centres[None]) / SMOOTHING))
    return kernel / kernel.sum(axis=1, keepdims=True)


def high_noise_share(draws: entropy.Profile) -> Estimate:
    """The share of the integral that lies below lambda = 0, noise above signal, of one form [K, n];
    the error is that of a ratio of means over the n images."""
    values = np.asarray(draws.values, np.float64) / np.asarray(draws.density, np.float64)
    below, total = (
        np.mean(part, axis=0) for part in (values * (np.asarray(draws.log_snr) < 0), values)
    )
    share = below.mean() / total.mean()
    return Estimate(float(share), Estimate.of((below - share * total) / total.mean()).stderr)


def draw(
    workdir, name: str, results, draws: entropy.Profile, levels, curve: posterior.Curve
) -> None:
    """Left: the density over lambda of every form, the classifier's smoothed as for the peak;
    right: its integral from high noise, below the labels' entropy."""
    found = {result.name: result for result in results}
    fig, axes = figures.figure(1, 2, width=4.4, height=3.7)
    slope = curve.slope()
    centres = slope.log_snr[:, 0]
    rise = make_kernel(centres, centres) @ slope.values
    density = make_kernel(centres, curve.log_snr) @ curve.density
    lines = {
        "label_information": (centres, rise, curve.log_snr, curve.information),
        "label_information_by_gradients": (centres, density, curve.log_snr, curve.integral()),
    }
    for which in denoiser.FORMS:
        drawn = form(draws, which)
        cells = entropy.curve(drawn, levels)
        values = (
            np.asarray(drawn.values, np.float64)
            / np.asarray(drawn.density, np.float64)
            / len(cells.height)
        )
        width = np.diff(cells.edges)[:, None]
        lines[which] = (cells.log_snr, values / width, cells.edges[1:], np.cumsum(values, axis=0))
    for which, (level, density, edge, sums) in lines.items():
        row, style = (
            found[f"{name}.{which}"],
            {"linewidth": 1.8 if which.startswith("label") else 0.9},
        )
        text = f"{TEXTS[which]}: {tables.format_value(row.value, row.stderr)} nats"
        figures.band(
            axes[0, 0], level, *zip(*map(Estimate.of, density), strict=True), label=text, **style
        )
        figures.band(axes[0, 1], edge, *zip(*map(Estimate.of, sums), strict=True), **style)
    highest, limit = found[f"{name}.peak_log_snr"], found[f"{name}.label_entropy"]
    text = f"peak of the first: {tables.format_value(highest.value, highest.stderr)}"
    axes[0, 0].axvline(highest.value, color="#000000", linestyle=":", linewidth=1.0, label=text)
    axes[0, 0].axhline(0.0, color="#000000", linewidth=0.5)
    figures.truth_line(axes[0, 1], limit.value, f"entropy of the labels: {limit.value:.2f} nats")
    axis = "$\\lambda$ (log signal-to-noise ratio)"
    figures.label(
        axes[0, 0],
        axis,
        "density [nats per unit of $\\lambda$]",
        f"{name}: where the label is seen",
    )
    figures.label(
        axes[0, 1], axis, "information up to $\\lambda$ [nats]", "what the noised image knows of it"
    )
    fig.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7)
    figures.save(fig, workdir, "density")


if __name__ == "__main__":
    command_line.main(run)
