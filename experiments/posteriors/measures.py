"""What experiments.posteriors measures of one system, one value per example.

Programs are module-level functions with parameters as arguments. Those of annealing see no encoder,
but the Gaussian that it gives, so that all methods and seeds of a case share them.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffenc.estimate import Estimate, map_examples
from diffenc.keys import key_of
from diffenc.latent import (
    annealing,
    bounds,
    decoders,
    encoder_loss,
    held_out,
    posterior_grid,
    whitening,
)
from diffenc.latent.encoder import DiffusionEncoder
from diffenc.latent.systems import System
from diffenc.run import parallel
from diffenc.run.advance import dotted
from experiments.posteriors.cases import Case, Name
from experiments.posteriors.settings import Evaluation

NUM_MONITORED = 500  # held-out examples of the curves, and of the share of folded draws
NUM_SAMPLES = 2000  # of an encoder for each example in the figure
BATCH_SIZE = 50  # examples at a time, where each takes a grid or many chains
OF_BOUND = ("nll", "neg_elbo", "rate", "distortion", "ess")
WIDENED = 1.5  # annealing likes a start that is too wide better than one that is too narrow


class Measured(NamedTuple):
    """The numbers of one system.

    Attributes:
        values: {quantity: one value for each example [n]}.
        samples: of the encoder at three examples [3, NUM_SAMPLES, d], where the posterior is known
            on a grid; None elsewhere.
    """

    values: dict[str, np.ndarray]
    samples: np.ndarray | None


def monitor(
    seed: int,
    cases: dict[str, Case],
    models: dict[Name, System],
    batch_size: int,
    states: dict,
    step: int,
) -> dict[str, float]:
    """Measure the importance bound of 10 samples for the curves.

    Beside it stands the standard error of its distance from that of the case's first system.

    Args:
        seed: of the run.
        cases: by name.
        models: the systems.
        batch_size: examples at a time.
        states: of training, by system.
        step: update at which this is.

    Returns:
        Numbers by the names of metrics.
    """
    states = parallel.local(states)
    scalars = {}
    first: dict[str, jax.Array] = {}
    key = key_of(seed, "monitor", step)
    for name, system in models.items():
        case = cases[name[0]]
        x = case.held_out[:NUM_MONITORED]
        params = states[name].averages
        nll = held_out.map_bound(key, bounds.terms, system, params, x, 10, batch_size).nll
        metric = f"{dotted(name)}.held_out_nll"
        scalars[metric] = Estimate.of(nll).mean
        if case.name in first:
            scalars[f"{metric}_stderr"] = Estimate.of(nll - first[case.name]).stderr
        first.setdefault(case.name, nll)
    return scalars


def measure(key, case: Case, system: System, params, settings: Evaluation) -> Measured:
    """Measure one system.

    Args:
        key: a random key.
        case: the system's.
        system: the model.
        params: its parameters.
        settings: what is measured.
    """
    key_terms, key_own, key_exact, key_figure, key_train, key_folds = jax.random.split(key, 6)

    def terms_of(key, x):
        return held_out.map_bound(
            key, bounds.terms, system, params, x, settings.num_samples, settings.batch_size
        )

    terms = terms_of(key_terms, case.held_out)
    values = {quantity: getattr(terms, quantity) for quantity in OF_BOUND}
    if case.train_measured is not None:  # below `nll` by what the decoder has learned by heart
        values["train_nll"] = terms_of(key_train, case.train_measured).nll
    pairs = held_out.reconstructions(
        key_own, system, params, case.held_out, settings.langevin_steps, settings.batch_size
    )
    values["amortization_gap"] = pairs.own_loss - pairs.corrected_loss
    values |= folds(key_folds, system, params, case.held_out, settings.batch_size)
    samples = None
    if case.grid is not None:
        values |= grid_divergence(key_exact, case, system, params, settings)
        x = np.repeat(examples_shown(case), NUM_SAMPLES, axis=0)
        z = held_out.own_samples(key_figure, system, params, x)
        samples = np.asarray(z).reshape(-1, NUM_SAMPLES, z.shape[-1])
    elif settings.ais_examples:
        values |= annealed(key_exact, case, system, params, settings)
    return Measured(values, samples)


def examples_shown(case: Case) -> np.ndarray:
    """Choose three held-out examples [3, D]: at the quartiles of the first coordinate."""
    order = np.argsort(case.held_out[:, 0])
    return case.held_out[order[(np.array([0.25, 0.5, 0.75]) * len(order)).astype(int)]]


def grid_divergence(
    key, case: Case, system: System, params, settings: Evaluation
) -> dict[str, np.ndarray]:
    """Measure KL(p(z|x) || q(z|x)) from exact draws, and q's mass on the grid by quadrature.

    A mass other than one says that the discrete flow folds the space, and that the divergence is
    short by its logarithm.

    Args:
        key: a random key.
        case: a toy.
        system: the model.
        params: its parameters.
        settings: sizes.

    Returns:
        "posterior_kl" of every held-out example, "mass" of the first few.
    """
    assert case.grid is not None, "the case is a toy"
    num_steps = settings.grid_sampler_steps
    on_grid = held_out.on_grid(
        key, system, params, case.held_out, case.grid, num_steps, settings.grid_draws
    )
    of_batch = functools.partial(_mass, encoder=system.encoder, grid=case.grid, num_steps=num_steps)
    few = case.held_out[: settings.grid_examples]
    mass = map_examples(lambda key, x: of_batch(params, x), None, few, 4)
    return {"posterior_kl": on_grid.kl, "mass": mass}


@functools.partial(jax.jit, static_argnames=("encoder", "grid", "num_steps"))
def _mass(params, x, *, encoder, grid, num_steps):
    return posterior_grid.encoder_log_prob(encoder, params, grid, x, num_steps)[1]


def folds(key, system: System, params, x: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """Tell whether a draw for each of the first examples folded the space.

    Such draws belie the encoder's density. Encoders that are no diffusion cannot fold it.

    Args:
        key: a random key.
        system: the model.
        params: its parameters.
        x: data [n, ...].
        batch_size: examples at a time.

    Returns:
        "folds" as 0 or 1, or nothing.
    """
    if not isinstance(system.encoder, DiffusionEncoder):
        return {}
    of_batch = functools.partial(_folds, encoder=system.encoder, num_steps=system.sampler_steps)
    is_folded = map_examples(
        lambda key, x: of_batch(key, params, x), key, x[:NUM_MONITORED], batch_size
    )
    return {"folds": is_folded.astype(float)}


@functools.partial(jax.jit, static_argnames=("encoder", "num_steps"))
def _folds(key, params, x, *, encoder, num_steps):
    return encoder.folds(key, params, encoder.infer(params, x), num_steps)


def near_mode(
    key, decoder, params, x, gaussian, rounds: int = 2, num_steps: int = 10, num_dreams: int = 128
) -> tuple[jax.Array, jax.Array]:
    """Fit a Gaussian at the posterior's mode next to that of another Gaussian.

    Newton steps of the mean, then the precision of the prior and of the decoder's Fisher
    information there. An encoder may fail on images simulated from the prior, which it has not been
    trained on: from here chains of all methods start equally well.

    Args:
        key: a random key.
        decoder: the decoder.
        params: its parameters.
        x: data [batch, ...].
        gaussian: the mean [batch, d] and the factor [batch, d, d] to start from.
        rounds: how often both are fitted.
        num_steps: Newton steps of a round.
        num_dreams: draws of x' ~ p(x'|z) for the Fisher information.

    Returns:
        Its mean and its factor.
    """
    mean, factor = gaussian
    eye = jnp.eye(mean.shape[-1])

    observation = decoder.observe(None, x)

    def log_density(z):
        return decoders.log_joint(decoder, params, observation, z)

    for key_round in jax.random.split(key, rounds):
        mean = whitening.newton(log_density, mean, factor, num_steps).mean
        keys = jax.random.split(key_round, num_dreams)

        def dream(key, z=mean):
            return encoder_loss.dream_gradient(key, decoder, params, z, 1.0)

        slope = jax.vmap(dream)(keys)
        precision = eye[None] + jnp.einsum("kbi,kbj->bij", slope, slope) / num_dreams
        factor = jnp.linalg.cholesky(jnp.linalg.inv(precision))
    return mean, factor


@functools.partial(jax.jit, static_argnames="encoder")
def _guess(params, x, *, encoder):
    return encoder.gaussian(encoder.infer(params, x))


def _start(key, decoder, params, x, guess):
    """Give the Gaussian at which annealing starts; the key may be used again for other x."""
    mean, factor = near_mode(jax.random.clone(key), decoder, params, x, guess)
    return mean, WIDENED * factor


@functools.partial(jax.jit, static_argnames=("decoder", "settings"))
def _tune(key, key_start, params, x, guess, *, decoder, settings):
    start = _start(key_start, decoder, params, x, guess)
    return annealing.tune(key, annealing.make_log_joint(decoder, params), x, start, settings)


@functools.partial(jax.jit, static_argnames=("decoder", "settings"))
def _lower(key, key_start, params, log_steps, x, guess, *, decoder, settings):
    start = _start(key_start, decoder, params, x, guess)
    log_joint = annealing.make_log_joint(decoder, params)
    return annealing.lower(annealing.forward(key, log_joint, x, start, log_steps, settings)[0])


@functools.partial(jax.jit, static_argnames=("decoder", "settings"))
def _sandwich(key, key_start, params, log_steps, x, z, guess, *, decoder, settings):
    key_forward, key_reverse = jax.random.split(key)
    start = _start(key_start, decoder, params, x, guess)
    log_joint = annealing.make_log_joint(decoder, params)
    log_w = annealing.forward(key_forward, log_joint, x, start, log_steps, settings)[0]
    back = annealing.reverse(key_reverse, log_joint, x, z, start, log_steps, settings)[0]
    return annealing.lower(log_w), annealing.upper(back, log_w)


def annealed(
    key, case: Case, system: System, params, settings: Evaluation
) -> dict[str, np.ndarray]:
    """Bound -log p(x) by annealed importance sampling.

    Args:
        key: a random key.
        case: the system's.
        system: the model.
        params: its parameters.
        settings: sizes.

    Returns:
        "ais_nll" of held-out examples; "ais_lower" and "ais_upper", the bounds of log p(x) of data
        simulated from the model, between which the truth lies, and "ais_gap", their distance.
    """
    key_z, key_x, key_start, key_tune, key_held_out, key_sandwich = jax.random.split(key, 6)
    of_decoder = params["decoder"]
    static = {"decoder": case.decoder, "settings": settings.annealing}
    z = jax.random.normal(key_z, (settings.ais_simulated, system.encoder.latent_dim))
    simulated = np.asarray(case.decoder.sample(key_x, of_decoder, z))
    x = case.held_out[: settings.ais_examples]

    def guess_of(x):
        fn = functools.partial(_guess, encoder=system.encoder)
        return map_examples(lambda key, x: fn(params, x), None, x, settings.batch_size)

    guess = guess_of(x)
    few = jax.tree.map(lambda rows: rows[:BATCH_SIZE], (x, guess))
    log_steps = _tune(key_tune, key_start, of_decoder, *few, **static)

    def sandwich(key, rows):
        return _sandwich(key, key_start, of_decoder, log_steps, *rows, **static)

    def lower_bound(key, rows):
        return _lower(key, key_start, of_decoder, log_steps, *rows, **static)

    rows = (simulated, np.asarray(z), guess_of(simulated))
    lower, upper = map_examples(sandwich, key_sandwich, rows, BATCH_SIZE)
    nll = -map_examples(lower_bound, key_held_out, (x, guess), BATCH_SIZE)
    return {"ais_nll": nll, "ais_lower": lower, "ais_upper": upper, "ais_gap": upper - lower}
