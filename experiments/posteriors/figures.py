"""Figures of experiments.posteriors: posteriors beside samples, curves, methods side by side."""

import numpy as np

from diffenc.latent import held_out
from diffenc.run import figures
from diffenc.run.advance import dotted
from diffenc.run.tables import Result
from experiments.posteriors.cases import Case, Name
from experiments.posteriors.measures import examples_shown

EDGE = 3.2  # of the square of latents that is shown, where the posterior has two dimensions
SIDE_BY_SIDE = ("nll", "neg_elbo", "posterior_kl", "amortization_gap")


def draw(
    workdir,
    cases: dict[str, Case],
    samples: dict[Name, np.ndarray | None],
    results: list,
    metrics: list[dict],
) -> None:
    """Draw every figure that the cases allow, into workdir/figures.

    Args:
        workdir: of the run.
        cases: by name.
        samples: of every system; None where there is no figure of them.
        results: of the run.
        metrics: lines of metrics.jsonl.
    """
    for case in cases.values():
        of_first_seed = {
            method: z
            for (name, method, seed), z in samples.items()
            if (name, seed) == (case.name, 0)
        }
        if case.grid is not None:
            posteriors(workdir, case, of_first_seed)
        curves(workdir, case.name, metrics, tuple(of_first_seed))
        comparison(workdir, case.name, results)


def posteriors(workdir, case, samples) -> None:
    """Draw the posterior on the grid and samples of each encoder, for three examples in rows.

    Args:
        workdir: of the run.
        case: a toy.
        samples: {method: [3, n, d]}.
    """
    x = examples_shown(case)
    grid = case.grid
    log_posterior = held_out.log_posterior({}, x, decoder=case.decoder, grid=grid)
    density = np.exp(np.asarray(log_posterior))
    columns = {"exact posterior": None, **samples}
    fig, axes = figures.figure(
        3, 1 + len(samples), width=1.9, height=1.8, sharex=True, sharey="row"
    )
    for row in range(3):
        for ax, (method, z) in zip(axes[row], columns.items(), strict=True):
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
        vertical = "density" if grid.latent_dim == 1 else "$z_2$"
        axes[row, 0].set_ylabel(f"x = {value}\n{vertical}", fontsize=8)
    fig.suptitle(f"{case.name}: posterior p(z|x) and what each encoder samples", fontsize=9)
    figures.save(fig, workdir, f"posteriors_{case.name}")


def curves(workdir, case: str, metrics: list[dict], methods: tuple[str, ...]) -> None:
    """Draw held-out -log p(x) over updates and over seconds, of the first seed.

    Args:
        workdir: of the run.
        case: its name.
        metrics: lines of metrics.jsonl; the importance bound of 10 samples is read.
        methods: their names; bands are of the distance from the first.
    """
    measured = {}
    for method in methods:
        metric = dotted((case, method, 0, "held_out_nll"))
        lines = [line for line in metrics if metric in line]
        if lines:
            measured[method] = [line for line in lines if line["step"] > 0]
    if not measured:
        return
    fig, axes = figures.figure(1, 2, width=4.2, height=3.0, sharey=True)
    lowest = []
    for method, lines in measured.items():
        name = dotted((case, method, 0))
        metric = f"{name}.held_out_nll"
        rows = [(line["step"], line[metric], line.get(f"{metric}_stderr", 0.0)) for line in lines]
        steps, nll, stderr = np.array(rows, float).reshape(-1, 3).T
        metric = f"{name}.ms_per_update"
        times = [line[metric] for line in metrics if metric in line]
        # The median leaves out compilation and what other processes held up.
        seconds = 1e-3 * np.median(times) * steps
        figures.band(axes[0, 0], steps, nll, stderr, label=method)
        figures.band(axes[0, 1], seconds, nll, stderr, label=method)
        lowest.append(nll)
    values = np.concatenate(lowest)
    if values.size:
        low = values.min()
        high = np.percentile(values, 60)
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
    first = next(iter(measured))
    title = f"{case}: negative log-likelihood; bands: standard error of the distance from {first}"
    fig.suptitle(title, fontsize=9)
    figures.save(fig, workdir, f"curves_{case}")


def comparison(workdir, case: str, results: list) -> None:
    """Draw each method's numbers with two standard errors.

    Args:
        workdir: of the run.
        case: its name.
        results: of the run.
    """
    numbers: dict[str, dict[str, Result]] = {}
    for result in results:
        name, method, quantity = result.name.split(".")
        if name == case and quantity in SIDE_BY_SIDE:
            numbers.setdefault(quantity, {})[method] = result
    quantities = [quantity for quantity in SIDE_BY_SIDE if quantity in numbers]
    fig, axes = figures.figure(1, len(quantities), width=2.5, height=2.6, sharey=True)
    for ax, quantity in zip(axes[0], quantities, strict=True):
        of_methods = numbers[quantity]
        values = [result.value for result in of_methods.values()]
        errors = [2 * (result.stderr or 0.0) for result in of_methods.values()]
        ax.errorbar(values, list(of_methods), xerr=errors, fmt="o", markersize=4)
        truth = next(iter(of_methods.values())).truth
        if quantity == "posterior_kl":  # a missed mode costs a hundred nats
            ax.set_xscale("log")
        elif truth is not None:
            ax.axvline(truth, color="black", linestyle="--", linewidth=1.0, label="truth")
            ax.legend(frameon=False)
        figures.label(ax, f"{quantity.replace('_', ' ')} (nats)", "")
    axes[0, 0].invert_yaxis()
    fig.suptitle(f"{case}: methods side by side (two standard errors, not paired)", fontsize=9)
    figures.save(fig, workdir, f"methods_{case}")
