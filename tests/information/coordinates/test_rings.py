"""Hollows of a block are found, and their angles; blocks without one have none."""

import numpy as np
import pytest

from diffenc.information.coordinates import rings

N = 2000


def rng():
    return np.random.default_rng(0)


def torus(angles, tube):
    length = 4 + tube * np.cos(angles[:, 1])
    columns = length * np.cos(angles[:, 0]), length * np.sin(angles[:, 0])
    return np.stack([*columns, tube * np.sin(angles[:, 1])], axis=1)


def agreement(first, second):
    """Return |E exp(i (first - second))|, 1 for angles that differ by a constant."""
    return abs(np.mean(np.exp(1j * (first - second))))


def rotation():
    return np.linalg.qr(rng().standard_normal((3, 3)))[0]


@pytest.mark.parametrize("turn", [np.eye(3), rotation()])
def test_both_angles_of_a_torus_are_found(turn):
    draws = rng()
    angles = draws.uniform(-np.pi, np.pi, (N, 2))
    tube = np.exp(0.15 * draws.standard_normal(N))
    block = rings.find(torus(angles, tube) @ turn + np.array([5.0, -3.0, 1.0]))
    assert block is not None and block.angles.shape == (N, 2) and block.rest.shape == (N, 1)
    for found, true in zip(block.angles.T, angles.T, strict=True):
        assert max(agreement(found, true), agreement(found, -true)) > 0.98
    assert abs(np.corrcoef(block.rest[:, 0], tube)[0, 1]) > 0.9


def test_angles_jump_where_rows_are_rare():
    draws = rng()
    angle = draws.vonmises(2.0, 1.0, N)
    length = np.exp(0.1 * draws.standard_normal(N))
    block = rings.find(length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert block is not None
    near_the_jump = np.abs(block.angles) > np.pi - 0.3
    assert np.mean(near_the_jump) < 0.6 * 0.3 / np.pi


@pytest.mark.parametrize(
    "block",
    [
        rng().standard_normal((N, 3)),
        rng().uniform(size=(N, 2)),
        rng().standard_t(1.5, size=(N, 3)),
        rng().standard_normal((N, 1)),
        rng().integers(0, 3, size=(N, 2)).astype(float),
    ],
)
def test_blocks_without_a_hollow_have_no_angles(block):
    assert rings.find(block) is None


def test_an_arc_does_not_go_all_round():
    draws = rng()
    angle = draws.uniform(0.0, np.pi, N)
    length = 1 + 0.05 * draws.standard_normal(N)
    arc = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert rings.find(arc) is None
