"""Results of experiments.diffusion_decoder: means over the examples and seeds of each method."""

from collections.abc import Callable, Mapping

import numpy as np

from diffenc.estimate import Estimate, bootstrap, median, over_seeds, ratio
from diffenc.keys import rng_of
from diffenc.run import tables
from diffenc.run.advance import dotted
from diffenc.run.tables import Result
from experiments.diffusion_decoder.models import Name
from experiments.diffusion_decoder.settings import BOTTLENECKED, Experiment, Point
from experiments.diffusion_decoder.usefulness import Measured

FIRST = "diffusion_encoder"
RIVAL = "gaussian_encoder"
RATIOS = {  # of two squared errors, each of E over examples
    "reconstruction_ratio": ("own_error", "other_error"),
    "round_trip_ratio": ("round_trip_error", "other_error"),
    "mean_reconstruction_ratio": ("mean_error", "other_mean_error"),
}
UNITS = {  # of what is not in nats
    "own_error": "squared",
    "other_error": "squared",
    "round_trip_error": "squared",
    "mean_error": "squared",
    "other_mean_error": "squared",
    "reconstruction_ratio": "of another's",
    "round_trip_ratio": "of another's",
    "mean_reconstruction_ratio": "of another's",
    "knn_accuracy": "of examples",
    "logistic_accuracy": "of examples",
    "knn_accuracy_of_mean": "of examples",
    "logistic_accuracy_of_mean": "of examples",
    "active_dimensions": "dimensions",
    "frechet": "squared distance",
    "frechet_floor": "squared distance",
}
COLUMNS = (  # of the table
    "rate",
    "distortion",
    "neg_elbo",
    "latent_cost",
    "refit_latent_cost",
    "reconstruction_ratio",
    "mean_reconstruction_ratio",
    "shuffle_rise",
    "knn_accuracy_of_mean",
    "logistic_accuracy_of_mean",
    "frechet",
    "label_information",
    "update_time",
)
Stacked = dict[tuple[str, Point], dict[str, np.ndarray]]


def summarize(experiment: Experiment, measured: dict[Name, Measured]) -> list[Result]:
    """Take means over examples and seeds, and compare methods.

    Args:
        experiment: the config.
        measured: the numbers of each system.
    """
    stacked = stack(measured)
    rows = []
    for (method, point), quantities in stacked.items():
        name = dotted((method, *point.parts))
        for quantity, values in quantities.items():
            unit = UNITS.get(quantity, "nats")
            rows.append(Result(f"{name}.{quantity}", *over_seeds(values), unit))
        for quantity, estimates in scalars_of(measured, method, point).items():
            unit = UNITS.get(quantity, "nats")
            rows.append(Result(f"{name}.{quantity}", *combine(estimates), unit))
    rows += against_rival(stacked)
    if experiment.is_sweep:
        rows += rate_saved(experiment.training.seed, stacked)
    return [rename_latents(row) for row in rows]


def stack(measured: dict[Name, Measured]) -> Stacked:
    """Stack the values of each method and place over seeds, and add what they give together.

    Args:
        measured: the numbers of each system.

    Returns:
        {(method, point): {quantity: [seeds, n]}}.
    """
    stacked = {}
    for name in measured:
        if (name.method, name.point) in stacked:
            continue
        of_seeds = [
            one.values for other, one in measured.items() if other[:2] == (name.method, name.point)
        ]
        stacked[name.method, name.point] = {
            quantity: np.stack([values[quantity] for values in of_seeds])
            for quantity in of_seeds[0]
        }
    for (method, point), quantities in stacked.items():
        for share, (error, other) in RATIOS.items():
            if error in quantities:
                pairs = zip(quantities[error], quantities[other], strict=True)
                quantities[share] = np.stack([ratio(*pair) for pair in pairs])
        control = control_of(stacked, point)
        if method in BOTTLENECKED and control is not None:
            bound = control["neg_elbo"]
            quantities["latent_cost"] = quantities["neg_elbo"] - bound
            if "refit_neg_elbo" in quantities:
                quantities["refit_latent_cost"] = quantities["refit_neg_elbo"] - bound
    return stacked


def control_of(stacked: Stacked, point: Point) -> dict[str, np.ndarray] | None:
    """Give the decoder without a latent at the split of a place; None where none was trained.

    Args:
        stacked: of `stack`.
        point: the place.
    """
    return stacked.get(("without_latent", Point(None, point.split)))


def scalars_of(
    measured: dict[Name, Measured], method: str, point: Point
) -> dict[str, list[Estimate]]:
    """Collect the scalars of a method over seeds.

    Args:
        measured: the numbers of each system.
        method: its name.
        point: the place of the sweep.
    """
    of_seeds = [one.scalars for name, one in measured.items() if name[:2] == (method, point)]
    return {quantity: [one[quantity] for one in of_seeds] for quantity in of_seeds[0]}


def combine(estimates: list[Estimate]) -> Estimate:
    """Average estimates of several seeds: their own errors, and the scatter over seeds.

    Own errors count as if they were those of the same examples: they do not average out.
    """
    means = np.array([estimate.mean for estimate in estimates])
    stderr = float(np.mean([estimate.stderr for estimate in estimates]))
    if len(means) > 1:
        stderr = float(np.hypot(stderr, means.std(ddof=1) / np.sqrt(len(means))))
    return Estimate(float(means.mean()), stderr)


def against_rival(stacked: Stacked) -> list[Result]:
    """Compare the diffusion encoder with the Gaussian one, on the same examples and seeds."""
    rows = []
    for (method, point), quantities in stacked.items():
        rival = stacked.get((RIVAL, point))
        if method != FIRST or rival is None:
            continue
        name = dotted((method, *point.parts))
        for quantity in ("rate", "distortion", "neg_elbo", "refit_neg_elbo"):
            if quantity in quantities:
                below = over_seeds(rival[quantity] - quantities[quantity])
                rows.append(Result(f"{name}.{quantity}_below_{RIVAL}", *below))
        for quantity in ("knn_accuracy_of_mean", "logistic_accuracy_of_mean"):
            if quantity in quantities:
                above = over_seeds(quantities[quantity] - rival[quantity])
                rows.append(Result(f"{name}.{quantity}_above_{RIVAL}", *above, "of examples"))
    return rows


def rate_saved(seed: int, stacked: Stacked) -> list[Result]:
    """Compare the two frontiers: how many nats less rate at equal distortion.

    The rival's rate at the distortion of the diffusion encoder is read off its frontier, straight
    between the two places next to it; beyond its ends nothing is said. A place that another one
    of less rate surpasses is not on the frontier. The true frontier is convex: it lies below its
    chords, whose rate at a distortion is too large. Between places this favours the diffusion
    encoder, the more the farther they are apart; at a place of the rival it does not. The error is
    that of the bootstrap over examples and seeds, and holds nothing of this; a resample beyond the
    ends counts as the value, so near them it is too small.

    Args:
        seed: of the bootstrap.
        stacked: of `stack`.
    """
    rows = []
    for split in dict.fromkeys(point.split for _, point in stacked):
        frontier = frontier_of(stacked, RIVAL, split)
        for (method, point), own in stacked.items():
            if method != FIRST or point.split != split or len(frontier) < 2:
                continue
            rng = rng_of(seed, "rate_saved", *point.parts)
            saved = make_saving(own, frontier)
            num_seeds, count = own["rate"].shape
            everything = (np.arange(num_seeds), np.arange(count))
            value = saved(everything)

            def resample(rng=rng, num_seeds=num_seeds, count=count):
                return rng.integers(num_seeds, size=num_seeds), rng.integers(count, size=count)

            def finite(choice, saved=saved, value=value):
                return np.nan_to_num(saved(choice), nan=value)

            if np.isfinite(value):
                draws = bootstrap(finite, resample, 200)
                name = dotted((method, *point.parts))
                rows.append(Result(f"{name}.rate_saved", value, float(draws)))
    return rows


def frontier_of(stacked: Stacked, method: str, split: float | None) -> list[dict[str, np.ndarray]]:
    """List the places of a method at a split."""
    return [
        quantities
        for (other, point), quantities in stacked.items()
        if other == method and point.split == split
    ]


def make_saving(own: dict, frontier: list[dict]) -> Callable:
    """Make saved(choice of (seeds, examples)) -> nats less rate, NaN beyond the frontier.

    Args:
        own: values of one place [seeds, n].
        frontier: those of the rival's places.
    """

    def mean(quantities, quantity, choice):
        return quantities[quantity][np.ix_(*choice)].mean()

    def saved(choice):
        rates = [mean(one, "rate", choice) for one in frontier]
        order = np.argsort(rates)
        rate = np.array(rates)[order]
        distortion = np.array([mean(one, "distortion", choice) for one in frontier])[order]
        lowest = np.minimum.accumulate(distortion)
        is_on = np.append(True, distortion[1:] < lowest[:-1])  # more rate buys something there
        rate = rate[is_on]
        distortion = distortion[is_on]
        level = mean(own, "distortion", choice)
        if not distortion[-1] <= level <= distortion[0]:
            return np.nan
        return float(np.interp(-level, -distortion, rate) - mean(own, "rate", choice))

    return saved


def rename_latents(row: Result) -> Result:
    """Name what two latents say about the label, as in semantic.label_information."""
    for latent in ("semantic", "perceptual"):
        name = f"{FIRST}.{latent}_information"
        if row.name == name:
            return row._replace(name=f"{latent}.label_information")
    return row


def update_times(metrics: list[dict], models: Mapping[Name, object]) -> list[Result]:
    """Give milliseconds per update of each method and place, and the encoder's by the rival's.

    They are medians over dispatches after the first, which compiles, of the first seed.

    Args:
        metrics: lines of metrics.jsonl.
        models: the systems, of which the names are read.
    """
    times = {}
    for name in models:
        metric = f"{dotted(name.key)}.ms_per_update"
        values = [line[metric] for line in metrics if metric in line][1:]
        if name[:2] not in times and len(values) >= 2:
            times[name[:2]] = np.array(values)
    rows = []
    for (method, point), values in times.items():
        place = dotted((method, *point.parts))
        rows.append(Result(f"{place}.update_time", *median(values), "ms"))
        rival = times.get((RIVAL, point))
        if method == FIRST and rival is not None:
            together = median(values / rival)
            rows.append(Result(f"{place}.update_time_ratio", *together, "diffusion-VAE updates"))
    return rows


def print_methods(title: str, results: list[Result]) -> None:
    """Print a table of methods and places down, quantities across; another one of the rise."""
    cells = {}
    rises = {}
    for result in results:
        name, _, quantity = result.name.rpartition(".")
        method, _, level = name.rpartition(".lambda=")
        if method:
            rises[method, level] = (result.value, result.stderr)
        else:
            cells[name, quantity] = (result.value, result.stderr)
    quantities = dict.fromkeys(quantity for _, quantity in cells)
    print_cells(
        f"{title} (nats; update_time in ms)", cells, [c for c in COLUMNS if c in quantities]
    )
    if rises:
        levels = list(dict.fromkeys(level for _, level in rises))
        heading = f"{title}: rise of the loss with another's latent, from each lambda on (nats)"
        print_cells(heading, rises, levels)


def print_cells(title: str, cells: dict, columns: list[str]) -> None:
    """Print a table.

    Args:
        title: above it.
        cells: {(row, column): (value, stderr)}.
        columns: in order; rows without any of them are left out.
    """
    names = list(dict.fromkeys(name for name, column in cells if column in columns))
    rows = [[cells.get((name, column)) for column in columns] for name in names]
    tables.print_matrix(title, names, columns, rows)
