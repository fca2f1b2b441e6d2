"""The information of two discrete variables, from the table of their counts; numpy alone.

The plug-in information of a table is too high by about (rows - 1) (columns - 1) / 2N, and by more
where cells are sparse. Three steps remove this bias. The jackknife removes what falls like 1 / N
(Quenouille 1956; of entropies, Zahl 1977). What it leaves in a sparse table is measured on pairs
that are permuted, which are independent and have the same margins. That null value b is subtracted
in the proportion in which the information is below its limit, as in the adjusted mutual
information of two clusterings (Vinh, Epps & Bailey 2010):

    I = h (I_jackknife - b) / (h - b),      h = min(H(X), H(Y)),

which is 0 on average for independent variables and h where one determines the other.
"""

from typing import NamedTuple

import numpy as np

from diffenc.errors import InputError
from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.clusters import Clusters

PERMUTATIONS = 32
# Largest null value, as a share of the limit h, with which a table tells anything.
MOST_NULL = 0.8


class CountTable(NamedTuple):
    """An estimate of the information of two discrete variables; all in nats.

    Attributes:
        estimate: the information. Its error holds the sampling and the systematic part in
            quadrature.
        plug_in: the information of the table as it is, with its bias.
        null: b, the mean of the jackknife over permuted pairs.
        pointwise: [N] log p(x,y) / (p(x) p(y)) of the table for every example, shifted and scaled
            so that their mean is the estimate. Use them in averages, not one by one.
        sampling: the part of the standard error that falls like N^-1/2.
        systematic: the part of the standard error by the corrections of the bias.
        counts: [codes of x, codes of y] the table.
    """

    estimate: Estimate
    plug_in: float
    null: float
    pointwise: np.ndarray
    sampling: float
    systematic: float
    counts: np.ndarray

    @property
    def errors(self) -> dict[str, float]:
        """The standard error (nats) by source, whose squares add up to that of the estimate."""
        return {"examples": self.sampling, "table": self.systematic}


def table_information(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, clusters: Clusters | None = None
) -> CountTable:
    """Estimate I(X;Y) of codes.

    The sampling error is that of the pointwise information (the delta method), or the scatter of
    the null values where that is larger: without information the pointwise one has no scatter, to
    first order. The systematic error is half of what was subtracted beyond the jackknife, and half
    the distance of the jackknife from the correction of Miller & Madow (1955), in quadrature. If
    rows depend on each other, the bias is that of the effective number of rows.

    Args:
        rng: draws the permutations.
        x: integers [N].
        y: integers [N].
        clusters: of the rows [N], or None if they are independent.

    Returns:
        The information.

    Raises:
        InputError: x or y is constant, or the table has so many cells for its examples that
            independent pairs look as if one determined the other.
    """
    x = np.unique(x, return_inverse=True)[1]
    y = np.unique(y, return_inverse=True)[1]
    counts = _count(x, y)
    for name, codes in zip("xy", counts.shape, strict=True):
        if codes < 2:
            raise InputError(f"{name} is constant: it has no information, give samples that vary")
    inflation = clustering.inflation_of(clusters)
    tables = [_count(x, rng.permutation(y)) for _ in range(PERMUTATIONS)]
    of_pairs = [_jackknife(table) for table in tables]
    of_plug_in = [_by_entropies(plug_in_entropy, table) for table in tables]
    null = float(np.mean(of_pairs) + (inflation - 1) * np.mean(of_plug_in))
    limit = min(_jackknife_entropy(counts.sum(axis=axis)) for axis in (0, 1))
    if null > MOST_NULL * limit:
        raise InputError(
            f"x and y have {counts.shape[0]} and {counts.shape[1]} codes in {len(x)} rows: "
            "give more rows, or put rare codes together"
        )
    corrected = _jackknife(counts)
    scale = limit / (limit - null)
    mean = scale * (corrected - null)
    density = np.log(counts[x, y] * len(x) / (counts.sum(axis=1)[x] * counts.sum(axis=0)[y]))
    pointwise = mean + scale * (density - density.mean())
    of_nulls = inflation * np.std(of_pairs, ddof=1)
    by_examples = clustering.estimate(pointwise, clusters).stderr
    sampling = max(by_examples, float(scale * of_nulls))
    sampling = float(np.hypot(sampling, scale * of_nulls / PERMUTATIONS**0.5))
    systematic = float(np.hypot(mean - corrected, _miller_madow(counts) - corrected) / 2)
    return CountTable(
        estimate=Estimate(float(mean), float(np.hypot(sampling, systematic))),
        plug_in=float(density.mean()),
        null=null,
        pointwise=pointwise,
        sampling=sampling,
        systematic=systematic,
        counts=counts,
    )


def _count(x, y):
    """Return the table of codes 0, 1, ... [N]."""
    shape = (x.max() + 1, y.max() + 1)
    return np.bincount(np.ravel_multi_index((x, y), shape), minlength=np.prod(shape)).reshape(shape)


def _by_entropies(entropy, counts) -> float:
    return entropy(counts.sum(axis=1)) + entropy(counts.sum(axis=0)) - entropy(counts.ravel())


def _jackknife(counts) -> float:
    return _by_entropies(_jackknife_entropy, counts)


def _miller_madow(counts) -> float:
    return _by_entropies(_miller_madow_entropy, counts)


def plug_in_entropy(counts: np.ndarray) -> float:
    """Compute the entropy of counts [K]."""
    return float(np.log(counts.sum()) - np.sum(_n_log_n(counts)) / counts.sum())


def _miller_madow_entropy(counts) -> float:
    return plug_in_entropy(counts) + (np.count_nonzero(counts) - 1) / (2 * counts.sum())


def _jackknife_entropy(counts) -> float:
    """Return N H - (N - 1) mean of the H of all but one example, in closed form."""
    n = counts.sum()
    total = np.sum(_n_log_n(counts))
    without_one = total - _n_log_n(counts) + _n_log_n(np.maximum(counts - 1, 0))
    mean = np.sum(counts * (np.log(n - 1) - without_one / (n - 1))) / n
    return float(n * plug_in_entropy(counts) - (n - 1) * mean)


def _n_log_n(counts):
    return counts * np.log(np.maximum(counts, 1))
