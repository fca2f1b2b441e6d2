"""What a label tells of an image, in three forms, by the scores with the label and without.

With exact scores I(X;Y), which cannot exceed the entropy of the labels, has three forms: what S_NN
gains by the label, what Kelly growth gains by it, and 1/2 int sigma^2 E|s(x|y) - s(x)|^2 (arXiv
2509.23937). On held-out images growth is off by the gap L_EM of s(x) less that of s(x|y), the
others by the networks' own errors, either way. All three end at t_min, and are then the information
that the image with the noise of that time has about its label.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import profiles
from diffenc.diffusion.denoiser import Denoiser, Reference
from diffenc.diffusion.noise_levels import Uniform
from diffenc.estimate import Estimate, map_examples
from diffenc.run import tables
from diffenc.run.tables import Result
from experiments.labels.settings import Evaluation

NUM_ERRORS = 2.0  # beyond which a form is said to be above what the labels hold
FORMS = ("entropy_difference", "growth_difference", "score_difference")


def make_integrand(process, free: Callable, bound: Callable) -> Callable:
    """Make the integrands of what a label tells, all of one draw: (x_t, eps, t) -> {name: [batch]}.

    They are S_NN and growth, without the label and given it, and the three forms of what the label
    adds: to the entropy, to the growth, and to the score.

    Args:
        process: the diffusion.
        free: the score without the label, score_fn(x_t, t).
        bound: the score given the label.
    """
    rest = process.equilibrium_score

    def integrand(x_t, eps, t):
        free_score = _evaluated(free, x_t, t)
        bound_score = _evaluated(bound, x_t, t)

        def gap(score, base):
            return profiles.gap_integrand(score, base, process)(x_t, eps, t)

        def growth(score, base):
            return profiles.growth_integrand(score, base, process)(x_t, eps, t)

        values = {
            "s_nn": gap(free_score, rest),
            "s_nn_given_label": gap(bound_score, rest),
            "growth": growth(free_score, rest),
            "growth_given_label": growth(bound_score, rest),
            "growth_difference": growth(bound_score, free_score),
            "score_difference": gap(bound_score, free_score),
        }
        return values | {"entropy_difference": values["s_nn_given_label"] - values["s_nn"]}

    return integrand


def make_measure(
    key, model: Denoiser, reference: Reference, scale: float, levels: Uniform, settings: Evaluation
) -> Callable:
    """Make measure(params, images, count) -> draws [levels, count] of `make_integrand`.

    They are of the first count held-out images, or of all where there are fewer.

    Args:
        key: of the noise, which is the same with and without the label.
        model: the denoiser.
        reference: its Gaussian reference.
        scale: the intensity that counts as one.
        levels: the density of noise levels.
        settings: num_levels and batch_size are read.
    """
    process = model.process

    @jax.jit
    def batch_of(params, key, pair):
        x = pair[0].astype("float32") / scale
        free = model.score_fn(params, reference, condition=None)
        bound = model.score_fn(params, reference, condition=pair[1])
        integrand = make_integrand(process, free, bound)
        draws = profiles.profile(key, integrand, process, x, levels, settings.num_levels)
        return jax.tree.map(jnp.transpose, draws)

    def measure(params, images, count):
        pair = (images.test[:count], images.test_labels[:count])
        call = functools.partial(batch_of, params)
        with jax.default_matmul_precision("highest"):
            draws = map_examples(call, jax.random.clone(key), pair, settings.batch_size)
        return jax.tree.map(np.transpose, draws)

    return measure


def _evaluated(score_fn, x_t, t):
    """Give score_fn with its values at (x_t, t), which several integrands share."""
    values = score_fn(x_t, t)
    return lambda x, t: values


def information(name: str, images, values: dict) -> list[Result]:
    """Report the forms of I(X;Y), and the entropy of the labels, which the true one cannot exceed.

    Args:
        name: of the results, "<name>.<form>".
        images: the data set.
        values: of every held-out image that was measured, {form: [n]}.
    """
    num_examples = len(values[FORMS[0]])
    results = [
        Result(f"{name}.{form}", *Estimate.of(np.asarray(one))) for form, one in values.items()
    ]
    limit = Estimate.of(surprise(images, num_examples))
    return [*results, Result(f"{name}.label_entropy", *limit)]


def remarks(results: list[Result]) -> list[str]:
    """Say which results cannot be what their names say, in sentences to print below the table.

    Args:
        results: those of `information` among them.
    """
    rows = {result.name.rpartition(".")[2]: result for result in results}
    limit = rows["label_entropy"]
    sentences = []
    for form in FORMS:
        row = rows[form]
        error = math.hypot(row.stderr or 0.0, limit.stderr or 0.0)
        if row.value > limit.value + NUM_ERRORS * error:
            sentences.append(
                f"{row.name} is {tables.format_value(row.value, row.stderr)} nats, above the "
                f"{limit.value:.3g} nats that the labels hold: the denoiser is trained too little "
                "for this form to be the information"
            )
    for row in rows.values():
        if "peak_log_snr" in row.name and row.stderr == 0:
            sentences.append(
                f"{row.name} is {row.value:.3g} in every resampling, which is an end of the levels "
                "or between two of them: it is no estimate of a peak"
            )
    return sentences


def surprise(images, count: int) -> np.ndarray:
    """Compute -log of the share that an image's label has among the training images, [count].

    This is done for the first count held-out images.

    Its mean is the entropy of the labels, and it is the odds against which knowing more wins.
    """
    shares = np.bincount(images.train_labels) / len(images.train_labels)
    return -np.log(shares)[images.test_labels[:count]]
