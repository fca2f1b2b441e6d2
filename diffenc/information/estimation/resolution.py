"""What an estimate did not resolve, as nearest neighbours, terms, parities and cycles tell.

Information of some columns is never more than that of all (data processing). So where nearest
neighbours of a few columns show more than the estimate of all of them, the estimate is too low:
many columns hide the few that tell something, or the relation is finer than networks resolve.
Where two or three columns tell only together, no neighbours of a pair show it, but a regression on
their product does (terms.py), whose information is a lower limit, too.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import entr, ndtri

from diffenc.estimate import Estimate
from diffenc.information import clusters as clustering
from diffenc.information.comparisons import cycles, label_neighbours, neighbours, parities, terms
from diffenc.information.comparisons.neighbours import Neighbours
from diffenc.information.estimation.assembly import Information

# Standard errors by which the neighbours' information must be larger: to doubt the estimate, and
# to look for a better one. That of neighbours of numbers is a fifth too small.
DOUBTED = 2.5
CONTRADICTED = 3.5
# Standard errors by which neighbours may show less than networks and still agree with them.
AGREE = 2.0
# Standard errors by which the estimate of some columns must be larger than that of all.
LARGER = 1.0
# Standard errors by which terms must gain on rows that did not choose them.
GAINED = 3.0
# Columns of a parity at least: of fewer there are products, see `terms`.
FEWEST_OF_PARITY = 4
Columns = tuple[tuple[int, ...], tuple[int, ...]]


class Set(NamedTuple):
    """Columns of both blocks that tell together, and a lower limit of the information.

    Attributes:
        columns: those of x and of y.
        limit: what they show (nats); it holds up to its error.
        period: of the cycle of a column by which they do, or 0.
    """

    columns: Columns
    limit: Estimate
    period: float = 0.0


class Comparison(NamedTuple):
    """What an estimate is compared with; `of_numbers` and `of_labels` make it.

    Attributes:
        dims: columns of x and of y.
        nearest: nearest(columns) is the information of columns of x and of y by neighbours; of None
            those that tell the most.
        telling: the columns of x and of y that by themselves depend on the other block.
        sets: columns that tell together, with lower limits.
        most: what the information cannot exceed (nats).
    """

    dims: tuple[int, int]
    nearest: Callable[[Columns | None], Neighbours]
    telling: tuple[list[int], list[int]]
    sets: list[Set]
    most: float


def of_numbers(x: np.ndarray, y: np.ndarray, values_x=None, values_y=None) -> Comparison:
    """Compare scores x [N, dim_x] and y [N, dim_y], rows in random order.

    `values_x` and `values_y` are what the scores are of, as ties of bits are broken at random; by
    default the scores.
    """

    def nearest(columns):
        if columns is None:
            return neighbours.strongest(x, y)
        of_x, of_y = columns
        return _renamed(neighbours.strongest(x[:, of_x], y[:, of_y]), columns)

    return Comparison(
        dims=(x.shape[1], y.shape[1]),
        nearest=nearest,
        telling=telling(x, y),
        sets=sets_of(
            x, y, x if values_x is None else values_x, y if values_y is None else values_y
        ),
        most=np.inf,
    )


def of_labels(x: np.ndarray, labels: np.ndarray, values: np.ndarray | None = None) -> Comparison:
    """Compare scores x [N, dim_x] and labels [N] from 0, rows in random order.

    `values` are what the scores are of, see `of_numbers`.
    """

    def nearest(columns):
        if columns is None:
            return label_neighbours.strongest(x, labels)
        return _renamed(label_neighbours.strongest(x[:, columns[0]], labels), columns)

    shares = np.bincount(labels) / len(labels)
    parity = parities.of_labels(x if values is None else values, labels)
    sets = [] if parity is None else [Set((parity[0], (0,)), parity[1])]
    cycle = None if values is None else cycles.of_labels(values, labels)
    if cycle is not None:
        sets.append(Set(((cycle.column,), (0,)), cycle.information, cycle.period))
    return Comparison(
        dims=(x.shape[1], 1),
        nearest=nearest,
        telling=(label_neighbours.telling(x, labels), [0]),
        sets=[one for one in sets if one.limit.mean > GAINED * one.limit.stderr],
        most=float(entr(shares).sum()),
    )


def _renamed(near: Neighbours, columns: Columns) -> Neighbours:
    """Return neighbours of some columns with their places among all."""
    of_x, of_y = [
        tuple(block[place] for place in places)
        for block, places in zip(columns, near.columns, strict=True)
    ]
    return near._replace(columns=(of_x, of_y))


def resolve(
    result: Information,
    compared: Comparison,
    estimate_again: Callable[[list[int], list[int]], Information],
) -> Information:
    """Compare an estimate with neighbours and other limits, and mend it if they contradict it.

    Where neighbours or columns that tell together show more by CONTRADICTED standard errors, or
    where at most half of the columns by themselves depend on one of the other block, these columns
    are estimated alone. That estimate is returned if it is larger by LARGER standard errors, see
    `gain_of`. If neighbours show still more by CONTRADICTED, the estimate is theirs, with what they
    miss. Where neighbours of the columns that were estimated are surer than the networks, the
    estimate is the weighted mean. A difference of DOUBTED standard errors or more that is left goes
    into the error.

    Args:
        result: the estimate of all columns.
        compared: what it is compared with.
        estimate_again: estimate_again(columns of x, columns of y) is that of these alone.

    Returns:
        The estimate with `nearest`; `columns` and `weight` say what was done.
    """
    near = compared.nearest(None)
    is_contradicted = _excess(near.estimate, result) > CONTRADICTED
    has_more = any(_excess(one.limit, result) > CONTRADICTED for one in compared.sets)
    parts = [compared.telling, *(one.columns for one in compared.sets)]
    parts += [near.columns] if is_contradicted else []
    columns_x, columns_y = [sorted(set().union(*some)) for some in zip(*parts, strict=True)]
    count = len(columns_x) + len(columns_y)
    are_few = columns_x and columns_y and count <= sum(compared.dims) / 2
    if (is_contradicted or has_more or are_few) and count < sum(compared.dims):
        columns = tuple(columns_x), tuple(columns_y)
        some = estimate_again(columns_x, columns_y)
        gain = gain_of(result, some)
        if gain.mean > LARGER * gain.stderr:
            result = _with_rest(some._replace(columns=columns), result)
        near = max(near, compared.nearest(columns), key=lambda one: one.estimate.mean)
    result = result._replace(nearest=near)
    of_all = tuple(tuple(range(dim)) for dim in compared.dims)
    if _excess(near.estimate, result) > CONTRADICTED:
        result = _weigh(result, near, 1.0, compared.most)
    elif near.columns == (result.columns or of_all) and result.by_all is None:
        result = _with_neighbours(result, near, compared.most)
    own = [] if result.is_by_neighbours else [Set(near.columns, near.estimate)]
    limits = [*own, *compared.sets]
    largest = max(limits, key=lambda one: _excess(one.limit, result), default=None)
    if largest is None or _excess(largest.limit, result) <= DOUBTED:
        return result
    gap = largest.limit.mean - result.estimate.mean
    stderr = float(np.hypot(result.estimate.stderr, gap))
    return result._replace(
        estimate=Estimate(result.estimate.mean, stderr),
        unresolved=float(np.hypot(result.unresolved, gap)),
        terms_of=None if largest in own else largest.columns,
        period=largest.period,
    )


def _with_rest(some: Information, of_all: Information) -> Information:
    """Return the estimate of some columns; its error holds what a regression of all shows more.

    Beside labels a regression may show too much, see `label_bracket`.
    """
    if of_all.mixture is not None:
        return some
    gap = of_all.gaussian.mean - some.estimate.mean
    if gap <= DOUBTED * np.hypot(of_all.gaussian.stderr, some.errors["examples"]):
        return some
    return some._replace(
        estimate=Estimate(some.estimate.mean, float(np.hypot(some.estimate.stderr, gap))),
        unresolved=float(np.hypot(some.unresolved, gap)),
        by_all=of_all.gaussian,
    )


def gain_of(result: Information, some: Information) -> Estimate:
    """Return by how much the estimate of some columns is larger than that of all.

    Its error is that of the examples' differences and the systematic error of some columns'.
    """
    by_example = dict(zip(some.rows.tolist(), some.pointwise.tolist(), strict=True))
    common = np.array([row in by_example for row in result.rows.tolist()])
    gains = np.full(len(result.rows), some.estimate.mean - result.estimate.mean)
    others = np.array([by_example[row] for row in result.rows[common].tolist()])
    gains[common] = others - result.pointwise[common]
    sampling = clustering.estimate(gains, result.clusters).stderr
    stderr = float(np.hypot(sampling, some.systematic))
    return Estimate(some.estimate.mean - result.estimate.mean, stderr)


def _with_neighbours(result: Information, near: Neighbours, most: float) -> Information:
    """Weigh an estimate and that of neighbours of its columns by their systematic errors.

    What neighbours show more, by DOUBTED standard errors, is an error of the networks. The estimate
    stays where the networks are surer, or where neighbours show less by AGREE standard errors.
    """
    gap = near.estimate.mean - result.estimate.mean
    doubt = gap if _excess(near.estimate, result) > DOUBTED else 0.0
    of_networks = np.hypot(result.systematic, doubt)
    of_near = near.missing.stderr
    is_less = gap + near.missing.mean < -AGREE * np.hypot(of_networks, of_near)
    if of_near > of_networks or is_less:
        return result
    weight = float(of_networks**2 / (of_networks**2 + of_near**2))
    return _weigh(result, near, weight, most, doubt)


def _weigh(result: Information, near: Neighbours, weight, most, doubt=0.0) -> Information:
    """Return the weighted mean of an estimate and that of its neighbours, with what these miss.

    `doubt` is a further error of the networks.
    """
    by_near = min(near.estimate.mean + near.missing.mean, most)
    mean = result.estimate.mean + weight * (by_near - result.estimate.mean)
    rest = 0.0 if result.by_all is None else max(0.0, result.by_all.mean - mean)
    doubts = [weight * near.missing.stderr, (1 - weight) * doubt, rest]
    unresolved = float(np.linalg.norm(doubts))
    examples = near.estimate.stderr if weight == 1.0 else result.errors["examples"]
    stderr = float(np.linalg.norm([examples, (1 - weight) * result.systematic, unresolved]))
    return result._replace(
        estimate=Estimate(mean, stderr),
        pointwise=result.pointwise + mean - result.estimate.mean,
        weight=weight,
        unresolved=unresolved,
        is_by_noise=result.is_by_noise and weight < 1.0,
    )


def sets_of(x, y, values_x=None, values_y=None) -> list[Set]:
    """Return columns of both blocks that tell together, by terms, parities and cycles of both.

    Few columns are compared whole by their neighbours, and need no terms.
    """
    are_few = x.shape[1] + y.shape[1] <= neighbours.FEW_COLUMNS
    sets = []
    for block, values, other, is_exchanged in ((x, values_x, y, False), (y, values_y, x, True)):
        cycle = cycles.of_target(block if values is None else values, other)
        if cycle is not None and cycle.information.mean > GAINED * cycle.information.stderr:
            places = (cycle.column,), (cycle.target,)
            columns = places[::-1] if is_exchanged else places
            sets.append(Set(columns, cycle.information, cycle.period))
        if are_few:
            continue
        some = []
        found = terms.search(block, other)
        if found is not None and found.gain.mean > GAINED * found.gain.stderr:
            some.append(((found.columns, (found.target,)), found.information))
        parity = parities.of_target(block if values is None else values, other, FEWEST_OF_PARITY)
        if parity is not None and parity[2].mean > GAINED * parity[2].stderr:
            some.append(((parity[0], (parity[1],)), parity[2]))
        sets += [Set(places[::-1] if is_exchanged else places, limit) for places, limit in some]
    return sets


def _excess(limit: Estimate, result: Information) -> float:
    """Give by how many standard errors a lower limit exceeds the estimate.

    These are the errors of sampling: an estimate that doubts itself is contradicted no less.
    """
    gap = limit.mean - result.estimate.mean
    return gap / float(np.hypot(limit.stderr, result.errors["examples"]))


def telling(x: np.ndarray, y: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the columns of x and of y that depend on one of the other block.

    The limit is what the largest coefficient of independent columns exceeds by `neighbours.CHANCE`.
    Of those of `neighbours.screen`, Chatterjee's scatter most: they are normal of variance 2 / 5N.
    """
    x = x[: neighbours.CHOOSING_ROWS]
    y = y[: neighbours.CHOOSING_ROWS]
    strength = neighbours.screen(x, y)
    limit = (2 / 5 / len(x)) ** 0.5 * -ndtri(neighbours.CHANCE / (2 * strength.size))
    tells = strength > limit
    return np.flatnonzero(tells.any(axis=1)).tolist(), np.flatnonzero(tells.any(axis=0)).tolist()
