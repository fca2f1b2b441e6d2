"""What the family of the noise at the start is worth, on a law that is known: nothing is trained.

The law is that of two neighbouring pixels (`table_law.neighbours`). Every density of it with noise
is a sum over its states, so bounds are those of ideal networks, and what they lose is due to the
start alone:

    bits_per_dim            reconstruction by ideal weights of each pixel, given all of x~
    marginal_bits_per_dim   by the frequencies of each pixel's values
    uninformed_bits_per_dim by the noise alone
    it_nll                  the quantity of arXiv 2510.20903 (`likelihood.it_nll`), no code length

`it_nll` is of the path x_lambda = alpha (c_x + s u + tau w), w ~ N(0, I), on which noise of the
start becomes Gaussian: s^2 + tau^2 = exp(-lambda). The denoiser is E[c_x | x_lambda]; for Gaussian
noise this is the diffusion of x up to lambda_0.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import fisher, likelihood, noise_families, table_law
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.noise_levels import stratified_uniform
from diffenc.diffusion.noisy_start import NoisyStart
from diffenc.diffusion.table_law import TableLaw
from diffenc.errors import check, check_choice, check_least
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run.tables import Result

INDEPENDENT = ("gaussian", "laplace", "logistic", "uniform", "student")  # in every coordinate
QUANTITIES = ("bits_per_dim", "marginal_bits_per_dim", "uninformed_bits_per_dim", "it_nll")
LOW = -10.0  # smallest lambda of it_nll
NUM_NODES = 200  # of the noise, for the density of s u + tau w
TINY = 1e-10  # least tau^2
# Of the KL curves: two mixtures of two Gaussians, (weights, means, standard deviations).
PAIR = (
    ((0.6, 0.4), (-1.0, 1.2), (0.6, 0.8)),
    ((0.5, 0.5), (0.0, 0.7), (1.1, 0.9)),
)
CELLS = fisher.Cells(1, half_width=40.0, num_cells=800)


@dataclasses.dataclass(frozen=True)
class Families:
    """What is compared.

    Attributes:
        families: names of `INDEPENDENT`.
        bins: warmth of the starts, rising.
        size: levels of a pixel.
        num_examples: draws of each quantity at each start: the budget.
        sigma2: variances of the noise for the KL curves, from 0 on.
    """

    families: tuple[str, ...]
    bins: tuple[float, ...]
    size: int
    num_examples: int
    sigma2: tuple[float, ...]

    def __post_init__(self):
        for family in self.families:
            check_choice("families", family, INDEPENDENT)
        check(min(self.bins, default=0) > 0, "bins", self.bins, "give numbers above 0")
        check(min(self.sigma2, default=-1) >= 0, "sigma2", self.sigma2, "give numbers of 0 or more")
        check_least(self, 2, "size", "num_examples")


class Line(NamedTuple):
    """A quantity against the warmth of the start, in bits a dimension.

    Attributes:
        mean: [num_starts].
        stderr: its standard errors [num_starts].
    """

    mean: np.ndarray
    stderr: np.ndarray


def warmth_lines(seed: int, settings: Families) -> dict[tuple[str, str], Line]:
    """Measure every quantity of every family at every start.

    Args:
        seed: of all draws.
        settings: what is compared.

    Returns:
        {(family, quantity of QUANTITIES): Line}.
    """
    law = table_law.neighbours(settings.size)
    alphabet = Alphabet(settings.size)
    lines = {}
    for family in settings.families:
        noise = noise_families.make(family)
        at_starts = []
        for index, bins in enumerate(settings.bins):
            start = NoisyStart.of_bins(bins, alphabet, noise)
            key = key_of(seed, "families", family, index)
            at_starts.append(_estimates(key, start, law, num=settings.num_examples))
        for quantity in QUANTITIES:
            mean, stderr = np.array([at_start[quantity] for at_start in at_starts]).T
            lines[family, quantity] = Line(mean, stderr)
    return lines


def kl_curves(settings: Families) -> dict[str, fisher.Curve]:
    """Compute KL(p * Psi_sigma || q * Psi_sigma) of two mixtures against sigma^2, by family."""
    log_p = _mixture(*PAIR[0])
    log_q = _mixture(*PAIR[1])
    sigma2 = np.array(settings.sigma2)
    return {
        family: fisher.kl_curve(log_p, log_q, noise_families.make(family), sigma2, CELLS)
        for family in settings.families
    }


def to_results(settings: Families, lines: dict[tuple[str, str], Line]) -> list[Result]:
    """Give a row for each quantity, as <family>.bins=<bins>.<quantity>.

    The truth of the ideal bounds is the entropy of the law, which none of them is below.

    Args:
        settings: what was compared.
        lines: those of `warmth_lines`.
    """
    entropy = entropy_per_dim(settings.size)
    rows = []
    for (family, quantity), line in lines.items():
        truth = None if quantity == "it_nll" else entropy
        for bins, mean, stderr in zip(settings.bins, *line, strict=True):
            name = f"{family}.bins={bins:g}.{quantity}"
            rows.append(Result(name, float(mean), float(stderr), "bits/dim", truth))
    return rows


def entropy_per_dim(size: int) -> float:
    """Compute the entropy of the law of pixels with `size` levels, in bits a dimension."""
    return likelihood.bits_per_dim(table_law.neighbours(size).entropy(), 2)


def _estimates(key, start: NoisyStart, law: TableLaw, num: int) -> dict[str, Estimate]:
    """Estimate the quantities of one start by `num` draws of each, in bits a dimension.

    A bound is drawn as the law's entropy and what the bound has above -log P(x) of each x, which
    varies less than the bound.
    """
    key_gap, key_path = jax.random.split(key)
    estimates = {}
    for name, gap in _gaps(key_gap, start, law, num=num).items():
        estimates[name] = Estimate.of(likelihood.bits_per_dim(law.entropy() + gap, 2))
    nats = likelihood.it_nll(_weighted(key_path, start, law, num=num), 2)
    estimates["it_nll"] = _of_strata(likelihood.bits_per_dim(nats, 2))
    return estimates


def _of_strata(values) -> Estimate:
    """Estimate a mean from one draw in each of n equal strata, in their order [n].

    Neighbouring strata are alike, so that half the mean square of the steps between them is the
    variance within a stratum, the only one that the mean has.
    """
    values = np.asarray(values, np.float64)
    variance = np.mean(np.square(np.diff(values))) / 2
    return Estimate(float(values.mean()), float(np.sqrt(variance / len(values))))


# The start is an argument of what is compiled, so that a family is compiled once for all of them.
@functools.partial(jax.jit, static_argnames="num")
@jax.default_matmul_precision("highest")
def _gaps(key, start, law, num):
    """Draw what each bound has above -log P(x), {name: [num]} in nats."""
    key_x, key_noise = jax.random.split(key)
    x = law.sample(key_x, num)
    x_tilde, u = start.draw(key_noise, x)
    seen = start.log_likelihood(x_tilde)
    before = start.log_prob_of_noise(u) - law.log_density(seen) + law.log_prob_of(x)
    log_weights = {
        "bits_per_dim": law.log_weights(seen),
        "marginal_bits_per_dim": law.log_marginals()[None],
        "uninformed_bits_per_dim": None,
    }
    return {
        name: before + start.reconstruction(x, u, weights) for name, weights in log_weights.items()
    }


@functools.partial(jax.jit, static_argnames="num")
@jax.default_matmul_precision("highest")
def _weighted(key, start, law, num):
    """Draw 1/2 int alpha^2 E|eps - eps_hat|^2 d(lambda) up to the start, [num] in nats.

    There is one draw in each of `num` strata of lambda, and they come in its order.
    """
    key_x, key_level, key_u, key_w = jax.random.split(key, 4)
    alphabet = start.alphabet
    x = law.sample(key_x, num)
    codes = alphabet.encode(x)
    width = start.sigma / start.alpha
    high = -2 * jnp.log(width)
    log_snr = LOW + (high - LOW) * stratified_uniform(key_level, (num,))
    rest = jnp.sqrt(jnp.maximum(jnp.exp(-log_snr) - jnp.square(width), TINY))
    noise = width * start.noise.sample(key_u, codes.shape)
    noise = noise + rest[:, None] * jax.random.normal(key_w, codes.shape)
    seen = _log_likelihood(start, width, rest, codes + noise)
    log_prob = jax.nn.log_softmax(law.log_weights(seen) + seen, axis=-1)
    error = jnp.sum(jnp.square(codes - alphabet.mean(jnp.exp(log_prob))), axis=1)
    values = 0.5 * (high - LOW) * jax.nn.sigmoid(log_snr) * jnp.exp(log_snr) * error
    return values[jnp.argsort(log_snr)]


def _log_likelihood(start, width, rest, y):
    """The log density of y = c_l + s u + tau w [num, 2] for all l, but for a constant: [num, 2, K].

    Args:
        start: the start.
        width: s.
        rest: tau [num].
        y: what is seen.
    """
    nodes, weights = start.noise.quadrature((1,), NUM_NODES)
    away = y[:, :, None] - jnp.asarray(start.alphabet.codes).T[None]

    def add(total, node):
        u, log_weight = node
        term = log_weight - 0.5 * jnp.square((away - width * u) / rest[:, None, None])
        return jnp.logaddexp(total, term), None

    nodes = (nodes[:, 0].astype(np.float32), np.log(weights).astype(np.float32))
    return jax.lax.scan(add, jnp.full_like(away, -jnp.inf), nodes)[0]


def _mixture(weights, means, stds):
    """Make the log density, x [n, 1] -> [n], of a mixture of Gaussians."""
    means = np.array(means)[:, None]
    stds = np.array(stds)[:, None]
    log_norms = np.log(np.array(weights)[:, None]) - np.log(stds * np.sqrt(2 * np.pi))

    def log_prob(x):
        terms = log_norms - 0.5 * np.square((x.T - means) / stds)
        return np.logaddexp.reduce(terms, axis=0)

    return log_prob
