"""The information about labels that samples add to others, by the chain rule."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.assembly import Information
from diffenc.information.checks import check
from diffenc.information.clusters import Clusters
from diffenc.information.measures import (
    DEFAULTS,
    Show,
    label_information_of_networks,
    silent,
)
from diffenc.information.settings import Settings


class LabelDifference(NamedTuple):
    """The information about labels that x adds to z, and what it is the difference of.

    Attributes:
        estimate: I(X;L|Z). Its error is that of the paired differences of the examples, and the
            systematic parts of both in quadrature.
        together: I((X,Z);L).
        alone: I(Z;L).
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
    tell = functools.partial(_tell_of_both, show)
    together = label_information_of_networks(
        jax.random.clone(key), both, labels, settings, tell, clusters
    )
    alone = label_information_of_networks(
        jax.random.clone(key), z, labels, settings, show, clusters
    )
    mean = together.estimate.mean - alone.estimate.mean
    difference = together.pointwise - alone.pointwise
    sampling = clustering.estimate(difference, together.clusters).stderr
    stderr = np.linalg.norm((sampling, together.systematic, alone.systematic))
    return LabelDifference(Estimate(mean, float(stderr)), together, alone)


def _tell_of_both(show: Show, stage: str, updates: int, value: float) -> None:
    show(f"x and z together, {stage}", updates, value)
