"""Figures of one style: curves with bands, lines of truth, grids of images."""

import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffenc.errors import InputError
from diffenc.run import files

# Okabe and Ito's colours, told apart by every common kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


def figure(rows: int = 1, columns: int = 1, width: float = 3.4, height: float = 2.8, **subplots):
    """`(figure, axes [rows, columns])` in the project's style; `width` and `height` are each
    panel's, in inches."""
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, columns, squeeze=False, **subplots)


def save(fig, workdir, name: str) -> Path:
    """Write the figure to workdir/figures/<name>.png at 150 dots per inch; returns the path."""
    path = Path(workdir) / "figures" / f"{name}.png"
    with matplotlib.rc_context(STYLE):
        files.write_once(path, lambda temporary: fig.savefig(temporary, dpi=150, format="png"))
    return path


def label(ax, x: str, y: str, title: str = "", legend: bool = False) -> None:
    """Name both axes (with units), and give the panel its title and legend."""
    ax.set(xlabel=x, ylabel=y, title=title)
    if legend:
        ax.legend(frameon=False, markerscale=2)


def band(ax, x, y, stderr, label: str | None = None, **style):
    """A curve with its band of one standard error; x, y, stderr: [n]."""
    x, y, stderr = (np.asarray(values, float) for values in (x, y, stderr))
    (line,) = ax.plot(x, y, label=label, **style)
    ax.fill_between(x, y - stderr, y + stderr, color=line.get_color(), alpha=0.2, linewidth=0)
    return line


def truth_line(ax, value: float, label: str = "truth") -> None:
    """A dashed horizontal line at the true value."""
    ax.axhline(float(value), color="#000000", linestyle="--", linewidth=1.0, label=label)


def image_grid(ax, images, columns: int, max_value: float | None = None) -> None:
    """Show images, [n, h, w], [n, h, w, 1] or [n, h, w, 3], row by row in one panel, black at 0 and
    white at `max_value` (the largest by default)."""
    images = np.asarray(images, float)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
        raise InputError(
            f"images have shape {images.shape}: give [n, h, w], [n, h, w, 1] or [n, h, w, 3] with n at least 1"
        )
    count, height, width, channels = images.shape
    scale = images.max() if max_value is None else max_value
    rows = math.ceil(count / columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + 1), column * (width + 1)
        canvas[top : top + height, left : left + width] = np.clip(image / (scale or 1.0), 0.0, 1.0)
    ax.imshow(
        canvas[..., 0] if channels == 1 else canvas,
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest",
    )
    ax.set_axis_off()
