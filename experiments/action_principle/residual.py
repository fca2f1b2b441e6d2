"""The task `residual` of experiments.action_principle: is a trained network a score at all?

    python -m experiments.action_principle --config=configs/action_principle/residual.py \
        --workdir=DIR

Every score obeys one equation (`value.score_residual`), the gradient of that of Hamilton, Jacobi
and Bellman. By noise level, the residual of a trained network stands beside its gap to the exact
score of a Gaussian mixture, 1/2 sigma^2 E|s_theta - s|^2, whose integral is what its action has
above the least. The residual needs no exact score; but the score of another density has none. So
the Gaussian reference of the network has a large gap and no residual, and a stretched exact score
has both.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion.noise_levels import Uniform, log_snr_range
from diffenc.diffusion.profiles import Profile, curve, gap_integrand, profile, sum_over_data
from diffenc.diffusion.value import score_residual
from diffenc.errors import check, check_least
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.run import figures, records
from diffenc.run.tables import Result
from experiments import command_line
from experiments.action_principle import trained
from experiments.neural_entropy.cases import Case

MODELS = {
    "network": "network",
    "reference": "its Gaussian reference",
    "stretched": "1.1 times the exact score",
    "exact": "the exact score (rounding)",
}
QUANTITIES = ("gap", "score_residual")
STRETCH = 1.1


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What is measured.

    Attributes:
        num_examples: held out.
        num_levels: noise levels of each, which are the bins of the figure.
    """

    num_examples: int
    num_levels: int

    def __post_init__(self):
        check_least(self, 2, "num_examples", "num_levels")


def run(config: ConfigDict, workdir: Path) -> list[Result] | None:
    """Train, measure and draw the figures; None where the run was complete already."""
    settings = trained.read(config)
    check(settings.sweep.mixture is not None, "config field mixture", None, "give a mixture")
    evaluation = command_line.read(Evaluation, config, "eval")
    if command_line.is_complete(config, workdir):
        return None
    case = trained.load_case(settings)
    measure = make_measure(settings.sweep.seed, case, evaluation)

    def evaluate(state) -> dict[str, float]:
        totals = measure(state.averages, state.carried).total()
        return {
            f"network.{quantity}": Estimate.of(totals["network", quantity]).mean
            for quantity in QUANTITIES
        }

    state = trained.train(workdir, settings, case, evaluate)
    with jax.default_matmul_precision("highest"):
        draws = measure(state.averages, state.carried)
    totals = draws.total()
    rows = []
    for model in MODELS:
        for quantity, unit in (("gap", "nats"), ("score_residual", "eps^2")):
            estimate = Estimate.of(totals[model, quantity])
            truth = 0.0 if model == "exact" else None
            rows.append(Result(f"{model}.{quantity}", *estimate, unit, truth))
    draw(workdir, draws, levels_of(case), records.read_metrics(workdir))
    return rows


def levels_of(case: Case) -> Uniform:
    """Give the noise levels of a case, all alike."""
    return Uniform(*log_snr_range(case.process, *case.times))


def make_measure(seed: int, case: Case, evaluation: Evaluation) -> Callable:
    """Make measure(params, reference) -> Profile of {(model, quantity): [num_levels, n]}.

    All models see the same examples and noise.

    Args:
        seed: of the run.
        case: of a known density.
        evaluation: numbers of examples and of levels.
    """
    density = case.density_of(0)
    process = case.process
    levels = levels_of(case)
    x = jnp.asarray(case.test[0][: evaluation.num_examples], jnp.float32)

    def exact(x, t):
        return density.score(process, x, t)

    def stretched(x, t):
        return STRETCH * exact(x, t)

    def residual_integrand(score):
        def integrand(x_t, eps, t):
            return 0.5 * sum_over_data(jnp.square(score_residual(score, process, x_t, t)))

        return integrand

    @jax.jit
    def draw(key, params, reference):
        scores = {
            "network": case.model.score_fn(params, reference),
            "reference": case.model.score_fn(params, reference, with_network=False),
            "stretched": stretched,
            "exact": exact,
        }

        def values(x_t, eps, t):
            fields = {}
            for model, score in scores.items():
                fields[model, "gap"] = gap_integrand(exact, score, process)
                fields[model, "score_residual"] = residual_integrand(score)
            return {name: field(x_t, eps, t) for name, field in fields.items()}

        return profile(key, values, process, x, levels, evaluation.num_levels)

    return lambda params, reference: draw(key_of(seed, "residual"), params, reference)


def draw(workdir, draws: Profile, levels: Uniform, metrics: list[dict]) -> None:
    """Draw gap and residual by noise level, and both of the network while it trains.

    Args:
        workdir: of the run.
        draws: of `make_measure`.
        levels: of these.
        metrics: lines of metrics.jsonl.
    """
    # At first the network is its reference, which has no residual.
    lines = [line for line in metrics if "network.gap" in line and line["step"] > 0]
    fig, axes = figures.figure(1, 3 if lines else 2, width=3.5, height=3.0)
    snr = r"$\lambda$, log signal-to-noise ratio"
    names = (r"gap [nats per unit of $\lambda$]", r"residual [eps$^2$ per unit of $\lambda$]")
    for ax, quantity, name in zip(axes[0], QUANTITIES, names, strict=False):
        for model, label in MODELS.items():
            if (model, quantity) == ("exact", "gap"):
                continue
            one = curve(draws._replace(values=draws.values[model, quantity]), levels)
            if np.any(one.height > 0):
                figures.band(ax, one.log_snr, one.height, one.stderr, label=label)
        ax.set_yscale("log")
        figures.label(ax, snr, name)
    axes[0, 1].legend(frameon=False, fontsize=7)
    if lines:
        steps = [line["step"] for line in lines]
        for quantity, label in zip(QUANTITIES, ("gap [nats]", "residual [eps$^2$]"), strict=True):
            heights = [line[f"network.{quantity}"] for line in lines]
            axes[0, 2].plot(steps, heights, marker="o", markersize=3, label=label)
        axes[0, 2].set_yscale("log")
        figures.label(axes[0, 2], "updates", r"integral over $\lambda$", legend=True)
    figures.save(fig, workdir, "residual")
