"""The guided chain of a joint Gaussian in closed form: a recursion of mean and covariance."""

from typing import NamedTuple

import jax
import numpy as np

from diffenc.information.benchmark import pairs

LOG_SNR = (-10.0, 10.0)


class Scores(NamedTuple):
    """Linear scores at one noise level, s(x) = -free x and s(x|y) = -bound (x - mean y).

    Attributes:
        free: [D, D].
        bound: [D, D].
        mean: [D, d].
    """

    free: np.ndarray
    bound: np.ndarray
    mean: np.ndarray


def levels(num_steps: int):
    """Divide LOG_SNR into steps.

    Returns:
        lambda at the left ends of the steps, alpha^2 there, the step, and the growth of alpha over
        each step.
    """
    log_snr = np.linspace(*LOG_SNR, num_steps + 1)
    alpha2 = 1 / (1 + np.exp(-log_snr))
    return log_snr[:-1], alpha2[:-1], log_snr[1] - log_snr[0], np.sqrt(alpha2[1:] / alpha2[:-1])


def scores(pair: pairs.GaussianPair, alpha2: float) -> Scores:
    """Compute the scores of x_l = alpha x + sigma eps of the pair, without y and given y."""
    dim = pair.dim_x
    slope = np.linalg.solve(pair.cov_y, pair.cov[dim:, :dim]).T
    cov_given_y = pair.cov_x - slope @ pair.cov[dim:, :dim]
    noise = (1 - alpha2) * np.eye(dim)
    free = np.linalg.inv(alpha2 * pair.cov_x + noise)
    bound = np.linalg.inv(alpha2 * cov_given_y + noise)
    return Scores(free, bound, np.sqrt(alpha2) * slope)


class Exact(NamedTuple):
    """The guided chain in closed form; its samples are x = slope y + N(0, cov).

    Attributes:
        injected: nats.
        density: of them over lambda, at the left ends of the steps.
        information: of the samples and y, nats.
        distortion: E KL(guided || p(x|y)), nats.
        slope: [D, d].
        cov: [D, D].
    """

    injected: float
    density: np.ndarray
    information: float
    distortion: float
    slope: np.ndarray
    cov: np.ndarray


def recursion(pair, weight: float, num_steps: int) -> Exact:
    """Follow mean and covariance of Euler's steps, from N(0, I).

    A step is x <- growth x + sigma^2 h s_w(x) + sigma sqrt(h) n.

    Args:
        pair: the joint Gaussian.
        weight: w.
        num_steps: over LOG_SNR.
    """
    dim = pair.dim_x
    cov_y = pair.cov_y
    slope = np.zeros((dim, len(cov_y)))
    cov = np.eye(dim)
    density = []
    _, alpha2, h, growth = levels(num_steps)
    for a2, factor in zip(alpha2, growth, strict=True):
        free, bound, mean = scores(pair, a2)
        variance = (1 - a2) * h
        pull = (1 + weight) * bound - weight * free
        # s_w - s = (1 + w) (s(x|y) - s(x)) = (1 + w) ((free - bound) x + bound mean y)
        by_x = (1 + weight) * (free - bound)
        by_y = (1 + weight) * bound @ mean
        along = by_x @ slope + by_y
        rate = np.sum(along @ cov_y * along) + np.sum(by_x @ cov * by_x)
        density.append(0.5 * (1 - a2) * rate)
        move = factor * np.eye(dim) - variance * pull
        slope = move @ slope + variance * (1 + weight) * bound @ mean
        cov = move @ cov @ move.T + variance * np.eye(dim)
    signal = slope @ cov_y @ slope.T
    information = 0.5 * (np.linalg.slogdet(cov + signal)[1] - np.linalg.slogdet(cov)[1])
    free, bound, mean = scores(pair, 1 / (1 + np.exp(-LOG_SNR[1])))
    off = slope - mean
    square = np.trace(bound @ (cov + off @ cov_y @ off.T))
    distortion = 0.5 * (square - dim - np.linalg.slogdet(cov)[1] - np.linalg.slogdet(bound)[1])
    return Exact(
        h * float(np.sum(density)),
        np.array(density),
        float(information),
        float(distortion),
        slope,
        cov,
    )


def continuous(pair, weight: float, num_steps: int) -> Exact:
    """Extrapolate `recursion` to continuous time: 2 f(h) - f(2h) of every quantity.

    Args:
        pair: the joint Gaussian.
        weight: w.
        num_steps: an even number, whose step is h; the density is that at the left ends of the
            longer steps.
    """
    coarse = recursion(pair, weight, num_steps // 2)
    fine = recursion(pair, weight, num_steps)
    fine = fine._replace(density=fine.density[::2])
    return jax.tree.map(lambda c, f: 2 * f - c, coarse, fine)
