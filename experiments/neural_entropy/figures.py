"""Figures of experiments.neural_entropy: entropy over training, over noise levels, over sample
sizes; images."""

import math

import jax.numpy as jnp
import numpy as np

from diffenc.run import figures, tables
from experiments.neural_entropy import results as neural_entropy_results

LABELS = {
    "s_tot": "$S_{tot}$",
    "s_nn": "$S_{NN}$",
    "kelly_growth": "Kelly growth G",
    "em_gap": "gap $L_{EM}$",
}
PUBLISHED = {3: 0.97, 6: 0.92, 9: 0.85}  # S_NN / S_tot at kappa = 0.1, read off arXiv 2409.03817


def draw(workdir, config, cases, results, truths, curves, images, metrics) -> None:
    """Every figure the cases allow; truths: S_tot of the first seed, where it is known."""
    training(workdir, cases, truths, metrics)
    rates(workdir, cases, curves)
    if config.sweep == "dimension":
        ratios(workdir, cases, results)
    else:
        sample_sizes(workdir, cases, results)
    if images:
        generated(workdir, cases, images)
        pixels(workdir, cases, results)


def grid_of(cases) -> tuple[list[str], int]:
    """Rows (process or data set) and the number of columns."""
    rows = list(dict.fromkeys(name.rpartition(".")[0] for name in cases))
    return rows, max(sum(name.rpartition(".")[0] == row for name in cases) for row in rows)


def panels(cases, width=2.7, height=2.1):
    """A figure with a panel for each case: (fig, {case: ax})."""
    rows, columns = grid_of(cases)
    fig, axes = figures.figure(len(rows), columns, width=width, height=height)
    placed = {}
    for row, label in enumerate(rows):
        names = [name for name in cases if name.rpartition(".")[0] == label]
        for column in range(columns):
            if column < len(names):
                placed[names[column]] = axes[row, column]
            else:
                axes[row, column].set_axis_off()
    return fig, placed


def training(workdir, cases, truths, metrics) -> None:
    """S_NN, G and the gap over updates, held out, first seed, with bands of one standard error;
    S_tot dashed."""
    fig, placed = panels(cases)
    for name, ax in placed.items():
        lines = [line for line in metrics if f"{name}.s_nn" in line]
        steps = np.array([line["step"] for line in lines])
        for quantity in ("s_nn", "kelly_growth", "em_gap"):
            if not lines or f"{name}.{quantity}" not in lines[0]:
                continue
            values, errors = (
                np.array([line[f"{name}.{quantity}{end}"] for line in lines], float)
                for end in ("", "_stderr")
            )
            figures.band(ax, steps, values, errors, label=LABELS[quantity])
        if name in truths:
            figures.truth_line(ax, truths[name], LABELS["s_tot"])
        figures.label(ax, "updates", "nats", title=name.replace("_", " "))
    one = next(iter(placed.values()))
    fig.legend(
        *one.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    figures.save(fig, workdir, "training")


def rates(workdir, cases, curves) -> None:
    """Entropy production per unit of lambda, and its rate r(t), learned and exact, with bands of
    two errors."""
    rows, _ = grid_of(cases)
    shown = [[name for name in cases if name.rpartition(".")[0] == row][-1] for row in rows]
    fig, axes = figures.figure(2, len(shown), width=3.2, height=2.3)
    for column, name in enumerate(shown):
        process = cases[name].process
        for quantity, style in (("s_nn", {}), ("s_tot", dict(color="black", linestyle="--"))):
            if quantity not in curves[name]:
                continue
            curve = curves[name][quantity]
            label = "exact" if quantity == "s_tot" else "network"
            figures.band(
                axes[0, column], curve.log_snr, curve.height, 2 * curve.stderr, label=label, **style
            )
            t = np.asarray(process.time(jnp.asarray(curve.log_snr, jnp.float32)), float)
            speed = np.asarray(
                jnp.square(process.diffusion(t) / process.sigma(t)), float
            )  # |d(lambda)/dt|
            figures.band(
                axes[1, column],
                t,
                curve.height * speed,
                2 * curve.stderr * speed,
                label=label,
                **style,
            )
        figures.label(
            axes[0, column],
            r"$\lambda$ (log signal-to-noise ratio)",
            "nats per unit of $\\lambda$",
            name,
        )
        axes[1, column].set(xscale="log", yscale="log")
        figures.label(axes[1, column], "t", "r(t) [nats per unit of t]")
    axes[0, 0].legend(frameon=False)
    figures.save(fig, workdir, "rates")


def ratios(workdir, cases, results) -> None:
    """S_NN/S_tot and G/S_tot against the dimension, beside the published ratios, and the gap in
    nats."""
    found = {result.name: result for result in results}
    rows, _ = grid_of(cases)
    fig, axes = figures.figure(1, 2, width=3.6, height=2.7)
    for row in rows:
        names = [name for name in cases if name.rpartition(".")[0] == row]
        sizes = [cases[name].size for name in names]
        for quantity, marker in (("s_nn_ratio", "o"), ("kelly_growth_ratio", "s")):
            values = [found[f"{name}.{quantity}"] for name in names]
            label = f"{row.replace('_', ' ')}, {'S_NN' if quantity == 's_nn_ratio' else 'G'}"
            color = figures.PALETTE[rows.index(row)]
            axes[0, 0].errorbar(
                sizes,
                [value.value for value in values],
                [value.stderr for value in values],
                fmt=f"{marker}-",
                markersize=4,
                color=color,
                label=label,
                alpha=1.0 if marker == "o" else 0.6,
            )
        gaps = [found[f"{name}.em_gap"] for name in names]
        axes[0, 1].errorbar(
            sizes,
            [gap.value for gap in gaps],
            [gap.stderr for gap in gaps],
            fmt="o-",
            markersize=4,
            label=row,
        )
        bare = [found[f"{name}.s_reference_ratio"].value for name in names]
        axes[0, 0].plot(
            sizes, bare, "+:", color=color, label=f"{row.replace('_', ' ')}, reference alone"
        )
    published = "published, S_NN, kappa = 0.1 (no reference)"
    axes[0, 0].plot(*zip(*PUBLISHED.items(), strict=True), "x:", color="black", label=published)
    axes[0, 0].axhline(1.0, color="black", linewidth=0.8)
    figures.label(axes[0, 0], "dimension D", "share of $S_{tot}$")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", frameon=False, fontsize=7)
    axes[0, 1].set_ylim(bottom=0)
    for ax in axes[0]:
        ax.set_xticks(sorted({case.size for case in cases.values()} | set(PUBLISHED)))
    figures.label(axes[0, 1], "dimension D", "entropy-matching gap $L_{EM}$ [nats]")
    figures.save(fig, workdir, "ratios")


def sample_sizes(workdir, cases, results) -> None:
    """S_NN and G against log N, with two standard errors, and the fitted law a + b log N with its
    band."""
    found = {result.name: result for result in results}
    rows, _ = grid_of(cases)
    fig, axes = figures.figure(1, len(rows), width=3.6, height=2.8)
    for ax, row in zip(axes[0], rows, strict=True):
        names = [name for name in cases if name.rpartition(".")[0] == row]
        sizes = np.array([cases[name].size for name in names], float)
        quantities = (
            ("s_nn", "$S_{NN}$, held out"),
            ("s_nn_train", "$S_{NN}$, own data"),
            ("kelly_growth", "G"),
        )
        for quantity, label in quantities:
            values = [found[f"{name}.{quantity}"] for name in names]
            errors = [2 * value.stderr for value in values]
            ax.errorbar(
                sizes,
                [value.value for value in values],
                errors,
                fmt="o-",
                markersize=4,
                label=label,
            )
        if f"{row}.log_law.slope" in found:
            slope, intercept = found[f"{row}.log_law.slope"], found[f"{row}.log_law.intercept"]
            line = intercept.value + slope.value * np.log(sizes)
            label = f"a + b log N, b = {tables.format_value(slope.value, slope.stderr)}"
            ax.plot(sizes, line, ":", color="black", label=label)
            offset = np.log(sizes) - np.log(sizes).mean()
            width = slope.stderr * np.sqrt(offset**2 + np.mean(offset**2))
            ax.fill_between(sizes, line - width, line + width, color="black", alpha=0.1)
            points = [
                found[f"{name}.{quantity}"].value for name in names for quantity, _ in quantities
            ]
            low, high = min(points), max(points)
            ax.set_ylim(
                low - 0.2 * (high - low), high + 0.6 * (high - low)
            )  # the band of a poor fit may lie far off
        known = [found[f"{name}.s_tot"].truth for name in names if f"{name}.s_tot" in found]
        if known:
            figures.truth_line(ax, known[-1], "$S_{tot}$")
        ax.set_xscale("log")
        figures.label(ax, "training examples N", "nats", title=row)
        ax.legend(frameon=False, fontsize=7)
    figures.save(fig, workdir, "sample_sizes")


def generated(workdir, cases, images) -> None:
    """What the model of each sample size generates, from the same noise, and the training images
    nearest to it."""
    fig, axes = figures.figure(len(images), 2, width=4.2, height=1.3)
    for row, (name, made) in enumerate(images.items()):
        case = cases[name]
        columns = math.ceil(len(made) / 2)
        train = case.train[0].reshape(len(case.train[0]), -1).astype(np.float32) / case.scale
        flat = made.reshape(len(made), -1)
        nearest = np.argmin(np.sum(train**2, axis=1)[None] - 2 * flat @ train.T, axis=1)
        figures.image_grid(axes[row, 0], made, columns, max_value=1.0)
        figures.image_grid(
            axes[row, 1], train[nearest].reshape(made.shape), columns, max_value=1.0
        )
        axes[row, 0].set_title(f"{name}: generated", fontsize=8)
        axes[row, 1].set_title("nearest training images", fontsize=8)
    figures.save(fig, workdir, "generated")


def pixels(workdir, cases, results) -> None:
    """What single pixels hold, and how much of the growth of each sample size is theirs and how
    much between them."""
    found = {result.name: result for result in results}
    rows = list(dict.fromkeys(case.program for case in cases.values() if case.train[0].ndim == 4))
    fig, axes = figures.figure(len(rows), 2, width=3.4, height=2.8)
    for (left, right), row in zip(axes, rows, strict=True):
        mine = [case for case in cases.values() if case.program == row]
        shown = neural_entropy_results.pixel_map(max(mine, key=lambda case: case.size)).sum(axis=-1)
        image = left.imshow(shown, cmap="viridis", interpolation="nearest")
        fig.colorbar(image, ax=left, label="$S_{tot}$ of a pixel [nats]")
        left.set_axis_off()
        alone, names = found[f"{row}.pixel_entropy"], [case.name for case in mine]
        between = [found[f"{name}.total_correlation_bound"] for name in names]
        places, labels = np.arange(len(names)), [str(case.size) for case in mine]
        right.bar(places, alone.value, color=figures.PALETTE[0], label="pixels by themselves")
        heights, errors = zip(*((bound.value, 2 * bound.stderr) for bound in between), strict=True)
        right.bar(
            places,
            heights,
            0.6,
            alone.value,
            yerr=errors,
            color=figures.PALETTE[1],
            label="growth less these",
        )
        right.set_xticks(places, labels)
        figures.label(right, "training images N", "nats", title=row)
        right.legend(fontsize=7, loc="lower right")
    figures.save(fig, workdir, "pixels")
