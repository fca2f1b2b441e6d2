"""Figures of experiments.diffusion_decoder: images that decoders make, and curves."""

import numpy as np

from diffenc.estimate import Estimate, format_value, over_seeds
from diffenc.run import figures
from diffenc.run.data import Dataset
from experiments.diffusion_decoder import curves, results, shuffling
from experiments.diffusion_decoder.curves import LABELS
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.pictures import (
    NUM_EXAMPLES,
    NUM_PAIRS,
    NUM_SAMPLES,
    NUM_STEPS,
    Picture,
    to_unit,
)
from experiments.diffusion_decoder.settings import Experiment
from experiments.diffusion_decoder.usefulness import Measured

SIDE = 0.46  # of a small image, in inches
LEFT = 2.2  # width of the names of rows, in inches
TOP = 0.19  # height of a line of the title, in inches
NUM_SHOWN = 3  # decoder seeds of the diffusion encoder; rivals have one


def draw(
    workdir,
    experiment: Experiment,
    dataset: Dataset,
    measured: dict[Name, Measured],
    pictures: dict[str, Picture],
    metrics: list[dict],
) -> None:
    """Draw every figure that the data and the methods allow, into workdir/figures.

    Args:
        workdir: of the run.
        experiment: the config.
        dataset: the data.
        measured: the numbers of each system.
        pictures: of `make_pictures`, by method; empty for data that are no images.
        metrics: lines of metrics.jsonl.
    """
    stacked = results.stack(measured)
    curves.rate_distortion(workdir, experiment, dataset, stacked, metrics)
    shuffling.shuffle(workdir, experiment, measured, stacked)
    curves.training(workdir, dataset, list(measured), metrics)
    if not pictures:
        return
    samples(workdir, dataset, pictures)
    if any(picture.draws is not None for picture in pictures.values()):
        reconstructions(workdir, dataset, stacked, pictures)
        interpolations(workdir, dataset, pictures)
    if any(picture.swaps is not None for picture in pictures.values()):
        swaps(workdir, dataset, pictures)


def held_out_images(dataset: Dataset, count: int) -> np.ndarray:
    """Give the first held-out examples [count, h, w, c] in [0, 1], those that are reconstructed."""
    return to_unit(dataset, dataset.test[:count])


def stripes(workdir, name: str, title: str, rows: list[tuple[str, np.ndarray]]) -> None:
    """Draw rows of images with their names to the left.

    Args:
        workdir: of the run.
        name: of the file.
        title: above all of it.
        rows: (name, images [n, h, w, c]).
    """
    count = max(len(images) for _, images in rows)
    width = LEFT + SIDE * count
    title_height = TOP * (1 + title.count("\n"))
    height = title_height / len(rows) + SIDE
    fig, axes = figures.figure(len(rows), 1, width, height)
    rect = (LEFT / width, 0.0, 1 - LEFT / width, 1 - title_height / (height * len(rows)))
    fig.get_layout_engine().set(rect=rect, h_pad=0.01, hspace=0.0)
    for ax, (label, images) in zip(axes[:, 0], rows, strict=True):
        figures.image_grid(ax, images, columns=count, max_value=1.0)
        style = dict(ha="right", va="center", fontsize=7, in_layout=False)
        ax.text(-0.01, 0.5, label, transform=ax.transAxes, **style)
    fig.text(
        0.5,
        1 - 0.04 / (height * len(rows)),
        title,
        ha="center",
        va="top",
        fontsize=8,
        in_layout=False,
    )
    figures.save(fig, workdir, name)


def reconstructions(workdir, dataset, stacked: results.Stacked, pictures) -> None:
    """Draw held-out examples, and what each method makes of their latents.

    Args:
        workdir: of the run.
        dataset: the data.
        stacked: of `results.stack`, for the errors that stand beside the rows.
        pictures: by method.
    """
    rows = [("held-out x", held_out_images(dataset, NUM_EXAMPLES))]
    for method, picture in pictures.items():
        if picture.draws is None:
            continue
        quantities = first_place(stacked, method)
        of_draws = "reconstruction_ratio" in quantities
        share = "reconstruction_ratio" if of_draws else "mean_reconstruction_ratio"
        own = over_seeds(quantities[share])
        is_first = method == results.FIRST
        source = "E[x|z]" if len(picture.draws) == 1 else "random $x_1$"
        for index, images in enumerate(picture.draws[: NUM_SHOWN if is_first else 1]):
            label = f"{LABELS[method]}: {source}\nerror {short(own)}"
            rows.append((label if index == 0 else "the same z, another $x_1$", images))
        if picture.round_trip is not None:
            back = over_seeds(quantities["round_trip_ratio"])
            gap = over_seeds(quantities["reconstruction_ratio"] - quantities["round_trip_ratio"])
            label = f"inverted $x_1$: error {short(back)}\ngap {short(gap)}"
            rows.append((label, picture.round_trip))
    title = (
        "Reconstructions x(z, $x_1$). Error: squared, of all held-out examples, over that with "
        "another example's z;\nthe gap is what the noise $x_1$ holds of x and z does not"
    )
    stripes(workdir, "reconstructions", title, rows)


def short(estimate: Estimate) -> str:
    """Write a ratio and its error; one that is next to nothing by its order of magnitude."""
    return f"{estimate.mean:.0e}" if abs(estimate.mean) < 0.001 else format_value(*estimate)


def first_place(stacked: results.Stacked, method: str) -> dict[str, np.ndarray]:
    """Give the values of a method at the first place of the sweep, of which pictures are."""
    return next(quantities for (other, _), quantities in stacked.items() if other == method)


def interpolations(workdir, dataset, pictures) -> None:
    """Draw the paths between the latents of pairs of held-out examples, which stand at the ends.

    Args:
        workdir: of the run.
        dataset: the data.
        pictures: by method.
    """
    examples = held_out_images(dataset, NUM_EXAMPLES)
    shown = {method: picture.path for method, picture in pictures.items()}
    shown = {method: path for method, path in shown.items() if path is not None}
    num_columns = min(2, len(shown))
    num_rows = -(-len(shown) // num_columns)
    width = 0.36 * (NUM_STEPS + 2)
    fig, axes = figures.figure(num_rows, num_columns, width, 0.36 * NUM_PAIRS + 0.35)
    for ax, (method, path) in zip(axes.ravel(), shown.items(), strict=False):
        rows = np.concatenate([examples[0::2, None], path, examples[1::2, None]], axis=1)
        images = rows.reshape(-1, *rows.shape[2:])
        figures.image_grid(ax, images, columns=NUM_STEPS + 2, max_value=1.0)
        ax.set_title(LABELS[method], fontsize=8)
    for ax in axes.ravel()[len(shown) :]:
        ax.set_axis_off()
    title = "First and last of a row: held-out x. Between them: from z of the one to z of the other"
    fig.suptitle(title if num_columns > 1 else title.replace(". ", ".\n"), fontsize=8)
    figures.save(fig, workdir, "interpolations")


def samples(workdir, dataset, pictures) -> None:
    """Draw held-out examples, and samples of each method."""
    panels = [("held-out x", held_out_images(dataset, NUM_SAMPLES))]
    for method, picture in pictures.items():
        source = "" if method == "without_latent" else "\nz ~ N(0, I)"
        panels.append((f"{LABELS[method]}{source}", picture.prior))
        if picture.learned is not None:
            panels.append((f"{LABELS[method]}\nz from the learned prior", picture.learned))
    num_columns = min(4, len(panels))
    num_rows = -(-len(panels) // num_columns)
    fig, axes = figures.figure(num_rows, num_columns, width=2.2, height=2.5)
    for ax, (title, images) in zip(axes.ravel(), panels, strict=False):
        figures.image_grid(ax, images, columns=8, max_value=1.0)
        ax.set_title(title, fontsize=8)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_axis_off()
    figures.save(fig, workdir, "samples")


def swaps(workdir, dataset, pictures) -> None:
    """Draw pairs of held-out examples and the images of their four pairs of latents."""
    examples = held_out_images(dataset, NUM_EXAMPLES)
    rows = [("held-out a", examples[0::2]), ("held-out b", examples[1::2])]
    for method, picture in pictures.items():
        if picture.swaps is None:
            continue
        pairs = ((s, p) for s in "ab" for p in "ab")
        for (semantic, perceptual), images in zip(pairs, picture.swaps, strict=True):
            label = f"semantic z of {semantic}, perceptual z of {perceptual}"
            is_first = semantic == perceptual == "a"
            rows.append((f"{LABELS[method]}:\n{label}" if is_first else label, images))
    title = "Two latents of two examples, exchanged; one $x_1$ a column"
    stripes(workdir, "swaps", title, rows)
