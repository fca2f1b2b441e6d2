"""What every name in a results.json means, by experiment; writes docs/results.md.

    python -m experiments.glossary

`results.json` is a list of objects with the fields of `diffenc.run.tables.Result`. A name of
`GLOSSARY` holds places such as <system>, which stand for what a run calls its parts; an entry is
"unit: meaning", and a row's unit begins with that unit. The tests hold every results.json that they
write to this file (`unexplained`), and docs/results.md to `page`.
"""

import functools
import re
from pathlib import Path

from experiments.glossary_action import ACTION
from experiments.glossary_benchmarks import BENCHMARKS, PLACES_OF_BENCHMARKS
from experiments.glossary_latent import LATENT, under
from experiments.glossary_likelihood import LIKELIHOOD

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"
HEAD = """# What the results are called

Every finished run has a `results.json`, a list of `{"name", "value", "stderr", "unit", "truth"}`.
This page says what each name means: find your experiment, then the name. `stderr` is one standard
error, and null where a value has none; `truth` is null where none is known; a value that is not
finite is null. lambda is the log signal-to-noise ratio log(alpha^2 / sigma^2) of a diffusion. The
page is written from `experiments/glossary.py` by

```
python -m experiments.glossary
```
"""
PLACES = {  # what may stand in a name's place, as a regular expression
    "system": r"(diffusion_encoder|vae)",
    "trained": r"\w+(\.gamma=[\d.e+-]+)?(\.split=[\d.e+-]+)?",
    "case": r"[\w.]+",
    "method": r"(?!best_gaussian\b)\w+",
    "first": r"\w+",
    "dataset": r"[^=]+",
    "level": r"-?\d+",
    "weight": r"[\d.e+-]+",
    "samples": r"(?!benchmark\b).+",
    "estimator": r"\w+",
    "a": r".+",
    "b": r".+",
    "law": r"\w+",
    "relation": r"\w+",
    "situation": r"(?!situations\b)\w+",
    "verdict": r"(right|covered|refused|warned|wrong)",
    "warning": r"(?!(neighbours|estimates)\b)\w+",
    "loop": r"(plain|scanned|reference)",
    "program": r"(?!machine\b)[\w.]+",
    "group": r"[\w.]+\.size\d+",
    "way": r"(alone|together)",
    "sampler": r"(encoder|sampler)",
    "steps": r"\d+",
    "share": r"[\d.e+-]+",
    "process": r"\w+",
    "dim": r"\d+",
    "levels": r"\d+",
    "race": r"(horses|channel)",
    "problem": r"(quadratic\d+|mixture)",
    "target": r"(funnel|mixture|double_well)",
    "model": r"(?!(uniform|independent|chow_liu|n_gram|gzip|png)\b)\w+",
    "family": r"(gaussian|laplace|logistic|uniform|student)",
    "bins": r"[\d.e+-]+",
    "decoder": r"(informed|marginal|uninformed)",
    "direction": r"\d+",
    "coordinates": r"\w+",
    "swept": r"(encoder_update|unet_update|attending_unet_update|mlp_update|sampling|encoding|"
    r"bound|annealing|information|order|checkpoint)",
    "real": r"(mnist_encoder|cifar10_unet|cifar10_decoder)",
    "axis": r"(?!devices\b)\w+",
    "size": r"\d+",
    "score": r"(network|reference|stretched|exact)",
}
FORMS = {  # of what a label tells
    "entropy_difference": "nats: I(image; label) as `s_nn_given_label` less `s_nn`. It is no "
    "bound.",
    "growth_difference": "nats: I(image; label) as `growth_given_label` less `growth`. It is no "
    "bound.",
    "score_difference": "nats: I(image; label) as 1/2 int sigma^2 E|s(x|y) - s(x)|^2 d(lambda), "
    "s the learned scores. It is no bound, and counts whatever the label changes without need.",
    "s_nn": "nats: Neural entropy of the network without the label, held out.",
    "s_nn_given_label": "nats: Neural entropy of the network given the label.",
    "growth": "nats: Held-out Kelly growth without the label. If S_NN is above it, training images "
    "were memorized; if S_NN is below it, training has not ended.",
    "growth_given_label": "nats: Held-out Kelly growth given the label.",
    "label_entropy": "nats: Entropy of the labels: the upper limit of the information.",
}


# For each experiment: what its places stand for, and its entries.
PLACES_OF = {
    **PLACES_OF_BENCHMARKS,
    "diffusion_encoder": "<system> is `diffusion_encoder` or `vae`.",
    "posteriors": "<case> is a toy or the data set, <method> a name in `methods`, and <first> the "
    "first of these.",
    "diffusion_decoder": "<trained> is a name in `methods` or `pca`; in sweeps the place follows, "
    "as in `diffusion_encoder.gamma=0.1.split=0`.",
    "neural_entropy": "<case> is `<process>.D<dimension>`, such as `vpx.D9`, or "
    "`<dataset>.N<training examples>`, such as `digits.N400`.",
    "speed_limit": "<process> and <dim> are those of the config; `gaussian` marks the Gaussian of "
    "the mixture's moments.",
    "mutual_information": "<samples> is `data` for your own samples, else the name of a task, or "
    "`<a>.<b>` of two columns; <estimator> is one of the estimators below it (`gaussian`, `ksg` "
    "and so on).",
    "labels": "<dataset> is `data.name`, <level> a log signal-to-noise ratio.",
    "guidance": "<weight> is w of the score s(x|y) + w (s(x|y) - s(x)).",
    "guidance_images": "<weight> is w of the score s(x|y) + w (s(x|y) - s(x)).",
    "kelly": "<race> is `horses` or `channel`, <levels> the number of levels of a tower.",
    "warm_start": "<model> is a name in `methods`. All are of held-out examples, and bits/dim are "
    "bits for each number of an example; those of models are means over seeds, too. In the config "
    "`noise_families` nothing is trained: <family> is that of the noise at the start, <bins> its "
    "size, and <decoder> what weighs values there: `informed`, `marginal` or `uninformed`.",
    "action_principle": "<problem> is `quadratic` with its dimension, or `mixture`, <target> an "
    "unnormalized density; <process> is one of the processes, <direction> the number of a random "
    "direction, <weight> the w of guidance, as above, or eta, the strength of the noise; <score> "
    "is `network`, `reference` (its Gaussian), `stretched` (1.1 times the exact score) or `exact`; "
    "<coordinates> is a process, or `angle`.",
}
GLOSSARY = LATENT | {
    "neural_entropy": under(
        "<case>",
        {
            "s_tot": "nats: Total entropy: 1/2 int sigma^2 E|exact score - equilibrium score|^2 "
            "d(lambda), from t_min on. Its truth is the next.",
            "s_tot_by_densities": "nats: S_tot from the known densities of the data.",
            "s_nn": "nats: Neural entropy S_NN: the same integral with the model's score, "
            "reference included, on held-out examples.",
            "s_nn_train": "nats: S_NN on the model's own training examples.",
            "s_reference": "nats: S_NN of the Gaussian reference alone, before training.",
            "kelly_growth": "nats: Kelly growth G on held-out examples: a lower bound of S_tot, "
            "whatever the network.",
            "em_gap": "nats: L_EM = 1/2 int sigma^2 E|exact score - model's score|^2 d(lambda).",
            "reference_gap": "nats: L_EM of the Gaussian reference alone.",
            "growth_shortfall": "nats: L_EM again, as the growth of the exact score against "
            "the model's.",
            "early_share": "of S_NN, at t < 0.1: Share of S_NN produced before t = 0.1.",
            "s_nn_ratio": "of S_tot: S_NN / S_tot, on the same draws.",
            "s_reference_ratio": "of S_tot: `s_reference` / S_tot, on the same draws.",
            "kelly_growth_ratio": "of S_tot: 1 - `growth_shortfall` / S_tot: G against the exact "
            "score's growth.",
            "learned_share": "of the reference's gap: 1 - `em_gap` / `reference_gap`: what "
            "training closed.",
            "total_correlation_bound": "nats: G less `pixel_entropy`: a lower bound of the "
            "pixels' total correlation.",
        },
    )
    | {
        "<dataset>.pixel_entropy": "nats: S_tot of every pixel by itself, summed; by quadrature "
        "over gray levels.",
        "<dataset>.log_law.intercept": "nats: a of the least-squares fit S_NN = a + b log N; the "
        "error is from the scatter.",
        "<dataset>.log_law.slope": "nats: b of that fit, for each factor e of N.",
        "<dataset>.growth_law.intercept": "nats: a of the same fit to G.",
        "<dataset>.growth_law.slope": "nats: b of the same fit to G.",
        "coverage_growth": "within 2 errors: Share of repeated estimates of G within two "
        "standard errors of the truth of that network, S_tot - L_EM. A normal law gives 0.954.",
        "coverage_s_nn": "within 2 errors: The same of S_NN; its truth is that of a much larger "
        "evaluation.",
    },
    "speed_limit": {
        "<process>.D<dim>.w2_squared": "squared length: W_2^2 between samples of the start and "
        "of the end; biased upwards.",
        "<process>.D<dim>.w2_squared_corrected": "squared length: The same less its floor at "
        "finite samples; biased downwards.",
        "<process>.D<dim>.speed_limit": "squared length: Its limit, T int (g^2/2) r dt, r being "
        "the rate of entropy.",
        "<process>.D<dim>.gaussian.w2_squared": "squared length: W_2^2 of the Gaussian of the "
        "same moments, exact.",
        "<process>.D<dim>.gaussian.speed_limit": "squared length: Its limit, exact.",
        "<process>.D<dim>.gaussian.largest_share": "of the limit, over t: The largest ratio of "
        "the two over t: at most 1.",
    },
    "mutual_information": {
        "data.mutual_information": "nats: I(X;Y) of your own samples: the estimate to believe. "
        "It may be negative. It is null where the information still grows at the finest noise.",
        "<samples>.diffusion": "nats: The same estimate on a task.",
        "<a>.<b>.mutual_information": "nats: The same of two columns, in the config `matrix`.",
    }
    | under(
        "<samples>",
        {
            "gaussian": "nats: Information of the Gaussian of the same moments.",
            "entropy_difference": "nats: The estimate with the networks' neural entropies in "
            "place of its products. The three differences agree with the estimate where training "
            "and samples suffice; their spread shows how far they do not, and half of the "
            "distance of the first two is in their errors. They, like the estimate, are computed "
            "after optional invertible maps of x and y and a nonlinear regression, each used only "
            "if it increases the estimate significantly.",
            "growth_difference": "nats: The estimate with growth on held-out data.",
            "score_difference": "nats: The estimate with the distance of conditional and "
            "marginal score; only where x itself is Gaussian as far as can be told, and the "
            "length of its residual tells nothing.",
            "neighbours": "nats: What nearest neighbours see of the columns that tell the most of "
            "each other; sampling error only. Up to its error it is a lower limit of the "
            "information, and where it contradicts the estimate, a line of the run says what was "
            "done.",
            "oracle": "nats: Mean of the exact pointwise information of the same samples, of a "
            "task: what is left of its error is chance of the samples.",
            "ksg": "nats: Nearest neighbours (Kraskov et al.); sampling error only.",
            "cca": "nats: Canonical correlations; sampling error only, bias not removed.",
            "infonce": "nats: A trained critic, InfoNCE; sampling error only.",
            "mine": "nats: A trained critic, MINE; sampling error only.",
            "plug_in": "nats: x and y as codes: the information of the table of their counts, "
            "with its bias.",
            "pooled_labels": "nats: What was added for labels of fewer than ten examples, which "
            "are taken together.",
            "label_entropy": "nats: Of labels their entropy, the upper limit; of codes on both "
            "sides the smaller one.",
            "p_value": "of 1: With `permutations`: the probability, if x and y are independent, of "
            "samples that look at least as dependent. It is exact, whatever the estimate.",
            "seconds": "s: Seconds of the estimate, compilation included.",
        },
    )
    | {
        "data.regression": "nats: The estimate is `regression` + D[X|Y] - D[X]. This is the part "
        "that the regression finds. X is the smaller block, of equal ones the one of larger "
        "Gaussian information. If D[X] was detected and D[X|Y] was not, x and y are exchanged "
        "and the estimate of smaller error is reported; the run says where X is your y.",
        "data.conditional": "nats: D[X|Y], by networks; 0 where they find nothing.",
        "data.marginal": "nats: D[X], by networks; 0 where they find nothing.",
        "data.repeated_rows": "rows: How many repeat another one, if more do than by chance.",
        "data.effective_rows": "rows: As many independent rows have the same error, where rows "
        "depend on each other (docs/own-data.md).",
        "benchmark.mean_absolute_error": "nats: Mean |estimate - truth| over the tasks.",
        "benchmark.mean_error": "nats: Mean estimate - truth over the tasks.",
        "benchmark.within_0.1": "of tasks: Share of tasks with |estimate - truth| <= 0.1.",
        "benchmark.coverage_2se": "of tasks: Share of tasks whose truth is within two standard "
        "errors.",
        "benchmark.<estimator>.mean_absolute_error": "nats: The same of another estimator.",
        "benchmark.<estimator>.mean_error": "nats: Likewise.",
        "benchmark.<estimator>.within_0.1": "of tasks: Likewise.",
        "benchmark.<estimator>.coverage_2se": "of tasks: Likewise.",
        "benchmark.seconds": "s a task: Mean seconds of a task's estimate.",
    },
    "labels": under("<dataset>", FORMS)
    | {
        "<dataset>.label_information": "nats: H(Y) + E log q(label | image), q a classifier, on "
        "nearly clean held-out images: a lower bound of I(image; label), and the number to use.",
        "<dataset>.lambda=<level>.label_information": "nats: The same bound for images noised to "
        "that lambda.",
        "<dataset>.label_information_by_gradients": "nats: 1/2 int sigma^2 E|grad log q(label | "
        "x)|^2 d(lambda). It is no bound.",
        "<dataset>.peak_log_snr": "lambda: Where the slope of the bound over lambda is highest.",
        "<dataset>.high_noise_share": "of the information: Share of the bound that is reached at "
        "lambda = 0.",
        "<dataset>.peak_log_snr_by_scores": "lambda: The peak of `score_difference`.",
        "<dataset>.high_noise_share_by_scores": "of the information: Share of `score_difference` "
        "below lambda = 0.",
    },
    "guidance": {
        "information": "nats: I(X;Y) of the joint Gaussian, in closed form.",
        "w=<weight>.injected": "nats: Nats injected by simulated guided chains: the relative "
        "entropy of their paths. Its truth is the closed recursion of the same steps.",
        "w=<weight>.injected_in_continuous_time": "nats: The same in continuous time.",
        "w=<weight>.sample_information": "nats: Information that the guided samples have of "
        "their condition.",
        "w=<weight>.sample_information_in_continuous_time": "nats: The same in continuous time.",
        "w=<weight>.distortion": "nats: KL of the guided samples from the true conditional, in "
        "continuous time.",
    },
    "guidance_images": under("images", FORMS)
    | {
        "held_out.label_information": "nats: H(Y) + E log q(label | image) of held-out images, q "
        "a classifier.",
        "w=<weight>.label_information": "nats: The same of guided samples.",
        "w=<weight>.injected": "nats: Nats injected by the chains' own steps.",
        "w=<weight>.injected_in_continuous_time": "nats: The same extrapolated to infinitely "
        "many steps.",
        "w=<weight>.w2_squared": "pixel^2: W_2^2 between the Gaussians of the samples and of the "
        "held-out images.",
        "w=<weight>.diversity": "of held-out variance: Variance within a label over that of "
        "held-out images.",
        "training.w2_squared": "pixel^2: W_2^2 of as many training images: its floor.",
        "training.diversity": "of held-out variance: Diversity of training images.",
    },
    "kelly": {
        "<race>.growth_without": "nats a race: Growth of log-wealth without the tip.",
        "<race>.growth_with": "nats a race: Growth of log-wealth with the tip.",
        "<race>.growth_difference": "nats a race: Their difference, race by race. Its truth is "
        "I(X;Y).",
        "tower.<levels>.sum": "nats: Sum of the ELBO's terms of that many levels.",
        "tower.limit": "nats: The integral that the sums tend to.",
        "tower.order": ": Order of convergence in the number of levels. Its truth is 1.",
    },
    "warm_start": LIKELIHOOD,
    "action_principle": ACTION,
    **BENCHMARKS,
}


@functools.cache
def pattern_of(name: str) -> re.Pattern:
    """Compile the regular expression of the rows that a name of the glossary stands for."""
    parts = re.split(r"<(\w+)>", name)
    places = [f"({PLACES[part]})" if k % 2 else re.escape(part) for k, part in enumerate(parts)]
    return re.compile("".join(places))


def entries_of(experiment: str, name: str, unit: str) -> list[str]:
    """Find the names of the glossary that a row of an experiment's results has.

    Args:
        experiment: "kelly", "benchmarks.update_time".
        name: of the row.
        unit: of the row.
    """
    return [
        known
        for known, entry in GLOSSARY[experiment].items()
        if pattern_of(known).fullmatch(name) and unit.startswith(entry.partition(": ")[0])
    ]


def unexplained(experiment: str, results) -> list[str]:
    """Name the results that no entry explains, or more than one."""
    return [
        f"{one.name} [{one.unit}]"
        for one in results
        if len(entries_of(experiment, one.name, one.unit)) != 1
    ]


def page() -> str:
    """Write the page."""
    parts = [HEAD]
    for experiment, entries in GLOSSARY.items():
        places = re.sub(r"(<\w+>)(?![.`\w])", r"`\1`", PLACES_OF[experiment])
        parts += [f"\n## `experiments.{experiment}`\n\n{places}\n\n"]
        parts += ["| name | unit | meaning |\n|---|---|---|\n"]
        for name, entry in entries.items():
            unit, _, meaning = entry.partition(": ")
            for special in "|*":  # the end of a cell, and emphasis
                meaning = meaning.replace(special, f"\\{special}")
            parts.append(f"| `{name}` | {unit} | {meaning} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"written: {PAGE}")
