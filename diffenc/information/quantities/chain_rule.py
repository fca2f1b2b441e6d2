"""Information about codes of a block that holds codes beside numbers, by the chain rule."""

from typing import NamedTuple

import jax
import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.codes.count_table import CountTable, table_information
from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.label_difference import label_information_given_codes
from diffenc.information.settings import DEFAULTS, Settings, Show, silent
from diffenc.keys import generator, split_key


class ChainRule(NamedTuple):
    """I(L;(A,X)) of labels L, codes A and numbers X, and what it is made of; in nats.

    Attributes:
        estimate: I(A;L) + I(X;(A,L)) - I(X;A). Its error is that of the sum over the examples, and
            the systematic parts of all three in quadrature.
        table: I(A;L).
        together: I(X;(A,L)).
        alone: I(X;A).
        loss: the most that was lost because rare codes were pooled.
        errors: standard errors by source, whose squares add up to that of the estimate.
    """

    estimate: Estimate
    table: CountTable
    together: Information
    alone: Information
    loss: float
    errors: dict[str, float]


def chain_rule(
    key: jax.Array,
    x: np.ndarray,
    codes: np.ndarray,
    labels: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> ChainRule:
    """Estimate I(L;(A,X)) = I(A;L) + I(X;L|A) of labels L, codes A and numbers X.

    I(X;L|A) = I(X;(A,L)) - I(X;A) is estimated with the same halves and the same noise.

    Args:
        key: a key.
        x: [N, dim], or [N] for one coordinate.
        codes: A, whole numbers [N] from 0.
        labels: whole numbers [N] from 0.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information, and what it is the sum of.

    Raises:
        InputError: for samples that `checks` refuses.
    """
    key_table, key_numbers = split_key(key)
    table = table_information(generator(key_table), codes, labels, clusters)
    difference, loss = label_information_given_codes(
        key_numbers, x, labels, codes, settings, show, clusters
    )
    together = difference.together
    alone = difference.alone
    pointwise = together.pointwise - alone.pointwise + table.pointwise[together.rows]
    errors = {
        "examples": clustering.estimate(pointwise, together.clusters).stderr,
        "networks": float(np.hypot(together.errors["networks"], alone.errors["networks"])),
        "regression": float(np.hypot(together.errors["regression"], alone.errors["regression"])),
        "table": table.systematic,
    }
    mean = table.estimate.mean + together.estimate.mean - alone.estimate.mean
    stderr = float(np.linalg.norm(list(errors.values())))
    return ChainRule(Estimate(mean, stderr), table, together, alone, loss, errors)
