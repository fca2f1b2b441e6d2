"""The figure of shuffled latents: at which noise levels a decoder uses its latent."""

from typing import Any, NamedTuple

import matplotlib
import numpy as np

from diffenc.estimate import Estimate, format_value, over_seeds, ratio
from diffenc.latent.latent_use import ShuffleRise
from diffenc.run import figures
from experiments.diffusion_decoder.curves import COLORS, LABELS, split_of
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.results import Stacked
from experiments.diffusion_decoder.settings import Experiment, Point
from experiments.diffusion_decoder.usefulness import Measured

NUM_BINS = 20  # of lambda, with equally many noise levels in each


class Curve(NamedTuple):
    """A line of the figure of shuffled latents.

    Attributes:
        rises: of each seed.
        is_above: on which side of the split it is; None for both.
        total: its integral, with its error, in nats.
        label: in the legend.
        color: of the line.
    """

    rises: list[ShuffleRise]
    is_above: bool | None
    total: Estimate
    label: str
    color: Any


def shuffle(workdir, experiment: Experiment, measured: dict[Name, Measured], stacked: Stacked):
    """Draw the rise of the loss when latents are shuffled, as a density over lambda.

    Methods share one panel, unless there are two latents or a sweep: then each method has a column
    of panels, with one for each split.

    Args:
        workdir: of the run.
        experiment: the config.
        measured: the numbers of each system.
        stacked: of `results.stack`.
    """
    rises: dict[tuple[str, Point], list[ShuffleRise]] = {}
    for name, one in measured.items():
        if one.rise is not None:
            rises.setdefault((name.method, name.point), []).append(one.rise)
    if not rises:
        return
    methods = list(dict.fromkeys(method for method, _ in rises))
    splits = list(dict.fromkeys(split_of(experiment, *place) for place in rises))
    is_apart = experiment.is_sweep or any(has_two(experiment, place) for place in rises)
    rows, columns = (len(splits), len(methods)) if is_apart else (1, 1)
    width, height = (3.4, 2.8) if is_apart else (5.2, 3.6)
    fig, axes = figures.figure(rows, columns, width, height, sharex=True, sharey="row")
    for place, of_seeds in rises.items():
        split = split_of(experiment, *place)
        assert split is not None, "rises are those of diffusions"
        row = splits.index(split) if is_apart else 0
        ax = axes[row, methods.index(place[0]) if is_apart else 0]
        for curve in curves_of(experiment, place, of_seeds, stacked[place]):
            draw_rise(ax, curve, split)
        ax.axvline(split, color="black", linestyle=":", linewidth=0.8)
        suffix = f", split {split:g}" if len(splits) > 1 else ""
        title = f"{LABELS[place[0]]}{suffix}" if is_apart else "Loss with another example's z"
        ax.set_title(title, fontsize=9)
    for ax in axes.ravel():
        if not ax.lines:
            ax.set_axis_off()
            continue
        ax.axhline(0.0, color="black", linewidth=0.6)
        ax.legend(fontsize=7, frameon=False, loc="upper left")
    for row in axes:  # room for the legend
        num_entries = max(len(ax.get_legend_handles_labels()[0]) for ax in row)
        row[0].set_ylim(top=row[0].get_ylim()[1] * (1 + 0.09 * num_entries))
    for ax in axes[-1]:
        ax.set_xlabel("log signal-to-noise ratio $\\lambda$")
    for ax in axes[:, 0]:
        ax.set_ylabel("rise of the loss\n[nats per unit of $\\lambda$]")
    figures.save(fig, workdir, "shuffle")


def has_two(experiment: Experiment, place: tuple[str, Point]) -> bool:
    """Tell whether a system has a second latent, seen above the split."""
    diffusion = experiment.methods[place].model.diffusion
    return diffusion is not None and diffusion.perceptual_dim > 0


def curves_of(experiment, place, rises: list[ShuffleRise], quantities) -> list[Curve]:
    """List the curves of a system: one, or one for each of two latents.

    Above the split the rise is that of both latents where the decoder sees both there.

    Args:
        experiment: the config.
        place: method and point.
        rises: of each seed.
        quantities: values by name [seeds, n].
    """
    method, point = place
    label = LABELS[method]
    color = COLORS[method]
    if experiment.is_sweep:
        label = ""
    if point.gamma is not None:
        gammas = sorted({other.gamma for _, other in experiment.methods if other.gamma is not None})
        label = f"$\\gamma$ = {point.gamma:g}"
        color = matplotlib.colormaps["viridis"](gammas.index(point.gamma) / len(gammas))
    if not has_two(experiment, place):
        return [Curve(rises, None, over_seeds(quantities["shuffle_rise"]), label, color)]
    curves = []
    split = split_of(experiment, method, point)
    assert split is not None, "rises are those of diffusions"
    seen_above = "both" if experiment.methods[place].model.diffusion.sees_above else "perceptual"
    for latent, is_above in (("semantic", False), (seen_above, True)):
        totals = np.stack([side_total(rise, split, is_above) for rise in rises])
        if point.gamma is None:
            color = COLORS["gaussian_encoder" if is_above else "diffusion_encoder"]
            name = latent
        else:
            name = f"{label}, {latent}"
        curves.append(Curve(rises, is_above, over_seeds(totals), name, color))
    return curves


def is_on_side(log_snr: np.ndarray, split: float, is_above: bool | None) -> np.ndarray:
    """Tell which noise levels are on a side of the split; all, if it is None."""
    if is_above is None:
        return np.ones(log_snr.shape, bool)
    return log_snr > split if is_above else log_snr <= split


def side_total(rise: ShuffleRise, split: float, is_above: bool) -> np.ndarray:
    """Sum what the levels on one side of the split add to the rise [pairs], in nats.

    Args:
        rise: of one seed.
        split: of the decoder.
        is_above: which side.
    """
    is_here = is_on_side(np.asarray(rise.log_snr), split, is_above)
    return np.sum(rise.terms * is_here, axis=1)


def draw_rise(ax, curve: Curve, split: float) -> None:
    """Draw the mean rise in bins of lambda with its band of one standard error.

    Args:
        ax: the panel.
        curve: what is drawn.
        split: of the decoder.
    """
    levels = np.concatenate([rise.log_snr.ravel() for rise in curve.rises])
    levels = levels[is_on_side(levels, split, curve.is_above)]
    edges = np.quantile(levels, np.linspace(0.0, 1.0, 1 + min(NUM_BINS, levels.size // 20 + 1)))
    points = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        values = []
        for rise in curve.rises:
            is_inside = (rise.log_snr >= low) & (rise.log_snr <= high)
            sums = np.sum(rise.density * is_inside, axis=1)
            values.append(ratio(sums, is_inside.sum(axis=1)))
        centre = levels[(levels >= low) & (levels <= high)].mean()
        points.append((centre, *over_seeds(np.stack(values))))
    label = f"{curve.label}: {format_value(*curve.total)} nats".removeprefix(": ")
    figures.band(ax, *np.array(points).T, label=label, color=curve.color)
