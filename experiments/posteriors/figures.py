"""Figures of `experiments.posteriors`: exact posteriors beside each encoder's samples, likelihood
over updates and seconds, and the methods side by side."""

import jax
import numpy as np

from diffenc.latent import toys
from diffenc.run import figures

EDGE = 3.2


def draw(workdir, config, cases, samples, results, metrics) -> None:
    """Every figure that the cases allow, into workdir/figures."""
    for case in cases.values():
        methods = [
            name.split(".")[1]
            for name in samples
            if name.startswith(f"{case.name}.") and name.endswith(".0")
        ]
        if methods:
            posteriors(
                workdir, case, {method: samples[f"{case.name}.{method}.0"] for method in methods}
            )
        curves(workdir, case.name, metrics, config.methods)
        comparison(workdir, case.name, results)


def examples(case) -> np.ndarray:
    """Three held-out examples [3, D]: at the quartiles of the first coordinate."""
    order = np.argsort(case.held_out[:, 0])
    return case.held_out[order[(np.array([0.25, 0.5, 0.75]) * len(order)).astype(int)]]


def posteriors(workdir, case, samples) -> None:
    """Rows: three examples; columns: the posterior on the grid, then samples of each encoder (first
    seed)."""
    x, grid = examples(case), case.grid
    density = np.exp(np.asarray(jax.jit(lambda x: toys.posterior(case.decoder, grid, x))(x)))
    fig, axes = figures.figure(
        3, 1 + len(samples), width=1.9, height=1.8, sharex=True, sharey="row"
    )
    for row in range(3):
        for ax, (method, z) in zip(
            axes[row], {"exact posterior": None, **samples}.items(), strict=True
        ):
            if grid.latent_dim == 1:
                ax.plot(np.asarray(grid.points())[:, 0], density[row], color="black", linewidth=1.0)
                if z is not None:
                    ax.hist(z[row, :, 0], bins=np.linspace(-4, 4, 81), density=True, alpha=0.6)
                ax.set_xlim(-3.5, 3.5)
            elif z is None:
                image = density[row].reshape(grid.num_points, grid.num_points).T
                edge = grid.half_width
                ax.imshow(
                    image,
                    origin="lower",
                    extent=(-edge, edge, -edge, edge),
                    cmap="Greys",
                    aspect="auto",
                )
            else:
                ax.plot(*z[row].T, ".", markersize=1.0, alpha=0.4)
            if grid.latent_dim == 2:
                ax.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE))
            if row == 0:
                ax.set_title(method, fontsize=8)
            if row == 2:
                ax.set_xlabel("$z_1$")
        value = ", ".join(f"{value:.2f}" for value in x[row])
        axes[row, 0].set_ylabel(
            f"x = {value}\n" + ("density" if grid.latent_dim == 1 else "$z_2$"), fontsize=8
        )
    fig.suptitle(f"{case.name}: posterior p(z|x) and what each encoder samples", fontsize=9)
    figures.save(fig, workdir, f"posteriors_{case.name}")


def curves(workdir, case: str, metrics, methods) -> None:
    """Held-out negative log-likelihood (importance bound, 10 samples, first seed) over updates and
    over seconds."""
    suffix = ".0.held_out_nll"
    names = [
        f"{case}.{method}"
        for method in methods
        if any(f"{case}.{method}{suffix}" in line for line in metrics)
    ]
    if not names:
        return
    fig, axes = figures.figure(1, 2, width=4.2, height=3.0, sharey=True)
    lowest = []
    for name in names:
        lines = [line for line in metrics if name + suffix in line and line["step"] > 0]
        rows = [
            (line["step"], line[name + suffix], line.get(f"{name}{suffix}_stderr", 0.0))
            for line in lines
        ]
        steps, nll, stderr = np.array(rows, float).reshape(-1, 3).T
        # The median leaves out compilation and what other processes held up.
        times = [
            line[f"{name}.0.ms_per_update"] for line in metrics if f"{name}.0.ms_per_update" in line
        ]
        label = name.split(".", 1)[1]
        figures.band(axes[0, 0], steps, nll, stderr, label)
        figures.band(axes[0, 1], 1e-3 * np.median(times) * steps, nll, stderr, label)
        lowest.append(nll)
    values = np.concatenate(lowest)
    if values.size:
        low, high = values.min(), np.percentile(values, 60)
        axes[0, 0].set_ylim(low - 0.1 * (high - low) - 1e-3, high + 0.1 * (high - low) + 1e-3)
    figures.label(axes[0, 0], "updates", "held-out NLL, 10 samples (nats)")
    axes[0, 0].locator_params(axis="x", nbins=5)
    figures.label(axes[0, 1], "seconds of training", "")
    fig.legend(
        *axes[0, 1].get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    title = f"{case}: negative log-likelihood; bands: standard error of the distance from {names[0].split('.', 1)[1]}"
    fig.suptitle(title, fontsize=9)
    figures.save(fig, workdir, f"curves_{case}")


def comparison(workdir, case: str, results) -> None:
    """Each method's bounds (and its divergence where the posterior is known), with two standard
    errors."""
    mine = {
        tuple(result.name.split(".")[1:]): result
        for result in results
        if result.name.startswith(f"{case}.")
    }
    quantities = [
        q
        for q in ("nll", "neg_elbo", "posterior_kl", "amortization_gap")
        if any(q == key[1] for key in mine)
    ]
    fig, axes = figures.figure(1, len(quantities), width=2.5, height=2.6, sharey=True)
    for ax, quantity in zip(axes[0], quantities, strict=True):
        rows = [(method, result) for (method, q), result in mine.items() if q == quantity]
        names = [method for method, _ in rows]
        values, errors = [r.value for _, r in rows], [2 * (r.stderr or 0.0) for _, r in rows]
        ax.errorbar(values, names, xerr=errors, fmt="o", markersize=4)
        truth = rows[0][1].truth
        if quantity == "posterior_kl":  # a missed mode costs a hundred nats
            ax.set_xscale("log")
        elif truth is not None:
            ax.axvline(truth, color="black", linestyle="--", linewidth=1.0, label="truth")
            ax.legend(frameon=False)
        figures.label(ax, f"{quantity.replace('_', ' ')} (nats)", "")
    axes[0, 0].invert_yaxis()
    fig.suptitle(f"{case}: methods side by side (two standard errors, not paired)", fontsize=9)
    figures.save(fig, workdir, f"methods_{case}")
