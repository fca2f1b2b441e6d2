"""Figures of one style: curves with bands, lines of truth, grids of images."""

import math
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from etils import epath
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.typing import RcKeyType

from diffenc.errors import InputError
from diffenc.run import files

# Okabe and Ito's colours, told apart by every common kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[RcKeyType, Any] = {
    "axes.prop_cycle": cycler(color=PALETTE),
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
    """Make a figure of panels in the project's style.

    Args:
        rows: of panels.
        columns: of panels.
        width: of each panel, in inches.
        height: of each panel, in inches.
        **subplots: further arguments of matplotlib's `Figure.subplots`.

    Returns:
        `(figure, axes)`, the axes [rows, columns].
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, columns, squeeze=False, **subplots)


def save(fig, workdir, name: str) -> epath.Path:
    """Write a figure to workdir/figures/<name>.png at 150 dots per inch.

    Args:
        fig: the figure.
        workdir: the directory of the run.
        name: of the file, without its ending.

    Returns:
        The path of the file.
    """
    path = epath.Path(workdir) / "figures" / f"{name}.png"

    def write_to(temporary):
        with temporary.open("wb") as file:
            fig.savefig(file, dpi=150, format="png")

    with matplotlib.rc_context(STYLE):
        files.write_once(path, write_to)
    return path


def label(ax, x: str, y: str, title: str = "", legend: bool = False) -> None:
    """Name both axes of a panel, and give it its title and legend.

    Args:
        ax: the panel.
        x: the horizontal axis, with its unit.
        y: the vertical axis, with its unit.
        title: above the panel.
        legend: whether to draw one.
    """
    ax.set(xlabel=x, ylabel=y, title=title)
    if legend:
        ax.legend(frameon=False, markerscale=2)


def band(ax, x, y, stderr, *, label: str | None = None, **style):
    """Draw a curve with its band of one standard error.

    Args:
        ax: the panel.
        x: [n].
        y: [n].
        stderr: [n].
        label: in the legend.
        **style: further arguments of matplotlib's `plot`.

    Returns:
        The line.
    """
    x = np.asarray(x, float)
    y = np.asarray(y, float)
    stderr = np.asarray(stderr, float)
    (line,) = ax.plot(x, y, label=label, **style)
    ax.fill_between(x, y - stderr, y + stderr, color=line.get_color(), alpha=0.2, linewidth=0)
    return line


def truth_line(ax, value: float, label: str = "truth") -> None:
    """Draw a dashed horizontal line at the true value."""
    ax.axhline(float(value), color="#000000", linestyle="--", linewidth=1.0, label=label)


def log_ticks(ax, ticks) -> None:
    """Make the horizontal axis logarithmic, and name these places of it alone."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def log_labels(axis) -> None:
    """Name 1, 2 and 5 of each decade of a logarithmic axis, `ax.xaxis` or `ax.yaxis`."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def image_grid(ax, images, columns: int, max_value: float | None = None) -> None:
    """Show images row by row in one panel.

    Args:
        ax: the panel.
        images: [n, h, w] or [n, h, w, c]; three channels are shown in colour, and of another
            number their mean is shown in grey.
        columns: how many stand in a row.
        max_value: the intensity that is white, the largest of all by default; 0 is black.

    Raises:
        InputError: the images have another shape, or there are none.
    """
    images = np.asarray(images, float)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise InputError(
            f"images have shape {images.shape}: give [n, h, w] or [n, h, w, c], none of them 0"
        )
    if images.shape[-1] != 3:
        images = images.mean(axis=-1, keepdims=True)
    count, height, width, channels = images.shape
    scale = images.max() if max_value is None else max_value
    rows = math.ceil(count / columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top = row * (height + 1)
        left = column * (width + 1)
        canvas[top : top + height, left : left + width] = np.clip(image / (scale or 1.0), 0.0, 1.0)
    ax.imshow(
        canvas[..., 0] if channels == 1 else canvas,
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest",
    )
    ax.set_axis_off()
