"""The information about labels that samples add to others, by the chain rule."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.codes.labels import pool
from diffenc.information.estimation.assembly import Information
from diffenc.information.quantities.measures import label_information_of_networks
from diffenc.information.samples.checks import check
from diffenc.information.settings import DEFAULTS, Settings, Show, silent


class LabelDifference(NamedTuple):
    """The information about labels that x adds to a condition, and what it is the difference of.

    Attributes:
        estimate: I(X;L|Z). Its error is that of the paired differences of the examples, and the
            systematic parts of both in quadrature.
        together: I((X,Z);L), or I(X;(A,L)) where codes A are given.
        alone: I(Z;L), or I(X;A).
    """

    estimate: Estimate
    together: Information
    alone: Information


def conditional_label_information(
    key: jax.Array,
    x: np.ndarray,
    labels: np.ndarray,
    z: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> LabelDifference:
    """Estimate I(X;L|Z) = I((X,Z);L) - I(Z;L) of samples and labels.

    Both are estimated with the same halves and the same noise.

    Args:
        key: a key.
        x: [N, dim_x], or [N] for one coordinate.
        labels: integers [N].
        z: [N, dim_z], or [N] for one coordinate.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information, and both of which it is the difference.

    Raises:
        InputError: for samples or labels that `checks` refuses.
    """
    x, z = check(x, z, names=("x", "z"))
    both = np.concatenate([x, z], axis=1)
    tell = functools.partial(_tell, show, "x and z together")
    together = label_information_of_networks(
        jax.random.clone(key), both, labels, settings, tell, clusters
    )
    alone = label_information_of_networks(
        jax.random.clone(key), z, labels, settings, show, clusters
    )
    return _subtract(together, alone)


def label_information_given_codes(
    key: jax.Array,
    x: np.ndarray,
    labels: np.ndarray,
    codes: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> tuple[LabelDifference, float]:
    """Estimate I(X;L|A) = I(X;(A,L)) - I(X;A) of samples, labels L and codes A.

    Both are estimated with the same halves and the same noise.

    Args:
        key: a key.
        x: [N, dim], or [N] for one coordinate.
        labels: whole numbers [N] from 0.
        codes: A, whole numbers [N] from 0.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information, with both of which it is the difference; and the most that was lost because
        rare codes were pooled (nats).

    Raises:
        InputError: for samples that `checks` refuses.
    """
    both = pool(np.unique(codes * (labels.max() + 1) + labels, return_inverse=True)[1])
    some = pool(codes)
    of_both = functools.partial(_tell, show, "codes and labels")
    of_codes = functools.partial(_tell, show, "codes")
    together = label_information_of_networks(
        jax.random.clone(key), x, both.pooled, settings, of_both, clusters
    )
    alone = label_information_of_networks(
        jax.random.clone(key), x, some.pooled, settings, of_codes, clusters
    )
    return _subtract(together, alone), both.loss + some.loss


def _subtract(together: Information, alone: Information) -> LabelDifference:
    mean = together.estimate.mean - alone.estimate.mean
    difference = together.pointwise - alone.pointwise
    sampling = clustering.estimate(difference, together.clusters).stderr
    stderr = np.linalg.norm((sampling, together.systematic, alone.systematic))
    return LabelDifference(Estimate(mean, float(stderr)), together, alone)


def _tell(show: Show, what: str, stage: str, updates: int, value: float) -> None:
    show(f"{what}, {stage}", updates, value)
