"""What experiments.neural_entropy measures of a system: entropies, their curves, images."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.diffusion import entropy_quadrature, profiles, samplers
from diffenc.diffusion.denoiser import Reference
from diffenc.diffusion.noise_levels import Levels, Piecewise, Uniform, log_snr_range
from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.run import parallel
from experiments.neural_entropy.cases import Case, scaled
from experiments.neural_entropy.settings import Evaluation

EARLY = 0.1  # the entropy produced before this time is near the data


def integrands(case: Case, params, reference: Reference, density) -> Callable:
    """Make the integrands of one model, all of one draw: values(x_t, eps, t) -> {name: [batch]}.

    They are s_nn; s_reference, the same of its reference alone; kelly_growth, which is added to the
    base score; s_nn_early, what of s_nn is produced at t < EARLY. Where the exact score is known
    there are also s_tot, s_tot_early, em_gap, reference_gap and growth_shortfall, the growth of the
    exact score less that of the network, on the same draws and against the denoising target.

    Args:
        case: its process and model.
        params: of the network.
        reference: of the model.
        density: the law of the data, or None.
    """
    score = case.model.score_fn(params, reference)
    reference_score = case.model.score_fn(params, reference, with_network=False)
    equilibrium = case.process.equilibrium_score
    base = equilibrium if case.test[0].ndim == 4 else reference_score
    fields = {
        "s_nn": profiles.gap_integrand(score, equilibrium, case.process),
        "s_reference": profiles.gap_integrand(reference_score, equilibrium, case.process),
        "kelly_growth": profiles.growth_integrand(score, base, case.process),
    }
    if density is not None:

        def exact(x, t):
            return density.score(case.process, x, t)

        fields["s_tot"] = profiles.gap_integrand(exact, equilibrium, case.process)
        fields["em_gap"] = profiles.gap_integrand(exact, score, case.process)
        fields["reference_gap"] = profiles.gap_integrand(exact, reference_score, case.process)
        fields["growth_shortfall"] = profiles.growth_integrand(exact, score, case.process)

    def values(x_t, eps, t):
        whole = {name: field(x_t, eps, t) for name, field in fields.items()}
        early = {
            f"{name}_early": jnp.where(t < EARLY, whole[name], 0.0)
            for name in ("s_nn", "s_tot")
            if name in whole
        }
        return whole | early

    return values


def make_measure(case: Case, levels: Levels, num_levels: int, batch_size: int) -> Callable:
    """Make measure(key, params, reference, density, x, count=None) -> {quantity: [count]}.

    It measures the first count of the examples x, or all.

    Args:
        case: any of its program.
        levels: the density of noise levels, such as that of `evaluation_levels`.
        num_levels: noise levels of each example.
        batch_size: examples measured at once.
    """
    low, high = log_snr_range(case.process, *case.times)

    @jax.jit
    def batch_of(params, reference, density, key, rows):
        x = scaled(case.scale, rows)
        field = integrands(case, params, reference, density)
        values = profiles.profile(key, field, case.process, x, levels, num_levels).total()
        if x.ndim == 2:
            gaussian = reference.gaussian(x.shape[1])
            values["kelly_growth"] += entropy_quadrature.gaussian_growth(
                gaussian, case.process, x, low, high
            )
        return values

    def measure(key, params, reference, density, x, count=None):
        call = functools.partial(batch_of, params, reference, density)
        with jax.default_matmul_precision("highest"):
            return map_examples(call, key, x[:count], batch_size)

    return measure


def evaluation_levels(key, case: Case) -> Piecewise:
    """Fit the density of noise levels of evaluation.

    Half of them lie where the training draws them, half where a pilot, which measures the reference
    on 500 training examples, sees entropy.

    Args:
        key: of the pilot.
        case: any of its program.
    """
    low, high = log_snr_range(case.process, *case.times)
    edges = np.linspace(low, high, 65)
    uniform = Uniform(low, high)
    score = case.model.score_fn(None, case.references[0], with_network=False)
    field = profiles.gap_integrand(score, case.process.equilibrium_score, case.process)
    pilot = jax.jit(lambda key, x: profiles.profile(key, field, case.process, x, uniform, 64))
    draws = pilot(key, scaled(case.scale, jnp.asarray(case.train[0][:500])))
    heights = np.maximum(profiles.curve(draws, uniform).height, 0)
    trained = case.levels.heights(edges)
    shape = trained / trained.sum() + (heights / heights.sum() if heights.sum() > 0 else 0)
    return Piecewise.fit(edges, shape, floor=0.1)


def monitor(
    seed: int,
    cases: dict[str, Case],
    measures: dict[str, Callable],
    num_examples: int,
    states,
    step,
) -> dict[str, float]:
    """Measure the first system of every case, for the curves over training.

    Args:
        seed: of the run.
        cases: by name.
        measures: of each case, by name.
        num_examples: held-out examples of each.
        states: by (case, seed).
        step: the update; it plays no part.

    Returns:
        "<case>.<quantity>" and "<case>.<quantity>_stderr".
    """
    scalars = {}
    for name, case in cases.items():
        state = parallel.local(states[name, 0])
        model = (state.averages, state.carried, case.density_of(0))
        key = key_of(seed, "monitor", case.program)
        values = measures[name](key, *model, case.test[0], num_examples)
        for quantity, per_example in values.items():
            estimate = Estimate.of(per_example)
            scalars[f"{name}.{quantity}"] = estimate.mean
            scalars[f"{name}.{quantity}_stderr"] = estimate.stderr
    return scalars


def measure_curves(
    seed: int, case: Case, settings: Evaluation, systems: dict
) -> dict[str, dict[str, profiles.Curve]]:
    """Measure i(lambda) in 32 bins of equal width, learned and, where it is known, exact.

    Args:
        seed: of the run.
        case: any of a program.
        settings: its numbers of examples are read.
        systems: the first system's state of every case of the program, by the case's name.

    Returns:
        A curve for each quantity of `integrands`, for each case.
    """
    levels = Uniform(*log_snr_range(case.process, *case.times))
    density = case.density_of(0)

    @jax.jit
    def draw(params, reference, key, rows):
        field = integrands(case, params, reference, density)
        draws = profiles.profile(key, field, case.process, scaled(case.scale, rows), levels, 32)
        return jax.tree.map(jnp.transpose, draws)

    curves = {}
    rows = case.test[0][: settings.monitor]
    for name, state in systems.items():
        call = functools.partial(draw, state.averages, state.carried)
        key = key_of(seed, "curves", case.program)
        draws = map_examples(call, key, rows, settings.batch_size)
        draws = jax.tree.map(np.transpose, draws)
        curves[name] = {
            quantity: profiles.curve(draws._replace(values=values), levels)
            for quantity, values in draws.values.items()
        }
    return curves


def generate(seed: int, case: Case, settings: Evaluation, systems: dict) -> dict[str, np.ndarray]:
    """Generate images by the probability flow, those of every system from the same noise.

    Args:
        seed: of the run.
        case: any of a program.
        settings: numbers of images and of steps are read.
        systems: the first system's state of every case of the program, by the case's name.

    Returns:
        Images [settings.images, ...] of each case.
    """
    shape = (settings.images, *case.test[0].shape[1:])
    t_min, t_max = case.times

    @jax.jit
    def sample(params, reference, key):
        noise = case.process.sigma(jnp.asarray(t_max)) * jax.random.normal(key, shape)
        score = case.model.score_fn(params, reference)
        return samplers.probability_flow(score, case.process, noise, settings.sampler_steps, t_min)

    images = {}
    for name, state in systems.items():
        key = key_of(seed, "images", case.program)
        images[name] = np.asarray(sample(state.averages, state.carried, key))
    return images
