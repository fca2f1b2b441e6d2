"""Figures of experiments.guidance_images."""

import numpy as np

from diffenc.diffusion import profiles
from diffenc.run import figures


def draw(workdir, images, results, draws, levels, chains) -> None:
    """Draw nats and distances against w, where in the noise they act, and the samples.

    Args:
        workdir: of the run.
        images: the data set.
        results: of the run.
        draws: of the denoiser.
        levels: the density of their noise levels.
        chains: of every weight.
    """
    nats_and_distances(workdir, results, draws, levels, chains)
    samples(workdir, images, chains)


def nats_and_distances(workdir, results, draws, levels, chains) -> None:
    """Draw nats and distances against w, and where in the noise they act; see `draw`."""
    by_name = {result.name: result for result in results}
    fig, axes = figures.figure(1, 3)
    weights = list(chains)
    for quantity, text in (
        ("injected_in_continuous_time", "injected along the paths"),
        ("label_information", "found by a classifier"),
    ):
        against_weight(axes[0, 0], by_name, weights, quantity, text)
    figures.truth_line(axes[0, 0], by_name["images.label_entropy"].value, "entropy of the labels")
    axes[0, 0].set_yscale("symlog", linthresh=1)  # a classifier can lose
    figures.label(axes[0, 0], "guidance weight w", "nats")
    axes[0, 0].legend(frameon=False, fontsize=7)
    for name, text in (
        ("growth_difference", "held-out growth"),
        ("score_difference", "difference of scores"),
    ):
        curve = profiles.curve(draws._replace(values=draws.values[name]), levels)
        figures.band(axes[0, 1], curve.log_snr, curve.height, curve.stderr, label=text)
    for weight in weights[:: max(1, len(weights) // 3)]:
        guided = chains[weight].guided
        height = guided.nats.mean(axis=1) / (guided.log_snr[1] - guided.log_snr[0])
        axes[0, 1].plot(guided.log_snr, height, "--", linewidth=1, label=f"chains, w = {weight:g}")
    axes[0, 1].set_yscale("symlog", linthresh=1)
    figures.label(
        axes[0, 1], "$\\lambda$ (log signal-to-noise ratio)", "nats per unit of $\\lambda$"
    )
    axes[0, 1].legend(frameon=False, fontsize=7)
    for quantity, text in (
        ("w2_squared", "$W_2^2$ to held-out images [pixel$^2$]"),
        ("diversity", "variance within a label, ratio"),
    ):
        against_weight(axes[0, 2], by_name, weights, quantity, text)
    figures.truth_line(
        axes[0, 2], by_name["training.w2_squared"].value, "$W_2^2$ of training images"
    )
    axes[0, 2].set_yscale("log")
    figures.label(axes[0, 2], "guidance weight w", "distortion")
    axes[0, 2].legend(frameon=False, fontsize=7)
    figures.save(fig, workdir, "guidance")


def samples(workdir, images, chains) -> None:
    """Draw held-out images beside samples of some weights, a row for each label."""
    weights = list(chains)
    shown = weights[:: max(1, len(weights) // 4)]
    fig, axes = figures.figure(1, len(shown) + 1, width=2.2, height=2.4)
    rows = [
        np.flatnonzero(images.test_labels == label)[:6] for label in np.unique(images.test_labels)
    ]
    figures.image_grid(axes[0, 0], images.test[np.concatenate(rows)], 6, images.max_value)
    axes[0, 0].set_title("held-out images")
    for ax, weight in zip(axes[0, 1:], shown, strict=True):
        guided, labels, _ = chains[weight]
        rows = [np.flatnonzero(labels == label)[:6] for label in np.unique(labels)]
        figures.image_grid(ax, guided.x[np.concatenate(rows)], 6, 1.0)
        ax.set_title(f"w = {weight:g}")
    figures.save(fig, workdir, "samples")


def against_weight(ax, by_name, weights, quantity: str, text: str) -> None:
    """Draw a result of every weight with its two standard errors.

    Args:
        ax: of the figure.
        by_name: the results.
        weights: w.
        quantity: the result's name after that of the weight.
        text: its label.
    """
    rows = [by_name[f"w={weight:g}.{quantity}"] for weight in weights]
    errors = [2 * row.stderr for row in rows]
    ax.errorbar(
        weights, [row.value for row in rows], yerr=errors, fmt="o-", markersize=3, label=text
    )
