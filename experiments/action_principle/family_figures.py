"""Figures of the task `family` of experiments.action_principle."""

import math

import numpy as np

from diffenc.run import figures

BAND = 0.01  # nats a dimension, within which likelihoods are wanted
NUM_SHOWN = 9  # images of each process and eta
LEVEL = 0.05  # of the tests
SMALLEST = 1e-6  # difference that is shown, about that of float32


def numbers(workdir, log_probs, coarse, tests, names: list[str], dim: int) -> None:
    """Draw how far likelihoods are from that in the angle, and p-values of samples.

    Args:
        workdir: of the run.
        log_probs: by process, and "angle".
        coarse: the same with half of the steps.
        tests: by process and eta.
        names: of the processes.
        dim: of an image.
    """
    readable = [name.replace("_", " ") for name in names]
    fig, axes = figures.figure(1, 2, width=4.6, height=3.2)
    ax = axes[0, 0]
    for shift, those, label in ((-0.15, coarse, "half the steps"), (0.15, log_probs, "all steps")):
        color = figures.PALETTE[shift > 0]
        for place, name in enumerate(names):
            gaps = np.maximum(np.abs(log_probs["angle"] - those[name]) / dim, SMALLEST)
            style = {"color": color, "alpha": 0.5, "label": None if place else label}
            ax.plot(np.full(len(gaps), place + shift), gaps, ".", **style)
    ax.axhline(BAND, color="black", linestyle="--", linewidth=1.0)
    ax.set_yscale("log")
    ax.set_xticks(range(len(names)), readable, rotation=30, ha="right")
    figures.label(ax, "", "difference [nats/dim]")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)
    ax = axes[0, 1]
    etas = sorted({eta for _, eta in tests})
    for index, eta in enumerate(etas):
        places = [place for place, name in enumerate(names) if (name, eta) in tests]
        p_values = [tests[names[place], eta].p_value for place in places]
        label = f"eta = {eta:g}"
        ax.plot(np.array(places) + 0.1 * index - 0.15, p_values, "o", markersize=4, label=label)
    wrong = [test.p_value for (name, _), test in tests.items() if name == "wrong"]
    ax.plot([len(names)] * len(wrong), wrong, "kx")
    ax.axhline(LEVEL, color="black", linestyle="--", linewidth=1.0)
    ax.set_yscale("log")
    ticks = [*readable, "wrong drift"]
    ax.set_xticks(range(len(ticks)), ticks, rotation=30, ha="right")
    figures.label(ax, "", "p-value against VP, eta = 0")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False)
    figures.save(fig, workdir, "family")


def images(workdir, same, of_etas) -> None:
    """Show samples by the flows of all processes from the same noise, and samples by eta.

    Args:
        workdir: of the run.
        same: {process: images as vectors [n, D]}.
        of_etas: {eta: images as vectors [n, D]}.
    """
    side = math.isqrt(next(iter(same.values())).shape[1])
    rows = (
        [(name.replace("_", " "), x) for name, x in same.items()],
        [(f"eta = {eta:g}", x) for eta, x in of_etas.items()],
    )
    fig, axes = figures.figure(2, max(map(len, rows)), width=1.5, height=1.7)
    for ax in axes.flat:
        ax.set_axis_off()
    for panels, row in zip(axes, rows, strict=True):
        for ax, (title, x) in zip(panels, row, strict=False):
            squares = x[:NUM_SHOWN].reshape(-1, side, side)
            figures.image_grid(ax, squares, math.isqrt(NUM_SHOWN), 1.0)
            ax.set_title(title)
    figures.save(fig, workdir, "samples")
