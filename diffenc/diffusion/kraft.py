"""Kraft's test: whether claimed code lengths are those of a code.

Lengths L(x), in nats, of all states of discrete data belong to a code if and only if

    sum_x exp(-L(x)) <= 1                                         (Kraft 1949, McMillan 1956)

A bound L(x) >= -log P(x) passes for any law P, trained or not: its sum is sum_x P(x) exp(-gap(x)).
A quantity that has forgotten a term need not. All states must be counted, so the test is for toys:
two pixels of 17 levels, three of five.

    x = kraft.states(17, 2)
    lengths = [likelihood.discrete_terms(key, denoiser, ..., x, levels, 64).total for key in keys]
    kraft.kraft_sum(lengths)
"""

import itertools

import numpy as np

from diffenc.errors import check
from diffenc.estimate import Estimate


def states(size: int, num_dims: int) -> np.ndarray:
    """List all states of `num_dims` numbers with `size` values each [size^num_dims, num_dims]."""
    return np.array(list(itertools.product(range(size), repeat=num_dims)), np.int32)


def kraft_sum(lengths: np.ndarray) -> Estimate:
    """Sum exp(-L) over all states, from independent draws of each L.

    Draws are averaged before the exponential, because the mean of exp(-L) is above exp(-mean of L)
    (Jensen). The error of the average has the same effect, which is taken off to second order; the
    variance of each average should therefore be well below 1.

    Args:
        lengths: draws of L [num_draws, num_states], in nats; two draws or more.

    Returns:
        The sum and its standard error.

    Raises:
        InputError: if the lengths have another shape.
    """
    lengths = np.asarray(lengths, np.float64)
    holds = lengths.ndim == 2 and len(lengths) >= 2
    check(holds, "the shape of lengths", lengths.shape, "give two draws or more for every state")
    mean = lengths.mean(axis=0)
    variance = lengths.var(axis=0, ddof=1) / len(lengths)
    terms = np.exp(-mean) * (1 - variance / 2)
    return Estimate(float(terms.sum()), float(np.sqrt(np.sum(np.square(terms) * variance))))
