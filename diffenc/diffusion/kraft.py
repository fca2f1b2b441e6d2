"""Kraft's test: whether claimed code lengths are those of a code.

Lengths L(x), in nats, of all states of discrete data belong to a code if and only if

    sum_x exp(-L(x)) <= 1                                         (Kraft 1949, McMillan 1956)

A bound on -log P(x) passes, trained or not: its sum is sum_x P(x) exp(-gap). A quantity that has
forgotten a term does not. All states must be counted, so the test is for toys: two pixels of 17
levels, three of five.
"""

import itertools

import numpy as np

from diffenc.estimate import Estimate


def states(size: int, num_dims: int) -> np.ndarray:
    """List all states of `num_dims` numbers with `size` values each [size^num_dims, num_dims]."""
    return np.array(list(itertools.product(range(size), repeat=num_dims)), np.int32)


def kraft_sum(lengths: np.ndarray) -> Estimate:
    """Sum exp(-L) over all states, from independent draws of each L.

    The mean over draws of exp(-L) would be above exp of minus the mean (Jensen), so draws are
    averaged first; what is left of that is taken off to second order.

    Args:
        lengths: draws of L [num_draws, num_states], in nats.

    Returns:
        The sum and its standard error.
    """
    lengths = np.asarray(lengths, np.float64)
    mean = lengths.mean(axis=0)
    variance = lengths.var(axis=0, ddof=1) / len(lengths)
    terms = np.exp(-mean) * (1 - variance / 2)
    return Estimate(float(terms.sum()), float(np.sqrt(np.sum(np.square(terms) * variance))))
