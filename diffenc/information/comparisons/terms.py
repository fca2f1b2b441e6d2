"""Terms of a block that tell of a column, and that no regression on single columns has.

    t = linear(x) + sum_k c_k f_k(x) + rest,      f_k: a wave of one column, or a product of several

A product of two or three columns among many, of which none tells anything alone, drowns in a
network that sees all columns; so does a wave of many periods. Terms are chosen one after the other
on one half of the rows, by the correlation with what the ones before have left, and judged on the
other half. Where t is normal, the information of x and t is at least

    -1/2 log(E rest^2 / E t^2)

by any function of x, since a normal law has the largest entropy of its variance.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from diffenc.estimate import Estimate

# Waves of a column have up to so many periods over its ranks.
PERIODS = 16
# Blocks of more columns have no products of three, or of two.
MOST_FOR_TRIPLES = 50
MOST_FOR_PAIRS = 200
# Terms of a column at most.
MOST_TERMS = 8
# Rows at most by which terms are chosen.
CHOOSING_ROWS = 2_000
# Targets at most.
MOST_TARGETS = 10
# Chance that a term is chosen of columns that tell nothing; it still has to pass the other half.
CHANCE = 0.01


class Wave(NamedTuple):
    """A wave of one column over its ranks u in [0, 1]: sin or cos of 2 pi periods u."""

    column: int
    periods: int
    is_sine: bool

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of the block that the term is a function of."""
        return (self.column,)

    def of(self, x: np.ndarray) -> np.ndarray:
        """Compute the term [N] of normal scores x [N, dim]."""
        angle = 2 * np.pi * self.periods * ndtr(x[:, self.column])
        return np.sqrt(2) * (np.sin(angle) if self.is_sine else np.cos(angle))


class Product(NamedTuple):
    """A product of the ranks of two or three columns, from -1 to 1."""

    columns: tuple[int, ...]

    def of(self, x: np.ndarray) -> np.ndarray:
        """Compute the term [N] of normal scores x [N, dim]."""
        return np.prod(ranks(x[:, list(self.columns)]), axis=1)


class Terms(NamedTuple):
    """Terms of a block that tell of a target, and how much.

    Attributes:
        terms: of the block.
        target: the column that they tell of.
        gain: what they add to a regression on single columns, on rows that did not choose them.
        information: what both tell together, on the same rows: a lower limit up to its error.
    """

    terms: tuple[Wave | Product, ...]
    target: int
    gain: Estimate
    information: Estimate

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of the block that the terms are functions of."""
        return tuple(sorted({column for term in self.terms for column in term.columns}))


def ranks(x: np.ndarray) -> np.ndarray:
    """Compute the ranks of normal scores, as numbers of variance 1 and from -3^1/2 to 3^1/2."""
    return np.sqrt(3) * (2 * ndtr(x) - 1)


def search(x: np.ndarray, targets: np.ndarray) -> Terms | None:
    """Search terms of x that tell of a target.

    Args:
        x: normal scores [N, dim]; rows in random order.
        targets: normal scores [N, k], of which the first `MOST_TARGETS` are tried.

    Returns:
        Those of the target of which most is found; None if no term is beyond chance, or for more
        columns than `MOST_FOR_PAIRS` or an eighth of the rows.
    """
    half = len(x) // 2
    chosen_by = min(half, CHOOSING_ROWS)
    if x.shape[1] > min(MOST_FOR_PAIRS, chosen_by // 4):
        return None  # too many for the rows, or for the memory
    by = _Candidates(x[:chosen_by])
    best: tuple[tuple[Wave | Product, ...], int] | None = None
    largest = 0.0
    for target in range(min(targets.shape[1], MOST_TARGETS)):
        terms, found = by.choose(targets[:chosen_by, target])
        if found > largest:
            best = terms, target
            largest = found
    if best is None:
        return None
    terms, target = best
    gain, information = _judge(x, targets[:, target], terms, half)
    return Terms(terms, target, gain, information)


def plain(x: np.ndarray) -> np.ndarray:
    """Make the regressors that terms have to add to: one, the columns, and their squares."""
    return np.concatenate([np.ones((len(x), 1)), x, ranks(x) ** 2], axis=1)


class _Candidates:
    """All terms of the rows x [n, dim], from which those of a target are chosen."""

    def __init__(self, x):
        design = plain(x)
        is_long = design.shape[1] <= len(x) / 4
        self.x = x
        self.design = design if is_long else design[:, : 1 + x.shape[1]]
        self.waves = _waves(x)
        self.ranks = ranks(x)
        count = self.waves.shape[1] + _count_products(x.shape[1])
        self.limit = np.sqrt(2 * np.log(count / CHANCE) / len(x))

    def choose(self, target) -> tuple[tuple[Wave | Product, ...], float]:
        """Choose terms; also give the information that they add on these rows."""
        terms: tuple[Wave | Product, ...] = ()
        design = self.design
        rest = _rest(design, target)
        before = np.mean(np.square(rest))
        for _ in range(MOST_TERMS):
            term, size = _strongest(self.waves, self.ranks, rest / rest.std())
            if size < self.limit or term in terms:
                break
            terms = (*terms, term)
            design = np.concatenate([design, term.of(self.x)[:, None]], axis=1)
            rest = _rest(design, target)
        return terms, float(0.5 * np.log(before / np.mean(np.square(rest))))


def _rest(design, target) -> np.ndarray:
    return target - design @ np.linalg.lstsq(design, target)[0]


def _waves(x) -> np.ndarray:
    """Return all waves [n, dim * 2 * PERIODS] of the columns."""
    return np.stack([wave.of(x) for wave in _all_waves(x.shape[1])], axis=1)


def _all_waves(dim) -> list[Wave]:
    return [
        Wave(*place)
        for place in itertools.product(range(dim), range(1, PERIODS + 1), (True, False))
    ]


def _count_products(dim) -> int:
    pairs = dim * (dim - 1) // 2
    triples = pairs * (dim - 2) // 3
    return pairs * (dim <= MOST_FOR_PAIRS) + triples * (dim <= MOST_FOR_TRIPLES)


def _strongest(waves, of_ranks, rest) -> tuple[Wave | Product, float]:
    """Return the term that is correlated most with white `rest` [n], and the size of that."""
    n, dim = of_ranks.shape
    sizes = np.abs(rest @ waves) / n
    place = int(sizes.argmax())
    candidates: list[tuple[float, Wave | Product]] = [(sizes[place], _all_waves(dim)[place])]
    weighed = of_ranks * rest[:, None]
    if 1 < dim <= MOST_FOR_PAIRS:
        sizes = np.triu(np.abs(weighed.T @ of_ranks) / n, 1)
        candidates.append((sizes.max(), _product(sizes)))
    if 2 < dim <= MOST_FOR_TRIPLES:
        for first in range(dim - 2):
            after = of_ranks[:, first + 1 :]
            products = after.T @ (weighed[:, first, None] * after)
            sizes = np.triu(np.abs(products) / n, 1)
            others = np.unravel_index(sizes.argmax(), sizes.shape)
            columns = (first, *(int(first + 1 + other) for other in others))
            candidates.append((sizes.max(), Product(columns)))
    size, term = max(candidates, key=lambda one: one[0])
    return term, float(size)


def _product(sizes) -> Product:
    return Product(tuple(int(place) for place in np.unravel_index(sizes.argmax(), sizes.shape)))


def _judge(x, target, terms, half) -> tuple[Estimate, Estimate]:
    """Fit the regression with and without the terms on one half, and evaluate both on the other."""
    without = plain(x) if x.shape[1] < half / 8 else plain(x)[:, : 1 + x.shape[1]]
    both = np.concatenate([without, *(term.of(x)[:, None] for term in terms)], axis=1)
    losses = [np.square(target[half:]) / np.mean(np.square(target[half:]))]
    logs = [np.log(np.mean(np.square(target[half:])))]
    for design in (without, both):
        coefficients = np.linalg.lstsq(design[:half], target[:half])[0]
        square = np.square(target[half:] - design[half:] @ coefficients)
        losses.append(square / square.mean())
        logs.append(np.log(square.mean()))

    def between(first, second):
        values = 0.5 * (losses[first] - losses[second] + logs[first] - logs[second])
        return Estimate.of(values)

    return between(1, 2), between(0, 2)
