"""Conditional information of a caller's samples."""

import math
from collections.abc import Mapping, Sequence

from diffenc import compilation
from diffenc.information import clusters as clustering
from diffenc.information.codes.conditional_table import conditional_table_information
from diffenc.information.codes.labels import pool
from diffenc.information.quantities import conditional
from diffenc.information.quantities.label_difference import (
    conditional_label_information,
    label_information_given_codes,
)
from diffenc.information.results.measurement import (
    Measurement,
    of_conditional_table,
    restore,
    with_loss,
)
from diffenc.information.results.networks_measurement import in_samples, of_information
from diffenc.information.samples import columns, inputs, kinds
from diffenc.information.samples import rows as rows_of_samples
from diffenc.information.samples.condition import Condition, read_condition
from diffenc.information.samples.inputs import Progress
from diffenc.information.samples.kinds import Kinds
from diffenc.information.samples.rows import Rows
from diffenc.information.settings import Settings
from diffenc.keys import generator, key_of


def conditional_information(
    x,
    y,
    given,
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
    """Estimate the conditional mutual information I(X;Y|Z) of samples, where Z is `given`.

    It is what y tells about x beyond what `given` tells. Of labels it is I((X,Z);Y) - I(Z;Y), or
    I(X;(Y,Z)) - I(X;Z) if `given` is codes; where all three are codes, it is that of tables.

    Args:
        x: [N] or [N, dim], see `mutual_information`.
        y: as x. If one of the two is codes, the other is taken as numbers, unless all three are
            codes.
        given: as x. Names and columns of few values are codes, see `condition.read_condition`.
        labels: whether y is codes, see `mutual_information`.
        seed: a whole number of 0 or more.
        progress: None, True, or a function, see `mutual_information`.
        settings: of the estimator, see `mutual_information`.
        codes: what of x, y and given is codes, see `mutual_information`.
        amounts: what of x, y and given is numbers, see `mutual_information`.
        groups: see `mutual_information`.
        order: see `mutual_information`.
        name: of the samples, see `mutual_information`.

    Returns:
        The information; negative estimates are explained in `mutual_information`.

    Raises:
        InputError: for samples that have no estimate, with what to do about it.
    """
    x = inputs.read("x", x, may_be_names=True)
    y = inputs.read("y", y, may_be_names=True)
    z = inputs.read("given", given, may_be_names=True)
    seed = inputs.read_seed(seed)
    name = inputs.read_name(name)
    settings = inputs.read_settings(settings)
    show = inputs.read_progress(progress)
    inputs.check_rows(x, y, z)
    x, y, z, rows = inputs.select_rows(groups, order, x, y, z)
    words = columns.read_words(labels, codes, amounts)
    columns.check_words(words, x, y, z)
    condition = read_condition(z, words)
    pair = kinds.decide_given(x, y, words, condition.codes is not None)
    with compilation.cache():
        key = key_of(seed, "conditional estimate", name)
        if pair.case == "numbers":
            num_columns = len(x.columns) + len(y.columns) + len(z.columns)
            measurement = _of_numbers_given(key, pair, condition, rows, num_columns, settings, show)
            return with_loss(measurement, condition.loss)
        if pair.case == "labels":
            return _of_labels_given(key, pair, condition, rows, settings, show)
    assert condition.codes is not None, "of tables all columns of the condition are codes"
    table = conditional_table_information(
        generator(key), pair.x.values, pair.y.values, condition.codes, rows.clusters
    )
    notes = (*pair.notes, *rows_of_samples.notes(rows.facts))
    return of_conditional_table(table, condition.codes, notes, rows)


def _of_numbers_given(
    key, pair: Kinds, condition: Condition, rows: Rows, num_columns, settings, show
) -> Measurement:
    """Estimate I(X;Y|Z) of numbers."""
    x = pair.x
    y = pair.y
    z = condition.numbers
    indicators = condition.indicators if condition.indicators.size else None
    with inputs.naming({"x": [x], "y": [y], "z": [z], "y, z": [y, z]}):
        result = conditional.conditional_information(
            key, x.values, y.values, z.values, settings, show, rows.clusters, indicators
        )
    return of_information("I(X;Y|Z)", result, rows, pair, num_columns)


def _of_labels_given(
    key, pair: Kinds, condition: Condition, rows: Rows, settings, show
) -> Measurement:
    """Estimate I(X;Y|Z) of numbers x and labels y."""
    pooled = pool(pair.y.values)
    loss = condition.loss
    z = condition.as_numbers
    with inputs.naming({"x": [pair.x, z], "z": [z]}, pair.classes):
        if condition.codes is not None:
            names = ("I(X;Y,Z)", "I(X;Z)")
            both, loss = label_information_given_codes(
                key, pair.x.values, pooled.pooled, condition.codes, settings, show, rows.clusters
            )
        else:
            names = ("I(X,Z;Y)", "I(Z;Y)")
            both = conditional_label_information(
                key, pair.x.values, pooled.pooled, z.values, settings, show, rows.clusters
            )
    errors = {
        source: math.hypot(error, both.alone.errors[source])
        for source, error in both.together.errors.items()
    }
    difference = both.together.pointwise - both.alone.pointwise
    # Those of both are correlated.
    errors["examples"] = clustering.estimate(difference, both.together.clusters).stderr
    of_both = {name: in_samples(getattr(both, name), rows) for name in ("together", "alone")}
    measurement = Measurement(
        quantity="I(X;Y|Z)",
        estimate=both.estimate,
        parts=dict(zip(names, (both.together.estimate, both.alone.estimate), strict=True)),
        errors=errors,
        notes=(*pair.notes, *rows_of_samples.notes(rows.facts)),
        details=both._replace(**of_both),
        rows=rows,
    )
    return restore(with_loss(measurement, loss), pooled)
