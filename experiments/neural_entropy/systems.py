"""The systems that experiments.neural_entropy trains: one for each case and seed."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diffenc import training
from diffenc.diffusion.denoiser import Denoiser
from diffenc.keys import key_of
from diffenc.run import feeding, loop, parallel
from diffenc.run.advance import Trainee, make_advance
from experiments.neural_entropy.cases import Case, scaled
from experiments.neural_entropy.settings import Training

Name = tuple[str, int]  # of a system: its case and its seed


def updates_of(settings: Training, case: Case) -> int:
    """Count the updates of a case: num_updates, or fewer once max_epochs are reached."""
    passes = -(-settings.max_epochs * len(case.train[0]) // settings.batch_size)
    return min(settings.num_updates, passes) if settings.max_epochs else settings.num_updates


def optimizer_of(settings: Training, case: Case):
    """Make a case's optimizer; its learning rate descends to zero over the case's own updates."""
    return training.make_optimizer(
        settings.learning_rate, updates_of(settings, case), settings.warmup, settings.clip_norm
    )


def make_states(
    seed: int, settings: Training, cases: dict[str, Case]
) -> dict[Name, training.TrainState]:
    """Make the state of every system at its start; it carries the system's reference.

    Args:
        seed: of the run.
        settings: of the optimizers.
        cases: by name.
    """
    states = {}
    for case in cases.values():
        optimizer = optimizer_of(settings, case)
        for system, x in enumerate(case.train):
            example = jnp.asarray(x[:1], jnp.float32)
            params = case.model.init(key_of(seed, "model", case.program, system), example)
            reference = jax.tree.map(jnp.copy, case.references[system])
            states[case.name, system] = training.TrainState.create(params, optimizer, reference)
    return states


def make_update(model: Denoiser, levels, optimizer, draws: int, average_decay: float):
    """Make update(state, key, x): one step down the entropy-matching loss.

    Args:
        model: whose parameters are state.params, and whose reference the state carries.
        levels: the density of noise levels.
        optimizer: of optax.
        draws: noise levels of each example.
        average_decay: of the moving average of the parameters.
    """

    def update(state, key, x):
        def loss_fn(params):
            return model.loss(key, params, state.carried, x, levels, draws).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads, optimizer, average_decay), {"loss": loss}

    return update


def make_trainees(
    seed: int, settings: Training, cases: dict[str, Case], mesh
) -> dict[Name, Trainee]:
    """Make what `make_advance` needs of every system.

    Args:
        seed: of the run.
        settings: of the updates.
        cases: by name.
        mesh: over which batches are split, see `feeding.place`.
    """
    programs = {}
    trainees = {}
    for case in cases.values():
        num_updates = updates_of(settings, case)
        program = (case.program, num_updates)
        if program not in programs:
            programs[program] = make_run_updates(settings, case)
        for system, x in enumerate(case.train):
            names = (case.program, system)
            trainees[case.name, system] = Trainee(
                programs[program],
                feeding.place(mesh, x),
                key_of(seed, "training", *names),
                seed,
                num_updates,
                order=names,
            )
    return trainees


def make_run_updates(settings: Training, case: Case):
    """Make the program of many updates that the systems of a case share."""
    optimizer = optimizer_of(settings, case)
    update = make_update(case.model, case.levels, optimizer, settings.draws, settings.average_decay)
    prepare = functools.partial(scaled, case.scale)
    return training.scan_updates(update, lambda key, rows: prepare(rows))


def train(
    workdir,
    seed: int,
    settings: Training,
    cases: dict[str, Case],
    mesh,
    evaluate: Callable | None = None,
) -> dict[Name, training.TrainState]:
    """Train every system, or go on with them from their newest checkpoint.

    Args:
        workdir: of the run.
        seed: of the run.
        settings: of the training.
        cases: by name.
        mesh: over which they are trained.
        evaluate: evaluate(states, step) gives the scalars that are logged every `evaluate_every`
            updates; None is none.

    Returns:
        The states on one device, by system.
    """
    states = loop.train(
        workdir,
        parallel.replicate(mesh, make_states(seed, settings, cases)),
        make_advance(
            make_trainees(seed, settings, cases, mesh),
            mesh,
            settings.batch_size,
            settings.systems_at_once,
        ),
        num_updates=settings.num_updates,
        updates_per_dispatch=settings.updates_per_dispatch,
        save_every=settings.save_every,
        evaluate=evaluate,
        evaluate_every=settings.evaluate_every,
        headline=functools.partial(headline, cases),
        extras=settings.metrics_extras,
    )
    return parallel.local(states)


def headline(cases: dict[str, Case], metrics: dict[str, float]) -> str:
    """Write the text beside the progress bar: growths once they are measured, else a loss."""
    growths = []
    losses = []
    for name in cases:
        if f"{name}.kelly_growth" in metrics:
            growths.append(f"{name} {metrics[f'{name}.kelly_growth']:.2f}")
        if f"{name}.0.loss" in metrics:
            losses.append(f"{name} {metrics[f'{name}.0.loss']:.3f}")
    if growths:
        return "growth " + ", ".join(growths[:6])
    return "".join(f"loss {loss}" for loss in losses[:1])
