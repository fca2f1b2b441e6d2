"""Figures of the task `mixture` of experiments.action_principle."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion.controlled_paths import Problem, field_of, follow
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.value import value_of
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import figures
from experiments.action_principle.settings import Mixture

NUM_SHOWN = 16  # paths
HALF_WIDTH = 3.6  # of the space that is shown
HIGHEST = 8.0  # value of V that is told from higher ones, in nats
NUM_PARABOLAS = 4


def value(workdir, settings: Mixture, process: Process) -> None:
    """Draw V and p_t over space and time, the best paths over both, and where they end.

    Args:
        workdir: of the run.
        settings: of the law `line` and of the paths.
        process: the forward process.
    """
    density = settings.line.mixture()
    problem = Problem(
        process, lambda x: jnp.zeros(len(x)), num_steps=settings.num_steps, t_min=settings.t_min
    )

    @jax.jit
    def draw(key):
        key_x, key_paths = jax.random.split(key)
        x = density.diffused(process, problem.t_max).sample(key_x, settings.num_paths)
        field = field_of(problem, lambda x, t: density.score(process, x, t))
        nodes = problem.nodes(x.dtype)
        _, y = follow(key_paths, problem, field, x)
        return nodes.t, nodes.alpha[:, None] * y[..., 0]

    with jax.default_matmul_precision("highest"):
        t, paths = jax.device_get(draw(key_of(settings.seed, "figure")))
    times = np.linspace(settings.t_min, 1.0, 200)
    space = np.linspace(-HALF_WIDTH, HALF_WIDTH, 241)
    grid = np.stack(np.meshgrid(times, space), axis=-1).reshape(-1, 2)
    points = grid.astype(np.float32)
    values = jax.jit(value_of(density, process))(points[:, 1:], points[:, 0])
    values = np.asarray(values).reshape(len(space), len(times))
    shape: dict[str, Any] = {"gridspec_kw": {"width_ratios": (1, 1, 0.45)}, "sharey": True}
    fig, axes = figures.figure(1, 3, width=3.3, height=3.0, **shape)
    panels = (
        (axes[0, 0], np.minimum(values, HIGHEST), "viridis_r", "V = -log p [nats]"),
        (axes[0, 1], np.exp(-values), "Blues", "density p"),
    )
    for ax, colours, cmap, title in panels:
        image = ax.pcolormesh(times, space, colours, cmap=cmap, shading="gouraud")
        fig.colorbar(image, ax=ax, location="top", label=title, shrink=0.8)
        color = "white" if cmap == "viridis_r" else figures.PALETTE[1]
        ax.plot(t, paths[:, :NUM_SHOWN], color=color, linewidth=0.5, alpha=0.7)
        ax.grid(False)
        ax.set_xlim(1.0, 0.0)
        figures.label(ax, "t, from noise to data", "")
    axes[0, 0].set(ylabel="x", ylim=(-HALF_WIDTH, HALF_WIDTH))
    ax = axes[0, 2]
    ends = density.diffused(process, settings.t_min)
    histogram = {"density": True, "orientation": "horizontal", "alpha": 0.4}
    ax.hist(paths[-1], np.linspace(-HALF_WIDTH, HALF_WIDTH, 49), label="ends", **histogram)
    ax.plot(np.exp(ends.log_prob(np.float32(space[:, None]))), space, "k--", label="p")
    figures.label(ax, "density", "", legend=True)
    figures.save(fig, workdir, "value")


def parabola(workdir, settings: Mixture, moves) -> None:
    """Draw the action against the size of a move, and the first variations of all directions.

    Args:
        workdir: of the run.
        settings: the sizes.
        moves: by direction.
    """
    fig, axes = figures.figure(1, 3, width=3.4, height=3.0)
    sizes = np.array(settings.sizes)
    fine = np.linspace(sizes.min(), sizes.max(), 101)
    moved = sizes != 0
    for index, one in enumerate(moves[:NUM_PARABOLAS]):
        style = {"color": figures.PALETTE[index], "markersize": 3}
        heights = np.array([Estimate.of(values) for values in one.differences]).T
        curvature = one.predicted.mean(dtype=np.float64)
        label = f"direction {index}"
        axes[0, 0].errorbar(sizes, *heights, fmt="o", label=label, **style)
        axes[0, 0].plot(fine, curvature * fine**2, "--", lw=1.0, color=style["color"])
        ratios = heights[:, moved] / np.square(sizes[moved])[None]
        axes[0, 1].errorbar(sizes[moved], *ratios, fmt="o", **style)
        axes[0, 1].axhline(curvature, ls="--", lw=1.0, color=style["color"])
    axes[0, 0].plot([], [], "k--", lw=1.0, label="predicted parabola")
    figures.label(axes[0, 0], "size of the move", "action above the score's [nats]")
    figures.label(axes[0, 1], "size of the move", "the same over size squared [nats]")
    axes[0, 1].set_ylim(bottom=0)
    for name, label in (("first", "at the score"), ("wrong_first", "at 1.2 times the score")):
        estimates = np.array([Estimate.of(getattr(one, name)) for one in moves]).T
        axes[0, 2].errorbar(np.arange(len(moves)), *estimates, fmt="o", markersize=3, label=label)
    axes[0, 2].axhline(0.0, color="black", linewidth=1.0)
    axes[0, 2].set_xticks(range(0, len(moves), 5))
    figures.label(axes[0, 2], "direction", "first variation [nats]")
    for ax in (axes[0, 0], axes[0, 2]):
        ax.legend(frameon=False, fontsize=7)
    figures.save(fig, workdir, "parabola")


def guidance(workdir, guided) -> None:
    """Draw what guidance samples beside the tilted laws, and what it pays.

    Args:
        workdir: of the run.
        guided: by weight.
    """
    widths = (1.0,) * len(guided) + (1.5,)
    shape: dict[str, Any] = {"gridspec_kw": {"width_ratios": widths}}
    fig, axes = figures.figure(1, len(widths), width=2.5, **shape)
    space = np.linspace(-2.0, 2.6, 200)
    for ax, (weight, one) in zip(axes[0], guided.items(), strict=False):
        bins = np.linspace(space[0], space[-1], 47)
        ax.hist(one.x, bins, density=True, alpha=0.4, label="guidance")
        law = np.exp(one.tilted.log_prob(np.float32(space[:, None])))
        ax.plot(space, law, "k--", label="tilted law")
        figures.label(ax, "x", "", f"w = {weight:g}")
    axes[0, 0].legend(frameon=False, fontsize=7)
    axes[0, 0].set_ylabel("density")
    ax = axes[0, -1]
    curves = {
        "excess": "excess action",
        "gap": "gap along guided paths",
        "reverse_gap": "gap along the tilted law's paths",
    }
    for name, label in curves.items():
        estimates = np.array([Estimate.of(getattr(one, name)) for one in guided.values()])
        style = {"excess": "o"}.get(name, "-")
        ax.errorbar(list(guided), *estimates.T, fmt=style, markersize=4, label=label)
    figures.label(ax, "weight w of guidance", "nats")
    ax.legend(frameon=False, fontsize=7)
    figures.save(fig, workdir, "guidance")
