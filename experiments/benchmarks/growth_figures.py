"""Figures of `growth`: measured points, and the lines through them."""

import math

import numpy as np

from diffenc.estimate import format_value, median
from diffenc.run import figures
from experiments.benchmarks.growth_fits import power_law

COLUMNS = 3
NAMES = {
    "encoder_update": "update of the diffusion encoder",
    "unet_update": "update of a U-Net",
    "attending_unet_update": "update of a U-Net that attends",
    "mlp_update": "update of a denoiser of dense layers",
    "sampling": "sampling",
    "encoding": "encoding",
    "bound": "bound of log p(x)",
    "annealing": "annealing",
    "information": "information of samples",
    "order": "order of an epoch",
    "checkpoint": "save of a checkpoint",
}


def draw(workdir, points, laws, num_points: int) -> None:
    """Draw time over sizes, a panel for each program, and likewise memory.

    Args:
        workdir: of the run.
        points: of each sweep, by program and axis.
        laws: what theory expects, likewise.
        num_points: how many of the largest sizes are fitted.
    """
    times = {name: one.seconds for name, one in points.items()}
    sizes = {name: one.sizes for name, one in points.items()}
    expected = {name: laws[name].time for name in points}
    _draw(workdir, "growth_time", "CPU time [s]", sizes, times, expected, num_points)
    known = {name: one for name, one in points.items() if one.num_bytes is not None}
    memory = {name: one.num_bytes[None] / 1e6 for name, one in known.items()}
    expected = {name: laws[name].memory for name in known}
    _draw(workdir, "growth_memory", "memory [MB]", sizes, memory, expected, num_points)


def _draw(workdir, file, quantity, sizes, values, expected, num_points):
    """Draw one figure: values [turns, n] of each sweep over its sizes."""
    programs = list(dict.fromkeys(name for name, _ in values))
    if not programs:
        return
    columns = min(COLUMNS, len(programs))
    rows = math.ceil(len(programs) / columns)
    fig, axes = figures.figure(rows, columns, width=4.0, height=3.2)
    for ax in axes.flat[len(programs) :]:
        ax.set_axis_off()
    for ax, program in zip(axes.flat, programs, strict=False):
        names = [name for name in values if name[0] == program]
        for name in names:
            fit = power_law(sizes[name], values[name], num_points)
            exponent = format_value(*fit.exponent)
            label = f"{name[1].replace('_', ' ')}: {exponent} (theory {expected[name]:g})"
            few = len(values[name]) < 2
            middle = [(one[0], 0.0) if few else median(one) for one in values[name].T]
            centres, errors = np.array(middle).T
            drawn = ax.errorbar(sizes[name], centres, errors, fmt="o", markersize=3, label=label)
            ax.plot(fit.sizes, fit.values, color=drawn.lines[0].get_color())
        ax.set(xscale="log", yscale="log")
        figures.log_labels(ax.yaxis)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** (0.09 * len(names)))  # room for the legend
        figures.label(ax, "size", quantity, NAMES[program])
        ax.legend(frameon=False, fontsize=7, loc="upper left")
    figures.save(fig, workdir, file)


def draw_exchanges(workdir, exchanges) -> None:
    """Draw over the number of devices what is summed, and the operations of each device.

    Args:
        workdir: of the run.
        exchanges: of each program that was divided, by the number of devices.
    """
    if not exchanges:
        return
    fig, axes = figures.figure(1, 2)
    for name, by_count in exchanges.items():
        devices = np.array(list(by_count))
        sums = [one.summed_bytes / 1e6 for one in by_count.values()]
        flops = np.array([one.flops for one in by_count.values()])
        axes[0, 0].plot(devices, sums, "o-", label=NAMES[name])
        axes[0, 1].plot(devices, flops / flops[0], "o-", label=NAMES[name])
    axes[0, 1].plot(devices, devices[0] / devices, "k--", label="1 / devices")
    axes[0, 0].set_ylim(bottom=0)
    for ax in axes.flat:
        figures.log_ticks(ax, devices)
    axes[0, 1].set(yscale="log")
    figures.label(axes[0, 0], "devices", "summed in an update [MB]", legend=True)
    figures.label(axes[0, 1], "devices", "operations of a device, first as 1", legend=True)
    figures.save(fig, workdir, "growth_devices")
