"""Total correlation and entropy of one block of samples, in nats, with standard errors.

Both are a closed form of the Gaussian of the same moments and the divergence D[X] from it, by
networks (divergence.py). Theory: arXiv 2409.03817. The entropy of a single column is that of its
spacings.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.coordinates import gaussian, spacings
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.estimation.assembly import Information, assemble
from diffenc.information.quantities.measures import effective_examples
from diffenc.information.samples.checks import check
from diffenc.information.samples.functions import check_no_function_within
from diffenc.information.settings import DEFAULTS, Settings, Show, silent
from diffenc.information.training.divergence import Divergence, divergence
from diffenc.information.training.halves import check_halves, make_halves, split
from diffenc.keys import generator, split_key


def total_correlation(
    key: jax.Array,
    x: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Information:
    """Estimate TC(X) = KL(p(x) || prod_i p(x_i)) of samples.

    It is the total correlation of the Gaussian of the scores, plus D[X]. The scores of single
    coordinates are normal, so there is no D[X_i] to subtract.

    Args:
        key: a key.
        x: [N, dim] with two columns or more.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The total correlation; `conditional` is D[X].

    Raises:
        InputError: for samples that `checks` refuses.
    """
    (x,) = check(x)
    if x.shape[1] < 2:
        raise InputError("x has one column: give two or more, whose total correlation is estimated")
    check_no_function_within(x)
    key_ties, key_split, key_fit = split_key(key, 3)
    x = gaussian.by_rank(x, generator(key_ties))
    mean = 0.0
    pointwise = np.zeros(len(x))
    for column in range(1, x.shape[1]):  # by the chain rule, so that the bias of each step is known
        step = gaussian.gaussian_information(x[:, column : column + 1], x[:, :column], clusters)
        mean = mean + step.mean
        pointwise = pointwise + step.pointwise
    rows = split(key_split, len(x), clusters)
    clusters = None if clusters is None else clusters.at(rows)
    linear_part = GaussianPart(mean, pointwise[rows.ravel()], clusters)
    check_halves({"x": x[rows]})
    halves = make_halves(x[rows], None)
    in_half = settings.for_examples(effective_examples(rows, clusters))
    beyond = divergence(key_fit, halves, in_half, functools.partial(show, "x"), clusters=clusters)
    return assemble(linear_part, rows, x.shape[1], beyond, None)


class Entropy(NamedTuple):
    """An estimate of a differential entropy, and its parts; all in nats.

    Attributes:
        estimate: h(X). Its error holds the sampling and the systematic part in quadrature.
        gaussian: the entropy of the Gaussian of the same moments.
        divergence: D[X], by which that is larger.
        systematic: the part of the error that more examples to evaluate on would not reduce.
        marginal: D[X] by networks; None of a single column by spacings.
        pointwise: [n] noisy estimates of -log p(x) for the examples `rows`; use them in averages.
        rows: [n] which examples these are.
        clusters: of these examples, or None if they are independent.
    """

    estimate: Estimate
    gaussian: Estimate
    divergence: Estimate
    systematic: float
    marginal: Divergence | None
    pointwise: np.ndarray
    rows: np.ndarray
    clusters: Clusters | None = None


def entropy(
    key: jax.Array,
    x: np.ndarray,
    settings: Settings = DEFAULTS,
    show: Show = silent,
    clusters: Clusters | None = None,
) -> Entropy:
    """Estimate the differential entropy h(X) = h(Gaussian of the same moments) - D[X] of samples.

    No coordinate is mapped, because that would change the entropy. That of a single column without
    ties is told by its spacings, see `spacings.entropy`.

    Args:
        key: a key.
        x: [N, dim], of finite variance where dim > 1.
        settings: of all parts of the estimate.
        show: progress callback, called with (stage, updates, value in nats).
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The entropy and its parts.

    Raises:
        InputError: for samples that `checks` refuses.
    """
    (x,) = check(x)
    check_no_function_within(x)
    linear_part = gaussian.gaussian_entropy(x, clusters)
    by_spacings = spacings.entropy(x[:, 0], clusters) if x.shape[1] == 1 else None
    if by_spacings is not None:
        part, doubt = by_spacings
        beyond_part = GaussianPart(
            linear_part.mean - part.mean, linear_part.pointwise - part.pointwise, clusters
        )
        return _of_parts(linear_part, beyond_part, doubt, None, np.arange(len(x)), clusters)
    key_split, key_fit = split_key(key)
    rows = split(key_split, len(x), clusters)
    clusters = None if clusters is None else clusters.at(rows)
    check_halves({"x": x[rows]})
    halves = make_halves(x[rows], None)
    in_half = settings.for_examples(effective_examples(rows, clusters))
    beyond = divergence(key_fit, halves, in_half, functools.partial(show, "x"), clusters=clusters)
    of_rows = GaussianPart(linear_part.mean, linear_part.pointwise[rows.ravel()], clusters)
    beyond_part = GaussianPart(beyond.mean, beyond.pointwise, clusters)
    return _of_parts(of_rows, beyond_part, beyond.systematic, beyond, rows.ravel(), clusters)


def _of_parts(linear_part, beyond: GaussianPart, systematic, marginal, rows, clusters) -> Entropy:
    """Subtract the divergence from the entropy of a Gaussian; errors are those of the examples."""
    pointwise = linear_part.pointwise - beyond.pointwise
    sampling = clustering.estimate(pointwise, clusters).stderr
    return Entropy(
        estimate=Estimate(linear_part.mean - beyond.mean, float(np.hypot(sampling, systematic))),
        gaussian=linear_part.estimate,
        divergence=Estimate(beyond.mean, float(np.hypot(beyond.estimate.stderr, systematic))),
        systematic=systematic,
        marginal=marginal,
        pointwise=pointwise,
        rows=rows,
        clusters=clusters,
    )
