"""An estimate of networks and neighbours, weighed with that of a mixture and its twin."""

import numpy as np

from diffenc.estimate import Estimate
from diffenc.information.comparisons import twin
from diffenc.information.estimation.assembly import Information

# Standard errors by which the two may differ.
AGREE = 2.0


def weigh(
    result: Information, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> Information:
    """Weigh an estimate and that of a twin of its columns by their systematic errors.

    A twin is made only where the estimate is less sure than `twin.threshold`. The estimate stays
    where the twin is not surer, or where they differ by more than AGREE of these errors: then
    networks see what mixtures do not. What terms or cycles show beyond the estimate stays in the
    error, less what the twin adds.

    Args:
        result: the estimate.
        x: independent rows [N, dim_x] in random order.
        y: [N, dim_y].
        rng: of the twin.

    Returns:
        The estimate; `twin_weight` says what was done.
    """
    if result.columns is not None:
        x = x[:, result.columns[0]]
        y = y[:, result.columns[1]]
    is_small = x.shape[1] + y.shape[1] <= twin.MOST_COLUMNS
    own = result.systematic
    if not is_small or result.by_all is not None or own <= twin.threshold(len(x)):
        return result
    other = twin.estimate(rng, x, y)
    gap = other.mean - result.estimate.mean
    if other.systematic > own or abs(gap) > AGREE * np.hypot(own, other.systematic):
        return result
    weight = own**2 / (own**2 + other.systematic**2)
    mean = result.estimate.mean + weight * gap
    rest = 0.0 if result.terms_of is None else max(0.0, result.unresolved - weight * gap)
    doubts = ((1 - weight) * own, weight * other.systematic, rest)
    stderr = float(np.linalg.norm((result.errors["examples"], *doubts)))
    return result._replace(
        estimate=Estimate(float(mean), stderr),
        pointwise=result.pointwise + mean - result.estimate.mean,
        unresolved=float(
            np.linalg.norm(((1 - weight) * result.unresolved, weight * other.systematic, rest))
        ),
        twin_weight=float(weight),
    )
