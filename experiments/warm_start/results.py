"""Results of experiments.warm_start: means over seeds, with their errors."""

from collections.abc import Mapping

import numpy as np

from diffenc.diffusion.likelihood import Terms
from diffenc.estimate import Estimate, median, over_seeds
from diffenc.run.advance import dotted
from diffenc.run.tables import Result
from experiments.warm_start.measures import in_bits
from experiments.warm_start.models import Name

UNIT = "bits/dim"


def summarize(drawn: dict[Name, Terms], dim: int) -> list[Result]:
    """Give every term of every model, with errors over examples, noise and seeds.

    Args:
        drawn: the terms of each system, [n] each.
        dim: D.
    """
    rows = []
    for model in dict.fromkeys(name.model for name in drawn):
        of_seeds = [in_bits(one, dim) for name, one in drawn.items() if name.model == model]
        for quantity in of_seeds[0]:
            values = np.stack([one[quantity] for one in of_seeds])
            mean, stderr = over_seeds(values)
            rows.append(Result(f"{model}.{quantity}", mean, stderr, UNIT))
    return rows


def savings(drawn: dict[Name, Terms], dim: int) -> list[Result]:
    """Give by how much the bound of each model is below that of the first.

    Pairs are of one example, one seed and common noise, so the error is smaller than those of the
    two bounds.

    Args:
        drawn: the terms of each system, [n] each.
        dim: D.
    """
    totals = {name: in_bits(one, dim)["bits_per_dim"] for name, one in drawn.items()}
    first, *others = dict.fromkeys(name.model for name in drawn)
    rows = []
    for model in others:
        seeds = [name.seed for name in drawn if name.model == model]
        values = np.stack([totals[Name(first, k)] - totals[Name(model, k)] for k in seeds])
        rows.append(Result(f"{model}.bits_saved", *over_seeds(values), UNIT))
    return rows


def loss_variances(variances: dict[Name, np.ndarray]) -> list[Result]:
    """Give the variance of every model's loss under its own schedule.

    Args:
        variances: see `measures.loss_variance`, [n] of each system.
    """
    rows = []
    for model in dict.fromkeys(name.model for name in variances):
        values = np.stack([one for name, one in variances.items() if name.model == model])
        mean, stderr = over_seeds(values)
        rows.append(Result(f"{model}.loss_variance", mean, stderr, f"({UNIT})^2"))
    return rows


def of_controls(simple: dict[str, Estimate]) -> list[Result]:
    """Give the results of simple codes, by their names."""
    return [Result(f"{name}.bits_per_dim", *estimate, UNIT) for name, estimate in simple.items()]


def with_truth(rows: list[Result], truth: float | None) -> list[Result]:
    """Set the truth of every bits_per_dim, the code length by the law that made the data.

    Args:
        rows: the results.
        truth: in bits a dimension; None where the law is not known.
    """
    return [
        row._replace(truth=truth) if row.name.endswith(".bits_per_dim") else row for row in rows
    ]


def update_times(metrics: list[dict], systems: Mapping[Name, object]) -> list[Result]:
    """Give the median time of an update of each model, over the dispatches of its first seed.

    Args:
        metrics: the lines of metrics.jsonl.
        systems: by name.
    """
    rows = []
    for name in systems:
        if name.seed == 0:
            field = f"{dotted(name)}.ms_per_update"
            times = [line[field] for line in metrics if field in line]
            if len(times) > 2:
                rows.append(Result(f"{name.model}.update_time", *median(times[1:]), "ms"))
    return rows
