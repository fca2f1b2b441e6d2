"""The forty tasks of Czyz et al., 'Beyond Normal' (arXiv 2306.11078), and their maps.

Each is a law of `pairs`, or the image of one by invertible maps that leave its information as it
is.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from diffenc.information.benchmark.pairs import (
    GaussianPair,
    Mapped,
    StudentPair,
    UniformNoise,
    bivariate,
    dense,
    sparse,
)


def half_cube(x: np.ndarray) -> np.ndarray:
    """Compute x sqrt|x|, which has longer tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: np.ndarray) -> np.ndarray:
    """Map by an increasing function of uneven slope."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(y: np.ndarray) -> np.ndarray:
    """Map by another increasing function of uneven slope."""
    return y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)


def bimodal(low: float, high: float, weight: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make the increasing map N(0, 1) -> weight N(low, 1) + (1 - weight) N(high, 1).

    The map is found by bisection, to 1e-12.

    Args:
        low: mean of the first mode.
        high: mean of the second mode.
        weight: of the first mode.

    Returns:
        The map of arrays of any shape.
    """

    def apply(x):
        target = ndtr(x)
        left = np.full_like(x, low - 12.0)
        right = np.full_like(x, high + 12.0)
        for _ in range(60):
            middle = 0.5 * (left + right)
            below = weight * ndtr(middle - low) + (1 - weight) * ndtr(middle - high) < target
            left = np.where(below, middle, left)
            right = np.where(below, right, middle)
        return 0.5 * (left + right)

    return apply


def swiss_roll(x: np.ndarray) -> np.ndarray:
    """Map x [n, 1] in [0, 1] to a rolled-up curve in the plane [n, 2]."""
    angle = 1.5 * math.pi * (1 + 2 * x[:, 0])
    return np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21.0


def spiral(first: int, second: int, speed: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make the map that rotates the plane of two coordinates by the angle speed |x|^2.

    The rotation leaves every length as it is, so it can be undone.

    Args:
        first: index of a coordinate.
        second: index of the other.
        speed: radians per unit of |x|^2.

    Returns:
        The map of x [n, D].
    """

    def apply(x):
        angle = speed * np.sum(np.square(x), axis=1)
        image = x.copy()
        image[:, first] = np.cos(angle) * x[:, first] - np.sin(angle) * x[:, second]
        image[:, second] = np.sin(angle) * x[:, first] + np.cos(angle) * x[:, second]
        return image

    return apply


def map_both(base, both: Callable[[np.ndarray], np.ndarray]) -> Mapped:
    """Map X and Y of a pair by the same map."""
    return Mapped(base, both, both)


def spiral_both(base, dim_x: int, dim_y: int) -> Mapped:
    """Rotate the plane (0, 1) of X with speed 1 / dim_x, and (1, 2) of Y with speed 1 / dim_y.

    Args:
        base: a pair.
        dim_x: coordinates of X.
        dim_y: coordinates of Y.

    Returns:
        The law of the images.
    """
    return Mapped(base, spiral(0, 1, 1 / dim_x), spiral(1, 2, 1 / dim_y))


def benchmark() -> dict[str, GaussianPair | StudentPair | UniformNoise | Mapped]:
    """Make the forty tasks of 'Beyond Normal' (arXiv 2306.11078), by name."""
    normal = bivariate(0.75)
    student = StudentPair(1, 1, 1)
    uniform = map_both(normal, ndtr)
    tasks: dict[str, GaussianPair | StudentPair | UniformNoise | Mapped] = {
        "normal_1x1": normal,
        "normal_cdf_1x1": uniform,
        "uniform_noise_0.1": UniformNoise(0.1),
        "uniform_noise_0.75": UniformNoise(0.75),
        "bimodal_1x1": Mapped(normal, bimodal(0.0, 5.0, 0.3), bimodal(-1.0, 3.0, 0.5)),
        "wiggly_1x1": Mapped(normal, wiggly_x, wiggly_y),
        "half_cube_1x1": map_both(normal, half_cube),
        "student_1x1_dof1": student,
        "asinh_student_1x1_dof1": map_both(student, np.arcsinh),
        "swiss_roll_2x1": Mapped(uniform, swiss_roll),
    }
    tasks |= {f"dense_{d}x{d}": dense(d, d) for d in (2, 3, 5, 25, 50)}
    tasks |= {f"sparse_{d}x{d}": sparse(d, d) for d in (2, 3, 5, 25)}
    students = ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    tasks |= {f"student_{d}x{d}_dof{dof}": StudentPair(d, d, dof) for d, dof in students}
    for d in (3, 5, 25):
        tasks[f"normal_cdf_{d}x{d}"] = map_both(sparse(d, d), ndtr)
    for d in (3, 5, 25):
        tasks[f"half_cube_{d}x{d}"] = map_both(sparse(d, d), half_cube)
    for d in (3, 5, 25):
        tasks[f"spiral_{d}x{d}"] = spiral_both(sparse(d, d), d, d)
    for d in (3, 5, 25):
        tasks[f"spiral_normal_cdf_{d}x{d}"] = spiral_both(map_both(sparse(d, d), ndtr), d, d)
    for d, dof in ((2, 1), (3, 2), (5, 2)):
        tasks[f"asinh_student_{d}x{d}_dof{dof}"] = map_both(StudentPair(d, d, dof), np.arcsinh)
    return tasks
