"""Figures of experiments.warm_start."""

import numpy as np

from diffenc.estimate import Estimate
from diffenc.run import figures
from diffenc.run.tables import Result
from experiments.warm_start.measures import Profile
from experiments.warm_start.settings import Experiment

TERMS = ("prior", "diffusion", "reconstruction")
UNIT = "bits a dimension"


def draw(
    workdir,
    experiment: Experiment,
    results: list[Result],
    controls: dict[str, Estimate],
    profiles: dict[str, Profile],
    samples: dict[str, np.ndarray],
    metrics: list[dict],
    max_value: float,
) -> None:
    """Draw every figure.

    Args:
        workdir: of the run.
        experiment: the config.
        results: of the run.
        controls: bits a dimension of simple codes, by name.
        profiles: of a system of each model.
        samples: values drawn from each model [n, ...].
        metrics: lines of metrics.jsonl.
        max_value: the largest value of the data.
    """
    by_name = {result.name: result for result in results}
    terms(workdir, experiment, by_name, controls)
    if experiment.training.evaluate_every:
        training(workdir, experiment, controls, metrics)
    levels(workdir, profiles)
    information(workdir, profiles)
    warmth(workdir, experiment, by_name)
    if samples:
        images(workdir, samples, max_value)


def readable(name: str) -> str:
    """Write the name of a model or control for a person."""
    return name.replace("_", " ")


def terms(workdir, experiment: Experiment, by_name, controls) -> None:
    """Draw the terms of each bound on top of one another, and the simple codes beside."""
    fig, axes = figures.figure(1, 1, width=2.6 + 0.75 * (len(experiment.starts) + len(controls)))
    ax = axes[0, 0]
    for place, model in enumerate(experiment.starts):
        bottom = 0.0
        for index, term in enumerate(TERMS):
            height = by_name[f"{model}.{term}"].value
            label = term if place == 0 else None
            ax.bar(place, height, 0.7, bottom, color=figures.PALETTE[index], label=label)
            bottom += height
        total = by_name[f"{model}.bits_per_dim"]
        ax.errorbar(place, total.value, total.stderr, color="black", capsize=3)
    for place, estimate in enumerate(controls.values(), len(experiment.starts)):
        label = "simple code" if place == len(experiment.starts) else None
        ax.bar(place, estimate.mean, 0.7, color="#999999", label=label)
    names = [readable(name) for name in (*experiment.starts, *controls)]
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
    figures.label(ax, "", UNIT)
    fig.legend(loc="outside right upper", frameon=False)
    figures.save(fig, workdir, "terms")


def training(workdir, experiment: Experiment, controls, metrics) -> None:
    """Draw the bound on held-out examples against updates, the mean of each model's seeds.

    All seeds see the same examples and noise, so that the error of one seed does not average out.
    The scatter of the seeds is added; what of it is noise of the draws is counted twice.
    """
    fig, axes = figures.figure(1, 1, width=4.6)
    ax = axes[0, 0]
    heights = []
    num_seeds = experiment.training.num_seeds
    for model in experiment.starts:
        fields = [f"{model}.{seed}.held_out_bits_per_dim" for seed in range(num_seeds)]
        lines = [line for line in metrics if fields[0] in line and line["step"] > 0]
        if not lines:
            continue
        values = np.array([[line[field] for field in fields] for line in lines])
        errors = np.array([line[f"{model}.0.held_out_stderr"] for line in lines])
        if num_seeds > 1:
            errors = np.hypot(errors, values.std(axis=1, ddof=1) / num_seeds**0.5)
        steps = [line["step"] for line in lines]
        figures.band(ax, steps, values.mean(axis=1), errors, label=readable(model), marker="o")
        heights.append(np.max(values.mean(axis=1)))
    for name, estimate in controls.items():
        if heights and estimate.mean < max(heights):
            ax.axhline(estimate.mean, color="#999999", linestyle=":")
            ax.annotate(
                readable(name),
                (0.98, estimate.mean),
                (0, 2),
                ("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=7,
            )
    figures.label(ax, "updates", f"{UNIT}, held out", legend=True)
    figures.save(fig, workdir, "training")


def levels(workdir, profiles: dict[str, Profile]) -> None:
    """Draw what each model loses by noise level, and how densely its training draws the levels.

    The density is scaled to the area of the loss: both have one height everywhere where levels are
    drawn in proportion to the loss.
    """
    columns = min(3, len(profiles))
    rows = -(-len(profiles) // columns)
    width = max(2.7, 5.0 / columns)  # the legend is as wide as two panels
    fig, axes = figures.figure(rows, columns, width=width, height=2.3, sharex=True, sharey=True)
    highest = max(max(one.loss.max(), one.total * one.density.max()) for one in profiles.values())
    for ax, (model, one) in zip(axes.flat, profiles.items(), strict=False):
        ax.stairs(one.loss, one.edges, fill=True, color="#BBBBBB", label="loss")
        ax.plot(
            one.log_snr, one.total * one.density, label="density of the draws, scaled to its area"
        )
        ax.set(title=readable(model), ylim=(0, 1.05 * highest))
    for ax in axes.flat[len(profiles) :]:
        ax.set_axis_off()
    lines, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(lines, names, loc="outside upper right", ncols=2, frameon=False)
    fig.supxlabel(r"$\lambda$, log signal-to-noise ratio", fontsize=9)
    fig.supylabel(f"{UNIT} per unit of $\\lambda$", fontsize=9)
    figures.save(fig, workdir, "levels")


def information(workdir, profiles: dict[str, Profile]) -> None:
    """Draw the share of the information that is lost against the time of each schedule."""
    fig, axes = figures.figure(1, 1, width=4.4, height=3.4)
    ax = axes[0, 0]
    ax.plot((0, 1), (0, 1), color="#999999", linestyle=":")
    for model, one in profiles.items():
        ax.plot(one.time, one.lost, label=readable(model))
    figures.label(ax, "time: share of the draws", "share of the information lost", legend=True)
    figures.save(fig, workdir, "information")


def warmth(workdir, experiment: Experiment, by_name) -> None:
    """Draw the valid bound and the paper's quantity against the noise of the start.

    Models of one head that differ in their start are needed; else nothing is drawn.
    """
    heads: dict[str, list[tuple[float, str]]] = {}
    for model, start in experiment.starts.items():
        heads.setdefault(start.head, []).append((start.bins, model))
    heads = {head: sorted(models) for head, models in heads.items() if len(models) > 2}
    if not heads:
        return
    fig, axes = figures.figure(1, 2, width=3.2)
    titles = {"bits_per_dim": "valid bound", "it_nll": "it_nll"}
    for ax, (quantity, title) in zip(axes[0], titles.items(), strict=True):
        for index, (head, models) in enumerate(heads.items()):
            bins = [start for start, _ in models]
            rows = [by_name[f"{model}.{quantity}"] for _, model in models]
            values = [row.value for row in rows]
            errors = [row.stderr for row in rows]
            color = figures.PALETTE[index]
            figures.band(ax, bins, values, errors, label=head, color=color, marker="o")
        figures.log_ticks(ax, (0.2, 0.5, 1, 2, 5))
        figures.label(ax, "noise of the start [bins]", f"{title} [{UNIT}]", legend=len(heads) > 1)
    figures.save(fig, workdir, "warmth")


def images(workdir, samples: dict[str, np.ndarray], max_value: float) -> None:
    """Show values drawn from the models."""
    fig, axes = figures.figure(1, len(samples), width=2.6, height=2.8)
    for ax, (model, values) in zip(axes[0], samples.items(), strict=True):
        figures.image_grid(ax, values, round(len(values) ** 0.5), max_value)
        ax.set_title(readable(model))
    figures.save(fig, workdir, "samples")
