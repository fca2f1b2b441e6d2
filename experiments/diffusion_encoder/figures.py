"""Figures of experiments.diffusion_encoder: examples, latents and curves of training."""

import numpy as np
from sklearn.decomposition import PCA

from diffenc.run import figures
from diffenc.run.data import Dataset
from experiments.diffusion_encoder import exact

LABELS = {"diffusion_encoder": "diffusion encoder", "vae": "VAE"}
NUM_COLUMNS = 16  # of examples beside their reconstructions
NUM_IMAGES = 64  # decoded draws from a prior
NUM_VECTORS = 500  # examples and draws, where data are no images
GOAL = 0.003  # nats, of the gap of factor analysis


def num_shown(dataset: Dataset) -> int:
    """Give the number of latents that have to be decoded for the figures of a data set."""
    return NUM_IMAGES if are_images(dataset) else NUM_VECTORS


def are_images(dataset: Dataset) -> bool:
    """Tell whether the examples are images [height, width, channels]."""
    return len(dataset.example_shape) == 3


def draw(workdir, e_step: str, dataset: Dataset, held_out, arrays, metrics) -> None:
    """Draw every figure that the data allow, into workdir/figures.

    Args:
        workdir: of the run.
        e_step: of the diffusion encoder.
        dataset: the data.
        held_out: x [n, ...].
        arrays: of `results.evaluate`.
        metrics: lines of metrics.jsonl.
    """
    if are_images(dataset):
        reconstructions(workdir, dataset, held_out, arrays)
        samples(workdir, dataset, arrays)
    else:
        vectors(workdir, held_out, arrays)
    latent_map(workdir, dataset, held_out, arrays)
    training_curves(workdir, metrics, "vae" in arrays, e_step)
    rate_distortion(workdir, metrics, arrays)
    if any("diffusion_encoder.ml_gap" in line for line in metrics):
        gap(workdir, metrics, arrays)


def series(metrics, name):
    """Give the steps [n] and the values [n] of one metric over training."""
    pairs = [(line["step"], line[name]) for line in metrics if line.get(name) is not None]
    return np.array(pairs, float).T if pairs else np.zeros((2, 0))


def as_images(x, dataset):
    """Give examples x [n, D] the shape of images [n, height, width, channels]."""
    return np.asarray(x).reshape(-1, *dataset.example_shape)


def reconstructions(workdir, dataset, held_out, arrays):
    """Draw examples in columns; rows: input, own sample decoded, after Langevin correction."""
    count = NUM_COLUMNS
    rows = [("input", held_out[:count])]
    for name, label in LABELS.items():
        if name in arrays:
            rows.append((f"{label}:\nown sample", arrays[name]["own"][:count]))
            rows.append((f"{label}:\nLangevin-corrected", arrays[name]["langevin"][:count]))
    fig, axes = figures.figure(len(rows), 1, width=7.5, height=0.62)
    for ax, (label, images) in zip(axes[:, 0], rows, strict=True):
        figures.image_grid(ax, as_images(images, dataset), columns=count, max_value=1.0)
        ax.text(-0.01, 0.5, label, transform=ax.transAxes, ha="right", va="center", fontsize=8)
    fig.suptitle("Held-out examples and their reconstructions E[x|z]", fontsize=9)
    figures.save(fig, workdir, "reconstructions")


def posteriors(workdir, dataset, held_out, pictures: exact.Pictures):
    """Draw the exact posterior of each decoder, samples of its encoder, and images above them.

    Args:
        workdir: of the run.
        dataset: the data.
        held_out: x [n, ...].
        pictures: of `exact.measure`.
    """
    num_columns = len(pictures.rows)
    first_row = 1 if are_images(dataset) else 0  # of the posteriors; vectors are not shown
    num_rows = first_row + len(pictures.of_system)
    fig, axes = figures.figure(num_rows, num_columns, width=1.75, height=1.75)
    if are_images(dataset):
        for column, image in enumerate(as_images(held_out[pictures.rows], dataset)):
            figures.image_grid(axes[0, column], image[None], columns=1, max_value=1.0)
    for row, (name, picture) in enumerate(pictures.of_system.items()):
        for column in range(num_columns):
            ax = axes[first_row + row, column]
            color = figures.PALETTE[row]
            panel(ax, picture.posterior[column], picture.z[column], color)
            ax.set_title(f"KL = {picture.kl[column]:.2f} nats", fontsize=8)
            ax.set_xlabel("$z_1$" if first_row + row + 1 == num_rows else "", fontsize=8)
            ax.set_ylabel(f"{LABELS[name]}\n$z_2$" if column == 0 else "", fontsize=8)
    quantiles = ", ".join(f"{100 * q:.0f}" for q in exact.QUANTILES)
    chooser = "VAE" if "vae" in pictures.of_system else "encoder"
    fig.suptitle(
        "Shaded: exact posterior p(z|x) of each model's own decoder (50, 90 and 99 % of its mass)\n"
        f"Dots: {exact.NUM_SAMPLES} samples of its encoder; KL(exact || encoder)\n"
        f"Held-out examples at the {quantiles} % quantiles of the {chooser}'s KL",
        fontsize=8,
    )
    figures.save(fig, workdir, "posteriors")


def panel(ax, density, z, color):
    """Draw a density on the grid as contours of its mass, and samples on top of it.

    Args:
        ax: where to draw.
        density: [points, points].
        z: samples [n, 2].
        color: of the samples.
    """
    grid = exact.GRID
    axis = grid.width * (np.arange(grid.num_points) - 0.5 * (grid.num_points - 1))
    ordered = np.sort(density.ravel())[::-1]
    mass = np.cumsum(ordered) * grid.volume
    levels = [ordered[np.searchsorted(mass, share)] for share in (0.99, 0.9, 0.5)]
    shades = ["0.88", "0.7", "0.45"]
    ax.contourf(axis, axis, density.T, levels=[*levels, ordered[0] * 1.001], colors=shades)
    ax.plot(*z.T, ".", markersize=2.5, alpha=0.7, color=color, markeredgewidth=0)
    inside = np.stack([axis[index] for index in np.nonzero(density > levels[0])], axis=1)
    # a few samples may lie outside
    ends = np.concatenate([inside, np.percentile(z, (1, 99), axis=0)])
    low = ends.min(axis=0)
    high = ends.max(axis=0)
    centre = (low + high) / 2
    half = 0.55 * (high - low).max()
    ax.set_xlim(centre[0] - half, centre[0] + half)
    ax.set_ylim(centre[1] - half, centre[1] + half)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=6)


def samples(workdir, dataset, arrays):
    """Draw decoded draws from the prior N(0, I) and from the learned prior, the null branch."""
    of_encoder = arrays["diffusion_encoder"]
    panels = [
        ("diffusion encoder: prior N(0, I)", of_encoder["prior"]),
        ("diffusion encoder: learned prior q(z)", of_encoder["learned"]),
    ]
    if "vae" in arrays:
        panels.append(("VAE: prior N(0, I)", arrays["vae"]["prior"]))
    fig, axes = figures.figure(1, len(panels), width=2.6, height=2.8)
    for ax, (title, x) in zip(axes[0], panels, strict=True):
        images = as_images(x[:NUM_IMAGES], dataset)
        figures.image_grid(ax, images, columns=8, max_value=1.0)
        ax.set_title(title, fontsize=8)
    figures.save(fig, workdir, "samples")


def vectors(workdir, held_out, arrays):
    """Draw input against reconstruction, and data beside decoded draws."""
    fig, axes = figures.figure(1, 2)
    own = arrays["diffusion_encoder"]["own"]
    shown = held_out[: len(own)]
    axes[0, 0].plot(shown.ravel(), own.ravel(), ".", markersize=2, alpha=0.4)
    centre = float(held_out.mean())
    axes[0, 0].axline((centre, centre), slope=1.0, color="black", linestyle="--", linewidth=1)
    figures.label(axes[0, 0], "held-out x (all coordinates)", "reconstruction E[x|z]")
    pca = PCA(2).fit(held_out)
    for x, label in (
        (held_out, "held-out x"),
        (arrays["diffusion_encoder"]["prior"], "E[x|z], z from the prior"),
    ):
        points = pca.transform(x[:NUM_VECTORS])
        axes[0, 1].plot(*points.T, ".", markersize=3, alpha=0.6, label=label)
    figures.label(axes[0, 1], "principal axis 1", "principal axis 2", legend=True)
    figures.save(fig, workdir, "reconstructions")


def latent_map(workdir, dataset, held_out, arrays):
    """Draw latents of held-out examples, coloured by label; projected by PCA where d > 2."""
    labels = None if dataset.test_labels is None else dataset.test_labels[: len(held_out)]
    names = [name for name in LABELS if name in arrays]
    fig, axes = figures.figure(1, len(names), width=3.6, height=3.2)
    for ax, name in zip(axes[0], names, strict=True):
        z = np.asarray(arrays[name]["z"])
        axis = "z"
        if z.shape[1] > 2:
            z = PCA(2).fit(z).transform(z)
            axis = "principal axis"
        z = z if z.shape[1] == 2 else np.stack([z[:, 0], np.zeros(len(z))], axis=1)
        colours = {} if labels is None else {"c": labels, "cmap": "tab10"}
        points = ax.scatter(*z.T, s=5, alpha=0.8, linewidths=0, **colours)
        figures.label(ax, f"{axis} 1", f"{axis} 2", f"{LABELS[name]}: z ~ q(z|x)")
        ax.set_aspect("equal", adjustable="datalim")
    if labels is not None:
        fig.colorbar(points, ax=axes[0].tolist(), label="label", ticks=np.unique(labels))
    figures.save(fig, workdir, "latent_map")


def training_curves(workdir, metrics, with_vae, e_step):
    """Draw losses over training, what the encoder learned, and how the E-step did.

    Args:
        workdir: of the run.
        metrics: lines of metrics.jsonl.
        with_vae: whether a VAE was trained.
        e_step: of the diffusion encoder.
    """
    fig, axes = figures.figure(2, 2, width=3.8, height=2.7)
    losses, bounds, encoder, sampler = axes.ravel()
    for index, (name, label) in enumerate(LABELS.items()):
        if name == "vae" and not with_vae:
            continue
        color = figures.PALETTE[index]
        losses.plot(*series(metrics, f"{name}.decoder_loss"), color=color, label=label)
        bounds.plot(
            *series(metrics, f"{name}.held_out_neg_elbo"),
            "o-",
            markersize=3,
            color=color,
            label=label,
        )
    figures.label(losses, "update", "training -log p(x|z) [nats]", legend=True)
    figures.label(bounds, "update", "held-out -ELBO [nats]", legend=True)
    for ax in (losses, bounds):  # the first points would hide all others
        values = np.concatenate(
            [line.get_ydata()[len(line.get_ydata()) // 20 + 1 :] for line in ax.lines]
        )
        low, high = (values.min(), np.percentile(values, 95)) if values.size else (0, 0)
        if low < high and len(ax.lines[0].get_ydata()) >= 10:  # few points are all shown
            ax.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    for metric, label in (
        ("rate", "rate KL(q(z|x) || p(z))"),
        ("neural_entropy", "of it in the denoiser"),
        ("encoder_loss", "encoder loss"),
    ):
        encoder.plot(*series(metrics, f"diffusion_encoder.{metric}"), label=label)
    encoder.set_yscale("log")
    figures.label(encoder, "update", "diffusion encoder [nats]", legend=True)
    if e_step == "importance":
        sampler.plot(*series(metrics, "diffusion_encoder.acceptance"))
        figures.label(sampler, "update", "effective share of proposals")
    else:
        sampler.plot(*series(metrics, "diffusion_encoder.acceptance"), label="acceptance")
        sampler.plot(*series(metrics, "diffusion_encoder.step_size"), label="step size (whitened)")
        figures.label(sampler, "update", "Markov chains of the E-step", legend=True)
    sampler.set_ylim(bottom=0)
    figures.save(fig, workdir, "training")


def rate_distortion(workdir, metrics, arrays):
    """Draw the path of each model in the rate-distortion plane; lines are of equal -ELBO."""
    fig, axes = figures.figure(width=4.2, height=3.4)
    ax = axes[0, 0]
    title = ""
    rates = []
    distortions = []
    for name in (name for name in LABELS if name in arrays):
        # The first point is the untrained model.
        rates.append(series(metrics, f"{name}.held_out_rate")[1][1:])
        distortions.append(series(metrics, f"{name}.held_out_distortion")[1][1:])
        ax.plot(rates[-1], distortions[-1], "o-", markersize=3, label=LABELS[name])
    rate = np.concatenate(rates)
    distortion = np.concatenate(distortions)
    if rate.size and np.ptp(rate) > 0:
        low = distortion.min()
        high = np.percentile(distortion, 90)
        ax.set_ylim(low - 0.08 * (high - low) - 1, high + 0.3 * (high - low) + 1)
        grid = np.linspace(*ax.get_xlim(), 2)
        best = (rate + distortion).min()
        spread = high - low + np.ptp(rate)
        step = next(step for step in (1, 2, 5, 10, 20, 50, np.inf) if spread <= 8 * step)
        for offset in step * np.arange(12) if np.isfinite(step) else ():
            ax.plot(grid, best + offset - grid, color="black", linewidth=0.4, alpha=0.4, zorder=0)
        ax.set_xlim(grid[0], grid[1])
        title = f"Held out; lines: equal -ELBO, {step} nat{'s' if step > 1 else ''} apart"
    figures.label(
        ax, "rate KL(q(z|x) || p(z)) [nats]", "distortion -log p(x|z) [nats]", title, legend=True
    )
    figures.save(fig, workdir, "rate_distortion")


def gap(workdir, metrics, arrays):
    """Draw how far the decoder's likelihood is below the closed-form maximum over training."""
    fig, axes = figures.figure(width=4.2, height=3.2)
    for name in (name for name in LABELS if name in arrays):
        steps, values = series(metrics, f"{name}.ml_gap")
        values = np.maximum(values, 1e-6)
        axes[0, 0].plot(steps, values, "o-", markersize=3, label=LABELS[name])
    label = f"goal {GOAL}"
    axes[0, 0].axhline(GOAL, color="black", linestyle="--", linewidth=1, label=label)
    axes[0, 0].set_yscale("log")
    figures.label(axes[0, 0], "update", "log-likelihood below its maximum [nats]", legend=True)
    figures.save(fig, workdir, "ml_gap")
