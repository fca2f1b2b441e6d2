"""The figure of experiments.labels: where in the noise the label is seen."""

from typing import NamedTuple

import numpy as np

from diffenc.diffusion import profiles
from diffenc.estimate import Estimate
from diffenc.run import figures, tables
from experiments.labels import posterior
from experiments.labels.forms import FORMS
from experiments.labels.smoothing import make_kernel

TEXTS = {
    "label_information": "classifier: log q of the label",
    "label_information_by_gradients": "classifier: its gradients",
    "entropy_difference": "denoiser: entropies",
    "growth_difference": "denoiser: held-out growth",
    "score_difference": "denoiser: scores",
}


class Line(NamedTuple):
    """One form of the information of images and labels.

    Attributes:
        log_snr: where its density is known, [K].
        density: of every image, [K, n].
        edges: up to where its integral is known, [L].
        integral: of every image, [L, n].
    """

    log_snr: np.ndarray
    density: np.ndarray
    edges: np.ndarray
    integral: np.ndarray


def form(draws: profiles.Profile, which: str) -> profiles.Profile:
    """Select the draws of one of the three forms of the denoiser."""
    return draws._replace(values=draws.values[which])


def densities(draws: profiles.Profile, curve: profiles.Curve) -> np.ndarray:
    """Compute the density over lambda in every cell, for each image: [K, n]."""
    width = np.diff(curve.edges)[:, None]
    values = np.asarray(draws.values, np.float64) / np.asarray(draws.density, np.float64)
    return values / len(width) / width


def lines_of_classifier(curve: posterior.Curve) -> dict[str, Line]:
    """Make the lines of the classifier, smoothed as for the peak."""
    slope = curve.slope()
    centres = slope.log_snr[:, 0]
    rise = make_kernel(centres, centres) @ slope.values
    density = make_kernel(centres, curve.log_snr) @ curve.density
    return {
        "label_information": Line(centres, rise, curve.log_snr, curve.information),
        "label_information_by_gradients": Line(centres, density, curve.log_snr, curve.integral()),
    }


def line_of_denoiser(draws: profiles.Profile, levels) -> Line:
    """Make the line of one form of the denoiser."""
    curve = profiles.curve(draws, levels)
    density = densities(draws, curve)
    integral = np.cumsum(density * np.diff(curve.edges)[:, None], axis=0)
    return Line(curve.log_snr, density, curve.edges[1:], integral)


def draw(workdir, name: str, results, draws, levels, curve: posterior.Curve) -> None:
    """Draw the density over lambda of every form, and its integral from high noise.

    Args:
        workdir: of the run.
        name: of the data set.
        results: of the run.
        draws: of the denoiser.
        levels: the density of their noise levels.
        curve: of the classifier.
    """
    by_name = {result.name: result for result in results}
    of_classifier = lines_of_classifier(curve)
    of_denoiser = {which: line_of_denoiser(form(draws, which), levels) for which in FORMS}
    lines = of_classifier | of_denoiser
    fig, axes = figures.figure(1, 2, width=4.4, height=3.7)
    left, right = axes[0]
    for which, line in lines.items():
        row = by_name[f"{name}.{which}"]
        width = 1.8 if which.startswith("label") else 0.9
        text = f"{TEXTS[which]}: {tables.format_value(row.value, row.stderr)} nats"
        band(left, line.log_snr, line.density, label=text, linewidth=width)
        band(right, line.edges, line.integral, linewidth=width)
    highest = by_name[f"{name}.peak_log_snr"]
    text = f"peak of the first: {tables.format_value(highest.value, highest.stderr)}"
    left.axvline(highest.value, color="#000000", linestyle=":", linewidth=1.0, label=text)
    left.axhline(0.0, color="#000000", linewidth=0.5)
    limit = by_name[f"{name}.label_entropy"].value
    figures.truth_line(right, limit, f"entropy of the labels: {limit:.2f} nats")
    # What a denoiser says that has learned little may lie far off.
    densest = max(line.density.mean(axis=1).max() for line in of_classifier.values())
    keep_within(left, -0.5 * densest, 2 * densest)
    keep_within(right, -0.2 * limit, 1.5 * limit)
    axis = "$\\lambda$ (log signal-to-noise ratio)"
    height = "density [nats per unit of $\\lambda$]"
    figures.label(left, axis, height, f"{name}: where the label is seen")
    integral = "information up to $\\lambda$ [nats]"
    figures.label(right, axis, integral, "what the noised image knows of it")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7)
    figures.save(fig, workdir, "density")


def keep_within(ax, low: float, high: float) -> None:
    """Show no more of the vertical axis than from low to high."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, low), min(top, high))


def band(ax, x, values, **style) -> None:
    """Draw the mean of values [K, n] over images against x [K], with its standard error."""
    estimates = [Estimate.of(row) for row in values]
    means = np.array([one.mean for one in estimates])
    errors = np.array([one.stderr for one in estimates])
    figures.band(ax, x, means, errors, **style)
