"""Figures of experiments.mutual_information: estimates against truths, and where in lambda the information lives."""

import numpy as np

from diffenc import reporting
from diffenc.estimators import growth

SHOWN = 6  # densities in one figure


def draw(workdir, config, names, lines) -> None:
    """All figures that the lines of metrics.jsonl, one a task, have the numbers for."""
    known = [(name, line) for name, line in zip(names, lines, strict=True) if line[f"{name}.truth"] is not None]
    if len(known) >= 2:
        truth_against_estimate(workdir, config, known)
    density(workdir, config, list(zip(names, lines, strict=True)))


def truth_against_estimate(workdir, config, known) -> None:
    """Left: estimates over truths with two standard errors; right: errors task by task, rivals beside."""
    fig, axes = reporting.figure(1, 2, width=4.6, height=0.6 + 0.17 * max(len(known), 18))
    truth = np.array([line[f"{name}.truth"] for name, line in known])
    estimates = {
        estimator: np.array([[line[f"{name}.{estimator}{end}"] for end in ("", ".stderr")] for name, line in known])
        for estimator in ("diffusion", "gaussian", *config.rivals)
    }
    left, right = axes[0]
    left.errorbar(truth, estimates["diffusion"][:, 0], 2 * estimates["diffusion"][:, 1], fmt="o", markersize=3)
    low, high = truth.min() * 0.9, truth.max() * 1.1
    left.plot([low, high], [low, high], color="#000000", linestyle="--", linewidth=1.0, label="truth")
    reporting.label(left, "true information [nats]", "estimate ± 2 standard errors [nats]", legend=True)
    rows = np.arange(len(known))[::-1]
    for estimator, values in estimates.items():
        error, ours = values[:, 0] - truth, estimator == "diffusion"
        style = dict(markersize=4, zorder=3) if ours else dict(markersize=3, alpha=0.6, markerfacecolor="none")
        width = 2 * values[:, 1] if ours else None
        right.errorbar(np.clip(error, -0.5, 0.5), rows, xerr=width, fmt="o", label=estimator, **style)
    right.axvline(0.0, color="#000000", linestyle="--", linewidth=1.0)
    right.set_yticks(rows, [name.replace("_", " ") for name, _ in known], fontsize=6)
    right.set(xlim=(-0.52, 0.52), ylim=(-0.7, len(known) - 0.3))
    reporting.label(right, "estimate - truth [nats], cut at 0.5", "", legend=True)
    reporting.save(fig, workdir, "truth_against_estimate")


def density(workdir, config, tasks) -> None:
    """Nats per unit of lambda of each part of the information, of the tasks with the most beyond the Gaussian part.

    I = regression + D[X|Y] - D[X], a panel each: they live on signal-to-noise axes of their own, D[X|Y] on that of the
    white residual of x given y, the others on that of x.
    """
    draws = growth.Settings().strata * config.estimator.judge_parts
    edges = growth.edges(draws)
    centres = 0.5 * (edges[1:] + edges[:-1])
    shown = sorted(tasks, key=lambda item: -np.abs(part(*item, "conditional", draws)).max())[:SHOWN]
    panels = {
        "gaussian": ("regression of the mean", "log signal-to-noise ratio of x"),
        "conditional": ("D[X|Y]", "log signal-to-noise ratio of the residual of x"),
        "marginal": ("D[X], which is taken off", "log signal-to-noise ratio of x"),
    }
    fig, axes = reporting.figure(1, len(panels), width=3.6)
    for ax, (which, (title, axis)) in zip(axes[0], panels.items(), strict=True):
        for name, line in shown:
            beyond = f", and {line[f'{name}.shape']:.2f} nats in its shape" if line[f"{name}.shape"] else ""
            label = name.replace("_", " ") + beyond
            ax.plot(centres, part(name, line, which, draws), "o-", markersize=3, label=label)
        ax.axhline(0.0, color="#000000", linewidth=0.5)
        reporting.label(ax, axis, "density [nats per unit]", title)
    handles = axes[0, 1].get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
    reporting.save(fig, workdir, "density")


def part(name, line, which, draws) -> np.ndarray:
    """The density of one part of the information over the strata of lambda, [draws]."""
    return np.array([line.get(f"{name}.{which}.density.{k}") or 0.0 for k in range(draws)])
