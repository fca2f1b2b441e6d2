"""Forty tasks beyond the forty of `tasks`: other kinds, other numbers, unequal dimensions.

They come in twenty kinds of two tasks each. Settings are chosen on the first of every kind
(`CHOOSE`); the second of every kind (`REPORT`) is for one report at the end. No two of a kind are
equal, so that what suits the first need not suit the second.
"""

import jax
import numpy as np
from scipy.special import chdtri, ndtr, ndtri

from diffenc.information.benchmark.laws import (
    EXPONENTIAL,
    LAPLACE,
    Law,
    VonMises,
    channel,
    choice,
    clayton,
    frank,
    gaussian_mixture,
    gumbel,
)
from diffenc.information.benchmark.pairs import (
    GaussianPair,
    Mapped,
    Product,
    StudentPair,
    UniformNoise,
    dense,
    linear_channel,
    sparse,
)
from diffenc.information.benchmark.tasks import bimodal, spiral

# By kind: the task for choosing and the task for the report.
KINDS = {
    "pieces in the plane": ("pieces_11_1x1", "board_10_1x1"),
    "pieces in space": ("pieces_12_2x2", "pieces_20_3x2"),
    "an edge": ("uniform_noise_0.07", "uniform_noise_0.2"),
    "edges": ("edges_2x2", "edges_3x3"),
    "noise of uneven size": ("volatility_1x1", "volatility_3x1"),
    "several relations": ("signs_2x2", "shifts_1x1"),
    "parity": ("xor_2x1", "checker_3x1"),
    "curves": ("ring_1x1", "knot_2x1"),
    "spirals": ("spiral_4x3", "spiral_2x2"),
    "angles": ("circle_2x2", "torus_3x3"),
    "margins": ("margins_3x2", "margins_4x4"),
    "elliptical": ("student_4x2_dof1.5", "scales_3x3"),
    "Gaussian": ("dense_100x2", "channel_40x12"),
    "one column of many": ("column_15x1", "column_25x1"),
    "laws of noise": ("laplace_noise_1x1", "lognormal_1x1"),
    "hidden chains": ("chain_3x3", "chain_2x2"),
    "functions of many columns": ("squares_6x1", "largest_10x1"),
    "choices": ("choice_3x1", "choice_2x1"),
    "copulas": ("clayton_1x1", "copulas_2x2"),
    "functions": ("sine_1x1", "parabola_1x1"),
}
CHOOSE = tuple(first for first, _ in KINDS.values())
REPORT = tuple(second for _, second in KINDS.values())


def beyond() -> dict[str, Law | Product | GaussianPair | StudentPair | UniformNoise | Mapped]:
    """Make the forty tasks, by name."""
    return _pieces() | _edges() | _channels() | _relations() | _rotations() | _margins()


def _pieces():
    """Make mixtures of many separated pieces."""
    places = np.stack([np.arange(11), np.array([4, 9, 1, 6, 0, 10, 7, 3, 8, 2, 5])], axis=1)
    cells = [(row, (2 * row + step) % 5) for row in range(5) for step in (0, 1)]
    tilt = np.array([[1.0, 0.6], [0.6, 1.0]])
    return {
        "pieces_11_1x1": gaussian_mixture(np.full(11, 1 / 11), places, [0.3**2 * tilt], 1),
        "board_10_1x1": gaussian_mixture(np.full(10, 0.1), cells, [0.2**2 * np.eye(2)], 1),
        "pieces_12_2x2": _random_pieces(1, 12, 2, 2),
        "pieces_20_3x2": _random_pieces(2, 20, 3, 2),
    }


def _random_pieces(seed, num, dim_x, dim_y) -> Law:
    """Make pieces in random places, each with its own weight and covariance."""
    rng = np.random.default_rng(seed)
    dim = dim_x + dim_y
    weights = rng.uniform(0.5, 1.5, num)
    roots = rng.standard_normal((num, dim, dim)) / dim**0.5
    covs = 0.3**2 * (roots @ np.swapaxes(roots, 1, 2) + 0.2 * np.eye(dim))
    means = 1.5 * rng.standard_normal((num, dim))
    return gaussian_mixture(weights / weights.sum(), means, covs, dim_x)


def _edges():
    """Make uniform noise, also of several coordinates, mixed by a rotation."""

    def rotate(x):
        first, second, third = x.T
        return np.stack([0.8 * first - 0.6 * second, 0.6 * first + 0.8 * second, third], axis=1)

    widths = (0.15, 0.3, 0.75)
    return {
        "uniform_noise_0.07": UniformNoise(0.07),
        "uniform_noise_0.2": UniformNoise(0.2),
        "edges_2x2": Product((UniformNoise(0.12), UniformNoise(0.5))),
        "edges_3x3": Mapped(Product(tuple(UniformNoise(width) for width in widths)), rotate),
    }


def _channels():
    """Make a noisy function of x, of one column of x, or of all of them."""

    def first(x):
        return x[:, 0]

    def total(x):
        return np.sum(x, axis=1) / x.shape[1] ** 0.5

    def square_length(x):
        return np.sum(np.square(x), axis=1)

    def parity(x):
        return np.sign(x[:, 0] * x[:, 1])

    def checker(x):
        return np.sign(np.sin(2 * x[:, 0]) * np.sin(2 * x[:, 1]))

    def identity(t):
        return t

    return {
        "volatility_1x1": channel(1, first, np.zeros_like, lambda t: np.exp(0.8 * t)),
        "volatility_3x1": channel(3, total, identity, lambda t: np.exp(t - 1)),
        "xor_2x1": channel(2, parity, identity, 0.4, quantile=np.sign),
        "checker_3x1": channel(3, checker, identity, 0.5, quantile=np.sign),
        "column_15x1": channel(15, first, np.square, 0.5),
        "column_25x1": channel(25, first, lambda t: np.sin(2.5 * t), 0.4),
        "laplace_noise_1x1": channel(1, first, identity, 0.4, LAPLACE),
        "lognormal_1x1": channel(1, first, np.exp, 0.5, EXPONENTIAL),
        "squares_6x1": channel(
            6, square_length, identity, 1.0, quantile=lambda z: chdtri(6, ndtr(-z))
        ),
        "largest_10x1": channel(
            10, lambda x: x.max(axis=1), identity, 0.2, quantile=lambda z: ndtri(ndtr(z) ** 0.1)
        ),
        "sine_1x1": channel(1, first, lambda t: np.sin(3 * t), 0.4),
        "parabola_1x1": channel(1, first, np.square, 0.3),
        "choice_3x1": choice(3, classes=2, strength=2.0),
        "choice_2x1": choice(2, classes=3, strength=3.0),
    }


def _relations():
    """Make mixtures of relations, and points of curves and of chains with noise."""
    signs = []
    for correlation in (0.9, -0.9):
        cov = np.eye(4)
        cov[0, 2] = cov[2, 0] = correlation
        cov[1, 3] = cov[3, 1] = -correlation
        signs.append(cov)
    shifts = [(0.0, shift) for shift in (-1.5, 0.0, 1.5)]
    shifted = np.array([[1.0, 1.0], [1.0, 1.0 + 0.25**2]])
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    even = np.full(120, 1 / 120)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    knot = np.stack([np.cos(angle), np.sin(2 * angle), np.sin(3 * angle)], axis=1)
    scales = [scale**2 * sparse(3, 3, 0.6, 2).cov for scale in (0.4, 1.0, 2.5)]
    return {
        "signs_2x2": gaussian_mixture(np.full(2, 0.5), np.zeros((2, 4)), signs, 2),
        "shifts_1x1": gaussian_mixture([0.25, 0.5, 0.25], shifts, [shifted], 1),
        "ring_1x1": gaussian_mixture(even, ring, [0.15**2 * np.eye(2)], 1),
        "knot_2x1": gaussian_mixture(even, knot, [0.2**2 * np.eye(3)], 2),
        "scales_3x3": gaussian_mixture([0.3, 0.5, 0.2], np.zeros((3, 6)), scales, 3),
        "chain_3x3": _chain(2, 3, stay=0.9, noise=0.6),
        "chain_2x2": _chain(3, 2, stay=0.8, noise=0.4),
    }


def _chain(num_states, steps, stay, noise) -> Law:
    """Make x and y of so many steps each: a hidden chain of states, seen through normal noise.

    The states are the numbers 0, 1.5, 3 and so on. A state that does not stay moves to any other.
    """
    paths = np.indices((num_states,) * (2 * steps)).reshape(2 * steps, -1).T
    stays = paths[:, 1:] == paths[:, :-1]
    chances = np.where(stays, stay, (1 - stay) / (num_states - 1))
    weights = np.prod(chances, axis=1) / num_states
    return gaussian_mixture(weights, 1.5 * paths, noise**2 * np.eye(2 * steps)[None], steps)


def _rotations():
    """Make spirals, and angles on circles and on tori."""
    radius = GaussianPair(np.eye(2), 1)

    def circle(x):
        length = np.exp(0.3 * x[:, 1])
        return np.stack([length * np.cos(x[:, 0]), length * np.sin(x[:, 0])], axis=1)

    def torus(x):
        tube = np.exp(0.15 * x[:, 2])
        length = 4 + tube * np.cos(x[:, 1])
        ring = (length * np.cos(x[:, 0]), length * np.sin(x[:, 0]))
        return np.stack([*ring, tube * np.sin(x[:, 1])], axis=1)

    circles = Product((VonMises(3.0), radius))
    tori = Product((VonMises(4.0), VonMises(1.0), radius))
    return {
        "spiral_4x3": Mapped(sparse(4, 3, 0.7), spiral(0, 1, 0.4), spiral(0, 1, 0.6)),
        "spiral_2x2": Mapped(sparse(2, 2, 0.75), spiral(0, 1, 0.8), spiral(0, 1, 0.3)),
        "circle_2x2": Mapped(circles, circle, circle),
        "torus_3x3": Mapped(tori, torus, torus),
    }


def _margins():
    """Make Gaussian, Student and Archimedean copulas with several margins."""

    def exponential(z):
        return -np.log(ndtr(-z))

    def mix(u):
        first, second = ndtri(u).T
        return np.stack([first + second, first - second], axis=1)

    return {
        "margins_3x2": Mapped(dense(3, 2, 0.6), exponential, bimodal(-2.0, 2.0, 0.4)),
        "margins_4x4": Mapped(sparse(4, 4, 0.7, 3), np.exp, lambda z: np.tanh(1.5 * z)),
        "student_4x2_dof1.5": StudentPair(4, 2, 1.5),
        "dense_100x2": dense(100, 2, 0.2),
        "channel_40x12": linear_channel(jax.random.key(25), 40, 12, noise_std=12.0),
        "clayton_1x1": clayton(2.0),
        "copulas_2x2": Mapped(Product((gumbel(2.5), frank(6.0))), mix),
    }
