"""Blocks of a few columns that are linear in the other block but for noise with edges."""

import numpy as np
import pytest

from diffenc.information import gaussian, unmixed_noise
from diffenc.information.halves import split
from diffenc.information.pairs import Product, UniformNoise

N = 1_000
TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])


def limit_of(x, y):
    return unmixed_noise.limit(x, y, np.arange(len(x)).reshape(2, -1))


def edges(seed, n=N):
    """y = x + uniform noise in two columns, turned."""
    rng = np.random.default_rng(seed)
    widths = np.array([0.15, 0.4])
    x = rng.random((n, 2))
    y = x + rng.uniform(-1, 1, (n, 2)) * widths
    law = Product(tuple(UniformNoise(width) for width in widths))
    return x @ TURN, y @ TURN.T, law.pointwise(x, y)
