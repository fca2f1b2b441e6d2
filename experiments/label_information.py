"""What an image says about its label, and at which noise: I(image; label) and its density over lambda.

    python -m experiments.mutual_information --config=configs/mutual_information/labels.py --workdir=DIR

(A config of mutual_information.py, which hands it over.) The three forms of label_denoiser are integrals over lambda,
the log signal-to-noise ratio. Their integrand is a density of information: up to any lambda it adds up to what the
noised image x_lambda knows of its label, I(x_lambda; Y) (arXiv 2509.23937), so it shows at which noise the label
becomes visible. The position of its peak and its share at high noise (lambda < 0) are read from held-out growth, and
again from the scores, whose difference counts as information whatever the label changes without need. Their errors are
those of the held-out images alone: another training gives other networks, which these errors do not know.
"""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from diffenc import reporting
from diffenc.estimators import Estimate, entropy
from diffenc.reporting import Result
from experiments import command_line, label_denoiser

SMOOTHING = 0.5  # standard deviation of the kernel, in units of lambda
TEXTS = {
    "entropy_difference": "difference of entropies",
    "growth_difference": "held-out growth",
    "score_difference": "difference of scores",
}


def run(config: ConfigDict, workdir: Path) -> None:
    """The whole experiment; running it again continues it, or prints the results of the finished run."""
    label_denoiser.check(config)
    if command_line.is_complete(config, workdir):
        return
    images, scale, classes = label_denoiser.load(config)
    trained = label_denoiser.train(config, workdir, images, scale, classes)
    name, draws, levels = config.data.name, trained.draws, trained.levels
    results = label_denoiser.information(config, name, images, draws.total())
    rng = np.random.default_rng(config.seed)
    for which, suffix in (("growth_difference", ""), ("score_difference", "_by_scores")):
        one = form(draws, which)
        results += [
            Result(f"{name}.peak_log_snr{suffix}", *peak(rng, one, levels), "lambda"),
            Result(f"{name}.high_noise_share{suffix}", *high_noise_share(one), "of the information"),
        ]
    draw(workdir, name, results, draws, levels)
    reporting.write_results(workdir, results)
    reporting.print_table(results, title=f"information of images and labels, {len(draws.log_snr.T)} held-out images")
    print(f"figures: {workdir / 'figures'}")


def form(draws: entropy.Profile, which: str) -> entropy.Profile:
    """The draws of one of the three forms."""
    return draws._replace(values=draws.values[which])


def peak(rng, draws: entropy.Profile, levels, resamples: int = 500) -> Estimate:
    """Where the density over lambda, smoothed by a Gaussian kernel, is highest: draws of one form [K, n], the error by
    the bootstrap over the n images."""
    curve = entropy.curve(draws, levels)
    grid = np.linspace(curve.edges[0], curve.edges[-1], 1001)
    kernel = np.exp(-0.5 * np.square((grid[:, None] - curve.log_snr[None]) / SMOOTHING))
    kernel /= kernel.sum(axis=1, keepdims=True)
    width = np.diff(curve.edges)[:, None]
    parts = np.asarray(draws.values, np.float64) / np.asarray(draws.density, np.float64) / len(width) / width

    def highest(heights):  # [..., K] -> [...]
        return grid[np.argmax(heights @ kernel.T, axis=-1)]

    count = parts.shape[1]
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples) @ parts.T / count
    return Estimate(float(highest(curve.height)), float(np.std(highest(drawn), ddof=1)))


def high_noise_share(draws: entropy.Profile) -> Estimate:
    """The share of the integral that lies below lambda = 0, noise above signal, of one form [K, n]; the error is that
    of a ratio of means over the n images."""
    values = np.asarray(draws.values, np.float64) / np.asarray(draws.density, np.float64)
    below, total = (np.mean(part, axis=0) for part in (values * (np.asarray(draws.log_snr) < 0), values))
    share = below.mean() / total.mean()
    return Estimate(float(share), Estimate.of((below - share * total) / total.mean()).stderr)


def draw(workdir, name: str, results, draws: entropy.Profile, levels) -> None:
    """Left: the density over lambda of every form; right: its integral from high noise, below the labels' entropy."""
    found = {result.name: result for result in results}
    fig, axes = reporting.figure(1, 2, width=4.4, height=3.2)
    for which in label_denoiser.FORMS:
        row, drawn = found[f"{name}.{which}"], form(draws, which)
        curve = entropy.curve(drawn, levels)
        text = f"{TEXTS[which]}: {reporting.format_value(row.value, row.stderr)} nats"
        reporting.band(axes[0, 0], curve.log_snr, curve.height, curve.stderr, label=text)
        values = np.asarray(drawn.values, np.float64) / np.asarray(drawn.density, np.float64) / len(curve.height)
        sums = [Estimate.of(row) for row in np.cumsum(values, axis=0)]
        reporting.band(axes[0, 1], curve.edges[1:], [one.mean for one in sums], [one.stderr for one in sums])
    highest = found[f"{name}.peak_log_snr"]
    text = f"peak of growth: {reporting.format_value(highest.value, highest.stderr)}"
    axes[0, 0].axvline(highest.value, color="#000000", linestyle=":", linewidth=1.0, label=text)
    axes[0, 0].axhline(0.0, color="#000000", linewidth=0.5)
    limit = found[f"{name}.label_entropy"].value
    reporting.truth_line(axes[0, 1], limit, f"entropy of the labels: {limit:.2f} nats")
    axis = "$\\lambda$ (log signal-to-noise ratio)"
    reporting.label(axes[0, 0], axis, "density [nats per unit of $\\lambda$]", f"{name}: where the label is seen")
    reporting.label(axes[0, 1], axis, "information up to $\\lambda$ [nats]", "what the noised image knows of it")
    for ax in axes[0]:
        ax.legend(loc="upper left", framealpha=0.9, edgecolor="none", fontsize=7)
    reporting.save(fig, workdir, "density")
