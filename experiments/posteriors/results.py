"""Results of experiments.posteriors: means over the examples and seeds of a method."""

import numpy as np

from diffenc.estimate import Estimate, map_examples, median, over_seeds
from diffenc.latent import held_out, posterior_grid
from diffenc.run import tables
from diffenc.run.advance import dotted
from diffenc.run.tables import Result
from experiments.posteriors.cases import Case, Name
from experiments.posteriors.measures import BATCH_SIZE, OF_BOUND

UNITS = {"ess": "samples", "mass": "", "folds": ""}  # nats otherwise
COMPARED = ("nll", "neg_elbo", "ais_nll")  # with the first method, on the same examples
COLUMNS = (
    *OF_BOUND,
    "amortization_gap",
    "train_nll",
    "posterior_kl",
    "mass",
    "folds",
    "ais_nll",
    "ais_gap",
    "update_time",
)


def summarize(cases: dict[str, Case], values: dict[Name, dict[str, np.ndarray]]) -> list[Result]:
    """Take means over examples and seeds, and compare each method with the first.

    Args:
        cases: by name.
        values: {system: {quantity: one value for each example [n]}}.
    """
    results = []
    for case in cases.values():
        stacked = stack_seeds(case.name, values)
        truths = truths_of(case)
        for method, quantities in stacked.items():
            for quantity, of_seeds in quantities.items():
                name = dotted((case.name, method, quantity))
                estimate = over_seeds(of_seeds)
                unit = UNITS.get(quantity, "nats")
                results.append(Result(name, *estimate, unit, truths.get(quantity)))
        first, *rivals = stacked
        for rival in rivals:
            for quantity in (name for name in COMPARED if name in stacked[rival]):
                difference = over_seeds(stacked[rival][quantity] - stacked[first][quantity])
                name = dotted((case.name, rival, f"{quantity}_above_{first}"))
                results.append(Result(name, *difference))
        if case.grid is not None:
            results.append(best_gaussian(case))
    return results


def stack_seeds(
    case: str, values: dict[Name, dict[str, np.ndarray]]
) -> dict[str, dict[str, np.ndarray]]:
    """Stack the values of a case over seeds: {method: {quantity: [seeds, n]}}.

    Args:
        case: its name.
        values: of every system.
    """
    of_methods: dict[str, list[dict[str, np.ndarray]]] = {}
    for (name, method, _), quantities in values.items():
        if name == case:
            of_methods.setdefault(method, []).append(quantities)
    return {
        method: {
            quantity: np.stack([one[quantity] for one in of_seeds]) for quantity in of_seeds[0]
        }
        for method, of_seeds in of_methods.items()
    }


def best_gaussian(case: Case) -> Result:
    """Give the divergence of a toy's posterior from the best Gaussian."""

    def of_batch(key, x):
        return held_out.log_posterior({}, x, decoder=case.decoder, grid=case.grid)

    log_posterior = map_examples(of_batch, None, case.held_out, BATCH_SIZE)
    kl = Estimate.of(posterior_grid.best_gaussian_kl(log_posterior, case.grid))
    return Result(dotted((case.name, "best_gaussian", "posterior_kl")), *kl)


def truths_of(case: Case) -> dict[str, float]:
    """Give what is known of a toy: the held-out -log p(x), and the goals of divergence and mass."""
    if case.grid is None:
        return {}

    def of_batch(key, x):
        return held_out.log_marginal({}, x, decoder=case.decoder, grid=case.grid)

    log_p = map_examples(of_batch, None, case.held_out, BATCH_SIZE)
    return {"nll": float(-log_p.mean()), "posterior_kl": 0.0, "mass": 1.0}


def update_times(metrics: list[dict], names: tuple[Name, ...]) -> list[Result]:
    """Give milliseconds per update of each method: the median over dispatches after the first.

    Args:
        metrics: lines of metrics.jsonl.
        names: of the systems; the first seed of each method is read.
    """
    results = []
    for case, method, seed in names:
        metric = f"{dotted((case, method, seed))}.ms_per_update"
        times = [line[metric] for line in metrics if metric in line][1:]
        if seed == 0 and len(times) >= 2:
            results.append(Result(dotted((case, method, "update_time")), *median(times), "ms"))
    return results


def print_methods(case: str, results: list[Result]) -> None:
    """Print the table of a case: methods down, quantities across."""
    cells = {}
    for result in results:
        name, method, quantity = result.name.split(".")
        if name == case:
            cells[method, quantity] = (result.value, result.stderr)
    methods = list(dict.fromkeys(method for method, _ in cells))
    columns = [name for name in COLUMNS if any(name == quantity for _, quantity in cells)]
    rows = [[cells.get((method, quantity)) for quantity in columns] for method in methods]
    tables.print_matrix(f"{case} (nats; update_time in ms)", methods, columns, rows)
