"""Information and entropy of a caller's samples: what `import diffenc` and the command line ask.

Samples are arrays, lists, or tables of pandas. The theory is in measures.py.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from diffenc import compilation
from diffenc.information import clusters as clustering
from diffenc.information.codes.count_table import table_information
from diffenc.information.codes.labels import pool
from diffenc.information.conditional_estimates import conditional_information
from diffenc.information.coordinates.gaussian import has_ties
from diffenc.information.quantities import measures, one_block
from diffenc.information.quantities.chain_rule import chain_rule
from diffenc.information.quantities.mixed import mixed_information
from diffenc.information.results import independence, remarks
from diffenc.information.results.measurement import (
    Measurement,
    of_chain,
    of_steps,
    of_table,
    restore,
    with_loss,
)
from diffenc.information.results.networks_measurement import in_samples, of_information
from diffenc.information.samples import columns, inputs, kinds
from diffenc.information.samples import rows as rows_of_samples
from diffenc.information.samples.inputs import Block, Progress
from diffenc.information.samples.kinds import Kinds
from diffenc.information.samples.rows import Rows
from diffenc.information.samples.steps import find_steps
from diffenc.information.settings import Settings
from diffenc.keys import generator, key_of


def mutual_information(
    x,
    y,
    given=None,
    labels: bool | None = None,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    codes: str | Sequence[str] = (),
    amounts: str | Sequence[str] = (),
    groups=None,
    order: str | None = None,
    name: str = "data",
) -> Measurement:
    """Estimate the mutual information I(X;Y) of samples, or I(X;Y|Z) of samples and `given`.

    Row i of x belongs to row i of y. 100 rows or more are needed, and more than four for each
    column.

    An estimate may be negative, and is returned as it is: known biases are subtracted, so that the
    estimates of many independent pairs scatter about 0, some of them below it. Cut at 0, their mean
    would be too high. A negative estimate says that no information was detected; what there may be
    is below about twice the error.

    Args:
        x: [N] or [N, dim]: an array, a list, or a DataFrame or Series of pandas. Columns are
            numbers, or codes, whose order tells nothing: names, truth values, and numbers of few
            distinct values. Whole numbers of more values are taken as either, see `kinds`, and a
            note says how.
        y: as x.
        given: as x, the condition Z; None for none.
        labels: whether y is codes, such as class labels; None to decide by its values.
        seed: a whole number of 0 or more. Another seed gives other halves and other networks; the
            same one gives the same digits on the same machine.
        progress: None for silence, True for lines on stderr, or a function that is called with
            (stage, updates, nats) after every round of training.
        settings: of the estimator: a `Settings`, or its sections as a mapping, as in
            {"flow": {"rounds": 0}}.
        codes: what of x and y is codes: "x", "y", "x[2]" for column 2 of an array, or a column of
            a table by its name; one or several.
        amounts: what is numbers, though it has few values; as codes.
        groups: one value for each row, such as a subject or a recording: rows with the same one
            depend on each other, and others do not. None for no groups.
        order: "exchangeable" if the order of the rows means nothing, though neighbours resemble
            each other. With None it is found out, see `series.examine`.
        name: of the pair. Pairs with other names have other random numbers at the same seed.

    Returns:
        The information.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    if given is not None:
        return conditional_information(
            x,
            y,
            given,
            labels,
            seed,
            progress,
            settings,
            codes=codes,
            amounts=amounts,
            groups=groups,
            order=order,
            name=name,
        )
    x = inputs.read("x", x, may_be_names=True)
    y = inputs.read("y", y, may_be_names=True)
    seed = inputs.read_seed(seed)
    name = inputs.read_name(name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    inputs.check_rows(x, y)
    x, y, rows = inputs.select_rows(groups, order, x, y)
    pair = kinds.decide(x, y, columns.read_words(labels, codes, amounts))
    num_columns = len(x.columns) + len(y.columns)
    with inputs.naming({"x": [pair.x], "y": [pair.y]}, pair.classes), compilation.cache():
        key = key_of(seed, "estimate", name)
        measurement = _estimate(key, pair, rows, num_columns, settings, show)
    return dataclasses.replace(measurement, samples=independence.samples_of(pair, rows))


def _estimate(key, pair: Kinds, rows: Rows, num_columns, settings, show) -> Measurement:
    """Estimate I(X;Y) by the kinds of the blocks."""
    x = pair.x.values
    y = pair.y.values
    if pair.case == "table":
        table = table_information(generator(key), x, y, rows.clusters)
        notes = (*pair.notes, *rows_of_samples.notes(rows.facts))
        return of_table("I(X;Y)", table, notes, rows)
    if pair.case == "labels":
        pooled = pool(y)
        result = measures.label_information(key, x, pooled.pooled, settings, show, rows.clusters)
        return restore(of_information("I(X;Y)", result, rows, pair, num_columns), pooled)
    if pair.case == "chain":
        assert pair.codes is not None, "x of a chain holds codes"
        chain = chain_rule(key, x, pair.codes, y, settings, show, rows.clusters)
        of_both = {name: in_samples(getattr(chain, name), rows) for name in ("together", "alone")}
        notes = (*pair.notes, *rows_of_samples.notes(rows.facts))
        return of_chain("I(X;Y)", chain._replace(**of_both), notes, rows)
    if pair.case == "mixed":
        assert pair.indicators is not None, "y of a mixed pair holds codes"
        result = mixed_information(key, x, y, pair.indicators, settings, show, rows.clusters)
    else:
        steps = find_steps(x, y) if rows.clusters is None else None
        if steps is not None:
            return of_steps("I(X;Y)", steps, pair.x.columns, pair.y.columns, pair.notes, rows)
        result = measures.mutual_information(key, x, y, settings, show, rows.clusters)
    return with_loss(of_information("I(X;Y)", result, rows, pair, num_columns), pair.loss)


def total_correlation(
    x,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    groups=None,
    order: str | None = None,
    name: str = "data",
) -> Measurement:
    """Estimate the total correlation KL(p(x) || prod_i p(x_i)) between the columns of samples.

    Args:
        x: [N, dim] with two columns or more, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        groups: see `mutual_information`.
        order: see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The total correlation; negative estimates are explained in `mutual_information`.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x, rows = inputs.select_rows(groups, order, inputs.read("x", x), by_column=True)
    seed = inputs.read_seed(seed)
    name = inputs.read_name(name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    with inputs.naming({"x": [x]}), compilation.cache():
        key = key_of(seed, "total correlation", name)
        result = one_block.total_correlation(key, x.values, settings, show, rows.clusters)
    return of_information("TC(X)", result, rows, Kinds("numbers", x, x), len(x.columns))


def entropy(
    x,
    seed: int = 0,
    progress: Progress = None,
    settings: Settings | Mapping | None = None,
    *,
    groups=None,
    order: str | None = None,
    name: str = "data",
) -> Measurement:
    """Estimate the differential entropy h(X) = -E log p(x) of samples with a density.

    It changes with the unit of x, by log c for each column that is multiplied by c. It is negative
    where log p(x) is positive on average. Discrete samples have none (it would be -infinity): where
    many values are equal, a note says so.

    Args:
        x: [N] or [N, dim] of finite variance, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        groups: see `mutual_information`.
        order: see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The entropy.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x, rows = inputs.select_rows(groups, order, inputs.read("x", x))
    seed = inputs.read_seed(seed)
    name = inputs.read_name(name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    with inputs.naming({"x": [x]}), compilation.cache():
        key = key_of(seed, "entropy", name)
        result = one_block.entropy(key, x.values, settings, show, rows.clusters)
    return Measurement(
        quantity="h(X)",
        estimate=result.estimate,
        parts={
            "gaussian": result.gaussian,
            "divergence": result.divergence,
        },
        errors={
            "examples": clustering.estimate(result.pointwise, result.clusters).stderr,
            "spacings" if result.marginal is None else "networks": result.systematic,
        },
        notes=(*remarks.general(tied=_has_ties(x)), *rows_of_samples.notes(rows.facts)),
        details=in_samples(result, rows),
        rows=rows,
    )


def _has_ties(x: Block) -> bool:
    return bool(has_ties(x.values.reshape(len(x.values), -1)).any())
