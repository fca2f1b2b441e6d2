"""The part of experiments.warm_start on Gaussian data, of which every term is known.

    python -m experiments.warm_start --config=configs/warm_start/gaussian.py --workdir=DIR

Real-valued data have a density, and its bound has the same terms: drawn by `likelihood` with the
exact denoiser, they stand beside their closed forms (`score_bound.gaussian_terms`). The bound is
above -log p(x) by what the ends of the noise leave, whatever the process; the paper's quantity,
which has no term for its start, differs from it by as much as the start is noisy.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import likelihood, score_bound
from diffenc.diffusion.gaussians import Gaussian
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.processes import VPCosine
from diffenc.errors import check, check_least
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import figures
from diffenc.run.tables import Result
from experiments import command_line

TERMS = ("prior", "diffusion", "reconstruction")
PROCESS = VPCosine()


@dataclasses.dataclass(frozen=True)
class Settings:
    """The data and the starts.

    Attributes:
        seed: of all draws.
        variances: along the axes of the data, whose mean is 0.
        low: the smallest log signal-to-noise ratio.
        highs: the starts, rising.
        num_examples: of the data.
        draws: noise levels of each.
    """

    seed: int
    variances: tuple[float, ...]
    low: float
    highs: tuple[float, ...]
    num_examples: int
    draws: int

    def __post_init__(self):
        holds = min(self.variances, default=0) > 0
        check(holds, "variances", self.variances, "give numbers above 0, one or more")
        holds = min(self.highs, default=self.low) > self.low
        check(holds, "highs", self.highs, f"give starts above low={self.low:g}, one or more")
        check_least(self, 2, "num_examples", "draws")


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Measure and draw the figure; None where the run was complete already."""
    settings = command_line.read(Settings, config)
    if command_line.is_complete(config, workdir):
        return None
    gaussian = Gaussian(jnp.zeros(len(settings.variances)), jnp.diag(jnp.array(settings.variances)))
    x = gaussian.sample(key_of(settings.seed, "data"), settings.num_examples)
    rows = []
    for high in settings.highs:
        rows += results_of(settings, gaussian, x, high)
    draw(workdir, settings, rows)
    return rows


def results_of(settings: Settings, gaussian: Gaussian, x, high: float) -> list[Result]:
    """Draw every term from one start, beside its closed form for the same examples.

    All starts have the same noise, so that their errors go the same way.

    Args:
        settings: of the noise.
        gaussian: the law of the data.
        x: examples [n, D].
        high: the largest log signal-to-noise ratio.
    """
    key = key_of(settings.seed, "noise")
    drawn = _terms(key, gaussian, x, settings.low, high, settings.draws)
    known = score_bound.gaussian_terms(gaussian, x, settings.low, high)
    exact = -np.asarray(gaussian.log_prob(x), np.float64)
    rows = []
    for term in TERMS:
        values = np.asarray(getattr(drawn, term), np.float64)
        truth = np.asarray(known[term], np.float64)
        # the examples are the truth's own: what is left is the noise
        difference = Estimate.of(values - truth)
        name = f"high={high:g}.{term}"
        rows.append(Result(name, values.mean(), difference.stderr, "nats", truth.mean()))
    bound = np.asarray(drawn.total, np.float64)
    paper = np.asarray(likelihood.it_nll(drawn.weighted, x.shape[1]), np.float64)
    for quantity, values in (("bound", bound), ("it_nll", paper)):
        difference = Estimate.of(values - exact)
        name = f"high={high:g}.{quantity}"
        rows.append(Result(name, values.mean(), difference.stderr, "nats", exact.mean()))
    return rows


def _terms(key, gaussian: Gaussian, x, low: float, high: float, draws: int) -> likelihood.Terms:
    """Draw the terms of the bound with the exact denoiser."""

    @jax.jit
    def draw_all(key, x):
        score = functools.partial(gaussian.score, PROCESS)
        denoise = score_bound.denoise_of_score(score, PROCESS)
        return likelihood.continuous_terms(key, denoise, x, Uniform(low, high), draws)

    with jax.default_matmul_precision("highest"):
        return draw_all(key, x)


def draw(workdir, settings: Settings, rows: list[Result]) -> None:
    """Draw how far bound and it_nll are above -log p(x), against the start.

    Args:
        workdir: of the run.
        settings: the starts.
        rows: the results.
    """
    by_name = {row.name: row for row in rows}
    fig, axes = figures.figure(1, 1, width=4.2)
    ax = axes[0, 0]
    for quantity, label in (("bound", "the bound"), ("it_nll", "it_nll")):
        of_starts = [by_name[f"high={high:g}.{quantity}"] for high in settings.highs]
        gaps = [row.value - row.truth for row in of_starts if row.truth is not None]
        errors = [row.stderr for row in of_starts]
        figures.band(ax, settings.highs, gaps, errors, label=label, marker="o")
    figures.truth_line(ax, 0.0, "-log p(x)")
    x = r"$\lambda$ of the start, log signal-to-noise ratio"
    figures.label(ax, x, "nats above -log p(x)", legend=True)
    figures.save(fig, workdir, "gaussian")
