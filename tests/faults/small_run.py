"""A whole experiment in little, whose updates take a millisecond, for tests of faults.

It is made of the parts that every experiment is made of: the command line with its lock and
run.json, data from a file, the order of batches, `make_advance`, `loop.train` with evaluations and
checkpoints, and results.json. Each update draws noise by its step, moves Adam and the average.
"""

import jax
import jax.numpy as jnp
import numpy as np

from diffenc import training
from diffenc.keys import key_of
from diffenc.run import checkpoints, data, loop, parallel, records, tables
from diffenc.run.advance import Trainee, make_advance
from diffenc.run.tables import Result
from experiments import command_line

DIM = 3
AVERAGE_DECAY = 0.9
NAME = "small"  # of the only system


def make_optimizer(config):
    return training.make_optimizer(config.learning_rate, config.num_updates, warmup=20)


@jax.jit
def held_out_loss(w, x):
    return jnp.mean(jnp.sum(jnp.square(jnp.tanh(x) - w[None]), axis=-1))


def make_trainee(config, examples) -> Trainee:
    optimizer = make_optimizer(config)

    def prepare(key, rows):
        return rows + 0.1 * jax.random.normal(key, rows.shape)

    def update(state, key, x):
        def loss_of(params):
            noise = 0.1 * jax.random.normal(key, (DIM,))
            return jnp.mean(jnp.sum(jnp.square(jnp.tanh(x) - (params["w"] + noise)[None]), axis=-1))

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads, optimizer, AVERAGE_DECAY), {"loss": loss}

    run_updates = training.scan_updates(update, prepare)
    return Trainee(run_updates, examples, key_of(config.seed, "noise"), config.seed)


def make_states(config) -> dict:
    params = {"w": jnp.full(DIM, 2.0)}
    return {NAME: training.TrainState.create(params, make_optimizer(config))}


def run(config, workdir) -> None:
    if command_line.is_complete(config, workdir):
        return
    dataset = data.load("file", path=config.data.path)
    mesh = parallel.data_mesh(config.num_devices)
    examples = parallel.replicate(mesh, dataset.train)
    trainees = {NAME: make_trainee(config, examples)}

    def evaluate(states, step):
        own = parallel.local(states)[NAME]
        return {"held_out": float(held_out_loss(own.averages["w"], dataset.test))}

    states = loop.train(
        workdir,
        parallel.replicate(mesh, make_states(config)),
        make_advance(trainees, mesh, config.batch_size),
        num_updates=config.num_updates,
        updates_per_dispatch=config.updates_per_dispatch,
        save_every=config.save_every,
        evaluate=evaluate,
        evaluate_every=config.evaluate_every,
    )
    own = jax.device_get(parallel.local(states))[NAME]
    rows = [Result(f"w{i}", float(w), 0.0, "") for i, w in enumerate(own.averages["w"])]
    tables.write_results(workdir, rows)


def outcome(config, workdir):
    """What a run ends with: every bit of its state, its lines of metrics, its results."""
    step, states = checkpoints.read(f"{workdir}/checkpoints", make_states(config))
    lines = [
        {name: value for name, value in line.items() if "ms_per_update" not in name}
        for line in records.read_metrics(workdir)
    ]
    results = (workdir / "results.json").read_text()
    bits = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(states)]
    return step, bits, lines, results


if __name__ == "__main__":
    command_line.main(run)
