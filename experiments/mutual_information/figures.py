"""Figures of experiments.mutual_information: estimates against truths, and where in lambda the
information lives."""

import numpy as np

from diffenc.information import growth
from diffenc.run import reporting

SHOWN = 6  # densities in one figure
CUT = 0.5  # nats; larger errors are arrows


def draw(workdir, config, names, lines) -> None:
    """All figures that the lines of metrics.jsonl, one a task, have the numbers for."""
    known = [
        (name, line)
        for name, line in zip(names, lines, strict=True)
        if line[f"{name}.truth"] is not None
    ]
    if len(known) >= 2:
        truth_against_estimate(workdir, config, known)
    density(workdir, config, list(zip(names, lines, strict=True)))


def truth_against_estimate(workdir, config, known) -> None:
    """Left: estimates over truths with two standard errors; right: errors task by task, rivals
    beside."""
    fig, axes = reporting.figure(1, 2, width=4.6, height=0.6 + 0.17 * max(len(known), 18))
    truth = np.array([line[f"{name}.truth"] for name, line in known])
    estimates = {
        estimator: np.array(
            [[line[f"{name}.{estimator}{end}"] for end in ("", ".stderr")] for name, line in known],
            float,
        )
        for estimator in ("diffusion", "gaussian", *config.rivals)
    }
    left, right = axes[0]
    left.errorbar(
        truth, estimates["diffusion"][:, 0], 2 * estimates["diffusion"][:, 1], fmt="o", markersize=3
    )
    low, high = truth.min() * 0.9, truth.max() * 1.1
    left.plot(
        [low, high], [low, high], color="#000000", linestyle="--", linewidth=1.0, label="truth"
    )
    reporting.label(
        left, "true information [nats]", "estimate ± 2 standard errors [nats]", legend=True
    )
    rows = np.arange(len(known))[::-1]
    for (estimator, values), color, marker in zip(
        estimates.items(), reporting.PALETTE, "os^Dvxo", strict=False
    ):
        error, ours = values[:, 0] - truth, estimator == "diffusion"
        style = (
            dict(color=color, markersize=4, zorder=3)
            if ours
            else dict(color=color, markersize=3, alpha=0.6, mfc="none")
        )
        width = 2 * values[:, 1] if ours else None
        shown = np.where(np.abs(error) < CUT, error, np.nan)
        right.errorbar(shown, rows, xerr=width, fmt=marker, label=estimator, **style)
        for side, arrow in ((-1, "<"), (1, ">")):
            beyond = rows[side * error >= CUT]
            right.plot(np.full(len(beyond), side * CUT), beyond, arrow, **style)
    right.axvline(0.0, color="#000000", linestyle="--", linewidth=1.0)
    right.set_yticks(rows, [name.replace("_", " ") for name, _ in known], fontsize=6)
    right.set(xlim=(-1.04 * CUT, 1.04 * CUT), ylim=(-0.7, len(known) - 0.3))
    reporting.label(right, f"estimate - truth [nats]; arrows: beyond {CUT}", "", legend=True)
    reporting.save(fig, workdir, "truth_against_estimate")


def density(workdir, config, tasks) -> None:
    """Nats per unit of lambda of each part of the information, of the tasks with the most beyond
    the regression.

    I = regression + D[X|Y] - D[X], a panel each: they live on signal-to-noise axes of their own,
    D[X|Y] on that of the white residual of x given y, the others on that of x. Means over strata of
    lambda, so that the area under the steps is the part of the estimate that the panel shows, but
    for its extrapolation to all of the data, and for lengths.
    """
    draws = growth.Settings().strata * config.estimator.judge_parts
    edges = growth.edges(draws)
    shown = sorted(tasks, key=lambda item: -np.abs(part(*item, "conditional", draws)).max())[:SHOWN]
    panels = {
        "regression": ("regression of the mean", "log SNR of x"),
        "conditional": ("D[X|Y] ± 2 s.e.", "log SNR of the residual of x"),
        "marginal": ("D[X], which is taken off", "log SNR of x"),
    }
    fig, axes = reporting.figure(1, len(panels), width=3.6)
    for ax, (which, (title, axis)) in zip(axes[0], panels.items(), strict=True):
        heights = []
        for index, (name, line) in enumerate(shown):
            beyond = (
                f" (lengths: {line[f'{name}.shape']:.2f} nats more)"
                if line[f"{name}.shape"]
                else ""
            )
            heights.append(part(name, line, which, draws))
            color, label = reporting.PALETTE[index], name.replace("_", " ") + beyond
            ax.stairs(heights[-1], edges, baseline=None, color=color, linewidth=1.3, label=label)
            if which != "regression":
                at = edges[:-1] + (index + 1) / (len(shown) + 1) * np.diff(edges)
                stderr = part(name, line, which, draws, ".stderr")
                ax.errorbar(at, heights[-1], 2 * stderr, fmt="none", color=color, linewidth=1.0)
        ax.axhline(0.0, color="#000000", linewidth=0.5)
        if not np.any(heights):
            ax.set(ylim=(-1, 1), yticks=[0])
            ax.text(
                0.5,
                0.6,
                "nothing found, or to be found",
                transform=ax.transAxes,
                ha="center",
                color="#777777",
            )
        reporting.label(ax, axis, "nats per unit of log SNR", title)
    handles = axes[0, 1].get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
    reporting.save(fig, workdir, "density")


def part(name, line, which, draws, end="") -> np.ndarray:
    """The density of one part of the information over the strata of lambda, [draws], or with an end
    what goes by it."""
    return np.array([line.get(f"{name}.{which}.density.{k}{end}") or 0.0 for k in range(draws)])
