"""The information of labels between the two limits that laws of the classes give.

By `class_mixture` it lies between I_m and I_m + D[X|L], and below the entropy of the labels. The
networks find it as I_reg + D[X|L] - D[X], which is too high by what they miss of D[X]: in many
columns all of it, though x is far from normal if its classes are apart.
"""

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.comparisons.class_mixture import ClassMixture
from diffenc.information.estimation.assembly import Information

# Standard errors by which the estimate of the networks may leave the bracket.
LEAVES = 2.0


def weigh(result: Information, mixture: ClassMixture) -> Information:
    """Weigh the estimate of the networks and the bracket by their systematic errors.

    The bracket is its middle, with half of its width in the error. An estimate of the networks that
    leaves it by LEAVES standard errors counts for nothing. Nor does one where posteriors tell more
    than the upper end: networks missed a part of D[X|L] then, and the bracket ends at the entropy.
    Both share the error of D[X|L], of which the bracket has no more than the entropy leaves above
    its upper end.

    Args:
        result: the estimate of the networks.
        mixture: I_m, with the values of the rows of `result`.

    Returns:
        The estimate, at most the entropy of the labels; `mixture` and `mixture_weight` say what was
        done.
    """
    # D[X|L] of laws that differ in their means: what lengths explain is beyond these.
    beyond = max(0.0, result.conditional.mean + result.shape)
    doubt = result.conditional.systematic
    upper = mixture.by_means + beyond
    if mixture.gain > 0:
        # What covariances explain of D[X|L] networks need not find.
        left = beyond - mixture.gain
        if mixture.by_shapes + max(0.0, left) < upper:
            upper = mixture.by_shapes + max(0.0, left)
            doubt = max(0.0, doubt + min(0.0, left))
    is_missed = bool(mixture.posterior) and mixture.mean > upper
    if is_missed:
        upper = mixture.entropy  # networks missed a part of D[X|L], and nobody knows how much
    upper = max(mixture.mean, min(upper, mixture.entropy))
    half = (upper - mixture.mean) / 2
    own = float(np.hypot(mixture.systematic, half))
    shared = min(doubt, max(0.0, mixture.entropy - upper))
    of_networks = result.systematic
    gap = mixture.mean + half - result.estimate.mean
    differences = mixture.pointwise - result.pointwise
    sampling = clustering.estimate(differences, result.clusters).stderr
    reach = half + LEAVES * np.linalg.norm((of_networks, mixture.systematic, sampling))
    weight = 1.0
    if abs(gap) <= reach and not is_missed:
        weight = of_networks**2 / max(of_networks**2 + own**2 + shared**2, 1e-300)
    mean = min(result.estimate.mean + weight * gap, mixture.entropy)
    pointwise = result.pointwise + weight * differences
    examples = clustering.estimate(pointwise, result.clusters).stderr
    networks = np.sqrt(max(0.0, of_networks**2 - result.conditional.systematic**2))
    doubts = (
        (1 - weight) * networks,
        weight * own,
        (1 - weight) * result.conditional.systematic + weight * shared,
    )
    stderr = float(np.linalg.norm((examples, *doubts)))
    return result._replace(
        estimate=Estimate(float(mean), stderr),
        pointwise=pointwise + mean - pointwise.mean(),
        mixture=mixture,
        mixture_weight=float(weight),
    )
