"""A run of seconds over several processes, by the command line of every experiment.

    python tests/pods/toy.py --config=tests/pods/toy_config.py --workdir=DIR --config.trouble=late

Two systems are trained together. Their states are chaotic, so that one lost or doubled update shows
in all digits. Each update sums whole numbers over all devices, in any order the same; so does the
evaluation. `trouble` is what one process does wrong: see `make_trouble`.
"""

import errno
import time

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from diffenc import training
from diffenc.estimate import map_examples
from diffenc.run import feeding, loop, parallel, records, tables
from diffenc.run.advance import Trainee, make_advance
from experiments import command_line

BATCH = 8
EXAMPLES = np.random.default_rng(0).integers(-8, 9, (50, 3))
HELD_OUT = EXAMPLES[:13]


class State(flax.struct.PyTreeNode):
    w: jax.Array
    step: jax.Array


def update(state, key, x):
    shift = 1e-3 * jnp.tanh(jnp.sum(x) / 16 + state.step)
    w = jnp.clip(3.9 * state.w * (1 - state.w) + shift, 0.01, 0.99)
    return state.replace(w=w, step=state.step + 1), {"loss": jnp.sum(w)}


@jax.jit
def measure(shift, key, x):
    """Whole numbers of each example, with draws of its own."""
    return jnp.sum(x.astype(jnp.int32), axis=-1) + shift + jax.random.randint(key, (1,), 0, 1000)


def evaluate(states, step):
    shift = parallel.local(states)["toy"].step
    values = map_examples(
        lambda key, x: measure(shift, key, x), jax.random.key(step), HELD_OUT, batch_size=4
    )
    return {"held_out": float(np.sum(values * np.arange(1, 14)))}


def make_trouble(name: str):
    """Return what to do before the update that begins at a step."""
    last = jax.process_count() - 1

    def act(step):
        if step != 4 or jax.process_index() != last:
            return
        if name == "late":
            time.sleep(600)
        if name == "error":
            raise RuntimeError("the disk of this host is gone")

    if name == "deaf":  # nobody tells anybody, and nobody agrees
        parallel.tell = lambda kind, text: None
        parallel.agree = lambda number: number
    return act


def run(config, workdir):
    """Train the toy."""
    if config.trouble == "settings":
        config.pause = 0.5 * jax.process_index()
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh()
    act = make_trouble(config.trouble)
    if config.is_fed:  # two updates at once
        feeding.memory = lambda mesh: int(4 * BATCH * 12 / mesh.size / feeding.SHARE)
    run_updates = training.scan_updates(update, lambda key, rows: rows)
    trainee = Trainee(run_updates, feeding.place(mesh, EXAMPLES), jax.random.key(0), seed=0)
    assert feeding.is_fed(trainee.examples) == config.is_fed
    train = make_advance({"toy": trainee, "twin": trainee}, mesh, BATCH, systems_at_once=2)

    def advance(states, step, n):
        act(step)
        time.sleep(config.pause)
        return train(states, step, n)

    start = {
        "toy": State(jnp.linspace(0.1, 0.9, 4), jnp.int32(0)),
        "twin": State(jnp.linspace(0.2, 0.8, 4), jnp.int32(0)),
    }
    states = loop.train(
        workdir,
        parallel.replicate(mesh, start),
        advance,
        num_updates=config.num_updates,
        updates_per_dispatch=4,
        save_every=config.save_every,
        evaluate=evaluate,
        evaluate_every=4,
    )
    metrics = records.read_metrics(workdir)
    sums = {}
    for name, state in parallel.local(states).items():
        sums[f"{name}.w"] = float(np.asarray(state.w, np.float64) @ np.arange(1, 5))
    for name in ("toy.loss", "twin.loss", "held_out"):
        sums[name] = float(sum(line.get(name, 0.0) for line in metrics))
    if config.trouble == "full" and parallel.is_main_process():
        time.sleep(4)  # in which the others come to the end
        raise OSError(errno.ENOSPC, "No space left on device", "results.json")
    tables.write_results(workdir, [tables.Result(*item, None) for item in sums.items()])


if __name__ == "__main__":
    command_line.main(run)
