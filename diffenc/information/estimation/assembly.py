"""An information in its several forms, assembled from a regression and two divergences."""

from typing import NamedTuple

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters
from diffenc.information.comparisons.class_mixture import ClassMixture
from diffenc.information.comparisons.neighbours import Neighbours
from diffenc.information.coordinates.gaussian import GaussianPart
from diffenc.information.training.divergence import Divergence

# From this lambda on the noise counts as the finest (see `still_grows`).
FINE = 3.5


class Information(NamedTuple):
    """An estimate of an information, its other forms and its parts; all in nats.

    Attributes:
        estimate: the information. Its error holds the sampling and the systematic part in
            quadrature.
        gaussian: the information of the Gaussian of the same moments.
        regression: the information by a regression on y and its length (`regression.polar`), in
            the coordinates of `flows`.
        shape: the part of `regression` that comes from modelling the length of the residual; 0 if
            it was not used.
        entropy_difference: the estimate with the networks' neural entropies in place of D.
        growth_difference: the estimate with the networks' growth on held-out data in place of D.
            What the networks have overfitted raises the first and lowers the second by as much, so
            that half of their distance enters the errors of both.
        score_difference: 1/2 int sigma^2 E|s(x|y) - s(x)|^2, with both scores at the same noisy x.
            None if x itself differs from a Gaussian or lengths are modelled, since its score is not
            known in these coordinates then, and for conditional information and total correlation.
            Of a single column whose D[X] spacings tell, s(x) is that of a normal column, and this
            D[X] is subtracted.
        pointwise: [n] noisy estimates of log p(x,y)/(p(x)p(y)) for the examples `rows`, by networks
            that were not trained on them, shifted by a constant so that their mean is the estimate.
            Use them in averages, not one by one.
        rows: [n] which examples these are.
        conditional: D[X|Y].
        marginal: D[X], or None if no network was needed.
        regression_density: [strata] density over lambda of the regression of the mean, in the
            strata of the divergences.
        unbounded: whether the information still grows at the finest noise, see `still_grows`. Then
            it is infinite, or the relation is sharper than the samples show.
        diffused: which of the caller's blocks is X: "x" or "y".
        nearest: the information of a few columns by nearest neighbours, see `resolution`; None
            where it is not compared.
        columns: those of x and of y that were used; None is all of them.
        weight: of the neighbours in the estimate: 1 where the networks did not resolve as much.
            Parts and pointwise values are still those of the networks; the latter are shifted.
        unresolved: the standard error for what neither resolves, and for what neighbours miss.
        terms_of: the columns of x and of y of which products or waves show what is unresolved; None
            if neighbours do.
        period: of the cycle of one of these columns by which they do, or 0.
        clusters: of the examples `rows`, or None if they are independent.
        is_blurred: whether ranks of single columns that clump or repeat miss a part of a close
            relation, see `smooth_pairs`.
        is_by_noise: whether the estimate is a limit by noise that does not depend on the other
            block, see `additive_noise`, `unmixed_noise`. Parts are still those of the networks.
        by_all: the information of the Gaussian of all columns, where the estimate is that of some
            and this is significantly larger; else None.
        mixture: the information of labels by laws of the classes; None of other blocks.
        mixture_weight: of the bracket that it gives, see `label_bracket`.
        twin_weight: of a mixture of x and y and its twin in the estimate, see `twin_weight`.
    """

    estimate: Estimate
    gaussian: Estimate
    regression: Estimate
    shape: float
    entropy_difference: Estimate
    growth_difference: Estimate
    score_difference: Estimate | None
    pointwise: np.ndarray
    rows: np.ndarray
    conditional: Divergence
    marginal: Divergence | None
    regression_density: np.ndarray | None
    unbounded: bool
    diffused: str = "x"
    nearest: Neighbours | None = None
    columns: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    weight: float = 0.0
    unresolved: float = 0.0
    terms_of: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    period: float = 0.0
    clusters: Clusters | None = None
    is_blurred: bool = False
    is_by_noise: bool = False
    by_all: Estimate | None = None
    mixture: ClassMixture | None = None
    mixture_weight: float = 0.0
    twin_weight: float = 0.0

    @property
    def neighbours(self) -> Estimate | None:
        """The information of a few columns by nearest neighbours, a lower limit up to its error."""
        return None if self.nearest is None else self.nearest.estimate

    @property
    def is_by_neighbours(self) -> bool:
        """Whether the estimate is that of the neighbours alone."""
        return self.weight == 1.0

    @property
    def errors(self) -> dict[str, float]:
        """The standard error (nats) by source, whose squares add up to that of the estimate.

        `examples` is sampling; `networks` are the systematic errors of both divergences;
        `regression` is that of the regression and of the learned maps, of the laws of classes where
        these weigh, or of a limit by noise; `resolution` is what neighbours and other limits show
        more, or miss.
        """
        if self.nearest is not None and self.is_by_neighbours:
            examples = self.nearest.estimate.stderr
            return {
                "examples": examples,
                "networks": 0.0,
                "regression": 0.0,
                "resolution": self.unresolved,
            }
        examples = clustering.estimate(self.pointwise, self.clusters).stderr
        networks = float(np.linalg.norm(_doubts(self.conditional, self.marginal)))
        networks *= (1 - self.weight) * (1 - self.mixture_weight) * (not self.is_by_noise)
        networks *= 1 - self.twin_weight
        rest = self.estimate.stderr**2 - examples**2 - networks**2 - self.unresolved**2
        return {
            "examples": examples,
            "networks": networks,
            "regression": float(np.sqrt(max(0.0, rest))),
            "resolution": self.unresolved,
        }

    @property
    def systematic(self) -> float:
        """The part of the standard error that more examples to evaluate on would not reduce."""
        errors = self.errors
        return float(np.linalg.norm([errors[s] for s in ("networks", "regression", "resolution")]))


def assemble(
    linear_part: GaussianPart,
    rows: np.ndarray,
    dim: int,
    conditional: Divergence,
    marginal: Divergence | None,
    with_scores: bool = False,
    doubt: float = 0.0,
) -> Information:
    """Add up the parts of an information example by example.

    The spread of the pointwise information is that of the estimate. If D[X] was detected but D[X|Y]
    was not, the full D[X] is added to the systematic error.

    Args:
        linear_part: the information by regression, with the clusters of the rows.
        rows: [2, n] the examples of both halves.
        dim: the largest number of coordinates that the other block can determine.
        conditional: D[X|Y].
        marginal: D[X], or None if X is Gaussian by construction.
        with_scores: whether the score of x is known in these coordinates.
        doubt: the systematic error of the information by regression.

    Returns:
        The information; shape and regression_density are for the caller to fill in.
    """
    share = linear_part.pointwise
    spread = linear_part.estimate.stderr
    mean = conditional.mean
    pointwise = conditional.pointwise
    growth = conditional.kelly_growth
    entropy = conditional.s_nn
    if marginal is not None:
        mean = mean - marginal.mean
        pointwise = pointwise - marginal.pointwise
        growth = growth - marginal.kelly_growth
        entropy = entropy - marginal.s_nn
    systematic = np.linalg.norm([doubt, *_doubts(conditional, marginal)])

    overfit = 0.5 * abs(entropy.mean() - growth.mean())

    def add(mean, values, *doubts):
        sampling = clustering.estimate(share + values, linear_part.clusters).stderr
        stderr = np.linalg.norm([sampling, systematic, *doubts])
        return Estimate(float(linear_part.mean + mean), float(stderr))

    score_difference = None
    if with_scores and (marginal is None or not marginal.updates):
        score_difference = add(conditional.score_gap.mean(), conditional.score_gap)
    return Information(
        estimate=add(mean, pointwise),
        gaussian=linear_part.estimate,
        regression=Estimate(linear_part.mean, float(np.hypot(spread, doubt))),
        shape=0.0,
        entropy_difference=add(entropy.mean(), entropy, overfit),
        growth_difference=add(growth.mean(), growth, overfit),
        score_difference=score_difference,
        pointwise=share + pointwise,
        rows=rows.ravel(),
        conditional=conditional,
        marginal=marginal,
        regression_density=None,
        unbounded=still_grows(conditional, marginal, dim),
        clusters=linear_part.clusters,
    )


def _doubts(conditional: Divergence, marginal: Divergence | None) -> list[float]:
    """Return the systematic errors of an information by its divergences."""
    doubts = [conditional.systematic]
    if marginal is not None:
        doubts.append(marginal.systematic)
        if is_one_sided(marginal, conditional):
            doubts.append(marginal.mean)
    return doubts


def is_one_sided(marginal: Divergence | None, conditional: Divergence) -> bool:
    """Return whether D[X] was detected and D[X|Y] was not.

    Where y says little about x, the two are about equal.
    """
    return marginal is not None and marginal.updates > 0 and not conditional.updates


def still_grows(
    conditional: Divergence,
    marginal: Divergence | None,
    dim: int,
    more: np.ndarray | float = 0.0,
) -> bool:
    """Return whether the information still grows at the finest noise.

    It does if its density in the strata from lambda = 3.5 on exceeds 0.2 nats per unit of lambda
    and coordinate. Coordinates that the other block determines would give 0.5.

    Args:
        conditional: D[X|Y].
        marginal: D[X], or None.
        dim: the number of coordinates.
        more: density [strata] beyond that of the divergences, such as that of flows.

    Returns:
        Whether the limit is exceeded.
    """
    density = more + conditional.density - (0.0 if marginal is None else marginal.density)
    widths = np.diff(conditional.edges)
    fine = conditional.edges[:-1] >= min(FINE, conditional.edges[-2])
    return bool(np.sum((density * widths)[fine]) / np.sum(widths[fine]) > 0.2 * dim)
