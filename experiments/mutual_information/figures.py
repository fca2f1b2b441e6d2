"""Figures of experiments.mutual_information: estimates against truths, densities over lambda."""

import numpy as np
from etils.epath import Path

from diffenc.information.training import growth
from diffenc.run import figures
from experiments.mutual_information.results import ORACLE, Record

SHOWN = 6  # densities in one figure
CUT = 0.5  # nats; larger errors are arrows
OF_ONE_COLUMN = "x is one column:\nnormal by ranks,\nor D[X] is in\nthe regression"


def draw(workdir: Path, records: list[Record], rivals: tuple[str, ...], strata: int) -> None:
    """Draw all figures that the metrics have the numbers for.

    Args:
        workdir: of the run.
        records: metrics of every task.
        rivals: names of the other estimators.
        strata: number of strata of lambda.
    """
    known = [record for record in records if record.get("truth") is not None]
    if len(known) >= 2:
        truth_against_estimate(workdir, known, rivals)
    by_networks = [record for record in records if record.get("conditional", "mean") is not None]
    if by_networks:  # the others are of tables of counts, or sums of several estimates
        density(workdir, by_networks, strata)


def truth_against_estimate(workdir: Path, known: list[Record], rivals: tuple[str, ...]) -> None:
    """Draw estimates over truths with two standard errors, and the errors task by task.

    Args:
        workdir: of the run.
        known: metrics of the tasks whose information is known.
        rivals: names of the other estimators.
    """
    fig, axes = figures.figure(1, 2, width=4.6, height=0.6 + 0.17 * max(len(known), 18))
    truth = np.array([record.get("truth") for record in known])
    estimates = {
        estimator: np.array(
            [[record.get(estimator), record.get(estimator, "stderr")] for record in known], float
        )
        for estimator in ("diffusion", ORACLE, "gaussian", *rivals)
    }
    left, right = axes[0]
    left.errorbar(
        truth, estimates["diffusion"][:, 0], 2 * estimates["diffusion"][:, 1], fmt="o", markersize=3
    )
    ends = [truth.min() * 0.9, truth.max() * 1.1]
    left.plot(ends, ends, color="#000000", linestyle="--", linewidth=1.0, label="truth")
    figures.label(
        left, "true information [nats]", "estimate ± 2 standard errors [nats]", legend=True
    )
    rows = np.arange(len(known))[::-1]
    for (estimator, values), color, marker in zip(
        estimates.items(), figures.PALETTE, "os^Dvxo", strict=False
    ):
        error = values[:, 0] - truth
        ours = estimator == "diffusion"
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
    right.set_yticks(rows, [record.name.replace("_", " ") for record in known], fontsize=6)
    right.set(xlim=(-1.04 * CUT, 1.04 * CUT), ylim=(-0.7, len(known) - 0.3))
    figures.label(right, f"estimate - truth [nats]; arrows: beyond {CUT}", "", legend=True)
    figures.save(fig, workdir, "truth_against_estimate")


def density(workdir: Path, records: list[Record], strata: int) -> None:
    """Draw the nats per unit of lambda of each part of the information.

    I = regression + D[X|Y] - D[X], with a panel each. They have different axes: the signal-to-noise
    ratio of the white residual of x given y for D[X|Y], that of x for the others. Densities are
    means over strata of lambda, so that the area under the steps is the part of the estimate that
    the panel shows, without the extrapolation to all of the data and without lengths. The tasks
    with the largest D[X|Y] are shown.

    Args:
        workdir: of the run.
        records: metrics of every task.
        strata: number of strata of lambda.
    """
    edges = growth.edges(strata)
    heights_of = {record.name: part(record, "conditional", strata) for record in records}
    shown = sorted(records, key=lambda record: -np.abs(heights_of[record.name]).max())[:SHOWN]
    panels = {
        "regression": ("regression of the mean", "log SNR of x"),
        "conditional": ("D[X|Y] ± 2 s.e.", "log SNR of the residual of x"),
        "marginal": ("D[X], which is subtracted", "log SNR of x"),
    }
    fig, axes = figures.figure(1, len(panels), width=3.6)
    for ax, (which, (title, axis)) in zip(axes[0], panels.items(), strict=True):
        heights = []
        for index, record in enumerate(shown):
            heights.append(part(record, which, strata))
            color = figures.PALETTE[index]
            label = record.name.replace("_", " ")
            if record.get("shape"):
                label += f" (lengths: {record.get('shape'):.2f} nats more)"
            ax.stairs(heights[-1], edges, baseline=None, color=color, linewidth=1.3, label=label)
            if which != "regression":
                at = edges[:-1] + (index + 1) / (len(shown) + 1) * np.diff(edges)
                stderr = part(record, which, strata, "stderr")
                ax.errorbar(at, heights[-1], 2 * stderr, fmt="none", color=color, linewidth=1.0)
        ax.axhline(0.0, color="#000000", linewidth=0.5)
        if not np.any(heights):
            ax.set(ylim=(-1, 1), yticks=[0])
            are_single = all(record.get(which, "mean") is None for record in shown)
            ax.text(
                0.5,
                0.6,
                OF_ONE_COLUMN if which == "marginal" and are_single else "nothing found",
                transform=ax.transAxes,
                ha="center",
                color="#777777",
            )
        figures.label(ax, axis, "nats per unit of log SNR", title)
    handles = axes[0, 1].get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
    figures.save(fig, workdir, "density")


def part(record: Record, which: str, strata: int, *ending: str) -> np.ndarray:
    """Read the density of one part of the information over the strata of lambda.

    Args:
        record: metrics of a task.
        which: the part.
        strata: number of strata.
        ending: "stderr" for its standard error.

    Returns:
        The density [strata], 0 if the part was not estimated.
    """
    return np.array([record.get(which, "density", k, *ending) or 0.0 for k in range(strata)])
