"""The part of experiments.warm_start that trains nothing: bounds of ideal networks, and Kraft sums.

    python -m experiments.warm_start --config=configs/warm_start/noise_families.py --workdir=DIR

The law of two pixels is known (`table_law.neighbours`), and with it the best network. So what a
bound has above the entropy is due to the start and to its decoder alone (`families`). And the
number of states is small, so the lengths of all of them can be summed: which quantity is that of a
code (`diffusion.kraft`).
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import kraft, likelihood, table_law, warmth
from diffenc.diffusion.alphabet import Alphabet
from diffenc.diffusion.noise_levels import Uniform
from diffenc.diffusion.table_law import TableLaw
from diffenc.keys import key_of
from diffenc.run import figures, records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.warm_start import families
from experiments.warm_start.families import Families

LOW = -10.0  # smallest log signal-to-noise ratio
DRAWS = 64  # of noise at once
DECODERS = ("informed", "marginal", "uninformed")
LABELS = {
    "bits_per_dim": "informed decoder",
    "marginal_bits_per_dim": "marginal decoder",
    "uninformed_bits_per_dim": "uninformed decoder",
    "it_nll": "it_nll, no code length",
}


@dataclasses.dataclass(frozen=True)
class IdealDenoiser:
    """The best denoiser of a known law, as `likelihood.discrete_terms` takes it.

    Attributes:
        law: the law.
        alphabet: of its values.
        decoder: what weighs the values at the start: "informed", the law given all of x_t;
            "marginal", each number by itself; "uninformed", nothing.
    """

    law: TableLaw
    alphabet: Alphabet
    decoder: str

    def denoise(self, params, marginals, x_t, log_snr):
        """Evaluate E[x|x_t]."""
        return self.alphabet.mean(jnp.exp(self._log_prob(x_t, log_snr, "informed")))

    def log_prob(self, params, marginals, x_t, log_snr):
        """Evaluate log P(x_i = l|x_t) by this decoder."""
        return self._log_prob(x_t, log_snr, self.decoder)

    def _log_prob(self, x_t, log_snr, decoder: str):
        seen = self.alphabet.log_likelihood(x_t, log_snr)
        weights: dict[str, Any] = {
            "informed": self.law.log_weights(seen),
            "marginal": self.law.log_marginals()[None],
            "uninformed": 0.0,
        }
        return jax.nn.log_softmax(weights[decoder] + seen, axis=-1)


@dataclasses.dataclass(frozen=True)
class Sums:
    """Whose Kraft sums are taken.

    Attributes:
        bins: of the starts.
        repetitions: of DRAWS draws of noise for each state.
    """

    bins: tuple[float, ...]
    repetitions: int


def run(config: ConfigDict, workdir: Path) -> list[Result]:
    """Measure and draw figures; give the results, none where the run is complete."""
    settings = command_line.read(Families, config, "families")
    sums = command_line.read(Sums, config, "kraft")
    seed = command_line.read_field(config, "seed", int)
    if command_line.is_complete(config, workdir):
        return []
    lines = families.warmth_lines(seed, settings)
    rows = families.to_results(settings, lines) + kraft_results(seed, sums, settings.size)
    draw(workdir, settings, lines)
    return rows


def kraft_results(seed: int, settings: Sums, size: int) -> list[Result]:
    """Sum 2^-L over all states, for the bound by each decoder and for it_nll, at every start.

    All starts have the same noise, so that their errors go the same way.

    Args:
        seed: of the draws.
        settings: which starts, and how many draws.
        size: levels of a pixel.
    """
    law = table_law.neighbours(size)
    alphabet = Alphabet(size)
    x = jnp.asarray(kraft.states(size, 2))
    rows = []
    total = len(settings.bins) * len(DECODERS)
    with records.progress(total, description="Kraft sums") as show:
        for done, (bins, decoder) in enumerate(itertools.product(settings.bins, DECODERS)):
            show(done, f"{decoder} at {bins:g} bins")
            levels = Uniform(LOW, float(warmth.log_snr_of_bins(bins, alphabet.spacing)))
            denoiser = IdealDenoiser(law, alphabet, decoder)
            keys = jax.random.split(key_of(seed, "kraft", decoder), settings.repetitions)
            lengths, it_nll = _lengths(keys, denoiser, x, levels)
            rows.append(Result(f"kraft.{decoder}.bins={bins:g}", *kraft.kraft_sum(lengths), "", 1))
            if decoder == DECODERS[0]:
                rows.append(Result(f"kraft.it_nll.bins={bins:g}", *kraft.kraft_sum(it_nll), "", 1))
        show(total)
    return rows


def _lengths(keys, denoiser: IdealDenoiser, x, levels) -> tuple[np.ndarray, np.ndarray]:
    """Draw the bound and it_nll of all states, [repetitions, states] each in nats."""

    @jax.jit
    def draw_all(keys):
        def draw(key):
            terms = likelihood.discrete_terms(key, denoiser, None, None, x, levels, DRAWS)
            return terms.total, likelihood.it_nll(terms.weighted, x.shape[1])

        return jax.lax.map(draw, keys)

    with jax.default_matmul_precision("highest"):
        return jax.tree.map(np.asarray, draw_all(keys))


def draw(workdir, settings: Families, lines) -> None:
    """Draw every quantity against the warmth of the start, and KL against a little noise.

    Args:
        workdir: of the run.
        settings: of the families.
        lines: of `families.warmth_lines`.
    """
    fig, axes = figures.figure(1, len(settings.families), width=2.7, sharey=True)
    for ax, family in zip(axes[0], settings.families, strict=True):
        for quantity, label in LABELS.items():
            line = lines[family, quantity]
            style = "--" if quantity == "it_nll" else "-"
            figures.band(ax, settings.bins, *line, label=label, linestyle=style, marker=".")
        figures.truth_line(ax, families.entropy_per_dim(settings.size), "entropy")
        figures.log_ticks(ax, (0.2, 0.5, 1, 2, 5))
        figures.label(ax, "noise of the start, bins", "", title=family)
    axes[0, 0].set_ylabel("bits a dimension")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
    figures.save(fig, workdir, "families")
    fig, axes = figures.figure(1, 1, width=4.4)
    ax = axes[0, 0]
    curves = families.kl_curves(settings)
    for family, curve in curves.items():
        ax.plot(curve.sigma2, curve.value, label=family)
    one = next(iter(curves.values()))
    ends = np.array([0.0, 0.5 * one.value[0] / abs(one.slope)])
    ax.plot(ends, one.value[0] + one.slope * ends, "k--", label="slope -J/2 of all")
    figures.label(ax, r"variance of the noise, $\sigma^2$", "KL [nats]", legend=True)
    figures.save(fig, workdir, "kl")
