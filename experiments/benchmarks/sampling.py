"""Encodings and samples a second against the number of steps, and what few steps lose, in nats.

encoder: a diffusion encoder of a toy whose posterior is known on a grid, after a short training.
Its loss is KL(q || exact posterior) of the sampler's own density (`bounds.terms`), by which -ELBO
is above -log p(x). sampler: the probability flow of a Gaussian mixture. Its speed is that of the
config's network; its loss is KL(samples || mixture) with the mixture's own score in place of the
network, so that it is that of the steps alone.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from diffenc.diffusion.samplers import probability_flow
from diffenc.estimate import Estimate
from diffenc.keys import key_of
from diffenc.latent import bounds, held_out
from diffenc.latent.systems import System
from diffenc.run import feeding, parallel
from diffenc.run.order import batch_indices
from experiments import command_line
from experiments.benchmarks.programs import Program
from experiments.neural_entropy.cases import Case, load_cases
from experiments.neural_entropy.settings import read_sweep
from experiments.posteriors import cases as posterior_cases
from experiments.posteriors.settings import read_experiment

METHOD = "importance"
SAMPLES = 16  # of an encoder for each x


def encodings(
    config: ConfigDict, steps: Sequence[int], updates: int
) -> tuple[dict[int, Program], dict[int, dict[str, Estimate]]]:
    """Train the encoder of the config's first toy, and encode by each number of steps.

    Args:
        config: of experiments.posteriors.
        steps: numbers K of steps of the sampler, of 2 K - 1 evaluations of the network.
        updates: of the training.

    Returns:
        Programs that encode a batch, and what was lost, {steps: {quantity: its mean}}.
    """
    experiment = read_experiment(config)
    methods = {METHOD: experiment.methods[METHOD]}
    experiment = experiment._replace(methods=methods, toys=experiment.toys[:1], num_seeds=1)
    cases = posterior_cases.load_cases(experiment)
    models = posterior_cases.make_models(experiment, cases)
    ((name, system),) = models.items()
    case = cases[name[0]]
    training = experiment.training
    mesh = parallel.data_mesh(1)
    trainee = posterior_cases.make_trainees(training.seed, cases, models, mesh)[name]
    size = len(case.train)
    rows = batch_indices(training.seed, 0, updates, training.batch_size, size, trainee.order)
    batches = feeding.batches_of(trainee.examples, rows, mesh)
    state = parallel.replicate(mesh, system.state)
    params = parallel.local(trainee.run_updates(state, trainee.key, *batches)[0]).averages
    x = jnp.asarray(case.train[: training.batch_size])
    key = key_of(training.seed, "encodings")
    programs = {}
    losses = {}
    for num_steps in steps:
        function = jax.jit(functools.partial(_encode, system.encoder, num_steps))
        programs[num_steps] = Program(function, params, (key, x), len(x), lambda _: params, False)
        losses[num_steps] = loss_of_encoder(training.seed, case, system, params, num_steps)
    return programs, losses


def _encode(encoder, num_steps: int, params, key, x):
    key = jax.random.clone(key)  # every call is given the same
    return encoder.sample(key, params, encoder.infer(params, x), num_steps)


def loss_of_encoder(
    seed: int, case: posterior_cases.Case, system: System, params, num_steps: int
) -> dict[str, Estimate]:
    """Measure KL(q || exact posterior) of an encoder's samples by so many steps.

    Args:
        seed: of the run.
        case: a toy.
        system: the model.
        params: its parameters.
        num_steps: of the sampler.
    """
    x = case.held_out
    system = dataclasses.replace(system, sampler_steps=num_steps)
    with jax.default_matmul_precision("highest"):
        key = key_of(seed, "loss")
        terms = held_out.map_bound(key, bounds.terms, system, params, x, SAMPLES, len(x))
        exact = held_out.log_marginal(params["decoder"], x, decoder=system.decoder, grid=case.grid)
        folds = _folds(key_of(seed, "folds"), params, x, system.encoder, num_steps)
    return {
        "loss": Estimate.of(np.asarray(terms.neg_elbo) + np.asarray(exact)),
        "folds": Estimate.of(np.asarray(folds, float)),
    }


@functools.partial(jax.jit, static_argnums=(3, 4))
def _folds(key, params, x, encoder, num_steps):
    return encoder.folds(key, params, encoder.infer(params, x), num_steps)


def samples(
    config: ConfigDict, steps: Sequence[int], draws: int
) -> tuple[dict[int, Program], dict[int, dict[str, Estimate]]]:
    """Sample by the network of the config's first mixture, and by the mixture's own score.

    Args:
        config: of experiments.neural_entropy.
        steps: of the probability flow, of two evaluations of the score each.
        draws: samples of which the loss is the mean.

    Returns:
        Programs that sample a batch, and what was lost, {steps: {quantity: its mean}}.
    """
    sweep = read_sweep(config)
    case = load_cases(sweep)[0]
    batch_size = command_line.read_field(config, "batch_size", int)
    params = case.model.init(key_of(sweep.seed, "model"), jnp.asarray(case.train[0][:1]))
    key = key_of(sweep.seed, "samples")
    programs = {}
    losses = {}
    for num_steps in steps:
        function = jax.jit(functools.partial(_sample, case, num_steps, batch_size))
        programs[num_steps] = Program(function, params, (key,), batch_size, lambda _: params, False)
        losses[num_steps] = {"loss": loss_of_flow(sweep.seed, case, num_steps, draws)}
    return programs, losses


def _sample(case: Case, num_steps: int, batch_size: int, params, key):
    key = jax.random.clone(key)  # every call is given the same
    x = case.process.scale * jax.random.normal(key, (batch_size, case.train[0].shape[-1]))
    score = case.model.score_fn(params, case.references[0])
    return probability_flow(score, case.process, x, num_steps, case.times[0])


def loss_of_flow(seed: int, case: Case, num_steps: int, draws: int) -> Estimate:
    """Estimate KL(samples || mixture at t_min) of the flow with the mixture's own score.

    The density of a sample is that of the noise where it began, over the determinant of the
    sampler's Jacobian there.

    Args:
        seed: of the draws.
        case: a mixture.
        num_steps: of the flow.
        draws: samples.
    """
    key = key_of(seed, "flow")
    with jax.default_matmul_precision("highest"):
        return Estimate.of(np.asarray(_divergence(case, num_steps, draws)(key)))


def _divergence(case: Case, num_steps: int, draws: int):
    density = case.density_of(0)
    assert density is not None, "a mixture has a density"
    process = case.process
    t_min = case.times[0]
    score = functools.partial(density.score, process)
    width = process.scale

    def flow(x):
        return probability_flow(score, process, x[None], num_steps, t_min)[0]

    @jax.jit
    def divergence(key):
        x = width * jax.random.normal(key, (draws, case.train[0].shape[-1]))
        ends = jax.vmap(flow)(x)
        log_det = jnp.linalg.slogdet(jax.vmap(jax.jacfwd(flow))(x))[1]
        base = -0.5 * jnp.sum(jnp.square(x / width), axis=1) - x.shape[1] * (
            jnp.log(width) + 0.5 * np.log(2 * np.pi)
        )
        truth = density.diffused(process, jnp.float32(t_min)).log_prob(ends)
        return base - log_det - truth

    return divergence
