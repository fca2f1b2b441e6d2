"""What a system's updates cost, known before the first one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from checks import count_compilations

from diffenc import training
from diffenc.run import advance, parallel

OPTIMIZER = optax.sgd(0.1)


def update(state, key, x):
    """One whose temporary memory is a sorted matrix at least."""
    values = jnp.sort((x @ x.T).ravel())
    return state.replace(step=state.step + 1), {"loss": values[0] + jax.random.normal(key)}


def test_the_memory_is_that_of_the_program_that_training_then_has():
    mesh = parallel.data_mesh(2)
    examples = parallel.replicate(mesh, np.ones((50, 2), np.float32))
    run = training.scan_updates(update, lambda key, rows: rows)
    trainee = advance.Trainee(run, examples, jax.random.key(0), seed=0)
    states = {"one": training.TrainState.create({"w": jnp.zeros(2)}, OPTIMIZER)}
    states = parallel.replicate(mesh, states)
    found = []

    def compile_first():
        found.append(advance.costs_of({"one": trainee}, states, "one", mesh, 32, 3))

    def train():
        advance.make_advance({"one": trainee}, mesh, 32)(states, 0, 3)

    assert count_compilations(compile_first) > 0
    assert found[0].temporary_bytes >= 4 * 32 * 32
    assert found[0].flops == 2 * 32 * 32 * 2, "of one update"
    assert count_compilations(train) == 0
