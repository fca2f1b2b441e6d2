"""Curves of experiments.diffusion_decoder: rate and distortion, training; and labels of methods."""

from typing import NamedTuple

import numpy as np

from diffenc.estimate import format_value, over_seeds
from diffenc.run import figures
from diffenc.run.advance import dotted
from diffenc.run.centring import Centring
from diffenc.run.data import Dataset
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.results import Stacked
from experiments.diffusion_decoder.settings import BOTTLENECKED, Experiment, Point

LABELS = {
    "diffusion_encoder": "diffusion encoder",
    "gaussian_encoder": "Gaussian encoder",
    "deterministic_encoder": "deterministic encoder",
    "vae": "VAE (Gaussian decoder)",
    "without_latent": "without latent",
    "pca": "principal components",
}
COLORS = dict(zip(LABELS, figures.PALETTE, strict=False))
RATES = ("held_out_rate", "gamma")  # metrics of a bottleneck
UNSPLIT = ("vae", "pca")  # methods whose decoder is no diffusion

RUNAWAY = 200.0  # nats of -ELBO above the least


def series(metrics: list[dict], name: str) -> np.ndarray:
    """Give steps and values [2, n] of one metric over training."""
    pairs = [(line["step"], line[name]) for line in metrics if line.get(name) is not None]
    return np.array(pairs, float).T if pairs else np.zeros((2, 0))


def split_of(experiment: Experiment, method: str, point: Point) -> float | None:
    """Give the split of a system's decoder; None for a decoder that is no diffusion."""
    diffusion = experiment.methods[method, point].model.diffusion
    return None if diffusion is None else diffusion.split


def gamma_of(experiment: Experiment, metrics: list[dict], name: Name) -> float:
    """Give the weight of the rate: the config's, or the last one where a rate is kept to.

    Args:
        experiment: the config.
        metrics: lines of metrics.jsonl.
        name: of the system.
    """
    settings = experiment.methods[name.method, name.point].em
    _, values = series(metrics, f"{dotted(name.key)}.gamma")
    return float(values[-1]) if settings.rate is not None and len(values) else settings.gamma


class Place(NamedTuple):
    """A point of the rate-distortion plane: two estimates, and the gamma written beside it."""

    rate: float
    rate_error: float
    distortion: float
    distortion_error: float
    gamma: float


def rate_distortion(
    workdir, experiment: Experiment, dataset: Dataset, stacked: Stacked, metrics: list[dict]
) -> None:
    """Draw held-out distortion against rate, a panel for each split and a curve for each method.

    Hollow markers are encoders that were fitted again at gamma = 1. Methods without a rate are
    horizontal lines.

    Args:
        workdir: of the run.
        experiment: the config.
        dataset: the data.
        stacked: of `results.stack`.
        metrics: lines of metrics.jsonl.
    """
    splits = list({point.split: None for method, point in stacked if method not in UNSPLIT})
    splits = splits or [None]
    fig, axes = figures.figure(1, len(splits), 5.0, 4.2, sharex=True, sharey=True)
    extent = []
    levels = []
    vae = places_of(experiment, stacked, metrics, "vae", None, "")
    for ax, split in zip(axes[0], splits, strict=True):
        has_again = False
        for method in BOTTLENECKED:
            color = COLORS[method]
            places = places_of(experiment, stacked, metrics, method, split, "")
            again = places_of(experiment, stacked, metrics, method, split, "refit_")
            label = LABELS[method]
            places, beyond = without_runaways(places)
            if beyond:
                gammas = ", ".join(f"{place.gamma:g}" for place in beyond)
                label += f" (ran away and not shown: {gammas})"
            if places:
                errorbars(ax, places, color, label=label, linestyle="-")
                name_gammas(ax, places, color, is_above=method != BOTTLENECKED[0])
            if again:
                has_again = True
                errorbars(ax, again, color, linestyle="", markerfacecolor="white")
            extent += places + again
        levels += horizontal_lines(ax, stacked, split)
        if has_again:
            label = "the encoder fitted again at $\\gamma$ = 1"
            ax.plot([], [], "o", color="black", markerfacecolor="white", markersize=4, label=label)
    is_shown = bool(vae) and (not extent or is_near(vae[0], extent, levels))
    for ax in axes[0] if vae else ():
        label = LABELS["vae"]
        if is_shown:
            errorbars(ax, vae, COLORS["vae"], label=label, linestyle="")
        else:
            label = f"{label}: beyond, at ({vae[0].rate:.1f}, {vae[0].distortion:.1f})"
            ax.plot([], [], "o", color=COLORS["vae"], markersize=4, label=label)
    note = frame(axes[0], extent + vae if is_shown else extent, levels)
    for ax, split in zip(axes[0], splits, strict=True):
        title = "" if split is None else f"encoders learn from $\\lambda$ < {split:g}"
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("rate KL(q(z|x) || p(z)) [nats]")
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7, loc="upper right", edgecolor="none", framealpha=0.9)
    axes[0, 0].set_ylabel(distortion_label(dataset))
    fig.suptitle(note, fontsize=8)
    figures.save(fig, workdir, "rate_distortion")


def distortion_label(dataset: Dataset) -> str:
    """Name the distortion: of whole numbers it bounds a probability, of others a density."""
    symbol = "p" if Centring.of(dataset).levels is None else "P"
    return f"distortion, -log {symbol}(x|z) [nats]"


def places_of(experiment, stacked, metrics, method, split: float | None, prefix: str):
    """List the places of a method in order of gamma; none where the quantity was not measured.

    Args:
        experiment: the config.
        stacked: of `results.stack`.
        metrics: lines of metrics.jsonl.
        method: the method.
        split: of the sweep.
        prefix: of the quantities' names, "refit_" for encoders that were fitted again.
    """
    places = []
    for (other, point), quantities in stacked.items():
        if (other, point.split) == (method, split) and f"{prefix}rate" in quantities:
            rate = over_seeds(quantities[f"{prefix}rate"])
            distortion = over_seeds(quantities[f"{prefix}distortion"])
            gamma = gamma_of(experiment, metrics, Name(method, point, 0))
            places.append(Place(*rate, *distortion, gamma))
    return sorted(places, key=lambda place: place.gamma)


def without_runaways(places: list[Place]) -> tuple[list[Place], list[Place]]:
    """Divide places into those to draw and those of encoders whose training ran away.

    A training ran away if its -ELBO is above the least one by more than RUNAWAY nats and ten times
    as much as the median place.

    Args:
        places: of one method.
    """
    if not places:
        return [], []
    costs = np.array([place.rate + place.distortion for place in places])
    excess = costs - costs.min()
    is_beyond = excess > max(RUNAWAY, 10 * float(np.median(excess)))
    settled = [place for place, beyond in zip(places, is_beyond, strict=True) if not beyond]
    return settled, [place for place, beyond in zip(places, is_beyond, strict=True) if beyond]


def errorbars(ax, places: list[Place], color: str, **style) -> None:
    """Draw places with error bars, joined by a line unless `linestyle` is empty."""
    rate, rate_error, distortion, distortion_error, _ = np.array(places).T
    errors = dict(xerr=rate_error, yerr=distortion_error, elinewidth=0.8)
    size = dict(marker="o", markersize=4, linewidth=1)
    ax.errorbar(rate, distortion, **errors, **size, color=color, **style)


def name_gammas(ax, places: list[Place], color: str, is_above: bool) -> None:
    """Write gamma beside places, above or below them.

    Args:
        ax: the panel.
        places: of one method.
        color: of the method.
        is_above: where.
    """
    shift, side = ((4, 3), dict(ha="left", va="bottom"))
    if not is_above:
        shift, side = ((-4, -3), dict(ha="right", va="top"))
    for place in places:
        at = (place.rate, place.distortion)
        style = dict(textcoords="offset points", fontsize=7, color=color)
        ax.annotate(f"{place.gamma:.2g}", at, shift, **style, **side)


def horizontal_lines(ax, stacked: Stacked, split: float | None) -> list[float]:
    """Draw the distortion of methods without a rate; returns them.

    Args:
        ax: the panel.
        stacked: of `results.stack`.
        split: of the sweep.
    """
    levels = []
    for method in ("deterministic_encoder", "without_latent"):
        quantities = stacked.get((method, Point(None, split)))
        if quantities is not None:
            mean, stderr = over_seeds(quantities["distortion"])
            label = f"{LABELS[method]}: {format_value(mean, stderr)}"
            ax.axhline(mean, label=label, color=COLORS[method], linewidth=1)
            levels.append(mean)
    return levels


def is_near(place: Place, extent: list[Place], levels: list[float]) -> bool:
    """Tell whether a place is at most one extent of the others away from them."""
    rates = [0.0, *(other.rate for other in extent)]
    heights = [*levels, *(other.distortion for other in extent)]
    wide = max(np.ptp(rates), 1.0)
    high = max(np.ptp(heights), 1.0)
    is_within = min(heights) - high <= place.distortion <= max(heights) + high
    return bool(is_within and place.rate <= max(rates) + wide)


def frame(axes, extent: list[Place], levels: list[float]) -> str:
    """Fit panels to their points, and draw lines of equal -ELBO; returns a title that says so.

    Args:
        axes: the panels, which share both axes.
        extent: the points of all.
        levels: their horizontal lines.
    """
    if not extent:
        return "Held out"
    heights = [*levels]
    widths = [0.1]
    for place in extent:
        heights += [place.distortion - place.distortion_error]
        heights += [place.distortion + place.distortion_error]
        widths += [place.rate + place.rate_error]
    left = -0.05 * max(widths)
    right = 1.12 * max(widths)
    margin = 0.08 * np.ptp(heights) + 0.1
    bottom = min(heights) - margin
    top = max(heights) + 5 * margin  # the legend is there
    axes[0].set_xlim(left, right)
    axes[0].set_ylim(bottom, top)
    spread = top - bottom + right
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if spread <= 12 * step), None)
    if step is None:
        return "Held out; numbers: $\\gamma$"
    ends = np.array([left, right])
    for level in step * np.arange(np.ceil(bottom / step), (top + right) // step + 1):
        for ax in axes:
            ax.plot(ends, level - ends, color="black", linewidth=0.4, alpha=0.35, zorder=0)
    unit = "nat" if step == 1 else "nats"
    return f"Held out; numbers: $\\gamma$; thin lines: equal -ELBO, {step} {unit} apart"


def training(workdir, dataset: Dataset, names: list[Name], metrics: list[dict]) -> None:
    """Draw the decoder's loss, held-out rate and distortion, and gamma over training.

    Where gamma stays, -ELBO is drawn in its place. What was not measured has no panel.
    Every seed and place is a line; lines of one method have one colour.

    Args:
        workdir: of the run.
        dataset: the data.
        names: of the systems.
        metrics: lines of metrics.jsonl.
    """
    log_cells = Centring.of(dataset).log_cells(int(np.prod(dataset.example_shape)))
    gammas = [series(metrics, f"{dotted(name.key)}.gamma")[1] for name in names]
    is_moving = any(values.size and np.ptp(values) > 0 for values in gammas)
    last = ("held_out_neg_elbo", 0.0, "held-out -ELBO [nats]")
    if is_moving:
        last = ("gamma", 0.0, "weight $\\gamma$ of the rate")
    panels = (
        ("decoder_loss", log_cells, f"training {distortion_label(dataset)}"),
        ("held_out_rate", 0.0, "held-out rate [nats]"),
        ("held_out_distortion", 0.0, f"held-out {distortion_label(dataset)}"),
        last,
    )
    lines_of = {metric: training_lines(names, metrics, metric) for metric, *_ in panels}
    panels = [panel for panel in panels if lines_of[panel[0]]]
    num_lines = max(sum(name.method == other.method for other in names) for name in names)
    style = dict(alpha=1.0 if num_lines == 1 else 0.5, linewidth=1.2 if num_lines <= 3 else 0.8)
    columns = min(len(panels), 2)
    fig, axes = figures.figure(-(-len(panels) // columns), columns, width=3.8, height=2.7)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_axis_off()
    for ax, (metric, shift, title) in zip(axes.ravel(), panels, strict=False):
        drawn = set()
        marker = "o" if metric.startswith("held_out") else ""
        for name, (steps, values) in lines_of[metric].items():
            label = None if name.method in drawn else LABELS[name.method]
            drawn.add(name.method)
            values = values + shift
            color = COLORS[name.method]
            ax.plot(steps, values, label=label, color=color, marker=marker, markersize=2, **style)
        if metric == "gamma":
            ax.set_yscale("log")
        if metric not in RATES:
            cut_start(ax)
        figures.label(ax, "update", title)
        ax.legend(fontsize=7, frameon=False)
    figures.save(fig, workdir, "training")


def training_lines(names: list[Name], metrics: list[dict], metric: str) -> dict:
    """Give (updates, values) of a metric for each system that has it.

    Args:
        names: of the systems.
        metrics: lines of metrics.jsonl.
        metric: its name.
    """
    lines = {}
    for name in names:
        steps, values = series(metrics, f"{dotted(name.key)}.{metric}")
        if steps.size and not (metric in RATES and name.method == "without_latent"):
            lines[name] = (steps, values)
    return lines


def cut_start(ax) -> None:
    """Fit the panel to its lines after a tenth of training: before it, losses would hide all."""
    lines = [line.get_ydata()[len(line.get_ydata()) // 10 :] for line in ax.lines]
    if min(len(line) for line in lines) < 10:  # few points are all shown
        return
    values = np.concatenate(lines)
    low = values.min()
    high = np.percentile(values, 99)
    if low < high:
        ax.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
